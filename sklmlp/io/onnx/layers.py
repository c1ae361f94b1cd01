"""A network as nodes of an ONNX graph: the graph, and its layers by one table of activations.

Only operators that onnxruntime has for float64 too; where it has none, values pass through float32.
"""

import math
from dataclasses import fields

import numpy as np

from sklmlp.kernels import SELU_ALPHA, SELU_SCALE
from sklmlp.nn import EPSILON, part_name, part_state

OPSET, ML_OPSET, IR_VERSION = 17, 3, 8
"""What onnxruntime reads since its version 1.12."""


class NotInOnnx(ValueError):
    """Something that there are no operators or types for."""


class Graph:
    """Nodes and constants that compute in one floating dtype.

    Calling it with the name of an operator adds a node and gives the name of its result.

    Parameters
    ----------
    dtype : numpy.dtype
        float32 or float64: what constants are made of.
    unique : callable, default=None
        Any name to one that is not taken yet; None counts.

    Attributes
    ----------
    nodes : list of (operator, inputs, output, attributes)
    constants : list of (name, ndarray)
    """

    def __init__(self, dtype, unique=None):
        self.dtype, self.nodes, self.constants = np.dtype(dtype), [], []
        self._unique = unique or (lambda name: f"{name}_{len(self.nodes) + len(self.constants)}")

    def __call__(self, operator, *inputs, output=None, **attributes):
        """Add a node; inputs that are numbers or arrays become constants."""
        inputs = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        output = output or self._unique(operator)
        self.nodes.append((operator, inputs, output, attributes))
        return output

    def constant(self, value, as_it_is=False):
        """Return the name of a constant: floats in the graph's dtype, other arrays as they are."""
        array = np.asarray(value)
        if array.dtype.kind == "f" and not as_it_is:
            array = array.astype(self.dtype)
        name = self._unique("constant")
        self.constants.append((name, array))
        return name

    def cast(self, name, dtype, output=None):
        """Return the values in another NumPy dtype."""
        from onnx import helper

        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self("Cast", name, to=to, output=output)


