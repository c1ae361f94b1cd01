"""The losses: one table, each with its link, its value and its gradient.

A loss sees logits `z`, the network's last affine map, of shape (..., n, k). Its gradient is written
out, so that every way of training descends the same objective.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn.functional import logsigmoid, softplus


@dataclass(frozen=True)
class Loss:
    """One loss, its parameters given.

    Parameters
    ----------
    name : str
        The user's name for it.
    out_activation : str
        The name of the link, scikit-learn's where it has one.
    link : callable
        Logits (..., n, k) to predictions (..., n, m).
    rows : callable
        Logits and targets to the loss of each row, (..., n).
    gradient : callable
        `gradient(z, y, out=None)`: logits and targets to the gradient of the objective that is
        descended with respect to the logits, (..., n, k), for each row by itself; into `out`.
    objective : callable or None
        The objective of each row that `gradient` belongs to, where it is not `rows`.
    n_units : int
        Logits of one target.
    variance : callable or None
        Logits to the variances of targets, (..., n, m), where the loss learns them.
    quantile : float, list of float or None
        What predictions are quantiles of, a column for each entry of a list.
    """

    name: str
    out_activation: str
    link: Callable
    rows: Callable
    gradient: Callable
    objective: Callable | None = None
    n_units: int = 1
    variance: Callable | None = None
    quantile: float | list | None = None


def make_loss(name, parameters, scaling=None):
    """Return the loss of a name in `LOSSES`, given its parameters.

    Parameters
    ----------
    name : str
    parameters : dict
        Among them `function` may be a user's own: logits (n, k) and targets to the loss of each
        sample, (n,). The link is then that of the name.
    scaling : TargetScaling, default=None
        What targets were scaled by. The loss and its gradient are those of scaled targets;
        predictions and variances are scaled back.

    Returns
    -------
    loss : Loss
    """
    parameters = dict(parameters)
    function = parameters.pop("function", None)
    if scaling is not None and "huber_delta" in parameters:  # it is given in units of y
        parameters["huber_delta"] = [parameters["huber_delta"] / scale for scale in scaling.scale]
    loss = LOSSES[name](**parameters)
    if function is not None:
        loss = _by_autograd(loss, function)
    if scaling is None:
        return loss
    variance = loss.variance and (lambda z: scaling.decode_variance(loss.variance(z)))
    return replace(loss, link=lambda z: scaling.decode(loss.link(z)), variance=variance)


def _by_autograd(loss, function):
    """A loss whose value is a user's function of tensors, and whose gradient is autograd's."""
    name = getattr(function, "__qualname__", repr(function))

    def rows(z, y):
        values = function(z, y)
        got = tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__
        if got != (len(z),):
            raise ValueError(
                f"loss={name} returned {'shape ' * isinstance(got, tuple)}{got} for {len(z)} "
                f"samples; expected one value per sample, shape ({len(z)},)."
            )
        return values

    def gradient(z, y, out=None):
        with torch.inference_mode(False), torch.enable_grad():
            leaf = z.clone().requires_grad_()
            total = rows(leaf, y.clone()).sum()
            if not total.requires_grad:
                raise ValueError(
                    f"loss={name} returned values without a gradient; compute them from the logits "
                    "by operations of torch."
                )
            return _into(out, torch.autograd.grad(total, leaf)[0])

    return replace(loss, name="custom", rows=rows, gradient=gradient, objective=None)


def _clip(log_probability):
    """Logarithms of probabilities that are clipped to [eps, 1 - eps], as scikit-learn reports."""
    return log_probability.clamp_(*_BOUNDS[log_probability.dtype])


def _bounds(dtype):
    eps = torch.finfo(dtype).eps
    return math.log(eps), math.log1p(-eps)


_BOUNDS = {dtype: _bounds(dtype) for dtype in (torch.float32, torch.float64)}


def identity(z):
    """The link of losses whose logits are predictions."""
    return z


# Classes. Several exclude each other, y is an index, (..., n); or each is a yes or no, y is zeros
# and ones, (..., n, k), and the loss of a row is the sum over its k.


def softmax(z, out=None):
    """Softmax over the last axis; torch's kernels are several times faster across the rows."""
    return torch.softmax(z.mT, -2, out=None if out is None else out.mT).mT


