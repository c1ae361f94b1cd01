"""Every difference from `sklearn.neural_network` that docs/migrating.md lists, shown in both.

A test takes `library`, one of the two packages, and says what each does; the page names the test.
What the page says of scikit-learn is true of both versions that are tested: of constraints.txt and
constraints-oldest.txt. If a version mends something, its test says from which version on.
"""

import inspect
import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import sklearn
import sklearn.neural_network
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, InconsistentVersionWarning
from sklearn.model_selection import cross_val_score
from sklearn.utils import check_array
from sklearn.utils._param_validation import InvalidParameterError

import sklmlp
from sklmlp.runtime import resolve_dtype
from tests.tables import make_table

PAGE = Path(sklmlp.__file__).parents[1] / "docs" / "migrating.md"
OURS, THEIRS = sklmlp, sklearn.neural_network


@pytest.fixture(params=[OURS, THEIRS], ids=["sklmlp", "sklearn"])
def library(request):
    """Each of the two packages."""
    return request.param


def classifier(library, **params):
    return library.MLPClassifier(**{**SMALL, **params})


def regressor(library, **params):
    return library.MLPRegressor(**{**SMALL, **params})


SMALL = {"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0}
X, Y = make_table("regression")
LABELS = make_table("binary")[1]
DIVERGING = {"solver": "sgd", "learning_rate_init": 1e20, "activation": "identity"}


def quietly(function, *args, **kwargs):
    """Call a function whatever it warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def test_the_page_names_every_test_of_this_file_and_no_other():
    """docs/migrating.md and this file list the same differences."""
    named = re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8"))
    written = {name for name in globals() if name.startswith("test_")}
    assert len(named) == len(set(named))
    assert set(named) == written - {"test_the_page_names_every_test_of_this_file_and_no_other"}


# How a fit ends --------------------------------------------------------------------------------


def test_nan_validation_score(library):
    """A validation score of NaN ends the fit with a warning; scikit-learn runs to `max_iter`."""
    model = regressor(library, early_stopping=True, max_iter=30, **DIVERGING)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y)
    messages = [str(w.message) for w in caught if issubclass(w.category, ConvergenceWarning)]
    assert np.isnan(model.validation_scores_[-1])
    assert np.isfinite(model.coefs_[0]).all()
    if library is OURS:
        assert model.n_iter_ < 30
        assert "validation score became NaN" in messages[0]
    else:
        assert model.n_iter_ == 30
        assert "Maximum iterations (30) reached" in messages[0]


def test_score_of_a_diverged_classifier(library):
    """A classifier whose logits are not finite scores NaN, not the accuracy of what it guesses."""
    model = classifier(library, early_stopping=True, max_iter=30, **{**DIVERGING, "alpha": 1e200})
    quietly(model.fit, X, LABELS)
    assert np.isnan(model.validation_scores_[-1]) == (library is OURS)


def test_diverged_training_ends_at_once(library, capsys):
    """A fit whose weights are not finite raises at once; scikit-learn trains on before it does."""
    model = regressor(library, max_iter=30, verbose=True, **DIVERGING)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        quietly(model.fit, X, Y)
    epochs = capsys.readouterr().out.count("Iteration")
    assert epochs < 30 if library is OURS else epochs == 30


def test_overflow_in_training_is_silent(library):
    """Torch does not warn of overflow, and so a diverging fit brings no RuntimeWarning."""
    model = regressor(library, max_iter=30, **DIVERGING)
    with warnings.catch_warnings(record=True) as caught, pytest.raises(ValueError):
        warnings.simplefilter("always")
        model.fit(X, Y)
    assert any(w.category is RuntimeWarning for w in caught) == (library is THEIRS)


def test_lbfgs_says_that_it_ignores_early_stopping(library):
    """`solver="lbfgs"` with `early_stopping=True` warns; scikit-learn ignores it silently."""
    model = regressor(library, solver="lbfgs", early_stopping=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y)
    said = any("early_stopping=True is ignored" in str(w.message) for w in caught)
    assert said == (library is OURS)


class Interrupting:
    """A function that presses Ctrl-C in one of its calls; those on tensors count in training."""

    def __init__(self, function, call):
        self.function, self.call, self.calls = function, call, 0

    def __call__(self, z):
        if isinstance(z, np.ndarray) or (z.requires_grad and len(z) > 2):  # no trial of a shape
            self.calls += 1
            if self.calls == self.call:
                raise KeyboardInterrupt
        return self.function(z)


def interrupt(library, monkeypatch, call):
    """An activation in one of whose training steps the user interrupts."""
    if library is OURS:
        return Interrupting(torch.tanh, call)
    table = {"tanh": Interrupting(sklearn.neural_network._base.inplace_tanh, call)}
    table["identity"] = sklearn.neural_network._base.inplace_identity
    monkeypatch.setattr("sklearn.neural_network._multilayer_perceptron.ACTIVATIONS", table)
    return "tanh"


def test_ctrl_c_in_lbfgs(library, monkeypatch):
    """Ctrl-C in a fit by "lbfgs" warns and keeps the last iterate; scikit-learn raises."""
    activation = interrupt(library, monkeypatch, call=8)
    model = regressor(library, solver="lbfgs", max_iter=100, activation=activation)
    if library is THEIRS:
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, Y)
        return
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, Y)
    assert model.n_iter_ == len(model.history_) > 0
    assert model.loss_ == model.history_[-1]["train_loss"]
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_ctrl_c_in_a_search(library, monkeypatch):
    """Ctrl-C in a fold ends a search; scikit-learn's goes on with the next fold."""
    model = regressor(library, activation=interrupt(library, monkeypatch, call=2))
    if library is OURS:
        with pytest.raises(KeyboardInterrupt):
            cross_val_score(model, X, Y, cv=2)
    else:
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            assert len(cross_val_score(model, X, Y, cv=2)) == 2


def test_ctrl_c_in_the_first_epoch(library, monkeypatch):
    """A fit that no epoch of was finished has the loss NaN; scikit-learn's has none."""
    model = regressor(library, activation=interrupt(library, monkeypatch, call=1))
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, Y)
    assert hasattr(model, "loss_") == (library is OURS)
    if library is OURS:
        assert np.isnan(model.loss_)


