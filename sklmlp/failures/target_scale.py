"""Detect a regression that ended far from its targets because these are not scaled."""

import numpy as np
import torch

from sklmlp.data import rows_of_a_batch
from sklmlp.exceptions import UnscaledTargetWarning

LARGEST, SMALLEST = 30.0, 0.03
"""Means and standard deviations of targets beyond these are far from 0 and 1."""

MOST_LEFT = 0.1
"""The most that a mere shift and stretch of its logits may improve a fit that has come to its end.

Of healthy fits it is below 0.03, and of those that never reached the scale of y above 0.12.
"""


def unscaled_targets(run, sample):
    """Yield the warning of a regression that has not reached the scale of its targets, or nothing.

    Where targets are far from unit scale it takes the output layer most of the fit, or more, to
    get there. As long as it has not, shifting and stretching the logits alone would help; at a
    minimum of the penalised loss it would not, however little there is to learn.

    Parameters
    ----------
    run : TrainingRun
        When it has ended.
    sample : Dataset
        Some of its rows.
    """
    unscaled = _unscaled(run, sample)
    if not unscaled or not run.network.flat.isfinite().all():
        return
    left = _left_to_shift_and_stretch(run, sample)
    n_targets = sample.y.shape[1]
    for column, facts in unscaled.items():
        share = left[column::n_targets].max()  # of variances too, where they are learned
        if share > MOST_LEFT:
            yield UnscaledTargetWarning(
                f"The targets are not scaled: {facts}, and the predictions have not "
                "reached them. Use normalize_y=True, which scales targets for training and "
                "predictions back."
            )
            return


def hint_of_targets(run):
    """Return what to try after a divergence with unscaled targets: a sentence, or nothing."""
    unscaled = _unscaled(run, run.dataset)
    if not unscaled:
        return ""
    return f" The targets are not scaled ({next(iter(unscaled.values()))}): use normalize_y=True."


def _unscaled(run, table):
    """Say of columns of y, by number, how far from unit scale they are; of none if y is scaled."""
    if run.config.normalize_y is not False:  # None for classifiers
        return {}
    y, weight = _targets(table), _shares(table)
    mean = weight @ y
    spread = np.sqrt(weight @ np.square(y - mean))
    # where predictions are exponentials it is the logarithm of the mean that has to be reached
    size = mean if run.loss.out_activation == "exp" else np.maximum(np.abs(mean), spread)
    small = size if run.loss.out_activation == "exp" else spread
    far = ((size > LARGEST) | (small < SMALLEST)) & (y != y[:1]).any(axis=0)
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
