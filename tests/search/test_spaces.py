"""Ready distributions: names, ranges, and that searches run through them."""

import json
import re

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterSampler, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.search import params_of, space, suggest
from tests.tables import make_table

ESTIMATORS = {
    "": MLPClassifier(),
    "mlpregressor__": make_pipeline(StandardScaler(), MLPRegressor()),
    "regressor__": TransformedTargetRegressor(MLPRegressor()),
}


@pytest.mark.parametrize("prefix", ESTIMATORS)
def test_names_are_the_estimator_s(prefix):
    """Whatever is drawn can be set, in a pipeline under the name of its step."""
    estimator = ESTIMATORS[prefix]
    for params in ParameterSampler(space(estimator), 20, random_state=0):
        assert estimator.set_params(**params).get_params().items() >= params.items()


def test_rates_and_penalties_are_log_uniform():
    """A quarter of what is drawn lies in each quarter of the documented range's logarithms."""
    distributions = space(MLPClassifier())
    for name, low, high in (("learning_rate_init", 1e-4, 1e-2), ("alpha", 1e-6, 1e-1)):
        quarters = distributions[name].ppf([0, 0.25, 0.5, 0.75, 1])
        np.testing.assert_allclose(quarters, np.geomspace(low, high, 5))


def test_a_space_is_the_caller_s():
    """Changing a space changes no later one."""
    space(MLPClassifier())["activation"].clear()
    assert space(MLPClassifier())["activation"] == ["relu", "gelu", "silu", "tanh"]


@pytest.mark.parametrize("estimator", [LogisticRegression(), make_pipeline(StandardScaler())])
def test_estimators_without_a_network(estimator):
    """An estimator without a network is refused by its name."""
    with pytest.raises(ValueError, match=r"estimator takes an MLPClassifier.*with 0 in it"):
        space(estimator)


def test_estimators_with_two_networks():
    """So is one with two: their names would be guesses."""
    both = make_pipeline(TransformedTargetRegressor(MLPRegressor()), MLPRegressor())
    with pytest.raises(ValueError, match="with 2 in it"):
        suggest(None, both)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_random_search():
    """`RandomizedSearchCV` takes a space as it is."""
    X, y = make_table("multiclass")
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(max_iter=2, random_state=0))
    search = RandomizedSearchCV(pipeline, space(pipeline), n_iter=4, cv=2, random_state=0)
    assert np.isfinite(search.fit(X, y).cv_results_["mean_test_score"]).all()


def test_trials_of_optuna():
    """Each trial of a study gets parameters from the same space."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    distributions = space(MLPClassifier())
    for _ in range(30):
        params = suggest(study.ask(), MLPClassifier())
        assert params.keys() == distributions.keys()
        for name, value in params.items():
            known = distributions[name]
            assert value in known if isinstance(known, list) else known.pdf(value) > 0


@pytest.fixture
def study():
    """A study of Optuna that draws at random."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))


@pytest.mark.parametrize("prefix", ESTIMATORS)
def test_recorded_trials_become_parameters(prefix, study):
    """`params_of` gives of each record, in memory or in JSON, what `suggest` gave."""
    estimator, suggested = ESTIMATORS[prefix], []
    for k in range(30):
        trial = study.ask()
        suggested.append(suggest(trial, estimator))
        study.tell(trial, abs(k - 7))
    assert [params_of(trial, estimator) for trial in study.trials] == suggested
    stored = json.loads(json.dumps(study.best_params))
    for best in (study.best_params, study.best_trial, stored):
        assert params_of(best, estimator) == suggested[7]
    params = estimator.set_params(**params_of(study.best_params, estimator)).get_params()
    assert params.items() >= suggested[7].items()
    assert isinstance(params[f"{prefix}hidden_layer_sizes"], tuple)


def test_what_was_suggested_beside_it(study):
    """Parameters of the caller's own keep their names, and the record is not changed."""
    pipeline = ESTIMATORS["mlpregressor__"]
    trial = study.ask()
    own = {"mlpregressor__batch_size": trial.suggest_int("mlpregressor__batch_size", 8, 64)}
    expected = suggest(trial, pipeline) | own
    study.tell(trial, 0.0)
    recorded = study.best_params
    before = dict(recorded)
    assert params_of(recorded, pipeline) == expected
    assert recorded == before


def test_a_record_of_something_else():
    """A record without the parameters of `suggest` is refused with the names of what is missing."""
    message = (
        "trial has no depth, width, learning_rate_init, dropout; params_of takes "
        "study.best_params or a trial whose parameters `suggest` drew, got "
        "{'activation': 'relu', 'alpha': 1.0}."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        params_of({"activation": "relu", "alpha": 1.0}, MLPClassifier())