# Going on --------------------------------------------------------------------------------------


def test_warm_start_keeps_the_best_weights(library):
    """With early stopping a warm start that does not improve leaves the best weights in place."""
    model = regressor(library, early_stopping=True, warm_start=True, max_iter=40)
    model.set_params(learning_rate_init=0.01, n_iter_no_change=50)
    quietly(model.fit, X, Y)
    best = model.best_validation_score_
    kept = [coef.copy() for coef in model.coefs_]
    model.set_params(learning_rate_init=1.0, max_iter=3)  # steps that can only do harm
    quietly(model.fit, X, Y)
    assert model.best_validation_score_ == best
    unmoved = all(np.array_equal(a, b) for a, b in zip(model.coefs_, kept, strict=True))
    assert unmoved == (library is OURS)


@pytest.mark.parametrize("changed", ["hidden_layer_sizes", "outputs"])
def test_warm_start_with_another_shape(library, changed):
    """A warm start whose shape has changed is an error; scikit-learn keeps the old shape."""
    model = quietly(regressor(library, warm_start=True).fit, X, np.c_[Y, Y])
    target = np.c_[Y, Y]
    if changed == "outputs":
        target = Y
    else:
        model.set_params(hidden_layer_sizes=(7,))
    if library is THEIRS:
        quietly(model.fit, X, target)
        assert [coef.shape for coef in model.coefs_] == [(5, 5), (5, 2)]
        return
    with pytest.raises(ValueError, match=r"Training cannot go on: coefs_ has the shapes"):
        model.fit(X, target)


