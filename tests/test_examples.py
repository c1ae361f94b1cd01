"""The examples run: each proves what it claims, without warnings, and leaves its picture."""

import runpy
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest

FOLDER = Path(__file__).parents[1] / "examples"
GALLERY = sorted(FOLDER.glob("plot_*.py"))


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """A function that runs an example in an empty folder, and returns what it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path)])
    backend = matplotlib.get_backend()
    plt.switch_backend("Agg")

    def run(script):
        runpy.run_path(str(script), run_name="__main__")
        printed = capfd.readouterr()
        assert printed.err == ""
        assert [path.name for path in tmp_path.iterdir()] == [f"{script.stem}.png"]
        picture = (tmp_path / f"{script.stem}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 12_000  # more than empty axes
        return printed.out

    yield run
    plt.close("all")
    plt.switch_backend(backend)


@pytest.mark.parametrize("script", GALLERY, ids=lambda script: script.stem)
def test_script_runs_and_leaves_a_picture(script, run):
    """Its assertions hold, it complains about nothing, and its picture is a PNG."""
    run(script)


@pytest.mark.filterwarnings("ignore:Argument ``constant_liar`` is an experimental")  # Optuna 4.0
@pytest.mark.parametrize(
    ("name", "expected"),
    [("search_random", "on rows that no search has seen"), ("search_optuna", "after 20 trials")],
)
def test_searches(name, expected, run):
    """An example of a search ends, prints its result and leaves its picture."""
    assert expected in run(FOLDER / f"{name}.py")
