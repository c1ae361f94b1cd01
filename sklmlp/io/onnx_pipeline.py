"""Our estimators' converters for skl2onnx, so that they export inside a Pipeline."""

import numpy as np
from sklearn.base import is_classifier

from sklmlp.io.onnx_answers import labels_as_array, predict_classes, predict_values
from sklmlp.io.onnx_graph import Graph


def register_onnx_converter(cls):
    """Tell skl2onnx how to convert a class of estimators; `to_onnx` does so by itself.

    Parameters
    ----------
    cls : type
        `MLPClassifier`, `MLPRegressor`, or one that extends them.
    """
    from skl2onnx import update_registered_converter

    options = None
    if is_classifier(cls()):
        options = {
            "zipmap": [True, False, "columns"],
            "nocl": [True, False],
            "output_class_labels": [False, True],
        }
    update_registered_converter(cls, f"Sklmlp{cls.__name__}", _shapes, _convert, options=options)


def _floating(variable):
    """What a table is computed in, in the words of NumPy."""
    from skl2onnx.common.data_types import DoubleTensorType

    is_double = isinstance(variable.type, DoubleTensorType)
    return np.dtype(np.float64 if is_double else np.float32)


def _options(operator):
    return operator.scope_inst.get_options(operator.raw_operator, fail=False) or {}


def _shapes(operator):
    from skl2onnx.common import data_types

    estimator = operator.raw_operator
    floating = {"float32": data_types.FloatTensorType, "float64": data_types.DoubleTensorType}
    answer, n = (
        floating[_floating(operator.inputs[0]).name],
        operator.inputs[0].get_first_dimension(),
    )
    if not is_classifier(estimator):
        operator.outputs[0].type = answer([n, estimator.n_outputs_])
        return
    labels = labels_as_array(estimator)
    several = estimator._targets[0] == "multilabel-indicator"
    kinds = {
        **floating,
        "int64": data_types.Int64TensorType,
        "bool": data_types.BooleanTensorType,
    }
    kind = kinds.get("int64" if several else labels.dtype.name, data_types.StringTensorType)
    operator.outputs[0].type = kind([n, len(labels)] if several else [n])
    if _options(operator).get("zipmap") not in (False, None):  # ZipMap takes float32 alone
        answer = data_types.FloatTensorType
    operator.outputs[1].type = answer([n, len(labels)])


def _convert(scope, operator, container):
    graph = Graph(_floating(operator.inputs[0]), scope.get_unique_variable_name)
    estimator, x = operator.raw_operator, operator.inputs[0].full_name
    x = graph.cast(x, graph.dtype)
    names = [output.full_name for output in operator.outputs]
    if is_classifier(estimator):
        label, probabilities = names
        wanted = _floating(operator.outputs[1])
        table = probabilities if wanted == graph.dtype else scope.get_unique_variable_name("table")
        predict_classes(graph, x, estimator, label, table)
        if table != probabilities:
            graph.cast(table, wanted, output=probabilities)
    else:
        predict_values(graph, x, estimator, *names)
    _add(graph, scope, container)


def _add(graph, scope, container):
    """Move a graph into skl2onnx's."""
    from onnx import numpy_helper

    for name, array in graph.constants:
        container.initializers.append(numpy_helper.from_array(array, name))
    for kind, inputs, output, attributes in graph.nodes:
        container.add_node(
            kind, inputs, output, name=scope.get_unique_operator_name(kind), **attributes
        )
