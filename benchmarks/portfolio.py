"""Learn which settings of the tabular estimators AutoML should try, and in which order.

python benchmarks/portfolio.py --data FOLDER --cache CACHE    # learns, and reports
python benchmarks/portfolio.py --data FOLDER --cache CACHE --settings 17 \\
    --write portfolio.json    # the list that is there

FOLDER is that of benchmarks/accuracy.py, with its tables and its splits. Settings are some that
people would try by hand, and random ones. Each is fitted to at most 3,000 rows of each table for
30 epochs, as larger tables are by default; a third as many rows choose the number of epochs, and
at most 3,000 rows of the quarter that is held out measure. CACHE keeps what each fit predicted;
what is there is not fitted again, so that the script can be stopped.

The default comes first. Then, one after another, comes the setting that lowers most the mean over
tables of log(loss of the ensemble / loss of the default): the greedy ensemble (Caruana et al. 2004)
of all settings chosen so far, weighted by validation rows and measured on held-out ones. The loss
is the log loss, or for regressions the RMSE. What the list is worth is told for each table by a
list that was chosen without it, beside lists that were drawn at random.
"""

import argparse
import itertools
import json
import time
import warnings
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import threadpoolctl
import torch
from accuracy import load_table, markdown, split_rows
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from sklmlp import TabularMLPClassifier, TabularMLPRegressor

ESTIMATORS = {"classification": TabularMLPClassifier, "regression": TabularMLPRegressor}
LEARNING_RATES = {"classification": 6e-3, "regression": 3e-3}
"""What learning_rate_init="auto" is. Settings have a factor of it, to be one for both tasks."""

OF_CATEGORIES = {"max_one_hot", "target_encoding"}
"""What makes no difference to tables of numbers."""

MOST_ROWS, VALIDATION_SHARE, MOST_TEST_ROWS, EPOCHS = 4000, 0.25, 3000, 30
"""Of a fit. They are few, for there are many fits."""

MOST, SIZES = 12, (1, 2, 4, 8, 12)
"""The number of settings of a list, after the default, and those that are reported."""

MEMBERS = 25
"""Steps of the greedy ensemble."""

RANDOM_LISTS = 10

BY_HAND = [
    {},
    {"hidden_layer_sizes": [256, 256]},
    {"dropout": 0.0},
    {"hidden_layer_sizes": [256, 256], "dropout": 0.0},
    {"learning_rate_factor": 3.0},
    {"numeric_embedding": None, "dropout": 0.0},
    {"hidden_layer_sizes": [256]},
    {"hidden_layer_sizes": [256, 256], "n_estimators": 1, "dropout": 0.2},
    {"learning_rate_factor": 0.3},
    {"n_bins": 12, "embedding_size": 16, "dropout": 0.2},
    {"hidden_layer_sizes": [64, 64], "n_estimators": 16, "learning_rate_factor": 2.0},
    {"dropout": 0.45, "learning_rate_factor": 2.0},
    {"hidden_layer_sizes": [96, 96, 96, 96, 96], "dropout": 0.0},
    {"n_bins": 128, "embedding_size": 4},
    {"max_one_hot": 64, "target_encoding": False},
    {"hidden_layer_sizes": [256, 256], "n_estimators": 4, "dropout": 0.3},
    {"numeric_embedding": "both", "n_bins": 32, "embedding_size": 6},
]
"""The default; what the papers behind these networks vary; and more or less of each thing."""

N_RANDOM = 16


# Settings --------------------------------------------------------------------------------------


def draw(rng):
    """A random setting."""
    width = 16 * round(log_uniform(rng, 32, 192) / 16)
    kinds = ["piecewise"] * 5 + [None]  # others take three times as long
    return {
        "hidden_layer_sizes": [width] * int(rng.integers(1, 5)),
        "n_estimators": log_uniform(rng, 2, 12),
        "numeric_embedding": kinds[rng.integers(len(kinds))],
        "n_bins": log_uniform(rng, 8, 128),
        "embedding_size": log_uniform(rng, 3, 24),
        "max_one_hot": log_uniform(rng, 2, 64),
        "target_encoding": bool(rng.random() < 0.7),
        "dropout": round(float(rng.uniform(0, 0.5)), 2),
        "learning_rate_factor": round(float(np.exp(rng.uniform(np.log(0.25), np.log(4)))), 2),
    }


def log_uniform(rng, low, high):
    return round(float(np.exp(rng.uniform(np.log(low), np.log(high)))))


