"""Temperature scaling."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import softmax
from sklearn.metrics import log_loss

from sklmlp.tabular.calibration import SHRINKAGE, learn_temperature, tempered


def make_rows(n, temperature):
    """Probabilities that are too sure by a factor of logits, and classes."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, 3)) * 2
    index = (softmax(z, axis=1).cumsum(axis=1) < rng.uniform(size=(n, 1))).sum(axis=1)
    return softmax(z * temperature, axis=1), index


def test_tempered_divides_logits():
    """Of two classes and of three; what is certain stays finite."""
    z = np.array([[1.0, -2, 0.5], [3, 3, -800]])
    assert_allclose(tempered(softmax(z, axis=1), 2.0)[0], softmax(z / 2, axis=1)[0])
    assert_allclose(tempered(softmax(z, axis=1), 2.0).sum(axis=1), 1)
    assert tempered(z, 1.0) is z


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_the_temperature_is_found(temperature):
    """Of many rows, up to how few rows are discounted; it never makes probabilities more sure."""
    n = 20_000
    found = learn_temperature(*make_rows(n, temperature))
    expected = max(0, np.log(temperature)) * n / (n + SHRINKAGE)
    assert np.log(found) == pytest.approx(expected, abs=0.05)


def test_held_out_rows_are_never_worse_for_it():
    """Between no temperature and the best one the loss falls."""
    for n in (5, 50, 500):
        probability, index = make_rows(n, 1.7)
        calibrated = tempered(probability, learn_temperature(probability, index))
        labels = [0, 1, 2]
        assert log_loss(index, calibrated, labels=labels) <= log_loss(
            index, probability, labels=labels
        )


def test_weights_count_as_repeated_rows():
    """A row of weight three is as three rows, but for how many rows there are."""
    probability, index = make_rows(400, 1.5)
    weight = np.arange(400) % 3
    repeated = np.repeat(np.arange(400), weight)
    weighted = np.log(learn_temperature(probability, index, weight))
    plain = np.log(learn_temperature(probability[repeated], index[repeated]))
    n, n_repeated = np.count_nonzero(weight), len(repeated)
    shares = [m / (m + SHRINKAGE) for m in (n, n_repeated)]
    assert weighted / shares[0] == pytest.approx(plain / shares[1], abs=1e-3)
