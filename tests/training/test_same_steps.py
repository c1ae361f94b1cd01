"""The compiled step and the step by hand against autograd, and ensembles against networks alone."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone

import sklmlp.training.stacking
from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.activations import ACTIVATIONS
from sklmlp.native import is_available
from sklmlp.training import stacking
from sklmlp.training.steps import AutogradStep, CompiledStep, DenseStep
from tests.pairwise import pairwise

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.RandomState(0)
X = rng.randn(90, 6)
TARGETS = {
    "binary": (MLPClassifier, {}, X[:, 0] > 0),
    "multiclass": (MLPClassifier, {}, np.digitize(X[:, 1], [-0.5, 0.5])),
    "multilabel": (MLPClassifier, {}, (X[:, :3] > 0).astype(int)),
    "squared_error": (MLPRegressor, {}, X[:, :2] ** 2),
    "poisson": (
        MLPRegressor,
        {"loss": "poisson", "learning_rate_init": 1e-5},
        np.exp(X[:, 0] / 4),
    ),
    "smoothed": (MLPClassifier, {"label_smoothing": 0.1}, np.digitize(X[:, 1], [-0.5, 0.5])),
    "focal": (MLPClassifier, {"loss": "focal"}, np.digitize(X[:, 1], [-0.5, 0.5])),
    "binary focal": (MLPClassifier, {"loss": "focal"}, X[:, 0] > 0),
    "hinge": (MLPClassifier, {"loss": "hinge"}, np.digitize(X[:, 1], [-0.5, 0.5])),
    "binary hinge": (MLPClassifier, {"loss": "hinge"}, X[:, 0] > 0),
    "absolute_error": (MLPRegressor, {"loss": "absolute_error"}, X[:, :2] ** 2),
    "huber": (MLPRegressor, {"loss": "huber", "huber_delta": 0.5}, X[:, :2] ** 2),
    "gamma": (MLPRegressor, {"loss": "gamma", "learning_rate_init": 1e-5}, np.exp(X[:, 0] / 4)),
    "quantile": (MLPRegressor, {"loss": "quantile", "quantile": 0.8}, X[:, :2] ** 2),
    "quantiles": (MLPRegressor, {"loss": "quantile", "quantile": [0.9, 0.1, 0.5]}, X[:, 0]),
    "gaussian": (MLPRegressor, {"loss": "gaussian"}, X[:, :2] ** 2),
}
PLAIN = ("binary", "multiclass", "multilabel", "squared_error", "poisson")
OTHERS = [target for target in TARGETS if target not in PLAIN]
SOLVERS = {
    "adam": {"solver": "adam"},
    "sgd": {"solver": "sgd"},
    "sgd without momentum": {"solver": "sgd", "momentum": 0.0},
    "sgd with plain momentum": {"solver": "sgd", "nesterovs_momentum": False},
}
BY_HAND = [n for n, a in ACTIVATIONS.items() if n not in ("prelu", "rrelu", "multihead_attention")]


def ten_steps(estimator, y, sample_weight=None):
    """Five epochs of two batches each."""
    estimator.set_params(max_iter=5, batch_size=50, random_state=0, n_iter_no_change=100)
    return estimator.fit(X, y, sample_weight)


def assert_same_networks(one, other, rtol):
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
            assert_allclose(a, b, rtol=rtol, atol=rtol)
    assert_allclose(one.loss_curve_, other.loss_curve_, rtol=rtol)


STEPS = {"compiled": CompiledStep, "by hand": DenseStep, "autograd": AutogradStep}
FAST = ["compiled", "by hand"]


@pytest.fixture
def choose(monkeypatch):
    """Make the chooser pick the step of this name; autograd where it cannot run."""

    def choose(step):
        steps = [STEPS[step], AutogradStep]
        monkeypatch.setattr(sklmlp.training.stacking, "STEPS", steps)

    return choose


@pytest.mark.parametrize(
    ("activation", "target", "solver"),
    [*pairwise(BY_HAND, PLAIN, SOLVERS), *pairwise(["tanh", "relu"], OTHERS, ["adam", "sgd"])],
)
def test_fast_steps_end_where_autograd_ends(activation, target, solver, choose):
    """Ten steps, compiled or by hand, and ten by autograd give the same weights and losses."""
    kind, options, y = TARGETS[target]
    model = kind(hidden_layer_sizes=(8, 4), activation=activation, alpha=0.1)
    model.set_params(**options, **SOLVERS[solver])
    networks = {}
    for step in STEPS:
        choose(step)
        networks[step] = ten_steps(clone(model), y)
    for step in FAST:
        assert_same_networks(networks[step], networks["autograd"], 1e-10)


needs_the_engine = pytest.mark.skipif(not is_available(), reason="the compiled engine is not built")
ADAMW = {"betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.3}


@needs_the_engine
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"solver_params": ADAMW},
        {"solver_params": ADAMW, "learning_rate": "cosine", "warmup_fraction": 0.3},
        {"solver_params": ADAMW, "max_grad_norm": 0.05},
        {"solver_params": ADAMW, "normalization": "batch", "residual": True},
        {"solver_params": ADAMW, "hidden_layer_sizes": ()},
    ],
    ids=str,
)
@pytest.mark.parametrize("target", ["multiclass", "squared_error"])
def test_compiled_adamw_takes_the_steps_of_torchs(target, options, weighted, monkeypatch):
    """Ten compiled steps of AdamW are those of torch.optim.AdamW, and so are its moments then."""
    kind, _, y = TARGETS[target]
    weight = np.random.RandomState(1).randint(0, 3, len(X)) * 1.0 if weighted else None
    networks = []
    for step in (CompiledStep, AutogradStep):
        monkeypatch.setattr(sklmlp.training.stacking, "STEPS", [step])
        model = kind(hidden_layer_sizes=(8, 40), activation="tanh", alpha=0.1, solver="adamw")
        networks.append(ten_steps(model.set_params(**options), y, weight))
    assert_same_networks(*networks, 1e-10)
    compiled, plain = (model._optimizer for model in networks)
    assert compiled["t"] == plain["t"] == 10 and compiled["options"] == plain["options"]
    assert list(compiled["moments"]) == list(plain["moments"])
    for name, moment in plain["moments"].items():
        assert compiled["moments"][name].dtype == moment.dtype
        assert_allclose(compiled["moments"][name], moment, rtol=1e-10, atol=1e-10)


@needs_the_engine
@pytest.mark.parametrize("first", [CompiledStep, AutogradStep])
def test_adamw_goes_on_in_either_step(first, monkeypatch):
    """Calls of partial_fit that take turns between the engine and torch are calls of one."""
    y = TARGETS["multiclass"][2]
    steps = {"turns": [first, AutogradStep, CompiledStep, first], "alone": [AutogradStep] * 4}
    networks = {}
    for name, course in steps.items():
        model = MLPClassifier((8,), solver="adamw", solver_params=ADAMW, random_state=0)
        for step in course:
            monkeypatch.setattr(sklmlp.training.stacking, "STEPS", [step])
            model.partial_fit(X, y, classes=[0, 1, 2])
        networks[name] = model
    assert_same_networks(networks["turns"], networks["alone"], 1e-10)


@needs_the_engine
@pytest.mark.parametrize(
    "options", [{}, {"normalization": "batch", "residual": True}, {"scoring": "loss"}], ids=str
)
def test_validation_scores_are_those_of_autograd(options, monkeypatch):
    """Losses and scores of held-out and of training rows are autograd's after every epoch."""
    y, histories = TARGETS["multiclass"][2], []
    for step in (CompiledStep, AutogradStep):
        monkeypatch.setattr(sklmlp.training.stacking, "STEPS", [step])
        model = MLPClassifier((8, 8), "tanh", early_stopping=True, validation_fraction=0.4)
        histories.append(ten_steps(model.set_params(**options), y).history_)
    for name in ("train_loss", "train_score", "valid_loss", "valid_score"):
        values = [[epoch[name] for epoch in history] for history in histories]
        assert len(values[0]) == 5 and np.isfinite(values).all()
        assert_allclose(*values, rtol=1e-10)