def all_settings():
    """The default, then settings made by hand and random ones in turn."""
    rng = np.random.default_rng(0)
    drawn = [draw(rng) for _ in range(N_RANDOM)]
    first, *rest = BY_HAND
    pairs = itertools.zip_longest(rest, drawn)
    return [first, *(setting for pair in pairs for setting in pair if setting is not None)]


def params_of(setting, task):
    """What `set_params` takes, of a setting for both tasks."""
    params = dict(setting)
    factor = params.pop("learning_rate_factor", None)
    if factor is not None:
        params["learning_rate_init"] = float(f"{factor * LEARNING_RATES[task]:.2g}")
    if params.get("numeric_embedding", "piecewise") in (None, "periodic"):
        params.pop("n_bins", None)  # there are none
    if params.get("numeric_embedding", "") is None:
        params.pop("embedding_size", None)
    return params


def as_written(setting, task):
    """The parameters of a setting that are not what they are by default."""
    default = ESTIMATORS[task]().get_params()
    return {n: value for n, value in params_of(setting, task).items() if value != default[n]}


# Fits ------------------------------------------------------------------------------------------


class Table:
    """A table of the development folder: its rows, and what settings predicted of them.

    A prediction is what its loss is computed of: the probability of the true class, or the value.
    """

    def __init__(self, folder, name, cache):
        self.name, self.cache = name, cache
        self.X, self.y, self.task = load_table(folder, name)
        train, test = split_rows(self.y, self.task, seed=0)
        self.test = test[:MOST_TEST_ROWS]
        if len(train) > MOST_ROWS:
            train, _ = train_test_split(
                train, train_size=MOST_ROWS, random_state=0, stratify=self._classes(train)
            )
        self.train, self.validation = train_test_split(
            train, test_size=VALIDATION_SHARE, random_state=0, stratify=self._classes(train)
        )

    def _classes(self, rows):
        return self.y[rows] if self.task == "classification" else None

    def learn(self, setting):
        """(predictions of validation rows, those of held-out rows, processor seconds)."""
        params = params_of(setting, self.task)
        if self.X.select_dtypes("category").empty:
            params = {name: params[name] for name in params if name not in OF_CATEGORIES}
        fit = json.dumps([MOST_ROWS, EPOCHS, params], sort_keys=True)
        key = sha256(fit.encode()).hexdigest()[:12]
        path = self.cache / f"{self.name}-{key}.npz"
        if not path.exists():
            began = time.process_time()
            model = ESTIMATORS[self.task](max_iter=EPOCHS, random_state=0, **params)
            X_val, y_val = self.X.iloc[self.validation], self.y[self.validation]
            model.fit(self.X.iloc[self.train], self.y[self.train], X_val=X_val, y_val=y_val)
            found = {name: self.predict(model, getattr(self, name)) for name in PARTS}
            seconds = time.process_time() - began
            np.savez(path, **found, seconds=seconds)
            print(f"{self.name:20} {seconds:6.1f} s  {params}", flush=True)
        with np.load(path) as known:
            return {name: known[name] for name in (*PARTS, "seconds")}

    def predict(self, model, rows):
        X, y = self.X.iloc[rows], self.y[rows]
        if self.task == "regression":
            return model.predict(X)
        return model.predict_proba(X)[np.arange(len(y)), np.searchsorted(model.classes_, y)]

    def losses(self, predictions, part):
        """The loss of each row of predictions, (k, n)."""
        if self.task == "regression":
            return np.sqrt(np.mean((predictions - self.y[getattr(self, part)]) ** 2, axis=1))
        return -np.log(np.clip(predictions, 1e-7, None)).mean(axis=1)

    def learn_all(self, settings):
        learned = [self.learn(setting) for setting in settings]
        self.predicted = {part: np.array([each[part] for each in learned]) for part in PARTS}
        self.seconds = np.array([each["seconds"] for each in learned])
        self.own = {part: self.losses(self.predicted[part], part) for part in PARTS}


PARTS = ("validation", "test")


# A list ----------------------------------------------------------------------------------------


def ensemble(table, chosen):
    """log(loss / the default's) of the greedy ensemble of some settings, by held-out rows.

    Settings are added with replacement, by the loss of validation rows, and the best of these
    ensembles counts: Caruana et al. (2004), "Ensemble selection from libraries of models", ICML.
    """
    predicted = table.predicted["validation"][chosen]
    total, counts, best = np.zeros(predicted.shape[1]), np.zeros(len(chosen)), (np.inf, None)
    for step in range(1, MEMBERS + 1):
        losses = table.losses((total + predicted) / step, "validation")
        place = np.argmin(losses)
        total, counts[place] = total + predicted[place], counts[place] + 1
        best = min(best, (losses[place], tuple(counts / step)))
    test = np.array(best[1]) @ table.predicted["test"][chosen]
    return np.log(table.losses(test[None], "test")[0] / table.own["test"][0])


