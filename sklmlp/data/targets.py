"""Targets of classifiers as numbers and back, and weights of classes as weights of samples."""

from contextlib import contextmanager

import numpy as np
import scipy.sparse as sp
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from sklmlp.data.checks import errors_that_name, is_plain_target


@contextmanager
def errors_of_labels(name):
    """Let errors about labels name the targets, and say when it is their order that is missing."""
    try:
        with errors_that_name(name), np.errstate(all="ignore"):
            yield
    except TypeError as error:
        text = str(error).removeprefix(f"{name}: ")
        raise TypeError(f"{name} has labels that cannot be put in order: {text}.") from error


class ClassTargets:
    """Labels to numbers and back.

    Attributes
    ----------
    classes_ : ndarray
        The labels in order; for multilabel targets the indices of the columns.
    kind : {"binary", "multiclass", "multilabel-indicator"}
        As `sklearn.utils.multiclass.type_of_target` says.
    sparse : bool
        Whether multilabel targets came as a sparse matrix; predictions are then sparse too.
    """

    def __init__(self, classes_, kind, sparse=False):
        self.classes_, self.kind, self.sparse = classes_, kind, sparse

    @classmethod
    def learn(cls, y):
        """Learn which classes labels `y` have; unfit ones raise scikit-learn's ValueError."""
        if is_plain_target(y) and y.dtype.kind in "biu":
            classes = np.unique(y)
            if 2 * len(classes) <= len(y):  # some versions of scikit-learn warn of more
                return cls(classes, "binary" if len(classes) <= 2 else "multiclass")
        with errors_of_labels("y"):
            kind = type_of_target(y, input_name="y")
            check_classification_targets(y)
            classes = LabelBinarizer().fit(y).classes_
        targets = cls(classes, kind, sp.issparse(y))
        targets.check_form(y)
        return targets

    @property
    def kind_and_form(self):
        """What is to be remembered besides `classes_`."""
        return self.kind, self.sparse

    @property
    def n_outputs(self):
        return 1 if self.kind == "binary" else len(self.classes_)

    def variant(self, loss):
        """Return the form of a loss for the kind: classes exclude each other, or do not."""
        return loss if self.kind == "multiclass" else f"binary_{loss}"

    def check_form(self, y, name="y"):
        """Raise ValueError for targets of another form than those that training began with."""
        if (np.ndim(y) == 2 or sp.issparse(y)) != (self.kind == "multilabel-indicator"):
            raise ValueError(
                f"Training began with {self.kind} targets, and {name} has shape {np.shape(y)}."
            )
        if self.kind != "multilabel-indicator":
            return
        if y.shape[1] != len(self.classes_):
            raise ValueError(
                f"{name} has {y.shape[1]} columns for the {len(self.classes_)} labels "
                f"{self.classes_}."
            )
        values = np.unique(y.data if sp.issparse(y) else y)
        if not np.isin(values, (0, 1)).all():
            raise ValueError(
                f"{name} has the values {values.tolist()} in several columns, where multilabel "
                "targets are zeros and ones. Encode sets of labels by "
                f"sklearn.preprocessing.MultiLabelBinarizer, or two values by {name} == "
                f"{values.tolist()[-1]!r}."
            )

    def encode(self, y):
        """Encode labels as class indices, (n,), or as zeros and ones, (n, k) of bool."""
        if self.kind == "multilabel-indicator":
            return (y.toarray() if sp.issparse(y) else np.asarray(y)) > 0
        index = np.searchsorted(self.classes_, y)
        if self.kind == "multiclass":
            return index
        return (index == 1).reshape(-1, 1)

    def decide(self, z):
        """Return the most probable targets for logits, (n, k), encoded as by `encode`."""
        return z.argmax(axis=1) if self.kind == "multiclass" else z > 0

    def accuracy(self, y, z, weight):
        """Return the share of samples that are right in every label; y is encoded."""
        right = self.decide(z) == y
        return np.average(right if right.ndim == 1 else right.all(axis=1), weights=weight)

    def decode(self, z):
        """Decode logits, (n, k), to the user's labels."""
        decided = self.decide(z)
        if self.kind == "multilabel-indicator":
            return sp.csr_matrix(decided.astype(int)) if self.sparse else decided.astype(int)
        if len(self.classes_) == 1:
            return np.repeat(self.classes_, len(z))
        return self.classes_[decided if self.kind == "multiclass" else decided.ravel().astype(int)]


