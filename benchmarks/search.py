"""Grid searches: the "sklmlp" backend, our own fits and scikit-learn's, in turns in one run.

python benchmarks/search.py                  # all searches, some minutes on an idle machine
python benchmarks/search.py iris --repeats 5
python benchmarks/search.py digits --device cuda     # the backend against our own fits in sequence
"""

import argparse
import time
import warnings
from functools import partial

import joblib
import numpy as np
import sklearn.neural_network
from peers import mlp, take_turns
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklmlp
from sklmlp.search.coordinator import FitCoordinator

SEARCHES = {  # data, hidden widths, rates times penalties, epochs, how many times as fast
    "iris": (load_iris, (50,), (5, 10), 200, 5),
    "breast cancer": (load_breast_cancer, (100,), (5, 5), 100, 4),
    "digits": (load_digits, (128, 64), (5, 2), 50, 3),
}


def make_search(library, name, dtype=np.float32, n_candidates=None, **params):
    """A grid search with five folds, its table and its targets."""
    load, hidden, (n_rates, n_penalties), epochs, _ = SEARCHES[name]
    if n_candidates is not None:
        n_rates, n_penalties = n_candidates // 10, 10
    X, y = load(return_X_y=True)
    X = X.astype(dtype)
    network = mlp(library, hidden, len(np.unique(y)), epochs, **params)
    pipeline = make_pipeline(StandardScaler(), network)
    step = pipeline.steps[-1][0]
    grid = {
        f"{step}__learning_rate_init": np.logspace(-4, -2, n_rates).tolist(),
        f"{step}__alpha": np.logspace(-6, -1, n_penalties).tolist(),
    }
    return GridSearchCV(pipeline, grid, cv=5, refit=False), X, y


def run(search, X, y, found, name, **config):
    with joblib.parallel_config(**config):
        found[name] = search.fit(X, y).cv_results_["mean_test_score"]


class Clock:
    """The seconds that leaders spend in training, of all searches since the last look."""

    def __init__(self):
        self.seconds, lead = 0.0, FitCoordinator._train_group

        def timed(coordinator, leader):
            start = time.perf_counter()
            lead(coordinator, leader)
            self.seconds += time.perf_counter() - start

        FitCoordinator._train_group = timed

    def read(self):
        seconds, self.seconds = self.seconds, 0.0
        return seconds


def compare(name, dtype, repeats, clock, device):
    """Seconds of a search in each way, and how often ours is as fast."""
    found, runs, on_a_card = {}, {}, device != "cpu"
    ours = make_search(sklmlp, name, dtype, 100 if on_a_card else None, device=device)
    theirs = make_search(sklearn.neural_network, name, dtype)
    ways = {
        "sklmlp": (ours, {"backend": "sklmlp"}),
        "scikit-learn, loky": (theirs, {"backend": "loky", "n_jobs": 2}),
        "sklmlp, loky": (ours, {"backend": "loky", "n_jobs": 2}),
        "sklmlp, sequential": (ours, {"backend": "loky", "n_jobs": 1}),
    }
    if on_a_card:
        ways = {way: ways[way] for way in ("sklmlp", "sklmlp, sequential")}
    for way, (search, config) in ways.items():
        runs[way] = partial(run, *search, found, way, **config)
    seconds = take_turns(runs, repeats)
    training = clock.read() / (repeats + 1)
    apart = np.abs(found["sklmlp"] - found["sklmlp, sequential"]).max()
    best = min(seconds["sklmlp"])
    for way, each in seconds.items():
        times = "" if way == "sklmlp" else f"{min(each) / best:.2f}"
        print(f"| {name} | {way} | {min(each):.2f} to {max(each):.2f} | {times} |", flush=True)
    print(f"| {name} | of which training | {training:.2f} | bar {SEARCHES[name][-1]} |")
    print(f"| {name} | mean scores apart from sequential | {apart:.1e} | |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"some of {sorted(SEARCHES)}; all by default")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtype", default="float32", help="of the table, for both libraries")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    clock = Clock()
    print("| search | way | seconds | times as long as in the backend |\n|---|---|---|---|")
    for name in arguments.names or SEARCHES:
        compare(name, arguments.dtype, arguments.repeats, clock, arguments.device)


if __name__ == "__main__":
    main()