@pytest.mark.parametrize(
    "before, after",
    [
        ({"solver": "lbfgs"}, {"solver": "adam"}),
        ({"early_stopping": False}, {"early_stopping": True}),
        ({"early_stopping": True}, {"early_stopping": False}),
    ],
)
def test_warm_start_with_another_solver_or_stopping_rule(library, before, after):
    """A warm start may change `solver` and `early_stopping`; scikit-learn fails within."""
    model = quietly(regressor(library, warm_start=True, **before).fit, X, Y).set_params(**after)
    if library is THEIRS:
        with pytest.raises((AttributeError, TypeError)):
            quietly(model.fit, X, Y)
        return
    quietly(model.fit, X, Y)
    assert model.n_iter_ == 5
    assert np.isfinite(model.loss_)


def test_partial_fit_with_warm_start(library):
    """`partial_fit` takes batches that lack classes, with `warm_start=True` as without."""
    model = classifier(library, warm_start=True).partial_fit(X, LABELS, classes=[0, 1])
    if library is THEIRS:
        with pytest.raises(ValueError, match="warm_start can only be used"):
            model.partial_fit(X[LABELS == 0], LABELS[LABELS == 0])
        return
    model.partial_fit(X[LABELS == 0], LABELS[LABELS == 0])
    assert_array_equal(model.classes_, [0, 1])
    assert model.t_ == len(X) + (LABELS == 0).sum()


def test_regressor_hides_partial_fit_for_lbfgs(library):
    """`MLPRegressor(solver="lbfgs")` hides `partial_fit`; scikit-learn has one that does nothing.

    Its classifier hides it, and means to here.
    """
    assert hasattr(regressor(library, solver="lbfgs"), "partial_fit") == (library is THEIRS)
    assert not hasattr(classifier(library, solver="lbfgs"), "partial_fit")


def test_partial_fit_follows_a_changed_solver(library):
    """After `set_params(solver=...)` the next `partial_fit` uses it; scikit-learn's stays."""
    changed = regressor(library).partial_fit(X, Y)
    kept = regressor(library).partial_fit(X, Y)
    changed.set_params(solver="sgd").partial_fit(X, Y)
    kept.partial_fit(X, Y)
    assert np.array_equal(changed.coefs_[0], kept.coefs_[0]) == (library is THEIRS)


def test_partial_fit_follows_a_changed_schedule(library):
    """So it is for `learning_rate` and `power_t`; in both, the rate itself is that of the start."""

    def learned(**changed):
        model = regressor(library, solver="sgd").partial_fit(X, Y).set_params(**changed)
        return model.partial_fit(X, Y).partial_fit(X, Y).coefs_[0]

    unchanged = learned()
    assert_array_equal(learned(learning_rate_init=0.5), unchanged)
    followed = not np.array_equal(learned(learning_rate="invscaling"), unchanged)
    assert followed == (library is OURS)


def test_failed_refit(library):
    """A fit that fails leaves the estimator as it was; scikit-learn's is half the new one."""
    model = quietly(regressor(library).fit, X, Y)
    before = model.predict(X)
    model.set_params(**DIVERGING)
    with pytest.raises(ValueError, match="non-finite"):
        quietly(model.fit, X[:, :3], Y)
    assert model.n_features_in_ == (5 if library is OURS else 3)
    if library is OURS:
        assert_array_equal(model.predict(X), before)


# What is taken ---------------------------------------------------------------------------------


def test_negative_sample_weight(library):
    """Negative weights are refused; scikit-learn climbs the loss of such rows."""
    model, weight = regressor(library), np.where(np.arange(len(X)) == 3, -1.0, 1.0)
    if library is THEIRS:
        assert quietly(model.fit, X, Y, weight).n_iter_ == 5
        return
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        model.fit(X, Y, weight)


