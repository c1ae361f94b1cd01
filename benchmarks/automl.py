"""What `MLPSearchCV` is worth: time to a score, times that are kept, searches that are killed.

    python benchmarks/automl.py time iris digits     # by how much max_time is exceeded
    python benchmarks/automl.py score cancer digits  # seconds to the scores of other searches
    python benchmarks/automl.py kill 30              # killed at random moments, and gone on
    python benchmarks/automl.py share                # two processes on one storage, against one

Run it on a machine that does nothing else. Each part prints a table in Markdown, with the processor
seconds besides those of the wall where both mean something. Regret on FCNet's tables is told by
`benchmarks/architectures.py`.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial

import numpy as np
from joblib.externals.loky import get_reusable_executor
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


PREFIX = "mlpclassifier__"
WIDTHS = [(w,) * d for d in (1, 2, 3) for w in (32, 64, 128, 256)]


def measure_score(names, n_trials=60):
    """Seconds of other searches, and of `MLPSearchCV` until it has the score of each of them.

    All search the same space. "Within 1 %" is of the log loss.
    """
    from scipy.stats import loguniform

    from sklmlp import MLPSearchCV

    space = {
        f"{PREFIX}hidden_layer_sizes": WIDTHS,
        f"{PREFIX}activation": ["relu", "tanh"],
        f"{PREFIX}learning_rate_init": loguniform(1e-4, 1e-2),
        f"{PREFIX}alpha": loguniform(1e-6, 1e-1),
    }

    options = {"cv": 5, "n_jobs": 2, "scoring": "neg_log_loss"}
    print(
        "| table | search | its seconds | processor seconds | its score | MLPSearchCV there after "
        "| within 1 % after | times | bar |\n|---|---|---|---|---|---|---|---|---|"
    )
    for name in names or ("digits", "cancer"):
        X, y = TABLES[name]()
        n_ours = 16 * (2 * n_trials // 16)
        search = MLPSearchCV(
            model(), space, n_trials=n_ours, refit=False, random_state=0, **options
        )
        course, processor = course_of(search, X, y)
        for label, bar, best_score in others(n_trials, space, options):
            score, seconds, spent = timed(partial(best_score, X, y))
            reached = [
                next((s for s, best in course if best >= each), np.inf)
                for each in (score, 1.01 * score)
            ]
            cells = ["never" if each == np.inf else f"{each:.1f} s" for each in reached]
            cells.append(" / ".join("-" if s == np.inf else f"{seconds / s:.1f}" for s in reached))
            print(
                f"| {name} | {label} | {seconds:.1f} | {spent:.1f} | {score:.4f} | "
                f"{' | '.join(cells)} | {bar} |",
                flush=True,
            )
        seconds, score = course[-1]
        print(f"| {name} | MLPSearchCV | {seconds:.1f} | {processor:.1f} | {score:.4f} | | | | |")


def others(n_trials, space, options):
    """Other searches: (name, bar, function of a table that returns the best score)."""
    import sklearn.neural_network
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingRandomSearchCV, RandomizedSearchCV

    theirs = make_pipeline(StandardScaler(), sklearn.neural_network.MLPClassifier(random_state=0))
    options = {"refit": False, "random_state": 0, **options}
    halving = HalvingRandomSearchCV(
        *(model(), space), n_candidates=n_trials, resource=f"{PREFIX}max_iter", min_resources=3,
        max_resources=200, **options,
    )  # fmt: skip
    at_random = partial(RandomizedSearchCV, n_iter=n_trials, **options)
    searches = [
        ("RandomizedSearchCV, sklearn's MLP", 10, at_random(theirs, space)),
        ("RandomizedSearchCV, ours", 3.5, at_random(model(), space)),
        ("HalvingRandomSearchCV, ours", 2.5, halving),
    ]
    for label, bar, search in searches:
        yield label, bar, lambda X, y, search=search: search.fit(X, y).best_score_
    yield "Optuna with Hyperband, ours", 2.5, partial(hyperband, n_trials, options)


def hyperband(n_trials, options, X, y):
    """Return the best score of Optuna's TPE and Hyperband, as one writes it by hand."""
    import optuna
    from sklearn.model_selection import cross_val_score

    def objective(trial):
        params = {
            "hidden_layer_sizes": WIDTHS[trial.suggest_int("sizes", 0, len(WIDTHS) - 1)],
            "activation": trial.suggest_categorical("activation", ["relu", "tanh"]),
            "learning_rate_init": trial.suggest_float("rate", 1e-4, 1e-2, log=True),
            "alpha": trial.suggest_float("alpha", 1e-6, 1e-1, log=True),
        }
        for n_epochs in (3, 9, 27, 81, 200):
            network, how = model(max_iter=n_epochs, **params), ("cv", "n_jobs", "scoring")
            scores = cross_val_score(network, X, y, **{name: options[name] for name in how})
            trial.report(scores.mean(), n_epochs)
            if trial.should_prune():
                raise optuna.TrialPruned
        return scores.mean()

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.HyperbandPruner(min_resource=3, max_resource=200),
    )
    study.optimize(objective, n_trials=n_trials)
    return study.best_value


