"""Losses of regressors, and targets in units that a network learns from."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import softplus

from sklmlp.losses.loss import LINKS, Loss, TargetRange, into

# Values: y is (..., n, m) for m targets. The objective is the sum over targets, and what is
# reported is their mean, as scikit-learn does for the squared error; of deviances it is the sum.


def squared_error():
    """Half the squared error."""

    def halves(z, y):
        return 0.5 * (z - y).square()

    def gradient(z, y, out=None):
        return torch.sub(z, y, out=out)

    return _mean_reported("squared_error", halves, gradient, constant=_mean("identity"))


def absolute_error():
    """Return the absolute error, whose minimum is the median."""

    def gradient(z, y, out=None):
        return torch.sub(z, y, out=out).sign_()

    def median(y, weight):
        return _weighted_quantile(y, weight, 0.5)

    return _mean_reported("absolute_error", lambda z, y: (z - y).abs_(), gradient, constant=median)


def huber(huber_delta=1.0):
    """Half the squared error up to delta, linear beyond: Huber 1964.

    A list has a delta for each target.
    """

    def bound(z):
        limits = torch.finfo(z.dtype)
        if isinstance(huber_delta, list):
            return z.new_tensor(huber_delta).clamp_(limits.tiny, limits.max)
        return min(max(huber_delta, limits.tiny), limits.max)

    def each(z, y):
        error = (z - y).abs_()
        inner = error.clamp(max=bound(z))
        return inner * (error - 0.5 * inner)

    def gradient(z, y, out=None):
        delta = bound(z)
        return torch.sub(z, y, out=out).clamp_(-delta, delta)

    return _mean_reported("huber", each, gradient)


def poisson():
    """Half the Poisson deviance of exp(z)."""

    def value(z, y):
        # y log(y / mu) - y + mu with mu = exp(z): McCullagh & Nelder 1989, table 2.1
        return (torch.xlogy(y, y) - y * z - y + z.exp()).sum(-1)

    def gradient(z, y, out=None):
        return torch.exp(z, out=out).sub_(y)

    return Loss("poisson", value, gradient, "exp", TargetRange(0.0), constant=_mean("exp"))


def gamma():
    """Half the gamma deviance of exp(z)."""

    def value(z, y):
        # log(mu / y) + y / mu - 1 with mu = exp(z): McCullagh & Nelder 1989, table 2.1
        return (z - y.log() + y * (-z).exp() - 1).sum(-1)

    def gradient(z, y, out=None):
        return torch.exp(torch.neg(z, out=out), out=out).mul_(y).neg_().add_(1)

    positive = TargetRange(0.0, includes_low=False)
    return Loss(
        "gamma", value, gradient, "exp", positive, stops_by_loss=True, constant=_mean("exp")
    )


def quantile(quantile=0.5):
    """Return the pinball loss: Koenker & Bassett 1978. Of a list it is that of `_quantiles`."""
    if isinstance(quantile, list):
        return _quantiles(quantile)

    def each(z, y):
        return _pinball(z, y, quantile)

    def gradient(z, y, out=None):
        return torch.sub((z > y).to(z.dtype), quantile, out=out)

    def constant(y, weight):
        return _weighted_quantile(y, weight, quantile)

    return _mean_reported("quantile", each, gradient, quantile=quantile, constant=constant)


def _quantiles(levels):
    """Return the pinball losses of one target's quantiles, which never cross.

    In the order of their levels q_1 = z_1 and q_j = q_(j-1) + softplus(z_j).
    """
    order = np.argsort(levels).tolist()
    given = np.argsort(order).tolist()  # the user's order
    ordered = [levels[j] for j in order]

    def rising(z):
        return torch.cat([z[..., :1], softplus(z[..., 1:])], -1).cumsum(-1)

    def each(z, y):
        return _pinball(rising(z), y, z.new_tensor(ordered))

    def gradient(z, y, out=None):
        slope = (rising(z) > y).to(z.dtype) - z.new_tensor(ordered)  # dL / dq
        slope = slope.flip(-1).cumsum(-1).flip(-1)  # z_j is a part of q_j and of those above
        slope[..., 1:] *= torch.sigmoid(z[..., 1:])
        return into(out, slope)

    def constant(y, weight):
        q = torch.cat([_weighted_quantile(y, weight, level) for level in ordered])
        rise = q.diff().clamp(min=1e-6 * float(q.abs().max()) + 1e-30)
        return torch.cat([q[:1], rise + torch.log(-torch.expm1(-rise))])  # inverse of softplus

    return _mean_reported(
        "quantile",
        each,
        gradient,
        link=lambda z: rising(z)[..., given],
        out_activation="ordered",
        constant=constant,
        n_units=len(levels),
        quantile=levels,
    )


def _pinball(q, y, level):
    error = y - q
    return torch.maximum(level * error, (level - 1) * error)


def gaussian():
    """Negative log-likelihood of a normal distribution: Nix & Weigend 1994, eq. 3.

    The first half of the logits are means, the other half logarithms of variances.
    """

    def means(z):
        return z[..., : z.shape[-1] // 2]

    def log_variances(z):
        bound = math.log(torch.finfo(z.dtype).max) / 2  # neither it nor its inverse overflows
        return z[..., z.shape[-1] // 2 :].clamp(-bound, bound)

    def each(z, y):
        log_variance = log_variances(z)
        deviation = (y - means(z)).square() * (-log_variance).exp()
        return 0.5 * (math.log(2 * math.pi) + log_variance + deviation)

    def gradient(z, y, out=None):
        log_variance, error = log_variances(z), means(z) - y
        by_variance = error * (-log_variance).exp()
        inside = log_variance == z[..., z.shape[-1] // 2 :]
        # at a bound it is flat, however far the product overflows there
        slope = torch.where(inside, 0.5 * (1 - by_variance * error), 0.0)
        return torch.cat([by_variance, slope], -1, out=out)

    def variance(z):
        return log_variances(z).exp()

    def constant(y, weight):
        mean = weight @ y
        return torch.cat([mean, (weight @ (y - mean).square()).clamp(min=1e-30).log()])

    return _mean_reported(
        "gaussian",
        each,
        gradient,
        link=means,
        out_activation="identity",
        n_units=2,
        variance=variance,
        stops_by_loss=True,  # R2 does not measure how good a distribution is
        constant=constant,
    )


def _mean_reported(name, each, gradient, link="identity", **options):
    """Return a loss of which the sum over targets is descended and the mean reported."""
    return Loss(
        name,
        value=lambda z, y: each(z, y).mean(-1),
        gradient=gradient,
        link=link,
        objective=lambda z, y: each(z, y).sum(-1),
        **options,
    )


def _mean(link):
    """Return the best constant logits where a loss is least for the mean: its inverse link."""
    return lambda y, weight: LINKS[link][1](weight @ y)


def _weighted_quantile(y, weight, level):
    """Weighted quantiles of columns, (m,)."""
    values, order = y.sort(0)
    below = weight[order].cumsum(0) < level * weight.sum()
    return values.gather(0, below.sum(0, keepdim=True).clamp(max=len(values) - 1))[0]


@dataclass(frozen=True)
class TargetScaling:
    """What is subtracted from each target, and what it is divided by after that.

    Plain Python, so that it can be a part of a network's spec.

    Parameters
    ----------
    center, scale : tuple of float
        One for each target: finite, and `scale` positive.

    Raises
    ------
    ValueError
        If they are anything else.
    """

    center: tuple
    scale: tuple

    def __post_init__(self):
        for name in ("center", "scale"):
            values = getattr(self, name)
            is_finite = isinstance(values, list | tuple) and all(
                isinstance(value, float) and math.isfinite(value) for value in values
            )
            if not is_finite or (name == "scale" and not all(value > 0 for value in values)):
                kind = "positive numbers" if name == "scale" else "numbers"
                raise ValueError(f"{name} must be a list of finite {kind}, got {values!r:.80}.")
            object.__setattr__(self, name, tuple(values))
        if len(self.center) != len(self.scale):
            raise ValueError(
                f"center and scale must have the same length, got {len(self.center)} and "
                f"{len(self.scale)}."
            )

    @classmethod
    def learn(cls, y, weight, positive):
        """Return the scaling of targets to mean 0 and standard deviation 1, or to mean 1.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_targets)
        weight : ndarray of shape (n_samples,) or None
        positive : bool
            Whether targets are to stay positive: they are divided by their mean alone.
        """
        y = np.asarray(y, dtype=np.float64)
        if weight is not None:
            y, weight = y[weight > 0], weight[weight > 0]
        largest = np.abs(y).max(axis=0)
        largest[largest == 0] = 1.0
        y = y / largest  # neither their squares nor their sum overflow
        mean = np.average(y, axis=0, weights=weight)
        spread = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weight))
        # what is left of a constant by rounding is no spread
        is_constant = spread <= 10 * np.finfo(np.float64).eps * np.abs(mean)
        scale = mean * largest if positive else spread * largest
        scale = np.where((mean == 0 if positive else is_constant) | (scale == 0), 1.0, scale)
        center = np.zeros_like(mean) if positive else mean * largest
        return cls(tuple(center.tolist()), tuple(scale.tolist()))

    def encode(self, y):
        """Scale targets, (n, n_targets)."""
        with np.errstate(over="ignore"):  # what overflows is looked for behind it
            return (np.asarray(y, dtype=np.float64) - self.center) / self.scale

    def decode(self, values):
        """Scale predictions back: a tensor (..., n_targets), or several columns of one target."""
        return values * values.new_tensor(self.scale) + values.new_tensor(self.center)

    def decode_variance(self, values):
        """Scale variances of scaled targets, a tensor (..., n_targets), back."""
        scale = values.new_tensor(self.scale)
        return values * scale * scale
