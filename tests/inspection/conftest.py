"""What the tests of the room share: a table, and figures that are closed."""

import matplotlib.pyplot
import numpy as np
import pytest
from sklearn.datasets import load_digits

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    """Close what a test has drawn."""
    yield
    matplotlib.pyplot.close("all")


@pytest.fixture(scope="session")
def digits():
    """Some handwritten digits, scaled to [0, 1]."""
    X, y = load_digits(return_X_y=True)
    return X[:300] / 16, np.array(list("abcdefghij"))[y[:300]]
