"""The quickstart does what it says, on digits and on a user's table, and its errors help."""

import importlib
import itertools
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import joblib
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sklmlp import TableEncoder

SCRIPT = Path(__file__).parents[1] / "examples" / "quickstart.py"
N_ROWS = 240


def run(*arguments, folder):
    """Run the script in a process of its own, where a user would, in a folder of their own."""
    command = [sys.executable, SCRIPT, "--quick", "--output", folder / "out", *arguments]
    environment = {
        **os.environ,
        "MPLBACKEND": "Agg",
        "PYTHONWARNINGS": "error",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def run_here(tmp_path, monkeypatch, capfd):
    """Run the script in this process, which has imported what it imports."""

    def run_here(*arguments):
        command = [SCRIPT, "--quick", "--output", tmp_path / "out", "--jobs", "1", *arguments]
        monkeypatch.setattr(sys, "argv", [str(part) for part in command])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        printed = capfd.readouterr()
        # Python writes the text that a script exits with, and a line's end, to its standard error
        error = "" if end.value.code is None else f"{end.value.code}\n"
        return subprocess.CompletedProcess(command, bool(error), printed.out, printed.err + error)

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(SCRIPT.parent)
    backend = matplotlib.get_backend()
    plt.switch_backend("Agg")
    yield run_here
    plt.close("all")
    plt.switch_backend(backend)


def assert_finished(process, folder):
    """Check what every complete run leaves behind, and that it complained about nothing."""
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stderr == ""
    assert "a new process loads it and gives identical predictions" in process.stdout
    assert (folder / "out" / "quickstart.png").read_bytes().startswith(b"\x89PNG")
    return joblib.load(folder / "out" / "model.joblib")


@pytest.fixture(scope="module")
def customers():
    """A table of numbers, words, truths, dates and gaps, with one target of each kind."""
    rng = np.random.default_rng(0)
    age = rng.uniform(18, 90, N_ROWS)
    plan = rng.choice(["basic", "plus", "pro"], N_ROWS)
    member = rng.random(N_ROWS) < 0.5
    table = pd.DataFrame(
        {
            "age": np.where(rng.random(N_ROWS) < 0.1, np.nan, age.round(1)),
            "visits": rng.poisson(4, N_ROWS),
            "plan": np.where(rng.random(N_ROWS) < 0.1, None, plan),
            "city": [f"city {i}" for i in rng.integers(0, 60, N_ROWS)],  # most of them rare
            "member": member,
            "since": pd.date_range("2020-01-01", periods=N_ROWS).strftime("%Y-%m-%d"),
            "note": [None] * N_ROWS,
            "country": "Norway",
        }
    )
    table["leaves"] = np.where((plan == "basic") & (age < 55), "yes", "no")
    table["stars"] = 1 + (age > 40) + (age > 65)
    table["spends"] = 1e6 + 4e4 * age + 5e5 * member + 1e5 * rng.normal(size=N_ROWS)
    return table


@pytest.fixture
def load_table(monkeypatch):
    """The script's reader of tables."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    return importlib.import_module("quickstart_csv").load_table


@pytest.fixture
def write(customers, tmp_path):
    """Write the table with some changes, and return the file's path."""

    def write(name="customers.csv", separator=",", **changes):
        customers.assign(**changes).to_csv(tmp_path / name, index=False, sep=separator)
        return tmp_path / name

    return write


def test_digits_in_two_processes(tmp_path):
    """The search runs in worker processes, counts its fits and finds a network that can read."""
    process = run("--jobs", "2", folder=tmp_path)
    model = assert_finished(process, tmp_path)
    assert "6/6 fits" in process.stdout  # 3 networks on 2 folds
    assert model.named_steps["mlp"].n_features_in_ == 64
    assert "leaky_relu(negative_slope=0.2)" in process.stdout
    assert held_out(process) > 0.85


def test_classification_of_a_table(write, run_here, tmp_path):
    """Words are classes; what a network has no use for is left out, and that is said."""
    process = run_here("--csv", write(), "--target", "leaves")
    model = assert_finished(process, tmp_path)
    assert ": classification" in process.stdout
    assert_beside_others(process, "TabularMLPClassifier", "log loss", "accuracy")
    assert "'since' (dates" in process.stdout
    assert "'note' (empty)" in process.stdout
    assert "'country' (one value only)" in process.stdout
    assert list(model.classes_) == ["no", "yes"]


def test_regression_of_a_table(write, customers, run_here, tmp_path):
    """A large target trains, and rows without it are left out and counted."""
    file = write(spends=customers["spends"].where(customers.index >= 10))
    process = run_here("--csv", file, "--target", "spends")
    assert_finished(process, tmp_path)
    assert "10 of 240 rows have no 'spends': left out" in process.stdout
    assert ": regression" in process.stdout
    figures = assert_beside_others(process, "TabularMLPRegressor", "RMSE", "R2")
    assert figures["TabularMLPRegressor"]["R2"] > 0.5 > figures["without learning"]["R2"]


def test_categories_of_more_levels_than_trees_take(write, load_table, customers, monkeypatch):
    """Boosted trees get what the encoder makes of them."""
    many = [f"street {i % 150 + 150 * (i < 150)}" for i in range(N_ROWS)]
    monkeypatch.setattr(importlib.import_module("quickstart_table"), "MOST_LEVELS", 100)
    table = load_table(write(street=many), "leaves")
    models = importlib.import_module("quickstart_table").make_models(table.X, table.task, True)
    trees = models["HistGradientBoosting"].fit(table.X, table.y)
    assert trees.score(table.X, table.y) > 0.8


def test_a_table_that_is_hard_to_read(load_table, write, customers):
    """Semicolons, blanks, question marks, words among numbers, infinities, rare classes are met."""
    leaves = customers["leaves"].where(customers.index > 1, "perhaps")
    visits = customers["visits"].astype(object).where(customers.index != 3, "many")
    age = customers["age"].where(customers.index != 5, np.inf).astype(object)
    file = write(
        separator=";", leaves=leaves, visits=visits, age=age.where(customers.index != 7, " ? ")
    )
    table = load_table(file, "leaves")
    notes = "\n".join(table.notes)
    assert "fewer than 5 rows are left out: 'perhaps'" in notes
    assert "'visits' has words among its numbers: 'many'" in notes
    assert "'age' has infinite values" in notes
    assert set(table.y) == {"no", "yes"}
    assert np.isfinite(TableEncoder(random_state=0).fit_transform(table.X, table.y)).all()


def test_an_error_is_one_line(write, run_here):
    """What the user got wrong ends the script without a traceback, and says what would be right."""
    process = run_here("--csv", write(), "--target", "leavs")
    assert process.returncode != 0
    assert "no column 'leavs'. Its columns are: 'age', 'visits', 'plan'" in process.stderr
    assert process.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "target", "task", "message"),
    [
        ({}, "since", "auto", "holds dates"),
        ({}, "note", "auto", "Every value of the target 'note' is missing"),
        ({"leaves": "no"}, "leaves", "auto", "one value only, 'no'"),
        ({}, "plan", "regression", "needs numbers; 'plan' has values like '"),
        ({}, "spends", "classification", "takes at most 100"),
    ],
)
def test_a_target_that_cannot_be_learned(changes, target, task, message, load_table, write):
    """The error says what the target holds."""
    with pytest.raises(ValueError, match=message):
        load_table(write(**changes), target, task)