def as_model(graph, inputs, outputs):
    """Return an ONNX model of a graph.

    Parameters
    ----------
    graph : Graph
    inputs : list of (name, numpy.dtype, width)
        Each is (n, width).
    outputs : list of ValueInfoProto
    """
    from onnx import checker, helper, numpy_helper

    inputs = [
        helper.make_tensor_value_info(name, element_type(dtype), [None, width])
        for name, dtype, width in inputs
    ]
    nodes = [
        helper.make_node(
            operator, inputs, [output], domain=domain_of(operator), name=f"{operator}_{i}", **more
        )
        for i, (operator, inputs, output, more) in enumerate(graph.nodes)
    ]
    constants = [numpy_helper.from_array(array, name) for name, array in graph.constants]
    body = helper.make_graph(nodes, "sklmlp", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", OPSET)]
    if any(domain_of(operator) for operator, *_ in graph.nodes):
        opsets.append(helper.make_opsetid("ai.onnx.ml", ML_OPSET))
    model = helper.make_model(
        body, opset_imports=opsets, ir_version=IR_VERSION, producer_name="sklmlp"
    )
    checker.check_model(model)
    return model


def domain_of(operator):
    """Return the domain of an operator in ONNX."""
    return "ai.onnx.ml" if operator in ("LabelEncoder", "ZipMap") else ""


def element_type(dtype):
    """Return ONNX's number for a NumPy dtype; text of any length is one."""
    from onnx import helper

    dtype = np.dtype(dtype)
    return helper.np_dtype_to_tensor_dtype(np.dtype(object) if dtype.kind == "U" else dtype)


def logits(graph, x, network):
    """Add a fitted network to a graph: rows to logits.

    Parameters
    ----------
    graph : Graph
        In the network's dtype.
    x : str
        The name of the rows, (n, n_features), in that dtype.
    network : FittedNetwork

    Returns
    -------
    z : str
        The name of the logits, (n, n_outputs).

    Raises
    ------
    ValueError
        If the network has a part that ONNX has no operators for; the message names it.
    """
    spec = network.spec
    _refuse_what_is_unknown(spec)
    affine, state = list(zip(network.coefs, network.intercepts, strict=True)), network.state
    for i, (choice, width) in enumerate(zip(spec.activations, spec.hidden, strict=True)):
        activation, normalization, projection = (
            part_state(state, part_name(kind, i, spec.residual))
            for kind in ("activation", "normalization", "projection")
        )
        coef, intercept = affine[i]
        z = graph("Add", graph("MatMul", x, np.asarray(coef)), np.asarray(intercept))
        if spec.normalization:
            z = NORMALIZATIONS[spec.normalization](graph, z, normalization)
        h = _activation(graph, z, choice, width, activation)
        x = _add_skip(graph, x, h, projection) if spec.residual else h
    coef, intercept = affine[-1]
    return graph("Add", graph("MatMul", x, np.asarray(coef)), np.asarray(intercept))


NO_PART_OF_PREDICTION = {
    *("n_features", "n_outputs", "hidden", "activations", "loss", "loss_params", "dropout"),
    *("normalization", "residual", "scaling"),
}
"""Entries of a spec that this file handles, or that leave predictions alone."""


def _refuse_what_is_unknown(spec):
    for field in fields(spec):
        name, value = field.name, getattr(spec, field.name)
        if name not in NO_PART_OF_PREDICTION and value not in (None, False, (), {}):
            raise NotInOnnx(f"to_onnx has no operators for a network with {name}={value!r}.")


def _add_skip(graph, x, h, projection):
    """Add a layer's input, projected where the widths differ, to its output."""
    if projection:
        x = graph("MatMul", x, np.asarray(projection["weight"]).T)
    return graph("Add", x, h)


def _batch(g, z, learned):
    scale = learned["weight"] / np.sqrt(learned["running_var"] + EPSILON)
    shift = learned["bias"] - learned["running_mean"] * scale
    return g("Add", g("Mul", z, scale), shift)


def _layer(g, z, learned):
    z = g("Sub", z, _mean_of_units(g, z, learned))
    return g("Add", _rms(g, z, learned), learned["bias"])


def _rms(g, z, learned):
    size = g("Sqrt", g("Add", _mean_of_units(g, g("Mul", z, z), learned), EPSILON))
    return g("Mul", g("Div", z, size), learned["weight"])


def _mean_of_units(g, z, learned):
    width = len(learned["weight"])
    return g("MatMul", z, np.full((width, 1), 1 / width))


NORMALIZATIONS = {"batch": _batch, "layer": _layer, "rms": _rms}
"""Normalizations as in prediction, of pre-activations and what was learned."""


def _activation(graph, z, choice, width, learned):
    function = ACTIVATIONS.get(choice.name) if choice.custom is None else None
    if function is None:
        raise NotInOnnx(
            f"to_onnx has no operators for the activation {choice.name!r}. It has for "
            f"{', '.join(sorted(ACTIVATIONS))}."
        )
    return function(graph, z, choice.build(width, "meta"), learned)


def _leaky(g, z, slope):
    return g("Add", g("Max", z, 0.0), g("Mul", g("Min", z, 0.0), slope))


def _clip(g, z, low, high):
    return g("Min", g("Max", z, low), high)


def _exp_minus_1(g, z):
    return g("Sub", g("Exp", z), 1.0)


def _elu(g, z, alpha):
    negative = g("Mul", _exp_minus_1(g, g("Min", z, 0.0)), alpha)
    return g("Where", g("Greater", z, 0.0), z, negative)


def _celu(g, z, m, _):
    bent = g("Mul", _exp_minus_1(g, g("Div", z, m.alpha)), m.alpha)
    return g("Add", g("Max", z, 0.0), g("Min", bent, 0.0))


def _gelu(g, z, m, _):
    if m.approximate == "tanh":  # Hendrycks & Gimpel 2016, sec. 2
        cubic = g("Add", z, g("Mul", g("Mul", g("Mul", z, z), z), 0.044715))
        share = g("Tanh", g("Mul", cubic, math.sqrt(2 / math.pi)))
    else:
        share = g.cast(g("Div", z, math.sqrt(2)), np.float32)  # onnxruntime's Erf is float32
        share = g.cast(g("Erf", share), g.dtype)
    return g("Mul", g("Mul", z, 0.5), g("Add", share, 1.0))


def softplus(g, z):
    """Add the softplus of z."""
    # log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|)), without overflow
    return g("Add", g("Max", z, 0.0), g("Log", g("Add", g("Exp", g("Neg", g("Abs", z))), 1.0)))


def _scaled_softplus(g, z, m, _):
    scaled = g("Mul", z, float(m.beta))
    soft = g("Div", softplus(g, scaled), float(m.beta))
    return g("Where", g("Greater", scaled, float(m.threshold)), z, soft)


def _gated(g, z, m, _):
    halves = g("Reshape", z, np.array([0, 2, -1]))  # (n, 2, width)
    a, b = (g("Gather", halves, np.array(i), axis=1) for i in (0, 1))
    return g("Mul", a, g("Sigmoid", b))


def _across(operator, sign=1.0):
    """Return an activation across the units of a layer."""

    def function(g, z, m, _):
        if m.dim not in (-1, 1):
            raise NotInOnnx(f"to_onnx takes dim=-1 for {type(m).__name__}, got dim={m.dim}.")
        return g(operator, g("Mul", z, sign), axis=-1)

    return function


def _attention(g, z, m, learned):
    """Scaled dot products of a row's tokens with each other: Vaswani et al. 2017, eq. 1."""
    size, heads = m.embed_dim, m.num_heads
    tokens = g("Reshape", z, np.array([0, -1, size]))  # (n, tokens, size)
    zeros = np.zeros(3 * size)
    weights = np.split(learned["in_proj_weight"], 3)
    biases = np.split(learned.get("in_proj_bias", zeros), 3)
    parts = [  # query, key and value: (n, heads, tokens, size / heads)
        g(
            "Transpose",
            g(
                "Reshape",
                g("Add", g("MatMul", tokens, weight.T), bias),
                np.array([0, 0, heads, size // heads]),
            ),
            perm=[0, 2, 3, 1] if i == 1 else [0, 2, 1, 3],
        )
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True))
    ]
    scores = g("Mul", g("MatMul", parts[0], parts[1]), 1 / math.sqrt(size // heads))
    mixed = g("Transpose", g("MatMul", g("Softmax", scores, axis=-1), parts[2]), perm=[0, 2, 1, 3])
    mixed = g("Reshape", mixed, np.array([0, 0, size]))
    out = g("MatMul", mixed, learned["out_proj.weight"].T)
    out = g("Add", out, learned.get("out_proj.bias", zeros[:size]))
    return g("Reshape", out, np.array([0, -1]))


def _shrunk(g, z, m, _):
    inside = g("Max", g("Sub", g("Abs", z), m.lambd), 0.0)
    return g("Mul", g("Sign", z), inside)


def _hard(g, z):
    return g("Div", _clip(g, g("Add", z, 3.0), 0.0, 6.0), 6.0)


ACTIVATIONS = {
    "identity": lambda g, z, m, _: z,
    "logistic": lambda g, z, m, _: g("Sigmoid", z),
    "tanh": lambda g, z, m, _: g("Tanh", z),
    "relu": lambda g, z, m, _: g("Relu", z),
    "leaky_relu": lambda g, z, m, _: _leaky(g, z, m.negative_slope),
    "prelu": lambda g, z, m, learned: _leaky(g, z, learned["weight"]),
    "rrelu": lambda g, z, m, _: _leaky(g, z, (m.lower + m.upper) / 2),
    "relu6": lambda g, z, m, _: _clip(g, z, 0.0, 6.0),
    "elu": lambda g, z, m, _: _elu(g, z, m.alpha),
    "celu": _celu,
    "selu": lambda g, z, m, _: g("Mul", _elu(g, z, SELU_ALPHA), SELU_SCALE),
    "gelu": _gelu,
    "silu": lambda g, z, m, _: g("Mul", z, g("Sigmoid", z)),
    "mish": lambda g, z, m, _: g("Mul", z, g("Tanh", softplus(g, z))),
    "hardswish": lambda g, z, m, _: g("Mul", z, _hard(g, z)),
    "softplus": _scaled_softplus,
    "threshold": lambda g, z, m, _: g(
        "Where", g("Greater", z, float(m.threshold)), z, float(m.value)
    ),
    "glu": _gated,
    "hardsigmoid": lambda g, z, m, _: _hard(g, z),
    "log_sigmoid": lambda g, z, m, _: g("Neg", softplus(g, g("Neg", z))),
    "hardtanh": lambda g, z, m, _: _clip(g, z, float(m.min_val), float(m.max_val)),
    "softsign": lambda g, z, m, _: g("Div", z, g("Add", g("Abs", z), 1.0)),
    "tanhshrink": lambda g, z, m, _: g("Sub", z, g("Tanh", z)),
    "softshrink": _shrunk,
    "hardshrink": lambda g, z, m, _: g("Where", g("Greater", g("Abs", z), float(m.lambd)), z, 0.0),
    "softmax": _across("Softmax"),
    "softmin": _across("Softmax", -1.0),
    "log_softmax": _across("LogSoftmax"),
    "multihead_attention": _attention,
}
"""Each takes a graph, the name of pre-activations, the activation's module and what it learned."""
