"""What a state must be before a model is built of it: types, shapes and finite numbers.

A file may have been damaged or made up. Nothing here allocates more than the state itself holds.
"""

import functools
import inspect
from numbers import Integral, Real

import numpy as np
import torch

from sklmlp.io.state import records, spec_from_portable
from sklmlp.losses import LOSSES
from sklmlp.nn import learned_shapes

KINDS = ("binary", "multiclass", "multilabel-indicator")


class Refused(ValueError):
    """Why a state is no model; `unstamped` and `checked` say whose."""


def checked(state, estimator):
    """A state as `estimator` keeps it in memory, once all of it has proved to be sound.

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
        if "_spec" in state:
            state = _with_network(state)
        elif "estimators_" in state:
            _check_ensemble(state, type(estimator))
        if "_spec" in state or "estimators_" in state:
            _check_facts(state)
    except Refused as why:
        name = type(estimator).__name__
        raise ValueError(f"This state of {name} cannot be loaded: {why}") from why.__cause__
    return _defaults(type(estimator)) | state


@functools.cache
def _defaults(estimator_class):
    parameters = inspect.signature(estimator_class.__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _demand(condition, message):
    if not condition:
        raise Refused(message)


def _check_names(state, estimator_class):
    """No entry may stand in front of a method or a property."""
    for name in state:
        there = getattr(estimator_class, name, None)
        _demand(
            not (callable(there) or isinstance(there, property)),
            f"its entry {name!r} would hide what {estimator_class.__name__} itself calls so.",
        )


def _with_network(state):
    """A single network's state with its spec and history built."""
    spec = _built_spec(state)
    _demand(
        _is_count(state.get("n_features_in_")) and state["n_features_in_"] == spec.n_features,
        f"n_features_in_ is {state.get('n_features_in_')!r:.80}, and its network takes "
        f"{spec.n_features} features.",
    )
    if spec.module is None:
        shapes = spec.shapes
        biases = [(fan_out,) for _, fan_out in shapes]
        _check_arrays("coefs_", state.get("coefs_"), shapes)
        _check_arrays("intercepts_", state.get("intercepts_"), biases)
    _check_extras(state.get("_extras"), spec)
    if "_targets" in state:
        _check_classes(state, spec.n_outputs)
    if "_optimizer" in state:
        _check_optimizer(state, spec)
    return state | {"_spec": spec, "history_": _built_history(state)}


