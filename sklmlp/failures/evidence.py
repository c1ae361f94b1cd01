"""What a fit that has ended shows: features, hidden layers, the best constant, scale of targets."""

import math
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch
from scipy.optimize import minimize

from sklmlp.data import rows_of_a_batch

MOST_SAMPLES = 2_000
"""A diagnosis looks at no more samples than this."""

MARGIN = 0.01
"""A model has learned something if its loss is better than a constant's by more than this share."""


def some_samples(dataset):
    """Return the indices of at most 2,000 evenly spread samples of a dataset."""
    step = -(-len(dataset) // MOST_SAMPLES)
    return np.arange(0, len(dataset), step) if dataset.index is None else dataset.index[::step]


def mean_loss(run, sample, logits=None):
    """Compute the mean loss of some rows with the final weights."""
    total = weight_sum = 0.0
    for x, y, weight in sample.slices(run.network.takes_sparse):
        rows = run.loss.value((logits or run.network.logits)(x), y)
        total += float((rows if weight is None else rows * weight).sum())
        weight_sum += float(len(y) if weight is None else weight.sum())
    return total / weight_sum


def observe(run, sample):
    """Look at some samples and at what the hidden layers make of them.

    Returns
    -------
    seen : dict
        The `loss`; `dead` and `spread` of each hidden layer; `mean`, `scale`, `smallest` and
        `largest` of the features: see `Case`.
    """
    run.network.module.eval()
    with _outputs_of(run.network) as layers, torch.no_grad():
        loss = mean_loss(run, sample, run.network.module)
    moments = zip(("mean", "scale", "smallest", "largest"), _moments(sample), strict=True)
    dead, spread = [_dead(parts) for parts in layers], [_spread(parts) for parts in layers]
    return {"loss": loss, "dead": dead, "spread": spread, **dict(moments)}


def _moments(sample):
    """Mean, standard deviation, minimum and maximum of each feature; nothing overflows."""
    X = getattr(sample.rows, "X", None)
    if sp.issparse(X):
        X = X[sample.index].astype(np.float64)
        n = X.shape[0]
        smallest, largest = (np.ravel(m.toarray()) for m in (X.min(axis=0), X.max(axis=0)))
        unit = float(max(np.abs(smallest).max(), np.abs(largest).max())) or 1.0
        X = X / unit
        mean, squares = (np.ravel(Z.sum(axis=0)) / n for Z in (X, X.multiply(X)))
        return mean * unit, np.sqrt(np.maximum(squares - mean**2, 0)) * unit, smallest, largest
    n, smallest, largest = len(sample), np.inf, -np.inf
    for x, _, _ in sample.slices():
        smallest = np.minimum(smallest, x.min(0).values.cpu().double().numpy())
        largest = np.maximum(largest, x.max(0).values.cpu().double().numpy())
    unit = np.maximum(np.abs(smallest), np.abs(largest))
    unit[unit == 0] = 1.0
    sums = squares = 0.0
    for x, _, _ in sample.slices():
        x = x.cpu().double().numpy() / unit
        sums, squares = sums + x.sum(0), squares + np.square(x).sum(0)
    mean = sums / n
    scale = np.sqrt(np.maximum(squares / n - np.square(mean), 0))
    return mean * unit, scale * unit, smallest, largest


@contextmanager
def _outputs_of(network):
    """Yield a list for each hidden layer, which fills with sums over its outputs, a slice each."""
    layers = [[] for _ in network.activations]
    handles = []
    for module, parts in zip(network.activations, layers, strict=True):

        def add(module, inputs, output, parts=parts):
            a = output.double()
            parts.append((len(a), (a != 0).any(0), a.sum(0), a.square().sum(0)))

        handles.append(module.register_forward_hook(add))
    try:
        yield layers
    finally:
        for handle in handles:
            handle.remove()


def _dead(parts):
    """Return the share of a layer's units that are zero for all rows."""
    lives = torch.stack([lives for _, lives, _, _ in parts]).any(0)
    return 1 - float(lives.double().mean())


def _spread(parts):
    """Return the scale of differences between rows over that of a layer's outputs."""
    n, _, sums, squares = zip(*parts, strict=True)
    n, sums, squares = sum(n), sum(sums), sum(squares)
    squares = squares / n
    variance = (squares - (sums / n).square()).clamp(min=0)
    size = float(squares.mean())
    return math.sqrt(float(variance.mean()) / size) if size > 0 else 0.0


# The best constant prediction, which a model has to beat to have learned anything.


def constant_prediction(run, rows):
    """Compute how well the best constant prediction of the training targets does on some rows.

    Parameters
    ----------
    run : TrainingRun
    rows : Dataset

    Returns
    -------
    constant : (Dataset, float, float) or None
        The rows that are looked at, the loss of the constant on them, and by how much less is
        better. None where all targets are the same or weigh nothing.
    """
    train = sample = replace(run.dataset, index=some_samples(run.dataset))
    y, weight = targets_of(train)
    if (y == y[:1]).all() or not weight.sum() > 0:
        return None
    z = _best_constant(run.loss, y, weight / weight.sum(), run.network.spec.n_outputs)
    if rows is not run.dataset:
        sample = replace(rows, index=some_samples(rows))
        y, weight = targets_of(sample)
        if not weight.sum() > 0:
            return None
    loss = float(weight / weight.sum() @ run.loss.value(z.expand(len(y), len(z)), y))
    # a log likelihood has no zero to be near to
    return sample, loss, MARGIN * (1.0 if run.loss.variance is not None else abs(loss))


def targets_of(dataset):
    """Return the targets and weights of some rows, as tensors."""
    y = dataset.y[torch.from_numpy(dataset.index).to(dataset.y.device)]
    weight = dataset.weights()
    weight = np.ones(len(y)) if weight is None else weight
    return y, torch.as_tensor(weight, dtype=dataset.dtype, device=y.device)


def _best_constant(loss, y, weight, k):
    """Return the logits (k,) whose loss on all rows is least; weights sum to one."""
    target = _indicators(y, k).to(weight.dtype)
    if loss.constant is not None:
        return loss.constant(target, weight)
    mean = weight @ target
    has_inverse = loss.inverse_link is not None and mean.shape == (k,)
    return _descended(
        loss, y, weight, loss.inverse_link(mean) if has_inverse else mean.new_zeros(k)
    )


def _descended(loss, y, weight, z):
    """Return the best constant logits, found from good ones; they stay where these are the best."""
    rows = loss.objective or loss.value

    def value_and_slope(flat):
        each = torch.as_tensor(flat, dtype=z.dtype, device=z.device).expand(len(y), len(z))
        slope = weight @ loss.gradient(each, y)
        return float(weight @ rows(each, y)), slope.cpu().double().numpy()

    start = z.cpu().double().numpy()
    if np.abs(value_and_slope(start)[1]).max() < 1e-5:  # it is the best already
        return z
    best = minimize(value_and_slope, start, jac=True, method="L-BFGS-B", options={"maxiter": 30})
    return torch.as_tensor(best.x, dtype=z.dtype, device=z.device)


def _indicators(y, k):
    """Return targets as a matrix with a column for each output."""
    return torch.nn.functional.one_hot(y, k) if y.ndim == 1 else y


# Targets of another scale than networks reach, of which a regression may have stayed far.

LARGEST_TARGETS, SMALLEST_TARGETS = 30.0, 0.03
"""Means and standard deviations of targets beyond these are far from 0 and 1."""

MOST_LEFT = 0.1
"""The most that a mere shift and stretch of its logits may improve a fit that has come to its end.

Of healthy fits it is below 0.03, and of those that never reached the scale of y above 0.12.
"""


def targets_out_of_reach(run, sample):
    """Say of a regression's targets how far from unit scale they are, if it has not reached them.

    Where targets are far from unit scale it takes the output layer most of the fit, or more, to
    get there. As long as it has not, shifting and stretching the logits alone would help; at a
    minimum of the penalized loss it would not, however little there is to learn.

    Parameters
    ----------
    run : TrainingRun
        When it has ended.
    sample : Dataset
        Some of its rows.

    Returns
    -------
    facts : str or None
    """
    unscaled = unscaled_columns(run, sample)
    if not unscaled or not run.network.flat.isfinite().all():
        return None
    left = _left_to_shift_and_stretch(run, sample)
    n_targets = sample.y.shape[1]
    for column, facts in unscaled.items():
        # of variances too, where they are learned
        if left[column::n_targets].max() > MOST_LEFT:
            return facts
    return None


def unscaled_columns(run, table):
    """Say of columns of y, by number, how far from unit scale they are; of none if y is scaled."""
    if run.config.normalize_y is not False:  # None for classifiers
        return {}
    y, weight = _targets(table), _shares(table)
    mean = weight @ y
    spread = np.sqrt(weight @ np.square(y - mean))
    # where predictions are exponentials it is the logarithm of the mean that has to be reached
    size = mean if run.loss.out_activation == "exp" else np.maximum(np.abs(mean), spread)
    small = size if run.loss.out_activation == "exp" else spread
    far = ((size > LARGEST_TARGETS) | (small < SMALLEST_TARGETS)) & (y != y[:1]).any(axis=0)
    return {
        column: f"{'y' if y.shape[1] == 1 else f'column {column} of y'} has mean "
        f"{mean[column]:.3g} and standard deviation {spread[column]:.3g}"
        for column in np.flatnonzero(far).tolist()
    }


def _targets(table):
    y = table.y
    if table.index is not None:
        y = y[torch.from_numpy(table.index).to(y.device)]
    return y.cpu().double().numpy()


def _shares(table):
    """Return the weights of a table's rows, with a sum of one."""
    weight = table.weights()
    weight = np.ones(len(table)) if weight is None else np.asarray(weight, dtype=np.float64)
    return weight / weight.sum() if weight.sum() > 0 else np.full(len(table), 1 / len(table))


def _left_to_shift_and_stretch(run, sample):
    """Compute for each logit z the share of its gradient that a + b z explains, (n_outputs,)."""
    logits, gradients = [], []
    for x, y, _ in sample.slices():
        z = run.network.logits(x)
        logits.append(z.cpu().double().numpy())
        gradients.append(run.loss.gradient(z, y).cpu().double().numpy())
    z, gradient, weight = np.concatenate(logits), np.concatenate(gradients), _shares(sample)
    shift = weight @ gradient
    centred = z - weight @ z
    stretch = weight @ (gradient * centred)
    # what the penalty holds back is not left over
    stretch = np.where(stretch < 0, np.minimum(stretch + _penalty(run), 0), stretch)
    spread = weight @ np.square(centred)
    explained = np.square(shift) + _divided(np.square(stretch), spread)
    return _divided(explained, weight @ np.square(gradient))


def _penalty(run):
    """Return what the slope of the penalty is along a stretch of each logit."""
    if run.network.spec.module is not None:
        return 0.0
    n, weight = len(run.dataset), run.dataset.weights()
    rows = n if run.state.optimizer is None else rows_of_a_batch(run.config.batch_size, n)
    weight_sum = rows * (1.0 if weight is None else weight.mean())  # of a step, on average
    squares = run.network.coefs[-1].detach().square().sum(0).cpu().double().numpy()
    return run.config.alpha / weight_sum * squares


def _divided(values, by):
    return np.divide(values, by, out=np.zeros_like(values), where=by > 0)
