"""Checks of parameters: contradictions, and the words of other libraries."""

import functools
import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier
from torch import nn

from sklmlp.caller import warn
from sklmlp.compat import InvalidParameterError
from sklmlp.config import check_constraints
from sklmlp.losses import LOSSES, SPELLINGS
from sklmlp.nn import check_module_class
from sklmlp.optim import SCHEDULES, check_solver, is_stochastic, lookup_solver

NESTED = ("module", "solver")
"""Parameters whose arguments are a dict, `<name>_params`, and go by `<name>__<argument>` too."""


class ParametersMixin:
    """Parameters whose arguments are a dict can be set one by one, and are told apart from typos.

    `module_params` and `solver_params` have entries `module__<argument>` and `solver__<argument>`.
    """

    @classmethod
    @functools.cache  # a search asks for each fit of its clones several times
    def _get_param_names(cls):
        return super()._get_param_names()

    def get_params(self, deep=True):
        """Get the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether to list the entries of `module_params` and `solver_params` too, as
            `module__name` and `solver__name`.

        Returns
        -------
        params : dict
            The value of each parameter by its name.
        """
        params = super().get_params(deep=deep)
        for name in NESTED if deep else ():
            entries = params.get(f"{name}_params")
            if isinstance(entries, dict):
                params |= {f"{name}__{entry}": value for entry, value in entries.items()}
        return params

    def set_params(self, **params):
        """Set parameters.

        Parameters
        ----------
        **params : dict
            Parameters by name. `module__name` sets one entry of `module_params`, and
            `solver__name` one of `solver_params`, so that a grid can go over them.

        Returns
        -------
        self : object
            The estimator.
        """
        nested = {
            key: value
            for key, value in params.items()
            if key.startswith(tuple(f"{name}__" for name in NESTED))
        }
        check_names(self, params)
        super().set_params(**{key: params[key] for key in params if key not in nested})
        for key, value in nested.items():
            name, entry = key.split("__", 1)
            entries = getattr(self, f"{name}_params")  # the user's own: not to be written into
            setattr(self, f"{name}_params", {**(entries or {}), entry: value})
        return self

    @classmethod
    @functools.cache  # a search fits thousands of clones that differ in a few parameters
    def _valid_defaults(cls):
        """Return the defaults of plain types that the constraints of parameters allow."""
        valid = {}
        for name, parameter in inspect.signature(cls.__init__).parameters.items():
            if type(parameter.default) in (type(None), bool, int, float, str):
                default = {name: parameter.default}
                with suppress(InvalidParameterError):
                    check_constraints(cls, default)
                    valid |= default
        return valid

    def _validate_params(self):
        valid, changed = self._valid_defaults(), {}
        for name, value in self.get_params(deep=False).items():
            is_valid = name in valid and type(value) is type(valid[name]) and value == valid[name]
            if not is_valid:
                changed[name] = value
        try:
            check_constraints(type(self), changed)
        except InvalidParameterError as error:
            raise InvalidParameterError(" ".join([str(error), *hints(self)])) from None


# Contradictions


