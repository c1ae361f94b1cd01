"""MLPSearchCV: a search with scikit-learn's contract, whose candidates go on where they paused."""

import time
from numbers import Integral, Real

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state, indexable

from sklmlp.caller import is_one_of_many, warn
from sklmlp.compat import (
    CALLBACKS,
    BaseSearchCV,
    Interval,
    StrOptions,
    check_method_params,
    fit_context,
    insert_error_scores,
    scorer_as_stored,
    warn_or_raise_about_fit_failures,
)
from sklmlp.search.asking import Asker
from sklmlp.search.batches import BATCH_SIZE, BatchSearch
from sklmlp.search.by_hand import by_hand
from sklmlp.search.evaluation import Evaluator
from sklmlp.search.facts import describe_search
from sklmlp.search.halving import Rungs, ranks, rungs
from sklmlp.search.ledger import MemoryLedger, StorageLedger
from sklmlp.search.planning import Clock
from sklmlp.search.problem import LEAST_TAU, Problem
from sklmlp.search.progress import Progress
from sklmlp.search.samplers import import_optuna, quietly
from sklmlp.search.suggestions import make_suggest, size_of_grid
from sklmlp.training import Pauses, use_pauses

N_TRIALS = 64
"""Trials of a search that is told neither their number nor a time."""

THEIRS = (
    *("estimator", "scoring", "n_jobs", "refit", "cv", "verbose", "error_score"),
    "return_train_score",
)
OURS = {
    "space": "no_validation",  # make_suggest has better messages
    "method": "no_validation",  # so has sampler
    "n_trials": [Interval(Integral, 1, None, closed="left"), None],
    "max_time": [Interval(Real, 0, None, closed="neither"), None],
    "halving": ["boolean"],
    "min_epochs": [Interval(Integral, 1, None, closed="left")],
    "factor": [Interval(Real, 1, None, closed="neither")],
    "max_parameters": [Interval(Integral, 1, None, closed="left"), None],
    "initial_params": [list, tuple, None],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
    "storage": "no_validation",
    "study_name": [str, None],
}
"""Parameters of scikit-learn's searches, and the constraints of those that they do not have."""


