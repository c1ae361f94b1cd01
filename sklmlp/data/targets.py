"""Targets of classifiers as numbers, and predictions as the user's labels."""

from contextlib import contextmanager

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from sklmlp.data.checks import errors_that_name


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
        with errors_of_labels("y"):
            kind = type_of_target(y, input_name="y")
            if kind in ("binary", "multiclass") and y.ndim == 1 and y.dtype.kind in "biu":
                classes = np.unique(y)  # scikit-learn would find the kind of y twice more
            else:
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