def timed(act):
    """What it returns, seconds of the wall, and of the processors, children included."""
    before, began = os.times(), time.monotonic()
    result = act()
    seconds = time.monotonic() - began
    get_reusable_executor().shutdown()  # what joblib's processes took is known when they end
    return result, seconds, sum(os.times()[:4]) - sum(before[:4])


def course_of(search, X, y):
    """Fit a search batch by batch: (seconds, best score) after each, and processor seconds."""
    began, before, course, most = time.monotonic(), os.times(), [], search.n_trials
    with tempfile.TemporaryDirectory() as folder:
        search.set_params(storage=os.path.join(folder, "study"))
        for n_trials in range(16, most + 1, 16):
            search.set_params(n_trials=n_trials).fit(X, y)
            course.append((time.monotonic() - began, search.best_score_))
    return course, sum(os.times()[:4]) - sum(before[:4])


CHILD = """
import os, sys, time, warnings
sys.path.insert(0, {here!r})
warnings.simplefilter("ignore")
core = {core}
if core is not None and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, [sorted(os.sched_getaffinity(0))[core]])
from automl import searched
began = time.monotonic()
searched({table!r}, {n_trials}, storage={storage!r}, method={method!r})
print(time.monotonic() - began, time.process_time())
"""


def searched(table, n_trials, **params):
    """A short search of a table, fitted."""
    from sklmlp import MLPSearchCV

    search = MLPSearchCV(
        model(max_iter=30), n_trials=n_trials, cv=3, random_state=0, refit=False, **params
    )
    return search.fit(*TABLES[table]())


def child(table, n_trials, storage, core=None, method="tpe"):
    """A process that searches, and prints its seconds of the wall and of the processor."""
    here = os.path.dirname(os.path.abspath(__file__))
    program = CHILD.format(
        here=here, table=table, n_trials=n_trials, storage=storage, core=core, method=method
    )
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


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


def measure_sharing(table="digits", n_trials=128):
    """Trials a second of one process and of two on one storage, a core each; the bar is 1.7.

    They are random, and so equal work: what TPE proposes, and its size, depends on what it knows.
    """
    print("| processes | trials | seconds | processor seconds | trials a second | times |")
    print("|---|---|---|---|---|---|")
    rates = []
    for n in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            storage = os.path.join(folder, "study")
            processes = [child(table, n_trials, storage, core, "random") for core in range(n)]
            told = [process.communicate()[0].split() for process in processes]
        seconds = max(float(wall) for wall, _ in told)
        rates.append(n_trials / seconds)
        print(
            f"| {n} | {n_trials} | {seconds:.1f} | {sum(float(each) for _, each in told):.1f} | "
            f"{rates[-1]:.2f} | {rates[-1] / rates[0]:.2f} |",
            flush=True,
        )


FCNET = {
    "protein_structure": 3,
    "slice_localization": 10,
    "naval_propulsion": 35,
    "parkinsons_telemonitoring": 45,
}
"""Tables, and the median regret in percent that a search may have after 200 evaluations."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("part", choices=["time", "score", "kill", "share"])
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.part == "time":
        measure_time(options.arguments)
    elif options.part == "score":
        names = [each for each in options.arguments if not each.isdigit()]
        numbers = [int(each) for each in options.arguments if each.isdigit()]
        measure_score(names, *numbers)
    elif options.part == "kill":
        measure_kills(int((options.arguments or ["30"])[0]))
    else:
        measure_sharing(n_trials=int((options.arguments or ["128"])[0]))


if __name__ == "__main__":
    main()
