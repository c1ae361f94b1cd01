"""The table of losses: the constructor of each, and the estimator's parameters that it takes."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from numbers import Real

import numpy as np

from sklmlp.compat import Interval, cached_property
from sklmlp.losses import classification, regression
from sklmlp.losses.loss import Loss, complete, differentiated


@dataclass(frozen=True)
class LossEntry:
    """One entry of the table. All else that estimators ask about a loss is said by its `Loss`.

    Parameters
    ----------
    name : str
        The name that users give it.
    make : callable
        Its parameters, by name and each with a default, to a `Loss`. For a classifier that of
        classes that exclude each other, whose targets are indices (..., n).
    estimator : {"regressor", "classifier"}
        Which estimator takes it.
    make_binary : callable or None
        For a classifier: the `Loss` of outputs that are each a yes or no, whose targets are zeros
        and ones (..., n, k).
    parameters : dict of str to list
        Parameters of the estimator that `make` takes, with scikit-learn's constraints on them.
    plain : callable
        A parameter's value to plain Python, as `make` takes it and a model file keeps it.
    in_units_of_y : tuple of str
        Those of the parameters that are divided by the scale of each target where `normalize_y`
        scales targets; `make` gets them as a list then.
    spellings : str
        What other libraries call it, in small letters alone; the user is told our name.
    compiled : str or None
        The name of the compiled operator that computes it; its arguments are `parameters`. That of
        yes or no is 'binary_<name>'. Where there is none, torch computes it.

    Examples
    --------
    >>> from sklmlp.losses import LOSSES
    >>> entry = LOSSES["huber"]
    >>> entry.estimator, entry.defaults
    ('regressor', {'huber_delta': 1.0})
    >>> entry.make(huber_delta=0.5).out_activation
    'identity'
    """

    name: str
    make: Callable[..., Loss]
    estimator: str
    make_binary: Callable[..., Loss] | None = None
    parameters: Mapping[str, list] = field(default_factory=dict)
    plain: Callable = float
    in_units_of_y: tuple[str, ...] = ()
    spellings: str = ""
    compiled: str | None = None

    @cached_property
    def defaults(self):
        """The parameters and their defaults."""
        known = inspect.signature(self.make).parameters
        return {name: known[name].default for name in self.parameters}

    @cached_property
    def loss(self):
        """The loss with the defaults of its parameters, for what does not depend on them."""
        return self.make()


LOSSES: dict[str, LossEntry] = {}
"""Key of a loss in the spec of a network -> its entry. Those of yes or no are 'binary_<name>'."""

NAMES: dict[str, set] = {"classifier": set(), "regressor": set()}
SPELLINGS: dict[str, dict] = {"classifier": {}, "regressor": {}}
"""Estimator -> its names of losses, and what other libraries call each of them."""


def register_loss(entry):
    """Add an entry to the table; the estimators take its name from then on.

    Parameters
    ----------
    entry : LossEntry

    Examples
    --------
    >>> import torch
    >>> from sklmlp.losses import Loss, LossEntry, register_loss
    >>> def fourth_power():
    ...     return Loss("fourth_power", lambda z, y: (z - y).pow(4).sum(-1),
    ...                 lambda z, y, out=None: torch.mul(4, (z - y).pow(3), out=out), "identity")
    >>> register_loss(LossEntry("fourth_power", fourth_power, "regressor"))
    """
    LOSSES[entry.name] = entry
    if entry.make_binary is not None:
        compiled = entry.compiled and f"binary_{entry.compiled}"
        LOSSES[f"binary_{entry.name}"] = replace(entry, make=entry.make_binary, compiled=compiled)
    NAMES[entry.estimator].add(entry.name)
    SPELLINGS[entry.estimator][entry.name] = entry.spellings


def _plain_quantile(quantile):
    """Return the `quantile` parameter as a float or a list of float, checked."""
    if isinstance(quantile, Real):
        return float(quantile)
    levels = np.asarray(quantile)
    if levels.ndim != 1 or levels.dtype.kind not in "fiu" or not len(levels):
        raise ValueError(f"quantile must be a number or a list of numbers, got {quantile!r}.")
    if not ((levels > 0) & (levels < 1)).all() or len(np.unique(levels)) < len(levels):
        raise ValueError(
            f"quantile must be distinct numbers between 0 and 1, both excluded; got {quantile!r}."
        )
    return levels.tolist()


for _entry in [
    LossEntry(
        "log_loss",
        classification.log_loss,
        "classifier",
        classification.binary_log_loss,
        parameters={"label_smoothing": [Interval(Real, 0, 1, closed="left")]},
        spellings="crossentropy categoricalcrossentropy sparsecategoricalcrossentropy ce softmax "
        "nll binarycrossentropy bce bcewithlogits binary logistic log deviance sigmoid auto "
        "logloss",
        compiled="log_loss",
    ),
    LossEntry(
        "focal",
        classification.focal,
        "classifier",
        classification.binary_focal,
        parameters={"focal_gamma": [Interval(Real, 0, None, closed="left")]},
        spellings="focal sigmoidfocal binaryfocalcrossentropy categoricalfocalcrossentropy",
        compiled="focal",
    ),
    LossEntry(
        "hinge",
        classification.hinge,
        "classifier",
        classification.binary_hinge,
        spellings="hinge svm margin multimargin multilabelmargin squaredhinge categoricalhinge",
        compiled="hinge",
    ),
    LossEntry(
        "squared_error",
        regression.squared_error,
        "regressor",
        spellings="mse l2 ls rmse meansquared meansquarederror squared squarederror",
        compiled="squared_error",
    ),
    LossEntry(
        "absolute_error",
        regression.absolute_error,
        "regressor",
        spellings="mae l1 lad meanabsolute meanabsoluteerror absolute absoluteerror",
        compiled="absolute_error",
    ),
    LossEntry(
        "huber",
        regression.huber,
        "regressor",
        parameters={"huber_delta": [Interval(Real, 0, None, closed="neither")]},
        in_units_of_y=("huber_delta",),
        spellings="huber smoothl1 pseudohuber",
        compiled="huber",
    ),
    LossEntry(
        "poisson",
        regression.poisson,
        "regressor",
        spellings="poisson poissonnll poissondeviance",
        compiled="poisson",
    ),
    LossEntry(
        "gamma",
        regression.gamma,
        "regressor",
        spellings="gamma gammadeviance",
        compiled="gamma",
    ),
    LossEntry(
        "quantile",
        regression.quantile,
        "regressor",
        parameters={"quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"]},
        plain=_plain_quantile,
        spellings="pinball meanpinball quantile",
        compiled="quantile",
    ),
    LossEntry(
        "gaussian",
        regression.gaussian,
        "regressor",
        spellings="gaussiannll nll normal gaussian",
        compiled="gaussian",
    ),
]:
    register_loss(_entry)


def loss_parameters(estimator):
    """Return the parameters that the losses of an estimator take, with their constraints.

    Parameters
    ----------
    estimator : {"regressor", "classifier"}

    Returns
    -------
    constraints : dict of str to list
    """
    entries = [LOSSES[name] for name in LOSSES if name in NAMES[estimator]]
    return {name: each for entry in entries for name, each in entry.parameters.items()}


def make_loss(loss, parameters=None, scaling=None):
    """Return a loss of the table, given its parameters, or a custom one, ready for training.

    Parameters
    ----------
    loss : str or Loss
        A key of `LOSSES`, or a user's loss.
    parameters : dict, default=None
        Among them `function` may be custom: logits (n, k) and targets to the loss of each
        sample, (n,). The link is then that of the name.
    scaling : TargetScaling, default=None
        What targets were scaled by. The loss and its gradient are those of scaled targets;
        predictions and variances are scaled back.

    Returns
    -------
    loss : Loss
    """
    made = complete(loss) if isinstance(loss, Loss) else _made(loss, parameters or {}, scaling)
    if scaling is None:
        return made
    variance = made.variance and (lambda z: scaling.decode_variance(made.variance(z)))
    return replace(made, link=lambda z: scaling.decode(made.link(z)), variance=variance)


def _made(name, parameters, scaling):
    parameters = _in_training(name, parameters, scaling)
    function = parameters.pop("function", None)
    loss = LOSSES[name].make(**parameters)
    if function is None:
        return loss
    loss = replace(loss, name="custom", constant=None)
    return differentiated(loss, function, getattr(function, "__qualname__", repr(function)))


def _in_training(name, parameters, scaling):
    """Return the parameters of a loss of targets that are scaled."""
    parameters = dict(parameters)
    for each in () if scaling is None else {*LOSSES[name].in_units_of_y} & {*parameters}:
        parameters[each] = [parameters[each] / scale for scale in scaling.scale]
    return parameters


def compiled_loss(loss, parameters, scaling=None):
    """Return the compiled operator that computes a loss, and its arguments.

    Parameters
    ----------
    loss, parameters, scaling
        As `make_loss` takes them.

    Returns
    -------
    name : str or None
        None for a loss that torch computes.
    arguments : dict
        With those that are not given at their defaults.
    """
    if isinstance(loss, Loss) or "function" in parameters or LOSSES[loss].compiled is None:
        return None, {}
    return LOSSES[loss].compiled, LOSSES[loss].defaults | _in_training(loss, parameters, scaling)


def describe_loss(loss, default):
    """Return what is known of a `loss` parameter before a fit.

    Parameters
    ----------
    loss : str, callable or Loss
        As the parameter of an estimator.
    default : str
        The loss whose link a callable has.

    Returns
    -------
    loss : Loss
        Its parameters have their defaults.
    """
    if isinstance(loss, Loss):
        return loss
    return LOSSES[loss if isinstance(loss, str) and loss in LOSSES else default].loss
