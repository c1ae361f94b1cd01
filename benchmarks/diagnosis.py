"""Count false alarms on fits that learn, and misses on fits that do not.

    python benchmarks/diagnosis.py

Each fit that learns must be silent, but where early stopping by the score ended it while its
validation loss was still falling; each that ends no better than a constant must be told of, by the
class that is expected where one is.
"""

import itertools
import sys
import warnings

import numpy as np
from scipy.special import xlogy
from sklearn import datasets
from sklearn.preprocessing import scale

from sklmlp import MLPClassifier, MLPRegressor, exceptions

warnings.simplefilter("ignore")


def tables():
    """Standardized tables, by name: (X, y, estimator class)."""
    for name in ("iris", "wine", "breast_cancer", "digits"):
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        yield name, scale(X), y, MLPClassifier
    X, y = datasets.make_classification(2000, weights=[0.95], random_state=0)
    yield "imbalanced", X, y, MLPClassifier
    X, y = datasets.make_multilabel_classification(800, random_state=0)
    yield "multilabel", scale(X), y, MLPClassifier
    X, y = datasets.load_diabetes(return_X_y=True)
    yield "diabetes", scale(X), scale(y), MLPRegressor
    X, y = datasets.make_friedman1(800, random_state=0)
    yield "friedman1", scale(X), scale(y), MLPRegressor
    X, y = datasets.make_regression(500, 10, n_targets=3, noise=1, random_state=0)
    yield "three targets", scale(X), scale(y), MLPRegressor


def healthy():
    """(name, estimator, X, y, weight) of fits that learn."""
    ways = {
        "adam": {},
        "early stopping by the loss": {"early_stopping": True, "scoring": "loss"},
        "lbfgs": {"solver": "lbfgs"},
        "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
        "ensemble": {"n_estimators": 3},
        "tanh, two layers": {"activation": "tanh", "hidden_layer_sizes": (32, 16)},
        "logistic": {"activation": "logistic", "learning_rate_init": 0.01},
        "dropout": {"dropout": 0.3},
        "float32": {"dtype": "float32"},
    }
    losses = {
        MLPClassifier: [{"loss": "focal"}, {"loss": "hinge"}],
        MLPRegressor: [
            {"loss": "absolute_error"},
            {"loss": "huber"},
            {"loss": "gaussian"},
            {"loss": "quantile", "quantile": 0.8},
        ],
    }
    for name, X, y, cls in tables():
        both = [*ways.items(), *((str(loss["loss"]), loss) for loss in losses[cls])]
        for way, params in both:
            yield f"{name}, {way}", cls(**{"random_state": 0, **params}), X, y, None
        if name in ("digits", "breast_cancer"):
            early = cls(early_stopping=True, random_state=0)
            yield f"{name}, early stopping by the default score", early, X, y, None
        weight = np.random.default_rng(0).uniform(0.2, 3, len(X))
        yield f"{name}, weights", cls(random_state=0), X, y, weight
    X, y = datasets.make_friedman1(800, random_state=0)
    for loss in ("poisson", "gamma"):
        early = {"early_stopping": True}
        for more in ({}, early):
            model = MLPRegressor(loss=loss, random_state=0, learning_rate_init=0.01, **more)
            yield f"{loss}, {more}", model, scale(X), np.maximum(y / y.mean(), 0.01), None


SICK = {
    "rate 1e-7": ({"learning_rate_init": 1e-7}, exceptions.LearningRateWarning),
    "rate 1e-7, sgd": (
        {"learning_rate_init": 1e-7, "solver": "sgd"},
        exceptions.LearningRateWarning,
    ),
    "rate 1": ({"learning_rate_init": 1.0}, None),
    "rate 3, tanh": ({"learning_rate_init": 3.0, "activation": "tanh"}, None),
    "rate 10": ({"learning_rate_init": 10.0}, None),
    "eight logistic layers": (
        {"hidden_layer_sizes": (32,) * 8, "activation": "logistic"},
        exceptions.VanishingSignalWarning,
    ),
    "alpha 1e4": ({"alpha": 1e4}, None),
    "one epoch": ({"max_iter": 1, "learning_rate_init": 1e-4}, None),
    "unscaled": ({"max_iter": 20}, exceptions.UnscaledFeaturesWarning),
    "noise": ({"max_iter": 30, "hidden_layer_sizes": (8,)}, None),
}


def sick():
    """(name, estimator, X, y, expected class or None) of fits that do not learn, or may not."""
    for (name, X, y, cls), (way, (params, expected)) in itertools.product(tables(), SICK.items()):
        Z = X
        if way == "unscaled":
            Z = X * 1e-6 + 2000
        if way == "noise":
            Z = np.random.default_rng(0).normal(size=(len(X), 3))
        yield f"{name}, {way}", cls(**{"random_state": 0, **params}), Z, y, expected


def said(model, X, y, weight=None):
    """The training warnings of a fit."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(X, y, weight)
        except ValueError as error:
            return [error]
    return [w.message for w in caught if issubclass(w.category, exceptions.TrainingWarning)]


def is_a_constant(model, X, y):
    """Whether a fitted model is no better than a constant, by scikit-learn's metrics."""
    if isinstance(model, MLPRegressor):
        return model.score(X, y) <= 0.01
    p, y = model.predict_proba(X), y if y.ndim > 1 else np.eye(y.max() + 1)[y]
    if model.out_activation_ == "logistic" and y.shape[1] > 2:  # each label by itself
        p, y = np.hstack([p, 1 - p]), np.hstack([y, 1 - y])
    constant = np.broadcast_to(y.mean(0), y.shape)
    losses = [-(xlogy(y, np.clip(q, 1e-16, 1))).sum() for q in (p, constant)]
    return losses[0] > 0.99 * losses[1]


def main():
    """Print a table of each kind and what was wrong."""
    n = alarms = early = 0
    for name, model, X, y, weight in healthy():
        n += 1
        got = said(model, X, y, weight)
        is_early = all(isinstance(each, exceptions.StoppedTooEarlyWarning) for each in got)
        if got and is_early and "default score" in name:
            early += 1  # it learned, and would have learned more
            print(f"stopped early: {name}: {got[0]}")
        elif got:
            alarms += 1
            print(f"alarm: {name}: {got[0]}")
    print(f"{n} fits that learn, {alarms} false alarms, {early} stopped early")
    failed = misses = others = learned = calm = 0
    for name, model, X, y, expected in sick():
        got = said(model, X, y)
        is_error = got and isinstance(got[0], ValueError)
        if not is_error and not is_a_constant(model, X, y):
            learned += 1
            if got:
                calm += 1
                print(f"learned, and yet: {name}: {got[0]}")
            continue
        failed += 1
        if not got:
            misses += 1
            print(f"miss: {name}")
        elif expected is not None and not any(isinstance(g, expected) for g in got):
            others += 1
            print(f"other reason: {name}: {[type(g).__name__ for g in got]}")
        elif "-v" in sys.argv:
            print(f"{name}: {[type(g).__name__ for g in got]}")
    print(
        f"{failed} fits that fail, {misses} misses, {others} other reasons than expected; "
        f"{learned} of the settings that were meant to fail learned, {calm} of them with a warning"
    )


if __name__ == "__main__":
    main()