def test_limits_of_sample_weight(library):
    """Weights that cannot be computed with are refused; scikit-learn trains with them first."""
    model, weights = regressor(library), np.full(len(X), 1e307)
    if library is THEIRS:
        with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
            quietly(model.fit, X, Y, weights)
        return
    with pytest.raises(ValueError, match=r"sample_weight has weights from .* Scale them\.$"):
        model.fit(X, Y, weights)


def test_validation_samples_without_weight(library):
    """Validation samples without weight are refused; scikit-learn's error is its metric's."""
    model, weight = classifier(library, early_stopping=True), np.arange(60) < 3
    if library is THEIRS:
        with pytest.raises((ValueError, ZeroDivisionError), match=r"non-zero|sum to zero"):
            quietly(model.fit, X, LABELS, weight)
        return
    with pytest.raises(ValueError, match="The sample weights of all 6 validation samples are zero"):
        model.fit(X, LABELS, weight)


@pytest.mark.parametrize(
    "rows, message",
    [
        (X.astype(str), "X has text in 5 of 5 columns: 0, 1, 2, 3, 4"),
        ((100 * X).astype("timedelta64[s]"), "X has dates or durations in 5 of 5 columns"),
    ],
)
def test_text_and_dates(library, rows, message):
    """Text of digits and durations are refused; scikit-learn learns them as numbers."""
    model = regressor(library)
    if library is THEIRS:
        assert quietly(model.fit, rows, Y).n_iter_ == 5
        return
    with pytest.raises(ValueError, match=message):
        model.fit(rows, Y)


def test_masked_values(library):
    """Masked values are refused; scikit-learn learns what is behind the mask."""
    model, rows = regressor(library), np.ma.masked_array(X, X > 1)
    if library is THEIRS:
        expected = quietly(regressor(library).fit, X, Y)
        assert_array_equal(quietly(model.fit, rows, Y).coefs_[0], expected.coefs_[0])
        return
    with pytest.raises(ValueError, match=r"X has \d+ masked values"):
        model.fit(rows, Y)


def test_broken_sparse_matrix(library):
    """Indices out of range are refused; scikit-learn does not look at them."""
    model, rows = regressor(library), sparse.csr_matrix(X)
    quietly(model.fit, rows, Y)
    rows.indices[:] = -rows.indices - 1  # within the memory of the matrix, at worst
    if library is THEIRS:
        check_array(rows, accept_sparse="csr")
        return
    with pytest.raises(ValueError, match="its indices go from -5 to -1, and it has 5 columns"):
        model.predict(rows)


def test_multilabel_values(library):
    """Values of 1 and 2 in several columns are refused; scikit-learn trains towards 2."""
    model, targets = classifier(library), 1 + np.column_stack([LABELS, 1 - LABELS])
    if library is THEIRS:
        assert set(np.unique(quietly(model.fit, X, targets).predict(X))) <= {0, 1}
        return
    with pytest.raises(ValueError, match=r"y has the values \[1, 2\] in several columns"):
        model.fit(X, targets)


def test_tensors_with_a_gradient(library):
    """They are taken as the arrays that they hold; scikit-learn ends in torch's error."""
    model, rows = regressor(library), torch.tensor(X, requires_grad=True)
    if library is THEIRS:
        with pytest.raises(RuntimeError, match="requires grad"):
            model.fit(rows, Y)
        return
    expected = quietly(regressor(library).fit, X, Y)
    assert_array_equal(quietly(model.fit, rows, Y).coefs_[0], expected.coefs_[0])


def test_large_integers(library):
    """Integers beyond 2**53 are warned of; scikit-learn rounds them in silence."""
    rows = (100 * X).astype(np.int64)
    rows[0, 0] = 2**60
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        regressor(library).fit(rows, Y)
    assert any("X has integers from" in str(w.message) for w in caught) == (library is OURS)


