"""Warnings name the line of the caller."""

import pickle
import warnings

import joblib
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklmlp
from sklmlp import MLPClassifier, MLPRegressor

X, y = load_iris(return_X_y=True)
SHORT = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}


def cross_val_score_in_backend():
    with joblib.parallel_config(backend="sklmlp"):
        return cross_val_score(MLPClassifier(**SHORT), X, y, cv=2)


CASES = {
    "of max_iter": lambda: MLPClassifier(**SHORT).fit(X, y),
    "of a large batch": lambda: MLPClassifier(**SHORT, batch_size=1000).fit(X, y),
    "of a schedule": lambda: MLPClassifier(**SHORT, learning_rate="adaptive").fit(X, y),
    "of lbfgs": lambda: MLPClassifier(**SHORT, solver="lbfgs", early_stopping=True).fit(X, y),
    "of lbfgs out of time": lambda: MLPClassifier(**SHORT, solver="lbfgs", max_time=0).fit(X, y),
    "of unscaled features": lambda: MLPClassifier(**SHORT).fit(X * 1e9, y),
    "of unscaled targets": lambda: MLPRegressor(**SHORT).fit(X, 1e5 * X[:, 0]),
    "of a pass that diverged": lambda: MLPRegressor(**SHORT, dtype="float32").partial_fit(
        X, 1e30 * X[:, 0]
    ),
    "of rounded integers": lambda: MLPClassifier(**SHORT, dtype="float32").fit(
        (X * 2**30).astype(int), y
    ),
    "of names of X_val": lambda: MLPClassifier(**SHORT, early_stopping=True).fit(
        X, y, X_val=pd.DataFrame(X, columns=list("abcd")), y_val=y
    ),
    "in a pipeline": lambda: make_pipeline(StandardScaler(), MLPClassifier(**SHORT)).fit(X, y),
    "in a search": lambda: cross_val_score(MLPClassifier(**SHORT), X, y, cv=2),
    "in a search in the backend": cross_val_score_in_backend,
    "in an ensemble": lambda: MLPClassifier(**SHORT, n_estimators=2).fit(X, y),
}


@pytest.mark.parametrize("case", CASES)
def test_a_warning_points_at_the_line_of_the_caller(case):
    """However many files of ours and of scikit-learn lie in between."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CASES[case]()
    assert caught
    # scikit-learn's own, of names, is of the place where it checks
    ours = [each for each in caught if not str(each.message).startswith("X has feature names")]
    assert {each.filename for each in ours} == {__file__}


def test_a_warning_of_another_version_points_at_the_line_that_loads(monkeypatch):
    """Loading warns where `pickle.loads` is called."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = pickle.dumps(MLPClassifier(**SHORT).fit(X, y))
    monkeypatch.setattr("sklmlp.io.state.__version__", "9.9.9")
    with pytest.warns(UserWarning, match=f"from sklmlp {sklmlp.__version__}") as caught:
        pickle.loads(content)
    assert {each.filename for each in caught} == {__file__}
