"""Models in a server: many threads, many calls, forked workers, and the first call."""

import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

import sklmlp
from tests.pairwise import pairwise
from tests.tables import make, make_table

ROOT = Path(sklmlp.__file__).parents[1]
ACTIVATIONS = ["relu", "prelu", "rrelu", "glu", "multihead_attention", "gelu", torch.sin]


@pytest.mark.parametrize(
    "kind, activation, n_estimators",
    pairwise(["binary", "multiclass", "multilabel", "regressions"], ACTIVATIONS, [1, 3]),
)
def test_eight_threads_get_what_one_gets(kind, activation, n_estimators, short_fits):
    """Predictions of eight threads at once are those of one, bit for bit, from the first on."""
    X, y = make_table(kind, n_samples=400)
    model = make(kind, activation=activation, n_estimators=n_estimators, max_iter=2).fit(X, y)
    methods = [m for m in ("predict", "predict_proba") if hasattr(model, m)]
    parts = [slice(0, 1), slice(7, 8), slice(0, 400), slice(50, 149)]
    calls = [(method, part) for method in methods for part in parts]
    expected = [getattr(model, method)(X[part]) for method, part in calls]
    model = pickle.loads(pickle.dumps(model)) if activation is not torch.sin else model
    together = threading.Barrier(8)

    def work(seed):
        order = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(calls)), 4))
        together.wait()
        return [(k, getattr(model, calls[k][0])(X[calls[k][1]])) for k in order]

    with ThreadPoolExecutor(8) as pool:
        for predictions in pool.map(work, range(8)):
            for k, prediction in predictions:
                assert_array_equal(prediction, expected[k])


def test_threads_may_fit_while_others_predict(short_fits):
    """A fit in one thread does not disturb the predictions of others."""
    X, y = make_table("multiclass")
    model = make("multiclass").fit(X, y)
    expected, done = model.predict_proba(X), threading.Event()

    def fits():
        for seed in range(10):
            make("multiclass", random_state=seed, matmul_precision="medium").fit(X, y)
        done.set()

    thread = threading.Thread(target=fits)
    thread.start()
    while not done.is_set():
        assert_array_equal(model.predict_proba(X), expected)
    thread.join()


MANY_CALLS = """
import os, warnings
from pathlib import Path
from sklmlp import MLPClassifier
from tests.tables import make_table

warnings.simplefilter("ignore")
X, y = make_table("multiclass")
model, row = MLPClassifier(max_iter=3).fit(X, y), X[:1]

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

for _ in range(1000):
    model.predict_proba(row)
before = resident_bytes()
for _ in range(5000):
    model.predict_proba(row), model.predict(row)
print(resident_bytes() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
def test_many_calls_take_no_memory():
    """10,000 calls grow a process, of its own since other tests leave holes, by less than 1 MB."""
    command = [sys.executable, "-c", MANY_CALLS]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(result.stdout) < 1e6


FORK = """
import os, signal, threading, time, warnings
import numpy as np, torch
from sklmlp import MLPClassifier

warnings.simplefilter("ignore")
torch.set_num_threads(2)
rng = np.random.RandomState(0)
X, y = rng.normal(size=(2000, 64)), rng.randint(5, size=2000)
model = MLPClassifier((256, 256), max_iter=2, batch_size=1000, random_state=0).fit(X, y)
expected = model.predict_proba(X)

def work():
    while True:
        MLPClassifier((4,), activation="prelu", max_iter=2, matmul_precision="medium").fit(
            X[:300], y[:300]
        )

for n_children in range(4):
    if n_children == 1:  # from here on another thread of the parent holds settings and locks
        threading.Thread(target=work, daemon=True).start()
        time.sleep(0.2)
    child = os.fork()
    if not child:
        signal.alarm(60)  # a child that hangs is killed
        code = 1
        try:
            close = np.allclose(model.predict_proba(X), expected, rtol=1e-9)
            again = MLPClassifier((256, 256), max_iter=2, batch_size=1000, random_state=0)
            same = np.allclose(again.fit(X, y).predict_proba(X), expected, rtol=1e-6)
            precision = torch.get_float32_matmul_precision()
            code = 0 if close and same and precision == "highest" else 2
        finally:
            os._exit(code)
    print(os.waitpid(child, 0)[1], flush=True)
assert torch.get_num_threads() == 2
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_works():
    """A child of an idle or a busy parent that had several threads predicts, fits, never hangs."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        capture_output=True,
        text=True,
        timeout=400,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["0"] * 4


def test_the_first_call_after_loading_is_cheap(short_fits):
    """It goes through few functions of Python; a module of torch would take ten times as many."""
    X, y = make_table("multiclass", n_features=50)
    model = make("multiclass", hidden_layer_sizes=(256, 128)).fit(X, y)
    model.predict(X)
    file, calls = pickle.dumps(model), []
    sys.setprofile(lambda frame, event, _: calls.append(frame) if event == "call" else None)
    try:
        pickle.loads(file).predict_proba(X[:1])
    finally:
        sys.setprofile(None)
    assert len(calls) < 2500
