"""A problem shows a method what its candidates would train, and draws what it may propose."""

import copy

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier, MLPRegressor, TabularMLPClassifier
from sklmlp.search.architecture import Problem, RandomSharedSampler
from sklmlp.search.architecture.pool import MOST_MEMBERS, Pool
from sklmlp.search.evaluation import Evaluator
from tests.tables import make_table

X, Y = make_table("multiclass")
WIDTHS = [(4,), (8,), (4, 4), (8, 4), (4, 8, 16)]


def pool_of(estimator=None, space="architecture", seed=0, **options):
    estimator = MLPClassifier() if estimator is None else estimator
    return Pool(Problem.of(estimator, X, Y, space, **options), np.random.default_rng(seed))


def test_a_look_shows_rows_and_network():
    """In a pipeline the rows are those that the network would see, and nothing is trained."""
    estimator = make_pipeline(StandardScaler(), MLPRegressor(max_iter=10**9, tol=0))
    problem = Problem.of(estimator, 5 + 3 * X, Y.astype(float))
    (run,) = problem.look({"mlpregressor__hidden_layer_sizes": (7, 3)})
    assert run.network.spec.hidden == (7, 3)
    seen = run.dataset.rows.tensor.numpy()
    np.testing.assert_allclose(seen, StandardScaler().fit_transform(X), atol=1e-12)


def test_a_search_looks_at_its_first_fold():
    """An evaluator's look is at the training rows of a fold, and none of those that it scores."""
    train, test = np.arange(40), np.arange(40, 60)
    options = {"fit_params": {}, "score_params": {}, "parameters": None, "verbose": 0}
    options |= {"scorer": None, "return_train_score": False, "error_score": np.nan}
    evaluator = Evaluator(MLPClassifier(), X, Y, [(train, test)], options, "score", 0, None)
    (run,) = evaluator.look({"hidden_layer_sizes": (3,)})
    np.testing.assert_array_equal(run.dataset.rows.tensor.numpy(), X[train])
    assert evaluator.count_parameters({"hidden_layer_sizes": (3,)}) == 5 * 3 + 3 + 3 * 3 + 3


def test_a_finite_space_is_gone_through():
    """All combinations of lists are in the pool, each once, and no other."""
    activations = ["relu", "tanh"]
    pool = pool_of(space={"hidden_layer_sizes": WIDTHS, "activation": activations})
    found = {(a.widths, pool.activations[a.activations[0]].name) for a in pool.architectures}
    assert found == {(widths, name) for widths in WIDTHS for name in activations}
    assert len(pool) == len(found)


def test_a_finite_space_may_have_choices_that_depend_on_others():
    """A function whose later choices depend on earlier ones is gone through as well."""

    def space(trial):
        depth = trial.suggest_int("depth", 1, 3)
        widths = [trial.suggest_int(f"width_{i}", 4, 8, step=2) for i in range(depth)]
        return {"hidden_layer_sizes": widths}

    pool = pool_of(space=space)
    assert len(pool) == len(set(pool.architectures)) == 3 + 3**2 + 3**3


def test_a_large_space_is_sampled():
    """Of what has no end there is a random part, which depends on the seed alone."""
    first, again, other = pool_of(), pool_of(), pool_of(seed=1)
    assert len(first) == MOST_MEMBERS
    assert first.values == again.values != other.values


def test_all_of_a_pool_is_allowed():
    """No member has more parameters than are allowed; the count is that of the networks."""
    pool = pool_of(max_parameters=3000)
    assert len(pool) >= 100
    assert pool.n_parameters.max() <= 3000


def test_widths_and_activations_may_stand_in_parts():
    """A space that names whole networks is looked at, candidate by candidate."""
    steps = [MLPClassifier(w, activation="tanh") for w in [(3,), (5,), (5, 4)]]
    estimator = make_pipeline(StandardScaler(), MLPClassifier())
    pool = pool_of(estimator, {"mlpclassifier": steps})
    assert {each.widths for each in pool.architectures} == {(3,), (5,), (5, 4)}
    assert [each.name for each in pool.activations] == ["tanh"]


@pytest.mark.parametrize(
    "estimator, space, message",
    [
        (TabularMLPClassifier(), "architecture", "TiedNetwork. Choose another method"),
        (MLPClassifier(), {"activation": ["relu", "softmax"]}, "got 'softmax'"),
        (MLPClassifier(), {"alpha": [0.1, 0.2]}, "the same widths and activations"),
    ],
)
def test_what_shares_no_weights_is_refused(estimator, space, message):
    """Other networks, activations across units and spaces of one architecture raise."""
    with pytest.raises(ValueError, match=message):
        pool_of(estimator, space)


def test_a_space_without_allowed_candidates_is_refused():
    """Where all candidates are too large, the message says what to change."""
    with pytest.raises(ValueError, match="as few parameters as max_parameters"):
        pool_of(space={"hidden_layer_sizes": WIDTHS}, max_parameters=10)


def test_a_copied_sampler_has_the_same_table():
    """A search copies the sampler that it is given, and not the rows."""
    sampler = RandomSharedSampler(Problem.of(MLPClassifier(), X, Y), seed=0)
    assert copy.deepcopy(sampler).problem is sampler.problem