def test_negative_targets_of_poisson(library):
    """`loss="poisson"` refuses y < 0; scikit-learn trains to a loss of NaN."""
    model = regressor(library, loss="poisson")
    if library is THEIRS:
        assert np.isnan(quietly(model.fit, X, Y - 2).loss_)
        return
    with pytest.raises(ValueError, match=r"out of the valid range of the loss 'poisson'"):
        model.fit(X, Y - 2)


def test_batch_without_weight(library):
    """A batch whose weights are all zero is passed over; scikit-learn divides by their sum."""
    weight = (np.arange(len(X)) >= 20).astype(float)
    model = regressor(library, batch_size=20, shuffle=False)
    if library is THEIRS:
        with pytest.raises(ZeroDivisionError):
            model.fit(X, Y, weight)
        return
    quietly(model.fit, X, Y, weight)
    alone = quietly(regressor(library, batch_size=20, shuffle=False).fit, X[20:], Y[20:])
    assert_allclose(model.predict(X), alone.predict(X), rtol=1e-10)


def test_targets_that_are_text_of_digits(library):
    """A regressor reads numbers that y holds as text, as scikit-learn's check does."""
    model, target = regressor(library), Y.astype(str)
    if library is THEIRS:
        with pytest.raises(TypeError):
            quietly(model.fit, X, target)
        return
    assert_array_equal(
        quietly(model.fit, X, target).predict(X), quietly(model.fit, X, Y).predict(X)
    )


def test_numbers_that_no_float_holds(library):
    """An integer above 1e308 in X is a ValueError; scikit-learn's is an OverflowError."""
    rows = np.array([[10**400]] * len(X), dtype=object)
    with pytest.raises(ValueError if library is OURS else OverflowError):
        regressor(library).fit(rows, Y)


def test_labels_of_several_kinds(library):
    """Labels that have no order are a ValueError that names `y`; in scikit-learn a TypeError."""
    with pytest.raises(ValueError if library is OURS else TypeError) as raised:
        classifier(library).fit(X, np.array([1, "a"] * 30, dtype=object))
    assert str(raised.value).startswith("y: Unknown label type") == (library is OURS)


@pytest.mark.parametrize("name", ["alpha", "max_iter", "batch_size", "tol", "random_state"])
def test_bools_in_place_of_numbers(library, name):
    """True is no number: it is refused where one is meant; scikit-learn takes it for 1."""
    model = regressor(library, **{name: True})
    if library is THEIRS:
        assert quietly(model.fit, X, Y).n_iter_ >= 1
        return
    with pytest.raises(ValueError, match=f"^The '{name}' parameter of MLPRegressor takes a number"):
        model.fit(X, Y)


@pytest.mark.parametrize("name", ["adaptive", "invscaling"])
def test_schedules_without_sgd(library, name):
    """Schedules of "sgd" with another solver warn; scikit-learn ignores them silently."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        regressor(library, learning_rate=name).fit(X, Y)
    assert any("has no effect" in str(w.message) for w in caught) == (library is OURS)


def test_large_powers_of_a_schedule(library):
    """A `power_t` whose power overflows is a rate near zero; scikit-learn's an OverflowError."""
    model = regressor(library, solver="sgd", learning_rate="invscaling", power_t=1000)
    if library is THEIRS:
        with pytest.raises(OverflowError):
            quietly(model.fit, X, Y)
        return
    assert quietly(model.fit, X, Y).history_[-1]["lr"] < 1e-30


def test_validation_fractions_that_leave_nothing(library):
    """The error of an empty part names `validation_fraction`, where scikit-learn's does not."""
    with pytest.raises(ValueError) as raised:
        regressor(library, early_stopping=True, validation_fraction=0.999).fit(X, Y)
    assert ("validation_fraction=0.999 cannot split 60" in str(raised.value)) == (library is OURS)


