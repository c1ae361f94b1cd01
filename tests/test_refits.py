"""Refits during predictions: every prediction is made by one version of the model."""

import copy
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from skorch.callbacks import Callback

from sklmlp import MLPClassifier, MLPRegressor, fitted_network
from sklmlp.inspection import HiddenFeatures
from sklmlp.nn import resolve
from tests.tables import make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = make_table("multiclass")
VALUES = make_table("regression")[1]
WIDER = np.array(["a", "b", "c", "d"])[np.arange(60) % 4]  # other labels, and one more
MODELS = {
    "log_loss": (MLPClassifier, {}, Y, {"loss": "focal", "activation": "tanh"}, WIDER),
    "hinge": (MLPClassifier, {"loss": "hinge"}, Y, {"activation": "tanh"}, WIDER),
    "values": (MLPRegressor, {}, VALUES, {"activation": "tanh"}, np.c_[VALUES, -VALUES]),
    "gaussian": (MLPRegressor, {"loss": "gaussian"}, VALUES, {"activation": "prelu"}, 9 * VALUES),
    "quantile": (
        *(MLPRegressor, {"loss": "quantile", "quantile": 0.2}, VALUES),
        *({"quantile": [0.1, 0.5, 0.9]}, VALUES),
    ),
}
"""Class, parameters and targets of a model, and what both become in its next version."""

CALLS = {
    "predict": ("log_loss", lambda model: model.predict(X)),
    "predict_proba": ("log_loss", lambda model: model.predict_proba(X)),
    "predict_log_proba": ("log_loss", lambda model: model.predict_log_proba(X)),
    "classes": ("hinge", lambda model: model.predict(X)),
    "decision_function": ("hinge", lambda model: model.decision_function(X)),
    "values": ("values", lambda model: model.predict(X)),
    "return_std": ("gaussian", lambda model: np.stack(model.predict(X, return_std=True))),
    "score": ("quantile", lambda model: np.array(model.score(X, VALUES))),
    "module_": ("gaussian", lambda model: np.array([str(type(m)) for m in model.module_])),
}

PREDICTIONS = [name for name in CALLS if name != "module_"]  # which one of several networks has


class TwoVersions:
    """A model, and its predictions in the version that it has and in the next one."""

    def __init__(self, name, n_estimators, n_next=None):
        made, params, y, changes, next_y = MODELS[name]
        shared = {"hidden_layer_sizes": (4,), "max_iter": 1, "random_state": 0}
        self.model = made(**{**shared, **params, "n_estimators": n_estimators}).fit(X, y)
        other = {**changes, "n_estimators": n_next or n_estimators}
        self.versions = [
            ({name: self.model.get_params()[name] for name in other}, y),
            (other, next_y),
        ]
        self.current = 0

    def refit(self):
        """Fit the other of the versions."""
        self.current = 1 - self.current
        params, y = self.versions[self.current]
        self.model.set_params(**params).fit(X, y)

    def expected(self, call):
        """What both versions predict, as two models that are fitted once."""
        return [
            call(clone(self.model).set_params(**params).fit(X, y)) for params, y in self.versions
        ]


def is_one_of(prediction, expected):
    # NumPy 1.24 warns where text is compared with numbers
    alike = (each for each in expected if each.dtype.kind == prediction.dtype.kind)
    return any(np.array_equal(prediction, each) for each in alike)


STEP = 17
"""Of so many lines of a fit one is stopped at, see `at_lines`."""


def at_lines(work, act, first=1, step=STEP):
    """Run `work`, and `act` before each `step`-th line of sklmlp that it comes to; count all lines.

    `first` is the first line to stop at, modulo `step`. A fit comes to thousands of lines, nearly
    the same ones in each case of a test. Cases that begin at different lines stop at more of them.
    """
    before, n_lines = sys.gettrace(), 0

    def trace(frame, event, arg):
        nonlocal n_lines
        if "sklmlp" not in frame.f_code.co_filename or frame.f_code.co_filename == __file__:
            return None
        if event == "line":
            n_lines += 1
            if (n_lines - first) % step == 0:
                act()
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return n_lines