def sine(z):
    """An activation of one's own."""
    return z.sin()


@pytest.mark.parametrize(
    "activation", [sine, ("leaky_relu", {"negative_slope": 0.3})], ids=["own", "leaky_relu"]
)
def test_sample_weights_reach_every_step(activation, choose):
    """With weights, some of them zero, all steps end with the same weights."""
    weight = rng.randint(0, 3, len(X)).astype(float)
    networks = {}
    for step in STEPS:
        choose(step)
        model = MLPClassifier((8,), activation=activation)
        networks[step] = ten_steps(model, TARGETS["multiclass"][2], weight)
    for step in FAST:
        assert_same_networks(networks[step], networks["autograd"], 1e-10)


@pytest.mark.parametrize("activation", ["prelu", "rrelu", "multihead_attention"])
def test_what_has_parameters_or_chance_goes_to_autograd(activation):
    """Activations that learn or draw are not stepped by hand."""
    y = TARGETS["binary"][2]
    model = MLPClassifier((8,), activation=activation, max_iter=1)
    model.fit(X, y)
    assert not DenseStep.can_run(SimpleNamespace(network=SimpleNamespace(spec=model._spec)))


ENSEMBLES = {
    "adam": {},
    "sgd, adaptive": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1},
    "sgd, invscaling": {"solver": "sgd", "learning_rate": "invscaling"},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2, "tol": 1e-2},
    "in place": {"shuffle": False},
    "by autograd": {"activation": "prelu"},
    "gated": {"activation": "glu"},
    "own callable": {"activation": sine},
    "lbfgs": {"solver": "lbfgs"},
    "no hidden layer": {"hidden_layer_sizes": ()},
}