@pytest.mark.parametrize("sizes", [(5.5,), ("a",), [[5]], [True]])
def test_hidden_layer_sizes_that_are_no_integers(library, sizes):
    """Sizes that are no integers are a ValueError that says so; scikit-learn's is a TypeError."""
    expected = ValueError if library is OURS else TypeError
    with pytest.raises(expected) as raised:
        regressor(library, hidden_layer_sizes=sizes).fit(X, Y)
    assert ("hidden_layer_sizes must be integers, got" in str(raised.value)) == (library is OURS)


@pytest.mark.parametrize("params", [{"activation": "rely"}, {"solver": "adan"}], ids=str)
def test_unknown_names(library, params):
    """An unknown activation or solver is a ValueError with the closest names, no subclass of it."""
    with pytest.raises(ValueError) as raised:
        regressor(library, **params).fit(X, Y)
    assert isinstance(raised.value, InvalidParameterError) == (library is THEIRS)
    assert ("Did you mean" in str(raised.value)) == (library is OURS)


@pytest.mark.filterwarnings("ignore::sklmlp.exceptions.TrainingWarning")
def test_warning_of_a_large_batch_size(library):
    """The warning of a `batch_size` beyond the table says both numbers."""
    with pytest.warns(UserWarning, match="Got `batch_size` less than 1 or larger than") as caught:
        quiet = regressor(library, batch_size=1000, tol=10.0, n_iter_no_change=1)
        quiet.fit(X, Y)
    said = next(str(w.message) for w in caught if "batch_size" in str(w.message))
    assert ("batch_size=1000 for 60 samples" in said) == (library is OURS)


def test_lines_of_verbose(library, capsys):
    """`verbose=True` prints scikit-learn's lines, with learning rate and more behind the loss."""
    quietly(regressor(library, verbose=True).fit, X, Y)
    line = capsys.readouterr().out.splitlines()[0]
    assert re.match(r"Iteration 1, loss = \d+\.\d{8}", line)
    assert (", learning rate = 0.001" in line) == (library is OURS)


def test_attributes(library):
    """All public attributes and methods of scikit-learn's are there, and more."""
    for name, target in (("MLPClassifier", LABELS), ("MLPRegressor", Y)):
        fitted, theirs = (
            quietly(getattr(each, name)(**SMALL).fit, X, target) for each in (library, THEIRS)
        )
        public = {each for each in dir(theirs) if each[0] != "_" and hasattr(theirs, each)}
        assert all(hasattr(fitted, each) for each in public)
        assert hasattr(fitted, "history_") == (library is OURS)


def test_parameters(library):
    """All of scikit-learn's parameters with its defaults; those beyond them by keyword alone."""
    for name in ("MLPClassifier", "MLPRegressor"):
        signature = inspect.signature(getattr(library, name)).parameters
        theirs = inspect.signature(getattr(THEIRS, name)).parameters
        assert {name: p for name, p in signature.items() if name in theirs} == dict(theirs)
        positional = [p for p in theirs.values() if p.kind is not p.KEYWORD_ONLY]
        assert list(signature.values())[: len(positional)] == positional
        more = [p for p in signature.values() if p.name not in theirs]
        assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in more)
        assert {"device", "dtype", "callbacks"} <= {p.name for p in more} or library is THEIRS


# Predictions -----------------------------------------------------------------------------------


