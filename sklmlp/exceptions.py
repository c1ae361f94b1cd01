"""Warnings of fits that failed to learn, one class for each reason."""

from sklearn.exceptions import ConvergenceWarning

__all__ = [
    "ConstantFeaturesWarning",
    "DeadUnitsWarning",
    "DivergenceWarning",
    "LearningRateWarning",
    "NothingLearntWarning",
    "StoppedTooEarlyWarning",
    "TrainingWarning",
    "UnscaledFeaturesWarning",
    "UnscaledTargetWarning",
    "VanishingSignalWarning",
]


class TrainingWarning(ConvergenceWarning):
    """A fit failed to learn, and this is why.

    The base of the warnings below, each of which is raised at most once a fit.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.exceptions import TrainingWarning
    >>> X, y = load_iris(return_X_y=True)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     mlp = MLPClassifier((4,), tol=0.01, random_state=0).fit(X + 2000, y)
    >>> [w.category.__name__ for w in caught if issubclass(w.category, TrainingWarning)]
    ['UnscaledFeaturesWarning']
    """


class DivergenceWarning(TrainingWarning):
    """Loss or score became NaN or infinite, or the loss rose."""


class DeadUnitsWarning(TrainingWarning):
    """Most units of a hidden layer are zero for all rows."""


class ConstantFeaturesWarning(TrainingWarning):
    """All features are constant."""


class UnscaledFeaturesWarning(TrainingWarning):
    """Features have means or scales that a network does not learn from."""


class UnscaledTargetWarning(TrainingWarning):
    """Targets have means or scales that the predictions have not reached: see `normalize_y`."""


class VanishingSignalWarning(TrainingWarning):
    """Differences between rows, and with them gradients, vanish between the layers."""


class LearningRateWarning(TrainingWarning):
    """The learning rate is too high or too low to learn anything."""


class StoppedTooEarlyWarning(TrainingWarning):
    """The fit was stopped while it was still learning."""


class NothingLearntWarning(TrainingWarning):
    """The model is no better than a constant prediction, and no other warning says why."""
