"""AutoMLPClassifier: classes of a raw table, by a search that ends with an ensemble."""

import numpy as np
from sklearn.base import ClassifierMixin

from sklmlp.compat import StrOptions
from sklmlp.data import ClassTargets, accuracy, check_y, checked_score
from sklmlp.search.automl.base import BaseAutoMLP
from sklmlp.search.automl.metric import Metric
from sklmlp.tabular import TabularMLPClassifier


class AutoMLPClassifier(ClassifierMixin, BaseAutoMLP):
    """Classify the rows of a raw table by an ensemble of tuned networks, within a time.

    Trains `TabularMLPClassifier` as it is, then settings that did well on other tables, then what a
    sampler proposes that learns from these. All start at once on the folds of a cross-validation,
    and the better third goes on where it was: successive halving. What was trained anyway makes an
    ensemble [1]_: of each candidate the mean of its folds' networks, with weights that are best for
    the rows held out. Needs Optuna: ``pip install 'sklmlp[search]'``.

    Parameters
    ----------
    max_time : float or None, default=300
        Seconds in all, earlier fits in the same `directory` included. None for as many as
        `n_trials` take.
    scoring : str, callable or None, default=None
        What is best, a scorer of scikit-learn's. None is the log loss.
    cv : int, splitter or iterable, default=5
        Folds. A number of them are drawn with the same proportions of classes, and with whole
        `groups`. On large tables the first of them may have to do, as `plan_` says.
    method : str or optuna.samplers.BaseSampler, default="tpe"
        What proposes candidates, as in :class:`sklmlp.MLPSearchCV`.
    n_trials : int or None, default=None
        Candidates in all; None for as many as there is time for. The same number comes to the same
        result, where `max_time` is None.
    ensemble : bool, default=True
        Whether to predict by an ensemble. False predicts by `best_estimator_`.
    max_members : int, default=25
        Members of the ensemble, of which some may be the same.
    max_parameters : int or None, default=None
        Candidates whose networks have more weights are not trained.
    class_weight : dict, list, "balanced" or None, default=None
        Weights of classes, as in :class:`TabularMLPClassifier`; they count in the log loss too.
    random_state : int, RandomState instance or None, default=None
        Draws folds, candidates and initial weights.
    n_jobs : int or None, default=None
        Fits at a time; None is as many as there are cores, unless `joblib.parallel_config` says
        otherwise.
    verbose : int, default=0
        1 prints a line of how far the search is, 2 each candidate besides.
    directory : str, path or None, default=None
        Where trials and networks are kept. `fit` with the same data goes on with them, also after
        its process was killed, and other data are refused. It has pickles: use nobody else's.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels; for multilabel targets the indices of the columns.
    ensemble_ : Ensemble
        `numbers` of the candidates, their `weights`, and their `estimators`, one a fold; `whole`
        has those fitted to all rows, `best_estimator_` first, which count as much as all of these.
    best_estimator_ : TabularMLPClassifier
        The best candidate, fitted to all rows: an estimator to be converted and looked into.
    best_index_, best_params_, best_score_ : int, dict, float
        Its number, what differs from the defaults, and its mean score over folds.
    oof_prediction_ : ndarray of shape (n_samples, n_classes)
        The ensemble's probabilities for each row, by networks that were not trained on it. NaN for
        rows that were never held out.
    cv_results_ : dict
        Lists and arrays with an entry a candidate.
    pareto_ : pandas.DataFrame
        Candidates that no other one beats in score and size, or in score and time of a row.
    plan_ : dict
        What was decided: `n_trials`, the epochs `max_iter` of a fit and the folds `n_folds` that
        there was time for, `batch_sizes`, `search_seconds`, and `n_fitted_to_all`, the candidates
        that were fitted to all rows; 0 where `best_estimator_` is of a fold for want of time.
    n_splits_ : int
        Folds that were trained on.
    n_features_in_ : int
        Columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where X had names that are all strings.

    See Also
    --------
    TabularMLPClassifier : One network at its defaults.
    MLPSearchCV : A search over any estimator and any space.

    Notes
    -----
    The rows that are held out choose candidates, weights, and the length and the temperature of
    each fit, so that scores of them are a little too good. Rows of your own tell how good it is.

    References
    ----------
    .. [1] Caruana, Niculescu-Mizil, Crew & Ksikes (2004), "Ensemble selection from libraries of
       models". ICML.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import AutoMLPClassifier
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = AutoMLPClassifier(max_time=None, n_trials=1, cv=2, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **BaseAutoMLP._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

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
        class_weight=None,
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
        self.class_weight = class_weight
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.directory = directory

    _task = "classification"

    def _learn_targets(self, y):
        y = check_y(self, y)
        self._targets = ClassTargets.learn(y)
        self.classes_ = self._targets.classes_
        return y

    def _classes_of(self, y):
        return None if y.ndim == 2 else np.searchsorted(self.classes_, y)

    def _make_metric(self):
        return Metric(self.scoring, self._targets, self.class_weight)

    def _tuned(self, **params):
        return TabularMLPClassifier(class_weight=self.class_weight, **params)

    def predict_proba(self, X):
        """Predict probabilities.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        return self._predicted(X)

    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_classes)
            The most probable label of each row; for multilabel targets a one for each label that
            is more probable than not.
        """
        probability = self._predicted(X)
        return self._metric.decided(probability)

    def score(self, X, y, sample_weight=None):
        """Return the accuracy of the predictions.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true labels.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight for each row; None weighs all the same.

        Returns
        -------
        score : float
            The share of rows that are predicted right, in every label if there are several.
        """
        return checked_score(accuracy, y, self.predict(X), sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
