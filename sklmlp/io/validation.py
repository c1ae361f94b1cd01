"""Validate a state before a model is built from it: types, shapes and finite numbers.

A file may have been damaged or made up. Nothing here allocates more than the state itself holds.
"""

import functools
import inspect
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import ClassifierMixin

from sklmlp.io.integrity import is_learned
from sklmlp.io.state import from_columns, spec_from_portable
from sklmlp.losses import LOSSES, Loss
from sklmlp.nn import NORMALIZATIONS, learned_shapes, part_name
from sklmlp.optim import SOLVERS, is_rate

ONLY_WITH_A_SPEC = ("coefs_", "intercepts_", "_state", "_module_seed", "_optimizer", "history_")

KINDS = ("binary", "multiclass", "multilabel-indicator")


def validate_state(state, estimator):
    """Return a state as `estimator` keeps it in memory, once all of it has proved to be sound.

    Parameters
    ----------
    state : dict
        As `unstamped` gives it.
    estimator : MLPClassifier or MLPRegressor
        The one that the state is to become.

    Returns
    -------
    state : dict
        With the spec and the history made of their portable forms, and with the defaults of
        parameters that its writer did not know.

    Raises
    ------
    ValueError
        If anything in it is not what a fit leaves behind.
    """
    try:
        _check_names(state, type(estimator))
        state = {name: _native(v) if is_learned(name) else v for name, v in state.items()}
        if "_spec" in state:
            _require("estimators_" not in state, "it has both a network and estimators_.")
            state = _with_network(state, isinstance(estimator, ClassifierMixin))
        elif "estimators_" in state:
            _check_ensemble(state, type(estimator))
        else:
            alone = sorted({*ONLY_WITH_A_SPEC} & {*state})
            _require(not alone, f"it has {', '.join(alone)} and no _spec of a network.")
        if "_spec" in state or "estimators_" in state:
            _check_facts(state)
    except ValueError as why:
        name = type(estimator).__name__
        raise ValueError(f"This state of {name} cannot be loaded: {why}") from why.__cause__
    return _defaults(type(estimator)) | state


@functools.cache
def _defaults(estimator_class):
    parameters = inspect.signature(estimator_class.__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _native(value):
    """Convert arrays to this machine's order of bytes, in lists and dicts too."""
    if isinstance(value, np.ndarray):
        return value if value.dtype.isnative else value.astype(value.dtype.newbyteorder("="))
    if isinstance(value, dict):
        return {name: _native(part) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_native(part) for part in value)
    return value


def _require(condition, message):
    if not condition:
        raise ValueError(message)


def _expect(condition, name, value):
    """Raise ValueError with a value, cut short, that is not what is expected of its name."""
    _require(condition, f"{name} is {value!r:.80}.")


def _check_names(state, estimator_class):
    """No entry may stand in front of a method or a property."""
    for name in state:
        there = getattr(estimator_class, name, None)
        _require(
            not (callable(there) or isinstance(there, property)),
            f"its entry {name!r} would shadow a method or property of {estimator_class.__name__}.",
        )


def _with_network(state, is_classifier):
    """Return a single network's state with its spec and history built."""
    spec = _built_spec(state)
    _require(
        _is_count(state.get("n_features_in_")) and state["n_features_in_"] == spec.n_features,
        f"n_features_in_ is {state.get('n_features_in_')!r:.80}, and its network takes "
        f"{spec.n_features} features.",
    )
    if spec.module is None:
        shapes = spec.shapes
        biases = [(fan_out,) for _, fan_out in shapes]
        _check_arrays("coefs_", state.get("coefs_"), shapes)
        _check_arrays("intercepts_", state.get("intercepts_"), biases)
        dtypes = {array.dtype for array in [*state["coefs_"], *state["intercepts_"]]}
        _require(
            len(dtypes) == 1 and dtypes <= {np.dtype(np.float32), np.dtype(np.float64)},
            f"coefs_ and intercepts_ have the dtypes {', '.join(sorted(map(str, dtypes)))}; one of "
            "float32 and float64 is expected.",
        )
    else:
        seed = state.get("_module_seed")
        _expect(_is_count(seed) and seed < 2**63, "_module_seed", seed)
    _check_learned(state.get("_state"), spec)
    if is_classifier:
        _check_classes(state, spec.n_outputs)
    if "_optimizer" in state:
        _check_optimizer(state, spec)
    return state | {"_spec": spec, "history_": _built_history(state)}


def _built_spec(state):
    plain = state["_spec"]
    _require(isinstance(plain, dict), f"_spec is no dict but {type(plain).__name__}.")
    for name in ("n_features", "n_outputs"):
        number = plain.get(name)
        _expect(_is_count(number) and number > 0, f"_spec[{name!r}]", number)
    hidden, activations = plain.get("hidden"), plain.get("activations")
    for name, value in (("hidden", hidden), ("activations", activations)):
        _expect(isinstance(value, list | tuple), f"_spec[{name!r}]", value)
    _require(
        len(hidden) == len(activations),
        f"_spec has {len(hidden)} hidden layers and {len(activations)} activations.",
    )
    _expect(all(_is_count(width) and width > 0 for width in hidden), "_spec['hidden']", hidden)
    loss = plain.get("loss")
    is_known = isinstance(loss, Loss) or (isinstance(loss, str) and loss in LOSSES)
    _expect(is_known, "_spec['loss']", loss)
    _check_layers(plain, len(hidden))
    try:
        spec = spec_from_portable(plain)
        outputs = spec.loss_function.out_activation  # made of its parameters
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"its _spec describes no network: {error}") from error
    found = state.get("out_activation_")
    _require(found == outputs, f"out_activation_ is {found!r:.80}, and its loss has {outputs!r}.")
    found = state.get("n_outputs_")
    _require(
        _is_count(found) and found == spec.n_outputs,
        f"n_outputs_ is {found!r:.80}, and its network has {spec.n_outputs}.",
    )
    if spec.scaling is not None:
        n_targets = spec.n_outputs / spec.loss_function.n_units
        _require(
            "_targets" not in state and len(spec.scaling.scale) == n_targets,
            f"_spec['scaling'] is for {len(spec.scaling.scale)} targets, and its network has "
            f"{spec.n_outputs} outputs for the loss {loss!r}.",
        )
    return spec


