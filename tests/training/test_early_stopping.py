"""Rows that a fit is judged by: the user's own, any score of them, and the clock."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer, log_loss, make_scorer, mean_pinball_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skorch.callbacks import Callback

from sklmlp import MLPRegressor
from tests.tables import CLASSIFICATION, make, make_pair, make_table

SCORERS = {
    "binary": ["accuracy", "roc_auc", "neg_log_loss", "average_precision"],
    "multiclass": ["f1_macro", "roc_auc_ovr", "neg_log_loss", "top_k_accuracy"],
    "multilabel": ["accuracy", "f1_micro", "roc_auc_ovr"],
    "regression": ["r2", "neg_root_mean_squared_error"],
    "regressions": ["explained_variance", "neg_mean_absolute_error"],
}


def halves(kind, **options):
    """(X, y) to train on, (X, y) to validate on."""
    X, y = make_table(kind, n_samples=80, **options)
    return (X[:50], y[:50]), (X[50:], y[50:])


def after(k, kind, training, **params):
    """What a fit of k epochs without early stopping has learned."""
    return make(kind, **{**params, "max_iter": k}).fit(*training)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_own_validation_set(solver, kind, short_fits):
    """The scores are those of scikit-learn's model of as many epochs, trained on all of X."""
    training, (X_val, y_val) = halves(kind)
    ours = make(kind, solver=solver, early_stopping=True, learning_rate_init=0.01)
    ours.fit(*training, X_val=X_val, y_val=y_val)
    assert ours.t_ == 5 * 50
    for k, score in enumerate(ours.validation_scores_, 1):
        theirs = make_pair(kind, solver=solver, learning_rate_init=0.01, max_iter=k)[1]
        assert_allclose(theirs.fit(*training).score(X_val, y_val), score, rtol=1e-6)


@pytest.mark.parametrize(
    "rows, message",
    [
        ({"X_val": 1}, "X_val is provided, but y_val was not provided."),
        ({"y_val": 1}, "y_val is provided, but X_val was not provided."),
        ({"sample_weight_val": 1}, "sample_weight_val is provided, but X_val was not provided."),
    ],
)
def test_half_a_validation_set(rows, message):
    """Each part of a validation set that comes alone is a ValueError."""
    training, (X_val, y_val) = halves("binary")
    given = {"X_val": X_val, "y_val": y_val, "sample_weight_val": np.ones(30)}
    with pytest.raises(ValueError, match=message):
        make("binary", early_stopping=True).fit(*training, **{n: given[n] for n in rows})


def test_validation_rows_without_early_stopping(kind):
    """Validation rows that nothing would look at are HistGradientBoosting's ValueError."""
    training, (X_val, y_val) = halves(kind)
    with pytest.raises(ValueError, match="passed to fit while at the same time early_stopping is"):
        make(kind).fit(*training, X_val=X_val, y_val=y_val)


