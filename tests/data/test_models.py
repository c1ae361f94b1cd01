"""Models that each released version wrote are read, and predict what they predicted then."""

import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, InconsistentVersionWarning

import sklmlp
from sklmlp.io import load_skops
from sklmlp.io.state import FORMAT
from tests.data.write_models import MODELS, models, predictions, write

# NumPy 1.25 and before cannot read pickles of NumPy 2, whoever wrote them
FORMATS = {"skops": load_skops} | ({"joblib": joblib.load} if hasattr(np, "_core") else {})
FILES = [path for kind in FORMATS for path in sorted(MODELS.glob(f"*/*.{kind}"))]


@pytest.fixture(autouse=True)
def other_versions():
    """Allow what a file of another version warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        warnings.filterwarnings("ignore", "Trying to unpickle estimator MLP")
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def test_every_release_has_its_models():
    """There are files of each kind of model for the version and the format of today, too."""
    assert (MODELS / f"{sklmlp.__version__}-format-{FORMAT}").is_dir()
    for folder in MODELS.iterdir():
        for kind in ("skops", "joblib", "npz"):
            assert {path.stem for path in folder.glob(f"*.{kind}")} == set(models())


@pytest.mark.parametrize("path", FILES, ids=lambda path: "-".join(path.parts[-2:]))
def test_a_model_answers_what_it_answered(path):
    """A file's model gives the labels and, to rounding, the numbers of the day it was written."""
    model = FORMATS[path.suffix[1:]](path)
    with np.load(path.with_suffix(".npz")) as expected:
        got = predictions(model, expected["X"])
        assert set(got) == set(expected) - {"X", "y"}
        for method, prediction in got.items():
            assert prediction.dtype == expected[method].dtype
            if prediction.dtype.kind == "f":
                assert_allclose(prediction, expected[method], rtol=1e-5, atol=1e-7)
            else:
                assert_array_equal(prediction, expected[method])


@pytest.mark.parametrize("path", FILES, ids=lambda path: "-".join(path.parts[-2:]))
def test_a_model_can_go_on(path):
    """A file's model is a fitted estimator like any other: it learns on and is fitted again."""
    if path.stem == "pipeline":
        model = FORMATS[path.suffix[1:]](path)[-1]
    else:
        model = FORMATS[path.suffix[1:]](path)
    with np.load(path.with_suffix(".npz")) as table:
        X, y = table["X"], table["y"]
    if path.stem == "incremental":
        n_steps = model._optimizer["t"]
        assert model.partial_fit(X, y)._optimizer["t"] == n_steps + 1
    assert_array_equal(clone(model).fit(X, y).predict(X), model.fit(X, y).predict(X))


def test_the_files_are_made_as_they_say(tmp_path):
    """What writes the files writes files that are read."""
    write(tmp_path / "now")
    for path in sorted((tmp_path / "now").glob("*.skops")):
        with np.load(path.with_suffix(".npz")) as expected:
            assert_array_equal(load_skops(path).predict(expected["X"]), expected["predict"])
