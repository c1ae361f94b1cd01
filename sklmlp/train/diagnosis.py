"""Why a fit failed to learn. Looked into only after one that did."""

import math
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from sklmlp.caller import warn
from sklmlp.exceptions import (
    ConstantFeaturesWarning,
    DeadUnitsWarning,
    DivergenceWarning,
    UnscaledFeaturesWarning,
)
from sklmlp.train.targets_scale import hint_of_targets, unscaled_targets

MOST_ROWS = 2_000
"""A diagnosis looks at no more rows than this."""

LARGEST, SMALLEST = 30.0, 0.03
"""Means and scales beyond these are far from the 0 and 1 of standardized features."""


def warn_of_failed_learning(fits, feature_names=None):
    """Warn of what kept networks from learning: each reason once, and none after fits that learnt.

    Parameters
    ----------
    fits : list of Fit
        When they have ended.
    feature_names : array-like of str, default=None
    """
    _warn_of_each_once(reason for fit in fits for reason in _reasons(fit, feature_names))


def warn_of_divergence(fits):
    """Warn where a loss is not finite: all that is asked of a single pass."""
    _warn_of_each_once(reason for fit in fits for reason in _divergence(fit))


def _warn_of_each_once(found):
    reasons = {}
    with torch.inference_mode():
        for reason in found:
            reasons.setdefault(type(reason), reason)
    for reason in reasons.values():
        warn(reason)


def lower_rate(params):
    """What to try after a divergence."""
    if params.solver == "lbfgs":
        return "Scale the features."
    return (
        "Scale the features, or lower the rate: try learning_rate_init="
        f"{params.learning_rate_init / 10:g}."
    )


def _reasons(fit, feature_names):
    """Instances of the warnings that apply to a fit."""
    progress = fit.progress
    yield from unscaled_targets(fit, replace(fit.table, index=_some(fit.table)))
    if progress.n_iter == 0 or not fit.network.flat.isfinite().all():
        return  # nothing was trained, or the estimator raises
    yield from _divergence(fit)
    sample = replace(fit.table, index=_some(fit.table))
    constant = _loss_of_a_constant(fit, sample)
    # the loss of some rows is not quite that of all; a closer look is worth its time only near it
    if constant is None or fit.reached < constant - 0.1 * abs(constant):
        return
    seen = _look(fit, sample)
    if seen.loss < constant - 0.01 * abs(constant):
        return
    curve = progress.loss_curve[-progress.n_iter :]
    if len(curve) > 1 and math.isfinite(curve[-1]) and curve[-1] > 1.5 * abs(curve[0]):
        yield DivergenceWarning(
            f"Training diverged: the training loss rose from {curve[0]:g} to {curve[-1]:g} in "
            f"{len(curve)} epochs. {lower_rate(fit.params)}"
        )
    if (seen.smallest == seen.largest).all():
        yield ConstantFeaturesWarning(
            f"All {len(seen.smallest)} features are constant, so that all rows get the same answer."
        )
        return
    worst = _worst_scaled(seen)
    if not (seen.dead or worst is not None) or not _can_be_learnt(fit, sample, seen):
        return
    if seen.dead:
        yield DeadUnitsWarning(
            f"All units of hidden layer {seen.dead[0]} are zero for all rows, so that nothing "
            "passes it and nothing is learnt. Scale the features, lower learning_rate_init="
            f"{fit.params.learning_rate_init:g}, or choose an activation that is not flat, such "
            "as 'leaky_relu' or 'gelu'."
        )
    if worst is not None:
        name = f"feature {worst}" if feature_names is None else f"{feature_names[worst]!r}"
        yield UnscaledFeaturesWarning(
            f"The features are not scaled: {name} has mean {seen.mean[worst]:.3g} and standard "
            f"deviation {seen.scale[worst]:.3g}. Networks learn from features of mean 0 and "
            "standard deviation 1: use make_pipeline(StandardScaler(), ...)."
        )


def _divergence(fit):
    """The warning of a loss or a score that is not finite; weights that are not are an error."""
    if not fit.network.flat.isfinite().all():
        return
    advice = f"{lower_rate(fit.params)}{hint_of_targets(fit)}"
    scores = fit.progress.validation_scores if fit.validation is not None else None
    if scores and math.isnan(scores[-1]):
        yield DivergenceWarning(
            f"Training diverged: the validation score became NaN in epoch {fit.progress.n_iter}. "
            f"The weights of the best validation score are kept. {advice}"
        )
    elif not math.isfinite(fit.reached):
        yield DivergenceWarning(
            f"Training diverged: the training loss is {fit.reached} after {fit.progress.n_iter} "
            f"epochs. {advice}"
        )


