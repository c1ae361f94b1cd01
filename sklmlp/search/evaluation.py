"""Candidates, trained and scored on the folds: one task is a candidate, a fold and a rung."""

import time
from contextlib import suppress
from dataclasses import dataclass, field

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from sklmlp.caller import gathering
from sklmlp.compat import fit_and_score, scorer_as_stored
from sklmlp.search.remembering import MOST_BYTES, Remembered, lend_memory
from sklmlp.training import NotTrainedError, Pauses, use_pauses


@dataclass
class Candidate:
    """Parameters on their way through the rungs.

    Parameters
    ----------
    number : int
        Of the trial.
    params : dict
        As `set_params` takes them.
    values : dict or None
        What the trial suggested, as Optuna records it.

    Attributes
    ----------
    out : list of dict
        scikit-learn's result of each fold; times are those of all rungs.
    kept : list
        The state of each fold's fit, to go on from.
    rungs : list of (int, float)
        Epochs and mean score of each comparison.
    n_epochs, max_iter, n_parameters : int
        The most that a fold has trained, or may train, and the size of a network.
    is_final : bool
        Whether its fits have ended by themselves.
    has_failed : bool
        Whether a fit raised.
    estimators : list
        The fitted estimator of each fold, where they are kept.
    """

    number: int
    params: dict
    values: dict | None = None
    out: list = field(default_factory=list)
    kept: list = field(default_factory=list)
    rungs: list = field(default_factory=list)
    n_epochs: int = 0
    max_iter: int = 0
    n_parameters: int = 0
    is_final: bool = False
    has_failed: bool = False
    estimators: list = field(default_factory=list)

    @property
    def score(self):
        """The mean score of the last rung."""
        return self.rungs[-1][1]

    @property
    def seconds(self):
        """What its fits took, folds added up."""
        return sum(each["fit_time"] for each in self.out)

    def take(self, results, n_epochs, metric):
        """Take note of the results of a rung, one of each fold."""
        before = self.out or [{"fit_time": 0.0, "score_time": 0.0}] * len(results)
        pauses = [each.pop("pauses") for each in results]
        self.estimators = [each.pop("estimator", None) for each in results]
        self.kept = [each.kept for each in pauses]
        self.out = [
            {**new, **{name: new[name] + old[name] for name in ("fit_time", "score_time")}}
            for new, old in zip(results, before, strict=True)
        ]
        self.n_epochs = max(each.n_done for each in pauses)
        self.max_iter = max(each.max_iter for each in pauses)
        self.n_parameters = max(each.n_parameters for each in pauses)
        self.has_failed = any(each["fit_error"] is not None for each in results)
        self.is_final = not (self.has_failed or any(each.has_paused for each in pauses))
        score = float(np.mean([score_of(each["test_scores"], metric) for each in self.out]))
        if self.has_failed:
            score = np.nan
        self.rungs.append((self.n_epochs if n_epochs is None else n_epochs, score))
        if self.is_final:
            self.kept = []


def score_of(scores, metric):
    """Return the score that decides, of one score or of several by name."""
    if not isinstance(scores, dict):
        return float(scores)
    return float(scores[metric] if metric in scores else next(iter(scores.values())))


