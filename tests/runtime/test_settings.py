"""Torch's settings while sklmlp computes, and who waits for whom."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from skorch.callbacks import Callback

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.runtime import settings as runtime
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PRECISIONS = ["highest", "high", "medium"]


def found():
    return torch.get_float32_matmul_precision(), torch.get_num_threads()


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@contextmanager
def running(*works):
    """Run functions in threads of their own, which have ended after the block."""
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


class Held:
    """Work that lasts until it is let go."""

    def __init__(self):
        self.begun, self.goes_on = threading.Event(), threading.Event()

    def __call__(self):
        self.begun.set()
        assert self.goes_on.wait(60)

    @contextmanager
    def under_way(self, compute):
        """Hold this work, which `compute` runs in another thread, during the block."""
        with running(partial(compute, self)):
            assert self.begun.wait(60)
            try:
                yield
            finally:
                self.goes_on.set()


@pytest.mark.parametrize("own", PRECISIONS)
@pytest.mark.parametrize("one_thread", [False, True])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_settings_hold_inside_and_are_put_back(precision, one_thread, own):
    """In a work they are what was asked for; after it, error or not, what they were."""
    seen = []

    def work():
        seen.append(found())
        raise ZeroDivisionError

    torch.set_float32_matmul_precision(own)
    try:
        with pytest.raises(ZeroDivisionError):
            runtime.compute(work, precision, one_thread)
        assert found() == (own, 2)
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen == [(precision, 1 if one_thread else 2)]


def test_a_work_inside_another_keeps_its_settings():
    """What a callback predicts in the middle of a fit computes as the fit does."""
    seen = []

    def outer():
        runtime.compute(lambda: seen.append(found()), "highest")
        seen.append(found())

    runtime.compute(outer, "medium", True)
    assert seen == [("medium", 1), ("medium", 1)]


@pytest.mark.parametrize("one_thread", [False, True])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_works_of_one_precision_run_side_by_side(precision, one_thread):
    """Nobody waits for a work of the same precision, whatever threads either wants."""
    held, seen = Held(), []
    with held.under_way(partial(runtime.compute, precision=precision, one_thread=not one_thread)):
        runtime.compute(lambda: seen.append(found()), precision, one_thread)
    assert seen == [(precision, 1 if one_thread else 2)]
    assert found() == ("highest", 2)


def test_works_of_two_precisions_take_turns():
    """A work waits while others compute with another precision, and then computes with its own."""
    held, seen = Held(), []
    with (
        held.under_way(partial(runtime.compute, precision="highest")),
        running(lambda: runtime.compute(lambda: seen.append(found()[0]), "medium")),
    ):
        while not runtime.others_wait():
            pass
        assert not seen
        held.goes_on.set()
    assert seen == ["medium"]
    assert found() == ("highest", 2)


def test_others_get_their_turn():
    """A work that gives way when others wait lets them in first."""
    begun, order = threading.Event(), []

    def part():
        order.append("long")
        begun.set()
        while len(order) == 1 and not runtime.others_wait():
            pass

    def long():
        for _ in range(2):
            runtime.compute(part, "highest")

    def short():
        begun.wait(60)
        runtime.compute(lambda: order.append(found()[0]), "medium")

    with running(long, short):
        pass
    assert order == ["long", "medium", "long"]


def test_a_new_thread_has_all_its_threads():
    """A thread whose first work begins during a small one keeps the process's count, not one."""
    held, seen = Held(), []

    def look():
        runtime.compute(lambda: seen.append(found()[1]), "highest")
        seen.append(found()[1])

    small = partial(runtime.compute, precision="highest", one_thread=True)
    with held.under_way(small), running(look):
        pass
    assert seen == [2, 2]


