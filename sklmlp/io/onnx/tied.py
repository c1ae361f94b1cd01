"""A fitted TiedNetwork in ONNX's operators: the matrices of all members, and their average."""

import math

import numpy as np

from sklmlp.io.onnx.layers import NotInOnnx, softplus
from sklmlp.nn import part_state


def tied_logits(graph, x, network):
    """Add a fitted `TiedNetwork` to a graph, as `layers.logits` adds layers.

    What it returns are the logits of the members' averaged prediction.
    """
    state = {name: np.asarray(value) for name, value in network.state.items()}
    h = _inputs(graph, x, network, state)
    for i in range(len({name.split(".")[1] for name in state if name.startswith("layers.")})):
        layer = part_state(state, f"layers.{i}")
        # W_i = diag(r_i) W diag(s_i), (k, n_in, n_out)
        matrices = layer["r"][:, :, None] * layer["weight"] * layer["s"][:, None]
        z = graph("Add", graph("MatMul", h, matrices), layer["bias"][:, None])
        h = graph("Relu", z)  # (k, n, n_out)
    z = graph("Add", graph("MatMul", h, state["head"]), state["head_bias"])
    average = network.spec.module_params.get("average", "identity")
    if average not in AVERAGES:
        raise NotInOnnx(
            f"to_onnx has no operators for the average {average!r} of members. It has for "
            f"{', '.join(sorted(AVERAGES))}."
        )
    return AVERAGES[average](graph, z, len(state["head"]))


def _inputs(graph, x, network, state):
    """Return what goes into the first layer: embeddings of numbers and levels, then columns."""
    front, levels = part_state(state, "front"), part_state(state, "levels")
    inputs = []
    if front:
        inputs.append(_embedded_numbers(graph, x, front))
    if levels:
        n_plain = network.spec.n_features - (len(levels["first"]) - 1)
        codes = graph("Gather", x, np.arange(n_plain, network.spec.n_features), axis=1)
        inputs.append(_vectors(graph, codes, **levels))
        x = graph("Gather", x, np.arange(n_plain), axis=1)
    return graph("Concat", *inputs, x, axis=1) if inputs else x


def _embedded_numbers(graph, x, front):
    """Return embeddings of the first columns, (n, F size)."""
    kinds = [part_state(front, kind) for kind in ("piecewise", "periodic")]
    kinds = [kind for kind in kinds if kind] or [front]
    n_numbers = len(kinds[0]["bias"])
    numbers = graph("Gather", x, np.arange(n_numbers), axis=1)
    numbers = graph("Unsqueeze", graph("Transpose", numbers, perm=[1, 0]), np.array([2]))
    embedded = [_embedded(graph, numbers, kind) for kind in kinds]  # (F, n, size)
    size = sum(kind["bias"].shape[2] for kind in kinds)
    rows = embedded[0] if len(embedded) == 1 else graph("Concat", *embedded, axis=2)
    rows = graph("Transpose", rows, perm=[1, 0, 2])
    return graph("Reshape", rows, np.array([-1, n_numbers * size]))


def _vectors(graph, codes, first, vectors):
    """Return the vectors of codes, (n, n_categories), side by side."""
    first = first.astype(np.int64)
    codes = graph.cast(codes, np.int64)
    is_level = graph(
        "And",
        graph("GreaterOrEqual", codes, np.array([0])),
        graph("Less", codes, np.diff(first)),
    )
    rows = graph("Where", is_level, graph("Add", codes, first[:-1]), first[-1:])
    with_zeros = np.concatenate([vectors, np.zeros_like(vectors[:1])])
    width = (len(first) - 1) * vectors.shape[1]
    return graph("Reshape", graph("Gather", with_zeros, rows, axis=0), np.array([-1, width]))


def _embedded(graph, numbers, front):
    """Return embeddings of numbers, (F, n, 1), as `sklmlp.nn` computes them."""
    if front.keys() == {"left", "per_width", "weight", "bias", "bins"}:
        parts = graph("Mul", graph("Sub", numbers, front["left"]), front["per_width"])  # (F, n, T)
        parts = graph("Min", graph("Max", parts, 0.0), 1.0)
        line = graph("Add", graph("Mul", numbers, front["weight"]), front["bias"])
        return graph("Add", line, graph("MatMul", parts, front["bins"]))
    if front.keys() == {"frequencies", "phases", "weight", "bias"}:
        angles = graph("Mul", numbers, 2 * math.pi * front["frequencies"])
        waves = graph("Cos", graph("Add", angles, front["phases"]))
        return graph("Add", graph("MatMul", waves, front["weight"]), front["bias"])
    raise NotInOnnx(
        f"to_onnx has no operators for embeddings of numbers that learn {sorted(front)}."
    )


# The logits of averaged predictions, as in `sklmlp.nn.tied`


def _mean(graph, z, k):
    return graph("ReduceMean", z, axes=[0], keepdims=0)


def _log_mean_exp(graph, z, k):
    """Return log(mean(exp(z))) over members, without overflow."""
    top = graph("ReduceMax", z, axes=[0], keepdims=1)
    total = graph("ReduceSum", graph("Exp", graph("Sub", z, top)), np.array([0]), keepdims=0)
    return graph(
        "Add",
        graph("Sub", graph("Log", total), math.log(k)),
        graph("Squeeze", top, np.array([0])),
    )


def _softmax(graph, z, k):
    return _log_mean_exp(graph, graph("LogSoftmax", z, axis=-1), k)


def _logistic(graph, z, k):
    yes = _log_mean_exp(graph, graph("Neg", softplus(graph, graph("Neg", z))), k)
    no = _log_mean_exp(graph, graph("Neg", softplus(graph, z)), k)
    return graph("Sub", yes, no)


def _gaussian(graph, z, k):
    # means alone: predictions are made of them
    return _mean(graph, z, k)


AVERAGES = {
    "identity": _mean,
    "softmax": _softmax,
    "logistic": _logistic,
    "exp": _log_mean_exp,
    "gaussian": _gaussian,
}
"""As `sklmlp.nn.tied.AVERAGES`, of the logits of k members, (k, n, n_outputs)."""
