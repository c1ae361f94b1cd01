"""A loss: its link, its value and its gradient.

A loss sees logits `z`, the network's last affine map, of shape (..., n, k). Its gradient is written
out, so that every way of training descends the same objective; a loss without one is
differentiated by autograd.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch


@dataclass(frozen=True)
class TargetRange:
    """The targets that a loss is defined for.

    Parameters
    ----------
    low, high : float, default=-inf and inf
    includes_low, includes_high : bool, default=True
        Whether the bound itself is a target.

    Examples
    --------
    >>> from sklmlp.losses import TargetRange
    >>> TargetRange(0, includes_low=False).is_positive
    True
    """

    low: float = -math.inf
    high: float = math.inf
    includes_low: bool = True
    includes_high: bool = True

    def contains(self, y):
        """Return whether all of an array or tensor of finite targets are in the range."""
        least, largest = float(y.min()), float(y.max())
        above = least >= self.low if self.includes_low else least > self.low
        return above and (largest <= self.high if self.includes_high else largest < self.high)

    @property
    def is_positive(self):
        """Whether it is the positive numbers, so that targets may be divided by their mean."""
        return self.low == 0 and self.high == math.inf

    @property
    def is_everything(self):
        """Whether it is all finite numbers, so that targets may be shifted and scaled."""
        return self.low == -math.inf and self.high == math.inf

    def __str__(self):
        if self.high == math.inf:
            return f"y {'>=' if self.includes_low else '>'} {self.low:g}"
        upper = f"y {'<=' if self.includes_high else '<'} {self.high:g}"
        if self.low == -math.inf:
            return upper
        return f"{self.low:g} {'<=' if self.includes_low else '<'} {upper}"


@dataclass(frozen=True, repr=False)
class Loss:
    """A loss whose parameters are given.

    The estimators take an instance as `loss`. They call its functions with tensors on the device
    and in the dtype of the fit. Pickles refer to these functions by name, so they should be defined
    in a module that can be imported.

    Parameters
    ----------
    name : str
        What messages call it.
    value : callable
        `value(z, y)`: logits and targets to the loss of each sample, (..., n).
    gradient : callable, default=None
        `gradient(z, y)`: the derivative of the value with respect to the logits, (..., n, k), for
        each sample by itself. None takes autograd's.
    link : str or callable, default=None
        What makes predictions, (..., n, m), of logits (..., n, k): 'identity', 'exp', 'logistic',
        'softmax', or a function of logits. None is 'identity' in a regressor. A classifier has
        its own, for the kind of its targets.
    target_range : TargetRange, default=TargetRange()
        The targets of a regressor that the loss is defined for. All finite numbers by default.
    has_probabilities : bool, default=True
        Whether a classifier has `predict_proba`; without it has `decision_function`.
    stops_by_loss : bool, default=False
        Whether `early_stopping` looks at the validation loss where `scoring` is None, and not at
        the estimator's score.
    n_units : int, default=1
        Logits of one target.
    variance : callable, default=None
        Logits to the variances of targets, (..., n, m), where the loss learns them.
    quantile : float or list of float, default=None
        What predictions are quantiles of, a column for each entry of a list.
    objective : callable, default=None
        What `gradient` is the derivative of, where that is not `value`.
    constant : callable, default=None
        `constant(y, weight)`: the logits (k,) that are best for all of the targets, (n, m), whose
        weights, (n,), sum to one. None looks for them, from the inverse of the link on.
    out_activation : str, default=None
        The name of the link, scikit-learn's where it has one.
    inverse_link : callable, default=None
        Mean targets to logits.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from sklmlp import MLPRegressor
    >>> from sklmlp.losses import Loss, TargetRange
    >>> def half_deviance(z, y):  # of Poisson's, up to terms without z
    ...     return (z.exp() - y * z).sum(1)
    >>> poisson = Loss("poisson", half_deviance, link="exp", target_range=TargetRange(0))
    >>> X, y = load_diabetes(return_X_y=True)
    >>> mlp = MLPRegressor(poisson, (4,), solver="lbfgs", max_iter=1000, alpha=10, random_state=0)
    >>> bool(mlp.fit(scale(X), y / 100).predict(scale(X)).min() > 0)
    True
    """

    name: str
    value: Callable
    gradient: Callable | None = None
    link: str | Callable | None = None
    target_range: TargetRange = TargetRange()
    has_probabilities: bool = True
    stops_by_loss: bool = False
    n_units: int = 1
    variance: Callable | None = None
    quantile: float | list | None = None
    objective: Callable | None = None
    constant: Callable | None = None
    out_activation: str | None = None
    inverse_link: Callable | None = None

    def __post_init__(self):
        if isinstance(self.link, str):
            if self.link not in LINKS:
                raise ValueError(
                    f"link={self.link!r} of the loss {self.name!r} is not known. Use "
                    f"{', '.join(map(repr, LINKS))}, or a function of logits."
                )
            object.__setattr__(self, "out_activation", self.link)
            object.__setattr__(self, "inverse_link", LINKS[self.link][1])
            object.__setattr__(self, "link", LINKS[self.link][0])
        elif self.link is not None and self.out_activation is None:
            object.__setattr__(self, "out_activation", getattr(self.link, "__name__", "custom"))

    def __deepcopy__(self, memo):
        return self  # it never changes, so clones share it

    def __repr__(self):
        shown = {each.name: getattr(self, each.name) for each in fields(self)}
        shown["link"] = self.out_activation
        shown["target_range"] = str(self.target_range)
        defaults = {each.name: each.default for each in fields(self)}
        defaults |= {"target_range": str(TargetRange()), "out_activation": self.out_activation}
        told = {n: v for n, v in shown.items() if n != "inverse_link" and v != defaults[n]}
        told = {n: getattr(v, "__qualname__", repr(v)) for n, v in told.items()}
        return f"Loss({', '.join(f'{name}={value}' for name, value in told.items())})"


def complete(loss):
    """Return a user's loss with the gradient, the link and the checks that training relies on.

    Parameters
    ----------
    loss : Loss

    Returns
    -------
    loss : Loss
        Its `gradient` takes the memory to write into, as those of the built-in losses do.
    """
    if loss.link is None:
        loss = replace(loss, link="identity")
    if loss.gradient is None:
        return differentiated(loss, loss.value, loss.name)

    def gradient(z, y, out=None):
        slope = loss.gradient(z, y)
        _check_shape(f"The gradient of loss={loss.name}", slope, z, tuple(z.shape))
        return into(out, slope)

    return replace(loss, value=_checked(loss.value, loss.name), gradient=gradient)


def differentiated(loss, function, name):
    """Return a loss whose value is a user's function of tensors, and whose gradient autograd's."""
    value = _checked(function, name)

    def gradient(z, y, out=None):
        with torch.inference_mode(False), torch.enable_grad():
            leaf = z.clone().requires_grad_()
            total = value(leaf, y.clone()).sum()
            if not total.requires_grad:
                raise ValueError(
                    f"loss={name} returned values without a gradient; compute them from the logits "
                    "by operations of torch."
                )
            return into(out, torch.autograd.grad(total, leaf)[0])

    return replace(loss, value=value, gradient=gradient, objective=None)


def _checked(function, name):
    """Return a user's function, whose values have to be one for each sample."""

    def value(z, y):
        values = function(z, y)
        got = tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__
        if got != (len(z),):
            raise ValueError(
                f"loss={name} returned {'shape ' * isinstance(got, tuple)}{got} for {len(z)} "
                f"samples; expected one value per sample, shape ({len(z)},)."
            )
        return values

    return value


def _check_shape(name, tensor, z, expected):
    got = tuple(tensor.shape) if isinstance(tensor, torch.Tensor) else type(tensor).__name__
    if got != expected:
        raise ValueError(
            f"{name} returned {'shape ' * isinstance(got, tuple)}{got} for logits of shape "
            f"{tuple(z.shape)}; expected that shape."
        )


# Links


def identity(z):
    """Return logits that are predictions as they are."""
    return z


def softmax(z, out=None):
    """Softmax over the last axis; torch's kernels are several times faster across the rows."""
    return torch.softmax(z.mT, -2, out=None if out is None else out.mT).mT


def _log(mean):
    return mean.clamp(min=torch.finfo(mean.dtype).tiny).log()


def _logit(mean):
    return torch.logit(mean, eps=torch.finfo(mean.dtype).eps)


LINKS = {
    "identity": (identity, identity),
    "exp": (torch.exp, _log),
    "logistic": (torch.sigmoid, _logit),
    "softmax": (softmax, _log),
}
"""Name -> the link and its inverse, which stays within finite numbers."""


def into(out, value):
    """Return the value, in the memory that was given for it if any was."""
    return value if out is None else out.copy_(value)
