"""Fitted estimators and pipelines to ONNX."""

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from sklmlp.fitted_network import class_targets
from sklmlp.io.onnx.columns import columns_of
from sklmlp.io.onnx.layers import Graph, as_model
from sklmlp.io.onnx.pipeline import convert_pipeline, is_of_tables, is_ours, unwrapped
from sklmlp.io.onnx.predictions import labels_as_array, n_values, predict_classes, predict_values
from sklmlp.io.onnx.tabular import (
    blocks_of,
    predict_classes_of_table,
    predict_values_of_table,
)


def to_onnx(estimator, X=None, *, dtype="float32", zipmap=False):
    """Convert a fitted estimator or pipeline to an ONNX model.

    onnxruntime's predictions agree with `predict` and `predict_proba` to 1e-5. Needs
    `pip install sklmlp[onnx]`.

    Parameters
    ----------
    estimator : estimator
        A fitted `MLPClassifier` or `MLPRegressor`, or a `Pipeline` (or another estimator of
        scikit-learn's that skl2onnx can convert) with such ones inside.
    X : {array-like, dataframe}, default=None
        A few rows, from which a pipeline's inputs are read. None reads them from what the fit has
        kept: names of columns, and the types of the categories of encoders. Other columns are then
        taken for `dtype`, and columns that the pipeline drops are no inputs. Not needed for an
        estimator by itself.
    dtype : {'float32', 'float64'}, default='float32'
        The dtype of the real numbers that the model takes, and of its predictions. In between it
        computes in the dtype of the weights.
    zipmap : bool, default=False
        Whether probabilities are a list of dicts, label to float32, in place of a table.

    Returns
    -------
    model : onnx.ModelProto
        Its input is "X", (n, n_features); of a pipeline that was fitted on a data frame, or on
        columns of different types, there is an input (n, 1) for each column. A classifier's outputs
        are "label", (n,) or for multilabel targets (n, n_classes), and "probabilities",
        (n, n_classes); a regressor's is "variable", with the columns of `predict`.

    Raises
    ------
    ValueError
        If ONNX has no operators for a part of the network (a custom activation, for
        example), or no type for the labels or a column, or if skl2onnx cannot convert a step; the
        message says which and why.

    Examples
    --------
    >>> import onnxruntime
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.io import to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((8,), solver="lbfgs", max_iter=2000, random_state=0).fit(X, y)
    >>> session = onnxruntime.InferenceSession(to_onnx(model).SerializeToString())
    >>> label, probabilities = session.run(None, {"X": X[:3].astype("float32")})
    >>> label.tolist()
    [0, 0, 0]
    """
    try:
        import onnx  # noqa: F401
        import skl2onnx  # noqa: F401
    except ImportError as error:
        raise ImportError("to_onnx needs onnx and skl2onnx: pip install sklmlp[onnx]") from error
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype takes 'float32' or 'float64', got {dtype!r}.")
    if zipmap not in (True, False):
        raise ValueError(f"zipmap takes True or False, got {zipmap!r}.")
    check_is_fitted(estimator)
    estimator = unwrapped(estimator)
    if not is_ours(type(estimator)):
        return convert_pipeline(estimator, X, np.dtype(dtype), zipmap)
    graph, network, x = Graph(dtype), estimator, "X"
    inputs = [("X", np.dtype(dtype), estimator.n_features_in_)]
    add_values, add_classes = predict_values, predict_classes
    if is_of_tables(type(estimator)):
        network, (x, inputs) = estimator.network_, _columns(estimator, X, np.dtype(dtype))
        add_values, add_classes = predict_values_of_table, predict_classes_of_table
    if not is_classifier(estimator):
        add_values(graph, x, estimator, "variable")
        outputs = [_table("variable", dtype, n_values(network))]
    else:
        table = "probabilities_as_table" if zipmap else "probabilities"
        add_classes(graph, x, estimator, "label", table)
        outputs = _outputs_of_classes(graph, network, dtype, zipmap)
    return as_model(graph, inputs, outputs)


def _columns(estimator, X, dtype):
    """Return the columns of a table as blocks, and the inputs of the model."""
    columns, is_table = columns_of(estimator, X, dtype)
    if clash := {column.name for column in columns} & {"label", "probabilities", "variable"}:
        raise ValueError(f"An output of the model is called {clash.pop()!r}: rename the column.")
    return blocks_of(columns, is_table)


def _outputs_of_classes(graph, estimator, dtype, zipmap):
    """Return what is to be known of the outputs of a classifier; add probabilities as dicts."""
    from onnx import helper

    labels = labels_as_array(estimator)
    kind = class_targets(estimator).kind
    several = kind == "multilabel-indicator"
    element = helper.np_dtype_to_tensor_dtype(np.dtype(np.int64) if several else labels.dtype)
    shape = [None, len(labels)] if several else [None]
    outputs = [helper.make_tensor_value_info("label", element, shape)]
    if not zipmap:
        return [*outputs, _table("probabilities", dtype, len(labels))]
    kinds = {"i": ("classlabels_int64s", np.int64), "U": ("classlabels_strings", str)}
    if several or labels.dtype.kind not in kinds:
        raise ValueError(
            "zipmap=True takes one label a row, of integers or text; got "
            f"{kind} targets with labels of {labels.dtype}. Use zipmap=False."
        )
    name, label_type = kinds[labels.dtype.kind]
    graph(
        "ZipMap",
        graph.cast("probabilities_as_table", np.float32),
        output="probabilities",
        **{name: [label_type(label) for label in labels]},
    )
    key = helper.np_dtype_to_tensor_dtype(np.dtype(np.int64 if label_type is np.int64 else object))
    value = helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(np.dtype("float32")), [])
    maps = helper.make_sequence_type_proto(helper.make_map_type_proto(key, value))
    return [*outputs, helper.make_value_info("probabilities", maps)]


def _table(name, dtype, width):
    from onnx import helper

    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_value_info(name, element, [None, width])