def test_probabilities_of_one_class(library):
    """With one class `predict_proba` has one column, as `classes_` has; scikit-learn's has two."""
    model = quietly(classifier(library).fit, X, np.zeros(len(X)))
    columns = model.predict_proba(X).shape[1]
    assert columns == (1 if library is OURS else 2)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_logarithm_of_zero_is_silent(library, kind):
    """`predict_log_proba` is minus infinity where a probability is 0, without a warning."""
    rows, y = make_table(kind)
    model = quietly(classifier(library).fit, rows, y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        logarithm = model.predict_log_proba(1e5 * rows)
    assert (logarithm == -np.inf).any()
    divisions = [w for w in caught if "divide by zero" in str(w.message)]
    assert bool(divisions) == (library is THEIRS)


def test_small_probability_of_the_first_class(library):
    """Of two classes the first has all its digits too; scikit-learn has 1 minus the second."""
    model = quietly(classifier(library, hidden_layer_sizes=()).fit, X, LABELS)
    model.coefs_[0][:], model.intercepts_[0][:] = 0, 50
    first = model.predict_proba(X[:1])[0, 0]
    if library is OURS:
        assert_allclose(first, np.exp(-50), rtol=1e-12)
    else:
        assert first == 0


@pytest.mark.parametrize(
    "fitted_on, asked_with, ours, theirs",
    [
        ("f8", "f4", "f4", "f8"),
        ("f4", "i8", "f4", "f8"),
        ("f4", "f8", "f8", "f8"),
        ("f8", "f2", "f8", "f8"),
    ],
)
def test_dtype_of_predictions(library, fitted_on, asked_with, ours, theirs):
    """Predictions are float32 for float32 X, and in the model's dtype for integers."""
    model = quietly(classifier(library).fit, X.astype(fitted_on), LABELS)
    probability = model.predict_proba(X.astype(asked_with))
    assert probability.dtype == (ours if library is OURS else theirs)


def test_float64_rows_and_a_float32_model(library):
    """A float32 model computes in float32 whatever it is asked with; scikit-learn in float64."""
    model = quietly(regressor(library, activation="identity").fit, X.astype("f4"), Y)
    rows = 1000 * np.random.default_rng(1).normal(size=(50, 5))
    exact = (rows @ model.coefs_[0] + model.intercepts_[0]) @ model.coefs_[1]
    exact = exact.ravel() + model.intercepts_[1]
    difference = np.abs(model.predict(rows) - exact).max() / np.abs(exact).max()
    assert difference < 1e-5
    assert (difference > 1e-10) == (library is OURS)


@pytest.mark.parametrize("changed", [{"activation": "tanh"}, {"loss": "poisson"}])
def test_parameters_that_change_after_the_fit(library, changed):
    """`predict` is that of the fitted network; scikit-learn's takes the `activation` of the day."""
    model = quietly(regressor(library).fit, X, Y)
    before = model.predict(X)
    unmoved = np.array_equal(model.set_params(**changed).predict(X), before)
    assert unmoved == (library is OURS or "loss" in changed)


def test_labels_are_decided_before_rounding(library):
    """A class is chosen by its logit; scikit-learn chooses after probabilities are rounded."""
    model = quietly(classifier(library, hidden_layer_sizes=()).fit, X, LABELS)
    model.coefs_[0][:], model.intercepts_[0][:] = 0, 1e-20
    assert_array_equal(model.predict_proba(X[:1]), [[0.5, 0.5]])
    assert model.predict(X[:1])[0] == (1 if library is OURS else 0)


def test_poisson_loss_is_finite(library):
    """The Poisson loss stays finite where a predicted mean underflows to 0."""
    model = regressor(library, loss="poisson", warm_start=True, hidden_layer_sizes=(), max_iter=1)
    quietly(model.fit, X, np.exp(Y))
    model.coefs_[0][:], model.intercepts_[0][:] = 0, -800
    quietly(model.fit, X, np.exp(Y))
    assert np.isfinite(model.loss_) == (library is OURS)


def test_predictions_that_overflow(library):
    """A prediction of infinity is an error; scikit-learn returns it."""
    model = regressor(library, loss="poisson", hidden_layer_sizes=())
    quietly(model.fit, X, np.exp(Y))
    model.coefs_[0][:], model.intercepts_[0][:] = 0, 800
    if library is THEIRS:
        assert (quietly(model.predict, X) == np.inf).all()
    else:
        with pytest.raises(ValueError, match=rf"^The prediction for {len(X)} row\(s\) of X, the "):
            model.predict(X)


def test_losses_are_python_floats(library):
    """`loss_curve_` and `validation_scores_` hold Python's floats, not NumPy's."""
    model = quietly(regressor(library, early_stopping=True).fit, X, Y)
    kinds = {type(value) for value in model.loss_curve_}
    assert kinds == ({float} if library is OURS else {np.float64})


# lbfgs -----------------------------------------------------------------------------------------


def test_lbfgs_on_float32(library):
    """On float32 X "lbfgs" computes in float64 and keeps float32; scikit-learn keeps float64."""
    model = quietly(regressor(library, solver="lbfgs").fit, X.astype("f4"), Y)
    assert model.coefs_[0].dtype == ("f4" if library is OURS else "f8")
    assert model.predict(X.astype("f4")).dtype == ("f4" if library is OURS else "f8")


def test_lbfgs_that_cannot_begin(library):
    """A loss that is not finite from the beginning is an error; scikit-learn's `loss_` is NaN."""
    model = regressor(library, solver="lbfgs")
    if library is THEIRS:
        assert np.isnan(quietly(model.fit, 1e200 * X, Y).loss_)
    else:
        with pytest.raises(
            ValueError, match=r"^Solver produced a non-finite loss \(nan\) after 0 "
        ):
            quietly(model.fit, 1e200 * X, Y)


def test_lbfgs_prints(library, capsys):
    """`verbose=True` prints a line for each iteration of "lbfgs", as for an epoch."""
    model = quietly(regressor(library, solver="lbfgs", verbose=True).fit, X, Y)
    lines = capsys.readouterr().out.splitlines()
    if library is OURS:
        assert lines[0].startswith("Iteration 1, loss = ")
        assert len(lines) == model.n_iter_ == 5
    else:
        assert not any("Iteration" in line for line in lines)


# What is kept ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["_best_coefs", "_best_intercepts", "_random_state", "_label_binarizer", "_forward_pass_fast"],
)
def test_private_attributes(library, name):
    """scikit-learn's private attributes and methods are not there."""
    model = quietly(classifier(library).fit, X, LABELS)
    assert hasattr(model, name) == (library is THEIRS)


