"""Losses of classifiers."""

import math

import torch

from sklmlp.losses.loss import LINKS, Loss, into, softmax

# Classes. Several exclude each other, y is an index, (..., n); or each is a yes or no, y is zeros
# and ones, (..., n, k), and the loss of a row is the sum over its k.


def log_softmax(z):
    """Logarithm of `softmax`."""
    return torch.log_softmax(z.mT, -2).mT


def log_sigmoid(z):
    """Logarithm of the logistic function.

    The numbers are those of `torch.nn.functional.logsigmoid`, which uses all threads for any number
    of values: with a busy core that takes milliseconds.
    """
    return -torch.logaddexp(-z, z.new_zeros(()))


def _log_of_mean(y, weight):
    """Return the logits whose softmax is the weighted mean of `y`, zeros and ones of classes."""
    return LINKS["softmax"][1](weight @ y)


def _of_class(values, y):
    """Return the value, (..., n), that each row of (..., n, k) has for its class."""
    return values.mT.gather(-2, y.unsqueeze(-2)).squeeze(-2)


def log_loss(label_smoothing=0.0):
    """Log loss of classes that exclude each other.

    With smoothing e the target is (1 - e) onehot(y) + e / k: Szegedy et al. 2016, sec. 7.
    """

    def value(z, y):
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

    constant = None if label_smoothing else _log_of_mean
    return Loss("log_loss", value, gradient, "softmax", constant=constant)


def binary_log_loss(label_smoothing=0.0):
    """Log loss of each yes or no; with smoothing e the target is (1 - e) y + e / 2."""

    def smoothed(y):
        return y * (1 - label_smoothing) + label_smoothing / 2 if label_smoothing else y

    def value(z, y):
        y, log_yes, log_no = smoothed(y), log_sigmoid(z), log_sigmoid(-z)
        return -(y * _clip(log_yes) + (1 - y) * _clip(log_no)).sum(-1)

    def gradient(z, y, out=None):
        return torch.sigmoid(z, out=out).sub_(smoothed(y))  # Bishop 2006, eq. 4.91

    return Loss("log_loss", value, gradient, "logistic")


def _focal_value(log_p, gamma):
    return (1 - log_p.exp()).pow(gamma) * -log_p


def _focal_factor(log_p, gamma):
    """Return the focal loss's derivative with respect to log p over that of the log loss.

    d/du of (1 - p)^g u with p = exp(u) is (1 - p)^g - g (1 - p)^(g - 1) p u.
    """
    log_p = log_p.clamp(max=_BOUNDS[log_p.dtype][1])  # at p = 1 it is 0 / 0
    q = -torch.expm1(log_p)
    return q.pow(gamma) * (1 - gamma * log_p.exp() * log_p / q)


def focal(focal_gamma=2.0):
    """(1 - p)^gamma (-log p), p the probability of the class: Lin et al. 2017, eq. 4."""

    def value(z, y):
        return _focal_value(_clip(_of_class(log_softmax(z), y)), focal_gamma)

    def gradient(z, y, out=None):
        factor = _focal_factor(_of_class(log_softmax(z), y), focal_gamma)
        p = softmax(z, out)
        p.mT.scatter_(-2, y.unsqueeze(-2), -1.0, reduce="add")
        return p.mul_(factor.unsqueeze(-1))

    return Loss("focal", value, gradient, "softmax")


def binary_focal(focal_gamma=2.0):
    """Return the focal loss of each yes or no."""

    def log_p(z, y):  # of the true class
        return log_sigmoid(torch.where(y > 0, z, -z))

    def value(z, y):
        return _focal_value(_clip(log_p(z, y)), focal_gamma).sum(-1)

    def gradient(z, y, out=None):
        factor = _focal_factor(log_p(z, y), focal_gamma)
        return torch.sigmoid(z, out=out).sub_(y).mul_(factor)

    return Loss("focal", value, gradient, "logistic")


def hinge():
    """max(0, 1 - s z), s = 1 for the class and -1 for each of the rest, summed.

    One support vector machine against the rest for each class: Cortes & Vapnik 1995; Rifkin &
    Klautau 2004.
    """

    def value(z, y):
        of_class = _of_class(z, y)
        as_if_rest = (1 + z).relu_().sum(-1)
        return as_if_rest.sub_((1 + of_class).relu_()).add_((1 - of_class).relu_())

    def gradient(z, y, out=None):
        slope = into(out, (z >= -1).to(z.dtype))
        of_class = -(_of_class(z, y) <= 1).to(z.dtype)
        slope.mT.scatter_(-2, y.unsqueeze(-2), of_class.unsqueeze(-2))
        return slope

    return _margin(value, gradient)


def binary_hinge():
    """max(0, 1 - s z), s = 1 for a yes and -1 for a no."""

    def value(z, y):
        return (1 - (2 * y - 1) * z).relu_().sum(-1)

    def gradient(z, y, out=None):
        sign = 2 * y - 1
        return torch.mul(-sign, sign * z <= 1, out=out)

    return _margin(value, gradient)


def _margin(value, gradient):
    """Return a hinge loss, whose logits are decisions and no probabilities."""

    def constant(y, weight):
        mean = weight @ y
        return torch.where(mean > 0.5, 1.0, -1.0).to(mean.dtype)

    return Loss("hinge", value, gradient, "identity", has_probabilities=False, constant=constant)


def _clip(log_probability):
    """Clip logarithms of probabilities to [eps, 1 - eps], as scikit-learn reports."""
    return log_probability.clamp_(*_BOUNDS[log_probability.dtype])


def _bounds(dtype):
    eps = torch.finfo(dtype).eps
    return math.log(eps), math.log1p(-eps)


_BOUNDS = {dtype: _bounds(dtype) for dtype in (torch.float32, torch.float64)}
