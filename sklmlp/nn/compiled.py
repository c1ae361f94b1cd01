"""Networks as plans of the compiled engine."""

import inspect
from itertools import accumulate, pairwise

import numpy as np

from sklmlp import native
from sklmlp.nn.builder import part_name
from sklmlp.nn.layers import EPSILON
from sklmlp.nn.tied import TiedNetwork

WITHOUT_EFFECT = {"inplace", "init", "num_parameters", "approximate"}
"""Arguments of torch's activations that the engine need not know, or that name another operator."""


def can_compile(spec):
    """Return whether the compiled engine is there and knows all parts of a network.

    Parameters
    ----------
    spec : Spec
    """
    return (
        native.is_available()
        and (spec.module is None or is_compilable_tied(spec))
        and _loss(spec)[0] is not None
        and all(_activation(choice) is not None for choice in spec.activations)
    )


def _activation(choice):
    """Return the name of the engine's operator of an activation, and its arguments; or None."""
    if choice.custom is not None or choice.entry.compiled is None:
        return None
    arguments, name = choice.entry.filled(choice.arguments), choice.entry.compiled
    if arguments.get("approximate") == "tanh":
        name = f"{name}_tanh"
    known = native.activations()[name][1]
    others = {key: value for key, value in arguments.items() if key not in known}
    if any(key not in WITHOUT_EFFECT and value not in (None, -1) for key, value in others.items()):
        return None  # another axis than the last, -1
    return name, {key: arguments[key] for key in known}


def _loss(spec):
    """Return the name of the engine's operator of the loss, or None, and its arguments."""
    name, arguments = spec.compiled_loss
    if name == "huber" and not isinstance(arguments["huber_delta"], list):
        arguments = {"huber_delta": [arguments["huber_delta"]] * spec.n_outputs}
    if name == "quantile" and isinstance(arguments["quantile"], list):
        return "quantiles", {"quantile": sorted(arguments["quantile"])}
    return name, arguments


def learned_sizes(spec):
    """List what a network learns by name, in the order of `Network.flat`, and how many numbers.

    Parameters
    ----------
    spec : Spec

    Returns
    -------
    sizes : dict of str to int
        `coefs_i`, projections, `intercepts_i`, slopes, and what normalizations learn.
    n_coefs : int
        How many of the numbers, from the start, are in matrices.
    """
    shapes, hidden = spec.shapes, range(len(spec.hidden))
    sizes = {f"coefs_{i}": fan_in * fan_out for i, (fan_in, fan_out) in enumerate(shapes)}
    for i in hidden:
        if spec.residual and shapes[i][0] != spec.hidden[i]:
            sizes[_name(spec, "projection", i, "weight")] = shapes[i][0] * spec.hidden[i]
    n_coefs = sum(sizes.values())
    sizes |= {f"intercepts_{i}": fan_out for i, (_, fan_out) in enumerate(shapes)}
    for i in hidden:
        choice = spec.activations[i]
        if choice.entry.compiled == "prelu":
            n = choice.entry.filled(choice.arguments)["num_parameters"]
            n = spec.hidden[i] if n == "per_unit" else n
            sizes[_name(spec, "activation", i, "weight")] = n
    for i in hidden if spec.normalization else ():
        for key in ("weight",) if spec.normalization == "rms" else ("weight", "bias"):
            sizes[_name(spec, "normalization", i, key)] = shapes[i][1]
    return sizes, n_coefs


def _name(spec, kind, i, key):
    return f"{part_name(kind, i, spec.residual)}.{key}"


def make_plan(spec, is_double, transposed):
    """Make the plan of a network; see `can_compile`.

    Parameters
    ----------
    spec : Spec
    is_double : bool
        Whether it computes in float64.
    transposed : list of bool
        For each affine map whether its coefs lie in memory as (fan_out, fan_in); a module has none.

    Returns
    -------
    plan : sklmlp.native.Plan
    """
    name, arguments = _loss(spec)
    is_index = native.losses_of_indices()
    n_targets = 0 if name in is_index else spec.n_outputs // spec.loss_function.n_units
    loss = {"loss": name, "loss_arguments": arguments, "n_targets": n_targets}
    if spec.module is not None:
        return tied_plan(spec, is_double, loss)
    sizes, n_coefs = learned_sizes(spec)
    ends = accumulate(sizes.values())
    at = {name: end - n for (name, n), end in zip(sizes.items(), ends, strict=True)}
    statistics = running_statistics(spec)
    buffers = {name: sum(list(statistics.values())[:k]) for k, name in enumerate(statistics)}
    layers = []
    for i, (fan_in, units) in enumerate(spec.shapes):
        layer = {"fan_in": fan_in, "units": units, "width": units}
        layer |= {"is_stored_transposed": transposed[i]}
        layer |= {"coefs": at[f"coefs_{i}"], "intercepts": at[f"intercepts_{i}"]}
        if i < len(spec.hidden):
            layer |= _hidden_layer(spec, i, at, sizes, buffers)
        layers.append(native.Layer(**layer))
    return native.Plan(
        is_double=is_double,
        n_features=spec.width_in,
        n_outputs=spec.n_outputs,
        n_parameters=sum(sizes.values()),
        n_coefs=n_coefs,
        layers=layers,
        n_buffers=sum(statistics.values()),
        **loss,
    )


