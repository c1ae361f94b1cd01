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
    k, front = arguments["n_members"], _front(arguments)
    *hidden, last = _shapes(spec, arguments)
    sizes = {"head": k * last[0] * last[1], "head_bias": k * last[1]}
    if front is not None:
        n_numbers, n_bins, size = front
        sizes |= {"front.weight": n_numbers * size, "front.bias": n_numbers * size}
        sizes["front.bins"] = n_numbers * n_bins * size
    for i, (fan_in, fan_out) in enumerate(hidden):
        sizes[f"layers.{i}.weight"] = fan_in * fan_out
        sizes |= {f"layers.{i}.r": k * fan_in, f"layers.{i}.s": k * fan_out}
        sizes[f"layers.{i}.bias"] = k * fan_out
    return sizes


def _front(arguments):
    """Return the numbers that are embedded, the bins of each, and the length of an embedding."""
    n_numbers, n_edges = np.shape(arguments["edges"])
    return (n_numbers, n_edges - 1, arguments["embedding_size"]) if n_numbers else None


def _shapes(spec, arguments):
    """List (fan in, fan out) of each affine map, of one member."""
    front = _front(arguments)
    widths = [spec.n_features, *arguments["hidden_layer_sizes"], spec.n_outputs]
    if front is not None:
        widths[0] += front[0] * front[2]
    widths = [int(width) for width in widths]
    return list(pairwise(widths))


def tied_buffers(spec):
    """List the module's constants by name, in the order of the plan, and how many numbers."""
    front = _front(_arguments(spec))
    n = 0 if front is None else front[0] * front[1]
    return {"front.left": n, "front.per_width": n} if n else {}


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
    arguments, sizes = _arguments(spec), tied_sizes(spec)
    ends = accumulate(sizes.values())
    at = {name: end - n for (name, n), end in zip(sizes.items(), ends, strict=True)}
    front, layers = _front(arguments), []
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
    if front is not None:
        learned = [at[f"front.{name}"] for name in ("weight", "bias", "bins")]
        front = native.Front(*front, *learned, left=0, per_width=front[0] * front[1])
    return native.Plan(
        is_double=is_double,
        n_features=spec.n_features,
        n_outputs=spec.n_outputs,
        n_parameters=sum(sizes.values()),
        n_coefs=sum(sizes.values()),
        layers=layers,
        n_buffers=sum(tied_buffers(spec).values()),
        n_members=arguments["n_members"],
        average=arguments["average"],
        front=front,
        **loss,
    )
