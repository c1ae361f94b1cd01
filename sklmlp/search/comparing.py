"""compare_methods: search methods side by side on one table, with the columns of the survey."""

import time

import joblib
import numpy as np
from sklearn.base import clone

from sklmlp.caller import gathering
from sklmlp.search.cv import MLPSearchCV
from sklmlp.search.evaluation import seed_random_states
from sklmlp.search.samplers import METHODS, find_method

COMPARED = [name for name in METHODS if name not in ("grid", "cmaes", "darts-unrolled")]
"""Methods that "all" stands for: no grid, for which a space must be finite, nothing that needs
another package, and one of the two orders of DARTS."""

ALWAYS = ("default", "random")
"""Methods that others are to be better than."""


def compare_methods(
    estimator,
    X,
    y,
    methods="all",
    *,
    n_trials,
    n_repeats=3,
    X_test,
    y_test,
    max_time=None,
    space="architecture",
    random_state=0,
    **search_params,
):
    """Search by several methods on the same table, and score what each ends with on other rows.

    Parameters
    ----------
    estimator : estimator
        As `MLPSearchCV` takes it.
    X, y : array-like
        Rows to search with.
    methods : "all" or list of str, default="all"
        As `MLPSearchCV` takes them. "default" and "random" are always among them.
    n_trials : int
        Candidates of each search.
    n_repeats : int, default=3
        Searches of each method, with other random numbers.
    X_test, y_test : array-like
        Rows to score the best model of each search on.
    max_time : float or None, default=None
        Seconds that each search may take. None for as long as its trials take.
    space : str, dict, list of dict or callable, default="architecture"
        The space of all methods; see `MLPSearchCV`.
    random_state : int, default=0
        Repeat `i` searches with `random_state + i`. So do the networks, unless `estimator` has a
        `random_state` of its own.
    **search_params : dict
        What else `MLPSearchCV` takes, such as `cv`, `scoring`, `n_jobs` and `max_parameters`.

    Returns
    -------
    table : pandas.DataFrame
        One row a method, in the order of the survey's families [1]_, indexed by its name:

        - `family`.
        - `parameters`, of the networks that were chosen, the mean over repeats.
        - `test_score`, the mean over repeats, by `scoring`, and `spread`, its standard deviation.
        - `seconds` of a search without the final fit, the mean over repeats.
        - `trials` of a search.
        - `cores` that fits ran on.
        - `kendall_tau`, the mean over repeats, of methods whose candidates share weights: how well
          these rank; NaN for others.

    Raises
    ------
    ValueError
        If there is no method of a name.

    See Also
    --------
    sklmlp.inspection.MethodComparisonDisplay : A picture of the table.

    Notes
    -----
    All methods have the same trials, and methods that share weights train them beforehand, which
    `seconds` have in them. A spread of three repeats is a rough one.

    References
    ----------
    .. [1] He, Zhao & Chu (2021), "AutoML: A survey of the state-of-the-art", :arxiv:`1908.00709`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.search import compare_methods
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(8, batch_size=30, max_iter=20, tol=0.1, random_state=0)
    >>> table = compare_methods(
    ...     model, X[::2], y[::2], ["evolution"], n_trials=3, n_repeats=1, cv=2,
    ...     X_test=X[1::2], y_test=y[1::2],
    ... )
    >>> list(table.index)
    ['default', 'random', 'evolution']
    """
    import pandas as pd

    names = list(COMPARED) if isinstance(methods, str) and methods == "all" else list(methods)
    for name in names:
        find_method(name)
    names = [name for name in METHODS if name in {*ALWAYS, *names}]
    rows = []
    for name in names:
        searches = [
            _search(
                MLPSearchCV(
                    _seeded(estimator, random_state + i), space, method=name, n_trials=n_trials,
                    max_time=max_time, random_state=random_state + i, **search_params,
                ),
                X, y, X_test, y_test,
            )
            for i in range(n_repeats)
        ]  # fmt: skip
        mean = {key: float(np.mean([each[key] for each in searches])) for key in searches[0]}
        rows.append(
            {
                "family": METHODS[name].family,
                "parameters": round(mean["parameters"]),
                "test_score": mean["test_score"],
                "spread": float(np.std([each["test_score"] for each in searches])),
                "seconds": mean["seconds"],
                "trials": round(mean["trials"]),
                "cores": _n_cores(search_params.get("n_jobs")),
                "kendall_tau": mean["kendall_tau"],
            }
        )
    return pd.DataFrame(rows, index=pd.Index(names, name="method"))


def _seeded(estimator, seed):
    """Return a copy whose parameters `random_state` that are None have a seed."""
    estimator = clone(estimator)
    seed_random_states(estimator, [seed])
    return estimator


def _search(search, X, y, X_test, y_test):
    """Search once, and return what the table has of it."""
    began = time.perf_counter()
    with gathering(lambda message, category: None):  # `kendall_tau` says what a warning would
        search.fit(X, y)
    seconds = time.perf_counter() - began - getattr(search, "refit_time_", 0.0)
    return {
        "parameters": search.cv_results_["n_parameters"][search.best_index_],
        "test_score": search.score(X_test, y_test),
        "seconds": seconds,
        "trials": search.plan_["n_trials"],
        "kendall_tau": search.plan_.get("kendall_tau", np.nan),
    }


def _n_cores(n_jobs):
    """Return how many cores fits run on."""
    if n_jobs is None:
        n_jobs = joblib.parallel.get_active_backend()[1] or 1
    return min(joblib.effective_n_jobs(n_jobs), joblib.cpu_count())
