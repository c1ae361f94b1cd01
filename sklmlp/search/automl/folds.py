"""The folds of AutoML: networks are trained on the rows of each, and judged by those held out.

A fold's held-out rows also choose the length of its fit and its temperature, and its network is
kept: nothing is trained again. So its score is a little too good, alike for all candidates.
"""

import time
import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    check_cv,
)
from sklearn.utils.parallel import delayed

from sklmlp.caller import gathering
from sklmlp.compat import safe_indexing
from sklmlp.search.evaluation import Evaluator
from sklmlp.tabular import Encodings, use_encodings
from sklmlp.training import NotTrainedError, Pauses, use_pauses

ALONE = {"additive": False}
"""Without an additive model, which takes as long as some epochs on wide tables."""


@dataclass(frozen=True)
class Fold:
    """The rows of a fold, the same objects for all fits.

    Parameters
    ----------
    X, y, weight : training rows
    X_held_out, y_held_out, weight_held_out : the others
    index : ndarray of int
        Of the held-out rows.
    encodings : Encodings
    """

    X: object
    y: np.ndarray
    weight: np.ndarray | None
    X_held_out: object
    y_held_out: np.ndarray
    weight_held_out: np.ndarray | None
    index: np.ndarray
    encodings: Encodings = field(default_factory=Encodings)


class FoldFit(NamedTuple):
    """A fitted estimator of a fold, and what it predicts for the held-out rows."""

    estimator: object
    prediction: np.ndarray


def split(cv, X, y, groups, classes, random_state):
    """Return the rows to train on and those that are held out, by fold.

    Parameters
    ----------
    cv : int, splitter or iterable
    X : array-like or dataframe
    y : ndarray
    groups : array-like or None
    classes : ndarray of int of shape (n_samples,) or None
        For folds with the same proportions of them. A class that all folds but one would be
        without is trained on in all.
    random_state : int

    Returns
    -------
    splits : list of (ndarray, ndarray)
    """
    if isinstance(cv, int | np.integer):
        cv = _splitter(int(cv), groups, classes, random_state)
    else:
        cv = check_cv(cv, y, classifier=classes is not None)
    of_splitter = np.zeros(len(y)) if classes is None else classes
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        splits = [(np.asarray(a), np.asarray(b)) for a, b in cv.split(X, of_splitter, groups)]
    if classes is None:
        return splits
    kept = []
    for training, held_out in splits:
        is_known = np.isin(classes[held_out], classes[training])
        kept.append((np.append(training, held_out[~is_known]), held_out[is_known]))
    return kept


def _splitter(n_splits, groups, classes, random_state):
    """Return the splitter that a number of folds stands for, with no more folds than possible."""
    shuffled = {"shuffle": True, "random_state": random_state}
    if groups is not None:
        n_splits = min(n_splits, len(np.unique(groups)))
        if classes is None:
            return GroupKFold(n_splits)
        return StratifiedGroupKFold(n_splits, **shuffled)
    if classes is None:
        return KFold(n_splits, **shuffled)
    n_splits = min(n_splits, np.bincount(classes).max())
    return KFold(2, **shuffled) if n_splits < 2 else StratifiedKFold(n_splits, **shuffled)


def make_folds(X, y, weight, splits):
    """Return the `Fold` of each split that has held-out rows, and training rows, of some weight."""
    folds = []
    for training, held_out in splits:
        parts = [
            (safe_indexing(X, rows), y[rows], None if weight is None else weight[rows])
            for rows in (training, held_out)
        ]
        if all(len(part[1]) and (part[2] is None or part[2].any()) for part in parts):
            folds.append(Fold(*parts[0], *parts[1], held_out))
    return folds


class FoldEvaluator(Evaluator):
    """Trains tabular estimators on folds, and scores what they predict for the held-out rows.

    Parameters
    ----------
    estimator : TabularMLPClassifier or TabularMLPRegressor
    folds : list of Fold
    metric : Metric
    entropy : int
        Seeds the fits: all candidates of a fold alike, for they are to be compared.
    n_jobs : int or None
    """

    def __init__(self, estimator, folds, metric, entropy, n_jobs):
        super().__init__(estimator, None, None, folds, {}, "score", entropy, n_jobs)
        self.judge, self.timed = metric, None

    def _task(self, candidate, fold, pauses):
        seed = self._seed(fold)
        return delayed(fit_fold)(
            *(self.estimator, self.splits[fold], candidate.params, seed, pauses, self.judge),
            raises=candidate.number == 0,
        )

    def _seed(self, fold):
        return int(np.random.SeedSequence([self.entropy, fold]).generate_state(1)[0] % 2**31)

    def count_parameters(self, params):
        """Count what the networks of a candidate learn, before any training."""
        pauses = Pauses(only_looks=True)
        with suppress(NotTrainedError):
            self._fit_first_fold(params, pauses)
        return pauses.n_parameters

    def seconds_of_epoch(self):
        """Return what an epoch of the estimator takes on a fold, by training one."""
        self.timed = self._fit_first_fold(ALONE, Pauses(n_epochs=1))
        return self.timed["estimator"].estimator.history_[0]["seconds"]

    def train_a_little(self, candidate):
        """Train a candidate for an epoch on the first fold, or take what was timed."""
        result = self.timed or self._fit_first_fold(ALONE, Pauses(n_epochs=1))
        self.splits, candidate.params = self.splits[:1], dict(ALONE)
        candidate.take([result], 1, self.metric)

    def _fit_first_fold(self, params, pauses):
        fold, seed = self.splits[0], self._seed(0)
        return fit_fold(self.estimator, fold, params, seed, pauses, self.judge, raises=True)


def fit_fold(estimator, fold, params, seed, pauses, metric, raises):
    """Fit and score one candidate on one fold; return None if the deadline came first."""
    if pauses.deadline is not None and time.time() >= pauses.deadline:
        return None
    model = clone(estimator).set_params(**clone(params, safe=False), random_state=seed)
    began, result = time.perf_counter(), {"fit_error": None, "n_test_samples": len(fold.y_held_out)}
    fit, score = None, np.nan
    try:
        with use_pauses(pauses), use_encodings(fold.encodings), gathering(lambda *args: None):
            model.fit(
                fold.X, fold.y, fold.weight,
                X_val=fold.X_held_out, y_val=fold.y_held_out,
                sample_weight_val=fold.weight_held_out,
            )  # fmt: skip
            fitted = time.perf_counter()
            fit = FoldFit(model, metric.predicted(model, fold.X_held_out))
            score = metric(fit.prediction, fold.X_held_out, fold.y_held_out, fold.weight_held_out)
    except BaseException as error:  # the deadline ends a fit as Ctrl-C does
        if pauses.was_cut:
            return None
        if raises or not isinstance(error, Exception):
            raise
        fitted, result["fit_error"] = time.perf_counter(), traceback.format_exc()
    if pauses.was_cut:
        return None
    times = {"fit_time": fitted - began, "score_time": time.perf_counter() - fitted}
    return {**result, **times, "test_scores": score, "estimator": fit, "pauses": pauses}
