"""What skrub makes of a table is a table for the encoder, and so is a table before skrub."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sklmlp import MLPClassifier, TableEncoder

skrub = pytest.importorskip("skrub")

N = 200
NETWORK = MLPClassifier((8,), solver="lbfgs", alpha=1.0, max_iter=2000, random_state=0)


@pytest.fixture(scope="module")
def visits():
    """Numbers with gaps, words, a date and long text, of which the date and the plan tell."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "age": np.where(rng.random(N) < 0.1, np.nan, rng.normal(40, 10, N)),
            "plan": rng.choice(["basic", "plus", "pro"], N),
            "since": pd.date_range("2020-01-01", periods=N, freq="17h"),
            "note": [f"number {i}: {rng.choice(['red', 'blue'])}" for i in range(N)],
        }
    )
    y = np.where((X["plan"] == "pro") ^ (X["since"].dt.month > 2), "stays", "leaves")
    return X, y


def test_the_error_names_a_way_that_works(visits):
    """Dates and long text are refused with a pipeline that takes them, and it does."""
    X, y = visits
    with pytest.raises(ValueError, match=r"make_pipeline\(skrub.TableVectorizer\(\), TableEnc"):
        TableEncoder().fit(X, y)
    for name in ("TableVectorizer", "DatetimeEncoder", "StringEncoder"):
        assert hasattr(skrub, name)
    model = make_pipeline(skrub.TableVectorizer(), TableEncoder(random_state=0), NETWORK)
    assert model.fit(X, y).score(X, y) > 0.9
    assert {"age", "missingindicator_age", "since_month"} <= set(model[1].get_feature_names_out())


def test_categories_of_skrub(visits):
    """Columns that skrub leaves as categories are one-hot columns and target encodings."""
    X, y = visits
    table = skrub.TableVectorizer(low_cardinality=skrub.ToCategorical())
    model = make_pipeline(table, TableEncoder(random_state=0), NETWORK).fit(X, y)
    names = model[1].get_feature_names_out()
    assert {"plan_target", "plan_basic", "plan_plus", "plan_pro"} <= set(names)
    assert model.score(X, y) > 0.9


def test_tabular_pipeline(visits):
    """skrub's own pipeline takes an encoder and a network for its predictor."""
    X, y = visits
    model = skrub.tabular_pipeline(make_pipeline(TableEncoder(random_state=0), NETWORK))
    assert model.fit(X, y).score(X, y) > 0.9
