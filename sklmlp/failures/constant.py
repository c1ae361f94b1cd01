"""The best constant prediction, which a model has to beat to have learnt anything."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import minimize

MOST_SAMPLES = 2_000
"""A diagnosis looks at no more samples than this."""

MARGIN = 0.01
"""A model has learnt something if its loss is better than a constant's by more than this share."""


def some_samples(table):
    """Return the indices of at most 2,000 evenly spread samples of a table."""
    step = -(-len(table) // MOST_SAMPLES)
    return np.arange(0, len(table), step) if table.index is None else table.index[::step]


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
        """For training or validation rows; None where all targets are the same or weigh nothing."""
        train, sample = (replace(t, index=some_samples(t)) for t in (run.dataset, rows))
        y, weight = targets_of(train)
        if (y == y[:1]).all() or not weight.sum() > 0:
            return None
        z = _best_constant(run.loss, y, weight / weight.sum(), run.network.spec.n_outputs)
        y, weight = targets_of(sample)
        if not weight.sum() > 0:
            return None
        loss = float(weight / weight.sum() @ run.loss.rows(z.expand(len(y), len(z)), y))
        # a log likelihood has no zero to be near to
        return cls(sample, loss, MARGIN * (1.0 if run.loss.variance is not None else abs(loss)))


def targets_of(table):
    """The targets and weights of some rows, as tensors."""
    y = table.y[torch.from_numpy(table.index).to(table.y.device)]
    weight = table.weights()
    weight = np.ones(len(y)) if weight is None else weight
    return y, torch.as_tensor(weight, dtype=table.dtype, device=y.device)


def _best_constant(loss, y, weight, k):
    """The logits (k,) whose loss on all rows is least; weights sum to one."""
    target = _indicators(y, k).to(weight.dtype)
    mean = weight @ target
    if loss.variance is not None:
        return torch.cat([mean, (weight @ (target - mean).square()).clamp(min=1e-30).log()])
    if loss.name == "absolute_error":
        return _quantile(target, weight, 0.5)
    if loss.quantile is not None:
        levels = np.sort(np.atleast_1d(loss.quantile)).tolist()
        q = torch.cat([_quantile(target, weight, level) for level in levels])
        if not isinstance(loss.quantile, list):
            return q
        rise = q.diff().clamp(min=1e-6 * float(q.abs().max()) + 1e-30)
        return torch.cat([q[:1], rise + torch.log(-torch.expm1(-rise))])  # of softplus
    if loss.name == "hinge":
        return torch.where(mean > 0.5, 1.0, -1.0).to(mean.dtype)
    z = _logits_of(mean, loss.out_activation) if mean.shape == (k,) else mean.new_zeros(k)
    canonical = loss.name in ("squared_error", "poisson", "gamma")
    return z if canonical else _descended(loss, y, weight, z)


def _quantile(target, weight, level):
    """Weighted quantiles of columns, (m,)."""
    values, order = target.sort(0)
    below = weight[order].cumsum(0) < level * weight.sum()
    return values.gather(0, below.sum(0, keepdim=True).clamp(max=len(values) - 1))[0]


def _descended(loss, y, weight, z):
    """The best constant logits, found from good ones; they stay where these are the best."""
    rows = loss.objective or loss.rows

    def value_and_slope(flat):
        each = torch.as_tensor(flat, dtype=z.dtype, device=z.device).expand(len(y), len(z))
        slope = weight @ loss.gradient(each, y)
        return float(weight @ rows(each, y)), slope.cpu().double().numpy()

    start = z.cpu().double().numpy()
    best = minimize(value_and_slope, start, jac=True, method="L-BFGS-B", options={"maxiter": 30})
    return torch.as_tensor(best.x, dtype=z.dtype, device=z.device)


def _indicators(y, k):
    """Targets as a matrix of a column an output."""
    return torch.nn.functional.one_hot(y, k) if y.ndim == 1 else y


def _logits_of(mean, out_activation):
    """The inverse of a link, within finite numbers."""
    tiny = torch.finfo(mean.dtype).tiny
    if out_activation == "logistic":
        return torch.logit(mean, eps=torch.finfo(mean.dtype).eps)
    return mean.clamp(min=tiny).log() if out_activation in ("softmax", "exp") else mean
