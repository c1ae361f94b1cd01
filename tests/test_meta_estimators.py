"""scikit-learn's meta-estimators work with ours as they do with scikit-learn's own."""

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import loguniform
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE
from sklearn.impute import SimpleImputer
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import (
    ClassifierChain,
    MultiOutputClassifier,
    MultiOutputRegressor,
    RegressorChain,
)
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from sklmlp import MLPClassifier, MLPRegressor
from tests.tables import make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"hidden_layer_sizes": (6,), "max_iter": 8, "learning_rate_init": 0.02, "random_state": 0}

CLASSIFIERS = {
    "pipeline": lambda mlp: make_pipeline(StandardScaler(), mlp),
    "one against the rest": OneVsRestClassifier,
    "one against one": OneVsOneClassifier,
    "output codes": lambda mlp: OutputCodeClassifier(mlp, random_state=0),
    "bagging": lambda mlp: BaggingClassifier(mlp, n_estimators=3, random_state=0),
    "boosting": lambda mlp: AdaBoostClassifier(mlp, n_estimators=3, random_state=0),
    "calibration": lambda mlp: CalibratedClassifierCV(mlp, cv=3),
    "voting": lambda mlp: VotingClassifier(
        [("mlp", mlp), ("linear", LogisticRegression())], voting="soft"
    ),
    "stacking": lambda mlp: StackingClassifier([("mlp", mlp)], LogisticRegression(), cv=3),
    "grid search": lambda mlp: GridSearchCV(mlp, {"alpha": [1e-4, 1.0]}, cv=3),
    "random search": lambda mlp: RandomizedSearchCV(
        mlp, {"alpha": loguniform(1e-4, 1)}, n_iter=3, cv=3, random_state=0
    ),
    "halving": lambda mlp: HalvingGridSearchCV(
        mlp, {"alpha": [1e-4, 1e-2, 1.0]}, cv=3, random_state=0, min_resources=20
    ),
    "halving over epochs": lambda mlp: HalvingGridSearchCV(
        mlp, {"alpha": [1e-4, 1e-2, 1.0]}, cv=3, resource="max_iter", max_resources=9
    ),
}
REGRESSORS = {
    "pipeline": lambda mlp: make_pipeline(StandardScaler(), mlp),
    "transformed target": lambda mlp: TransformedTargetRegressor(mlp, transformer=StandardScaler()),
    "bagging": lambda mlp: BaggingRegressor(mlp, n_estimators=3, random_state=0),
    "boosting": lambda mlp: AdaBoostRegressor(mlp, n_estimators=3, random_state=0),
    "voting": lambda mlp: VotingRegressor([("mlp", mlp), ("linear", Ridge())]),
    "stacking": lambda mlp: StackingRegressor([("mlp", mlp)], Ridge(), cv=3),
    "grid search": lambda mlp: GridSearchCV(mlp, {"alpha": [1e-4, 1.0]}, cv=3),
}


@pytest.mark.parametrize("wrapper", CLASSIFIERS)
def test_classifiers(wrapper):
    """Around our classifier a meta-estimator predicts as around scikit-learn's."""
    X, y = make_table("multiclass", n_samples=90)
    ours = CLASSIFIERS[wrapper](MLPClassifier(**SMALL)).fit(X, y)
    theirs = CLASSIFIERS[wrapper](TheirClassifier(**SMALL)).fit(X, y)
    assert_array_equal(ours.predict(X), theirs.predict(X))
    if hasattr(theirs, "predict_proba"):
        assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("wrapper", REGRESSORS)
def test_regressors(wrapper):
    """Around our regressor a meta-estimator predicts as around scikit-learn's."""
    X, y = make_table("regression", n_samples=90)
    ours = REGRESSORS[wrapper](MLPRegressor(**SMALL)).fit(X, y)
    theirs = REGRESSORS[wrapper](TheirRegressor(**SMALL)).fit(X, y)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("wrapper", [MultiOutputClassifier, ClassifierChain])