def _is_plain(value):
    """Tell whether it is what a parameter of a loss may be: plain, or a list of numbers."""
    if isinstance(value, list | tuple):
        return len(value) > 0 and all(isinstance(each, Real) for each in value)
    return value is None or isinstance(value, Real | str)


def _check_layers(plain, n_hidden):
    """Check what a spec says besides widths and activations, which is nothing in format 1."""

    def are_rates(value):
        is_list = isinstance(value, list | tuple) and len(value) in (0, n_hidden)
        return is_list and all(isinstance(rate, Real) and 0 <= rate < 1 for rate in value)

    entries = {  # the default of each, and what it has to be
        "loss_params": ({}, lambda v: isinstance(v, dict) and all(map(_is_plain, v.values()))),
        "module": (None, lambda v: v is None or _is_module_class(v)),
        "module_params": ({}, lambda v: isinstance(v, dict) and all(map(_is_text, v))),
        "dropout": ((), are_rates),
        "normalization": (None, lambda v: v is None or (_is_text(v) and v in NORMALIZATIONS)),
        "residual": (False, lambda v: isinstance(v, bool)),
    }
    for name, (default, holds) in entries.items():
        value = plain.get(name, default)
        _expect(holds(value), f"_spec[{name!r}]", value)


def _is_module_class(value):
    return isinstance(value, type) and issubclass(value, torch.nn.Module)


def _is_text(value):
    return isinstance(value, str)


def _check_arrays(name, arrays, shapes):
    """One array of finite numbers for each affine map."""
    _require(isinstance(arrays, list | tuple), f"{name} is no list but {type(arrays).__name__}.")
    _require(len(arrays) == len(shapes), f"{name} has {len(arrays)} arrays, not {len(shapes)}.")
    for i, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
        _require(isinstance(array, np.ndarray), f"{name}[{i}] is {type(array).__name__}, no array.")
        _check_numbers(f"{name}[{i}]", array)
        got = getattr(array, "shape", None)
        _require(
            got == shape, f"{name}[{i}] has the shape {got}, and its network asks for {shape}."
        )


