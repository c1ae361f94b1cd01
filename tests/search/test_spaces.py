"""Ready distributions: names, ranges, and that searches run through them."""

import numpy as np
import pytest
from scipy.stats import kstest
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterSampler, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.search import space, suggest
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
    """The logarithms of what is drawn are uniform, by a Kolmogorov-Smirnov test."""
    distributions = space(MLPClassifier())
    for name, low, high in (("learning_rate_init", 1e-4, 1e-2), ("alpha", 1e-6, 1e-1)):
        drawn = np.log(distributions[name].rvs(2000, random_state=0))
        low, high = np.log([low, high])
        assert kstest(drawn, "uniform", (low, high - low)).pvalue > 0.01


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
