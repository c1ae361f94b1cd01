"""Displays of a search: its history, what mattered in it, and what a score costs.

They read `cv_results_`, which `MLPSearchCV`, `AutoMLPClassifier` and `AutoMLPRegressor` have, and
scikit-learn's searches too: these have no early stops, and no sizes.
"""

import math
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklmlp.inspection.displays import COLOURS, axes_for, legend_below
from sklmlp.inspection.importance import importances, values_of

LEAST_TRIALS = 8
"""Fewer say nothing about importance."""

COSTS = {"n_parameters": "parameters", "row_milliseconds": "milliseconds for one row"}
"""What a model costs, and its name on an axis."""


class Trials(NamedTuple):
    """What is known of the candidates of a search.

    Parameters
    ----------
    metric : str
        The name of the score.
    scores : ndarray of shape (n_trials,)
        Mean scores over folds; NaN where all fits failed.
    rungs : ndarray of shape (n_trials,)
        How far each was trained: those of the last rung to their end.
    """

    metric: str
    scores: np.ndarray
    rungs: np.ndarray

    @property
    def are_final(self):
        """Whether each was trained to its end."""
        return self.rungs == self.rungs.max()

    def best_first(self):
        """Return the places of those with a score: trained further is before a better score."""
        scored = np.flatnonzero(~np.isnan(self.scores))
        return scored[np.lexsort((-self.scores[scored], -self.rungs[scored]))]


def trials_of(search, metric=None):
    """Read the trials of a fitted search.

    Parameters
    ----------
    search : estimator
        With `cv_results_`.
    metric : str, default=None
        Of several metrics the one to read; None is the one that `refit` names.

    Returns
    -------
    trials : Trials
    """
    check_is_fitted(search, "cv_results_")
    results, prefix = search.cv_results_, "mean_test_"
    known = [name.removeprefix(prefix) for name in results if name.startswith(prefix)]
    if metric is None:
        refit = getattr(search, "refit", None)
        metric = known[0] if len(known) == 1 else refit
    if metric not in known:
        raise ValueError(
            f"metric={metric!r} is none of the search. Use one of {', '.join(map(repr, known))}."
        )
    scores = np.asarray(results[f"{prefix}{metric}"], dtype=float)
    rungs = np.asarray(results.get("rung", np.zeros(len(scores))))
    scoring = getattr(search, "scoring", None)
    is_named = metric == "score" and isinstance(scoring, str)
    return Trials(scoring if is_named else metric, scores, rungs)


def column_of(search, name):
    """Return what `cv_results_` has of each trial besides scores, an array of numbers."""
    if name not in search.cv_results_:
        raise ValueError(
            f"cv_results_ has no {name!r}. {type(search).__name__} does not measure it; "
            f"{'AutoMLP*' if name == 'row_milliseconds' else 'MLPSearchCV'} does."
        )
    return np.asarray(search.cv_results_[name], dtype=float)


def lowest_shown(scores, are_final):
    """Return the lowest score that is shown at its place, so that the best ones can be told apart.

    It is the lowest of all, unless the lowest quarter would take most of the height. What was
    trained to the end is shown in any case.
    """
    scored = ~np.isnan(scores)
    best, lowest = scores[scored].max(initial=-np.inf), scores[scored].min(initial=np.inf)
    floor = np.quantile(scores[scored], 0.25) if scored.any() else lowest
    floor = min(floor, scores[scored & are_final].min(initial=np.inf))
    return floor if best - lowest > 3 * (best - floor) else lowest


