"""Small tables of each kind of target, and how two fitted estimators are compared."""

import numpy as np
import sklearn.neural_network
from numpy.testing import assert_allclose

import sklmlp

CLASSIFICATION = ("binary", "multiclass", "multilabel")
KINDS = (*CLASSIFICATION, "regression", "regressions", "counts", "many_counts")


def make_table(kind, n_samples=60, n_features=5, seed=0):
    """Standard normal X of shape (n_samples, n_features), and y of a kind that depends on it.

    Parameters
    ----------
    kind : str
        One of KINDS: two classes, three, three labels; one real output or three; the same of
        counts, for the Poisson loss.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    z = np.tanh(X @ rng.normal(size=(n_features, 3))) + 0.1 * rng.normal(size=(n_samples, 3))
    y = {
        "binary": lambda: (z[:, 0] > 0).astype(int),
        "multiclass": lambda: z.argmax(axis=1),
        "multilabel": lambda: (z > 0).astype(int),
        "regression": lambda: z[:, 0],
        "regressions": lambda: z,
        "counts": lambda: rng.poisson(np.exp(z[:, 0])).astype(float),
        "many_counts": lambda: rng.poisson(np.exp(z)).astype(float),
    }[kind]()
    return X, y


def estimator_class(kind, of=sklmlp):
    """The class that learns a kind of target: ours, or that of `sklearn.neural_network`."""
    return of.MLPClassifier if kind in CLASSIFICATION else of.MLPRegressor


def make(kind, **params):
    """Our estimator for a kind of target; small, seeded and with few epochs."""
    if kind.endswith("counts"):
        params.setdefault("loss", "poisson")
    defaults = {"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0}
    return estimator_class(kind)(**{**defaults, **params})


def make_pair(kind, **params):
    """The same estimator twice, (ours, scikit-learn's)."""
    ours = make(kind, **params)
    known = estimator_class(kind, sklearn.neural_network)().get_params()
    shared = {name: value for name, value in ours.get_params().items() if name in known}
    return ours, estimator_class(kind, sklearn.neural_network)(**shared)


def assert_same_course(ours, theirs, rtol=1e-6):
    """Both fits took the same course: losses, scores, epochs."""
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("loss_", "loss_curve_", "best_loss_"):
        assert hasattr(ours, name) == hasattr(theirs, name), name
        if getattr(theirs, name, None) is not None:
            assert_allclose(getattr(ours, name), getattr(theirs, name), rtol, err_msg=name)
    for name in ("validation_scores_", "best_validation_score_"):
        expected = getattr(theirs, name, None)
        if expected is None:
            assert getattr(ours, name, None) is None, name
        else:
            assert_allclose(getattr(ours, name), expected, rtol, 1e-9, err_msg=name)


def assert_same_model(ours, theirs, X, rtol=1e-6):
    """Both have learned the same weights, and predict alike."""
    pairs = zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True)
    for got, expected in pairs:
        assert got.dtype == expected.dtype
        assert_allclose(got, expected, rtol, rtol * np.abs(expected).max())
    if hasattr(theirs, "classes_"):
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), 10 * rtol, 1e-12)
    else:
        expected = theirs.predict(X)
        assert_allclose(ours.predict(X), expected, rtol, rtol * np.abs(expected).max())
