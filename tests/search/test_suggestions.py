"""Spaces and samplers: what is suggested can be set, and samplers learn from it."""

import importlib.util

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import expon, loguniform, norm, randint, uniform
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor
from sklmlp.search import sampler
from sklmlp.search.asking import Asker
from sklmlp.search.evaluation import Candidate
from sklmlp.search.problem import Problem
from sklmlp.search.samplers import METHODS
from sklmlp.search.suggestions import SPACES, describe, express, make_suggest

ESTIMATORS = [
    MLPClassifier(),
    MLPRegressor(loss="huber"),
    MLPClassifier(solver="lbfgs"),
    make_pipeline(StandardScaler(), MLPRegressor()),
    TransformedTargetRegressor(MLPRegressor()),
    TabularMLPClassifier(),
    TabularMLPRegressor(),
]
DICT = {
    "alpha": loguniform(1e-4, 1e-1),
    "max_iter": randint(3, 9),
    "activation": ["relu", ("leaky_relu", {"negative_slope": 0.1})],
    "dropout": uniform(0, 0.5),
    "tol": expon(scale=1e-3),
    "momentum": [0.5, 0.9],
    "early_stopping": [True, False],
    "hidden_layer_sizes": [(4,), (4, 4)],
    "beta_1": FloatDistribution(0.8, 0.9),
    "n_iter_no_change": IntDistribution(5, 9),
    "learning_rate": CategoricalDistribution(["constant", "cosine"]),
}


def trials(suggest, n=20, method="random"):
    """What is suggested to some trials of a study."""
    study = optuna.create_study(sampler=sampler(method, random_state=0))
    return [(trial := study.ask(), suggest(trial)) for _ in range(n)]


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_a_ready_space_can_be_set(space, estimator):
    """Whatever is suggested is a parameter, of a value that its constraints allow."""
    for _, params in trials(make_suggest(space, estimator, 100)):
        changed = estimator.set_params(**params)
        assert changed.get_params().items() >= params.items()
        for each in (changed, *(v for v in changed.get_params().values() if hasattr(v, "fit"))):
            if hasattr(each, "hidden_layer_sizes"):
                each._validate_params()


def test_each_layer_has_a_width_of_its_own():
    """A depth has as many widths, and no more are suggested."""
    for trial, params in trials(make_suggest("architecture", MLPClassifier(), 100)):
        widths = [round(w) for name, w in trial.params.items() if name.startswith("width_")]
        assert params["hidden_layer_sizes"] == tuple(widths)
        assert len(widths) == trial.params["depth"]


@pytest.mark.parametrize("n_rows", [1, 5, 60, 10**6])
def test_batches_fit_the_rows(n_rows):
    """A batch is never longer than the rows of a fold."""
    for _, params in trials(make_suggest("auto", MLPClassifier(), n_rows), 5):
        assert 1 <= params["batch_size"] <= min(n_rows, 1024)


def test_a_dict_suggests_what_is_in_it():
    """Lists give their values, distributions theirs, scipy's and Optuna's."""
    for _, params in trials(make_suggest(DICT, MLPClassifier(), 100)):
        assert params.keys() == DICT.keys()
        assert 1e-4 <= params["alpha"] <= 1e-1
        assert params["max_iter"] in range(3, 9)
        assert params["activation"] in DICT["activation"]
        assert params["hidden_layer_sizes"] in DICT["hidden_layer_sizes"]
        assert type(params["max_iter"]) is int
        assert params["tol"] > 0


def test_a_quantile_is_the_distribution_s():
    """A distribution that Optuna does not have is drawn from by its quantiles."""
    for trial, params in trials(make_suggest({"alpha": norm(2, 3)}, MLPClassifier(), 9)):
        assert params["alpha"] == norm(2, 3).ppf(trial.params["alpha"])


def test_one_of_several_dicts():
    """A list of dicts gives parameters of one of them, as in RandomizedSearchCV."""
    choices = [{"alpha": [1.0, 2.0]}, {"alpha": [3.0], "tol": [0.1]}]
    drawn = [params for _, params in trials(make_suggest(choices, MLPClassifier(), 9), 30)]
    assert {tuple(sorted(params)) for params in drawn} == {("alpha",), ("alpha", "tol")}
    assert all(params in list(ParameterGrid(choices)) for params in drawn)


def test_a_grid_is_scikit_learns():
    """ "grid" goes through a dict of lists in the order of ParameterGrid."""
    grid = {"alpha": [1.0, 2.0], "tol": [1e-3, 1e-4, 1e-5], "activation": ["relu", "tanh"]}
    suggest = make_suggest(grid, MLPClassifier(), 9)
    assert [params for _, params in trials(suggest, 12, "grid")] == list(ParameterGrid(grid))