@pytest.mark.parametrize("content", [None, b"", b"\x00\xff\xfe\x00" * 20, b"a,b\n1,2\n1,2,3,4\n"])
def test_a_file_that_is_no_table(content, load_table, tmp_path):
    """A missing, empty, binary or crooked file is an error that names it."""
    file = tmp_path / "table.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=r"table\.csv"):
        load_table(file, "b")


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"], "classification"),
        ([True, False], "classification"),
        ([True, False, None], "classification"),
        ([0, 1, 2], "classification"),
        ([0, 1, None], "classification"),
        ([0.5, 1.5], "regression"),
        (range(30), "regression"),
    ],
)
def test_the_target_names_the_task(values, task, load_table, write):
    """Words, truths and few whole numbers, with or without gaps, are classes."""
    goal = [value for _, value in zip(range(N_ROWS), itertools.cycle(values), strict=False)]
    assert load_table(write(goal=goal), "goal").task == task


def test_a_long_table_is_sampled(load_table, write):
    """More rows than asked for are drawn from, and that is said."""
    table = load_table(write(), "leaves", max_rows=100)
    assert len(table.X) == len(table.y) == 100
    assert "100 of 240 rows, drawn at random (--rows 0 takes all)" in table.notes


def assert_beside_others(process, ours, *names):
    """Check that the same figures were printed for each model, and return them."""
    lines = process.stdout.splitlines()
    (at,) = [i for i, line in enumerate(lines) if line.startswith("held-out rows")]
    header = re.split(r"  +", lines[at].strip())
    assert header == ["held-out rows", *names, "fit, s"]
    rows = [re.split(r"  +", line.strip()) for line in lines[at + 1 : at + 5]]
    assert [row[0] for row in rows] == [
        ours, "HistGradientBoosting", "linear model", "without learning",
    ]  # fmt: skip
    return {name: dict(zip(header[1:], map(float, row), strict=True)) for name, *row in rows}


def held_out(process):
    """Read the held-out score from what was printed."""
    (line,) = [line for line in process.stdout.splitlines() if line.startswith("Held-out")]
    return float(line.split(": ")[1].split()[0])
