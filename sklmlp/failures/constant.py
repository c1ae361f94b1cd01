"""The best constant prediction, which a model has to beat to have learned anything."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import minimize

MOST_SAMPLES = 2_000
"""A diagnosis looks at no more samples than this."""

MARGIN = 0.01
"""A model has learned something if its loss is better than a constant's by more than this share."""


def some_samples(dataset):
    """Return the indices of at most 2,000 evenly spread samples of a dataset."""
    step = -(-len(dataset) // MOST_SAMPLES)
    return np.arange(0, len(dataset), step) if dataset.index is None else dataset.index[::step]


@dataclass
class ConstantPrediction:
    """How well the best constant prediction of the training targets does.

    Parameters
    ----------
    sample : Dataset
        The rows that are looked at.
    loss, margin : float
        The loss of the constant on them, and by how much less is better.
    """

    sample: object
    loss: float
    margin: float

    @classmethod
    def of(cls, run, rows):
        """Compute it for some rows; None where all targets are the same or weigh nothing."""
        train, sample = (replace(t, index=some_samples(t)) for t in (run.dataset, rows))
        y, weight = targets_of(train)
        if (y == y[:1]).all() or not weight.sum() > 0:
            return None
        z = _best_constant(run.loss, y, weight / weight.sum(), run.network.spec.n_outputs)
        y, weight = targets_of(sample)
        if not weight.sum() > 0:
            return None
        loss = float(weight / weight.sum() @ run.loss.value(z.expand(len(y), len(z)), y))
        # a log likelihood has no zero to be near to
        return cls(sample, loss, MARGIN * (1.0 if run.loss.variance is not None else abs(loss)))


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