def test_several_labels(wrapper):
    """Multi-output wrappers of our classifier predict as those of scikit-learn's."""
    X, y = make_table("multilabel")
    ours, theirs = (wrapper(Class(**SMALL)).fit(X, y) for Class in (MLPClassifier, TheirClassifier))
    assert_array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("wrapper", [MultiOutputRegressor, RegressorChain])
def test_several_values(wrapper):
    """Multi-output wrappers of our regressor predict as those of scikit-learn's."""
    X, y = make_table("regressions")
    ours, theirs = (wrapper(Class(**SMALL)).fit(X, y) for Class in (MLPRegressor, TheirRegressor))
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-5, atol=1e-8)


def test_multi_output_partial_fit():
    """`MultiOutputRegressor` learns call by call."""
    X, y = make_table("regressions")
    ours, theirs = (MultiOutputRegressor(C(**SMALL)) for C in (MLPRegressor, TheirRegressor))
    for _ in range(3):
        ours.partial_fit(X, y)
        theirs.partial_fit(X, y)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-5, atol=1e-8)


def test_self_training():
    """Rows without a label take part through self-training as with scikit-learn's."""
    X, y = make_table("binary", n_samples=90)
    y[np.random.default_rng(0).uniform(size=90) < 0.5] = -1
    ours, theirs = (
        SelfTrainingClassifier(Class(**SMALL), threshold=0.7).fit(X, y)
        for Class in (MLPClassifier, TheirClassifier)
    )
    assert_array_equal(ours.transduction_, theirs.transduction_)
    assert (ours.labeled_iter_ > 0).any()


def test_boosting_uses_the_weights():
    """AdaBoost's later members differ from its first, through the weights alone."""
    X, y = make_table("multiclass", n_samples=90)
    members = AdaBoostClassifier(MLPClassifier(**SMALL), n_estimators=3, random_state=0)
    members = members.fit(X, y).estimators_
    twin = MLPClassifier(**SMALL).set_params(random_state=members[1].random_state).fit(X, y)
    assert not np.allclose(members[1].coefs_[0], twin.coefs_[0])


def test_grid_over_everything():
    """A search goes over activations, widths, solvers and parameters of steps in a pipeline."""
    X, y = make_table("binary", n_samples=90)
    grid = {
        "mlpclassifier__activation": ["relu", "gelu", ("leaky_relu", {"negative_slope": 0.2})],
        "mlpclassifier__hidden_layer_sizes": [(), 4, (5, 3)],
        "mlpclassifier__solver": ["adam", "lbfgs"],
    }
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(max_iter=5, random_state=0))
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 18
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_[-1].get_params()
    assert best["solver"] == search.best_params_["mlpclassifier__solver"]


def test_cross_validation():
    """`cross_validate` and `cross_val_predict` give scikit-learn's scores and predictions."""
    X, y = make_table("multiclass", n_samples=90)
    ours, theirs = MLPClassifier(**SMALL), TheirClassifier(**SMALL)
    scoring = ["accuracy", "neg_log_loss", "f1_macro"]
    got = cross_validate(ours, X, y, cv=3, scoring=scoring)
    expected = cross_validate(theirs, X, y, cv=3, scoring=scoring)
    for name in scoring:
        assert_allclose(got[f"test_{name}"], expected[f"test_{name}"], rtol=1e-5)
    assert_array_equal(cross_val_predict(ours, X, y, cv=3), cross_val_predict(theirs, X, y, cv=3))


def test_curves():
    """Learning curves, by `partial_fit` too, and validation curves are scikit-learn's."""
    X, y = make_table("regression", n_samples=90)
    ours, theirs = MLPRegressor(**SMALL), TheirRegressor(**SMALL)
    options = {"cv": 3, "train_sizes": [0.3, 1.0]}
    for incremental in (False, True):
        options["exploit_incremental_learning"] = incremental
        got, expected = (learning_curve(e, X, y, **options) for e in (ours, theirs))
        assert_allclose(got[2], expected[2], rtol=1e-4)
    options = {"param_name": "alpha", "param_range": [0.1, 1.0], "cv": 3}
    got, expected = (validation_curve(e, X, y, **options) for e in (ours, theirs))
    assert_allclose(got[1], expected[1], rtol=1e-4)


