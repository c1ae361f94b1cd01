"""The picture of a table of methods has its numbers."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sklmlp.inspection import MethodComparisonDisplay
from sklmlp.inspection.method_comparison import apart

TABLE = pd.DataFrame(
    {
        "family": ["manual", "RS", "EA", "EA + RL", "RL, shared weights"],
        "test_score": [0.9, 0.92, 0.95, 0.96, 0.93],
        "spread": [0.0, 0.01, 0.02, 0.01, 0.03],
        "seconds": [0.5, 10.0, 11.0, 12.0, 5.0],
    },
    index=["default", "random", "evolution", "renas", "enas"],
)


def test_points_are_the_rows():
    """Each method is at its seconds and its score, with its name, in the colour of its family."""
    display = MethodComparisonDisplay.from_table(TABLE)
    labels = {label.get_text(): label.xy for label in display.labels_}
    for name, row in TABLE.iterrows():
        assert labels[name] == (row["seconds"], row["test_score"])
    groups = {each.get_label(): each for each in display.points_}
    assert list(groups) == ["manual", "RS", "EA", "RL"]
    line, _, (bars,) = groups["EA"]
    assert_allclose(line.get_data(), [[11, 12], [0.95, 0.96]])
    assert_allclose([np.ptp(segment[:, 1]) for segment in bars.get_segments()], [0.04, 0.02])
    assert display.ax_.get_xscale() == "log"


def test_other_tables_are_refused():
    """The error names the column that is missing."""
    with pytest.raises(ValueError, match="no column 'spread'"):
        MethodComparisonDisplay.from_table(TABLE.drop(columns="spread"))


@pytest.mark.parametrize("heights", [[0.9, 0.89, 0.88, 0.2], [0.05, 0.04, 0.03], [0.5] * 18])
def test_words_are_apart(heights):
    """They keep their order, and are as far apart as there is room for."""
    moved = apart(np.array(heights))
    assert (np.diff(moved) <= -0.0519).all() and moved.min() >= -1e-9 and moved.max() <= 1 + 1e-9
    assert_allclose(apart(np.array([0.9, 0.5, 0.1])), [0.9, 0.5, 0.1])