class MLPSearchCV(BaseSearchCV):
    """Search for parameters of a network by cross-validation, with early decisions and a budget.

    The estimator as it is given is the first candidate, and others are proposed by a sampler of
    Optuna that learns from those before, 16 at a time. All train for a few epochs; the better third
    goes on from where it is, and so on: successive halving [1]_ without starting again. What comes
    out is a search of scikit-learn's, with `cv_results_`, `best_estimator_` and `predict`.

    Parameters
    ----------
    estimator : estimator
        An `MLPClassifier`, `MLPRegressor`, `TabularMLPClassifier` or `TabularMLPRegressor`, or any
        pipeline and meta-estimator with one in it. Others can be searched through too; they are
        fitted in full.
    space : {"auto", "architecture", "full"}, dict, list of dict, or callable, default="auto"
        What is searched through:

        - "architecture": depth, the width of each layer, activation, residual layers and
          normalization; of a raw table's network depth, widths and embeddings.
        - "auto": these, and dropout, penalty, learning rate, schedule and batch size.
        - "full": more of each, label smoothing, warm-up, clipping, members.
        - a dict of lists and distributions as `RandomizedSearchCV` takes it, or a list of these;
          distributions may be Optuna's.
        - a function `suggest(trial)` that returns parameters for `set_params`, Optuna's idiom for
          choices that depend on other ones.
    method : str or optuna.samplers.BaseSampler, default="tpe"
        What proposes candidates; `docs/architecture_search.md` tells of each.

        - Manual: "default", the estimator as it is, and `initial_params`; "portfolio", shapes
          that people choose by hand besides, or the settings of `AutoMLPClassifier` for a raw
          table's network.
        - Random: "random", "qmc" (a Sobol sequence); "grid", all combinations of lists.
        - Evolution: "evolution" (aging), "nsga2" (for score and few parameters), "cmaes".
        - Reinforcement learning: "reinforce".
        - Models of the score: "tpe" (tree-structured Parzen estimators), "gp" (a Gaussian
          process), "predictor" (networks); "nao", by gradients in such a model; "renas",
          evolution whose mutations a policy proposes.
        - By weights that candidates share, trained before the first trial: "random-shared",
          "enas", "darts", "darts-unrolled", "gdas", "cars"; "morphism", by weights that they
          inherit. For `MLPClassifier` and `MLPRegressor`.
        - A sampler of Optuna's.
    n_trials : int or None, default=None
        Candidates in all, the first one and those of earlier fits of the same `storage` included.
        None for as many as there is time for, or 64 without `max_time`.
    max_time : float or None, default=None
        Seconds in all, the refit and earlier fits of the same `storage` included. It is planned by
        what the first rung took, and fits end between two epochs.
    halving : bool, default=True
        Whether candidates are compared early. False trains all of them to the end.
    min_epochs : int, default=3
        Epochs before the first comparison.
    factor : float, default=3
        The better `1 / factor` goes on, for `factor` times as many epochs.
    max_parameters : int or None, default=None
        Candidates whose networks have more weights are not trained.
    initial_params : list of dict or None, default=None
        Candidates to begin with, behind the estimator as it is given.
    batch_size : int or "auto", default="auto"
        Candidates that are proposed at once: 16. More of them keep more cores busy, and learn less
        from one another.
    scoring : str, callable, list, tuple, dict or None, default=None
        As in `GridSearchCV`. Of several the one that `refit` names decides, or else the first.
    cv : int, splitter, iterable or None, default=None
        As in `GridSearchCV`. Folds are drawn once.
    refit : bool, str or callable, default=True
        As in `GridSearchCV`.
    error_score : "raise" or float, default=np.nan
        The score of a candidate whose fit fails. It ends nothing else.
    return_train_score : bool, default=False
        Whether `cv_results_` has scores of the training rows.
    n_jobs : int or None, default=None
        Fits at a time. They run in the backend "sklmlp", in threads, unless
        `joblib.parallel_config` chooses another.
    random_state : int, RandomState or None, default=None
        Of the sampler, and of each `random_state` of the estimator that is None, which gets another
        seed in each candidate and fold.
    verbose : int, default=0
        1 prints a line of how far the search is, 2 each candidate besides.
    storage : str, path, optuna.storages.BaseStorage or None, default=None
        The path of a journal file, or a URL of Optuna's: the search can be killed and goes on with
        the next `fit`, and several processes may share it. None keeps it in memory.
    study_name : str or None, default=None
        Its name in the storage; None is "MLPSearchCV".

    Attributes
    ----------
    cv_results_ : dict of ndarray
        As of `GridSearchCV`, one row a candidate; times are sums over rungs. Besides it has
        `n_epochs` that were trained, the number `rung` of the last comparison, `n_parameters` and
        `fit_seconds`, the sum over folds. Scores are those of the last comparison, and ranks put
        candidates that went further first.
    best_estimator_, best_score_, best_params_, best_index_, scorer_, refit_time_, multimetric_
        As of `GridSearchCV`. The best is one that was trained to its end.
    n_splits_ : int
        The number of folds.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
    classes_ : ndarray
        Of `best_estimator_`.
    plan_ : dict
        What was decided: `n_trials`, which as a parameter repeats the search exactly, or 0 if
        there was no time for one; `batch_sizes` of this fit; `n_epochs`, a number if `max_time` let
        no candidate come to its end; `search_seconds`; `refit_was_cut`, whether time ended the
        refit before its last epoch. With a method whose candidates share weights, also
        `kendall_tau`, between the ranking by these weights and by training from scratch, of the
        candidates that were trained; NaN if these are too few.

    See Also
    --------
    sklmlp.search.sampler : The samplers, for a study of one's own.
    sklearn.model_selection.HalvingRandomSearchCV : Halving that starts again at each rung.

    Notes
    -----
    A fit that pauses and goes on is the same as one that never paused, bit for bit. With a
    `random_state` a search is the same each time, whatever was killed in between; with `max_time`
    the number of trials depends on the machine, and `plan_` has it.

    Candidates do not warn: that some learn little is what a search is for. The refit does.

    References
    ----------
    .. [1] Jamieson & Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter
       optimization". AISTATS, :arxiv:`1502.07943`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklmlp import MLPClassifier, MLPSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> network = MLPClassifier(8, batch_size=30, max_iter=100, tol=1e-3, random_state=0)
    >>> model = make_pipeline(StandardScaler(), network)
    >>> search = MLPSearchCV(model, "architecture", n_trials=4, cv=3, random_state=0).fit(X, y)
    >>> bool(search.best_score_ > 0.9)
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **{name: BaseSearchCV._parameter_constraints[name] for name in THEIRS},
        **OURS,
    }

    def __init__(
        self,
        estimator,
        space="auto",
        *,
        method="tpe",
        n_trials=None,
        max_time=None,
        halving=True,
        min_epochs=3,
        factor=3,
        max_parameters=None,
        initial_params=None,
        batch_size="auto",
        scoring=None,
        cv=None,
        refit=True,
        error_score=np.nan,
        return_train_score=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
        storage=None,
        study_name=None,
    ):
        self.estimator = estimator
        self.space = space
        self.method = method
        self.n_trials = n_trials
        self.max_time = max_time
        self.halving = halving
        self.min_epochs = min_epochs
        self.factor = factor
        self.max_parameters = max_parameters
        self.initial_params = initial_params
        self.batch_size = batch_size
        self.scoring = scoring
        self.cv = cv
        self.refit = refit
        self.error_score = error_score
        self.return_train_score = return_train_score
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.storage = storage
        self.study_name = study_name

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, **params):
        """Search, and fit the best candidate to all rows.

        Parameters
        ----------
        X : array-like or dataframe of shape (n_samples, n_features)
            As the estimator takes it.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Class labels, or values to predict.
        **params : dict of str to object
            For the `fit` of the estimator, the scorers and the splitter, as in scikit-learn's
            searches: `sample_weight` and what else has an entry a row is split with the rows, and
            `groups` goes to the splitter.

        Returns
        -------
        self : object
            The fitted search.

        Warns
        -----
        UserWarning
            If Ctrl-C ended the search: the best candidate so far is fitted. If `max_time` was over
            before there was a score: the first candidate is fitted.
        """
        clock = Clock(self.max_time)
        self._check_not_followed()
        scorers, metric = self._get_scorers()
        X, y = indexable(X, y)
        routed = self._get_routed_params_for_fit(check_method_params(X, params=params))
        splits = self._split(X, y, routed.splitter.split)
        options = {
            **{"scorer": scorers, "parameters": None, "verbose": 0},
            **{"fit_params": routed.estimator.fit, "score_params": routed.scorer.score},
            **{"return_train_score": self.return_train_score, "error_score": self.error_score},
            **{"return_n_test_samples": True, "return_times": True},
        }
        search = self._prepare(X, y, splits, options, metric, clock)
        try:
            search.run()
        finally:
            search.ledger.close()
            search.progress.close()
        candidates = self._conclude(search)
        self._keep_results(candidates, metric, len(splits))
        self._refit(X, y, routed.estimator.fit, search)
        self.scorer_, self.n_splits_ = scorer_as_stored(scorers), len(splits)
        return self

    def _check_not_followed(self):
        if vars(self).get(CALLBACKS):
            raise ValueError(
                "MLPSearchCV does not tell scikit-learn's callbacks of its candidates. Set them on "
                "its estimator, or use verbose=1."
            )

    def _split(self, X, y, params):
        """Return the folds: once, for fits that go on must be of the same rows."""
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits = [(np.asarray(a), np.asarray(b)) for a, b in cv.split(X, y, **params)]
        n_splits = cv.get_n_splits(X, y, **params)
        if not splits or len(splits) != n_splits:
            raise ValueError(
                f"cv.split and cv.get_n_splits return inconsistent results. Expected {n_splits} "
                f"splits, got {len(splits)}"
            )
        return splits

    def _prepare(self, X, y, splits, options, metric, clock):
        """Make what searches: a `BatchSearch`."""
        import_optuna()
        n_rows = min(len(train) for train, _ in splits)
        suggest = make_suggest(self.space, self.estimator, n_rows)
        initial_params = list(self.initial_params or [])
        seed = self._seed()
        ledger = MemoryLedger()
        if self.storage is not None:
            metadata = dict(options["fit_params"]), dict(options["score_params"])
            facts = describe_search(self, X, y, splits, initial_params, metadata)
            name = self.study_name or type(self).__name__
            ledger = StorageLedger(self.storage, name, facts, seed)
            seed, clock.before = ledger.seed, ledger.seconds_before
        evaluator = Evaluator(
            clone(self.estimator), X, y, splits, options, metric, seed, self.n_jobs
        )
        is_allowed = None
        if self.max_parameters is not None:
            is_allowed = lambda p: evaluator.count_parameters(p) <= self.max_parameters  # noqa: E731
        if isinstance(self.method, str) and self.method == "portfolio":
            initial_params += by_hand(self.estimator, suggest)
        problem = Problem(suggest, evaluator.look, is_allowed)
        asker = Asker(self.estimator, initial_params, problem, self.method, seed)
        most = self._most_trials(asker)
        return BatchSearch(
            asker=asker,
            evaluator=evaluator,
            ledger=ledger,
            clock=clock,
            progress=Progress(self.verbose, clock, most),
            rungs=Rungs(self.factor, self.min_epochs if self.halving else None),
            batch_size=BATCH_SIZE if self.batch_size == "auto" else self.batch_size,
            most=most,
            growth=len(splits[0][0]) and (len(splits[0][0]) + len(splits[0][1])) / n_rows,
        )

    def _seed(self):
        """Return the seed of the search, an integer."""
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        rng = check_random_state(self.random_state)
        return int(rng.randint(np.iinfo(np.int32).max))

    def _most_trials(self, asker):
        """Return how many trials there may be, or None."""
        there = asker.most
        if isinstance(self.method, str) and self.method == "grid":
            size = size_of_grid(self.space)
            there = None if size is None else len(asker.given) + size
        known = [each for each in (self.n_trials, there) if each is not None]
        if not known and self.max_time is None:
            return N_TRIALS
        return min(known, default=None)

    def _conclude(self, search):
        """Return the candidates of the results, in order; write down what was decided."""
        candidates = [*search.done.values(), *search.partial]
        candidates.sort(key=lambda each: each.number)
        if search.was_interrupted:
            if not candidates or is_one_of_many():
                raise KeyboardInterrupt
            warn(f"Search interrupted by user after {len(candidates)} trials; the best is fitted.")
        n_trials = len(candidates)
        if not candidates:
            candidates = [self._not_compared(search)]
        self.plan_ = {
            "n_trials": n_trials,
            "n_epochs": search.n_epochs,
            "batch_sizes": [
                *search.batch_sizes,
                *([len(search.partial)] if search.partial else []),
            ],
            "search_seconds": search.clock.elapsed(),
        }
        if hasattr(search.asker.study.sampler, "kendall_tau"):
            self.plan_["kendall_tau"] = self._rank_correlation(search.asker.study)
        return candidates

    def _rank_correlation(self, study):
        """Return how well shared weights rank, and warn if they do not."""
        sampler = study.sampler
        with quietly():
            tau = sampler.kendall_tau(study)
            if sampler.ranks(study) is False:
                warn(
                    f"Shared weights do not rank candidates here: Kendall's tau is {tau:.2f}, and "
                    f"should be {LEAST_TAU} or more. method={self.method!r} is no better than "
                    "'random' on this table; 'tpe' and 'evolution' share no weights."
                )
        return tau

    def _not_compared(self, search):
        """Return the first candidate, without a score: there was no time for one."""
        message = (
            f"max_time={self.max_time:g} s, which counts all fits of a storage, were over before "
            "one candidate was trained for an epoch on all folds. Raise max_time, or lower cv."
        )
        if not self.refit:
            raise ValueError(message)
        warn(f"{message} The first candidate is fitted for as long as there is time.")
        candidate = search.asker.candidate(0)
        candidate.out, candidate.rungs = search.evaluator.without_scores(), [(0, np.nan)]
        return candidate

    def _keep_results(self, candidates, metric, n_splits):
        """Keep `cv_results_`, and which candidate is the best."""
        out = [each for candidate in candidates for each in candidate.out]
        warn_or_raise_about_fit_failures(out, self.error_score)
        if callable(self.scoring):
            insert_error_scores(out, self.error_score)
        more = {
            "n_epochs": [each.n_epochs for each in candidates],
            "rung": rungs([len(c.rungs) for c in candidates], [c.is_final for c in candidates]),
            "n_parameters": [each.n_parameters for each in candidates],
            "fit_seconds": [each.seconds for each in candidates],
        }
        results = self._format_results([each.params for each in candidates], n_splits, out, more)
        self.multimetric_ = isinstance(out[0]["test_scores"], dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(out[0]["test_scores"])
            metric = self.refit
        if self.refit or not self.multimetric_:
            self.best_index_ = self._select_best_index(self.refit, metric, results)
            if not callable(self.refit):
                self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
            self.best_params_ = results["params"][self.best_index_]
        self.cv_results_ = results

    def _format_results(self, candidate_params, n_splits, out, more_results=None):
        """Format results as scikit-learn's searches do; candidates that went further rank first."""
        results = super()._format_results(candidate_params, n_splits, out, more_results)
        for name in [name for name in results if name.startswith("rank_test_")]:
            means = results[f"mean_test_{name.removeprefix('rank_test_')}"]
            results[name] = np.array(ranks(means, results["rung"]), dtype=results[name].dtype)
        return results

    def _refit(self, X, y, fit_params, search):
        """Fit the best candidate to all rows, in the time that is left."""
        for name in ("best_estimator_", "refit_time_", "feature_names_in_"):
            vars(self).pop(name, None)
        if not self.refit:
            return
        best = clone(self.estimator).set_params(**clone(self.best_params_, safe=False))
        pauses = Pauses(search.n_epochs, search.clock.deadline())
        began = time.time()
        with use_pauses(None if pauses.n_epochs is pauses.deadline is None else pauses):
            best.fit(X, **fit_params) if y is None else best.fit(X, y, **fit_params)
        self.refit_time_ = time.time() - began
        self.best_estimator_ = best
        if hasattr(best, "feature_names_in_"):
            self.feature_names_in_ = best.feature_names_in_
        self.plan_["refit_was_cut"] = pauses.was_cut
