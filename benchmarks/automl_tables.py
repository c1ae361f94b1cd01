"""What AutoMLP* reach on real tables in a time, beside their own default and a search by hand.

python benchmarks/automl_tables.py --data FOLDER --seconds 60             # all tables
python benchmarks/automl_tables.py --data FOLDER --tables adult --json figures.json

FOLDER is that of `accuracy.py`, and so are the rows to learn from and those held out. "by hand" is
what people write: Optuna's TPE over scikit-learn's network in a pipeline with one-hot categories,
medians for gaps and scaling, five folds, for as many seconds, and a refit of the best. Figures are
the log loss, or the RMSE over the target's standard deviation, of rows held out. "optimism" is by
how much better the ensemble's own figure, by the rows that chose it, is.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import optuna
from accuracy import load_table, split_rows
from sklearn.compose import (
    TransformedTargetRegressor,
    make_column_selector,
    make_column_transformer,
)
from sklearn.impute import SimpleImputer
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import sklmlp

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.simplefilter("ignore")


def losses(model, X, y, task):
    """The loss of each held-out row: minus the log of the true class' probability, or a square."""
    if task == "regression":
        return ((model.predict(X) - y) / y.std()) ** 2
    return minus_log(model.predict_proba(X), model.classes_, y)


def minus_log(probability, classes, y):
    """Minus the logarithm of the probability of the true class."""
    of_truth = probability[np.arange(len(y)), np.searchsorted(classes, y)]
    return -np.log(np.clip(of_truth, 1e-15, None))


def figure(loss, task):
    """The log loss or the scaled RMSE."""
    mean = float(np.mean(loss))
    return mean if task == "classification" else mean**0.5


def search_by_hand(X, y, task, seconds):
    """Optuna's TPE over scikit-learn's network, as people write it."""
    deadline = time.monotonic() + seconds

    def make(trial):
        words = make_column_selector(dtype_include="category")
        numbers = make_column_selector(dtype_exclude="category")
        table = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        )
        depth = trial.suggest_int("depth", 1, 3)
        params = {
            "hidden_layer_sizes": tuple(
                trial.suggest_int(f"width_{i}", 16, 256, log=True) for i in range(depth)
            ),
            "activation": trial.suggest_categorical("activation", ["relu", "tanh"]),
            "alpha": trial.suggest_float("alpha", 1e-6, 1.0, log=True),
            "learning_rate_init": trial.suggest_float("learning_rate_init", 1e-4, 3e-2, log=True),
            "batch_size": trial.suggest_int("batch_size", 32, 512, log=True),
        }
        params |= {"early_stopping": True, "random_state": 0}
        if task == "classification":
            return make_pipeline(table, MLPClassifier(**params))
        network = TransformedTargetRegressor(MLPRegressor(**params), transformer=StandardScaler())
        return make_pipeline(table, network)

    scoring = "neg_log_loss" if task == "classification" else "neg_root_mean_squared_error"
    longest = [0.0]

    def objective(trial):
        began = time.monotonic()
        score = cross_val_score(make(trial), X, y, scoring=scoring, n_jobs=2).mean()
        longest[0] = max(longest[0], time.monotonic() - began)
        if time.monotonic() + longest[0] > deadline:
            trial.study.stop()
        return score

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective)
    return make(optuna.trial.FixedTrial(study.best_params)).fit(X, y), len(study.trials)


def measure(name, folder, split, seconds, by_hand):
    """The figures of a table."""
    X, y, task = load_table(folder, name)
    train, test = split_rows(y, task, split)
    X_train, y_train, X_test, y_test = X.iloc[train], y[train], X.iloc[test], y[test]
    kind = {"classification": "Classifier", "regression": "Regressor"}[task]

    default = getattr(sklmlp, f"TabularMLP{kind}")(random_state=0)
    began = time.monotonic()
    default.fit(X_train, y_train)
    found = {"table": name, "split": split, "default s": time.monotonic() - began}
    of_default = losses(default, X_test, y_test, task)

    automl = getattr(sklmlp, f"AutoMLP{kind}")(seconds, random_state=0)
    began = time.monotonic()
    automl.fit(X_train, y_train)
    found["s"] = time.monotonic() - began
    of_automl = losses(automl, X_test, y_test, task)
    of_best = losses(automl.best_estimator_, X_test, y_test, task)
    found |= {"default": figure(of_default, task), "automl": figure(of_automl, task)}
    found |= {"best alone": figure(of_best, task)}
    difference = of_automl - of_default
    found["errors better"] = -difference.mean() / (difference.std() / len(difference) ** 0.5)
    known = ~np.isnan(automl.oof_prediction_.reshape(len(y_train), -1)[:, 0])
    own = automl.oof_prediction_[known]
    if task == "classification":
        own = minus_log(own, automl.classes_, y_train[known])
    else:
        own = ((own - y_train[known]) / y_test.std()) ** 2
    found["optimism"] = found["automl"] / figure(own, task) - 1
    found |= {"trials": automl.plan_["n_trials"], "members": len(automl.ensemble_.numbers)}
    found |= {"epochs": automl.plan_["max_iter"], "folds": automl.plan_["n_folds"]}
    if by_hand:
        model, found["trials by hand"] = search_by_hand(X_train, y_train, task, seconds)
        found["by hand"] = figure(losses(model, X_test, y_test, task), task)
    return found


COLUMNS = (
    *("table", "default", "automl", "best alone", "by hand", "errors better", "optimism"),
    *("default s", "s", "trials", "trials by hand", "members", "epochs", "folds"),
)


def main():
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tables", nargs="*")
    parser.add_argument("--splits", nargs="*", type=int, default=[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--no-hand", action="store_true", help="leave the search by hand out")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    names = arguments.tables or list(json.loads((arguments.data / "datasets.json").read_text()))
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    rows = []
    for name in names:
        if not (arguments.data / f"{name}.csv.gz").exists():
            continue
        for split in arguments.splits:
            row = measure(name, arguments.data, split, arguments.seconds, not arguments.no_hand)
            rows.append(row)
            cells = [row.get(column, "") for column in COLUMNS]
            cells = [f"{each:.4g}" if isinstance(each, float) else str(each) for each in cells]
            print(f"| {' | '.join(cells)} |", flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps(rows))
    for column in ("default", "by hand"):
        known = [row for row in rows if column in row]
        if known:
            ratio = np.exp(np.mean([np.log(row["automl"] / row[column]) for row in known]))
            print(f"automl over {column}, geometric mean: {ratio:.3f}")


if __name__ == "__main__":
    main()