@pytest.mark.parametrize("ensemble", [(1, 1), (2, 2), (1, 2), (2, 1)], ids=str)
@pytest.mark.parametrize("first, name", [*enumerate(PREDICTIONS)])
def test_a_prediction_in_the_middle_of_a_refit(first, name, ensemble):
    """At any line of a refit a prediction is that of the version before or of the one after."""
    of, call = CALLS[name]
    two = TwoVersions(of, *ensemble)
    expected, found = two.expected(call), []
    n_lines = at_lines(two.refit, lambda: found.append(call(two.model)), first + 8 * sum(ensemble))
    assert n_lines > 300
    assert len(found) >= n_lines // STEP
    assert all(is_one_of(each, expected) for each in found)
    assert_array_equal(call(two.model), expected[1])


@pytest.mark.parametrize(
    "first, name, n_estimators",
    [
        *((1 + 4 * k, name, 1) for k, name in enumerate(CALLS)),
        *((3 + 4 * k, name, 2) for k, name in enumerate(PREDICTIONS)),
    ],
)
def test_a_refit_in_the_middle_of_a_prediction(first, name, n_estimators):
    """At whatever line of a prediction a refit takes place, the prediction is of one version."""
    of, call = CALLS[name]
    two = TwoVersions(of, n_estimators)
    expected, found = two.expected(call), []
    n_lines = at_lines(lambda: call(two.model), lambda: None)
    assert n_lines > 5

    for line in {*range(first, n_lines + 1, 3 * STEP), n_lines}:
        at_lines(lambda: found.append(call(two.model)), two.refit, line, sys.maxsize)
    assert found
    assert all(is_one_of(each, expected) for each in found)
    assert_array_equal(call(two.model), expected[two.current])


class Fails(Callback):
    """Fails when everything has been learned."""

    def on_train_end(self, net, X=None, y=None, **kwargs):
        raise ZeroDivisionError


@pytest.mark.parametrize("n_estimators", [1, 3])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "warm_start"])
def test_a_prediction_in_the_middle_of_a_fit_that_fails(method, n_estimators):
    """A fit that fails changes nothing, and nobody sees that it was tried."""
    two = TwoVersions("log_loss", n_estimators)
    model, found = two.model, []
    expected, learned = model.predict_proba(X), vars(model).copy()

    def fails():
        model.set_params(callbacks=[Fails()], warm_start=method == "warm_start")
        with pytest.raises(ZeroDivisionError):
            (model.partial_fit if method == "partial_fit" else model.fit)(X, Y)

    at_lines(fails, lambda: found.append(model.predict_proba(X)))
    assert len(found) > 20
    for each in found:
        assert_array_equal(each, expected)
    learned |= model.get_params(deep=False)
    assert vars(model).keys() == learned.keys()
    assert all(vars(model)[name] is value for name, value in learned.items())


@pytest.mark.parametrize("method", ["partial_fit", "warm_start"])
def test_a_prediction_in_the_middle_of_more_training(method):
    """Training that goes on is swapped in by one step, too."""
    model = MLPClassifier((4,), max_iter=1, random_state=0, warm_start=True).fit(X, Y)
    other = copy.deepcopy(model)
    go_on = {"partial_fit": lambda m: m.partial_fit(X, Y), "warm_start": lambda m: m.fit(X, Y)}
    go_on[method](other)
    expected, found = [m.predict_proba(X) for m in (model, other)], []
    at_lines(lambda: go_on[method](model), lambda: found.append(model.predict_proba(X)))
    assert all(is_one_of(each, expected) for each in found)
    assert_array_equal(model.predict_proba(X), expected[1])


@pytest.mark.parametrize("method", ["fit", "predict"])
def test_hidden_features_in_the_middle_of_a_refit(method):
    """The output of a hidden layer is that of one version, whichever side runs first."""
    two = TwoVersions("log_loss", 1)
    hidden = HiddenFeatures(FrozenEstimator(two.model)).fit(X)
    expected, found = two.expected(lambda m: HiddenFeatures(FrozenEstimator(m)).fit(X)), []
    expected = [each.transform(X) for each in expected]
    if method == "fit":
        at_lines(two.refit, lambda: found.append(hidden.transform(X)))
    else:
        for line in range(1, 80, 3):
            at_lines(lambda: found.append(hidden.transform(X)), two.refit, line, sys.maxsize)
    assert all(is_one_of(each, expected) for each in found)