def _check_numbers(name, value):
    """Finite numbers, plain values, and lists and dicts of them."""
    if isinstance(value, np.ndarray):
        _require(value.dtype.kind in "fiub", f"{name} has the dtype {value.dtype}.")
        _require(np.isfinite(value).all(), f"{name} has values that are not finite.")
    elif isinstance(value, dict | list | tuple):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in parts:
            _check_numbers(f"{name}[{key!r:.80}]", part)
    else:
        plain = value is None or isinstance(value, str | Real)
        _require(plain, f"{name} is neither a number nor an array but {type(value).__name__}.")


def _check_learned(learned, spec):
    """Check arrays by name: they have the shapes of the network's module."""
    _require(
        isinstance(learned, dict) and all(isinstance(name, str) for name in learned),
        f"_state is no dict of arrays by name but {type(learned).__name__}.",
    )
    for name, array in learned.items():
        where = f"_state[{name!r:.80}]"
        _require(isinstance(array, np.ndarray), f"{where} is {type(array).__name__}, no array.")
        if spec.module is None:  # buffers of a user's module may be anything
            _check_numbers(where, array)
    if spec.module is not None:
        return
    try:
        expected = learned_shapes(spec)
    except Exception as error:  # torch raises what it likes for arguments that it dislikes
        raise ValueError(f"its _spec describes no network: {error}") from error
    custom = tuple(
        f"{part_name('activation', i, spec.residual)}."
        for i, choice in enumerate(spec.activations)
        if choice.custom is not None
    )
    got = {name: array.shape for name, array in learned.items() if not name.startswith(custom)}
    for name in sorted({*got, *expected}):
        _require(name in got, f"_state lacks {name!r}, which its network learns.")
        _require(name in expected, f"_state has {name!r:.80}, which its network does not learn.")
        _require(
            got[name] == expected[name],
            f"_state[{name!r}] has the shape {got[name]}, and its network learns {expected[name]}.",
        )


def _check_optimizer(state, spec):
    """Check the moments that an incremental learner goes on with."""
    optimizer = state["_optimizer"]
    _require(isinstance(optimizer, dict), f"_optimizer is {type(optimizer).__name__}, no dict.")
    _require(
        set(optimizer) == {"solver", "t", "options", "moments"},
        f"The _optimizer of this state has other entries: {', '.join(map(str, optimizer))}.",
    )
    _check_numbers("_optimizer", optimizer)
    solver, options, moments = (optimizer[name] for name in ("solver", "options", "moments"))
    _expect(isinstance(solver, str), "_optimizer['solver']", solver)
    _expect(_is_count(optimizer["t"]), "_optimizer['t']", optimizer["t"])
    for name, part in (("options", options), ("moments", moments)):
        _require(isinstance(part, dict), f"_optimizer[{name!r}] is {type(part).__name__}, no dict.")
    for name, moment in moments.items():
        _require(
            isinstance(moment, np.ndarray),
            f"_optimizer['moments'][{name!r:.80}] is {type(moment).__name__}, no array.",
        )
    _expect(is_rate(options.get("lr")), "the learning rate of _optimizer", options.get("lr"))
    ours = getattr(SOLVERS.get(solver), "optimizer", None)
    if not hasattr(ours, "option_checks"):
        groups = options.get("param_groups")
        _expect(
            isinstance(groups, list | tuple)
            and all(isinstance(g, dict) and not any(map(_has_array, g.values())) for g in groups),
            "_optimizer['options']['param_groups']",
            groups,
        )
        return
    for name, holds in ours.option_checks.items():
        value = options.get(name)
        _expect(holds(value), f"_optimizer['options'][{name!r}]", value)
    _require(
        set(moments) == ours.names_of_moments(options),
        f"the moments of _optimizer are {', '.join(map(str, moments))}.",
    )
    # a user's own activations may have buffers, and so have normalizations
    is_known = all(choice.custom is None for choice in spec.activations)
    is_known &= spec.module is None and spec.normalization != "batch"
    arrays = [*state.get("coefs_", ()), *state.get("intercepts_", ())]
    arrays += state["_state"].values()
    size, dtype = sum(array.size for array in arrays), arrays[0].dtype
    for name, moment in moments.items():
        right = (
            moment.ndim == 1 and moment.dtype.kind == "f" and (moment.size == size or not is_known)
        )
        _require(
            right,
            f"the moment {name!r} of _optimizer is {moment.dtype} of the shape {moment.shape}, and "
            f"there are {size} weights of {dtype}.",
        )
        _require(
            name != "exp_avg_sq" or (moment >= 0).all(),
            "the moment 'exp_avg_sq' of _optimizer has negative values.",
        )


