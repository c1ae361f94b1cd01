"""Greedy selection of an ensemble."""

import numpy as np
import pytest

from sklmlp.search.automl.ensemble import select


def against(truth):
    """A score: minus the mean squared error."""
    return lambda prediction: -np.mean((prediction - truth) ** 2)


def test_errors_that_cancel_are_chosen_together():
    """Two predictions that err to both sides alike make an ensemble of equal parts."""
    truth = np.zeros(4)
    predictions = [np.full(4, 1.0), np.full(4, -1.0), np.full(4, 5.0)]
    counts = select(predictions, against(truth), 10)
    assert counts[2] == 0
    assert counts[0] == counts[1] > 0


def test_the_best_alone_is_an_ensemble_of_one():
    """What no other prediction helps is chosen once."""
    truth = np.arange(3.0)
    np.testing.assert_array_equal(
        select([truth, truth + 1, truth + 2], against(truth), 5), [1, 0, 0]
    )


@pytest.mark.parametrize("seed", range(5))
def test_no_step_is_worse_than_any_other_would_have_been(seed):
    """Of two members it finds the best pair that has the best candidate in it, by trying all."""
    rng = np.random.default_rng(seed)
    truth, predictions = rng.normal(size=20), list(rng.normal(size=(6, 20)))
    score = against(truth)
    first = max(range(6), key=lambda k: score(predictions[k]))
    pairs = [score((predictions[first] + each) / 2) for each in predictions]
    counts = select(predictions, score, 2)
    found = score(sum(c * p for c, p in zip(counts, predictions, strict=True)) / counts.sum())
    assert found == pytest.approx(max(*pairs, score(predictions[first])))
    assert counts.sum() <= 2