def running_statistics(spec):
    """List the running statistics of batch normalization by name, and how many numbers."""
    if spec.normalization != "batch":
        return {}
    return {
        _name(spec, "normalization", i, key): spec.shapes[i][1]
        for i in range(len(spec.hidden))
        for key in ("running_mean", "running_var")
    }


def _hidden_layer(spec, i, at, sizes, buffers):
    """Return the parts of a hidden layer besides its affine map."""
    name, arguments = _activation(spec.activations[i])
    slopes = _name(spec, "activation", i, "weight")
    layer = {
        "width": spec.hidden[i],
        "activation": name,
        "arguments": arguments,
        "slopes": at.get(slopes),
        "n_slopes": sizes.get(slopes, 0),
        "dropout": spec.dropout[i] if spec.dropout else 0.0,
        "normalization": native.NORMALIZATIONS[spec.normalization],
        "epsilon": EPSILON,
        "scale": at.get(_name(spec, "normalization", i, "weight")),
        "shift": at.get(_name(spec, "normalization", i, "bias")),
        "mean": buffers.get(_name(spec, "normalization", i, "running_mean")),
        "variance": buffers.get(_name(spec, "normalization", i, "running_var")),
    }
    if spec.residual:
        projection = at.get(_name(spec, "projection", i, "weight"))
        kind = "identity" if projection is None else "projection"
        layer |= {"skip": native.SKIPS[kind], "projection": projection}
    return layer


def make_model(spec, weights):
    """Make what computes predictions over arrays of weights, which it shares.

    Parameters
    ----------
    spec : Spec
        One that `can_compile`.
    weights : Weights
        Contiguous in C's or Fortran's order, of float32 or float64.

    Returns
    -------
    model : sklmlp.native.Model
        Rows to logits.
    """
    if spec.module is not None:
        state, sizes, buffers = weights.state, tied_sizes(spec), tied_buffers(spec)
        buffers = np.concatenate([state[name].ravel() for name in buffers]) if buffers else None
        plan = make_plan(spec, state["head"].dtype == np.float64, [])
        return native.Model(plan, [state[name] for name in sizes], buffers)
    sizes, _ = learned_sizes(spec)
    arrays = {f"coefs_{i}": coef for i, coef in enumerate(weights.coefs)}
    arrays |= {f"intercepts_{i}": each for i, each in enumerate(weights.intercepts)}
    arrays |= weights.state or {}
    transposed = [not coef.flags.c_contiguous for coef in weights.coefs]
    plan = make_plan(spec, weights.coefs[0].dtype == np.float64, transposed)
    statistics = [arrays[name] for name in running_statistics(spec)]
    buffers = np.concatenate(statistics) if statistics else None
    return native.Model(plan, [arrays[name] for name in sizes], buffers)


# Networks that are tied: `TiedNetwork` -----------------------------------------------------------


def is_compilable_tied(spec):
    """Return whether the module of a spec is a `TiedNetwork` that the engine knows.

    Its embeddings are piecewise-linear. The edges of bins rise, and those that fill up a column's
    row come last.
    """
    if spec.module is not TiedNetwork:
        return False
    arguments = _arguments_of_tied(spec)
    if arguments["numeric_embedding"] != "piecewise":
        return False
    width = np.diff(np.asarray(arguments["edges"], dtype=np.float32), axis=1)
    is_bin = width > 0
    return bool((width >= 0).all() and (is_bin[:, :-1] >= is_bin[:, 1:]).all())


def _arguments_of_tied(spec):
    """Return what the module is constructed with."""
    bound = inspect.signature(TiedNetwork).bind(
        spec.n_features, spec.n_outputs, **spec.module_params
    )
    bound.apply_defaults()
    return bound.arguments