@pytest.mark.parametrize("n_estimators", [1, 3])
def test_threads_predict_while_another_refits(n_estimators):
    """What four threads get during ten refits is always of one version, and never an error."""
    two = TwoVersions("log_loss", n_estimators, 4 - n_estimators)
    calls = [CALLS[name][1] for name in ("predict", "predict_proba", "predict_log_proba")]
    expected, done = [two.expected(call) for call in calls], threading.Event()

    def predict(k):
        found = []
        while not done.is_set():
            found.append(calls[k % 3](two.model))
        return k % 3, found

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(predict, k) for k in range(4)]
            try:
                for _ in range(10):
                    two.refit()
            finally:
                done.set()
            for k, found in (future.result() for future in futures):
                assert found
                assert all(is_one_of(each, expected[k]) for each in found)
    finally:
        sys.setswitchinterval(interval)


def test_saving_in_the_middle_of_a_refit():
    """A model that is pickled at any line of its refit is one of the versions."""
    two = TwoVersions("log_loss", 1, 3)
    expected, files = two.expected(CALLS["predict_proba"][1]), []
    at_lines(two.refit, lambda: files.append(pickle.dumps(two.model)), 0)
    assert all(is_one_of(pickle.loads(file).predict_proba(X), expected) for file in set(files))


def test_arrays_that_are_assigned_or_written_into():
    """New arrays in `coefs_`, a new list, and writes into an array change predictions."""
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(X, VALUES)
    seen = [model.predict(X)]
    for change in (
        lambda: model.coefs_[0].__imul__(2),
        lambda: model.coefs_.__setitem__(0, model.coefs_[0] * 2),
        lambda: setattr(model, "coefs_", [coef * 2 for coef in model.coefs_]),
        lambda: model.intercepts_[1].fill(3),
    ):
        change()
        seen.append(model.predict(X))
    assert len({each.tobytes() for each in seen}) == 5
    z = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    expected = z @ model.coefs_[1] + model.intercepts_[1]
    np.testing.assert_allclose(seen[-1], expected.ravel(), rtol=1e-12)


def test_a_predictor_knows_its_spec():
    """The same arrays with another activation are predicted with again."""
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=1, random_state=0).fit(X, VALUES)
    model.predict(X)
    model._spec = replace(model._spec, activations=tuple(resolve("tanh", 1)))
    z = np.tanh(X @ model.coefs_[0] + model.intercepts_[0])
    expected = z @ model.coefs_[1] + model.intercepts_[1]
    np.testing.assert_allclose(model.predict(X), expected.ravel(), rtol=1e-12)


@pytest.mark.parametrize("device", ["cpu", "cuda:7", "mps:3"])
@pytest.mark.parametrize("n_estimators", [1, 3])
def test_a_predictor_is_built_once(n_estimators, device, monkeypatch):
    """A model is built once for its weights, also one that was fitted where there was a GPU."""
    model = MLPClassifier((4,), max_iter=1, n_estimators=n_estimators, random_state=0).fit(X, Y)
    for each in {*getattr(model, "estimators_", ()), model}:
        each._device = device
    model, built = pickle.loads(pickle.dumps(model)), []

    def counting(make, *args):
        built.append(1)
        return make(*args)

    for name in ("build_module", "make_model"):
        make = getattr(fitted_network, name)
        monkeypatch.setattr(fitted_network, name, partial(counting, make))
    expected = model.predict_proba(X)
    for _ in range(5):
        assert_array_equal(model.predict_proba(X), expected)
        model.predict(X)
    assert len(built) == n_estimators
    networks = getattr(model, "estimators_", [model])
    networks[0].coefs_[0] *= 2  # the machine's own memory, so that writes are seen
    assert not np.array_equal(model.predict_proba(X), expected)
    assert len(built) == n_estimators


@pytest.mark.cuda
def test_weights_on_a_gpu_are_copies():
    """On a GPU a predictor is built once, and new arrays change what it predicts."""
    model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=1, random_state=0, device="cuda").fit(
        X, VALUES
    )
    before = model.predict(X)
    model.coefs_[0] *= 2
    assert_array_equal(model.predict(X), before)
    model.coefs_ = [coef.copy() for coef in model.coefs_]
    assert not np.array_equal(model.predict(X), before)