NAMES = "X_val: The feature names should match those that were passed during fit.\n"
HINT = (
    "\nThe steps of a Pipeline do not transform X_val as they transform X unless it is told to: "
    'Pipeline(..., transform_input=["X_val"]), with metadata routing enabled.'
)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda X, y: (X[["a", "b", "c"]], y),
            f"{NAMES}Feature names seen at fit time, yet now missing:\n- d\n- e\n{HINT}",
        ),
        (
            lambda X, y: (X.rename(columns={"e": "f"}), y),
            f"{NAMES}Feature names unseen at fit time:\n- f\n"
            f"Feature names seen at fit time, yet now missing:\n- e\n{HINT}",
        ),
        (
            lambda X, y: (np.asarray(X)[:, :3], y),
            f"X_val has 3 features, but {{name}} is expecting 5 features as input.{HINT}",
        ),
        (
            lambda X, y: (X.assign(c="x", d="1"), y),
            "X_val has text in 2 of 5 columns: 'c', 'd'. {name} takes numbers only. If they are "
            f"numbers written as text, convert those in column 'd' to float.{HINT}",
        ),
        (
            lambda X, y: (X.assign(c=pd.Timestamp("2024")), y),
            "X_val has dates or durations in 1 of 5 columns: 'c'. {name} takes numbers only. Make "
            f"numbers of dates first, such as the days since a fixed date.{HINT}",
        ),
        (
            lambda X, y: (X.assign(c=np.nan), y),
            "Input X_val contains NaN.\nMissing values are in 1 of 5 columns: 'c'. {name} takes "
            "none; fill them before it, for example:\nmake_pipeline(SimpleImputer("
            f"add_indicator=True), StandardScaler(), {{name}}()){HINT}",
        ),
        (
            lambda X, y: (X[:-1], y),
            "Found input variables with inconsistent numbers of samples: [29, 30]: X_val has 29 "
            "rows, and y_val has 30.",
        ),
        (
            lambda X, y: (X[:0], y),
            "X_val: Found array with 0 sample(s) (shape=(0, 5)) while a minimum of 1 is required "
            "by {name}.",
        ),
        (
            lambda X, y: (np.ma.masked_array(X, np.arange(150).reshape(30, 5) < 3), y),
            "X_val has 3 masked values, which would be used as if they were not masked. Fill them, "
            "or let an imputer do it: make_pipeline(SimpleImputer(add_indicator=True), "
            "StandardScaler(), ...) with X_val.filled(np.nan).",
        ),
        (
            lambda X, y: (X, y[:0]),
            "y_val: Found array with 0 sample(s) (shape={shape}) while a minimum of 1 is required "
            "by {name}.",
        ),
        (
            lambda X, y: (X, np.where(np.arange(30) > 3, y.T.astype(object), None).T),
            "Input y_val contains NaN.\nThe targets of {n_missing} samples are missing. Leave "
            "these samples out.",
        ),
        (
            lambda X, y: (X, np.ma.masked_array(y, np.arange(y.size).reshape(y.shape) < 3)),
            "y_val has 3 masked values, which would be used as if they were not masked. Leave "
            "these samples out: X[~y_val.mask], y_val[~y_val.mask].",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regressions"])
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_validation_rows_that_do_not_fit(change, message, kind):
    """Validation rows are checked as training rows are, and are named in what is said."""
    (X, y), (X_val, y_val) = halves(kind)
    X, X_val = (pd.DataFrame(rows, columns=list("abcde")) for rows in (X, X_val))
    X_val, y_val = change(X_val, y_val)
    model = make(kind, early_stopping=True)
    with pytest.raises((ValueError, TypeError)) as caught:
        model.fit(X, y, X_val=X_val, y_val=y_val)
    for name, value in {
        "{name}()": code if len(code := repr(model)) < 80 else f"{type(model).__name__}()",
        "{name}": type(model).__name__,
        "{shape}": f"{np.shape(y_val)}",
        "{n_missing}": f"{4 * (1 if y.ndim == 1 else y.shape[1])}",
    }.items():
        message = message.replace(name, value)
    got = str(caught.value)
    assert got.startswith("X_val and y_val do not fit X and y: ")
    assert got.removeprefix("X_val and y_val do not fit X and y: ") == message
    assert not hasattr(model, "n_features_in_")


def test_untransformed_validation_rows_in_a_pipeline(short_fits):
    """Raw rows behind steps that change names, widths or text are told how to be transformed."""
    (X, y), (X_val, y_val) = halves("regression")
    X, X_val = (pd.DataFrame(rows, columns=list("abcde")) for rows in (X, X_val))
    with sklearn.config_context(enable_metadata_routing=True):
        asking = make("regression", early_stopping=True).set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), asking)
        with pytest.warns(UserWarning) as caught:
            pipeline.fit(X, y, X_val=X_val, y_val=y_val)
        words = f"X_val has column names and X has none. {HINT.strip()}"
        assert words in [str(each.message) for each in caught]
        steps = [make_column_transformer((OneHotEncoder(), ["a", "b"])), PCA(3)]
        for step, rows in zip(steps, (X_val.round(), X_val), strict=True):
            pipeline = make_pipeline(step, asking)
            with pytest.raises(ValueError) as caught:
                pipeline.fit(X.round(), y, X_val=np.asarray(rows), y_val=y_val)
            assert str(caught.value).endswith(HINT)


@pytest.mark.parametrize("kind", CLASSIFICATION[:2])
def test_labels_that_training_does_not_know(kind):
    """A label of y_val that y has not is a ValueError that names it."""
    training, (X_val, y_val) = halves(kind)
    with pytest.raises(ValueError, match=r"classes not in `self.classes_`.*7"):
        make(kind, early_stopping=True).fit(*training, X_val=X_val, y_val=np.full_like(y_val, 7))


def test_outputs_that_do_not_go_together():
    """One output to train on and three to validate on are a ValueError."""
    training, (X_val, _) = halves("regression")
    with pytest.raises(ValueError, match=r"y_val has the shape \(30, 3\)"):
        make("regression", early_stopping=True).fit(*training, X_val=X_val, y_val=np.ones((30, 3)))