class SearchHistoryDisplay:
    """The score of each trial of a search, in order, and the best so far.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    x : ndarray of shape (n_trials,)
        When each trial was done: its number, or the seconds of all fits up to it.
    scores : ndarray of shape (n_trials,)
        Mean scores over folds, NaN for trials that failed. That of a trial that was stopped early
        is the score that it was stopped with.
    are_final : ndarray of bool of shape (n_trials,)
        Whether each was trained to its end. Only these can be the best.
    metric : str, default="score"
        The name of the score.
    xlabel : str, default="trial"

    Attributes
    ----------
    best : ndarray of shape (n_trials,)
        The best score so far of those that were trained to the end, NaN before there is one.
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    final_, stopped_, below_ : matplotlib.lines.Line2D
        The marks of trials that were trained to the end, of those stopped early, and at the lower
        edge of those whose score is too low to be shown at its place.
    best_line_ : matplotlib.lines.Line2D

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.inspection import SearchHistoryDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier(4, batch_size=30, tol=1e-2, random_state=0)
    >>> search = GridSearchCV(mlp, {"learning_rate_init": [0.01, 0.03]}, cv=2).fit(X, y)
    >>> display = SearchHistoryDisplay.from_estimator(search)
    >>> bool(display.best[-1] == search.best_score_)
    True
    """

    def __init__(self, *, x, scores, are_final, metric="score", xlabel="trial"):
        self.x = x
        self.scores = scores
        self.are_final = are_final
        self.metric = metric
        self.xlabel = xlabel
        final = np.where(are_final & ~np.isnan(scores), scores, -np.inf)
        best = np.maximum.accumulate(final)
        self.best = np.where(np.isinf(best), np.nan, best)

    @classmethod
    def from_estimator(cls, search, *, metric=None, x="trial", ax=None):
        """Draw the history of a fitted search.

        Parameters
        ----------
        search : estimator
            A fitted `MLPSearchCV`, `AutoMLPClassifier` or `AutoMLPRegressor`, or a search of
            scikit-learn's.
        metric : str, default=None
            Which score, of a search with several; None is the one that `refit` names.
        x : {"trial", "seconds"}, default="trial"
            What is on the horizontal axis: the number of the trial, or the seconds of fits up to
            it, over all folds. Trials of a batch train side by side, so that these are not those
            of a clock.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : SearchHistoryDisplay
        """
        trials = trials_of(search, metric)
        if x == "trial":
            where, xlabel = np.arange(len(trials.scores)), "trial"
        elif x == "seconds":
            where, xlabel = np.cumsum(column_of(search, "fit_seconds")), "seconds of fits so far"
        else:
            raise ValueError(f"x={x!r} is not known. Use 'trial' or 'seconds'.")
        return cls(
            x=where,
            scores=trials.scores,
            are_final=trials.are_final,
            metric=trials.metric,
            xlabel=xlabel,
        ).plot(ax)

    def plot(self, ax=None):
        """Draw the history.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : SearchHistoryDisplay
            This one, with `ax_`, `figure_` and the lines.
        """
        ax = axes_for(self, ax)
        floor = lowest_shown(self.scores, self.are_final)
        is_below = self.scores < floor
        final, stopped = self.are_final & ~is_below, ~self.are_final & ~is_below
        (self.stopped_,) = ax.plot(
            self.x[stopped], self.scores[stopped], "o", color=COLOURS[4], markersize=4,
            fillstyle="none", label=f"stopped early ({np.count_nonzero(stopped)})",
        )  # fmt: skip
        (self.below_,) = ax.plot(
            self.x[is_below], np.full(np.count_nonzero(is_below), floor), "v", color=COLOURS[4],
            markersize=4, label=f"lower than shown ({np.count_nonzero(is_below)})",
        )  # fmt: skip
        (self.final_,) = ax.plot(
            self.x[final], self.scores[final], "o", color=COLOURS[0], markersize=5,
            label=f"trained to the end ({np.count_nonzero(final)})",
        )  # fmt: skip
        (self.best_line_,) = ax.step(
            self.x, self.best, where="post", color=COLOURS[1], label="best so far"
        )
        ax.set(xlabel=self.xlabel, ylabel=self.metric)
        legend_below(ax, [line for line in ax.lines if line.get_xdata().size])
        return self


class ParameterImportanceDisplay:
    """How much each parameter of a search had to do with being among the best.

    Importances are those of PED-ANOVA [1]_. Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    importances : dict of str to float
        Shares of 1, the greatest first.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    bars_ : matplotlib.container.BarContainer
        A bar for each parameter, the most important one on top.

    References
    ----------
    .. [1] Watanabe, Bansal & Hutter (2023), "PED-ANOVA: Efficiently quantifying hyperparameter
       importance in arbitrary subspaces". IJCAI, :arxiv:`2304.10255`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.inspection import ParameterImportanceDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier(batch_size=30, learning_rate_init=0.01, tol=1e-2, random_state=0)
    >>> sizes = [(4,), (8,), (4, 4), (8, 4)]
    >>> grid = {"hidden_layer_sizes": sizes, "activation": ["relu", "tanh"]}
    >>> search = GridSearchCV(mlp, grid, cv=2).fit(X, y)
    >>> display = ParameterImportanceDisplay.from_estimator(search)
    >>> sorted(display.importances)
    ['activation', 'depth', 'width_1']
    """

    def __init__(self, *, importances):
        self.importances = importances

    @classmethod
    def from_estimator(cls, search, *, metric=None, top=0.25, ax=None):
        """Draw the importances of the parameters of a fitted search.

        Optuna's PED-ANOVA compares the values that the best trials have with those that all
        of them have. That needs no more than an order, in which a trial that was trained further is
        before others, so that trials that were stopped early count too.

        Parameters
        ----------
        search : estimator
            A fitted `MLPSearchCV`, `AutoMLPClassifier` or `AutoMLPRegressor`, or a search of
            scikit-learn's, with some dozens of trials. What a trial leaves as it is counts with the
            value that the estimator has.
        metric : str, default=None
            Which score, of a search with several; None is the one that `refit` names.
        top : float, default=0.25
            Which share of trials are the best.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : ParameterImportanceDisplay
            Its `hidden_layer_sizes` are a `depth` and the width of each layer.
        """
        order = trials_of(search, metric).best_first()
        if len(order) < LEAST_TRIALS:
            raise ValueError(
                f"The search has {len(order)} trials with a score, and importances need "
                f"{LEAST_TRIALS} at least, better some dozens. Raise n_trials or max_time."
            )
        if not 0.1 <= top <= 0.9:
            raise ValueError(f"top={top!r} is out of range. Use a share from 0.1 to 0.9.")
        n_best = math.ceil(top * len(order))
        found = importances(values_of(search), order[:n_best], order[n_best:])
        return cls(importances=found).plot(ax)

    def plot(self, ax=None):
        """Draw the importances.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : ParameterImportanceDisplay
            This one, with `ax_`, `figure_` and `bars_`.
        """
        ax = axes_for(self, ax)
        names = list(self.importances)
        self.bars_ = ax.barh(names, list(self.importances.values()), color=COLOURS[0])
        ax.bar_label(self.bars_, fmt="%.2f", padding=3)
        ax.invert_yaxis()
        ax.set_xlim(0, 1.12 * max(self.importances.values(), default=0) or 1)
        ax.set_xlabel("importance for being among the best")
        ax.spines[["top", "right"]].set_visible(False)
        return self


