"""A ground truth of our own: every network of a small space, trained on four real tables.

`benchmarks/architectures.py make` trains them, and its part `regret` searches them.

FOLDER is that of `benchmarks/accuracy.py`. The space has one to three layers of five widths and
three activations, 465 networks; each is trained three times on 3,000 rows and scored on 1,000
others, by minus the log loss, or by minus the RMSE over the target's standard deviation.
`ground_truth.csv.gz` beside this file has what came of it.

A trial of a search is told the score of one of the three trainings. Its regret is what the network
that it chose is worse than the best one, by their mean scores, in units of what the median network
is worse: 0 is the best network, 1 the median one. The cost of a search is counted in trainings:
its trials and, for methods that share weights, the processor seconds of their ranking over the mean
of those of a training.
"""

import itertools
import statistics
import time
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from accuracy import load_table, split_rows
from joblib import Parallel, delayed
from scipy.stats import kendalltau
from sklearn.metrics import log_loss

from sklmlp import MLPClassifier, MLPRegressor, TableEncoder
from sklmlp.search.samplers import METHODS

FILE = Path(__file__).with_name("ground_truth.csv.gz")
TABLES = ("adult", "letter", "california_housing", "elevators")
WIDTHS, ACTIVATIONS, SEEDS = (8, 16, 32, 64, 128), ("relu", "tanh", "logistic"), (0, 1, 2)
N_TRAINING, N_VALIDATION = 3000, 1000
BUDGETS = (25, 50, 100, 200)
"""Trainings that a search may cost; shared weights are also looked at with a fifth of the last."""

LEARNING = [
    m.name for m in METHODS.values() if m.make and m.name not in ("grid", "gp", "cmaes", "nsga2")
]
"""Methods that are compared. A Gaussian process takes minutes for 200 trials; NSGA-II is told the
size too; CMA-ES is for numbers."""


def shapes():
    return [s for d in (1, 2, 3) for s in itertools.product(WIDTHS, repeat=d)]


def suggest(trial):
    depth = trial.suggest_int("depth", 1, 3)
    widths = [trial.suggest_int(f"width_{i}", 0, len(WIDTHS) - 1) for i in range(1, depth + 1)]
    return {
        "hidden_layer_sizes": tuple(WIDTHS[each] for each in widths),
        "activation": trial.suggest_categorical("activation", list(ACTIVATIONS)),
    }


@cache
def rows_of(folder, name):
    """An estimator, rows to train on, and rows to score: numbers, standardised targets."""
    X, y, task = load_table(Path(folder), name)
    rows, _ = split_rows(y, task, 0)
    train, held_out = rows[:N_TRAINING], rows[N_TRAINING : N_TRAINING + N_VALIDATION]
    encoder = TableEncoder().set_output(transform="default")
    X_train = encoder.fit_transform(X.iloc[train], y[train])
    X_held_out = encoder.transform(X.iloc[held_out])
    options = {"batch_size": 64, "max_iter": 40, "learning_rate_init": 2e-3, "n_iter_no_change": 40}
    if task == "classification":
        return MLPClassifier(**options), (X_train, y[train]), (X_held_out, y[held_out])
    mean, sd = y[train].mean(), y[train].std()
    y = (y - mean) / sd
    return MLPRegressor(**options), (X_train, y[train]), (X_held_out, y[held_out])


def train(folder, name, shape, activation, seed):
    """Train one network; return its row of the table."""
    model, training, (X, y) = rows_of(folder, name)
    params = {"hidden_layer_sizes": shape, "activation": activation, "random_state": seed}
    model = type(model)(**{**model.get_params(), **params})
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(*training)
    seconds = time.process_time() - began
    if hasattr(model, "classes_"):
        score = -log_loss(y, model.predict_proba(X), labels=model.classes_)
    else:
        score = -float(np.sqrt(np.mean((model.predict(X) - y) ** 2)))
    return name, "-".join(map(str, shape)), activation, seed, round(score, 5), round(seconds, 4)


