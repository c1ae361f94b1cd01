"""With the same `random_state`, the numbers are scikit-learn's to rounding, in float64."""

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse

from tests.tables import (
    CLASSIFICATION,
    KINDS,
    assert_same_course,
    assert_same_model,
    make_pair,
    make_table,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1 or larger than:UserWarning"),
]

EPOCHS = 30
# A line search repeats scikit-learn's steps for some iterations, until rounding has grown enough
# to make it accept another step: L-BFGS is compared over its first few.
LBFGS_ITERATIONS = 6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_every_solver_activation_and_kind_of_output(solver, activation, kind):
    """Each solver with each activation learns scikit-learn's weights for each kind of target."""
    X, y = make_table(kind)
    max_iter = LBFGS_ITERATIONS if solver == "lbfgs" else EPOCHS
    ours, theirs = make_pair(
        kind,
        solver=solver,
        activation=activation,
        hidden_layer_sizes=(7, 4),
        max_iter=max_iter,
        batch_size=16,
        learning_rate_init=0.01,
    )
    ours.fit(X, y)
    theirs.fit(X, y)
    assert_same_course(ours, theirs)
    assert_same_model(ours, theirs, X)


@dataclass
class Story:
    """A table, parameters, and what is called one after the other."""

    kind: str
    params: dict
    calls: list
    seed: int
    is_sparse: bool = False
    weighted: bool = False
    shared_stream: bool = False


@st.composite
def stories(draw):
    """Combinations of parameters, tables and calls."""
    kind = draw(st.sampled_from(KINDS))
    calls = draw(
        st.sampled_from(
            [
                ["fit"],
                ["fit", "fit"],
                ["fit", "fit warm"],
                ["fit warm", "fit warm", "fit warm"],
                ["partial_fit"] * 4,
                ["fit", "partial_fit", "partial_fit", "partial_fit"],
                ["partial_fit", "partial_fit", "fit warm"],
                ["fit warm", "partial_fit", "partial_fit", "fit warm"],
            ]
        )
    )
    solvers = ["adam", "sgd"] if "partial_fit" in calls else ["adam", "adam", "sgd", "sgd", "lbfgs"]
    solver = draw(st.sampled_from(solvers))
    params = {
        "solver": solver,
        "activation": draw(st.sampled_from(["identity", "logistic", "tanh", "relu"])),
        "hidden_layer_sizes": draw(
            st.one_of(
                st.integers(1, 12), st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple)
            )
        ),
        "alpha": draw(st.sampled_from([0.0, 1e-4, 0.1, 10.0])),
        "batch_size": draw(st.sampled_from(["auto", 7, 20, 60])),
        "learning_rate_init": draw(st.sampled_from([1e-4, 1e-3, 0.01])),
        "max_iter": EPOCHS if len(calls) == 1 else draw(st.integers(3, 20)),
        "shuffle": draw(st.booleans()),
        "tol": draw(st.sampled_from([0.0, 1e-4, 1e-2])),
        "n_iter_no_change": draw(st.sampled_from([1, 3, 10, np.inf])),
    }
    if kind.endswith("counts"):
        params["loss"] = "poisson"
    if solver == "adam":
        params["beta_1"] = draw(st.sampled_from([0.0, 0.5, 0.9]))
        params["beta_2"] = draw(st.sampled_from([0.9, 0.99, 0.999]))
        params["epsilon"] = draw(st.sampled_from([1e-8, 1e-6, 1e-2]))
    elif solver == "sgd":
        params["learning_rate"] = draw(st.sampled_from(["constant", "invscaling", "adaptive"]))
        params["power_t"] = draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]))
        params["momentum"] = draw(st.sampled_from([0.0, 0.5, 0.9, 1.0]))
        params["nesterovs_momentum"] = draw(st.booleans())
    else:
        params["max_iter"] = LBFGS_ITERATIONS // len(calls)
    if solver != "lbfgs" and "partial_fit" not in calls:
        params["early_stopping"] = draw(st.booleans())
        params["validation_fraction"] = draw(st.sampled_from([0.1, 0.25, 0.5]))
    return Story(
        kind,
        params,
        calls,
        seed=draw(st.integers(0, 2**16)),
        is_sparse=draw(st.booleans()),
        weighted=draw(st.booleans()),
        shared_stream=draw(st.booleans()),
    )


