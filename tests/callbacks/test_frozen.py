"""What a callback freezes stays as it is, whatever moves the rest."""

import itertools

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import Callback, Freezer, Initializer, Unfreezer
from torch import nn

from sklmlp.optim.torch_optimizers import OPTIMIZERS
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, y = make_table("regression")
SOLVERS = ["adam", "sgd", "lbfgs", *sorted(OPTIMIZERS)]
DECAYING = {"solver_params": {"weight_decay": 0.1}}


class Net(nn.Module):
    """Two layers, of which the first may be frozen."""

    def __init__(self, n_features_in, n_outputs):
        super().__init__()
        self.first, self.second = nn.Linear(n_features_in, 8), nn.Linear(8, n_outputs)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


class Watching(Callback):
    """Notes the parameters at each epoch's begin and end."""

    def __init__(self):
        self.seen = []

    def _note(self, net):
        self.seen.append({n: p.detach().numpy().copy() for n, p in net.module_.named_parameters()})

    def on_epoch_begin(self, net, **kwargs):
        self._note(net)

    def on_epoch_end(self, net, **kwargs):
        self._note(net)


class WithoutGradient(Callback):
    """Takes the gradient of a layer away, in some epochs."""

    def __init__(self, until=99):
        self.until = until

    def on_grad_computed(self, net, named_parameters, **kwargs):
        for name, p in named_parameters:
            if "first" in name or "_0" in name:
                p.grad = None if len(net.history) <= self.until else p.grad


NETWORKS = {
    "by hand": {"activation": "tanh"},
    "by autograd": {"activation": torch.tanh},
    "prelu": {"activation": "prelu", "normalization": "layer", "residual": True},
    "module": {"module": Net},
}


def fit(solver, network, *callbacks, **params):
    watching = Watching()
    options = NETWORKS[network] | params
    if solver in OPTIMIZERS and solver not in ("rprop",):
        options |= DECAYING
    params = {"alpha": 1.0, "batch_size": 16, "max_iter": 6, "learning_rate_init": 0.05} | options
    make("regression", solver=solver, callbacks=[*callbacks, watching], **params).fit(X, y)
    return watching.seen


def is_first(name):
    return "first" in name or "_0" in name


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_what_is_frozen_stays_and_the_rest_moves(solver, network):
    """Frozen parameters are the same bit by bit after the fit; every other one has moved."""
    seen = fit(solver, network, Freezer(is_first))
    for name, start in seen[0].items():
        if is_first(name):
            assert_array_equal(seen[-1][name], start, err_msg=name)
        else:
            assert (seen[-1][name] != start).any(), name


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_what_is_unfrozen_moves_again(solver, network):
    """A layer stays from the epoch that freezes it until the one that unfreezes it."""
    seen = fit(solver, network, Freezer(is_first, at=2), Unfreezer(is_first, at=4))
    for name in filter(is_first, seen[0]):
        values = [each[name] for each in seen]
        moved = [(before != after).any() for before, after in itertools.pairwise(values)]
        assert moved[0], name  # within the first epoch
        assert not any(moved[2:5]), name  # within the second and the third, and in between
        if len(moved) > 6:  # lbfgs may have converged
            assert any(moved[6:]), name


@pytest.mark.parametrize("network", ["by hand", "by autograd", "module"])
@pytest.mark.parametrize("solver", [s for s in SOLVERS if s != "lbfgs"])
def test_without_a_gradient_nothing_moves(solver, network):
    """A parameter whose gradient a callback takes away stays in that step, and goes on later."""
    seen = fit(solver, network, WithoutGradient(until=3))
    for name in filter(is_first, seen[0]):
        assert_array_equal(seen[5][name], seen[0][name], err_msg=name)
        assert (seen[-1][name] != seen[0][name]).any(), name