def _some(table):
    """Evenly spread rows of a table."""
    step = -(-len(table) // MOST_ROWS)
    return np.arange(0, len(table), step) if table.index is None else table.index[::step]


def _loss_of_a_constant(fit, sample):
    """The loss of answering the mean target to all rows; None where all targets are the same.

    With the loss's canonical link no constant does better, with others hardly one.
    """
    loss, k = fit.loss, fit.network.spec.n_outputs
    y = sample.y[torch.from_numpy(sample.index).to(sample.y.device)]
    if (y == y[:1]).all():
        return None
    dtype = fit.network.flat.dtype
    weight = sample.weights()
    weight = np.ones(len(y)) if weight is None else weight
    if not weight.sum() > 0:
        return None
    weight = torch.as_tensor(weight / weight.sum(), dtype=dtype, device=y.device)
    mean = weight @ _indicators(y, k).to(dtype)
    # with more outputs than targets any constant will do
    z = _logits_of(mean, loss.out_activation) if mean.shape == (k,) else mean.new_zeros(k)
    return float(weight @ loss.rows(z.expand(len(y), k), y))


def _indicators(y, k):
    """Targets as a matrix of a column an output."""
    return torch.nn.functional.one_hot(y, k) if y.ndim == 1 else y


def _logits_of(mean, out_activation):
    """The inverse of a link, within finite numbers."""
    tiny = torch.finfo(mean.dtype).tiny
    if out_activation == "logistic":
        return torch.logit(mean, eps=torch.finfo(mean.dtype).eps)
    return mean.clamp(min=tiny).log() if out_activation in ("softmax", "exp") else mean


@dataclass
class Seen:
    """What one pass over some rows shows.

    Parameters
    ----------
    loss : float
    dead : list of int
        Hidden layers, from 1, whose units are all zero for all rows.
    mean, scale, smallest, largest : ndarray of shape (n_features,)
    """

    loss: float
    dead: list
    mean: np.ndarray
    scale: np.ndarray
    smallest: np.ndarray
    largest: np.ndarray


def _look(fit, sample):
    network, total, weight_sum, n = fit.network, 0.0, 0.0, len(sample)
    sums = squares = 0.0
    smallest, largest = np.inf, -np.inf
    with _outputs_that_live(network) as lives:
        for x, y, weight in sample.slices():
            rows = fit.loss.rows(network.logits(x), y)
            total += float((rows if weight is None else rows * weight).sum())
            weight_sum += float(len(x) if weight is None else weight.sum())
            x = x.cpu().double().numpy()
            sums, squares = sums + x.sum(0), squares + np.square(x).sum(0)
            smallest, largest = np.minimum(smallest, x.min(0)), np.maximum(largest, x.max(0))
    mean = sums / n
    scale = np.sqrt(np.maximum(squares / n - np.square(mean), 0))
    dead = [number for number, alive in enumerate(lives, 1) if not alive]
    return Seen(total / weight_sum, dead, mean, scale, smallest, largest)


@contextmanager
def _outputs_that_live(network):
    """For each hidden activation, whether any of its outputs was not zero."""
    lives = [False] * len(network.activations)

    def look(number):
        def hook(module, inputs, output):
            lives[number] = lives[number] or bool(output.any())

        return hook

    handles = [m.register_forward_hook(look(i)) for i, m in enumerate(network.activations)]
    try:
        yield lives
    finally:
        for handle in handles:
            handle.remove()


def _worst_scaled(seen):
    """The feature that is farthest from standardized, if it is far; None otherwise."""
    size = np.maximum(np.abs(seen.mean), seen.scale)
    if size.max() > LARGEST:
        return int(size.argmax())
    varying = seen.largest > seen.smallest
    if seen.scale[varying].max() < SMALLEST:
        return int(np.where(varying, seen.scale, np.inf).argmin())
    return None


def _can_be_learnt(fit, sample, seen):
    """Whether a single feature already tells of the targets: nothing is learnt from noise.

    Under independence sqrt(n) times a correlation is nearly standard normal, and the largest of m
    such is below sqrt(2 log m) but for a little.
    """
    k, n, products = fit.network.spec.n_outputs, len(sample), 0.0
    targets = _indicators(sample.y[torch.from_numpy(sample.index).to(sample.y.device)], k)
    targets = targets.cpu().double().numpy()
    targets = _divided(targets - targets.mean(0), targets.std(0))
    start = 0
    for x, _, _ in sample.slices():
        part = targets[start : start + len(x)]
        start += len(x)
        products = products + (x.cpu().double().numpy() - seen.mean).T @ part
    correlations = _divided(np.abs(products).max(1), n * seen.scale)
    return np.sqrt(n) * correlations.max() > 3 + np.sqrt(2 * np.log(products.size))


def _divided(values, by):
    return np.divide(values, by, out=np.zeros_like(values), where=by > 0)
