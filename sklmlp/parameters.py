"""Read an estimator's parameters: as plain Python, without contradictions, in the user's words."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from torch import nn

from sklmlp.caller import warn
from sklmlp.compat import Interval, InvalidParameterError
from sklmlp.nn import check_module_class
from sklmlp.optim import SCHEDULES, check_solver

# Values


def plain_parameters(estimator):
    """Return the parameters with NumPy scalars replaced by Python's, wherever they stand.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor

    Returns
    -------
    params : SimpleNamespace
        Parameters that take real numbers are floats.

    Raises
    ------
    ValueError
        If a number is too large for a float, or a number stands in an array without dimensions.
    """
    constraints, params = estimator._parameter_constraints, {}
    for name in constraints:  # a subclass may have fewer parameters, and has all attributes
        value = _plain(getattr(estimator, name), name)
        if isinstance(value, Real) and Real in _numbers(constraints[name]):
            value = _as_float(value, name)
        params[name] = value
    return SimpleNamespace(**params)


def _plain(value, name):
    if isinstance(value, np.ndarray) and value.ndim == 0:
        raise ValueError(
            f"{name} is an array without dimensions, {value!r}; give the value itself, "
            f"{value.item()!r}."
        )
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, np.str_):
        return str(value)
    if type(value) in (list, tuple):
        return type(value)(_plain(each, f"{name}[{i}]") for i, each in enumerate(value))
    if isinstance(value, dict) and name != "class_weight":  # its keys are labels
        return {_plain(key, name): _plain(each, f"{name}[{key!r}]") for key, each in value.items()}
    return value


def _as_float(value, name):
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} is too large for a float: {len(str(value))} digits.") from None


def _numbers(constraints):
    """The kinds of numbers, Real or Integral, that a parameter takes."""
    if not isinstance(constraints, list):
        return []
    return [each.type for each in constraints if isinstance(each, Interval)]


def check_kinds(estimator):
    """Raise where a bool or an array without dimensions stands for a number.

    Raises
    ------
    InvalidParameterError
        A ValueError and TypeError of scikit-learn's that names the parameter.
    """
    for name, constraints in estimator._parameter_constraints.items():
        value = getattr(estimator, name)
        is_number = _numbers(constraints) or name == "random_state"
        if isinstance(value, bool | np.bool_) and is_number:
            raise InvalidParameterError(
                f"The {name!r} parameter of {type(estimator).__name__} takes a number, got "
                f"{value!r}."
            )
        if isinstance(value, np.ndarray) and value.ndim == 0:
            _raise_as_invalid(_plain, value, name)


def _raise_as_invalid(function, *args):
    try:
        function(*args)
    except ValueError as error:
        raise InvalidParameterError(str(error)) from None


IN_TENSORS = (
    "alpha",
    "learning_rate_init",
    "focal_gamma",
    "epsilon",
    "max_grad_norm",
    "huber_delta",
)
NOT_TO_VANISH = ("epsilon", "max_grad_norm", "huber_delta")
"""Parameters that a fit computes with in its dtype, and those that must not round to 0 there."""


def check_range(params, dtype, weight=None):
    """Raise where a parameter has no counterpart in the dtype that a fit computes in.

    Parameters
    ----------
    params : SimpleNamespace
    dtype : torch.dtype
    weight : ndarray of shape (n_samples,), default=None
        Sample weights; `alpha` is divided by their sum in a batch.
    """
    limits, name_of_dtype = torch.finfo(dtype), str(dtype).removeprefix("torch.")
    for name in IN_TENSORS:
        value = getattr(params, name, None)
        if value is None or np.isinf(value):
            continue
        if value > limits.max or (name in NOT_TO_VANISH and value < limits.tiny):
            raise ValueError(
                f"{name}={value!r} is out of the range of {name_of_dtype}, in which this fit "
                f"computes: {limits.tiny:.1e} to {limits.max:.1e}."
            )
    if weight is not None and params.alpha / weight[weight > 0].min() > limits.max:
        raise ValueError(
            f"alpha={params.alpha!r} divided by the least sample weight, "
            f"{weight[weight > 0].min():g}, is out of the range of {name_of_dtype}, in which this "
            f"fit computes. Lower alpha, or scale the weights."
        )


# Contradictions


@dataclass(frozen=True)
class Dependence:
    """A parameter that has an effect only beside certain values of another one.

    Parameters
    ----------
    name : str
        The parameter.
    default : object
        Its value where it is not used.
    other : str
        The parameter that it depends on.
    has_effect : callable
        Whether a value of `other` lets the parameter have an effect.
    use : str
        What to write in place of the value of `other`.
    only : tuple, default=()
        The values of the parameter that depend on `other`; all but the default if empty.
    is_error : bool, default=True
        Whether to raise. False warns, for combinations that scikit-learn takes.
    """

    name: str
    default: Any
    other: str
    has_effect: Callable[[Any], bool]
    use: str
    only: tuple = ()
    is_error: bool = True

    def check(self, params):
        """Raise or warn where the parameter is given and has no effect."""
        if not (hasattr(params, self.name) and hasattr(params, self.other)):
            return
        value, other = getattr(params, self.name), getattr(params, self.other)
        given = value in self.only if self.only else not _equals(value, self.default)
        if not given or self.has_effect(other):
            return
        message = (
            f"{self.name}={value!r} has no effect with {self.other}={_shown(other)}. Use "
            f"{self.use}, or {self.name}={self.default!r}."
        )
        if self.is_error:
            raise ValueError(message)
        warn(message, UserWarning)


def _equals(value, default):
    """Whether a parameter has its default value; a list of rates has it where all of them do."""
    values = list(value) if isinstance(value, list | tuple | np.ndarray) else [value]
    return all(each is default or each == default for each in values)


def _shown(value):
    return getattr(value, "__qualname__", repr(value))


def _is(*values):
    return lambda value: value in values


def _is_none(value):
    return value is None


def _is_given(value):
    return value is not None


def _is_stochastic(solver):
    return solver != "lbfgs"


DEPENDENCES = [
    Dependence("label_smoothing", 0.0, "loss", _is("log_loss"), "loss='log_loss'"),
    Dependence("focal_gamma", 2.0, "loss", _is("focal"), "loss='focal'"),
    Dependence("huber_delta", 1.0, "loss", _is("huber"), "loss='huber'"),
    Dependence("quantile", 0.5, "loss", _is("quantile"), "loss='quantile'"),
    Dependence("scoring", None, "early_stopping", bool, "early_stopping=True"),
    Dependence("stratify", False, "early_stopping", bool, "early_stopping=True"),
    Dependence("module_params", None, "module", _is_given, "a class as module"),
    Dependence("dropout", 0.0, "module", _is_none, "module=None"),
    Dependence("normalization", None, "module", _is_none, "module=None"),
    Dependence("residual", False, "module", _is_none, "module=None"),
    Dependence("weight_init", "auto", "module", _is_none, "module=None"),
    Dependence("max_grad_norm", None, "solver", _is_stochastic, "solver='adam'"),
    Dependence("warmup_fraction", 0.0, "learning_rate", _is(*SCHEDULES), "learning_rate='cosine'"),
    Dependence(
        *("learning_rate", "constant", "solver", _is_stochastic, "solver='adam'"),
        only=SCHEDULES,
    ),
    Dependence(
        *("learning_rate", "constant", "solver", lambda solver: solver.lower() == "sgd"),
        *("solver='sgd' or learning_rate='cosine'", ("invscaling", "adaptive")),
        is_error=False,
    ),
]
"""Every parameter that does nothing without another one. scikit-learn's own are not here, other
than schedules of a solver that has none: grids over solvers share them."""


def check_parameters(params):
    """Raise or warn where parameters contradict each other.

    Parameters
    ----------
    params : SimpleNamespace
        As `plain_parameters` gives them.
    """
    check_solver(params)
    check_module_class(params.module)
    _check_loss(params.loss)
    for callback in params.callbacks or []:
        _check_callback(callback)
    for dependence in DEPENDENCES:
        dependence.check(params)


def _check_loss(loss):
    """Raise for a class, and for a loss of torch's that gives one number for many samples."""
    is_one_number = getattr(loss, "reduction", "none") != "none"
    is_one_number |= callable(loss) and getattr(nn.functional, _name(loss), None) is loss
    if isinstance(loss, type) or is_one_number:
        names = _meant(loss, REGRESSION_LOSSES) + _meant(loss, CLASSIFICATION_LOSSES)
        ours = f" The built-in {names[0]!r} is that loss." if names else ""
        raise ValueError(
            f"loss={_name(loss)} does not return one value per sample. Use a name, or a function "
            f"of logits and targets that does, such as an instance with reduction='none'.{ours}"
        )


