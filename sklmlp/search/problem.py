"""What a method may know of a search, besides its trials."""

from collections.abc import Callable
from dataclasses import dataclass

from sklearn.base import clone
from sklearn.utils import indexable

from sklmlp.search.evaluation import look_at
from sklmlp.search.remembering import MOST_BYTES, Remembered
from sklmlp.search.suggestions import Recorded, make_suggest

LEAST_TAU = 0.3
"""Kendall's tau under which weights that candidates share do not rank them."""


@dataclass(frozen=True)
class Problem:
    """A search space, and a look at what its candidates would train.

    Parameters
    ----------
    suggest : callable
        `suggest(trial)` returns parameters, as `set_params` takes them.
    look : callable or None, default=None
        `look(params)` returns the list of training runs that a fit with these parameters would
        begin with, one for each network; see `Evaluator.look`. Methods that share weights need it.
    is_allowed : callable or None, default=None
        Tells of parameters whether they may be tried. None allows all.

    Examples
    --------
    >>> from sklmlp.search.architecture import Problem
    >>> def suggest(trial):
    ...     return {"hidden_layer_sizes": (trial.suggest_int("width", 1, 512),)}
    >>> problem = Problem(suggest, is_allowed=lambda params: params["hidden_layer_sizes"] < (100,))
    >>> problem.values_allowed({"width": 64}), problem.values_allowed({"width": 256})
    (True, False)
    """

    suggest: Callable
    look: Callable | None = None
    is_allowed: Callable | None = None

    def values_allowed(self, values):
        """Tell of what a trial suggested, by its names, whether it may be tried.

        With a value missing it may: whoever tries it will see.
        """
        if self.is_allowed is None:
            return True
        try:
            params = self.suggest(Recorded(values))
        except KeyError:
            return True
        return bool(self.is_allowed(params))

    def __deepcopy__(self, memo):
        return self  # it never changes, and its table may be large

    @classmethod
    def of(cls, estimator, X, y, space="architecture", *, max_parameters=None, **fit_params):
        """Make the problem of an estimator and a table, all of whose rows are for training.

        Parameters
        ----------
        estimator : estimator
            A network, or a pipeline or other meta-estimator with one in it. It is cloned.
        X, y : array-like
            As `fit` takes them.
        space : {"auto", "architecture", "full"}, dict, list of dict, or callable, \
default="architecture"
            As `MLPSearchCV` takes it.
        max_parameters : int or None, default=None
            The most numbers that a candidate may learn. None allows any.
        **fit_params : dict
            What else `fit` takes, such as `sample_weight`.

        Returns
        -------
        problem : Problem

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklmlp import MLPClassifier
        >>> from sklmlp.search.architecture import Problem
        >>> X, y = load_iris(return_X_y=True)
        >>> problem = Problem.of(MLPClassifier(), X, y, max_parameters=1000)
        >>> problem.is_allowed({"hidden_layer_sizes": (20, 20)})
        True
        >>> [run] = problem.look({"hidden_layer_sizes": (20, 20)})
        >>> run.network.spec.hidden
        (20, 20)
        """
        X, y = indexable(X, y)
        estimator, remembered = clone(estimator), Remembered(MOST_BYTES)

        def look(params):
            return look_at(
                lambda each: each.fit(X, y, **fit_params), estimator, params, 0, remembered
            )

        is_allowed = None
        if max_parameters is not None:
            is_allowed = lambda params: look(params).n_parameters <= max_parameters  # noqa: E731
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        suggest = make_suggest(space, estimator, n_rows)
        return cls(suggest, lambda params: look(params).runs, is_allowed)