HOW = [*itertools.product(FAST, [False, True])]


@pytest.mark.parametrize(
    ("target", "options", "how"),
    [
        *pairwise(["binary", "multiclass", "squared_error"], ENSEMBLES, HOW),
        *pairwise(OTHERS, ["adam", "early stopping", "in place"], HOW),
    ],
)
def test_each_network_of_an_ensemble_ends_as_if_alone(target, options, how, choose):
    """A network of a stack has the weights, curves and epochs of one fitted by itself."""
    step, weighted = how
    choose(step)
    kind, more, y = TARGETS[target]
    weight = rng.rand(len(X)) + 0.1 if weighted else None
    model = kind(hidden_layer_sizes=(8,), max_iter=15, batch_size=40, random_state=0)
    model.set_params(**more, **ENSEMBLES[options])
    ensemble = clone(model).set_params(n_estimators=3).fit(X, y, weight)
    for member in ensemble.estimators_:
        alone = clone(model).set_params(random_state=member.random_state).fit(X, y, weight)
        assert member.n_iter_ == alone.n_iter_
        for a, b in zip(member.coefs_, alone.coefs_, strict=True):
            assert_allclose(a, b, rtol=1e-6, atol=1e-9)


def test_networks_that_stop_leave_the_stack(choose):
    """Networks of one ensemble may train for different numbers of epochs."""
    choose("by hand")
    y = TARGETS["multiclass"][2]
    model = MLPClassifier((8,), n_estimators=5, early_stopping=True, n_iter_no_change=2, tol=0.02)
    model.set_params(random_state=0, learning_rate_init=0.01).fit(X, y)
    assert len({member.n_iter_ for member in model.estimators_}) > 1


@pytest.fixture
def threads(monkeypatch):
    """Has two threads take ensembles, however small, in stacks of two networks."""
    cut = lambda fits: ([fits[k : k + 2] for k in range(0, len(fits), 2)], 2)  # noqa: E731
    monkeypatch.setattr(stacking, "_partition", cut)


@pytest.mark.parametrize("step", FAST)
def test_threads_change_nothing(threads, step, choose):
    """Networks that are dealt to threads end as if trained alone."""
    choose(step)
    model = MLPClassifier((8,), n_estimators=5, max_iter=5, random_state=0)
    for member in model.fit(X, TARGETS["multiclass"][2]).estimators_:
        alone = clone(model).set_params(n_estimators=1, random_state=member.random_state)
        assert_same_networks(member, alone.fit(X, TARGETS["multiclass"][2]), 1e-9)


class Interrupted:
    """tanh; Ctrl-C comes, or an error, at the given call."""

    def __init__(self, error, at=40):
        self.error, self.calls, self.at = error, 0, at

    def __call__(self, z):
        self.calls += bool(z.any())
        if self.calls == self.at:
            raise self.error
        return z.tanh()


def test_ctrl_c_ends_all_networks_of_an_ensemble(threads):
    """Networks that are training stop after their epoch, and those that wait do not begin."""
    model = MLPClassifier((8,), Interrupted(KeyboardInterrupt()), n_estimators=5, max_iter=10**6)
    model.set_params(tol=0, n_iter_no_change=10**6)
    with pytest.warns(UserWarning, match="interrupted by user") as caught:
        model.fit(X, TARGETS["binary"][2])
    assert len([w for w in caught if "interrupted" in str(w.message)]) == 1
    for member in model.estimators_:  # predicting may be the call that a stack did not come to
        assert all(np.isfinite(coef).all() for coef in member.coefs_)