class Evaluator:
    """Trains candidates on the folds of a table, and scores them.

    Parameters
    ----------
    estimator : estimator
        Not fitted; it is cloned for each fit.
    X, y : array-like
    splits : list of (ndarray, ndarray)
        Rows to train on and rows to score.
    options : dict
        What `sklearn`'s `fit_and_score` takes besides.
    metric : str
        The score that decides, where there are several.
    entropy : int
        Seeds parameters `random_state` that are None: a fit that goes on has to be the same one.
    n_jobs : int or None
    keeps_estimators : bool, default=False
        Whether candidates keep their fitted estimators.

    Attributes
    ----------
    parallelism : float
        Seconds of fits in a second, as measured.
    """

    def __init__(self, estimator, X, y, splits, options, metric, entropy, n_jobs,
                 keeps_estimators=False):  # fmt: skip
        self.estimator, self.X, self.y, self.splits = estimator, X, y, splits
        self.options = {**options, "return_estimator": keeps_estimators}
        self.metric, self.entropy, self.n_jobs = metric, entropy, n_jobs
        self.parallelism, self.remembered = 1.0, Remembered(MOST_BYTES)

    def train(self, candidates, n_epochs, deadline=None, takes_some=False):
        """Train candidates until an epoch, and score them.

        Parameters
        ----------
        candidates : list of Candidate
            Those that are final stay as they are.
        n_epochs : int or None
            None trains to the end.
        deadline : float or None, default=None
            The `time.time()` at which fits end.
        takes_some : bool, default=False
            Whether candidates count that were in time, up to the first that was not.

        Returns
        -------
        n_in_time : int
            How many candidates, from the first, were in time. If that is not all, nothing is taken
            note of unless it `takes_some`.
        """
        going = [c for c in candidates if not (c.is_final or c.has_failed)]
        folds = range(len(self.splits))
        began = time.monotonic()
        results = make_parallel(self.n_jobs)(
            self._task(
                candidate,
                fold,
                Pauses(n_epochs, deadline, candidate.kept[fold] if candidate.kept else None, True),
            )
            for candidate in going
            for fold in folds
        )
        late = next((i for i, result in enumerate(results) if result is None), len(results))
        n_in_time = late // len(folds)
        if n_in_time < len(going) and not takes_some:
            return n_in_time
        going, results = going[:n_in_time], results[: n_in_time * len(folds)]
        seconds = time.monotonic() - began
        if results and seconds > 0:
            work = sum(result["fit_time"] + result["score_time"] for result in results)
            self.parallelism = max(0.5, work / seconds)
        for i, candidate in enumerate(going):
            part = results[i * len(folds) : (i + 1) * len(folds)]
            candidate.take(part, n_epochs, self.metric)
        return n_in_time

    def _task(self, candidate, fold, pauses):
        """Return what joblib runs: the fit and the score of a candidate on a fold."""
        return delayed(_evaluate)(
            *(self.estimator, self.X, self.y, self.splits[fold], candidate.params, pauses),
            *([self.entropy, candidate.number, fold], self.options, self.remembered),
        )

    def without_scores(self):
        """Return scikit-learn's result of each fold of a candidate that was not trained."""
        scorers = getattr(scorer_as_stored(self.options["scorer"]), "keys", None)
        scores = {name: np.nan for name in scorers()} if scorers else np.nan
        result = {"fit_time": 0.0, "score_time": 0.0, "fit_error": None, "n_test_samples": 0}
        kinds = ("test", "train")[: 1 + self.options["return_train_score"]]
        return [{**result, **{f"{kind}_scores": scores for kind in kinds}} for _ in self.splits]

    def count_parameters(self, params):
        """Count what the networks of a candidate learn, before any training.

        Returns
        -------
        n_parameters : int
            0 where there is no network.
        """
        return self._look(params).n_parameters

    def look(self, params):
        """Prepare what a candidate would train on the first fold, and do not train it.

        Returns
        -------
        runs : list of TrainingRun
            One for each network of the last fit; none where there is no network.
        """
        return self._look(params).runs

    def _look(self, params):
        train, test = self.splits[0]
        options = {**self.options, "error_score": "raise", "return_train_score": False}

        def fit(estimator):
            fit_and_score(estimator, self.X, self.y, train=train, test=test, **options)

        return look_at(fit, self.estimator, params, self.entropy, self.remembered)


def look_at(fit, estimator, params, entropy, remembered):
    """Prepare what a candidate would train, and do not train it.

    Parameters
    ----------
    fit : callable
        `fit(estimator)` fits to rows, always the same ones.
    estimator : estimator
        Is cloned.
    params : dict
        As `set_params` takes them.
    entropy : int
        Seeds parameters `random_state` that are None.
    remembered : Remembered
        What transformers have made of the rows.

    Returns
    -------
    pauses : Pauses
        Has the runs and the number of parameters.
    """
    estimator = clone(estimator).set_params(**clone(params, safe=False))
    seed_random_states(estimator, [entropy, 0, 0])
    lend_memory(estimator, remembered, 0)
    with use_pauses(Pauses(only_looks=True)) as pauses, suppress(NotTrainedError):
        fit(estimator)
    return pauses


def make_parallel(n_jobs):
    """Make the `Parallel` of a search: threads that train together unless a backend is chosen."""
    backend, of_context = joblib.parallel.get_active_backend(prefer="threads")
    is_chosen = type(backend) is not joblib.parallel.ThreadingBackend
    n_jobs = of_context if n_jobs is None else n_jobs
    if is_chosen or n_jobs in (None, 1):
        return Parallel(n_jobs=n_jobs)
    return Parallel(n_jobs=n_jobs, backend="sklmlp")


def _evaluate(estimator, X, y, split, params, pauses, seed, options, remembered):
    """Fit and score one candidate on one fold; return None if the deadline came first."""
    if pauses.deadline is not None and time.time() >= pauses.deadline:
        return None
    estimator = clone(estimator).set_params(**clone(params, safe=False))
    seed_random_states(estimator, seed)
    train, test = split
    take_back = lend_memory(estimator, remembered, seed[-1])
    # that some candidates learn little is what a search is for
    try:
        with use_pauses(pauses), gathering(lambda message, category: None):
            result = fit_and_score(estimator, X, y, train=train, test=test, **options)
    except BaseException:  # the deadline ends a fit as Ctrl-C does
        if not pauses.was_cut:
            raise
    finally:
        take_back()
    if pauses.was_cut:
        return None
    result["pauses"] = pauses
    return result


def seed_random_states(estimator, seed):
    """Seed each `random_state` that is None, as scikit-learn's ensembles do with their members.

    Parameters
    ----------
    estimator : estimator
    seed : list of int
        The same seeds for the same numbers.
    """
    names = [
        name
        for name, value in sorted(estimator.get_params().items())
        if value is None and name.split("__")[-1] == "random_state"
    ]
    seeds = np.random.SeedSequence(seed).generate_state(len(names)) if names else []
    drawn = (int(each) % 2**31 for each in seeds)
    estimator.set_params(**dict(zip(names, drawn, strict=True)))
