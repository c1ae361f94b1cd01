"""From rows to predictions in ONNX's operators: `predict` and `predict_proba`."""

import numpy as np

from sklmlp import losses
from sklmlp.fitted_network import class_targets, fitted_networks
from sklmlp.io.onnx.layers import NotInOnnx, logits, softplus
from sklmlp.io.onnx.tied import tied_logits
from sklmlp.nn import TiedNetwork


def _identity(g, z, spec):
    return z


def _exp(g, z, spec):
    return g("Exp", z)


def _softmax(g, z, spec):
    return g("Softmax", z, axis=-1)


def _sigmoid(g, z, spec):
    return g("Sigmoid", z)


def _quantiles(g, z, spec):
    """Return a column for each quantile, in the user's order: see `sklmlp.losses`."""
    levels = spec.loss_params["quantile"]
    if not isinstance(levels, list):
        return z
    first, others = (_columns(g, z, each) for each in (range(1), range(1, len(levels))))
    steps = g("Concat", first, softplus(g, others), axis=1)
    sums = np.triu(np.ones((len(levels), len(levels))))
    return g("MatMul", steps, sums[:, np.argsort(np.argsort(levels))])


def _means(g, z, spec):
    return _columns(g, z, range(spec.n_outputs // 2))


def _columns(g, z, which):
    return g("Gather", z, np.array(which, np.int64), axis=1)


LINKS = {
    "squared_error": _identity,
    "absolute_error": _identity,
    "huber": _identity,
    "poisson": _exp,
    "gamma": _exp,
    "quantile": _quantiles,
    "gaussian": _means,
}
"""Losses of a regressor, and what makes predictions of logits."""

PROBABILITIES = {
    "log_loss": _softmax,
    "binary_log_loss": _sigmoid,
    "focal": _softmax,
    "binary_focal": _sigmoid,
    "hinge": _identity,
    "binary_hinge": _identity,
}
"""Losses of a classifier, and what makes probabilities of logits; of hinge, decision values."""


BY_LINK = {"identity": _identity, "exp": _exp, "logistic": _sigmoid, "softmax": _softmax}
"""Links of users' losses."""


def n_values(estimator):
    """Return the number of columns of a regressor's `predict`."""
    spec = fitted_networks(estimator)[0].spec
    has_means = isinstance(spec.loss, str) and LINKS.get(spec.loss) is _means
    return spec.n_outputs // 2 if has_means else spec.n_outputs


def predict_values(graph, x, estimator, output=None):
    """Add `predict` of a regressor: rows in the graph's dtype to values, (n, n_outputs).

    Returns
    -------
    output : str
        The name of the values, which may be given.
    """
    link = _of_loss(LINKS, estimator)
    outputs = [
        _in_units_of_y(graph, link(graph, _logits(graph, x, each), each.spec), each.spec.scaling)
        for each in fitted_networks(estimator)
    ]
    return graph("Identity", _mean(graph, outputs), output=output)


def predict_classes(graph, x, estimator, label, probabilities):
    """Add `predict` and `predict_proba` of a classifier, under the names of their results."""
    kind, classes = class_targets(estimator).kind, labels_as_array(estimator)
    link = _of_loss(PROBABILITIES, estimator)
    scores, p = _scores_and_probabilities(graph, x, estimator, link)
    # of one network the logits decide, of several the mean of probabilities, as in `predict`
    decisive = scores[0] if len(scores) == 1 else p
    threshold = 0.0 if len(scores) == 1 or link is _identity else 0.5
    if kind == "multiclass":
        index = graph("ArgMax", decisive, axis=1, keepdims=0)
    elif kind == "multilabel-indicator":
        index = graph.cast(graph("Greater", decisive, threshold), np.int64)
    else:
        yes = graph("Gather", decisive, np.array(-1), axis=1)  # (n,), of the last column
        index = graph.cast(graph("Greater", yes, threshold), np.int64)
    if kind == "binary" and len(classes) == 1:  # there is nothing to decide
        p = graph("Gather", p, np.array([-1]), axis=1)
        index = graph("Mul", index, np.array(0, np.int64))
    graph("Identity", p, output=probabilities)
    if kind == "multilabel-indicator":
        graph("Identity", index, output=label)
    else:
        add_labels(graph, index, classes, label)


def add_labels(graph, index, classes, label):
    """Add labels of the places of classes, under their name."""
    graph("Gather", graph.constant(classes, as_it_is=True), index, output=label)


def class_probabilities(graph, x, estimator):
    """Add `predict_proba` of a classifier, and return its name."""
    link = _of_loss(PROBABILITIES, estimator)
    p = _scores_and_probabilities(graph, x, estimator, link)[1]
    if len(estimator.classes_) == 1:
        return graph("Gather", p, np.array([-1]), axis=1)
    return p


def _scores_and_probabilities(graph, x, estimator, link):
    """Return the logits of each network, and the mean of their probabilities."""
    kind = class_targets(estimator).kind
    scores = [_logits(graph, x, each) for each in fitted_networks(estimator)]
    return scores, _mean(graph, [_probabilities(graph, z, kind, link) for z in scores])


def labels_as_array(estimator):
    """Return the labels of a classifier in a dtype that ONNX has: int64, bool, a float or text."""
    classes = np.asarray(estimator.classes_)
    if classes.dtype == object and all(isinstance(label, str) for label in classes):
        classes = classes.astype(str)
    if classes.dtype.kind in "iu":
        return classes.astype(np.int64)
    if classes.dtype.kind in "bU" or classes.dtype in (np.float32, np.float64):
        return classes
    raise NotInOnnx(f"to_onnx has no type for the labels {classes} of {classes.dtype}.")


def _probabilities(graph, z, kind, link):
    if kind != "binary":
        return link(graph, z, None)
    return link(graph, graph("Concat", graph("Neg", z), z, axis=1), None)


def _in_units_of_y(graph, values, scaling):
    """Scale predictions of scaled targets, (n, n_outputs), back."""
    if scaling is None:
        return values
    values = graph("Mul", values, np.array(scaling.scale))
    return graph("Add", values, np.array(scaling.center))


def _logits(graph, x, network):
    """Compute logits in the dtype of the weights, and cast them to the graph's."""
    dtype = network.dtype
    outer, graph.dtype = graph.dtype, dtype
    add = tied_logits if network.spec.module is TiedNetwork else logits
    z = add(graph, graph.cast(x, dtype), network)
    graph.dtype = outer
    return graph.cast(z, outer)


def _mean(graph, outputs):
    if len(outputs) == 1:
        return outputs[0]
    total = outputs[0]
    for each in outputs[1:]:
        total = graph("Add", total, each)
    return graph("Div", total, float(len(outputs)))


def _of_loss(table, estimator):
    loss = fitted_networks(estimator)[0].spec.loss
    if isinstance(loss, losses.Loss):
        return _of_link(loss)
    if loss not in table:
        raise NotInOnnx(
            f"to_onnx has no operators for the predictions of the loss {loss!r}. It has for "
            f"{', '.join(sorted(table))}."
        )
    return table[loss]


def _of_link(loss):
    """Return the operators of a user's loss, whose link is one of the table's."""
    name = loss.out_activation or "identity"
    if loss.link is not None and loss.link is not losses.LINKS.get(name, (None,))[0]:
        raise NotInOnnx(
            f"to_onnx has no operators for the link {name!r} of the loss {loss.name!r}. It has for "
            f"{', '.join(sorted(BY_LINK))}."
        )
    return BY_LINK[name]
