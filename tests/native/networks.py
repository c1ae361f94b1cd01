"""The same network twice: as a plan of the engine, and as torch's own modules for autograd."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from sklmlp.native import Layer, Optimizer, Plan, State
from sklmlp.native.plan import NORMALIZATIONS, SKIPS

MODULES = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "relu6": nn.ReLU6,
    "elu": nn.ELU,
    "celu": nn.CELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU("tanh"),
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "hardswish": nn.Hardswish,
    "softplus": nn.Softplus,
    "threshold": lambda threshold=0.0, value=0.0: nn.Threshold(threshold, value),
    "hardsigmoid": nn.Hardsigmoid,
    "log_sigmoid": nn.LogSigmoid,
    "hardtanh": nn.Hardtanh,
    "softsign": nn.Softsign,
    "tanhshrink": nn.Tanhshrink,
    "softshrink": nn.Softshrink,
    "hardshrink": nn.Hardshrink,
    "prelu": nn.PReLU,
    "glu": nn.GLU,
}

CLASSES = ("log_loss", "focal", "hinge")


@dataclass
class Network:
    """What to build.

    Parameters
    ----------
    n_features, n_outputs : int
    hidden : tuple of int
    activation, loss : str
    arguments, loss_arguments : dict
    normalization : str or None
    dropout : float
    residual : bool
    transposed : tuple of bool
        Which matrices lie as (fan out, fan in).
    dtype : str
    """

    n_features: int = 7
    n_outputs: int = 3
    hidden: tuple = (11, 5)
    activation: str = "relu"
    loss: str = "log_loss"
    arguments: dict = field(default_factory=dict)
    loss_arguments: dict = field(default_factory=dict)
    normalization: str | None = None
    dropout: float = 0.0
    residual: bool = False
    transposed: tuple = (False, False, True)
    dtype: str = "float64"
    n_slopes: int = 1

    def __post_init__(self):
        self.double = self.dtype == "float64"
        rng, to = np.random.default_rng(0), {"dtype": getattr(torch, self.dtype)}
        n_coefs, layers, matrices, rest = 0, [], [], []
        fan_in, self.buffers = self.n_features, []
        self.linears, self.activations, self.normalizations, self.skips = [], [], [], []
        for width in (*self.hidden, self.n_outputs):
            is_hidden = len(layers) < len(self.hidden)
            units = 2 * width if self.activation == "glu" and is_hidden else width
            linear = nn.Linear(fan_in, units, **to)
            transposed = self.transposed[len(layers) % len(self.transposed)]
            self.linears.append(linear)
            matrices.append((linear.weight, not transposed))
            rest.append(linear.bias)
            layer = {"fan_in": fan_in, "units": units, "width": width}
            layers.append(layer | {"is_stored_transposed": transposed})
            fan_in = width
        for layer in layers[:-1] if self.residual else ():
            skip = nn.Identity()
            if layer["fan_in"] != layer["width"]:
                skip = nn.Linear(layer["fan_in"], layer["width"], bias=False, **to)
                matrices.append((skip.weight, False))
            self.skips.append(skip)
        for layer in layers[:-1]:
            if self.activation == "prelu":
                self.activations.append(nn.PReLU(1 if self.n_slopes == 1 else layer["width"], **to))
                rest.append(self.activations[-1].weight)
            else:
                self.activations.append(MODULES[self.activation](*self.arguments.values()))
            if self.normalization is not None:
                kind = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, "rms": nn.RMSNorm}
                norm = kind[self.normalization](layer["units"], eps=1e-5, **to)
                self.normalizations.append(norm)
                rest += list(norm.parameters())
        self.parameters = [p for p, _ in matrices] + rest
        for p in self.parameters:
            p.data = torch.from_numpy(rng.normal(0, 0.5, p.shape).astype(self.dtype))
        self.transposes = [t for _, t in matrices] + [False] * len(rest)
        starts = np.cumsum([0, *(p.numel() for p in self.parameters)]).tolist()
        self.offsets = dict(zip(map(id, self.parameters), starts[:-1], strict=True))
        n_coefs = sum(p.numel() for p, _ in matrices)
        self.plan = Plan(
            is_double=self.double,
            n_features=self.n_features,
            n_outputs=self.n_outputs,
            n_targets=self.n_targets,
            n_parameters=starts[-1],
            n_coefs=n_coefs,
            layers=[self._layer(i, layer) for i, layer in enumerate(layers)],
            loss=self.loss,
            loss_arguments=self.loss_arguments,
            n_buffers=sum(2 * layer["units"] for layer in layers[:-1])
            if self.normalization == "batch"
            else 0,
        )

    @property
    def n_targets(self):
        if self.loss in CLASSES:
            return 0
        return {"quantiles": 1, "gaussian": self.n_outputs // 2}.get(self.loss, self.n_outputs)

    def _layer(self, i, layer):
        at = self.offsets
        layer |= {
            "coefs": at[id(self.linears[i].weight)],
            "intercepts": at[id(self.linears[i].bias)],
        }
        if i == len(self.hidden):
            return Layer(**layer)
        layer |= {
            "activation": self.activation,
            "arguments": self.arguments,
            "dropout": self.dropout,
        }
        if self.activation == "prelu":
            slopes = self.activations[i].weight
            layer |= {"slopes": at[id(slopes)], "n_slopes": slopes.numel()}
        if self.normalization is not None:
            norm = self.normalizations[i]
            layer |= {
                "normalization": NORMALIZATIONS[self.normalization],
                "scale": at[id(norm.weight)],
                "shift": at[id(norm.bias)] if self.normalization != "rms" else None,
            }
            if self.normalization == "batch":
                before = sum(2 * self.normalizations[j].num_features for j in range(i))
                layer |= {"mean": before, "variance": before + norm.num_features}
        if self.residual:
            plain = isinstance(self.skips[i], nn.Identity)
            layer |= {"skip": SKIPS["identity" if plain else "projection"]}
            layer |= {} if plain else {"projection": at[id(self.skips[i].weight)]}
        return Layer(**layer)

    def flat(self):
        """The learned numbers in one array."""
        values = [
            (p.detach().T if transpose else p.detach()).reshape(-1)
            for p, transpose in zip(self.parameters, self.transposes, strict=True)
        ]
        return torch.cat(values).numpy().astype(self.dtype)

    def gradient(self):
        """Their gradients in one array."""
        values = [
            (p.grad.T if transpose else p.grad).reshape(-1)
            for p, transpose in zip(self.parameters, self.transposes, strict=True)
        ]
        return torch.cat(values).numpy()

    def initial_buffers(self):
        """Running means and variances in one array, or None."""
        if self.normalization != "batch":
            return None
        parts = [(norm.running_mean, norm.running_var) for norm in self.normalizations]
        return torch.cat([value for pair in parts for value in pair]).numpy().astype(self.dtype)

    def logits(self, x, masks=None, training=True):
        """Forward by torch's modules; `masks` are those of dropout, one a hidden layer."""
        for norm in self.normalizations:
            norm.train(training and len(x) > 1)
        for i, linear in enumerate(self.linears):
            into, x = x, linear(x)
            if i == len(self.hidden):
                return x
            if self.normalizations:
                x = self.normalizations[i](x)
            x = self.activations[i](x)
            if masks is not None:
                x = x * masks[i] / (1 - self.dropout)
            if self.skips:
                x = x + self.skips[i](into)

    def state(self, optimizer, n=None, seed=None):
        """A state to begin with."""
        flat = self.flat()
        zeros = [np.zeros_like(flat), np.zeros_like(flat)]
        first = zeros[0] if optimizer.solver != "sgd" or optimizer.momentum else None
        return State(
            flat,
            first,
            zeros[1] if optimizer.solver != "sgd" else None,
            self.initial_buffers(),
            None if n is None else np.arange(n),
            learning_rate=optimizer.learning_rate_init,
        )

    def targets(self, n, seed=1):
        """Targets that the loss takes."""
        rng = np.random.default_rng(seed)
        if self.loss in CLASSES:
            return rng.integers(0, self.n_outputs, n)
        y = rng.normal(size=(n, self.n_targets)).astype(self.dtype)
        if self.loss.startswith("binary"):
            return (y > 0).astype(self.dtype)
        return abs(y) + 0.1 if self.loss in ("poisson", "gamma") else y


ADAM = Optimizer("adam", learning_rate_init=0.01)
