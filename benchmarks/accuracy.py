"""How well estimators at their defaults predict real tables, beside peers that were fitted before.

python benchmarks/accuracy.py hgb tabular --data FOLDER     # ranks beside FOLDER/peers.json
python benchmarks/accuracy.py "sklmlp.TabularMLP*(n_estimators=4)" tabular --splits 0 1 2
python benchmarks/accuracy.py encoder+mlp --tables adult telco_churn --json figures.json

FOLDER has `datasets.json`, which describes the tables, a `NAME.csv.gz` for each of them, with the
target in the last column, and `peers.json`, what others reach on split 0. An estimator is a name of
MODELS or a dotted name, in which * is Classifier or Regressor; it may have arguments. What has no
parameter `categorical_features` is put behind a TableEncoder, and regressors then learn
standardised targets. CatBoost takes categories as they are.

A quarter of the rows is held out, by `train_test_split` with the split's number as the seed,
stratified for classes; of the others at most 8,000 are drawn in the same way. Figures are log loss
and error rate, or for regressions the RMSE over the standard deviation of the target as both.
Ranks are those that a model has among the peers; the peers' own count the first model.
CatBoost's are those of split 0, for every split: the difference that a split makes is the same for
all that are compared.
"""

import argparse
import ast
import contextlib
import importlib
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import threadpoolctl
import torch
from scipy.stats import rankdata
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklmlp import TableEncoder

MODELS = {
    "hgb": "sklearn.ensemble.HistGradientBoosting*",
    "encoder+sklearn": "sklearn.neural_network.MLP*",
    "encoder+mlp": "sklmlp.MLP*",
    "tabular": "sklmlp.TabularMLP*",
    "catboost": "catboost.CatBoost*(thread_count=1, verbose=0, allow_writing_files=False)",
    "realmlp": "pytabkit.RealMLP_TD_*(n_threads=1, device='cpu')",
    "tabm": "pytabkit.TabM_D_*(n_threads=1, device='cpu')",
}
MOST_ROWS = 8000
N_BINS = 15
BASE = "catboost"
OURS = "> "
"""Before the names of what is fitted here."""


# Data ------------------------------------------------------------------------------------------


def load_table(folder, name):
    """A table's features, categories as pandas', its targets, classes as codes, and its task."""
    description = json.loads((folder / "datasets.json").read_text())[name]
    X = pd.read_csv(folder / f"{name}.csv.gz")
    y = X.pop(X.columns[-1]).to_numpy()
    X[description["categorical"]] = X[description["categorical"]].astype("category")
    if description["task"] == "classification":
        y = np.unique(y, return_inverse=True)[1]
    return X, y, description["task"]


def split_rows(y, task, seed):
    """Rows to learn from and rows that are held out, of a table with the targets y."""
    is_classes = task == "classification"
    train, test = train_test_split(
        np.arange(len(y)), test_size=0.25, random_state=seed, stratify=y if is_classes else None
    )
    if len(train) > MOST_ROWS:
        classes = y[train] if is_classes else None
        train, _ = train_test_split(
            train, train_size=MOST_ROWS, random_state=seed, stratify=classes
        )
    return train, test


# Estimators ------------------------------------------------------------------------------------


def build(text, task, seed, categories=()):
    """An estimator for raw frames from its name, with its arguments if it has some."""
    kind = {"classification": "Classifier", "regression": "Regressor"}[task]
    call = ast.parse(MODELS.get(text, text).replace("*", kind), mode="eval").body
    is_call = isinstance(call, ast.Call)
    module, _, name = ast.unparse(call.func if is_call else call).rpartition(".")
    arguments = {k.arg: ast.literal_eval(k.value) for k in (call.keywords if is_call else ())}
    model = getattr(importlib.import_module(module), name)(**arguments)
    if model.get_params().get("random_state", 0) is None:
        model.set_params(random_state=seed)
    if "categorical_features" in model.get_params():
        return model
    if module == "catboost":
        gaps = FunctionTransformer(gaps_as_level, kw_args={"categories": categories})
        return make_pipeline(gaps, model.set_params(cat_features=list(categories)))
    if task == "regression":
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
        return make_pipeline(TableEncoder(target_type="continuous", random_state=seed), model)
    return make_pipeline(TableEncoder(random_state=seed), model)


def gaps_as_level(X, categories):
    """A frame whose gaps in categories are a level of their own."""
    filled = {name: X[name].cat.add_categories("missing").fillna("missing") for name in categories}
    return X.assign(**filled)


# Figures ---------------------------------------------------------------------------------------


def measure(model, X, y, task, train, test):
    """Fit on some rows, and what the predictions of others are worth."""
    start = time.perf_counter()
    model.fit(X.iloc[train], y[train])
    figures = {"fit_s": time.perf_counter() - start}
    start = time.perf_counter()
    if task == "regression":
        predicted = model.predict(X.iloc[test])
        figures["pred_s"] = time.perf_counter() - start
        rmse = float(np.sqrt(np.mean((predicted - y[test]) ** 2)))
        figures["nrmse"] = rmse / float(y[test].std())
        return {**figures, "r2": 1 - figures["nrmse"] ** 2}
    predicted = model.predict_proba(X.iloc[test])
    figures["pred_s"] = time.perf_counter() - start
    figures["acc"] = float(np.mean(model.classes_[predicted.argmax(axis=1)] == y[test]))
    figures["logloss"] = log_loss(y[test], predicted, labels=model.classes_)
    binary = len(model.classes_) == 2
    figures["auc"] = roc_auc_score(y[test], predicted[:, 1]) if binary else None
    figures["ece"] = calibration_error(predicted, model.classes_, y[test])
    return figures