def test_weights_of_validation_rows(kind, short_fits):
    """A weight of 2 is the row twice, a weight of 0 its absence."""
    training, (X_val, y_val) = halves(kind)
    weight = np.arange(30) % 3
    model = make(kind, early_stopping=True)
    weighted = model.fit(*training, X_val=X_val, y_val=y_val, sample_weight_val=weight).history_
    often = {"X_val": np.repeat(X_val, weight, axis=0), "y_val": np.repeat(y_val, weight, axis=0)}
    for a, b in zip(weighted, model.fit(*training, **often).history_, strict=True):
        assert_allclose(a["valid_loss"], b["valid_loss"])
        assert_allclose(a["valid_score"], b["valid_score"])
    assert a["valid_loss"] != model.fit(*training, X_val=X_val, y_val=y_val).history_[-1]


def test_in_a_pipeline(kind, short_fits):
    """With metadata routing and `transform_input` the validation rows arrive transformed."""
    (X, y), (X_val, y_val) = halves(kind)
    X, X_val = 100 * X + 7, 100 * X_val + 7
    model = make(kind, early_stopping=True)
    with sklearn.config_context(enable_metadata_routing=True):
        asking = model.set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), asking, transform_input=["X_val"])
        pipeline.fit(X, y, X_val=X_val, y_val=y_val)
    scaler = StandardScaler().fit(X)
    by_hand = make(kind, early_stopping=True)
    by_hand.fit(scaler.transform(X), y, X_val=scaler.transform(X_val), y_val=y_val)
    assert_allclose(pipeline[-1].validation_scores_, by_hand.validation_scores_)
    assert_allclose(pipeline.score(X_val, y_val), by_hand.best_validation_score_)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind, scoring", [(k, s) for k, names in SCORERS.items() for s in names])
def test_scorers(kind, scoring, weighted, short_fits):
    """A scorer gives what it gives for the model that was trained as long."""
    training, (X_val, y_val) = halves(kind)
    known = {"sample_weight": np.linspace(0.5, 2, 30)} if weighted else {}
    model = make(kind, early_stopping=True, scoring=scoring, learning_rate_init=0.01)
    model.fit(*training, X_val=X_val, y_val=y_val, sample_weight_val=known.get("sample_weight"))
    for k, epoch in enumerate(model.history_, 1):
        copied = after(k, kind, training, learning_rate_init=0.01)
        expected = get_scorer(scoring)(copied, X_val, y_val, **known)
        assert_allclose(epoch["valid_score"], expected, rtol=1e-6)
        assert_allclose(epoch["train_score"], get_scorer(scoring)(copied, *training), rtol=1e-6)
    assert model.best_validation_score_ == max(model.validation_scores_)


def test_loss_as_the_score(kind, short_fits):
    """`scoring="loss"` is minus the validation loss."""
    X, y = make_table(kind)
    model = make(kind, early_stopping=True, scoring="loss").fit(X, y)
    assert model.validation_scores_ == [-epoch["valid_loss"] for epoch in model.history_]


@pytest.mark.parametrize("scoring", [None, "loss", "neg_mean_squared_error"])
def test_patience_follows_the_score(scoring, short_fits):
    """A fit ends when the chosen score has not improved, and keeps the weights of its best."""
    training, (X_val, y_val) = halves("regression")
    params = {"learning_rate_init": 0.05, "n_iter_no_change": 5, "tol": 0}
    model = make("regression", early_stopping=True, scoring=scoring, max_iter=500, **params)
    model.fit(*training, X_val=X_val, y_val=y_val)
    best = 1 + int(np.argmax(model.validation_scores_))
    assert model.n_iter_ == best + 6
    copied = after(best, "regression", training, **{**params, "n_iter_no_change": np.inf})
    assert_allclose(model.predict(X_val), copied.predict(X_val), rtol=1e-6, atol=1e-9)


def test_default_score_is_the_scorer_of_its_name(short_fits):
    """`scoring=None` and the accuracy by name take the same course."""
    X, y = make_table("multiclass")
    by_name = make("multiclass", early_stopping=True, scoring="accuracy").fit(X, y)
    assert_allclose(
        by_name.validation_scores_,
        make("multiclass", early_stopping=True).fit(X, y).validation_scores_,
    )


@pytest.mark.parametrize("of_user", ["labels", "names"])
def test_a_scorer_of_the_users_own(of_user, short_fits):
    """A callable gets a model that predicts the user's labels, and nothing warns of names."""
    X, y = make_table("multiclass")
    y = np.array(["a", "b", "c"])[y]
    seen = []

    def scorer(estimator, X, y):
        seen.append((set(y) | set(estimator.predict(X))) - set("abc"))
        assert not hasattr(estimator, "feature_names_in_")
        return estimator.predict_proba(X)[:, 0].mean()

    X = pd.DataFrame(X, columns=list("vwxyz")) if of_user == "names" else X
    weight = np.linspace(0.5, 1, len(X))  # it takes none, and gets none
    model = make("multiclass", early_stopping=True, scoring=scorer).fit(X, y, weight)
    assert len(seen) == 2 * model.n_iter_
    assert not set.union(*seen)