def test_a_grid_of_a_continuum_is_refused():
    """ "grid" needs lists, and says so by the name of what is none."""
    with pytest.raises(ValueError, match="'alpha' has FloatDistribution"):
        trials(make_suggest({"alpha": loguniform(1, 2)}, MLPClassifier(), 9), 1, "grid")


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("estimator", [MLPClassifier(), TabularMLPClassifier()])
def test_known_parameters_are_a_trial(space, estimator):
    """Parameters that a space suggests are found again as the trial that suggested them."""
    suggest = make_suggest(space, estimator, 1000)
    for trial, params in trials(suggest, 10):
        known = {**estimator.get_params(), **params}
        values, distributions = express(known, suggest)
        assert values.keys() == trial.params.keys()
        for name, value in trial.params.items():
            same = (
                value if isinstance(value, str) else pytest.approx(value, rel=0.25, abs=1e-9)
            )  # of a rounded one
            assert values[name] == same
            assert distributions[name] == trial.distributions[name]


def test_parameters_outside_of_a_space_are_no_trial():
    """What a space cannot suggest is not told to the sampler."""
    suggest = make_suggest({"alpha": [1.0]}, MLPClassifier(), 100)
    assert express({"alpha": 2.0}, suggest) is None
    assert express({"alpha": 1.0}, suggest)[0] == {"alpha": 1.0}
    assert express({}, suggest) is None


def test_the_default_is_a_trial_of_the_ready_space():
    """Samplers learn from scikit-learn's defaults, which the ready space has."""
    suggest = make_suggest("auto", MLPClassifier(), 2000)
    params = MLPClassifier(batch_size=200).get_params()
    assert express(params, suggest)[0]["width_1"] == 100


def ask(method, seed=0, n=8, scores=None):
    """The parameters of the first candidates, each told before the next is asked for."""
    suggest = make_suggest("auto", MLPClassifier(), 100)
    asker = Asker(MLPClassifier(), [], Problem(suggest), method, seed)
    found = []
    for number in range(n):
        candidate = asker.candidate(number)
        found.append(candidate.params)
        candidate.rungs, candidate.is_final = [(3, float(number))], number % 2 == 0
        asker.tell(candidate)
    return found


def proposes_alone(method):
    """Whether a method proposes candidates, of any space, and without a table."""
    return method.make is not None and not method.shares_weights


@pytest.mark.parametrize(
    "method",
    [m.name for m in METHODS.values() if proposes_alone(m) and m.name not in ("grid", "cmaes")],
)
def test_a_seed_decides(method):
    """The same seed proposes the same candidates, and another one others."""
    assert ask(method) == ask(method)
    if method != "qmc":
        assert ask(method) != ask(method, seed=1)


def test_cmaes():
    """CMA-ES proposes numbers where its package is there, and says what is missing elsewhere."""
    if importlib.util.find_spec("cmaes"):
        assert ask("cmaes") == ask("cmaes")
    else:
        with pytest.raises(ImportError, match="pip install cmaes"):
            ask("cmaes")


def test_a_sampler_of_the_user_s_is_left_alone():
    """An instance is copied: the next search finds it as it was."""
    mine = optuna.samplers.RandomSampler(seed=3)
    assert ask(mine) == ask(mine)


def test_early_stops_are_pruned_for_samplers_that_read_it():
    """TPE is told of pruned trials, and others of complete ones with the score that they had."""
    suggest = make_suggest({"alpha": [1.0, 2.0]}, MLPClassifier(), 100)
    for method, state in (("tpe", "PRUNED"), ("random", "COMPLETE")):
        asker = Asker(MLPClassifier(), [], Problem(suggest), method, 0)
        candidate = asker.candidate(1)
        candidate.rungs = [(3, 0.5)]
        asker.tell(candidate)
        (trial,) = asker.study.trials
        assert (trial.state.name, trial.value) == (state, 0.5)


def test_a_search_that_goes_on_asks_for_the_same():
    """Told of recorded candidates, a new sampler proposes what the old one would have."""
    whole = ask("tpe", n=12)
    suggest = make_suggest("auto", MLPClassifier(), 100)
    asker = Asker(MLPClassifier(), [], Problem(suggest), "tpe", 0)
    for number in range(11):
        record = {"number": number, "values": asker.candidate(number).values}
        record |= {"rungs": [[3, float(number)]], "is_final": number % 2 == 0}
        recorded = asker.recorded(record)
        assert recorded.params == whole[number]
        asker.tell(recorded)
    assert asker.candidate(11).params == whole[11]


def test_trials_of_others_are_learned_from():
    """A candidate that another process proposed is added to the study as it was."""
    suggest = make_suggest({"alpha": loguniform(1e-3, 1)}, MLPClassifier(), 100)
    asker = Asker(MLPClassifier(), [], Problem(suggest), "random", 0)
    asker.tell(Candidate(1, {"alpha": 0.1}, {"alpha": 0.1}, rungs=[(3, 0.5)], is_final=True))
    assert [t.state.name for t in asker.study.trials] == ["FAIL", "COMPLETE"]
    assert asker.study.best_params == {"alpha": 0.1}


def test_unknown_methods_are_refused():
    """A name that is none is refused with those that are."""
    with pytest.raises(ValueError, match=r"method='rand' is not known.*random"):
        sampler("rand")


def test_spaces_are_told_apart():
    """The description of a space changes with what is in it, and not with where it lies."""
    texts = [describe(each) for each in (DICT, {"alpha": [1]}, {"alpha": [2]}, "auto", ask)]
    assert len(set(texts)) == len(texts)
    assert describe(dict(DICT)) == describe(DICT)
