"""An ONNX graph under construction: nodes and constants, called one by one."""

import numpy as np

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


def as_model(graph, n_features, dtype, outputs):
    """Return an ONNX model of a graph that takes a table "X" of `n_features` columns.

    Parameters
    ----------
    graph : Graph
    n_features : int
    dtype : numpy.dtype
        Of the table.
    outputs : list of ValueInfoProto
    """
    from onnx import checker, helper, numpy_helper

    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    table = helper.make_tensor_value_info("X", element, [None, n_features])
    nodes = [
        helper.make_node(
            operator, inputs, [output], domain=_domain(operator), name=f"{operator}_{i}", **more
        )
        for i, (operator, inputs, output, more) in enumerate(graph.nodes)
    ]
    constants = [numpy_helper.from_array(array, name) for name, array in graph.constants]
    body = helper.make_graph(nodes, "sklmlp", [table], outputs, constants)
    opsets = [helper.make_opsetid("", OPSET)]
    if any(_domain(operator) for operator, *_ in graph.nodes):
        opsets.append(helper.make_opsetid("ai.onnx.ml", ML_OPSET))
    model = helper.make_model(
        body, opset_imports=opsets, ir_version=IR_VERSION, producer_name="sklmlp"
    )
    checker.check_model(model)
    return model


def _domain(operator):
    return "ai.onnx.ml" if operator == "ZipMap" else ""