def _has_array(value):
    return isinstance(value, np.ndarray)


def _check_ensemble(state, estimator_class):
    members = state["estimators_"]
    _require(
        isinstance(members, list) and members and all(type(m) is estimator_class for m in members),
        f"estimators_ is no list of {estimator_class.__name__}.",
    )
    specs = [vars(member).get("_spec") for member in members]
    _require(None not in specs, "estimators_ has members that are not fitted.")
    forms = {(spec.n_features, spec.n_outputs, spec.loss) for spec in specs}
    _require(len(forms) == 1, f"estimators_ has networks of several forms: {sorted(forms)}.")
    _require(
        state.get("n_features_in_") == specs[0].n_features,
        f"n_features_in_ is {state.get('n_features_in_')!r:.80}, and its networks take "
        f"{specs[0].n_features} features.",
    )
    if issubclass(estimator_class, ClassifierMixin):
        _check_classes(state, specs[0].n_outputs)


def _check_classes(state, n_outputs):
    """Check the labels of a classifier, one an output."""
    targets, classes = state.get("_targets"), state.get("classes_")
    _expect(
        isinstance(targets, list | tuple)
        and len(targets) == 2
        and isinstance(targets[0], str)
        and targets[0] in KINDS
        and isinstance(targets[1], bool),
        "_targets",
        targets,
    )
    _require(
        isinstance(classes, np.ndarray) and classes.ndim == 1 and len(classes) > 0,
        f"classes_ is no array of labels but {type(classes).__name__}.",
    )
    expected = 1 if targets[0] == "binary" else len(classes)
    _require(
        n_outputs == expected and (targets[0] != "binary" or len(classes) <= 2),
        f"classes_ has {len(classes)} labels for {targets[0]} targets, and its network has "
        f"{n_outputs} outputs.",
    )


def _check_facts(state):
    """Check what predictions depend on besides the network, and what a fit recorded."""
    names = state.get("feature_names_in_")
    if names is not None:
        are_names = isinstance(names, np.ndarray) and all(isinstance(n, str) for n in names.flat)
        _require(
            are_names and names.shape == (state["n_features_in_"],),
            f"feature_names_in_ has not one name for each of {state['n_features_in_']} features.",
        )
    spec = state["_spec"] if "_spec" in state else vars(state["estimators_"][0])["_spec"]
    layers = ["n_layers_"] if spec.module is None else []
    for name in (*layers, "n_outputs_", "n_iter_", "t_"):
        _expect(_is_count(state.get(name)), name, state.get(name))
    for name in ("loss_curve_", "validation_scores_"):
        curve = state.get(name)
        is_curve = isinstance(curve, list) and all(map(_is_float, curve))
        _expect(curve is None or is_curve, name, curve)
    for name in ("loss_", "best_loss_", "best_validation_score_"):
        _expect(state.get(name) is None or _is_float(state[name]), name, state.get(name))
    n_bad = state.get("_no_improvement_count", 0)
    _expect(_is_count(n_bad), "_no_improvement_count", n_bad)
    has_moments = "_optimizer" in state
    partly = state.get("_partly_fitted", not has_moments)
    _expect(isinstance(partly, bool) and (partly or not has_moments), "_partly_fitted", partly)
    precision = state.get("matmul_precision")
    is_known = _is_text(precision) and precision in ("highest", "high", "medium")
    _expect(is_known, "matmul_precision", precision)
    try:
        torch.device(state.get("_device"))
    except (TypeError, RuntimeError) as error:
        raise ValueError(f"_device is {state.get('_device')!r:.80}.") from error


def _built_history(state):
    columns = state.get("history_")
    is_table = isinstance(columns, dict) and all(isinstance(c, list) for c in columns.values())
    _require(is_table, f"history_ is no dict of lists but {type(columns).__name__}.")
    lengths = {len(column) for column in columns.values()}
    _require(len(lengths) <= 1, f"history_ has columns of several lengths: {sorted(lengths)}.")
    return from_columns(columns)


def _is_float(value):
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_count(value):
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= 0