def test_an_error_ends_all_networks_of_an_ensemble(threads):
    """What goes wrong on a thread is raised where `fit` was called."""
    model = MLPClassifier((8,), Interrupted(ZeroDivisionError("one")), n_estimators=5)
    with pytest.raises(ZeroDivisionError, match="one"):
        model.set_params(max_iter=10**6, tol=0, n_iter_no_change=10**6).fit(X, TARGETS["binary"][2])
    assert not hasattr(model, "estimators_")


def test_the_cut_follows_the_work_and_the_cache(monkeypatch, choose, two_threads):
    """Small stacks stay whole on one thread; large ones are dealt, no larger than the cache."""
    choose("by hand")
    cuts = []
    monkeypatch.setattr(
        stacking,
        "_partition",
        lambda runs, cut=stacking._partition: cuts.append(cut(runs)) or cuts[-1],
    )
    for hidden in [(8,), (8000,)]:
        MLPClassifier(hidden, n_estimators=4, max_iter=1, batch_size=90).fit(
            X, TARGETS["binary"][2]
        )
    sizes = [([len(stack) for stack in stacks], threads) for stacks, threads in cuts]
    assert sizes == [([4], 1), ([1, 1, 1, 1], 2)]


@pytest.mark.parametrize("step", FAST)
@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
def test_an_ensemble_goes_on_training(how, step, choose):
    """partial_fit and warm_start continue each network as they continue a single one."""
    choose(step)
    y = TARGETS["binary"][2]
    model = MLPClassifier((8,), max_iter=3, random_state=0, warm_start=how == "warm_start")
    ensemble = clone(model).set_params(n_estimators=3)
    for _ in range(3):
        ensemble.partial_fit(X, y, classes=[0, 1]) if how == "partial_fit" else ensemble.fit(X, y)
    for member in ensemble.estimators_:
        alone = clone(model).set_params(random_state=member.random_state)
        for _ in range(3):
            alone.partial_fit(X, y, classes=[0, 1]) if how == "partial_fit" else alone.fit(X, y)
        assert_same_networks(member, alone, 1e-9)


@pytest.mark.parametrize("target", TARGETS)
def test_an_ensemble_answers_with_the_mean_of_its_networks(target):
    """Probabilities, or predictions, are averaged; labels follow from the mean probability."""
    kind, more, y = TARGETS[target]
    model = kind(hidden_layer_sizes=(8,), n_estimators=3, max_iter=3, random_state=0, **more)
    model.fit(X, y)
    method = "predict" if kind is MLPRegressor else "predict_proba"
    if "hinge" in target:
        method = "decision_function"
    predictions = [getattr(member, method)(X) for member in model.estimators_]
    assert_allclose(getattr(model, method)(X), np.mean(predictions, axis=0), rtol=1e-12)
    if target in ("binary", "multiclass"):
        best = model.predict_proba(X).argmax(axis=1)
        assert (model.predict(X) == model.classes_[best]).all()
    if target == "hinge":
        best = model.decision_function(X).argmax(axis=1)
        assert (model.predict(X) == model.classes_[best]).all()
    if target == "binary hinge":
        assert (model.predict(X) == (model.decision_function(X) > 0)).all()


def test_an_ensemble_points_to_its_networks():
    """What belongs to one network is an error that says where it is."""
    model = MLPClassifier((8,), n_estimators=2, max_iter=2).fit(X, TARGETS["binary"][2])
    for name in ("coefs_", "loss_curve_", "module_", "history_"):
        with pytest.raises(AttributeError, match=rf"estimators_\[0\].{name}"):
            getattr(model, name)


def test_another_number_of_networks_cannot_go_on():
    """A warm start with another n_estimators says both numbers."""
    model = MLPClassifier((8,), n_estimators=2, max_iter=2, warm_start=True)
    model.fit(X, TARGETS["binary"][2])
    with pytest.raises(ValueError, match=r"began with n_estimators=2, got n_estimators=3"):
        model.set_params(n_estimators=3).fit(X, TARGETS["binary"][2])
