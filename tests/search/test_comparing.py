"""The table of methods: what is in it is what each search has found."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris

from sklmlp import MLPClassifier, MLPSearchCV
from sklmlp.search import compare_methods
from sklmlp.search.comparing import COMPARED
from sklmlp.search.evaluation import seed_random_states
from sklmlp.search.samplers import METHODS

X, y = load_iris(return_X_y=True)
TRAINING, TEST = (X[::2], y[::2]), (X[1::2], y[1::2])

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def compare(methods, **params):
    model = MLPClassifier(8, batch_size=25, max_iter=5, learning_rate_init=0.02)
    options = {"n_trials": 5, "n_repeats": 2, "cv": 2, "max_parameters": 20_000, **params}
    return model, compare_methods(model, *TRAINING, methods, X_test=TEST[0], y_test=TEST[1],
                                  **options)  # fmt: skip


def test_a_row_is_what_searches_have_found():
    """Scores and sizes are those of the same searches, one by one."""
    model, table = compare(["tpe"])
    assert list(table.index) == ["default", "random", "tpe"]
    assert list(table["family"]) == ["manual", "RS", "SMBO"]
    assert list(table["trials"]) == [1, 5, 5] and (table["cores"] == 1).all()
    seeded = {seed: clone(model) for seed in (0, 1)}
    for seed, each in seeded.items():
        seed_random_states(each, [seed])
    searches = [
        MLPSearchCV(
            *(seeded[seed], "architecture"), method="tpe", n_trials=5, cv=2, max_parameters=20_000,
            random_state=seed,
        ).fit(*TRAINING)
        for seed in (0, 1)
    ]  # fmt: skip
    scores = [search.score(*TEST) for search in searches]
    sizes = [search.cv_results_["n_parameters"][search.best_index_] for search in searches]
    row = table.loc["tpe"]
    assert row["test_score"] == np.mean(scores) and row["spread"] == np.std(scores)
    assert row["parameters"] == round(np.mean(sizes))
    assert row["seconds"] > 0 and np.isnan(row["kendall_tau"])


def test_all_are_the_families_of_the_survey():
    """Every family is there but grids, manual design and random search in front."""
    families = {METHODS[name].family for name in COMPARED}
    assert families == {method.family for method in METHODS.values()} - {"grid"}
    assert COMPARED[0] == "default" and "random" in COMPARED


def test_unknown_methods_are_refused_before_any_search():
    """A name that is none is an error at once."""
    with pytest.raises(ValueError, match=r"method='evolutoin' is not known.*evolution"):
        compare(["default", "evolutoin"])