def make(folder):
    """Train every network, on two processes of one thread each."""
    todo = itertools.product(TABLES, shapes(), ACTIVATIONS, SEEDS)
    with Parallel(n_jobs=2, backend="loky", batch_size=16, inner_max_num_threads=1) as parallel:
        rows = parallel(delayed(train)(folder, *each) for each in todo)
    columns = ["table", "shape", "activation", "seed", "score", "seconds"]
    gzip = {"method": "gzip", "mtime": 1}  # the same bytes for the same rows
    pd.DataFrame(rows, columns=columns).to_csv(FILE, index=False, compression=gzip)


@cache
def truth_of(name):
    """The scores of each network of a table, and the mean processor seconds of a training."""
    table = pd.read_csv(FILE)
    table = table[table["table"] == name]
    scores = {
        (tuple(map(int, str(shape).split("-"))), activation): group["score"].to_numpy()
        for (shape, activation), group in table.groupby(["shape", "activation"])
    }
    return scores, table["seconds"].mean()


def regrets(folder, name, method, seed, n_trials):
    """Search once; return the regret after each trial, the cost of the ranking, and tau."""
    import optuna

    from sklmlp.search import sampler
    from sklmlp.search.architecture import Problem

    scores, seconds_of_training = truth_of(name)
    means = {key: each.mean() for key, each in scores.items()}
    best, median = max(means.values()), statistics.median(means.values())
    problem = None
    cost, tau = 0.0, np.nan
    if METHODS[method].shares_weights:
        model, training, _ = rows_of(folder, name)
        problem = Problem.of(model, *training, suggest)
    proposing = sampler(method, random_state=seed, problem=problem)
    if problem is not None:
        began = time.process_time()
        ranked = proposing.supernet_scores
        cost = (time.process_time() - began) / seconds_of_training
        params = [suggest(optuna.trial.FixedTrial(each)) for each in proposing.pool.values]
        true = [means[each["hidden_layer_sizes"], each["activation"]] for each in params]
        tau = kendalltau(ranked, true).statistic
    study = optuna.create_study(direction="maximize", sampler=proposing)
    rng, seen, found = np.random.default_rng(seed), [], []
    while len(found) < n_trials:
        asked = [study.ask() for _ in range(min(16, n_trials - len(found)))]
        keys = [tuple(suggest(trial).values()) for trial in asked]
        for trial, key in zip(asked, keys, strict=True):
            value = float(rng.choice(scores[key]))
            study.tell(trial, value)
            seen.append((value, key))
            found.append((best - means[max(seen)[1]]) / (best - median))
    return found, cost, tau


def measure(folder, n_runs, methods):
    """Print the median regret of each method on each table, at equal cost."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    for name in TABLES:
        labels = " | ".join(f"at {budget}" for budget in BUDGETS)
        print(f"\n{name}\n\n| method | {labels} | a fifth of {BUDGETS[-1]} | ranking costs | tau |")
        print("|---|" + "---|" * (len(BUDGETS) + 3))
        for method in methods:
            is_shared = METHODS[method].shares_weights
            runs = [
                regrets(folder, name, method, seed, BUDGETS[-1])
                for seed in range(min(n_runs, 9) if is_shared else n_runs)
            ]
            cells = [_at(runs, budget) for budget in BUDGETS]
            cells.append(_at(runs, BUDGETS[-1] // 5) if is_shared else "")
            cost, tau = (np.mean([run[k] for run in runs]) for k in (1, 2))
            cells += [f"{cost:.0f}", f"{tau:.2f}"] if is_shared else ["", ""]
            print(f"| {method} | " + " | ".join(cells) + " |", flush=True)


def _at(runs, budget):
    """The median regret of runs that may cost so many trainings, the ranking among them."""
    left = [(found, int(budget - cost)) for found, cost, _ in runs]
    if any(n < 1 for _, n in left):
        return "-"
    return f"{statistics.median(found[n - 1] for found, n in left):.3f}"