@dataclass(frozen=True)
class Dependence:
    """A parameter that has an effect only with certain values of another one.

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

    def check(self, config):
        """Raise or warn where the parameter is given and has no effect."""
        value, other = getattr(config, self.name), getattr(config, self.other)
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
    """Tell whether a parameter has its default value, or is a list of it."""
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


def _has_sklearn_schedules(solver):
    return lookup_solver(solver).supports_sklearn_schedules


DEPENDENCES = [
    Dependence("scoring", None, "early_stopping", bool, "early_stopping=True"),
    Dependence("stratify", False, "early_stopping", bool, "early_stopping=True"),
    Dependence("module_params", None, "module", _is_given, "a class as module"),
    Dependence("dropout", 0.0, "module", _is_none, "module=None"),
    Dependence("normalization", None, "module", _is_none, "module=None"),
    Dependence("residual", False, "module", _is_none, "module=None"),
    Dependence("weight_init", "auto", "module", _is_none, "module=None"),
    Dependence("max_grad_norm", None, "solver", is_stochastic, "solver='adam'"),
    Dependence("warmup_fraction", 0.0, "learning_rate", _is(*SCHEDULES), "learning_rate='cosine'"),
    Dependence(
        *("learning_rate", "constant", "solver", is_stochastic, "solver='adam'"),
        only=SCHEDULES,
    ),
    Dependence(
        *("learning_rate", "constant", "solver", _has_sklearn_schedules),
        *("solver='sgd' or learning_rate='cosine'", ("invscaling", "adaptive")),
        is_error=False,
    ),
]
"""Parameters that do nothing without another one, besides those of losses. scikit-learn's own are
not here, except schedules of a solver that has none: grids over solvers share them."""


def loss_dependences():
    """Return a `Dependence` for each parameter that only some losses of the table take."""
    found = {}
    for entry in {entry.name: entry for entry in LOSSES.values()}.values():
        for parameter, default in entry.defaults.items():
            found.setdefault(parameter, (default, []))[1].append(entry.name)
    return [
        Dependence(parameter, default, "loss", _is(*names), f"loss={names[0]!r}")
        for parameter, (default, names) in found.items()
    ]


def check_parameters(config, incremental=False, has_callbacks=False):
    """Raise or warn where parameters contradict each other.

    Parameters
    ----------
    config : TrainingConfig
    incremental : bool, default=False
        Whether they are of a call of `partial_fit`.
    has_callbacks : bool, default=False
        Whether scikit-learn's callbacks are set.
    """
    check_solver(config)
    check_module_class(config.module)
    _check_loss(config.loss)
    for callback in config.callbacks or []:
        _check_callback(callback)
    for dependence in [*loss_dependences(), *DEPENDENCES]:
        dependence.check(config)
    if config.early_stopping and incremental:
        raise ValueError("partial_fit does not support early_stopping=True")
    if config.early_stopping and not config.is_stochastic:
        warn("early_stopping=True is ignored by solver='lbfgs', which holds no rows out.")
    if config.checkpoint is not None and not incremental:
        _check_checkpoint(config, has_callbacks)


def _check_checkpoint(config, has_callbacks):
    """Raise for a checkpoint of what cannot be resumed."""
    reasons = {
        "solver='lbfgs', whose iterations are SciPy's": not config.is_stochastic,
        "callbacks, which have states of their own": config.callbacks or has_callbacks,
        f"module={config.module!r}, which may draw numbers of its own": config.module is not None,
        "random_state=None, which is another fit every time": config.random_state is None,
    }
    for reason, holds in reasons.items():
        if holds:
            raise ValueError(f"checkpoint={config.checkpoint!r} does not go with {reason}.")


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


REGRESSION_LOSSES, CLASSIFICATION_LOSSES = SPELLINGS["regressor"], SPELLINGS["classifier"]
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
    if isinstance(solver, torch.optim.Optimizer):
        found.append(
            f"Use solver={_name(solver)}, the class, with its arguments in solver_params: a fit "
            "makes an optimizer of the weights that it trains."
        )
    elif callable(solver) and not isinstance(solver, type):
        found.append("Use a subclass of torch.optim.Optimizer, its arguments in solver_params.")
    if estimator.callbacks is not None and not isinstance(estimator.callbacks, list):
        found.append("Use a list, callbacks=[...].")
    return found


def _meant(value, table):
    """Return the names of a table that a value of another library stands for."""
    spelling = _spelling(value)
    return [name for name, spellings in table.items() if spelling in (name, *spellings.split())]


def _name(value):
    """Return the name of a class or a function, or of an instance's class."""
    return getattr(value, "__name__", type(value).__name__)


def _spelling(value):
    """Return a name, or that of a class, an instance or a function, in small letters alone."""
    is_text = isinstance(value, str | torch.dtype | np.dtype)
    spelling = (str(value) if is_text else _name(value)).lower()
    for dropped in ("_", "-", " ", "torch."):
        spelling = spelling.replace(dropped, "")
    return spelling if spelling == "logloss" else spelling.removesuffix("loss")