def _built_spec(state):
    plain = state["_spec"]
    _demand(isinstance(plain, dict), f"_spec is no dict but {type(plain).__name__}.")
    for name in ("n_features", "n_outputs"):
        number = plain.get(name)
        _demand(_is_count(number) and number > 0, f"_spec[{name!r}] is {number!r:.80}.")
    hidden, activations = plain.get("hidden"), plain.get("activations")
    for name, value in (("hidden", hidden), ("activations", activations)):
        _demand(isinstance(value, list | tuple), f"_spec[{name!r}] is {value!r:.80}.")
    _demand(
        len(hidden) == len(activations),
        f"_spec has {len(hidden)} hidden layers and {len(activations)} activations.",
    )
    _demand(
        all(_is_count(width) and width > 0 for width in hidden),
        f"_spec['hidden'] is {hidden!r:.80}.",
    )
    loss = plain.get("loss")
    _demand(isinstance(loss, str) and loss in LOSSES, f"_spec['loss'] is {loss!r:.80}.")
    try:
        spec = spec_from_portable(plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise Refused(f"its _spec describes no network: {error}") from error
    if spec.scaling is not None:
        n_targets = spec.n_outputs / spec.loss_function.n_units
        _demand(
            "_targets" not in state and len(spec.scaling.scale) == n_targets,
            f"_spec['scaling'] is for {len(spec.scaling.scale)} targets, and its network has "
            f"{spec.n_outputs} outputs for the loss {loss!r}.",
        )
    return spec


def _check_arrays(name, arrays, shapes):
    """One array of finite numbers for each affine map."""
    _demand(isinstance(arrays, list | tuple), f"{name} is no list but {type(arrays).__name__}.")
    _demand(len(arrays) == len(shapes), f"{name} has {len(arrays)} arrays, not {len(shapes)}.")
    for i, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
        _check_numbers(f"{name}[{i}]", array)
        got = getattr(array, "shape", None)
        _demand(got == shape, f"{name}[{i}] has the shape {got}, and its network asks for {shape}.")


def _check_numbers(name, value):
    """Finite numbers, plain values, and lists and dicts of them."""
    if isinstance(value, np.ndarray):
        _demand(value.dtype.kind in "fiub", f"{name} has the dtype {value.dtype}.")
        _demand(np.isfinite(value).all(), f"{name} has values that are not finite.")
    elif isinstance(value, dict | list | tuple):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in parts:
            _check_numbers(f"{name}[{key!r:.80}]", part)
    else:
        plain = value is None or isinstance(value, str | Real)
        _demand(plain, f"{name} is neither a number nor an array but {type(value).__name__}.")


def _check_extras(extras, spec):
    """What activations have learnt, in the shapes that they would learn it in."""
    _demand(
        isinstance(extras, list | tuple) and all(isinstance(each, dict) for each in extras),
        f"_extras is no list of dicts but {type(extras).__name__}.",
    )
    for i, learned in enumerate(extras if spec.module is None else ()):  # buffers may be anything
        for name, array in learned.items():
            _check_numbers(f"_extras[{i}][{name!r:.80}]", array)
    try:
        expected = learned_shapes(spec)
    except Exception as error:  # torch raises what it likes for arguments that it dislikes
        raise Refused(f"its _spec describes no network: {error}") from error
    _demand(
        len(extras) == len(expected), f"_extras has {len(extras)} entries, not {len(expected)}."
    )
    for i, (shapes, learned) in enumerate(zip(expected, extras, strict=True)):
        got = {name: np.shape(array) for name, array in learned.items()}
        _demand(
            shapes is None or got == shapes,
            f"_extras[{i}] has the shapes {got}, and its layer learns {shapes}.",
        )


def _check_optimizer(state, spec):
    """What an incremental learner goes on with: numbers, as many as there are weights."""
    optimizer = state["_optimizer"]
    _demand(isinstance(optimizer, dict), f"_optimizer is {type(optimizer).__name__}, no dict.")
    _check_numbers("_optimizer", optimizer)
    moments = optimizer.get("moments")
    is_known = all(choice.own is None for choice in spec.activations)  # others may have buffers
    is_known &= spec.module is None and spec.normalization != "batch"
    if optimizer.get("solver") in ("adam", "sgd") and is_known:
        learned = [array for each in state["_extras"] for array in each.values()]
        size = sum(array.size for array in [*state["coefs_"], *state["intercepts_"], *learned])
        shapes = {np.shape(moment) for moment in moments.values()} if moments else set()
        _demand(
            shapes <= {(size,)},
            f"the moments of _optimizer have the shapes {shapes}, and there are {size} weights.",
        )


def _check_ensemble(state, estimator_class):
    members = state["estimators_"]
    _demand(
        isinstance(members, list) and members and all(type(m) is estimator_class for m in members),
        f"estimators_ is no list of {estimator_class.__name__}.",
    )
    specs = [vars(member).get("_spec") for member in members]
    _demand(None not in specs, "estimators_ has members that are not fitted.")
    forms = {(spec.n_features, spec.n_outputs, spec.loss) for spec in specs}
    _demand(len(forms) == 1, f"estimators_ has networks of several forms: {sorted(forms)}.")
    _demand(
        state.get("n_features_in_") == specs[0].n_features,
        f"n_features_in_ is {state.get('n_features_in_')!r:.80}, and its networks take "
        f"{specs[0].n_features} features.",
    )
    if "_targets" in state:
        _check_classes(state, specs[0].n_outputs)


def _check_classes(state, n_outputs):
    """The labels of a classifier, one an output."""
    targets, classes = state["_targets"], state.get("classes_")
    _demand(
        isinstance(targets, list | tuple) and len(targets) == 2 and targets[0] in KINDS,
        f"_targets is {targets!r:.80}.",
    )
    _demand(
        isinstance(classes, np.ndarray) and classes.ndim == 1 and len(classes) > 0,
        f"classes_ is no array of labels but {type(classes).__name__}.",
    )
    expected = 1 if targets[0] == "binary" else len(classes)
    _demand(
        n_outputs == expected and (targets[0] != "binary" or len(classes) <= 2),
        f"classes_ has {len(classes)} labels for {targets[0]} targets, and its network has "
        f"{n_outputs} outputs.",
    )


def _check_facts(state):
    """What the answers depend on beside the network, and what a fit wrote down."""
    names = state.get("feature_names_in_")
    if names is not None:
        are_names = isinstance(names, np.ndarray) and all(isinstance(n, str) for n in names.flat)
        _demand(
            are_names and names.shape == (state["n_features_in_"],),
            f"feature_names_in_ has not one name for each of {state['n_features_in_']} features.",
        )
    spec = state["_spec"] if "_spec" in state else vars(state["estimators_"][0])["_spec"]
    layers = ["n_layers_"] if spec.module is None else []
    for name in (*layers, "n_outputs_", "n_iter_", "t_"):
        _demand(_is_count(state.get(name)), f"{name} is {state.get(name)!r:.80}.")
    for name in ("loss_curve_", "validation_scores_"):
        _check_numbers(name, state.get(name))
    precision = state.get("matmul_precision")
    _demand(
        isinstance(precision, str) and precision in ("highest", "high", "medium"),
        f"matmul_precision is {precision!r:.80}.",
    )
    try:
        torch.device(state.get("_device"))
    except (TypeError, RuntimeError) as error:
        raise Refused(f"_device is {state.get('_device')!r:.80}.") from error


def _built_history(state):
    columns = state.get("history_")
    is_table = isinstance(columns, dict) and all(isinstance(c, list) for c in columns.values())
    _demand(is_table, f"history_ is no dict of lists but {type(columns).__name__}.")
    lengths = {len(column) for column in columns.values()}
    _demand(len(lengths) <= 1, f"history_ has columns of several lengths: {sorted(lengths)}.")
    return records(columns)


def _is_count(value):
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= 0
