"""Warnings of a fit that learned nothing, with the reason; computed only after such a fit."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from sklmlp.caller import warn
from sklmlp.exceptions import (
    ConstantFeaturesWarning,
    DeadUnitsWarning,
    DivergenceWarning,
    LearningRateWarning,
    NothingLearntWarning,
    StoppedTooEarlyWarning,
    UnscaledFeaturesWarning,
    UnscaledTargetWarning,
    VanishingSignalWarning,
)
from sklmlp.failures.evidence import (
    constant_prediction,
    mean_loss,
    observe,
    some_samples,
    targets_out_of_reach,
    unscaled_columns,
)

LARGEST, SMALLEST = 30.0, 0.03
"""Means and scales beyond these are far from the 0 and 1 of standardized features."""

MOST_DEAD = 0.8
"""A layer that has a larger share of dead units than this is taken for the reason of a failure."""


def warn_of_failed_learning(runs, feature_names=None):
    """Warn of what kept networks from learning: each reason once, and none after fits that learned.

    Parameters
    ----------
    runs : list of TrainingRun
        When they have ended.
    feature_names : array-like of str, default=None
    """
    _warn_of_each_once(reason for run in runs for reason in _reasons(run, feature_names))


def warn_of_divergence(runs):
    """Warn where a loss is not finite: all that is asked of a single pass."""
    _warn_of_each_once(reason for run in runs for reason in _divergence(run))


def _warn_of_each_once(found):
    reasons = {}
    # NumPy's warnings of overflow would speak of our arithmetic, not of the user's
    with torch.inference_mode(), np.errstate(all="ignore"):
        for reason in found:
            reasons.setdefault(type(reason), reason)
    for reason in reasons.values():
        warn(reason)


def learning_rate_hint(config):
    """Return what to try after a divergence."""
    if not config.is_stochastic:
        return "Scale the features."
    return (
        "Scale the features, or lower the rate: try learning_rate_init="
        f"{config.learning_rate_init / 10:g}."
    )


def hint_of_targets(run):
    """Return what to try after a divergence with unscaled targets: a sentence, or nothing."""
    unscaled = unscaled_columns(run, run.dataset)
    if not unscaled:
        return ""
    return f" The targets are not scaled ({next(iter(unscaled.values()))}): use normalize_y=True."


def _reasons(run, feature_names):
    """Return the warnings that apply to a fit."""
    stopping = run.state.stopping
    sample = replace(run.dataset, index=some_samples(run.dataset))
    unscaled = targets_out_of_reach(run, sample)
    if unscaled:
        yield UnscaledTargetWarning(
            f"The targets are not scaled: {unscaled}, and the predictions have not reached them. "
            "Use normalize_y=True, which scales targets for training and predictions back."
        )
    if stopping.n_iter == 0 or not run.network.has_finite_numbers:
        return  # nothing was trained, or the estimator raises
    diverged = list(_divergence(run))
    yield from diverged
    # a plain reason is enough, a callback knows why, and what was said before is not repeated
    if unscaled or run.is_stopped or run.outcome.was_finished:
        return
    kept, rows = _reached(run), run.dataset if run.validation is None else run.validation.dataset
    constant = constant_prediction(run, rows)
    if constant is None:
        return
    sample, constant_loss, margin = constant
    too_early = _stopped_too_early(run, kept)
    if too_early is not None:
        yield too_early
        return
    if mean_loss(run, sample) < constant_loss - margin:
        return
    case = Case(run, feature_names, constant_loss, margin, **observe(run, sample))
    found = [reason for reason in (find(case) for find in REASONS) if reason is not None]
    if diverged:  # what is said of the learning rate is said
        yield from (reason for reason in found if not isinstance(reason, LearningRateWarning))
    else:
        yield from found or [_no_reason(case)]


def _reached(run):
    """Return the loss of the weights that were kept, on validation rows if there are any."""
    if run.validation is None:
        return run.outcome.final_loss
    n = run.state.stopping.n_iter
    scores = np.array(run.state.stopping.validation_scores[-n:], dtype=float)
    if np.isnan(scores).all():
        return np.nan
    return run.state.stopping.history[-n:][int(np.nanargmax(scores))]["valid_loss"]


def _stopped_too_early(run, kept):
    """Return the warning of a score that stood still while the validation loss fell, or None.

    It is given where stopping by the loss would have gone on.
    """
    config, n = run.config, run.state.stopping.n_iter
    stood_still = run.state.stopping.no_improvement > config.n_iter_no_change
    if run.validation is None or run.validation.is_loss or not stood_still:
        return None
    losses = [epoch["valid_loss"] for epoch in run.state.stopping.history[-n:]]
    improved = np.flatnonzero(losses <= np.minimum.accumulate([np.inf, *losses])[:-1] - config.tol)
    would_stop = n - 1 - improved[-1] > config.n_iter_no_change if len(improved) else True
    if would_stop or losses[-1] >= kept:
        return None
    return StoppedTooEarlyWarning(
        f"Early stopping ended the fit after {n} epochs because the validation score stood still, "
        f"while the validation loss was still falling: from {kept:.3g} at the weights that are "
        f'kept to {losses[-1]:.3g}. Use scoring="loss" to stop by the loss.'
    )


@dataclass
class Case:
    """A fit that ended no better than a constant prediction.

    Parameters
    ----------
    run : TrainingRun
    feature_names : array-like of str or None
    constant_loss, margin : float
        The loss of the best constant, and by how much less is better.
    loss : float
        That of the fit, on the same rows.
    dead : list of float
        Of each hidden layer, the share of units that are zero for all rows.
    spread : list of float
        Of each hidden layer, the scale of differences between rows over that of its outputs.
    mean, scale, smallest, largest : ndarray of shape (n_features,)
    """

    run: object
    feature_names: object
    constant_loss: float
    margin: float
    loss: float
    dead: list
    spread: list
    mean: np.ndarray
    scale: np.ndarray
    smallest: np.ndarray
    largest: np.ndarray

    @property
    def fact(self):
        """That it failed, in one sentence."""
        rows = "training" if self.run.validation is None else "validation"
        return (
            f"The model is no better than a constant prediction: its {rows} loss is "
            f"{self.loss:.4g}, that of a constant {self.constant_loss:.4g}."
        )

    @property
    def curve(self):
        """The training loss of each epoch of this fit."""
        n = self.run.state.stopping.n_iter
        return np.array([epoch["train_loss"] for epoch in self.run.state.stopping.history[-n:]])

    @property
    def growth(self):
        """The scale of each layer's weights over that of Glorot's initial ones."""
        network = self.run.network
        parts = network.flat.split(
            [shape.numel() for shape in network.matrix_shapes]
            + [network.flat.numel() - network.n_coefs]
        )
        scales = [float(part.double().square().mean().sqrt()) for part in parts[:-1]]
        usual = [math.sqrt(2 / sum(shape[:2])) for shape in network.matrix_shapes]
        return np.array(scales) / usual

    @property
    def is_unscaled(self):
        return _worst_scaled(self) is not None


# Each looks for one reason, and gives its warning or None.


def _diverged(case):
    curve = case.curve
    if len(curve) > 1 and math.isfinite(curve[-1]) and curve[-1] > 1.5 * abs(curve[0]):
        return DivergenceWarning(
            f"Training diverged: the training loss rose from {curve[0]:g} to {curve[-1]:g} in "
            f"{len(curve)} epochs. {learning_rate_hint(case.run.config)}"
        )


def _constant_features(case):
    if (case.smallest == case.largest).all():
        return ConstantFeaturesWarning(
            f"All {len(case.smallest)} features are constant, so that all rows get the same "
            f"prediction. {case.fact}"
        )


def _dead_units(case):
    for number, share in enumerate(case.dead, 1):
        if share > MOST_DEAD:
            what = "All units" if share == 1 else f"{share:.0%} of the units"
            return DeadUnitsWarning(
                f"{what} of hidden layer {number} are zero for all rows, so that "
                f"{'nothing' if share == 1 else 'little'} passes it. {case.fact} Scale the "
                f"features, lower learning_rate_init={case.run.config.learning_rate_init:g}, or "
                "choose an activation that is not flat, such as 'leaky_relu' or 'gelu'."
            )


def _unscaled_features(case):
    worst = _worst_scaled(case)
    if worst is not None:
        names = case.feature_names
        name = f"feature {worst}" if names is None else f"{names[worst]!r}"
        return UnscaledFeaturesWarning(
            f"The features are not scaled: {name} has mean {case.mean[worst]:.3g} and standard "
            f"deviation {case.scale[worst]:.3g}. Networks learn from features of mean 0 and "
            f"standard deviation 1: use make_pipeline(StandardScaler(), ...). {case.fact}"
        )


def _divergence(run):
    """Yield the warning of a loss or a score that is not finite."""
    if not run.network.has_finite_numbers:
        return
    advice = f"{learning_rate_hint(run.config)}{hint_of_targets(run)}"
    loss, n_iter = run.outcome.final_loss, run.state.stopping.n_iter
    scores = run.state.stopping.validation_scores if run.validation is not None else None
    if scores and math.isnan(scores[-1]):
        yield DivergenceWarning(
            f"Training diverged: the validation score became NaN in epoch {n_iter}. "
            f"The weights of the best validation score are kept. {advice}"
        )
    elif not math.isfinite(loss):
        yield DivergenceWarning(
            f"Training diverged: the training loss is {loss} after {n_iter} epochs. {advice}"
        )


def _vanishing(case):
    """Check whether the signal vanishes: rows become the same, or gradients vanish."""
    spread = [float(s) for s in case.spread]
    if len(spread) < 2 or max(case.dead) > MOST_DEAD or spread[-1] > 1e-2 * spread[0]:
        return None
    return VanishingSignalWarning(
        f"The signal vanishes between the layers: from hidden layer 1 to {len(spread)} the "
        f"differences between rows shrink from {spread[0]:.2g} to {spread[-1]:.2g} of their size, "
        f"and so do the gradients on their way back. {case.fact} Use fewer layers, "
        "normalization='layer', residual=True, or an activation such as 'relu' or 'gelu'."
    )


def _rate_too_high(case):
    config, curve = case.run.config, case.curve
    if not config.is_stochastic or case.is_unscaled or _diverged(case):
        return None
    rose = len(curve) > 1 and np.nanmax(curve[1:]) > 1.5 * abs(curve[0])
    if rose or (len(case.growth) and case.growth.max() > 8):
        return LearningRateWarning(
            f"learning_rate_init={config.learning_rate_init:g} is too high: "
            + (
                "the training loss rose on its way. "
                if rose
                else f"weights became {case.growth.max():.2g} times as large as usual. "
            )
            + f"{case.fact} Try learning_rate_init={config.learning_rate_init / 10:g}."
        )


def _rate_too_low(case):
    """Check whether the loss fell evenly from the first epoch to the last."""
    config, curve, n = case.run.config, case.curve, case.run.state.stopping.n_iter
    if not config.is_stochastic or n < 4 or n >= config.max_iter:
        return None
    half = n // 2
    first, second = curve[0] - curve[half], curve[half] - curve[-1]
    is_even = first > 0 and second > 0.3 * first and first + second < 0.1 * abs(curve[0])
    if is_even and not case.is_unscaled:
        better = max(10 * config.learning_rate_init, min(1e-3, 1e4 * config.learning_rate_init))
        return LearningRateWarning(
            f"learning_rate_init={config.learning_rate_init:g} is too low: the training loss fell "
            f"evenly, but only from {curve[0]:.6g} to {curve[-1]:.6g} in {n} epochs. {case.fact} "
            f"Try learning_rate_init={better:g}."
        )


def _strong_penalty(case):
    growth, alpha = case.growth, case.run.config.alpha
    if alpha >= 0.01 and len(growth) and growth.min() < 0.1:
        return NothingLearntWarning(
            f"alpha={alpha:g} has shrunk the weights to almost nothing. {case.fact} Try "
            f"alpha={alpha / 100:g}."
        )


REASONS: list[Callable] = [
    _diverged,
    _constant_features,
    _dead_units,
    _unscaled_features,
    _strong_penalty,
    _vanishing,
    _rate_too_high,
    _rate_too_low,
]
"""What may have kept a fit from learning, `Case` to a TrainingWarning or None."""


def _no_reason(case):
    """Return what is said where none of them is found."""
    return _too_few_epochs(case) or NothingLearntWarning(
        f"{case.fact} No reason was found: the features may not tell of the targets. Otherwise "
        "try another learning_rate_init, other hidden_layer_sizes or another activation."
    )


def _too_few_epochs(case):
    """Something ended a fit whose training loss still fell."""
    run, curve = case.run, case.curve
    if len(curve) > 1 and not curve[-1] < curve[(len(curve) - 1) // 2] - case.margin:
        return None
    config, n_iter = run.config, run.state.stopping.n_iter
    if n_iter >= config.max_iter:
        end, advice = f"max_iter={config.max_iter}", "max_iter"
    elif run.is_out_of_time:
        end, advice = f"max_time={config.max_time:g}", "max_time"
    elif run.validation is not None:
        end, advice = "Early stopping", f"n_iter_no_change={config.n_iter_no_change}"
    elif config.is_stochastic:
        end, advice = f"tol={config.tol:g}", f"n_iter_no_change={config.n_iter_no_change}"
    else:
        return None
    if config.is_stochastic:
        advice += f", or learning_rate_init={config.learning_rate_init:g}"
    return StoppedTooEarlyWarning(
        f"{end} ended the fit after {n_iter} epochs, before it had learned anything. "
        f"{case.fact} Raise {advice}."
    )


def _worst_scaled(case):
    """Return the feature that is farthest from standardized, if it is far; None otherwise."""
    size = np.maximum(np.abs(case.mean), case.scale)
    if size.max() > LARGEST:
        return int(size.argmax())
    varying = case.largest > case.smallest
    if varying.any() and case.scale[varying].max() < SMALLEST:
        return int(np.where(varying, case.scale, np.inf).argmin())
    return None
