"""What a trial suggests: ready spaces for a network, dicts as `RandomizedSearchCV` takes them.

A space becomes one function `suggest(trial) -> params`, Optuna's own idiom, in which a later choice
may depend on an earlier one: there is a width for each layer that the depth asks for, and no more.
"""

import inspect
from functools import partial
from numbers import Integral, Real

import numpy as np
from sklearn.model_selection import ParameterGrid

SPACES = ("auto", "architecture", "full")
"""Names of ready spaces."""

LEAST_BATCH, MOST_BATCH = 16, 1024
"""Rows of a batch."""


def make_suggest(space, estimator, n_rows):
    """Make the function that suggests the parameters of a trial.

    Parameters
    ----------
    space : {"auto", "architecture", "full"}, dict, list of dict, or callable
        As `MLPSearchCV` takes it.
    estimator : estimator
        Whose parameters are suggested.
    n_rows : int
        Rows that it is fitted to; batches are to be smaller.

    Returns
    -------
    suggest : callable
        `suggest(trial)` returns what `estimator.set_params` takes.

    Raises
    ------
    ValueError
        If the space is none of these, or the estimator has no network for a ready space.
    """
    if callable(space):
        return space
    if isinstance(space, str):
        if space not in SPACES:
            raise ValueError(
                f"space={space!r} is not known. Use one of {', '.join(map(repr, SPACES))}, a dict "
                "of lists and distributions, or a function suggest(trial) -> params."
            )
        return partial(_suggest_network, space, *find_network(estimator), n_rows)
    choices = list(space) if isinstance(space, list | tuple) else [space]
    for each in choices:
        _check_dict(each, estimator)
    return partial(_suggest_dict, choices)


def find_network(estimator):
    """Return the prefix of the parameters of the one network in an estimator, and the network.

    Raises
    ------
    ValueError
        If there is no network of this library in it, or more than one.
    """
    params = estimator.get_params()
    ours = [name for name in params if name.endswith("hidden_layer_sizes")]
    if len(ours) != 1:
        raise ValueError(
            "A ready space is for an MLPClassifier, MLPRegressor, TabularMLPClassifier or "
            "TabularMLPRegressor, or a pipeline or other meta-estimator with one of them in it; "
            f"got {estimator!r}, with {len(ours)} in it. Pass a dict or a function as space."
        )
    prefix = ours[0].removesuffix("hidden_layer_sizes")
    return prefix, params[prefix.removesuffix("__")] if prefix else estimator


# Ready spaces


def _suggest_network(space, prefix, network, n_rows, trial):
    """Suggest parameters of a network, which are named with the prefix of its step."""
    is_tabular = "n_bins" in network.get_params(deep=False)
    suggest = _suggest_tabular if is_tabular else _suggest_mlp
    return {f"{prefix}{name}": value for name, value in suggest(space, network, n_rows, trial)}


def _suggest_mlp(space, network, n_rows, trial):
    """Yield the parameters of an `MLPClassifier` or `MLPRegressor`."""
    is_stack, is_stochastic = network.module is None, network.solver != "lbfgs"
    if is_stack:
        most, widest = (4, 512) if space == "full" else (3, 256)
        yield "hidden_layer_sizes", _suggest_widths(trial, most, 16, widest)
        activations = ["relu", "gelu", "silu", "tanh"]
        if space == "full":
            activations += ["elu", "selu", "mish", "leaky_relu", "logistic"]
        yield "activation", trial.suggest_categorical("activation", activations)
        yield "residual", trial.suggest_categorical("residual", [False, True])
        if is_stochastic:
            kinds = ["none", "batch", "layer"]
            kind = trial.suggest_categorical("normalization", kinds)
            yield "normalization", None if kind == "none" else kind
    if space == "architecture":
        return
    yield "alpha", trial.suggest_float("alpha", 1e-6, 1.0, log=True)
    if not is_stochastic:
        return
    if is_stack:
        yield "dropout", trial.suggest_float("dropout", 0.0, 0.5)
    yield "learning_rate_init", trial.suggest_float("learning_rate_init", 1e-4, 3e-2, log=True)
    schedule = trial.suggest_categorical("learning_rate", ["constant", "cosine"])
    yield "learning_rate", schedule
    yield "batch_size", _suggest_batch_size(trial, n_rows)
    if space != "full":
        return
    if schedule == "cosine":
        yield "warmup_fraction", trial.suggest_float("warmup_fraction", 0.0, 0.3)
    clip = trial.suggest_categorical("max_grad_norm", ["none", "1"])
    yield "max_grad_norm", None if clip == "none" else 1.0
    if network.solver == "adam":
        yield "beta_2", 1 - trial.suggest_float("1 - beta_2", 1e-4, 1e-1, log=True)
    if getattr(network, "loss", None) == "log_loss":
        yield "label_smoothing", trial.suggest_float("label_smoothing", 0.0, 0.2)


