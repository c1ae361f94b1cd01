"""The parameters of an estimator as training reads them: plain, frozen, and read once a fit."""

import os
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from numbers import Integral, Real

import numpy as np
import torch

from sklmlp.compat import (
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    constraints_of,
    validate_parameter_constraints,
)
from sklmlp.optim import Solver, is_stochastic

MOST = 2**31 - 1
"""The largest number of units or networks, which no memory holds."""

CONSTRAINTS = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": "no_validation",  # sklmlp.nn.resolve has better messages
    "dropout": ["array-like", Interval(Real, 0, 1, closed="left")],
    "normalization": [StrOptions({"batch", "layer", "rms"}), None],
    "residual": ["boolean"],
    "weight_init": [str, tuple],
    "module": "no_validation",  # sklmlp.nn.check_module_class has better messages
    "module_params": [dict, None],
    "solver": [str, type, Solver],  # sklmlp.optim.lookup_solver checks which
    "solver_params": [dict, None],
    "alpha": [Interval(Real, 0, np.inf, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [
        StrOptions(
            {
                *("constant", "invscaling", "adaptive"),
                *("cosine", "linear", "exponential", "one_cycle"),
            }
        )
    ],
    "warmup_fraction": [Interval(Real, 0, 1, closed="left")],
    "learning_rate_init": [Interval(Real, 0, np.inf, closed="neither")],
    "power_t": [Interval(Real, 0, np.inf, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "scoring": [str, callable, None],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [
        Interval(Integral, 1, None, closed="left"),
        Options(Real, {np.inf}),
    ],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "max_time": [Interval(Real, 0, None, closed="left"), None],
    "n_estimators": [Interval(Integral, 1, MOST, closed="both")],
    "device": [str, torch.device],
    "dtype": [StrOptions({"auto", "float32", "float64"})],
    "matmul_precision": [StrOptions({"highest", "high", "medium"})],
    "callbacks": [list, None],
    "checkpoint": [str, os.PathLike, None],
    "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
}
"""The constraints of the parameters of both estimators."""


ALREADY_PLAIN = {str, float, type(None)}
"""Types of values that `TrainingConfig` takes as they are."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The parameters of one fit, with the estimator's names and in plain Python.

    NumPy scalars are Python's, wherever they stand; parameters that take real numbers are floats;
    `hidden_layer_sizes` is a tuple. Fields with a default are parameters of one of the estimators
    alone, and have it with the other.
    """

    loss: str | Callable
    hidden_layer_sizes: tuple
    activation: object
    dropout: float | list
    normalization: str | None
    residual: bool
    weight_init: str | tuple
    module: type | None
    module_params: dict | None
    solver: str | type | Solver
    solver_params: dict | None
    alpha: float
    batch_size: int | str
    learning_rate: str
    learning_rate_init: float
    warmup_fraction: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: int | np.random.RandomState | None
    tol: float
    verbose: bool
    warm_start: bool
    max_grad_norm: float | None
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    scoring: str | Callable | None
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    max_time: float | None
    n_estimators: int
    device: str | torch.device
    dtype: str
    matmul_precision: str
    callbacks: list | None
    checkpoint: str | os.PathLike | None
    checkpoint_every: int
    label_smoothing: float = 0.0
    focal_gamma: float = 2.0
    class_weight: dict | list | str | None = None
    stratify: bool = False
    huber_delta: float = 1.0
    quantile: float | list = 0.5
    normalize_y: bool | None = None
    """None for classifiers, whose targets are not scaled."""

    @property
    def is_stochastic(self):
        """Whether the solver goes over batches, and not over all rows at once as L-BFGS does."""
        return is_stochastic(self.solver)

    @classmethod
    def from_estimator(cls, estimator):
        """Read the parameters of an estimator.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor

        Returns
        -------
        config : TrainingConfig

        Raises
        ------
        ValueError
            If a number is too large for a float, a number stands in an array without dimensions,
            or `hidden_layer_sizes` are no positive integers.
        """
        constraints, known, values = constraints_of(estimator), vars(estimator), {}
        for field in fields(cls):
            name = field.name
            if name not in known and field.default is not MISSING:
                continue  # the other estimator's
            value = getattr(estimator, name)
            if type(value) not in ALREADY_PLAIN:
                value = _plain(value, name)
                if isinstance(value, Real) and Real in _numbers(constraints.get(name)):
                    value = _as_float(value, name)
            values[name] = value
        values["hidden_layer_sizes"] = _as_widths(values["hidden_layer_sizes"])
        return cls(**values)


def _as_widths(sizes):
    """Return the `hidden_layer_sizes` as a tuple of int, checked."""
    if isinstance(sizes, str | bytes | dict):  # one could go through them, too
        raise ValueError(f"hidden_layer_sizes must be integers, got {sizes!r}.")
    sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
    if any(not isinstance(size, Integral) or isinstance(size, bool) for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be integers, got {sizes}.")
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    if any(size > MOST for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be {MOST} or less, got {sizes}.")
    return tuple(int(size) for size in sizes)


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
    """Return the kinds of numbers, Real or Integral, that a parameter takes."""
    if not isinstance(constraints, list):
        return []
    return [each.type for each in constraints if isinstance(each, Interval)]


def check_constraints(estimator_class, params):
    """Check parameters by the constraints of an estimator's class.

    Besides what scikit-learn's check refuses, a bool or an array without dimensions may not stand
    for a number.

    Parameters
    ----------
    estimator_class : type
    params : dict
        Some of the parameters, by name.

    Raises
    ------
    InvalidParameterError
        A ValueError and TypeError of scikit-learn's that names the parameter.
    """
    constraints = constraints_of(estimator_class)
    for name in [name for name in constraints if name in params]:
        value = params[name]
        is_bool = isinstance(value, bool | np.bool_)
        if is_bool and (_numbers(constraints[name]) or name == "random_state"):
            raise InvalidParameterError(
                f"The {name!r} parameter of {estimator_class.__name__} takes a number, got "
                f"{value!r}."
            )
        if isinstance(value, np.ndarray) and value.ndim == 0:
            _raise_as_invalid(_plain, value, name)
    validate_parameter_constraints(constraints, params, estimator_class.__name__)


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


def check_range(config, dtype, weight=None):
    """Raise where a parameter has no counterpart in the dtype that a fit computes in.

    Parameters
    ----------
    config : TrainingConfig
    dtype : torch.dtype
    weight : ndarray of shape (n_samples,), default=None
        Sample weights; `alpha` is divided by their sum in a batch.
    """
    limits, name_of_dtype = torch.finfo(dtype), str(dtype).removeprefix("torch.")
    for name in IN_TENSORS:
        value = getattr(config, name)
        if value is None or np.isinf(value):
            continue
        if value > limits.max or (name in NOT_TO_VANISH and value < limits.tiny):
            raise ValueError(
                f"{name}={value!r} is out of the range of {name_of_dtype}, in which this fit "
                f"computes: {limits.tiny:.1e} to {limits.max:.1e}."
            )
    if weight is not None and config.alpha / weight[weight > 0].min() > limits.max:
        raise ValueError(
            f"alpha={config.alpha!r} divided by the least sample weight, "
            f"{weight[weight > 0].min():g}, is out of the range of {name_of_dtype}, in which this "
            f"fit computes. Lower alpha, or scale the weights."
        )
