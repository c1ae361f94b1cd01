"""What the AutoML estimators share: a fit as a story, and what is to be seen of it afterward."""

import os
from abc import ABC, abstractmethod
from dataclasses import replace
from numbers import Integral, Real

import joblib
import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from sklmlp.caller import is_one_of_many, warn
from sklmlp.compat import Interval, fit_context, safe_indexing
from sklmlp.data import check_limits, check_sample_weight
from sklmlp.prediction import learning_aside
from sklmlp.search.asking import Asker
from sklmlp.search.automl import results, schedule
from sklmlp.search.automl.directory import Directory, Memory
from sklmlp.search.automl.ensemble import Ensemble, select
from sklmlp.search.automl.folds import FoldEvaluator, make_folds, split
from sklmlp.search.automl.portfolio import portfolio
from sklmlp.search.batches import BATCH_SIZE, BatchSearch
from sklmlp.search.facts import as_facts
from sklmlp.search.halving import Rungs
from sklmlp.search.planning import Clock
from sklmlp.search.problem import Problem
from sklmlp.search.progress import Progress
from sklmlp.search.suggestions import make_suggest
from sklmlp.tabular import TableEncoder, as_table, defaults, ends_of_cycles

FACTOR = 3
"""The better third of the candidates goes on."""

SHARE_OF_SEARCH = 0.97
"""Of the time; the rest is for choosing the ensemble."""

GAIN_OF_CORES = 1.7
"""One fit is so many times as fast on several cores: 1.4 to 2.0 was measured on two."""

MOST_IN_POOL = 50
"""The ensemble is chosen from no more candidates than these, the best."""

TO_GO_ON = ("scoring", "cv", "method", "max_parameters", "class_weight")
"""Parameters that must be the same where a fit goes on."""


