"""What the engine has to know about a network: shapes, and offsets into one flat array."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from sklmlp.compat import cached_property
from sklmlp.native.extension import engine
from sklmlp.native.training import Rows


@cache
def activations():
    """Map the name of each activation to its number and its arguments' defaults."""
    others = {"prelu": (-1, {}), "glu": (-2, {})}
    return _table(engine().ACTIVATIONS) | others


@cache
def losses():
    """Map the name of each loss to its number and its arguments' defaults."""
    return _table(engine().LOSSES)


@cache
def losses_of_indices():
    """List the names of losses whose targets are indices of classes."""
    return {name for name, is_index, _ in engine().LOSSES if is_index}


def _table(entries):
    table = {}
    for number, (name, _, arguments) in enumerate(entries):
        pairs = (argument.split("=") for argument in arguments.split(",") if argument)
        table[name] = number, {key: float(value) for key, value in pairs}
    return table


def _values(defaults, given):
    """List values in the order of the defaults; a sequence stands for several values."""
    unknown = set(given) - set(defaults)
    if unknown:
        raise ValueError(f"unknown arguments {sorted(unknown)}; expected {list(defaults)}")
    values = []
    for value in (defaults | dict(given)).values():
        values += value if isinstance(value, Sequence) else [value]
    return values


NORMALIZATIONS = {None: 0, "batch": 1, "layer": 2, "rms": 3}
SKIPS = {None: 0, "identity": 1, "projection": 2}
AVERAGES = {"identity": 0, "softmax": 1, "logistic": 2, "exp": 3, "gaussian": 4}


@dataclass(frozen=True)
class Layer:
    """An affine map, and in a hidden layer what follows it.

    `out = dropout(activation(normalization(in W + b))) + skip(in)`. Offsets are places in the flat
    array of learned numbers, or None.

    Parameters
    ----------
    fan_in, units : int
        Of the affine map.
    width : int
        Units that the layer hands on: `units`, or half of them behind a GLU.
    coefs, intercepts : int
        Offsets of W and b.
    is_stored_transposed : bool
        Whether W lies in memory as (units, fan_in).
    activation : str
        A name of `activations()`.
    arguments : mapping of str to float
        Arguments of the activation; the others have their defaults.
    slopes, n_slopes : int
        Offset and number of PReLU's slopes.
    normalization : int
        A value of NORMALIZATIONS.
    epsilon, momentum : float
    scale, shift : int
        Offsets of what a normalization learns; RMS normalization has no shift.
    mean, variance : int
        Offsets of running statistics in the array of buffers.
    dropout : float
    skip : int
        A value of SKIPS.
    projection : int
        Offset of the matrix of a projection, which lies as (width, fan_in).
    scales_in, scales_out : int
        Offsets of what members scale by, (n_members, fan_in) and (n_members, units); see `Plan`.
    """

    fan_in: int
    units: int
    width: int
    coefs: int
    intercepts: int
    is_stored_transposed: bool = False
    activation: str = "identity"
    arguments: Mapping[str, float] = field(default_factory=dict)
    slopes: int | None = None
    n_slopes: int = 0
    normalization: int = 0
    epsilon: float = 1e-5
    momentum: float = 0.1
    scale: int | None = None
    shift: int | None = None
    mean: int | None = None
    variance: int | None = None
    dropout: float = 0.0
    skip: int = 0
    projection: int | None = None
    scales_in: int | None = None
    scales_out: int | None = None

    @property
    def activation_number(self):
        """The engine's number of the activation."""
        return activations()[self.activation][0]

    @property
    def argument_values(self):
        """The arguments of the activation in the engine's order."""
        return _values(activations()[self.activation][1], self.arguments)


@dataclass(frozen=True)
class Front:
    """Embeddings: piecewise-linear ones of the first columns, and vectors for codes in the last.

    See `sklmlp.nn.embeddings`.

    Parameters
    ----------
    n_numbers, n_bins, size : int
        Columns of numbers, bins of each, and length of the embedding of one number or level.
    n_categories, n_levels : int
        Columns of codes, and levels of all of them.
    weight, bias, bins : int or None
        Offsets in the flat array, of (n_numbers, size) twice and (n_numbers, n_bins, size) numbers.
    vectors : int or None
        Offset in the flat array, of (n_levels, size) numbers.
    left, per_width : int or None
        Offsets in the array of buffers, of (n_numbers, n_bins) numbers: the left edges of bins, and
        one over their widths; 0 for what is no bin, behind the others.
    first : int or None
        Offset in the array of buffers, of n_categories + 1 numbers: the level that each category
        begins with, and n_levels.
    """

    n_numbers: int
    n_bins: int
    size: int
    n_categories: int = 0
    n_levels: int = 0
    weight: int | None = None
    bias: int | None = None
    bins: int | None = None
    vectors: int | None = None
    left: int | None = None
    per_width: int | None = None
    first: int | None = None


