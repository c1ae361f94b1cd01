"""AutoMLPRegressor: values of a raw table, by a search that ends with an ensemble."""

from sklearn.base import RegressorMixin

from sklmlp.data import check_numbers, check_y
from sklmlp.search.automl.base import BaseAutoMLP
from sklmlp.search.automl.metric import Metric
from sklmlp.tabular import TabularMLPRegressor


class AutoMLPRegressor(RegressorMixin, BaseAutoMLP):
    """Predict values of a raw table by an ensemble of tuned networks, within a time.

    As :class:`AutoMLPClassifier`, whose parameters and attributes have the same meaning.

    Parameters
    ----------
    max_time : float or None, default=300
        Seconds in all, earlier fits in the same `directory` included.
    scoring : str, callable or None, default=None
        What is best, a scorer of scikit-learn's. None is the root mean squared error.
    cv : int, splitter or iterable, default=5
        Folds, with whole `groups`.
    method : str or optuna.samplers.BaseSampler, default="tpe"
        What proposes candidates.
    n_trials : int or None, default=None
        Candidates in all; None for as many as there is time for.
    ensemble : bool, default=True
        Whether to predict by an ensemble. False predicts by `best_estimator_`.
    max_members : int, default=25
        Members of the ensemble, of which some may be the same.
    max_parameters : int or None, default=None
        Candidates whose networks have more weights are not trained.
    random_state : int, RandomState instance or None, default=None
        Draws folds, candidates and initial weights.
    n_jobs : int or None, default=None
        Fits at a time; None is as many as there are cores.
    verbose : int, default=0
        1 prints a line of how far the search is, 2 each candidate besides.
    directory : str, path or None, default=None
        Where trials and networks are kept, for a fit that goes on.

    Attributes
    ----------
    ensemble_ : Ensemble
        `numbers` of the candidates, their `weights`, and their `estimators`, one a fold; `whole`
        has those fitted to all rows, `best_estimator_` first, which count as much as all of these.
    best_estimator_ : TabularMLPRegressor
        The best candidate, fitted to all rows.
    best_index_, best_params_, best_score_ : int, dict, float
        Its number, what differs from the defaults, and its mean score over folds.
    oof_prediction_ : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The ensemble's predictions for each row, by networks that were not trained on it. NaN for
        rows that were never held out.
    cv_results_, pareto_, plan_, n_splits_, n_features_in_, feature_names_in_
        As of :class:`AutoMLPClassifier`.

    See Also
    --------
    TabularMLPRegressor : One network at its defaults, with more losses.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklmlp import AutoMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = AutoMLPRegressor(max_time=None, n_trials=1, cv=2, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.3
    True
    """

    def __init__(
        self,
        max_time=300,
        *,
        scoring=None,
        cv=5,
        method="tpe",
        n_trials=None,
        ensemble=True,
        max_members=25,
        max_parameters=None,
        random_state=None,
        n_jobs=None,
        verbose=0,
        directory=None,
    ):
        self.max_time = max_time
        self.scoring = scoring
        self.cv = cv
        self.method = method
        self.n_trials = n_trials
        self.ensemble = ensemble
        self.max_members = max_members
        self.max_parameters = max_parameters
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.directory = directory

    _task = "regression"

    def _learn_targets(self, y):
        return check_numbers(self, check_y(self, y), "y")

    def _classes_of(self, y):
        return None

    def _make_metric(self):
        return Metric(self.scoring)

    def _tuned(self, **params):
        return TabularMLPRegressor(**params)

    def predict(self, X):
        """Predict values.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._predicted(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
