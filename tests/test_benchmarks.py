"""The benchmark of accuracy splits, measures and ranks as it says."""

import importlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def accuracy(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    n_threads = torch.get_num_threads()
    yield importlib.import_module("accuracy")
    torch.set_num_threads(n_threads)  # its `main` has a process to itself


@pytest.fixture
def folder(tmp_path):
    """Two small tables, with a category and gaps, and what two peers reach on them."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.normal(size=200), "b": rng.choice(["x", "y", "z"], 200)})
    z = X["a"] + (X["b"] == "x")
    X.loc[:9, "a"] = np.nan
    X.assign(t=np.where(z > 0.5, "yes", "no")).to_csv(tmp_path / "classes.csv.gz", index=False)
    X.assign(t=10 * z).to_csv(tmp_path / "amounts.csv.gz", index=False)
    described = {
        "classes": {"task": "classification", "categorical": ["b"]},
        "amounts": {"task": "regression", "categorical": ["b"]},
        "without a file": {"task": "regression", "categorical": []},
    }
    (tmp_path / "datasets.json").write_text(json.dumps(described))
    peers = [
        {"data": "classes", "model": "catboost", "split": 0, "logloss": 0.5, "acc": 0, "fit_s": 1},
        {"data": "amounts", "model": "catboost", "split": 0, "nrmse": 2.0, "fit_s": 1},
        {"data": "amounts", "model": "good", "split": 0, "nrmse": 1e-9, "fit_s": 1},
    ]  # fmt: skip
    (tmp_path / "peers.json").write_text(json.dumps(peers))
    return tmp_path


def test_a_run_over_a_folder(accuracy, folder, capsys):
    """Every table with a file is split, fitted and measured, and the peers stand beside it."""
    models = ["hgb", "sklearn.linear_model.Ridge(alpha=2.0)"]
    figures = folder / "figures.json"
    options = ["--data", str(folder), "--json", str(figures), "--splits", "0", "1"]
    accuracy.main([models[0], *options])
    records = json.loads(figures.read_text())
    assert [(r["data"], r["split"]) for r in records] == [
        *(("classes", 0), ("classes", 1), ("amounts", 0), ("amounts", 1)),
    ]
    X, y, task = accuracy.load_table(folder, "classes")
    train, test = accuracy.split_rows(y, task, 1)
    model = HistGradientBoostingClassifier(random_state=1).fit(X.iloc[train], y[train])
    assert records[1]["logloss"] == log_loss(y[test], model.predict_proba(X.iloc[test]))
    assert records[1]["acc"] == model.score(X.iloc[test], y[test])
    printed = capsys.readouterr().out
    assert "| classes, 1 | " in printed and "| catboost | 2.5 | 0 |" in printed

    accuracy.main([*models[1:], "--tables", "amounts", *options])
    assert 0.9 < json.loads(figures.read_text())[0]["r2"] < 1


def test_splits(accuracy):
    """A quarter is held out, with the shares of the classes; at most 8,000 others are drawn."""
    y = np.arange(20_000) % 4 // 3
    train, test = accuracy.split_rows(y, "classification", 0)
    assert (len(train), len(test)) == (8000, 5000)
    assert not set(train) & set(test)
    assert y[train].mean() == y[test].mean() == 0.25
    train, test = accuracy.split_rows(np.arange(100.0), "regression", 3)
    assert_array_equal(np.sort(np.r_[train, test]), np.arange(100))


def test_calibration_error(accuracy):
    """Half of the rows is said to be right with .9 and is so with .5: .4, of half of the rows."""
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.5, 0.5], [0.5, 0.5]])
    error = accuracy.calibration_error(probabilities, np.array([7, 8]), np.array([7, 8, 7, 8]))
    assert_allclose(error, 0.2)


def test_mean_ranks(accuracy):
    """What is not known has no rank, and equal values share theirs."""
    values = pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, np.nan], "c": [3.0, 1.0]})
    assert accuracy.mean_ranks(values).to_dict() == {"a": 1.75, "b": 1.5, "c": 2.0}


def test_what_needs_numbers_is_put_behind_an_encoder(accuracy):
    """Estimators are named by words or by dots, with arguments, for both tasks."""
    model = accuracy.build("hgb", "classification", 5)
    assert isinstance(model, HistGradientBoostingClassifier) and model.random_state == 5
    model = accuracy.build("sklmlp.MLP*(hidden_layer_sizes=(3,))", "regression", 5)
    assert list(model.named_steps) == ["tableencoder", "transformedtargetregressor"]
    assert model[0].target_type == "continuous" and model[0].random_state == 5
    assert model[1].regressor.hidden_layer_sizes == (3,) and model[1].regressor.random_state == 5