def tell(estimator, story, X, y, weight, after_each):
    """Make the story's calls, with a new table and new weights in each but the same labels."""
    if story.shared_stream:  # one stream of random numbers that goes on from call to call
        estimator.set_params(random_state=np.random.RandomState(story.seed))
    else:
        estimator.set_params(random_state=story.seed)
    for i, call in enumerate(story.calls):
        order = np.random.default_rng(i).permutation(len(y))
        rows = X[order], y[order]
        options = {"sample_weight": weight[order]} if story.weighted else {}
        if call == "partial_fit":
            if story.kind in CLASSIFICATION:
                options["classes"] = np.arange(3 if y.ndim == 2 else y.max() + 1)
            estimator.partial_fit(*rows, **options)
        else:
            estimator.set_params(warm_start=call == "fit warm").fit(*rows, **options)
        after_each(estimator)
    return estimator


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # a failing story is short enough to be read as it was drawn
    suppress_health_check=[HealthCheck.too_slow],
)
@given(stories())
def test_combinations(story):
    """Any combination of parameters, tables and calls gives scikit-learn's course and weights."""
    X, y = make_table(story.kind, seed=story.seed)
    weight = np.random.default_rng(story.seed).uniform(0.1, 3.0, len(y))
    if story.is_sparse:
        X = sparse.csr_matrix(np.where(np.abs(X) > 0.5, X, 0.0))
    ours, theirs = make_pair(story.kind, **story.params)
    event(f"{story.params['solver']}, {' + '.join(story.calls)}")

    # scikit-learn 1.9.1's best weights are the arrays that a warm start goes on training, so that a
    # second fit without a better score leaves the last weights; ours keeps the best ones.
    aliased, best = [], [-np.inf]

    def note(estimator):
        score = getattr(estimator, "best_validation_score_", None)
        if score is not None:
            aliased.append(score == best[0])
            best[0] = score

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's, of overflows
        try:
            tell(theirs, story, X, y, weight, note)
        except ValueError as error:
            assert "non-finite" in str(error)
            with pytest.raises(ValueError, match="non-finite"):
                tell(ours, story, X, y, weight, lambda estimator: None)
            return
    tell(ours, story, X, y, weight, lambda estimator: None)
    if story.params.get("early_stopping") and any(aliased[:-1]) and len(aliased) > 2:
        return  # trained on from other weights
    assert_same_course(ours, theirs)
    if not any(aliased):
        assert_same_model(ours, theirs, X)


@pytest.mark.filterwarnings("ignore:learning_rate='[a-z]*' has no effect with solver='adam'")
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_learning_rates_over_a_long_fit(solver, learning_rate):
    """Each schedule, acting on sgd alone, ends in scikit-learn's epoch with its weights."""
    X, y = make_table("regression")
    ours, theirs = make_pair(
        "regression",
        solver=solver,
        learning_rate=learning_rate,
        learning_rate_init=0.05,
        max_iter=400,
        tol=1e-3,
        n_iter_no_change=2,
    )
    ours.fit(X, y)
    theirs.fit(X, y)
    assert 2 < theirs.n_iter_ < 400
    assert_same_course(ours, theirs)
    assert_same_model(ours, theirs, X)


@pytest.mark.parametrize("kind", ["binary", "multilabel", "regressions", "counts"])
def test_early_stopping_keeps_the_same_best_weights(kind):
    """Early stopping, weights included, keeps the weights that scikit-learn keeps."""
    X, y = make_table(kind, n_samples=120)
    weight = np.random.default_rng(0).uniform(0.1, 3, 120)
    ours, theirs = make_pair(
        kind,
        early_stopping=True,
        learning_rate_init=0.03,
        max_iter=200,
        n_iter_no_change=5,
        validation_fraction=0.3,
    )
    ours.fit(X, y, sample_weight=weight)
    theirs.fit(X, y, sample_weight=weight)
    assert theirs.n_iter_ < 200
    assert_same_course(ours, theirs)
    assert_same_model(ours, theirs, X)


def test_global_random_state():
    """`random_state=None` draws from NumPy's global stream, as scikit-learn does."""
    X, y = make_table("multiclass")
    ours, theirs = make_pair("multiclass", random_state=None, max_iter=5)
    state = np.random.get_state()
    try:
        np.random.seed(3)
        ours.fit(X, y)
        drawn_next = np.random.uniform()
        np.random.seed(3)
        theirs.fit(X, y)
        assert np.random.uniform() == drawn_next
    finally:
        np.random.set_state(state)
    assert_same_model(ours, theirs, X)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regressions", "counts"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_float32_is_close(solver, kind):
    """In float32 a short fit stays within rounding of scikit-learn's own float32."""
    X, y = make_table(kind)
    ours, theirs = make_pair(kind, solver=solver, max_iter=20, batch_size=20)
    ours.fit(X.astype(np.float32), y)
    theirs.fit(X.astype(np.float32), y)
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-4)
    for got, expected in zip(ours.coefs_, theirs.coefs_, strict=True):
        assert got.dtype == np.float32
        assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_batches_of_one_row():
    """Batches of a single row each take scikit-learn's steps."""
    X, y = make_table("multiclass")
    ours, theirs = make_pair("multiclass", batch_size=1, max_iter=5, learning_rate_init=0.01)
    assert_same_model(ours.fit(X, y), theirs.fit(X, y), X)