class BaseAutoMLP(BaseEstimator, ABC):
    """Tunes networks for a raw table; a subclass says what targets and predictions are."""

    _parameter_constraints: dict = {  # noqa: RUF012
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "scoring": [str, callable, None],
        "cv": ["cv_object"],
        "method": "no_validation",  # `sampler` has better messages
        "n_trials": [Interval(Integral, 1, None, closed="left"), None],
        "ensemble": ["boolean"],
        "max_members": [Interval(Integral, 1, None, closed="left")],
        "max_parameters": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "directory": [str, os.PathLike, None],
    }

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, groups=None):
        """Search, and choose the ensemble.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
            Numbers, words and gaps.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or values to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight for each row; None weighs all the same.
        groups : array-like of shape (n_samples,), default=None
            Rows of a group are in the same fold.

        Returns
        -------
        self : object
            The fitted estimator. A fit that fails leaves the estimator as it was.

        Warns
        -----
        UserWarning
            If Ctrl-C ended the search: the ensemble is of what there was. If `max_time` was over
            before there was a score: the default is trained for one epoch.
        """
        with learning_aside(self) as aside:
            aside._fit(X, y, sample_weight, groups)
        return self

    def _fit(self, X, y, sample_weight, groups):
        clock = Clock(self.max_time)
        X, y, weight = self._check_rows(X, y, sample_weight, groups)
        kept = self._open(X, y, weight, groups)
        try:
            search = self._prepare(X, y, weight, groups, kept, clock)
            search.run()
        finally:
            kept.ledger.close()
        search.progress.close()
        if not (search.done or search.partial or search.was_interrupted):
            self._train_a_little(search)
        candidates = self._conclude(search, kept)
        self._keep_results(candidates, safe_indexing(X, [0]))
        self._choose_ensemble(candidates, search.evaluator.splits, X, y, weight)
        self._refit(candidates, search, X, y, weight, clock)

    # The search

    def _check_rows(self, X, y, sample_weight, groups):
        """Check what is given, and learn what the targets and the columns are."""
        y = self._learn_targets(y)
        X = as_table(X)
        check_consistent_length(X, y, groups)
        weight = check_sample_weight(sample_weight, len(y), "sample_weight")
        if weight is not None:
            check_limits(weight, torch.float32)
        encoder = TableEncoder().fit(X)
        vars(self).pop("feature_names_in_", None)
        self.n_features_in_ = encoder.n_features_in_
        if hasattr(encoder, "feature_names_in_"):
            self.feature_names_in_ = encoder.feature_names_in_
        return X, y, weight

    def _open(self, X, y, weight, groups):
        """Open the directory, or what stands for it."""
        if isinstance(self.random_state, Integral):
            seed = int(self.random_state)
        else:
            rng = check_random_state(self.random_state)
            seed = int(rng.randint(np.iinfo(np.int32).max))
        if self.directory is None:
            return Memory(seed)
        settings = {name: getattr(self, name, None) for name in TO_GO_ON}
        if self.random_state is not None:
            settings["random_state"] = self.random_state
        settings["estimator"] = type(self).__name__
        arrays = {"X": X, "y": y, "sample_weight": weight, "groups": groups}
        return Directory(self.directory, as_facts(settings, arrays), seed)

    def _prepare(self, X, y, weight, groups, kept, clock):
        """Make what searches: a `BatchSearch`."""
        classes = self._classes_of(y)
        splits = split(self.cv, X, y, groups, classes, kept.seed)
        folds = make_folds(X, y, weight, splits)
        self._metric = self._make_metric()
        n_rows = min(len(fold.y) for fold in folds)
        estimator = self._make_estimator(n_rows)
        evaluator = FoldEvaluator(estimator, folds, self._metric, kept.seed, self._fits_at_once())
        n_folds, max_iter = kept.plan(lambda: self._plan(evaluator, clock))
        evaluator.splits = folds[:n_folds]
        estimator.set_params(max_iter=max_iter)
        first, *others = ends_of_cycles(max_iter)
        clock.max_time = None if self.max_time is None else SHARE_OF_SEARCH * self.max_time
        clock.before = kept.ledger.seconds_before
        is_allowed = None
        if self.max_parameters is not None:
            is_allowed = lambda p: evaluator.count_parameters(p) <= self.max_parameters  # noqa: E731
        suggest = make_suggest("auto", estimator, n_rows)
        given = [_in_company(params) for params in portfolio(self._task)]
        problem = Problem(lambda trial: _in_company(suggest(trial)), is_allowed=is_allowed)
        asker = Asker(estimator, given, problem, self.method, kept.seed)
        most = self.n_trials
        if most is None and self.max_time is None:
            most = 1 + len(given) + 2 * BATCH_SIZE
        if asker.most is not None:
            most = asker.most if most is None else min(most, asker.most)
        return BatchSearch(
            asker=asker,
            evaluator=evaluator,
            ledger=kept.ledger,
            clock=clock,
            progress=Progress(self.verbose, clock, most),
            rungs=Rungs(FACTOR, first if others else None, tuple(others[:-1])),
            batch_size=BATCH_SIZE,
            most=most,
            growth=len(y) / n_rows / (GAIN_OF_CORES if joblib.cpu_count() > 1 else 1),
            n_in_full=len(asker.given),
        )

    def _make_estimator(self, n_rows):
        """Return the estimator that is tuned, with its "auto" resolved for some training rows."""
        size = defaults.batch_size(n_rows)
        return self._tuned(
            batch_size=size,
            max_iter=defaults.max_iter(n_rows, size),
            learning_rate_init=defaults.LEARNING_RATE_INIT[self._task],
        )

    def _fits_at_once(self):
        """Return `n_jobs`: all cores, unless the user or joblib's context says otherwise."""
        is_chosen = joblib.parallel.get_active_backend()[1] not in (None, 1)
        return -1 if self.n_jobs is None and not is_chosen else self.n_jobs

    def _plan(self, evaluator, clock):
        """Return how many folds, and epochs of a fit, there is time for."""
        n_folds, max_iter = len(evaluator.splits), evaluator.estimator.max_iter
        if self.max_time is None:
            return n_folds, max_iter
        epoch = evaluator.seconds_of_epoch()
        n_at_once = joblib.effective_n_jobs(evaluator.n_jobs)
        return schedule.plan(clock.left(), epoch, max_iter, n_folds, n_at_once)

    def _train_a_little(self, search):
        """Train the default for an epoch on one fold, where there was no time for more."""
        candidate = search.asker.candidate(0)
        search.evaluator.train_a_little(candidate)
        search.partial.append(candidate)
        warn(
            f"max_time={self.max_time:g} s were over before one candidate was trained for an epoch "
            "on two folds. The default is trained for one epoch on one fold. Raise max_time."
        )

    # Its results

    def _conclude(self, search, kept):
        """Return the candidates, in order; write down what was decided."""
        candidates = [*search.done.values(), *search.partial]
        candidates.sort(key=lambda each: each.number)
        if search.was_interrupted:
            if not candidates or is_one_of_many():
                raise KeyboardInterrupt
            warn(f"Search interrupted by user after {len(candidates)} trials; they are the result.")
        for candidate in candidates:
            if not candidate.has_failed:
                kept.restore(candidate)
        self.n_splits_ = len(search.evaluator.splits)
        self.plan_ = {
            "n_trials": len(candidates),
            "max_iter": search.evaluator.estimator.max_iter,
            "n_folds": self.n_splits_,
            "batch_sizes": search.batch_sizes,
            "search_seconds": search.clock.elapsed(),
        }
        return candidates

    def _keep_results(self, candidates, row):
        """Keep what came of each candidate, and which is the best."""
        self.cv_results_ = results.summarize(candidates, self._metric, row)
        self.best_index_ = int(self.cv_results_["rank_test_score"].argmin())
        self.best_params_ = candidates[self.best_index_].params
        self.best_score_ = float(self.cv_results_["mean_test_score"][self.best_index_])

    def _choose_ensemble(self, candidates, folds, X, y, weight):
        """Choose the members and their weights, by predictions for the rows held out."""
        order = np.argsort(self.cv_results_["rank_test_score"], kind="stable")
        pool = [int(k) for k in order if not candidates[k].has_failed][:MOST_IN_POOL]
        rows, predictions = results.held_out([candidates[k] for k in pool], folds, len(y))
        counts = np.array([1])
        if self.ensemble:
            X_rows = None if self._metric.scorer is None else safe_indexing(X, rows)
            w_rows = None if weight is None else weight[rows]

            def score(prediction):
                return self._metric(prediction, X_rows, y[rows], w_rows)

            counts = select(predictions, score, self.max_members)
        members = [(k, count) for k, count in zip(pool, counts, strict=False) if count]
        weights = np.array([count for _, count in members]) / counts.sum()
        self.ensemble_ = Ensemble(
            np.array([k for k, _ in members]),
            weights,
            [[fit.estimator for fit in candidates[k].estimators] for k, _ in members],
        )
        chosen = [each for each, count in zip(predictions, counts, strict=False) if count]
        mean = sum(w * each for w, each in zip(weights, chosen, strict=True))
        self.oof_prediction_ = np.full((len(y), *mean.shape[1:]), np.nan)
        self.oof_prediction_[rows] = mean

    def _refit(self, candidates, search, X, y, weight, clock):
        """Fit the best to all rows, and other members that there is time for."""
        members = dict(zip(self.ensemble_.numbers, self.ensemble_.weights, strict=True))
        others = sorted(members.keys() - {self.best_index_}, key=members.get, reverse=True)
        if self.max_time is None or not self.ensemble:
            others = []
        weights, fitted = [], []
        for k in (self.best_index_, *others):
            left = self._time_left(clock)
            needed = candidates[k].seconds / self.n_splits_ * search.growth
            if left is not None and left < needed:
                break
            model = self._fit_whole(candidates[k], search, X, y, weight, left)
            if model.n_iter_ < model.best_iteration_:  # time was over at a high learning rate
                break
            fitted.append(model)
            weights.append(members.get(k, 1 / len(members)))
        self.plan_["n_fitted_to_all"] = len(fitted)
        self.best_estimator_ = fitted[0] if fitted else self._of_fold(candidates)
        whole = [(w / sum(weights), each) for w, each in zip(weights, fitted, strict=True)]
        self.ensemble_ = replace(self.ensemble_, whole=whole)

    def _time_left(self, clock):
        """Return the seconds that are left of all, or None."""
        return None if self.max_time is None else self.max_time - clock.before - clock.elapsed()

    def _fit_whole(self, candidate, search, X, y, weight, seconds):
        """Fit a candidate to all rows, within some seconds."""
        params = clone(candidate.params, safe=False)
        model = clone(search.evaluator.estimator).set_params(**params, max_time=seconds)
        model.set_params(random_state=search.evaluator.entropy % 2**31)
        fits = [fit.estimator for fit in candidate.estimators]
        return model.fit_all(fits, X, y, weight).set_params(max_time=None)

    def _of_fold(self, candidates):
        """Return the best candidate's network of a fold, for want of time for another one."""
        return candidates[self.best_index_].estimators[0].estimator

    # Afterward

    def leaderboard(self):
        """Return what came of each candidate, the best first.

        Returns
        -------
        table : pandas.DataFrame
            Indexed by candidate, 0 is the estimator at its defaults; `score` is the mean over
            folds and `spread` the standard deviation, `seconds` is the sum over folds, `epochs`
            and `parameters` are those of a network, `weight` that in the ensemble, `params` what
            differs from the defaults.
        """
        check_is_fitted(self, "ensemble_")
        return results.leaderboard(self.cv_results_, self.ensemble_)

    @property
    def pareto_(self):
        """Candidates that no other one beats in score and size, or in score and time of a row."""
        check_is_fitted(self, "ensemble_")
        return results.pareto(self.cv_results_)

    def _predicted(self, X):
        """Return probabilities or values."""
        check_is_fitted(self, "ensemble_")
        if not self.ensemble:
            return self._metric.predicted(self.best_estimator_, X)
        return self.ensemble_.predict(X, self._metric)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    @property
    @abstractmethod
    def _task(self):
        """Return "classification" or "regression"."""

    @abstractmethod
    def _learn_targets(self, y):
        """Check targets and learn what they are; return an array."""

    @abstractmethod
    def _classes_of(self, y):
        """Return what folds are to have in the same proportions, a number a row, or None."""

    @abstractmethod
    def _make_metric(self):
        """Return the `Metric`."""

    @abstractmethod
    def _tuned(self, **params):
        """Return the tabular estimator that is tuned."""


def _in_company(params):
    """Return parameters of a candidate, without an additive model: it has other company."""
    return {**params, "additive": False}
