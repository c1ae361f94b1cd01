"""A linear model on the bins of numbers: a generalized additive model beside the network.

Each number has a piecewise-linear effect of its own, and effects add up (Hastie & Tibshirani 1990).
Where a table is mostly that, such a model is better than a network, and a blend better than both.
"""

from dataclasses import replace

import numpy as np

from sklmlp.callbacks import CallbackList
from sklmlp.classifier import MLPClassifier
from sklmlp.tabular.network import StopAfter
from sklmlp.tabular.numbers import ROWS_AT_A_TIME
from sklmlp.training import train_lbfgs

ALPHA = 10.0
"""The L2 penalty on the effects of bins, in classification."""

RIDGE_ALPHA, BIN_SCALE = 1.0, 0.1
"""That of regression, and what bins are multiplied by: a hundred times the penalty keeps effects
close to lines."""

MAX_ITER, TOL = 100, 1e-3

MOST_VALUES = 2**24
"""Rows that are trained on have no more values than these; of longer tables it is a sample."""

VALUES_AT_A_TIME = 2**22


class AdditiveClassifier(MLPClassifier):
    """Softmax or logistic regression by L-BFGS, for a bounded number of iterations."""

    def _prepare_run(self, *args, **kwargs):
        run = super()._prepare_run(*args, **kwargs)
        return replace(run, callback=CallbackList([run.callback, StopAfter(MAX_ITER, run.state)]))

    def _train(self, config, data, runs):
        train_lbfgs(runs)  # what was learned too little is found out by the blend


class AdditiveModel:
    """What an additive model predicts for encoded rows.

    Parameters
    ----------
    edges : ndarray of shape (n_numbers, n_edges)
        Of bins, see `sklmlp.nn.pad_edges`.
    n_columns : int
        Columns that count, from the first on.
    model : MLPClassifier or Ridge
        Of `components`.
    """

    def __init__(self, edges, n_columns, model):
        self.edges, self.n_columns, self.model = edges, n_columns, model

    @classmethod
    def of_classes(cls, X, y, weight, edges, **params):
        """Fit to classes of encoded rows.

        Parameters
        ----------
        X : ndarray of shape (n, n_features), float32
        y : ndarray of shape (n,)
        weight : ndarray of shape (n,) or None
        edges : ndarray of shape (n_numbers, n_edges)
        **params
            Further parameters of the classifier.

        Returns
        -------
        model : AdditiveModel
        """
        _, one_of_each = np.unique(y, return_index=True)
        rows = np.union1d(_sample(X, edges), one_of_each)
        classifier = AdditiveClassifier(
            (), solver="lbfgs", alpha=ALPHA, tol=TOL, max_iter=MAX_ITER + 1, dtype="float32",
            **params,
        )  # fmt: skip
        weight = weight if weight is None else weight[rows]
        classifier.fit(components(X[rows], edges), y[rows], weight)
        return cls(edges, X.shape[1], classifier)

    @classmethod
    def of_values(cls, X, y, weight, edges):
        """Fit to values of encoded rows, by least squares with a penalty.

        Parameters
        ----------
        X : ndarray of shape (n, n_features), float32
        y : ndarray of shape (n,) or (n, n_outputs)
        weight : ndarray of shape (n,) or None
        edges : ndarray of shape (n_numbers, n_edges)

        Returns
        -------
        model : AdditiveModel
        """
        from sklearn.linear_model import Ridge  # an import of two score modules

        rows = _sample(X, edges)
        filled = components(X[rows].astype(np.float64), edges)
        n_bins = filled.shape[1] - X.shape[1]
        filled[:, :n_bins] *= BIN_SCALE
        ridge = Ridge(RIDGE_ALPHA, copy_X=False)
        ridge.fit(filled, y[rows], weight if weight is None else weight[rows])
        ridge.coef_[..., :n_bins] *= BIN_SCALE
        return cls(edges, X.shape[1], ridge)

    def predict(self, X):
        """Predict values for encoded rows, (n, n_features): (n,) or (n, n_outputs)."""
        effects, intercept = self.model.coef_.T, self.model.intercept_
        # of a row the checks of Ridge.predict take longer
        return self._in_pieces(X, lambda parts: parts @ effects + intercept)

    def predict_proba(self, X):
        """Predict probabilities for encoded rows, (n, n_features): (n, n_classes)."""
        return self._in_pieces(X, self.model.predict_proba)

    def _in_pieces(self, X, predict):
        X = X[:, : self.n_columns]
        size = max(1, VALUES_AT_A_TIME // (X.shape[1] + self.edges.size))
        parts = [X[start : start + size] for start in range(0, len(X), size)]
        return np.concatenate([predict(components(part, self.edges)) for part in parts])


def _sample(X, edges):
    """Return which rows are trained on, of a long table some."""
    return np.arange(0, len(X), -(-len(X) * (X.shape[1] + edges.size) // MOST_VALUES))


def components(X, edges):
    """Return how far each bin of each number is filled, 0 to 1, and all columns behind that.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
        The first columns are numbers.
    edges : ndarray of shape (n_numbers, n_edges)

    Returns
    -------
    components : ndarray of shape (n, n_bins + n_features)
        Bins of no width, which pad `edges`, are left out.
    """
    width = np.diff(edges, axis=1)
    number, _ = at = np.nonzero(width)
    left, width, n_bins = edges[at], width[at], len(number)
    dtype = np.result_type(X, edges)
    filled = np.empty((len(X), n_bins + X.shape[1]), dtype)
    filled[:, n_bins:] = X
    for start in range(0, len(X), ROWS_AT_A_TIME):
        rows = slice(start, start + ROWS_AT_A_TIME)
        np.clip((X[rows, number] - left) / width, 0, 1, out=filled[rows, :n_bins])
    return filled
