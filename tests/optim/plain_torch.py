"""Training in plain torch, by which solvers, schedules and clipping are tested."""

import itertools

import numpy as np
import torch
from numpy.testing import assert_allclose
from torch import nn

from tests.tables import make, make_table

ALPHA, RATE, N_EPOCHS = 0.3, 0.02, 5
X, Y = make_table("regressions")
PARAMS = {
    "hidden_layer_sizes": (
        40,
        8,
    ),  # of the coefs some lie the one way round in memory, some the other
    "activation": "tanh",
    "alpha": ALPHA,
    "batch_size": 40,
    "learning_rate_init": RATE,
    "max_iter": N_EPOCHS,
    "shuffle": False,
    "n_iter_no_change": np.inf,
}
"""Ten steps, on batches of 40 rows and of 20."""


class Lion(torch.optim.Optimizer):
    """Signs of momenta, which torch lacks: Chen et al. 2023, algorithm 2."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99)):
        super().__init__(params, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            beta_1, beta_2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                p.add_(torch.lerp(p.grad, m, beta_1).sign_(), alpha=-group["lr"])
                m.lerp_(p.grad, 1 - beta_2)


def initial_module(activation="tanh"):
    """A module with the weights that a fit by PARAMS starts from."""
    start = make("regressions", **{**PARAMS, "activation": activation, "max_iter": 1})
    start.set_params(solver="sgd", learning_rate_init=1e-300).fit(X, Y)
    layers = []
    for coef, intercept in zip(start.coefs_, start.intercepts_, strict=True):
        linear = nn.Linear(*coef.shape, dtype=torch.float64)
        linear.weight.data = torch.from_numpy(coef.copy(order="K")).T  # bfloat16 minds the order
        linear.bias.data.copy_(torch.from_numpy(intercept))
        layers += [linear, nn.Tanh() if activation == "tanh" else nn.PReLU(dtype=torch.float64)]
    return nn.Sequential(*layers[:-1])


def groups(module, weight_decay=0.0):
    """Matrices with a decay, everything else without."""
    matrices = [p for p in module.parameters() if p.ndim == 2]
    rest = [p for p in module.parameters() if p.ndim != 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0}]


def sgd(module):
    """torch's SGD of a module with scikit-learn's defaults."""
    return [torch.optim.SGD(module.parameters(), RATE, momentum=0.9, nesterov=True)]


def adamw(module):
    """torch's AdamW of a module with its defaults, but for a decay."""
    return [torch.optim.AdamW(groups(module), RATE)]


def train_plainly(module, optimizers, schedulers=(), max_norm=None):
    """Ten steps down the penalised squared error of Y."""
    x, y = torch.from_numpy(X), torch.from_numpy(Y)
    for _, rows in itertools.product(range(N_EPOCHS), [slice(40), slice(40, None)]):
        module.zero_grad()
        n = len(x[rows])
        loss = (module(x[rows]) - y[rows]).square().sum() / (2 * n)
        squares = sum(p.square().sum() for p in module.parameters() if p.ndim == 2)
        (loss + ALPHA / (2 * n) * squares).backward()
        if max_norm is not None:
            nn.utils.clip_grad_norm_(module.parameters(), max_norm)
        for each in (*optimizers, *schedulers):
            each.step()


def assert_trains_as_torch(optimizers_of, schedulers_of=None, max_norm=None, **params):
    """Check that a fit by PARAMS, and by what is given, ends where plain torch ends.

    `optimizers_of(module)` lists torch's optimizers, `schedulers_of(optimizer)` makes a scheduler.
    """
    params = {**PARAMS, **params}
    model = make("regressions", **params).fit(X, Y)
    module = initial_module(params["activation"])
    optimizers = optimizers_of(module)
    schedulers = [schedulers_of(each) for each in optimizers] if schedulers_of else []
    train_plainly(module, optimizers, schedulers, max_norm)
    assert_same_weights(model, module)


def assert_same_weights(model, module, rtol=1e-10):
    """A fitted estimator has the weights of a module."""
    for layer, coef, intercept in zip(
        [layer for layer in module if isinstance(layer, nn.Linear)],
        model.coefs_,
        model.intercepts_,
        strict=True,
    ):
        assert_allclose(coef, layer.weight.detach().numpy().T, rtol, rtol)
        assert_allclose(intercept, layer.bias.detach().numpy(), rtol, rtol)
    slopes = [layer.weight.item() for layer in module if isinstance(layer, nn.PReLU)]
    learned = [layer.weight.item() for layer in model.module_ if isinstance(layer, nn.PReLU)]
    assert_allclose(learned, slopes, rtol)