class Hold(Callback):
    """Holds a fit in the middle of its first batch."""

    def __init__(self, held):
        self.held = held

    def on_batch_end(self, net, **kwargs):
        self.held()


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
@pytest.mark.parametrize("n_rows", [1, 5000])
@pytest.mark.parametrize("width", [4, 2000])
def test_a_prediction_does_not_wait_for_a_fit(width, n_rows, kind):
    """While a fit, small or large, is in the middle of a batch, others predict."""
    X, y = make_table(kind, n_samples=5000)
    model = make(kind, max_iter=1).fit(X[:100], y[:100])
    expected, held = model.predict(X[:n_rows]), Held()

    def fit(held):
        params = {"hidden_layer_sizes": (width,), "max_iter": 1, "batch_size": 500}
        make(kind, **params, callbacks=[Hold(held)]).fit(X, y)

    with held.under_way(fit):
        assert_array_equal(model.predict(X[:n_rows]), expected)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_fit_computes_with_its_precision_beside_others(solver, precision):
    """Whatever fits and predictions run meanwhile, a fit and its predictions see their own."""
    X, y = make_table("regression")
    X, done, seen = X.astype(np.float32), threading.Event(), {p: set() for p in PRECISIONS}

    def fit(precision):
        def activation(z):
            if (
                getattr(runtime._mine, "place", None) and runtime._mine.place.lock.locked()
            ):  # it is also tried and diagnosed outside
                seen[precision].add(torch.get_float32_matmul_precision())
            return torch.tanh(z)

        model = make("regression", activation=activation, matmul_precision=precision)
        model.set_params(solver=solver, max_iter=20).fit(X, y)
        model.predict(X)

    def others():
        while not done.is_set():
            for each in PRECISIONS:
                fit(each)

    with running(others):
        for _ in range(3):
            fit(precision)
        done.set()
    assert all(values <= {each} for each, values in seen.items())
    assert seen[precision] == {precision}
    assert found() == ("highest", 2)


def interrupted_at(k, work):
    """Run a work that Ctrl-C ends at the k-th place where Python looks for it, in `runtime`.

    CPython looks when a function of Python begins and when one of C has returned.
    """
    n_places = 0

    def profile(frame, event, arg):
        nonlocal n_places
        if frame.f_code.co_filename == runtime.__file__ and event in ("call", "c_return"):
            n_places += 1
            if n_places == k:
                raise KeyboardInterrupt

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    except KeyboardInterrupt:
        sys.setprofile(before)
        return True
    finally:
        sys.setprofile(before)
    return False


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("is_first", [True, False])
def test_an_interrupt_leaves_nothing_occupied(is_first, precision, monkeypatch):
    """Wherever Ctrl-C ends a work, others compute after it, and settings are put back."""
    k, was_interrupted = 0, True
    while was_interrupted:
        k += 1
        if is_first:
            monkeypatch.setattr(runtime, "_mine", threading.local())
        was_interrupted = interrupted_at(k, lambda: runtime.compute(int, precision, True))
        assert not torch.is_inference_mode_enabled()
        for each in PRECISIONS:
            with ThreadPoolExecutor(1) as pool:
                computed = pool.submit(runtime.compute, torch.get_float32_matmul_precision, each)
                assert computed.result(60) == each
        assert runtime.compute(found, precision) == (precision, 2)
        assert found() == ("highest", 2)
    assert k > 8


INTERRUPTS = """
import signal, threading, warnings
import numpy as np, torch
from sklmlp import MLPClassifier

warnings.simplefilter("ignore")
rng = np.random.RandomState(0)
X, y = rng.normal(size=(300, 5)).astype(np.float32), rng.randint(3, size=300)
models = [
    MLPClassifier((8,), max_iter=1, matmul_precision=p).fit(X, y) for p in ("highest", "medium")
]

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
n_interrupts, kept = 0, []
while n_interrupts < 400:
    try:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 4e-4))
        while True:
            models[n_interrupts % 2].predict_proba(X[:1])
    except KeyboardInterrupt as error:
        n_interrupts += 1
        kept = [error, *kept[:9]]  # as a notebook keeps the last one
    signal.setitimer(signal.ITIMER_REAL, 0)
    if n_interrupts % 50 == 0:
        for model in models:
            thread = threading.Thread(target=model.fit, args=(X, y), daemon=True)
            thread.start()
            thread.join(60)
            assert not thread.is_alive(), n_interrupts
models[0].predict(X), models[1].predict(X)
print(torch.get_float32_matmul_precision(), torch.get_num_threads())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs an alarm")
def test_real_interrupts_leave_nothing_occupied():
    """After any of 400 interrupts of predictions other threads fit, with either precision."""
    result = subprocess.run(
        [sys.executable, "-c", INTERRUPTS],
        capture_output=True,
        text=True,
        timeout=500,
        cwd=Path(runtime.__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
    )
    assert result.stdout.split() == ["highest", "2"], result.stderr


def test_an_ensemble_fits_on_threads_beside_predictions():
    """Stacks that are dealt to threads, and predictions between, do not wait for each other."""
    X, y = make_table("multiclass", n_samples=400)
    params = {"hidden_layer_sizes": (600,), "n_estimators": 4, "max_iter": 2, "random_state": 0}
    model, other = MLPClassifier(**params), MLPRegressor(max_iter=1, random_state=0)
    other.fit(X, X[:, 0])
    expected, done = other.predict(X), threading.Event()

    def predict():
        while not done.is_set():
            assert_array_equal(other.predict(X), expected)

    with running(predict, predict):
        model.fit(X, y)
        done.set()
    assert found() == ("highest", 2)