@pytest.mark.parametrize("network", ["by hand", "module"])
def test_unfrozen_parameters_take_the_steps_of_plain_torch(network):
    """Adam's corrections count the steps of each parameter, as torch's do."""
    params = {"batch_size": 60, "shuffle": False, "alpha": 0.0, "epsilon": 1e-300}
    seen = fit(
        "adam", network, Freezer(is_first, at=1), Unfreezer(is_first, at=4), max_iter=5, **params
    )
    module = Net(5, 1).double()
    with torch.no_grad():
        for p, start in zip(module.parameters(), seen[0].values(), strict=True):
            p.copy_(torch.from_numpy(start))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05, eps=1e-300)
    for epoch in range(5):
        module.first.requires_grad_(epoch >= 3)
        optimizer.zero_grad()
        (0.5 * (module(torch.from_numpy(X))[:, 0] - torch.from_numpy(y)) ** 2).mean().backward()
        optimizer.step()
    for p, end in zip(module.parameters(), seen[-1].values(), strict=True):
        assert_allclose(end, p.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize("solver", [s for s in SOLVERS if s != "lbfgs"])
def test_partial_fit_goes_on_after_a_freeze(solver):
    """The state that an optimizer keeps is of the same form with and without frozen parameters."""
    model = make("regression", solver=solver, callbacks=[Freezer(is_first)])
    model.partial_fit(X, y).set_params(callbacks=None).partial_fit(X, y)
    start = model.coefs_[0].copy()
    model.partial_fit(X, y)
    assert (model.coefs_[0] != start).any()


@pytest.mark.parametrize("solver", SOLVERS)
def test_initial_values_of_a_callback_are_trained_from(solver):
    """What a callback writes into the weights as an epoch begins is what a fit goes on from."""

    def to_three(p):
        nn.init.constant_(p, 3.0)

    name = "linear_1.bias"
    seen = fit(solver, "by hand", Initializer(f"*{name}", fn=to_three), Freezer(f"*{name}"))
    assert_array_equal(seen[-1][name], 3.0)


def test_a_callback_may_replace_gradients():
    """A tensor in place of the gradient is what the step uses."""

    class Zeros(Callback):
        def on_grad_computed(self, net, named_parameters, **kwargs):
            for _, p in named_parameters:
                p.grad = torch.zeros_like(p)

    for network in ("by hand", "module"):
        seen = fit("sgd", network, Zeros())
        for name, start in seen[0].items():
            assert_array_equal(seen[-1][name], start, err_msg=name)


def test_all_may_be_frozen():
    """A fit of which everything is frozen leaves its weights; lbfgs says that it has no task."""
    seen = fit("adam", "module", Freezer("*"))
    for name, start in seen[0].items():
        assert_array_equal(seen[-1][name], start, err_msg=name)
    with pytest.raises(ValueError, match=r"^Callbacks have frozen all parameters: there is noth"):
        fit("lbfgs", "module", Freezer("*"))


def test_what_the_constructor_freezes_is_not_unfrozen_in_silence():
    """Such a parameter is no part of the training: unfreezing it is refused."""

    class Body(Net):
        def __init__(self, n_features_in, n_outputs):
            super().__init__(n_features_in, n_outputs)
            self.first.requires_grad_(False)

    with pytest.raises(ValueError, match=r"^A callback unfroze a parameter that the module's con"):
        fit("adam", "module", Unfreezer(is_first, at=2), module=Body)


def test_clipping_leaves_out_what_is_frozen():
    """The norm that is bounded is that of the gradients that count."""
    bound = {"max_grad_norm": 1e-3, "alpha": 0.0, "batch_size": 60, "learning_rate_init": 1.0}
    options = {"momentum": 0.0, "max_iter": 1, **bound}
    seen = fit("sgd", "by hand", Freezer(is_first), **options)
    steps = [seen[-1][name] - seen[0][name] for name in seen[0] if not is_first(name)]
    assert_allclose(np.sqrt(sum((step**2).sum() for step in steps)), 1e-3, rtol=1e-2)