def test_a_class_that_the_validation_rows_lack(short_fits):
    """A scorer of probabilities is told of all classes of training."""
    training, (X_val, y_val) = halves("multiclass")
    X_val, y_val = X_val[y_val != 1], y_val[y_val != 1]
    model = make("multiclass", early_stopping=True, scoring="neg_log_loss")
    model.fit(*training, X_val=X_val, y_val=y_val)
    copied = after(3, "multiclass", training)
    expected = -log_loss(y_val, copied.predict_proba(X_val), labels=[0, 1, 2])
    assert_allclose(model.validation_scores_[2], expected, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_a_score_that_is_not_defined():
    """A score of NaN is a ValueError that says what to do."""
    training, (X_val, y_val) = halves("multiclass")
    model = make("multiclass", early_stopping=True, scoring="roc_auc_ovr")
    with pytest.raises(ValueError, match="scoring='roc_auc_ovr' is NaN on the validation rows"):
        model.fit(*training, X_val=X_val[y_val != 1], y_val=y_val[y_val != 1])


@pytest.mark.parametrize(
    "scoring, message",
    [
        ("nonsense", "'nonsense' is not a valid scoring value"),
        (lambda estimator, X, y: [1.0], "must give a number"),
        (lambda estimator, X, y: "much", "must give a number"),
    ],
)
def test_scoring_that_is_none(scoring, message):
    """An unknown name and a callable without a number are ValueErrors."""
    with pytest.raises(ValueError, match=message):
        make("binary", early_stopping=True, scoring=scoring).fit(*make_table("binary"))


def test_a_metric_with_parameters(short_fits):
    """What `make_scorer` makes of a metric is taken, with its arguments."""
    training, (X_val, y_val) = halves("regression")
    scorer = make_scorer(mean_pinball_loss, greater_is_better=False, alpha=0.9)
    model = make("regression", early_stopping=True, scoring=scorer)
    model.fit(*training, X_val=X_val, y_val=y_val)
    expected = -mean_pinball_loss(y_val, after(2, "regression", training).predict(X_val), alpha=0.9)
    assert_allclose(model.validation_scores_[1], expected, rtol=1e-6)


@pytest.mark.parametrize("scoring", [None, "neg_log_loss", "loss"])
def test_networks_of_an_ensemble(scoring, short_fits):
    """Each network is scored by itself, and ends as one fitted alone."""
    training, (X_val, y_val) = halves("multiclass")
    own = {"X_val": X_val, "y_val": y_val}
    params = {"early_stopping": True, "scoring": scoring, "max_iter": 4}
    ensemble = make("multiclass", n_estimators=3, **params).fit(*training, **own)
    for member in ensemble.estimators_:
        alone = make("multiclass", **{**params, "random_state": member.random_state})
        alone.fit(*training, **own)
        assert_allclose(member.validation_scores_, alone.validation_scores_, rtol=1e-6)
        names = "train_score", "valid_score", "valid_loss"
        got = [[epoch[name] for name in names] for epoch in member.history_]
        expected = [[epoch[name] for name in names] for epoch in alone.history_]
        assert_allclose(got, expected, rtol=1e-6)


def test_training_score_of_a_large_table(short_fits):
    """At most 10,000 training rows are scored, the same in every epoch; nothing else changes."""
    X, y = make_table("regression", n_samples=11_500, n_features=3)
    seen = []

    def scorer(estimator, X, y):
        seen.append(X)
        return -np.abs(y - estimator.predict(X)).mean()

    ours, theirs = make_pair("regression", early_stopping=True, max_iter=2)
    theirs.fit(X, y)
    assert_allclose(ours.fit(X, y).loss_curve_, theirs.loss_curve_)
    assert_allclose(ours.validation_scores_, theirs.validation_scores_)
    ours.set_params(scoring=scorer).fit(X, y)
    assert [len(rows) for rows in seen] == [10_000, 1150] * 2
    assert_array_equal(seen[0], seen[2])
    assert_allclose(ours.loss_curve_, theirs.loss_curve_)


def test_sparse_validation_samples_stay_sparse(kind, short_fits, monkeypatch):
    """Sparse samples of few values are scored as dense ones are, without becoming dense."""
    X, y = make_table(kind, n_features=40)
    X = np.where(np.abs(X) > 2, X, 0)
    dense = make(kind, early_stopping=True).fit(X, y)
    monkeypatch.setattr("sklmlp.data.rows.ConvertedRows.take", None)
    sparse = make(kind, early_stopping=True).fit(sp.csr_matrix(X), y)
    assert_allclose(sparse.validation_scores_, dense.validation_scores_)
    for name in ("valid_loss", "train_score"):
        got, expected = ([each[name] for each in m.history_] for m in (sparse, dense))
        assert_allclose(got, expected)


def test_skorchs_history_has_the_scores(short_fits):
    """What `history_` has of an epoch, skorch's callbacks see in their history."""
    X, y = make_table("regression")
    seen = []

    class Watch(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(net.history[-1, ("train_loss", "train_score", "valid_loss", "valid_score")])

    model = make("regression", early_stopping=True, scoring="loss", callbacks=[Watch()]).fit(X, y)
    names = "train_loss", "train_score", "valid_loss", "valid_score"
    assert seen == [tuple(epoch[name] for name in names) for epoch in model.history_]


def test_an_ensemble_that_becomes_one_network(short_fits):
    """A fit of one network predicts alone, whatever the estimator was before."""
    X, y = make_table("regression")
    model = make("regression", n_estimators=3).fit(X, y).set_params(n_estimators=1).fit(X, y)
    assert_array_equal(model.predict(X), make("regression").fit(X, y).predict(X))


class Clock:
    """A clock that moves on by a second whenever it is looked at."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


@pytest.mark.filterwarnings("ignore::sklmlp.exceptions.TrainingWarning")
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_max_time(solver, monkeypatch):
    """A fit ends with the epoch in which its time is over, and says so as for `max_iter`."""
    X, y = make_table("regression")
    with pytest.warns(ConvergenceWarning):
        expected = make("regression", solver=solver, max_iter=3).fit(X, y)
    model = make("regression", solver=solver, max_iter=100, max_time=2.5)
    monkeypatch.setattr("time.monotonic", Clock())
    with pytest.warns(ConvergenceWarning, match=r"Maximum time \(max_time=2.5 seconds\) reached"):
        model.fit(X, y)
    assert model.n_iter_ == 3
    assert_array_equal(model.coefs_[0], expected.coefs_[0])


@pytest.mark.filterwarnings("ignore::sklmlp.exceptions.TrainingWarning")
def test_max_time_of_an_ensemble():
    """Networks whose time is over before they begin have one epoch each."""
    X, y = make_table("multiclass")
    with pytest.warns(ConvergenceWarning, match="Maximum time"):
        model = make("multiclass", n_estimators=3, max_iter=100, max_time=0).fit(X, y)
    assert [member.n_iter_ for member in model.estimators_] == [1, 1, 1]


def test_time_enough():
    """A `max_time` that is not reached changes nothing."""
    X, y = make_table("regression")
    options = {"tol": 1e6, "max_iter": 100, "learning_rate_init": 0.05}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = make("regression", max_time=3600, **options).fit(X, y)
        expected = make("regression", **options).fit(X, y)
    assert_array_equal(model.coefs_[0], expected.coefs_[0])


def test_max_time_and_partial_fit(recwarn):
    """`partial_fit` is one pass, with time or without."""
    X, y = make_table("regression")
    model = make("regression", max_time=0).partial_fit(X, y).partial_fit(X, y)
    assert len(model.history_) == 2
    assert not recwarn.list


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("loss", ["gaussian", "gamma", "poisson", "squared_error"])
def test_losses_that_r2_does_not_measure_stop_by_themselves(loss):
    """With scoring=None gaussian and gamma look at their loss, scikit-learn's losses at R2."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = np.exp(X[:, 0] + 0.1 * rng.normal(size=200))
    params = {"loss": loss, "early_stopping": True, "max_iter": 5, "random_state": 0}
    model = MLPRegressor(hidden_layer_sizes=(8,), **params).fit(X, y)
    losses = [-epoch["valid_loss"] for epoch in model.history_]
    assert (model.validation_scores_ == losses) == (loss in ("gaussian", "gamma"))


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array])
def test_sparse_labels_are_split_as_dense_ones(container, short_fits):
    """Early stopping scores the same rows, whichever form multilabel targets have."""
    X, y = make_table("multilabel", n_samples=80)
    model = make("multilabel", early_stopping=True, random_state=0)
    expected = model.fit(X, y).validation_scores_
    assert model.fit(X, container(y)).validation_scores_ == expected