def test_inspection():
    """Permutation importance and partial dependence are scikit-learn's."""
    X, y = make_table("regression", n_samples=90)
    ours, theirs = MLPRegressor(**SMALL).fit(X, y), TheirRegressor(**SMALL).fit(X, y)
    got, expected = (permutation_importance(e, X, y, random_state=0) for e in (ours, theirs))
    assert_allclose(got.importances, expected.importances, rtol=1e-4, atol=1e-6)
    got, expected = (partial_dependence(e, X, [0]) for e in (ours, theirs))
    assert_allclose(got["average"], expected["average"], rtol=1e-5, atol=1e-7)


def test_elimination_with_the_first_layer_as_importance():
    """A selector finds its importances in the network's own weights."""
    X, y = make_table("regression")

    def importance(mlp):
        return np.abs(mlp.coefs_[0]).sum(axis=1)

    selector = RFE(MLPRegressor(**SMALL), n_features_to_select=2, importance_getter=importance)
    assert selector.fit(X, y).support_.sum() == 2


def test_mixed_table_with_gaps():
    """A table of numbers, strings and gaps goes through preprocessing, search and prediction."""
    X, y = make_table("binary", n_samples=90)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(X, columns=list("abcde")).mask(rng.random(X.shape) < 0.1)
    frame["town"] = rng.choice(["Bonn", "Kyiv", "Lima"], 90)
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer(
        (numbers, list("abcde")), (OneHotEncoder(handle_unknown="ignore"), ["town"])
    )
    pipeline = make_pipeline(columns, MLPClassifier(**SMALL))
    search = GridSearchCV(
        pipeline, {"mlpclassifier__alpha": [0.1, 1.0]}, cv=3, error_score="raise"
    ).fit(frame, np.array(["no", "yes"])[y])
    assert set(search.predict(frame)) <= {"no", "yes"}
    assert search.score(frame, np.array(["no", "yes"])[y]) > 0.6


def threads_of_a_worker(X, y):
    """(threads that torch may use, the same while a small fit runs) in the process of the call."""
    seen = []

    def look(z):
        seen.append(torch.get_num_threads())
        return z

    MLPRegressor(activation=look, hidden_layer_sizes=(3,), max_iter=1).fit(X, y)
    return torch.get_num_threads(), max(seen)


def test_workers_are_capped():
    """Two workers share the processors, and their fits take no more than their share."""
    X, y = make_table("regression")
    workers = joblib.Parallel(n_jobs=2)
    share = max(1, joblib.cpu_count() // 2)
    for outside, inside in workers(joblib.delayed(threads_of_a_worker)(X, y) for _ in range(4)):
        assert inside <= outside <= share


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_parallel_search(backend):
    """Two workers find what one finds."""
    X, y = make_table("multiclass", n_samples=90)
    search = GridSearchCV(MLPClassifier(**SMALL), {"alpha": [0.1, 1.0]}, cv=3)
    alone = search.fit(X, y)
    expected = alone.cv_results_["mean_test_score"], alone.best_estimator_.coefs_[0]
    with joblib.parallel_config(backend=backend):
        together = search.set_params(n_jobs=2).fit(X, y)
    assert_allclose(together.cv_results_["mean_test_score"], expected[0])
    assert_allclose(together.best_estimator_.coefs_[0], expected[1], rtol=1e-9)


def test_a_fitted_model_goes_to_workers():
    """Workers predict with a model that was fitted here."""
    X, y = make_table("regression")
    model = MLPRegressor(**SMALL).fit(X, y)
    predictions = joblib.Parallel(n_jobs=2)(
        joblib.delayed(model.predict)(X[i::2]) for i in range(2)
    )
    for i, prediction in enumerate(predictions):
        assert_allclose(prediction, model.predict(X[i::2]), rtol=1e-12)