def _check_callback(callback):
    """Raise unless it is one of skorch's, or a pair of a name and one."""
    one = callback[1] if isinstance(callback, tuple) and len(callback) == 2 else callback
    if hasattr(one, "on_train_begin"):
        return
    if hasattr(one, "on_fit_task_begin"):
        raise TypeError(
            f"callbacks takes callbacks of skorch, got {one!r} of scikit-learn. Use "
            f"set_callbacks({_name(one)}(...))."
        )
    raise TypeError(
        f"callbacks takes subclasses and instances of skorch.callbacks.Callback, got {one!r}."
    )


# Words of other libraries


REGRESSION_LOSSES = {
    "squared_error": "mse l2 ls rmse meansquared meansquarederror squared squarederror",
    "absolute_error": "mae l1 lad meanabsolute meanabsoluteerror absolute absoluteerror",
    "huber": "huber smoothl1 pseudohuber",
    "poisson": "poisson poissonnll poissondeviance",
    "gamma": "gamma gammadeviance",
    "quantile": "pinball meanpinball quantile",
    "gaussian": "gaussiannll nll normal gaussian",
}
CLASSIFICATION_LOSSES = {
    "log_loss": "crossentropy categoricalcrossentropy sparsecategoricalcrossentropy ce softmax nll "
    "binarycrossentropy bce bcewithlogits binary logistic log deviance sigmoid auto logloss",
    "focal": "focal sigmoidfocal binaryfocalcrossentropy categoricalfocalcrossentropy",
    "hinge": "hinge svm margin multimargin multilabelmargin squaredhinge categoricalhinge",
}
OTHER_NAMES = {
    "learning_rate": {
        "cosine": "cosineannealing cosineannealinglr cosinedecay cosineannealingwarmrestarts",
        "linear": "linearlr lineardecay polynomial polynomiallr",
        "exponential": "exponentiallr exponentialdecay exp step steplr",
        "one_cycle": "onecycle onecyclelr 1cycle",
        "adaptive": "reducelronplateau plateau",
        "invscaling": "inverse inversetimedecay inversescaling",
        "constant": "fixed optimal constantlr",
    },
    "normalization": {
        "batch": "batchnorm batchnorm1d batchnormalization bn bool",
        "layer": "layernorm layernormalization ln",
        "rms": "rmsnorm",
    },
    "dtype": {"float64": "double float64", "float32": "single float float32"},
}
"""Parameter -> what to write here -> spellings of other libraries, in small letters alone."""