class ParetoDisplay:
    """What a better score costs: each model of a search, and the front of those worth their cost.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    costs : ndarray of shape (n_models,)
    scores : ndarray of shape (n_models,)
    metric : str, default="score"
        The name of the score.
    xlabel : str, default="parameters"
        The name of the cost.

    Attributes
    ----------
    front : ndarray of int
        Places of the models that no other one beats, the cheapest first: others that cost no more
        have a lower score.
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    models_, front_line_ : matplotlib.lines.Line2D
        The marks of all models, and the front.

    Examples
    --------
    >>> import numpy as np
    >>> from sklmlp.inspection import ParetoDisplay
    >>> costs, scores = np.array([100, 200, 300, 400]), np.array([0.8, 0.7, 0.9, 0.9])
    >>> ParetoDisplay(costs=costs, scores=scores).front
    array([0, 2])
    """

    def __init__(self, *, costs, scores, metric="score", xlabel="parameters"):
        self.costs = costs
        self.scores = scores
        self.metric = metric
        self.xlabel = xlabel
        by_cost = np.lexsort((-scores, costs))
        before = np.maximum.accumulate(np.append(-np.inf, scores[by_cost]))[:-1]
        self.front = by_cost[scores[by_cost] > before]

    @classmethod
    def from_estimator(cls, search, *, metric=None, cost="n_parameters", ax=None):
        """Draw the models of a fitted search that were trained to the end.

        Parameters
        ----------
        search : estimator
            A fitted `MLPSearchCV`, `AutoMLPClassifier` or `AutoMLPRegressor`.
        metric : str, default=None
            Which score, of a search with several; None is the one that `refit` names.
        cost : {"n_parameters", "row_milliseconds"}, default="n_parameters"
            The number of parameters, or the time that the prediction of one row takes, which
            `AutoMLPClassifier` and `AutoMLPRegressor` measure.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : ParetoDisplay
        """
        if cost not in COSTS:
            raise ValueError(f"cost={cost!r} is not known. Use {' or '.join(map(repr, COSTS))}.")
        trials = trials_of(search, metric)
        costs, scores = column_of(search, cost), trials.scores
        is_shown = trials.are_final & ~np.isnan(scores) & ~np.isnan(costs)
        costs, scores = costs[is_shown], scores[is_shown]
        return cls(costs=costs, scores=scores, metric=trials.metric, xlabel=COSTS[cost]).plot(ax)

    def plot(self, ax=None):
        """Draw the models.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : ParetoDisplay
            This one, with `ax_`, `figure_` and the lines.
        """
        ax = axes_for(self, ax)
        (self.models_,) = ax.plot(
            self.costs, self.scores, "o", color=COLOURS[0], markersize=5, label="model"
        )
        (self.front_line_,) = ax.plot(
            self.costs[self.front], self.scores[self.front], "o-", color=COLOURS[1],
            drawstyle="steps-post", markersize=7, label="Pareto front",
        )  # fmt: skip
        from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

        ax.set(xscale="log", xlabel=self.xlabel, ylabel=self.metric)
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.grid(alpha=0.25)
        legend_below(ax, [self.models_, self.front_line_])
        return self