def accuracy(y, prediction, sample_weight=None):
    """Return the share of labels that are predicted right, as `accuracy_score` does.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, k)
        The true labels.
    prediction : ndarray or sparse matrix
        Of the same shape.
    sample_weight : ndarray of shape (n,), default=None

    Returns
    -------
    accuracy : float
    """
    are_integers = all(
        is_plain_target(each) and each.dtype.kind in "biu" for each in (y, prediction)
    )
    if are_integers and len(y) == len(prediction):  # no more to check, which would take longer
        return float(np.average(y == prediction, weights=sample_weight))
    return accuracy_score(y, prediction, sample_weight=sample_weight)


def class_weighted(class_weight, classes, y, sample_weight, learn_from=None):
    """Multiply sample weights by the weights of their classes.

    Parameters
    ----------
    class_weight : dict, list of dict or 'balanced'
        'balanced' makes the weights of all classes sum to the same; several columns of y have a
        dict each, and their weights are multiplied.
    classes : ndarray of shape (n_classes,)
        All labels of y; of no meaning for several columns, which have zeros and ones.
    y : ndarray of shape (n,), or ndarray or sparse matrix of shape (n, k)
    sample_weight : ndarray of shape (n,) or None
    learn_from : tuple of y and sample_weight, default=None
        The rows that 'balanced' counts, where it is not these.

    Returns
    -------
    weight : ndarray of shape (n,)
        Infinite where the product is too large for a float.

    Raises
    ------
    ValueError
        If class weights do not fit the classes, or if a product is too small for a float.
    """
    known_y, known_weight = learn_from or (y, sample_weight)
    if y.ndim == 2:
        classes = np.array([0, 1])
    weight = np.ones(y.shape[0]) if sample_weight is None else sample_weight.astype(float)
    columns = zip(
        _by_column(class_weight, y), _indices(known_y, classes), _indices(y, classes), strict=True
    )
    for each, known, index in columns:
        if isinstance(each, str):
            by_class = _balanced(len(classes), known, known_weight)
        else:
            by_class = _looked_up(each, classes.tolist())
        with np.errstate(over="ignore"):
            product = weight * by_class[index]
        if ((product == 0) & (weight > 0) & (by_class[index] > 0)).any():
            raise ValueError(
                f"class_weight={class_weight!r} times sample_weight is too small for a float. "
                "Scale them."
            )
        weight = product
    return weight


def _indices(y, classes):
    """Return each column of y as indices of its classes."""
    if y.ndim == 1:
        return [np.searchsorted(classes, y)]
    return list(((y.toarray() if sp.issparse(y) else np.asarray(y)) > 0).astype(int).T)


def _by_column(class_weight, y):
    """Return the class weights of each column of y; errors have scikit-learn's words."""
    if isinstance(class_weight, str) or y.ndim == 1:
        if isinstance(class_weight, list):
            raise ValueError(
                "class_weight is a list only for multilabel targets; for one label a row it is a "
                f"dict or 'balanced'. Got {class_weight}."
            )
        return [class_weight] * (1 if y.ndim == 1 else y.shape[1])
    if isinstance(class_weight, dict):
        raise ValueError(
            "For multi-output, class_weight should be a list of dicts, or the string 'balanced'."
        )
    if len(class_weight) != y.shape[1]:
        raise ValueError(
            "For multi-output, number of elements in class_weight should match number of outputs. "
            f"Got {len(class_weight)} element(s) while having {y.shape[1]} outputs."
        )
    for each in class_weight:
        if not isinstance(each, dict):
            raise ValueError(f"class_weight as a list has a dict for each label, got {each!r}.")
    return class_weight


def _balanced(n_classes, index, sample_weight):
    """Compute scikit-learn's 'balanced' weight of each class, without rows of no weight."""
    if sample_weight is not None:
        counted = sample_weight > 0
        index, sample_weight = index[counted], sample_weight[counted]
    weights, present = np.ones(n_classes), np.unique(index)
    weights[present] = compute_class_weight(
        "balanced", classes=present, y=index, sample_weight=sample_weight
    )
    return weights


def _looked_up(class_weight, labels):
    """Return the weight of each class in a dict, in scikit-learn's words where one is missing."""
    unweighted = [label for label in labels if label not in class_weight]
    if unweighted and len(labels) - len(unweighted) != len(class_weight):
        raise ValueError(f"The classes, {unweighted}, are not in class_weight")
    try:
        weights = np.array([float(class_weight.get(label, 1.0)) for label in labels])
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"class_weight must have finite weights >= 0, got {class_weight!s:.200}: {error}."
        ) from error
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError(f"class_weight must have finite weights >= 0, got {class_weight}.")
    return weights
