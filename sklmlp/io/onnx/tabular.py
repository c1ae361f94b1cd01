"""The estimators of raw tables in ONNX's operators: encoder, network and what is made of both."""

import numpy as np

from sklmlp.fitted_network import class_targets
from sklmlp.io.onnx.encoder import Block, encode_table
from sklmlp.io.onnx.predictions import (
    add_labels,
    class_probabilities,
    labels_as_array,
    predict_classes,
    predict_values,
)


def blocks_of(columns, is_table):
    """Return the inputs of a graph as blocks of columns.

    Parameters
    ----------
    columns : list of sklmlp.io.onnx.columns.Column
    is_table : bool
        Whether they are given as one table "X".

    Returns
    -------
    blocks : list of Block
    inputs : list of (name, numpy.dtype, width)
    """
    if is_table:
        given = columns[0].given
        places = [column.place for column in columns]
        return [Block("X", given, places)], [("X", given, len(columns))]
    blocks = [Block(column.name, column.given, [column.place]) for column in columns]
    return blocks, [(column.name, column.given, 1) for column in columns]


def predict_classes_of_table(graph, blocks, estimator, label, probabilities):
    """Add `predict` and `predict_proba` of a TabularMLPClassifier, under the names of results."""
    x = encode_table(graph, blocks, estimator.encoder_)
    x = graph.cast(x, graph.dtype)
    network = estimator.network_
    if class_targets(network).kind == "multilabel-indicator":
        predict_classes(graph, x, network, label, probabilities)
        return
    p = class_probabilities(graph, x, network)
    if estimator.additive_ is not None:
        share, additive = float(estimator.additive_weight_), estimator.additive_
        parts = _components(graph, x, additive)
        other = class_probabilities(graph, parts, additive.model)
        p = graph("Add", graph("Mul", p, 1 - share), graph("Mul", other, share))
    if estimator.temperature_ != 1.0:
        z = graph("Log", graph("Max", p, float(np.finfo(graph.dtype).tiny)))
        p = graph("Softmax", graph("Div", z, float(estimator.temperature_)), axis=-1)
    graph("Identity", p, output=probabilities)
    add_labels(graph, graph("ArgMax", p, axis=1, keepdims=0), labels_as_array(estimator), label)


def _components(graph, x, additive):
    """Return how far each bin is filled, and the columns: see `sklmlp.tabular.additive`."""
    edges = np.asarray(additive.edges)
    x = graph("Gather", x, np.arange(additive.n_columns), axis=1)
    width = np.diff(edges, axis=1)
    at = np.nonzero(width)
    if not len(at[0]):
        return x
    numbers = graph("Gather", x, at[0], axis=1)
    parts = graph("Div", graph("Sub", numbers, edges[at]), width[at])
    parts = graph("Min", graph("Max", parts, 0.0), 1.0)
    return graph("Concat", parts, x, axis=1)


def predict_values_of_table(graph, blocks, estimator, output):
    """Add `predict` of a TabularMLPRegressor, under the name of its result."""
    x = encode_table(graph, blocks, estimator.encoder_)
    x = graph.cast(x, graph.dtype)
    values = predict_values(graph, x, estimator.network_)
    if estimator.additive_ is not None:
        share, additive = float(estimator.additive_weight_), estimator.additive_
        parts = _components(graph, x, additive)
        other = graph("MatMul", parts, np.atleast_2d(additive.model.coef_).T)
        other = graph("Add", other, np.atleast_1d(additive.model.intercept_))
        values = graph("Add", graph("Mul", values, 1 - share), graph("Mul", other, share))
    if estimator.clip:
        low, high = np.asarray(estimator.target_range_, np.float64)
        values = graph("Min", graph("Max", values, low), high)
    graph("Identity", values, output=output)