def tied_sizes(spec):
    """List what the module learns by name, in the order of `Network.flat`, and how many numbers."""
    arguments = _arguments_of_tied(spec)
    k, size = arguments["n_members"], arguments["embedding_size"]
    (n_numbers, n_bins), (n_categories, n_levels) = (
        _numbers_of_tied(arguments),
        _categories_of_tied(arguments),
    )
    *hidden, last = _shapes_of_tied(spec, arguments)
    sizes = {"head": k * last[0] * last[1], "head_bias": k * last[1]}
    if n_numbers:
        sizes |= {"front.weight": n_numbers * size, "front.bias": n_numbers * size}
        sizes["front.bins"] = n_numbers * n_bins * size
    if n_categories:
        sizes["levels.vectors"] = n_levels * size
    for i, (fan_in, fan_out) in enumerate(hidden):
        sizes[f"layers.{i}.weight"] = fan_in * fan_out
        sizes |= {f"layers.{i}.r": k * fan_in, f"layers.{i}.s": k * fan_out}
        sizes[f"layers.{i}.bias"] = k * fan_out
    return sizes


def _numbers_of_tied(arguments):
    """Return how many numbers are embedded, and the bins of each."""
    n_numbers, n_edges = np.shape(arguments["edges"])
    return n_numbers, n_edges - 1


def _categories_of_tied(arguments):
    """Return how many categories are codes, and the levels of all."""
    return len(arguments["n_levels"]), int(np.sum(arguments["n_levels"]))


def _shapes_of_tied(spec, arguments):
    """List (fan in, fan out) of each affine map, of one member."""
    n_numbers, n_categories = _numbers_of_tied(arguments)[0], _categories_of_tied(arguments)[0]
    n_embedded = (n_numbers + n_categories) * arguments["embedding_size"]
    n_in = spec.n_features - n_categories + n_embedded
    widths = [int(width) for width in (n_in, *arguments["hidden_layer_sizes"], spec.n_outputs)]
    return list(pairwise(widths))


def tied_buffers(spec):
    """List the module's constants by name, in the order of the plan, and how many numbers."""
    arguments = _arguments_of_tied(spec)
    (n_numbers, n_bins), (n_categories, _) = (
        _numbers_of_tied(arguments),
        _categories_of_tied(arguments),
    )
    sizes = dict.fromkeys(["front.left", "front.per_width"], n_numbers * n_bins)
    sizes["levels.first"] = n_categories + 1 if n_categories else 0
    return {name: n for name, n in sizes.items() if n}


def tied_plan(spec, is_double, loss):
    """Make the plan of a spec that `is_compilable_tied`.

    Parameters
    ----------
    spec : Spec
    is_double : bool
        Whether it computes in float64.
    loss : dict
        What the plan says of the loss.

    Returns
    -------
    plan : sklmlp.native.Plan
    """
    arguments, sizes, buffers = _arguments_of_tied(spec), tied_sizes(spec), tied_buffers(spec)
    at, layers = _offsets(sizes) | _offsets(buffers), []
    *hidden, last = _shapes_of_tied(spec, arguments)
    for i, (fan_in, units) in enumerate(hidden):
        layers.append(
            native.Layer(
                *(fan_in, units, units, at[f"layers.{i}.weight"], at[f"layers.{i}.bias"]),
                activation="relu",
                dropout=arguments["dropout"],
                scales_in=at[f"layers.{i}.r"],
                scales_out=at[f"layers.{i}.s"],
            )
        )
    layers.append(native.Layer(*last, last[1], at["head"], at["head_bias"]))
    learned = {name.split(".")[1]: at[name] for name in at if name.startswith(("front", "levels"))}
    front = native.Front(
        *_numbers_of_tied(arguments),
        arguments["embedding_size"],
        *_categories_of_tied(arguments),
        **learned,
    )
    return native.Plan(
        is_double=is_double,
        n_features=spec.n_features,
        n_outputs=spec.n_outputs,
        n_parameters=sum(sizes.values()),
        n_coefs=sum(sizes.values()),
        layers=layers,
        n_buffers=sum(buffers.values()),
        n_members=arguments["n_members"],
        average=arguments["average"],
        front=front,
        **loss,
    )


def _offsets(sizes):
    """Return where each name begins in one array of all."""
    ends = accumulate(sizes.values())
    return {name: end - n for (name, n), end in zip(sizes.items(), ends, strict=True)}
