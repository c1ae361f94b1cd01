"""Encoded tables that are remembered: the same numbers, made once."""

import pickle

import numpy as np
import pytest

from sklmlp import TableEncoder, TabularMLPClassifier
from sklmlp.tabular.encodings import Encodings, use_encodings


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    return X[:40].copy(), X[40:].copy(), (X[:40, 0] > 0).astype(int), (X[40:, 0] > 0).astype(int)


@pytest.fixture
def count(monkeypatch):
    """How often a table was encoded, by method."""
    calls = {"fit_transform": 0, "transform": 0}
    for name in calls:
        method = getattr(TableEncoder, name)

        def counting(self, *args, _name=name, _method=method):
            calls[_name] += 1
            return _method(self, *args)

        monkeypatch.setattr(TableEncoder, name, counting)
    return calls


def fit(table, seed=0):
    X, X_val, y, y_val = table
    model = TabularMLPClassifier(8, n_bins=4, max_iter=2, random_state=seed)
    return model.fit(X, y, X_val=X_val, y_val=y_val)


def test_fits_to_the_same_rows_encode_them_once(table, count):
    """A second fit with the same encoder finds the table, and comes out the same."""
    alone = fit(table)
    count.update(fit_transform=0, transform=0)
    with use_encodings(Encodings()):
        fits = [fit(table), fit(table)]
        fits[1].predict_proba(table[1])
    assert count == {"fit_transform": 1, "transform": 1}
    for each in fits:
        np.testing.assert_array_equal(each.predict_proba(table[1]), alone.predict_proba(table[1]))


def test_other_encoders_and_other_tables_are_encoded(table, count):
    """What is remembered is told by the table and by the encoder's parameters."""
    with use_encodings(Encodings()):
        fit(table)
        fit(table, seed=1)
        fit([each.copy() for each in table])
    assert count == {"fit_transform": 3, "transform": 3}


def test_what_does_not_fit_in_is_not_kept(table, count):
    """Memory has a bound."""
    with use_encodings(Encodings(most_bytes=0)):
        fit(table)
        fit(table)
    assert count["fit_transform"] == 2


def test_another_process_begins_anew():
    """Encoded tables do not travel."""
    known = Encodings()
    known.bytes_left = 0
    assert pickle.loads(pickle.dumps(known)).bytes_left > 0