def log_softmax(z):
    """Logarithm of `softmax`."""
    return torch.log_softmax(z.mT, -2).mT


def _of_class(values, y):
    """The value, (..., n), that each row of (..., n, k) has for its class."""
    return values.mT.gather(-2, y.unsqueeze(-2)).squeeze(-2)


def log_loss(label_smoothing=0.0):
    """Log loss of classes that exclude each other.

    With smoothing e the target is (1 - e) onehot(y) + e / k: Szegedy et al. 2016, sec. 7.
    """

    def rows(z, y):
        log_p = log_softmax(z)
        if not label_smoothing:
            return _clip(_of_class(log_p, y)).neg_()
        log_p = _clip(log_p)
        spread = label_smoothing * log_p.mean(-1)
        return -(spread + (1 - label_smoothing) * _of_class(log_p, y))

    def gradient(z, y, out=None):
        # d/dz of -sum t log softmax(z) is softmax(z) - t: Bishop 2006, eq. 4.109
        p = softmax(z, out)
        p.mT.scatter_(-2, y.unsqueeze(-2), label_smoothing - 1.0, reduce="add")
        return p.sub_(label_smoothing / z.shape[-1]) if label_smoothing else p

    return Loss("log_loss", "softmax", softmax, rows, gradient)


def binary_log_loss(label_smoothing=0.0):
    """Log loss of each yes or no; with smoothing e the target is (1 - e) y + e / 2."""

    def smoothed(y):
        return y * (1 - label_smoothing) + label_smoothing / 2 if label_smoothing else y

    def rows(z, y):
        y, log_yes, log_no = smoothed(y), logsigmoid(z), logsigmoid(-z)
        return -(y * _clip(log_yes) + (1 - y) * _clip(log_no)).sum(-1)

    def gradient(z, y, out=None):
        return torch.sigmoid(z, out=out).sub_(smoothed(y))  # Bishop 2006, eq. 4.91

    return Loss("log_loss", "logistic", torch.sigmoid, rows, gradient)


def _focal_value(log_p, gamma):
    return (1 - log_p.exp()).pow(gamma) * -log_p


def _focal_factor(log_p, gamma):
    """The focal loss's derivative with respect to log p over that of the log loss.

    d/du of (1 - p)^g u with p = exp(u) is (1 - p)^g - g (1 - p)^(g - 1) p u.
    """
    log_p = log_p.clamp(max=_BOUNDS[log_p.dtype][1])  # at p = 1 it is 0 / 0
    q = -torch.expm1(log_p)
    return q.pow(gamma) * (1 - gamma * log_p.exp() * log_p / q)


def focal(focal_gamma=2.0):
    """(1 - p)^gamma (-log p), p the probability of the class: Lin et al. 2017, eq. 4."""

    def rows(z, y):
        return _focal_value(_clip(_of_class(log_softmax(z), y)), focal_gamma)

    def gradient(z, y, out=None):
        factor = _focal_factor(_of_class(log_softmax(z), y), focal_gamma)
        p = softmax(z, out)
        p.mT.scatter_(-2, y.unsqueeze(-2), -1.0, reduce="add")
        return p.mul_(factor.unsqueeze(-1))

    return Loss("focal", "softmax", softmax, rows, gradient)


def binary_focal(focal_gamma=2.0):
    """The focal loss of each yes or no."""

    def log_p(z, y):  # of the answer that is right
        return logsigmoid(torch.where(y > 0, z, -z))

    def rows(z, y):
        return _focal_value(_clip(log_p(z, y)), focal_gamma).sum(-1)

    def gradient(z, y, out=None):
        factor = _focal_factor(log_p(z, y), focal_gamma)
        return torch.sigmoid(z, out=out).sub_(y).mul_(factor)

    return Loss("focal", "logistic", torch.sigmoid, rows, gradient)