OTHER_PARAMETERS = {
    **dict.fromkeys(("optimizer", "algorithm"), "solver"),
    **dict.fromkeys(("lr", "eta", "eta0"), "learning_rate_init"),
    **dict.fromkeys(("epochs", "n_epochs", "max_epochs", "num_epochs", "n_iter"), "max_iter"),
    **dict.fromkeys(("patience", "early_stopping_rounds"), "n_iter_no_change"),
    **dict.fromkeys(("hidden_units", "hidden_layers", "layers", "units"), "hidden_layer_sizes"),
    **dict.fromkeys(("l2", "l2_reg", "l2_regularization", "weight_decay", "C"), "alpha"),
    **dict.fromkeys(("dropout_rate", "p_dropout"), "dropout"),
    **dict.fromkeys(("batch_norm", "batch_normalization", "norm"), "normalization"),
    **dict.fromkeys(("criterion", "objective", "loss_function"), "loss"),
    **dict.fromkeys(("seed", "random_seed"), "random_state"),
    **dict.fromkeys(("lr_scheduler", "scheduler", "lr_schedule"), "learning_rate"),
    **dict.fromkeys(("init", "kernel_initializer", "initializer"), "weight_init"),
    **dict.fromkeys(("gradient_clip", "clipnorm", "gradient_clip_val"), "max_grad_norm"),
    "validation_split": "validation_fraction",
    "optimizer_params": "solver_params",
}
"""Parameter of Keras, skorch, HistGradientBoosting and others -> what it is called here."""