def test_pickles_leave_the_moments_of_fit(library):
    """Through pickle, `partial_fit` after `fit` starts its optimizer from scratch."""
    model = quietly(regressor(library).fit, X, Y)
    twin = pickle.loads(pickle.dumps(model)).partial_fit(X, Y)
    same = np.array_equal(model.partial_fit(X, Y).coefs_[0], twin.coefs_[0])
    assert same == (library is THEIRS)


def test_patch_versions_of_pickles(library, monkeypatch):
    """Loading warns of another minor version; scikit-learn also of another patch."""
    model = quietly(regressor(library).fit, X, Y)
    major, minor, *_ = sklearn.__version__.split(".")
    monkeypatch.setattr("sklearn.__version__", f"{major}.{minor}.99")
    monkeypatch.setattr("sklearn.base.__version__", f"{major}.{minor}.99")
    file = pickle.dumps(model)
    monkeypatch.undo()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pickle.loads(file)
    warned = any(w.category is InconsistentVersionWarning for w in caught)
    assert warned == (library is THEIRS)


def test_classes_are_their_own(library):
    """The estimators are no subclasses of scikit-learn's, so `isinstance` tells them apart."""
    assert isinstance(library.MLPClassifier(), THEIRS.MLPClassifier) == (library is THEIRS)
    assert isinstance(library.MLPRegressor(), THEIRS.MLPRegressor) == (library is THEIRS)


def test_a_card_computes_in_float32():
    """With a CUDA GPU `device="auto"` uses it and `dtype="auto"` is float32 there."""
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert resolve_dtype("auto", np.dtype("float64"), gpu) == np.float32
    assert resolve_dtype("float64", np.dtype("float64"), gpu) == np.float64
    assert resolve_dtype("auto", np.dtype("float64"), cpu) == np.float64