def single(table, chosen):
    """log(loss / the default's) of the setting that is the best by validation rows."""
    best = min(chosen, key=lambda i: table.own["validation"][i])
    return np.log(table.own["test"][best] / table.own["test"][0])


def choose(tables, n_settings, most=MOST):
    """Places of settings in the order in which they should be tried; 0, the default, is first."""
    chosen = [0]
    while len(chosen) < min(1 + most, n_settings):
        rest = [i for i in range(n_settings) if i not in chosen]
        gains = [np.mean([ensemble(table, [*chosen, i]) for table in tables]) for i in rest]
        chosen.append(rest[int(np.argmin(gains))])
    return chosen


# What it is worth ------------------------------------------------------------------------------


def gains(tables, n_settings, of_task):
    """What lists gain on tables that they were not learned on: a record for each size and table."""
    rng = np.random.default_rng(0)
    for table in tables:
        others = [t for t in tables if t is not table and (not of_task or t.task == table.task)]
        order = choose(others, n_settings)
        for size in [size for size in SIZES if size < n_settings]:
            chosen = order[: size + 1]
            drawn = [
                [0, *rng.choice(np.arange(1, n_settings), size, replace=False)]
                for _ in range(RANDOM_LISTS)
            ]
            yield {
                "table": table.name,
                "settings": size,
                "the best": single(table, chosen),
                "ensemble": ensemble(table, chosen),
                "the best of random ones": np.mean([single(table, each) for each in drawn]),
                "ensemble of random ones": np.mean([ensemble(table, each) for each in drawn]),
            }


def percent(log_ratios):
    """Changes in percent of log ratios of losses."""
    return 100 * np.expm1(log_ratios)


def report(tables, n_settings):
    """Tables of what the lists gain, as text."""
    parts = []
    for of_task in (False, True):
        frame = pd.DataFrame(gains(tables, n_settings, of_task))
        means = frame.drop(columns="table").groupby("settings").mean()
        learned = "tables of the same task" if of_task else "all tables"
        parts.append(f"## Change of the loss in %, learned on {learned} but one\n")
        parts.append(markdown(percent(means)))
        of_each = frame.pivot(index="table", columns="settings", values="ensemble").rename(
            columns=str
        )
        parts.append(f"\n### Ensemble, by table\n\n{markdown(percent(of_each))}\n")
    return "\n".join(parts)


def as_text(portfolio):
    """JSON with a line for each setting."""
    lists = [
        f"  {json.dumps(task)}: [\n"
        + ",\n".join(f"    {json.dumps(params)}" for params in portfolio[task])
        + "\n  ]"
        for task in ESTIMATORS
    ]
    facts = [f"  {json.dumps(k)}: {json.dumps(portfolio[k])}" for k in ("description", "made by")]
    return "{\n" + ",\n".join([*facts, *lists]) + "\n}\n"


DESCRIPTION = (
    "Settings of TabularMLPClassifier and TabularMLPRegressor, in the order in which they are "
    "tried after the default."
)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--cache", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--tables", nargs="+", help="default: all of which there is a CSV file")
    parser.add_argument("--settings", type=int, metavar="N", help="the first N alone")
    parser.add_argument("--write", type=Path, metavar="FILE", help="where to write the list")
    options = parser.parse_args(arguments)
    options.cache.mkdir(parents=True, exist_ok=True)
    described = json.loads((options.data / "datasets.json").read_text())
    names = options.tables or [n for n in described if (options.data / f"{n}.csv.gz").exists()]
    tables = [Table(options.data, name, options.cache) for name in names]
    settings = all_settings()[: options.settings]
    torch.set_num_threads(1)
    with threadpoolctl.threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for setting in settings:
            for table in tables:
                table.learn(setting)
        for table in tables:
            table.learn_all(settings)
    order = choose(tables, len(settings))
    print(report(tables, len(settings)))
    portfolio = {"description": DESCRIPTION, "made by": "benchmarks/portfolio.py"}
    for task in ESTIMATORS:
        portfolio[task] = [as_written(settings[i], task) for i in order[1:]]
    print(as_text(portfolio))
    if options.write:
        options.write.write_text(as_text(portfolio))


if __name__ == "__main__":
    main()
