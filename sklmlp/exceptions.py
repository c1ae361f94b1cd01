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
    """Loss or score became NaN or infinite, or the loss rose.

    Examples
    --------
    Turn it into an error where a fit that diverged is of no use, as in a nightly job:

    >>> import warnings
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from sklmlp import MLPRegressor
    >>> from sklmlp.exceptions import DivergenceWarning
    >>> X, y = load_diabetes(return_X_y=True)
    >>> linear = MLPRegressor("squared_error", (), solver="sgd", learning_rate_init=1.0)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", DivergenceWarning)
    ...     linear.set_params(random_state=0).fit(scale(X), scale(y))
    Traceback (most recent call last):
    ...
    sklmlp.exceptions.DivergenceWarning: Training diverged: the training loss rose from ...
    """


class DeadUnitsWarning(TrainingWarning):
    """Most units of a hidden layer are zero for all rows.

    Examples
    --------
    No unit passes a threshold that no row reaches:

    >>> import warnings
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.exceptions import DeadUnitsWarning
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((4,), ("threshold", {"threshold": 1e6}), tol=0.01, random_state=0)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", DeadUnitsWarning)
    ...     mlp.fit(X, y)
    Traceback (most recent call last):
    ...
    sklmlp.exceptions.DeadUnitsWarning: All units of hidden layer 1 are zero for all rows, ...
    """


class ConstantFeaturesWarning(TrainingWarning):
    """All features are constant.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.exceptions import ConstantFeaturesWarning
    >>> X, y = np.full((40, 3), 0.5), np.arange(40) % 2
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", ConstantFeaturesWarning)
    ...     MLPClassifier((4,), tol=0.01, random_state=0).fit(X, y)
    Traceback (most recent call last):
    ...
    sklmlp.exceptions.ConstantFeaturesWarning: All 3 features are constant, ...
    """


class UnscaledFeaturesWarning(TrainingWarning):
    """Features have means or scales that a network does not learn from.

    Examples
    --------
    The message names the feature that is farthest from a mean of 0 and a standard deviation of 1:

    >>> import warnings
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.exceptions import UnscaledFeaturesWarning
    >>> X, y = load_iris(return_X_y=True)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always", UnscaledFeaturesWarning)
    ...     mlp = MLPClassifier((4,), tol=0.01, random_state=0).fit(X + 2000, y)
    >>> print(caught[0].message)
    The features are not scaled: feature 0 has mean 2.01e+03 and standard deviation 0.825. ...
    """


class UnscaledTargetWarning(TrainingWarning):
    """Targets have means or scales that the predictions have not reached: see `normalize_y`.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.datasets import load_diabetes
    >>> from sklmlp import MLPRegressor
    >>> from sklmlp.exceptions import UnscaledTargetWarning
    >>> X, y = load_diabetes(return_X_y=True)
    >>> mlp = MLPRegressor(hidden_layer_sizes=(4,), tol=100, random_state=0)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always", UnscaledTargetWarning)
    ...     mlp = mlp.fit(X, y)
    >>> print(caught[0].message)
    The targets are not scaled: y has mean 152 and standard deviation 77, ...
    """


class VanishingSignalWarning(TrainingWarning):
    """Differences between rows, and with them gradients, vanish between the layers.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.exceptions import VanishingSignalWarning
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier([8] * 9, activation="logistic", tol=0.01, random_state=0)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", VanishingSignalWarning)
    ...     mlp.fit(X, y)
    Traceback (most recent call last):
    ...
    sklmlp.exceptions.VanishingSignalWarning: The signal vanishes between the layers: ...
    """


class LearningRateWarning(TrainingWarning):
    """The learning rate is too high or too low to learn anything.

    Examples
    --------
    The message ends with a rate to try:

    >>> import warnings
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.exceptions import LearningRateWarning
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((4,), learning_rate_init=1e-7, random_state=0)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always", LearningRateWarning)
    ...     mlp = mlp.fit(X, y)
    >>> print(caught[0].message)
    learning_rate_init=1e-07 is too low: ... Try learning_rate_init=0.001.
    """


class StoppedTooEarlyWarning(TrainingWarning):
    """The fit was stopped while it was still learning.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.exceptions import StoppedTooEarlyWarning
    >>> X, y = load_iris(return_X_y=True)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always", StoppedTooEarlyWarning)
    ...     mlp = MLPClassifier(early_stopping=True, random_state=0).fit(X, y)
    >>> print(caught[0].message)
    Early stopping ended the fit ... Use scoring="loss" to stop by the loss.
    """


class NothingLearntWarning(TrainingWarning):
    """The model is no better than a constant prediction, and no other warning says why.

    Examples
    --------
    Of targets that are noise there is nothing to learn:

    >>> import warnings
    >>> import numpy as np
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.exceptions import NothingLearntWarning
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(400, 2)), rng.integers(2, size=400)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always", NothingLearntWarning)
    ...     mlp = MLPClassifier((1,), learning_rate_init=0.01, tol=1e-3, random_state=0).fit(X, y)
    >>> print(caught[0].message)
    The model is no better than a constant prediction: its training loss is ...
    """