def _suggest_tabular(space, network, n_rows, trial):
    """Yield the parameters of a `TabularMLPClassifier` or `TabularMLPRegressor`."""
    yield "hidden_layer_sizes", _suggest_widths(trial, 4, 32, 384)
    yield "n_bins", _suggest_number(trial, "n_bins", 8, 128)
    yield "embedding_size", _suggest_number(trial, "embedding_size", 2, 16)
    if space == "architecture":
        return
    yield "dropout", trial.suggest_float("dropout", 0.0, 0.5)
    yield "learning_rate_init", trial.suggest_float("learning_rate_init", 1e-3, 3e-2, log=True)
    yield "batch_size", _suggest_batch_size(trial, n_rows)
    if space != "full":
        return
    yield "n_estimators", _suggest_number(trial, "n_estimators", 1, 32)
    yield "max_one_hot", _suggest_number(trial, "max_one_hot", 2, 64)
    yield "target_encoding", trial.suggest_categorical("target_encoding", [True, False])


def _suggest_widths(trial, most, low, high):
    """Suggest a depth, then a width for each layer."""
    depth = trial.suggest_int("depth", 1, most)
    return tuple(_suggest_number(trial, f"width_{i}", low, high) for i in range(1, depth + 1))


def _suggest_number(trial, name, low, high):
    """Suggest a whole number on a logarithmic scale, as one that is rounded.

    To TPE each whole number of a range is a bin to integrate over, which takes many times as long
    as a density.
    """
    return round(trial.suggest_float(name, low, high, log=True))


