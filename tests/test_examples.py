"""The examples run: each proves what it claims, without warnings, and leaves its picture."""

import runpy
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "examples"
GALLERY = sorted(FOLDER.glob("plot_*.py"))


def axes_of(picture, figure):
    """The part of a saved figure in which each of its axes is."""
    height, width = picture.shape[:2]
    for ax in figure.axes:
        (left, bottom), (right, top) = figure.transFigure.inverted().transform(
            ax.get_window_extent()
        )
        rows = slice(round((1 - top) * height), round((1 - bottom) * height))
        yield picture[rows, round(left * width) : round(right * width)]


def coloured(picture):
    """The share of pixels with a colour: frames, ticks and words are grey."""
    return (np.ptp(picture[..., :3], axis=-1) > 0.1).mean()


def test_empty_axes_have_no_colour(tmp_path):
    """Each of several axes is looked at by itself, and what is drawn in one is found there."""
    figure, axes = plt.subplots(1, 3, layout="constrained")
    axes[1].plot([0, 1], [0, 1], label="a line")
    figure.suptitle("words")
    figure.savefig(tmp_path / "figure.png", dpi=150)
    picture = plt.imread(tmp_path / "figure.png")
    shares = [coloured(part) for part in axes_of(picture, figure)]
    plt.close(figure)
    assert shares[0] == shares[2] == 0 and shares[1] > 0.002


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
        picture = plt.imread(tmp_path / f"{script.stem}.png", format="png")
        shares = [coloured(part) for part in axes_of(picture, plt.gcf())]
        assert shares and min(shares) > 0.002, shares
        return printed.out

    yield run
    plt.close("all")
    plt.switch_backend(backend)


@pytest.mark.parametrize("script", GALLERY, ids=lambda script: script.stem)
def test_script_runs_and_leaves_a_picture(script, run, monkeypatch):
    """Its assertions hold, it complains about nothing, and its picture is a PNG."""
    few = [
        "default",
        "random",
        "qmc",
        "random-shared",
        "evolution",
        "reinforce",
        "tpe",
    ]  # of methods, which take a minute
    monkeypatch.setattr("sklmlp.search.comparing.COMPARED", few)
    run(script)


@pytest.mark.filterwarnings("ignore:Argument ``constant_liar`` is an experimental")  # Optuna 4.0
@pytest.mark.parametrize(
    ("name", "expected"),
    [("search_random", "on rows that no search has seen"), ("search_optuna", "after 20 trials")],
)
def test_searches(name, expected, run):
    """An example of a search ends, prints its result and leaves its picture."""
    assert expected in run(FOLDER / f"{name}.py")
