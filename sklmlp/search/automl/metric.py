"""How good predictions are that were made before: of a fold, and of an ensemble of networks."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import check_scoring, log_loss

from sklmlp.compat import takes_sample_weight, with_labels
from sklmlp.data import class_weighted


class Metric:
    """Scores predictions; greater is better.

    Parameters
    ----------
    scoring : str, callable or None
        None is minus the log loss of classes, of several labels its mean, and minus the root mean
        squared error of values, of several outputs its mean.
    targets : ClassTargets or None
        None for a regression.
    class_weight : dict, list, "balanced" or None, default=None
        Of the log loss, on top of the rows' weights.
    """

    def __init__(self, scoring, targets=None, class_weight=None):
        self.targets, self.class_weight, self.scorer = targets, class_weight, None
        if scoring is not None:
            scorer = check_scoring(self._stand_in(None), scoring)
            if targets is not None and not self.is_multilabel:
                scorer = with_labels(scorer, targets.classes_) or scorer
            self.scorer = scorer

    @property
    def is_multilabel(self):
        """Whether there are several labels, each true or not."""
        return self.targets is not None and self.targets.kind == "multilabel-indicator"

    def __call__(self, prediction, X, y, weight):
        """Score the predictions for some rows."""
        if self.scorer is not None:
            weighs = weight is not None and takes_sample_weight(self.scorer)
            known = {"sample_weight": weight} if weighs else {}
            return float(self.scorer(self._stand_in(prediction), X, y, **known))
        if self.targets is None:
            squares = np.average((prediction - y) ** 2, axis=0, weights=weight)
            return -float(np.mean(np.sqrt(squares)))
        classes = self.targets.classes_
        if self.class_weight is not None:
            weight = class_weighted(self.class_weight, classes, y, weight)
        if self.is_multilabel:
            pairs = zip(y.T, prediction.T, strict=True)
            losses = [log_loss(t, p, sample_weight=weight, labels=[0, 1]) for t, p in pairs]
            return -float(np.mean(losses))
        of_truth = prediction[np.arange(len(y)), np.searchsorted(classes, y)]
        return float(np.average(np.log(np.clip(of_truth, 1e-15, None)), weights=weight))

    def predicted(self, model, X):
        """Return what an estimator predicts, as this scores it.

        Returns
        -------
        prediction : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Probabilities, with columns for classes that a fold has not seen, or values.
        """
        if self.targets is None:
            return model.predict(X)
        probability, classes = model.predict_proba(X), self.targets.classes_
        if len(model.classes_) == len(classes):
            return probability
        whole = np.zeros((len(probability), len(classes)))
        whole[:, np.searchsorted(classes, model.classes_)] = probability
        return whole

    def decided(self, prediction):
        """Return labels of probabilities; values are returned as they are."""
        if self.targets is None:
            return prediction
        if self.is_multilabel:
            return (prediction > 0.5).astype(int)
        return self.targets.classes_[prediction.argmax(axis=1)]

    def _stand_in(self, prediction):
        """Return an estimator that predicts what is known, for a scorer of scikit-learn's."""
        return (_KnownValues if self.targets is None else _KnownClasses)(self, prediction)


class _KnownValues(RegressorMixin, BaseEstimator):
    """Predicts what was predicted before."""

    def __init__(self, metric, prediction):
        self.metric, self.prediction = metric, prediction

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        """Learn nothing."""
        return self

    def predict(self, X):
        """Return the known labels or values."""
        return self.metric.decided(self.prediction)


class _KnownClasses(ClassifierMixin, _KnownValues):
    """Predicts probabilities that were predicted before."""

    @property
    def classes_(self):
        """The labels."""
        return self.metric.targets.classes_

    def predict_proba(self, X):
        """Return the known probabilities."""
        return self.prediction