def _suggest_batch_size(trial, n_rows):
    """Suggest a size: an epoch has four batches at least, and of long tables not too many."""
    most = max(1, min(MOST_BATCH, n_rows // 4))
    least = max(LEAST_BATCH, min(128, n_rows // 200))
    return _suggest_number(trial, "batch_size", min(least, most), most)


# Dicts of lists and distributions


def _check_dict(space, estimator):
    """Raise where a space is no dict, or names what the estimator does not have."""
    if not isinstance(space, dict) or not space:
        raise ValueError(
            f"space takes {', '.join(map(repr, SPACES))}, a dict of lists and distributions, a "
            f"list of such dicts, or a function suggest(trial) -> params; got {space!r}."
        )
    known = estimator.get_params()
    for name, values in space.items():
        first = name.split("__")[0]
        if first not in known:
            raise ValueError(
                f"space has {name!r}, which is no parameter of {type(estimator).__name__}. It has "
                f"{', '.join(sorted(name for name in known if '__' not in name))}."
            )
        is_list = hasattr(values, "__len__") and not isinstance(values, str | dict)
        if is_list and len(values) == 0:
            raise ValueError(f"space[{name!r}] has no values to choose from.")
        if not (is_list or hasattr(values, "rvs") or _is_optuna_s(values)):
            raise ValueError(
                f"space[{name!r}] takes a list of values, a distribution of scipy.stats or one of "
                f"optuna.distributions; got {values!r}."
            )


def _suggest_dict(choices, trial):
    """Suggest from one of some dicts, in the order of `ParameterGrid`: the last name is fastest."""
    number, label = 0, ""
    if len(choices) > 1:
        number = trial.suggest_categorical("dict", list(range(len(choices))))
        label = f"{number}: "  # a name may have other values in another dict
    params = {}
    for name in sorted(choices[number], reverse=True):
        params[name] = _suggest_value(trial, label + name, choices[number][name])
    return {name: params[name] for name in sorted(params)}


def _suggest_value(trial, name, values):
    """Suggest one of a list, or a draw of a distribution."""
    if hasattr(values, "__len__"):
        values = list(values)
        if _are_plain(values):
            return trial.suggest_categorical(name, values)
        if isinstance(trial, Expressed):
            trial.number(name, values)
        return values[trial.suggest_categorical(name, list(range(len(values))))]
    if _is_optuna_s(values):
        return _suggest_optuna_s(trial, name, values)
    known = _suggest_scipy_s(trial, name, values)
    if known is not None:
        return known
    if hasattr(values, "ppf"):
        share = trial.suggest_float(name, 1e-6, 1 - 1e-6)  # its place in the distribution
        value = values.ppf(share)
        is_discrete = hasattr(values, "pmf") or hasattr(getattr(values, "dist", None), "pmf")
        return int(value) if is_discrete and float(value).is_integer() else float(value)
    seed = trial.suggest_int(name, 0, 2**31 - 1)
    return _plain_value(values.rvs(random_state=seed))


def _are_plain(values):
    """Tell whether Optuna can keep these values, and tell them apart."""
    if not all(value is None or type(value) in (bool, int, float, str) for value in values):
        return False
    return len(set(values)) == len(values) and not any(value != value for value in values)


def _is_optuna_s(values):
    return type(values).__module__.startswith("optuna.distributions")


def _suggest_optuna_s(trial, name, values):
    if hasattr(values, "choices"):
        return trial.suggest_categorical(name, list(values.choices))
    kind = trial.suggest_int if "Int" in type(values).__name__ else trial.suggest_float
    return kind(name, values.low, values.high, step=values.step, log=values.log) \
        if not values.log else kind(name, values.low, values.high, log=True)  # fmt: skip


def _suggest_scipy_s(trial, name, values):
    """Suggest from the distributions of scipy that Optuna has, too; None for others."""
    kind = getattr(getattr(values, "dist", None), "name", None)
    if kind not in ("uniform", "loguniform", "reciprocal", "randint"):
        return None
    low, high = (_plain_value(each) for each in values.support())
    if kind == "randint":
        return trial.suggest_int(name, int(low), int(high))
    if not (np.isfinite(low) and np.isfinite(high)):
        return None
    return trial.suggest_float(name, float(low), float(high), log=kind != "uniform")


def _plain_value(value):
    return value.item() if hasattr(value, "item") else value


def size_of_grid(space):
    """Return how many combinations a dict of lists has, or some dicts; None for other spaces."""
    choices = list(space) if isinstance(space, list | tuple) else [space]
    if not all(isinstance(each, dict) for each in choices):
        return None
    if not all(isinstance(v, list | tuple) for each in choices for v in each.values()):
        return None
    return len(ParameterGrid(choices))


# From parameters to a trial


class Expressed:
    """Stands in for a trial, to find what Optuna would have suggested for known parameters.

    Parameters
    ----------
    params : dict
        Full names of parameters, as `set_params` takes them, to values.

    Attributes
    ----------
    values, distributions : dict
        Of the trial, by the names that it suggests.
    """

    def __init__(self, params):
        self.known, self.values, self.distributions = dict(params), {}, {}
        for name, value in params.items():
            short = name.rpartition("__")[2]
            self.known.setdefault(short, value)
            if short == "hidden_layer_sizes":
                widths = [int(w) for w in np.atleast_1d(np.asarray(value, dtype=int))]
                self.known["depth"] = len(widths)
                self.known |= {f"width_{i}": w for i, w in enumerate(widths, 1)}
        if "beta_2" in self.known:
            self.known["1 - beta_2"] = 1 - self.known["beta_2"]

    def suggest_categorical(self, name, choices):
        """Return the choice that is known."""
        from optuna.distributions import CategoricalDistribution

        value = self.known[name]
        if name in ("normalization", "max_grad_norm"):
            value = "none" if value is None else str(value).removesuffix(".0")
        place = next(i for i, c in enumerate(choices) if type(c) is type(value) and c == value)
        return self._take(name, choices[place], CategoricalDistribution(choices))

    def number(self, name, values):
        """Take a known value for its place in a list, by which Optuna keeps what is not plain."""
        self.known[name] = next(i for i, v in enumerate(values) if _equal(v, self.known[name]))

    def suggest_float(self, name, low, high, *, step=None, log=False):
        """Return the number that is known."""
        from optuna.distributions import FloatDistribution

        value = float(self.known[name])
        n_steps = (value - low) / step if step else 0.0
        if not low <= value <= high or abs(n_steps - round(n_steps)) > 1e-9:
            raise ValueError
        return self._take(name, value, FloatDistribution(low, high, log=log, step=step))

    def suggest_int(self, name, low, high, *, step=1, log=False):
        """Return the number that is known."""
        from optuna.distributions import IntDistribution

        value = self.known[name]
        if not isinstance(value, Integral) or not low <= value <= high or (value - low) % step:
            raise ValueError
        return self._take(name, int(value), IntDistribution(low, high, log=log, step=step))

    def _take(self, name, value, distribution):
        self.values[name], self.distributions[name] = value, distribution
        return value


class Recorded(Expressed):
    """Suggests what was recorded of a trial.

    Parameters
    ----------
    values : dict
        What it suggested, by the names of its own.
    """

    def __init__(self, values):
        super().__init__({})
        self.known = dict(values)

    def number(self, name, values):
        """Do nothing: what was recorded is the place."""

    def suggest_categorical(self, name, choices):
        """Return the choice that was recorded."""
        from optuna.distributions import CategoricalDistribution

        value = _as_stored(self.known[name])
        place = next(i for i, choice in enumerate(choices) if _as_stored(choice) == value)
        return self._take(name, choices[place], CategoricalDistribution(choices))


def _as_stored(choice):
    """Return the text of a choice as it comes back from a storage, where tuples are lists."""
    return repr(list(choice) if isinstance(choice, tuple) else choice)


def express(params, suggest):
    """Return (values, distributions) of a trial that suggests given parameters; None if none does.

    Parameters
    ----------
    params : dict
        Names to values, of all that may be suggested.
    suggest : callable
        As `make_suggest` makes it.
    """
    trial = Expressed(params)
    try:
        got = suggest(trial)
        same = all(_equal(params[name], value) for name, value in got.items())
    except Exception:  # a user's function, and values that no trial has
        return None
    return (trial.values, trial.distributions) if same and got else None


def _equal(one, other):
    if isinstance(one, Real) and isinstance(other, Real):
        return abs(one - other) <= 1e-12 * abs(one)
    if isinstance(one, list | tuple | np.ndarray) and isinstance(other, list | tuple):
        return list(one) == list(other)
    return type(one) is type(other) and bool(one == other)


def describe(space):
    """Return what tells one space from another: names, values, the source of functions."""
    if callable(space):
        try:
            return inspect.getsource(space)
        except (OSError, TypeError):
            return getattr(space, "__qualname__", type(space).__qualname__)
    if isinstance(space, str):
        return space
    choices = space if isinstance(space, list | tuple) else [space]
    return repr([sorted((name, _described(v)) for name, v in each.items()) for each in choices])


def _described(values):
    if hasattr(values, "__len__"):
        return repr(list(values))
    frozen = getattr(values, "dist", None)
    if frozen is not None:
        return f"{frozen.name} {values.args} {values.kwds}"
    return repr(values) if _is_optuna_s(values) else type(values).__qualname__