@dataclass(frozen=True)
class Plan:
    """A network that the engine computes. It does not change.

    One with members, see `sklmlp.nn.TiedNetwork`, has several intercepts in each layer, several
    matrices in the last layer, one member after the other, and ReLU. In training, the gradient is
    that of the mean of the members' losses, and the loss that of their average.

    Parameters
    ----------
    is_double : bool
        Whether it computes in float64, else in float32.
    n_features, n_outputs : int
    n_targets : int
        Targets of a row; 0 where the target is the index of a class.
    n_parameters, n_coefs : int
        Length of the flat array, and how much of it, from the start, are matrices.
    layers : sequence of Layer
        The last one is the output layer.
    loss : str
        A name of `losses()`.
    loss_arguments : mapping of str to float or sequence of float
        Arguments of the loss; a delta of "huber" and the levels of "quantiles", which rise, are
        sequences with one for each output.
    n_buffers : int
        Length of the array of running statistics and of edges.
    n_members : int
        0 for a network without members.
    average : str
        A key of AVERAGES: how members' logits become one prediction.
    front : Front or None
        What members share in front of the first layer; its embeddings, then all columns but those
        of codes, go in.
    """

    is_double: bool
    n_features: int
    n_outputs: int
    n_targets: int
    n_parameters: int
    n_coefs: int
    layers: Sequence[Layer]
    loss: str
    loss_arguments: Mapping[str, float] = field(default_factory=dict)
    n_buffers: int = 0
    n_members: int = 0
    average: str = "identity"
    front: Front | None = None

    @property
    def takes_sparse(self):
        """Whether rows may be CSR."""
        return not self.n_members and not self.layers[0].skip

    @property
    def average_number(self):
        """The engine's number of the average."""
        return AVERAGES[self.average]

    @property
    def loss_number(self):
        """The engine's number of the loss."""
        return losses()[self.loss][0]

    @property
    def loss_argument_values(self):
        """The arguments of the loss in the engine's order."""
        return _values(losses()[self.loss][1], self.loss_arguments)

    @cached_property
    def compiled(self):
        """The engine's own form; raises ValueError for shapes or offsets that are wrong."""
        return engine().make_plan(self)

    def forward(self, flat, x, buffers=None, n_threads=1, out=None):
        """Compute logits.

        Parameters
        ----------
        flat : ndarray of shape (n_parameters,)
        x : ndarray of shape (n, n_features), C-contiguous; or Rows
        buffers : ndarray of shape (n_buffers,) or None
        n_threads : int
        out : ndarray of shape (n, n_outputs) or None

        Returns
        -------
        out : ndarray of shape (n, n_outputs)
        """
        if out is None:
            n = x.n_rows if isinstance(x, Rows) else len(x)
            out = np.empty((n, self.n_outputs), flat.dtype)
        engine().forward(self.compiled, flat, buffers, x, out, n_threads)
        return out

    def loss_and_gradient(self, flat, rows, gradient, n_threads=1):
        """Sum the weighted losses of all rows, and put the gradient of the sum into `gradient`."""
        return engine().gradient(self.compiled, flat, rows, gradient, n_threads)


class Model:
    """A plan with its learned numbers where they lie.

    It holds on to the arrays, and computes with the values that they have at each call.

    Parameters
    ----------
    plan : Plan
        Its offsets count the values of all arrays, one array after the other.
    arrays : list of ndarray
        Each contiguous, in C's or in Fortran's order; a layer's matrix or vector lies in one.
    buffers : ndarray of shape (n_buffers,) or None
    """

    def __init__(self, plan, arrays, buffers=None):
        self.plan, self._bound = plan, engine().bind(plan.compiled, arrays, buffers)
        self._predict, self._dtype = engine().predict, np.dtype("d" if plan.is_double else "f")

    def __call__(self, x, n_threads=1):
        """Compute logits; see `Plan.forward`."""
        n = x.n_rows if isinstance(x, Rows) else len(x)
        out = np.empty((n, self.plan.n_outputs), self._dtype)
        self._predict(self._bound, x, out, n_threads)
        return out