def check_names(estimator, names):
    """Raise for names of parameters that are another library's.

    Raises
    ------
    ValueError
        scikit-learn's, with the name to use.
    """
    for name in names:
        if name in OTHER_PARAMETERS and not hasattr(estimator, name):
            raise ValueError(
                f"Invalid parameter {name!r} for estimator {type(estimator).__name__}. Use "
                f"{OTHER_PARAMETERS[name]}."
            )


def hints(estimator):
    """Return what to write in place of parameters that scikit-learn's check refused.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor

    Returns
    -------
    hints : list of str
    """
    found = (
        []
        if not isinstance(estimator.learning_rate, Real)
        else [
            "learning_rate is the schedule, and learning_rate_init the step size: use "
            f"learning_rate_init={estimator.learning_rate}."
        ]
    )
    losses, others = REGRESSION_LOSSES, CLASSIFICATION_LOSSES
    if is_classifier(estimator):
        losses, others = others, losses
    for name, table in {"loss": losses, **OTHER_NAMES}.items():
        value = getattr(estimator, name)
        found += [f"Use {name}={meant!r}." for meant in _meant(value, table) if meant != value]
    if not _meant(estimator.loss, losses) and _meant(estimator.loss, others):
        other = "MLPRegressor" if is_classifier(estimator) else "MLPClassifier"
        found.append(f"This is a loss of {other}.")
    if isinstance(estimator.loss, list | tuple | int):
        found.append(
            "loss is the first parameter, as in scikit-learn: use hidden_layer_sizes="
            f"{estimator.loss!r}."
        )
    solver = estimator.solver
    if isinstance(solver, torch.optim.Optimizer) or _is_optimizer_class(solver):
        found.append(
            f"Use solver={_name(solver).lower()!r}, with its arguments in solver_params: a fit "
            "makes an optimizer of the weights that it trains."
        )
    if estimator.callbacks is not None and not isinstance(estimator.callbacks, list):
        found.append("Use a list, callbacks=[...].")
    return found


def _meant(value, table):
    """The names of a table that a value of another library stands for."""
    spelling = _spelling(value)
    return [name for name, spellings in table.items() if spelling in (name, *spellings.split())]


def _is_optimizer_class(value):
    return isinstance(value, type) and issubclass(value, torch.optim.Optimizer)


def _name(value):
    """The name of a class or a function, or of an instance's class."""
    return getattr(value, "__name__", type(value).__name__)


def _spelling(value):
    """A name, or that of a class, an instance or a function, in small letters alone."""
    is_text = isinstance(value, str | torch.dtype | np.dtype)
    spelling = (str(value) if is_text else _name(value)).lower()
    for dropped in ("_", "-", " ", "torch."):
        spelling = spelling.replace(dropped, "")
    return spelling if spelling == "logloss" else spelling.removesuffix("loss")
