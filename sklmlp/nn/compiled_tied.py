"""A `TiedNetwork` as a plan of the compiled engine."""

import inspect
from itertools import accumulate, pairwise

import numpy as np

from sklmlp import native
from sklmlp.nn.tied import TiedNetwork


def is_compilable_tied(spec):
    """Return whether the module of a spec is a `TiedNetwork` that the engine knows.

    Its embeddings are piecewise-linear. The edges of bins rise, and those that fill up a column's
    row come last.
    """
    if spec.module is not TiedNetwork:
        return False
    arguments = _arguments(spec)
    if arguments["numeric_embedding"] != "piecewise":
        return False
    width = np.diff(np.asarray(arguments["edges"], dtype=np.float32), axis=1)
    is_bin = width > 0
    return bool((width >= 0).all() and (is_bin[:, :-1] >= is_bin[:, 1:]).all())


def _arguments(spec):
    """Return what the module is constructed with."""
    bound = inspect.signature(TiedNetwork).bind(
        spec.n_features, spec.n_outputs, **spec.module_params
    )
    bound.apply_defaults()
    return bound.arguments


def tied_sizes(spec):
    """List what the module learns by name, in the order of `Network.flat`, and how many numbers."""
    arguments = _arguments(spec)
    k, size = arguments["n_members"], arguments["embedding_size"]
    (n_numbers, n_bins), (n_categories, n_levels) = _numbers(arguments), _categories(arguments)
    *hidden, last = _shapes(spec, arguments)
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


def _numbers(arguments):
    """Return how many numbers are embedded, and the bins of each."""
    n_numbers, n_edges = np.shape(arguments["edges"])
    return n_numbers, n_edges - 1


def _categories(arguments):
    """Return how many categories are codes, and the levels of all."""
    return len(arguments["n_levels"]), int(np.sum(arguments["n_levels"]))


def _shapes(spec, arguments):
    """List (fan in, fan out) of each affine map, of one member."""
    n_numbers, n_categories = _numbers(arguments)[0], _categories(arguments)[0]
    n_embedded = (n_numbers + n_categories) * arguments["embedding_size"]
    n_in = spec.n_features - n_categories + n_embedded
    widths = [int(width) for width in (n_in, *arguments["hidden_layer_sizes"], spec.n_outputs)]
    return list(pairwise(widths))


def tied_buffers(spec):
    """List the module's constants by name, in the order of the plan, and how many numbers."""
    arguments = _arguments(spec)
    (n_numbers, n_bins), (n_categories, _) = _numbers(arguments), _categories(arguments)
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
    arguments, sizes, buffers = _arguments(spec), tied_sizes(spec), tied_buffers(spec)
    at, layers = _offsets(sizes) | _offsets(buffers), []
    *hidden, last = _shapes(spec, arguments)
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
        *_numbers(arguments),
        arguments["embedding_size"],
        *_categories(arguments),
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