def calibration_error(probabilities, classes, y, n_bins=N_BINS):
    """The expected calibration error of the likeliest class, in bins of equal width.

    The mean over rows of |share that is right - mean probability| of the row's bin (Guo et al.
    2017, equation 3).
    """
    confidence = probabilities.max(axis=1)
    is_right = classes[probabilities.argmax(axis=1)] == y
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gaps = np.bincount(bins, is_right - confidence, n_bins)  # sums: (share - mean) times the rows
    return float(np.abs(gaps).sum() / len(y))


def both_metrics(record):
    """(of probabilities, of errors): both are better if they are less."""
    if record.get("nrmse") is not None:
        return record["nrmse"], record["nrmse"]
    return record["logloss"], 1 - record["acc"]


# Tables ----------------------------------------------------------------------------------------


def mean_ranks(values):
    """Mean rank of each column among those that have a value in the row; the least is first.

    Parameters
    ----------
    values : DataFrame
        NaN for what is not known. Equal values share the mean of their ranks.
    """
    ranks = values.copy().astype(float)
    for row in values.index:
        known = values.loc[row].notna()
        ranks.loc[row, known] = rankdata(values.loc[row, known])
    return ranks.mean()


def report(records):
    """Tables of the figures, as text."""
    frame = pd.DataFrame(records)
    frame[["probabilities", "errors"]] = [both_metrics(record) for record in records]
    base = frame[(frame["model"] == BASE) & (frame["split"] == 0)].set_index("data")
    first, models = frame["split"].min(), frame["model"].unique()
    peers = [model for model in models if not model.startswith(OURS)]
    ours = [model for model in models if model.startswith(OURS)]
    by_table = {
        what: frame.pivot_table(what, ["data", "split"], "model")
        for what in ("probabilities", "errors", "fit_s")
    }
    summary = pd.DataFrame(index=models)
    for what in ("probabilities", "errors"):
        of_first = by_table[what].xs(first, level="split")
        ranks = {model: mean_ranks(of_first[[*peers, model]])[model] for model in ours}
        summary[f"rank, {what}"] = {**mean_ranks(of_first[[*peers, ours[0]]]), **ranks}
        if len(base):
            ratio = np.log(frame[what] / frame["data"].map(base[what]))
            summary[f"log ratio, {what}"] = ratio.groupby(frame["model"]).mean()
    if "ece" in frame:
        summary["ECE"] = frame.groupby("model")["ece"].mean()
    summary["tables"] = frame.groupby("model")["data"].nunique()
    summary["fit, s"] = frame.groupby(["model", "split"])["fit_s"].sum().groupby("model").mean()
    titles = {
        "probabilities": "Log loss, or RMSE over the standard deviation",
        "errors": "Error rate, or RMSE over the standard deviation",
        "fit_s": "Seconds of a fit",
    }
    parts = [f"## {titles[what]}\n\n{markdown(table)}" for what, table in by_table.items()]
    parts.append(
        f"## Mean rank on split {first}, mean of log(figure / {BASE}'s), calibration error\n\n"
        + markdown(summary.sort_values(summary.columns[0]))
    )
    return "\n\n".join(parts)


def markdown(table):
    """A frame as a table of Markdown."""
    names = ["data, split" if len(table.index.names) > 1 else "", *table.columns]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for index, row in table.iterrows():
        index = f"{index[0]}, {index[1]}" if isinstance(index, tuple) else index
        cells = ["" if np.isnan(v) else f"{v:.0f}" if v >= 1000 else f"{v:.4g}" for v in row]
        lines.append("| " + " | ".join([str(index), *cells]) + " |")
    return "\n".join(lines)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", help=f"of {', '.join(MODELS)}, or dotted names")
    default = Path(__file__).parents[1].parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, metavar="FOLDER")
    parser.add_argument("--tables", nargs="+", help="default: all of which there is a CSV file")
    parser.add_argument("--splits", nargs="+", type=int, default=[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args(arguments)
    described = json.loads((options.data / "datasets.json").read_text())
    names = options.tables or [n for n in described if (options.data / f"{n}.csv.gz").exists()]
    peers = options.data / "peers.json"
    records = json.loads(peers.read_text()) if peers.exists() else []
    records = [r for r in records if r["data"] in names and r["split"] in options.splits]
    mine = []
    torch.set_num_threads(options.threads)
    for name in names:
        X, y, task = load_table(options.data, name)
        for seed in options.splits:
            rows = split_rows(y, task, seed)
            for text in options.models:
                model = build(text, task, seed, X.columns[X.dtypes == "category"])
                with contextlib.ExitStack() as stack:
                    stack.enter_context(threadpoolctl.threadpool_limits(options.threads))
                    stack.enter_context(warnings.catch_warnings())
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    figures = measure(model, X, y, task, *rows)
                mine.append({**figures, "data": name, "model": f"{OURS}{text}", "split": seed})
                print(json.dumps(mine[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(mine, indent=1))
    print()
    print(report(records + mine))


if __name__ == "__main__":
    main()
