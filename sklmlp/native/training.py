"""Blocks of epochs: what they read, what they change, what comes of them."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from sklmlp.native.extension import engine

SOLVERS = {"sgd": 0, "adam": 1, "adamw": 2, "muon": 3}
REASONS = ("epochs", "seconds", "converged", "not_finite", "stopped")


@dataclass(frozen=True)
class Rows:
    """The rows of a table, dense or CSR.

    Parameters
    ----------
    n_rows : int
    x : ndarray of shape (n_rows, n_features), C-contiguous, or None
    y : ndarray of shape (n_rows,) of int64, or (n_rows, n_targets) of the plan's dtype
    weight : ndarray of shape (n_rows,) of float64, or None
    values, indices, indptr : ndarray or None
        In place of `x`; indices and indptr are both int32 or both int64.
    """

    n_rows: int
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    weight: np.ndarray | None = None
    values: np.ndarray | None = None
    indices: np.ndarray | None = None
    indptr: np.ndarray | None = None

    @property
    def has_long_indices(self):
        """Whether indices are int64."""
        return self.indptr is not None and self.indptr.dtype == np.int64


@dataclass(frozen=True)
class Optimizer:
    """How gradients become steps.

    Parameters
    ----------
    solver : {"sgd", "adam", "adamw", "muon"}
    beta_1, beta_2, epsilon : float
        Of Adam, with scikit-learn's epsilon; of AdamW and Muon, with torch's.
    weight_decay : float
        Of AdamW; it decays the matrices, the first `n_coefs` numbers of a plan. Of Muon; it decays
        what Muon turns.
    momentum : float
        Of SGD and Muon.
    nesterov : bool
    alpha : float
        The penalty: alpha / (2 weight_sum) times the squared coefs.
    max_grad_norm : float or None
    power_t : float or None
        Of "invscaling": the rate after each epoch is learning_rate_init / (rows + 1)^power_t.
    learning_rate_init : float
    parts : sequence of (int, int, int, float)
        Of Muon, for networks with members: where a part starts, its rows and columns, and its rate
        over the learning rate. A part without columns is so many numbers that Adam updates. The
        parts follow each other and are all numbers.
    """

    solver: str = "adam"
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False
    alpha: float = 0.0
    max_grad_norm: float | None = None
    power_t: float | None = None
    learning_rate_init: float = 0.0
    parts: Sequence[tuple[int, int, int, float]] = ()


@dataclass
class State:
    """What a block changes, in place.

    Parameters
    ----------
    flat : ndarray of shape (n_parameters,)
    first_moment, second_moment : ndarray of shape (n_parameters,) or None
        Of Adam; SGD with momentum has the first alone, as torch's momentum buffer, and so has what
        Muon turns.
    buffers : ndarray of shape (n_buffers,) or None
        Running means and variances, and the edges of bins.
    order : ndarray of int64 or None
        The rows that take part, in the order of the last epoch; None for all of them in place.
    t : int
        Steps taken.
    learning_rate : float
    best_loss : float
    no_improvement, n_rows_seen : int
    n_batch_normalizations : int
        Steps that moved the running statistics.
    """

    flat: np.ndarray
    first_moment: np.ndarray | None = None
    second_moment: np.ndarray | None = None
    buffers: np.ndarray | None = None
    order: np.ndarray | None = None
    t: int = 0
    learning_rate: float = 0.001
    best_loss: float = np.inf
    no_improvement: int = 0
    n_rows_seen: int = 0
    n_batch_normalizations: int = 0


@dataclass(frozen=True)
class Limits:
    """When a block ends; see `Block.reason`.

    Parameters
    ----------
    max_epochs : int
    max_seconds : float
        The block ends with the first epoch that ends after this time.
    tol : float
    n_iter_no_change : int or None
        Ends after more than this many epochs in a row that did not improve the training loss by
        `tol`; None where something else decides.
    stop : writable bytes-like object or None
        Ends between two steps once its first byte is not 0.
    """

    max_epochs: int
    max_seconds: float = 0.05
    tol: float = 0.0
    n_iter_no_change: int | None = None
    stop: object = None


@dataclass(frozen=True)
class Block:
    """What came of a block.

    Attributes
    ----------
    n_epochs : int
        Whole epochs.
    losses : ndarray of shape (n_epochs,)
        The penalized training loss of each, as scikit-learn averages it.
    seconds, learning_rates : ndarray of shape (n_epochs,)
        What each took, and the learning rate of its last step.
    reason : str
        One of REASONS.
    """

    n_epochs: int
    losses: np.ndarray
    seconds: np.ndarray
    learning_rates: np.ndarray
    reason: str


def train_epochs(
    plan,
    state,
    rows,
    optimizer,
    limits,
    *,
    batch_size,
    rng=None,
    rates=None,
    dropout_seed=0,
    dropout=None,
    n_threads=1,
    n_shards=None,
):
    """Train for whole epochs without the interpreter's lock.

    Parameters
    ----------
    plan : Plan
    state : State
        Changed in place, also where KeyboardInterrupt ends the block in the middle of an epoch.
    rows : Rows
    optimizer : Optimizer
    limits : Limits
    batch_size : int
    rng : numpy.random.RandomState or None
        Shuffles `state.order` before each epoch with the draws of `rng.shuffle`.
    rates : ndarray of shape (max_epochs * n_batches,) or None
        The learning rate of each step; batches without weight take none.
    dropout_seed : int
    dropout : float or None
        The rate of dropout of members, in place of that of the plan.
    n_threads : int
    n_shards : int or None
        How many parts a batch is cut into. Nothing else decides on the bits of the outcome; None
        for `shards(plan, batch_size, n_threads)`.

    Returns
    -------
    block : Block
    """
    # the engine reads attributes by name
    settings = SimpleNamespace(**vars(optimizer), batch_size=batch_size, dropout_seed=dropout_seed)
    settings.solver = SOLVERS[optimizer.solver]
    settings.parts = [float(value) for part in optimizer.parts for value in part]
    settings.dropout = -1.0 if dropout is None else dropout
    settings.max_grad_norm = optimizer.max_grad_norm or 0.0
    settings.power_t = -1.0 if optimizer.power_t is None else optimizer.power_t
    vars(settings).update(vars(limits), rates=rates, n_threads=n_threads)
    settings.n_iter_no_change = -1 if limits.n_iter_no_change is None else limits.n_iter_no_change
    if n_shards is None:
        n_shards = shards(plan, min(batch_size, rows.n_rows), n_threads)
    settings.n_shards = n_shards
    outcome = [np.empty(limits.max_epochs) for _ in range(3)]
    settings.losses, settings.seconds, settings.learning_rates = outcome
    generator, lock = None, contextlib.nullcontext()
    if rng is not None:
        generator, lock = rng._bit_generator.capsule, rng._bit_generator.lock
    settings.generator = generator
    with lock:
        n, reason = engine().train(plan.compiled, state, rows, settings)
    return Block(n, *(values[:n] for values in outcome), REASONS[reason])


def shards(plan, batch_size, n_threads):
    """Count the parts that a batch is worth being cut into, at most `n_threads`."""
    values = sum(layer.units for layer in plan.layers)
    work = batch_size * (sum(la.fan_in * la.units for la in plan.layers) + 12 * values)
    work *= max(1, plan.n_members)
    return max(1, min(n_threads, batch_size // 8, int(work // 100_000)))