def hinge():
    """max(0, 1 - s z), s = 1 for the class and -1 for each of the rest, summed.

    One support vector machine against the rest for each class: Cortes & Vapnik 1995; Rifkin &
    Klautau 2004.
    """

    def rows(z, y):
        of_class = _of_class(z, y)
        as_if_rest = (1 + z).relu_().sum(-1)
        return as_if_rest.sub_((1 + of_class).relu_()).add_((1 - of_class).relu_())

    def gradient(z, y, out=None):
        slope = _into(out, (z >= -1).to(z.dtype))
        of_class = -(_of_class(z, y) <= 1).to(z.dtype)
        slope.mT.scatter_(-2, y.unsqueeze(-2), of_class.unsqueeze(-2))
        return slope

    return Loss("hinge", "identity", identity, rows, gradient)


def binary_hinge():
    """max(0, 1 - s z), s = 1 for a yes and -1 for a no."""

    def rows(z, y):
        return (1 - (2 * y - 1) * z).relu_().sum(-1)

    def gradient(z, y, out=None):
        sign = 2 * y - 1
        return torch.mul(-sign, sign * z <= 1, out=out)

    return Loss("hinge", "identity", identity, rows, gradient)


# Values: y is (..., n, m) for m targets. The objective is the sum over targets, and what is
# reported is their mean, as scikit-learn does for the squared error; of deviances it is the sum.


def squared_error():
    """Half the squared error."""

    def halves(z, y):
        return 0.5 * (z - y).square()

    def gradient(z, y, out=None):
        return torch.sub(z, y, out=out)

    return _mean_reported("squared_error", halves, gradient)


def absolute_error():
    """The absolute error, whose minimum is the median."""

    def gradient(z, y, out=None):
        return torch.sub(z, y, out=out).sign_()

    return _mean_reported("absolute_error", lambda z, y: (z - y).abs_(), gradient)


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

    def rows(z, y):
        # y log(y / mu) - y + mu with mu = exp(z): McCullagh & Nelder 1989, table 2.1
        return (torch.xlogy(y, y) - y * z - y + z.exp()).sum(-1)

    def gradient(z, y, out=None):
        return torch.exp(z, out=out).sub_(y)

    return Loss("poisson", "exp", torch.exp, rows, gradient)


def gamma():
    """Half the gamma deviance of exp(z)."""

    def rows(z, y):
        # log(mu / y) + y / mu - 1 with mu = exp(z): McCullagh & Nelder 1989, table 2.1
        return (z - y.log() + y * (-z).exp() - 1).sum(-1)

    def gradient(z, y, out=None):
        return torch.exp(torch.neg(z, out=out), out=out).mul_(y).neg_().add_(1)

    return Loss("gamma", "exp", torch.exp, rows, gradient)


def quantile(quantile=0.5):
    """The pinball loss: Koenker & Bassett 1978. Of a list it is that of `_quantiles`."""
    if isinstance(quantile, list):
        return _quantiles(quantile)

    def each(z, y):
        return _pinball(z, y, quantile)

    def gradient(z, y, out=None):
        return torch.sub((z > y).to(z.dtype), quantile, out=out)

    return _mean_reported("quantile", each, gradient, quantile=quantile)


def _quantiles(levels):
    """The pinball losses of one target's quantiles, which never cross.

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
        return _into(out, slope)

    return _mean_reported(
        "quantile",
        each,
        gradient,
        out_activation="ordered",
        link=lambda z: rising(z)[..., given],
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

    return _mean_reported("gaussian", each, gradient, link=means, n_units=2, variance=variance)


def _mean_reported(name, each, gradient, out_activation="identity", link=identity, **options):
    """A loss of which the sum over targets is descended and the mean reported."""
    return Loss(
        name,
        out_activation,
        link,
        rows=lambda z, y: each(z, y).mean(-1),
        gradient=gradient,
        objective=lambda z, y: each(z, y).sum(-1),
        **options,
    )


def _into(out, value):
    """The value, in the memory that was given for it if any was."""
    return value if out is None else out.copy_(value)


LOSSES = {
    "log_loss": log_loss,
    "binary_log_loss": binary_log_loss,
    "focal": focal,
    "binary_focal": binary_focal,
    "hinge": hinge,
    "binary_hinge": binary_hinge,
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
    "poisson": poisson,
    "gamma": gamma,
    "quantile": quantile,
    "gaussian": gaussian,
}
