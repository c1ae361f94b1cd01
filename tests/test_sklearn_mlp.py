"""scikit-learn's own tests of its multilayer perceptrons, with their import line changed."""

from pathlib import Path

import pytest
import sklearn.neural_network

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1 or larger than:UserWarning"),
]

FILE = Path(sklearn.neural_network.__file__).parent / "tests" / "test_mlp.py"
THEIR_IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor"
LEFT_OUT = {
    "test_gradient": "calls the private _loss_grad_lbfgs; tests/test_losses.py has its like",
}


def _their_tests():
    source = FILE.read_text(encoding="utf-8")
    assert source.count(THEIR_IMPORT) == 1
    source = source.replace(THEIR_IMPORT, "from sklmlp import MLPClassifier, MLPRegressor")
    module = {"__name__": __name__}
    exec(compile(source, str(FILE), "exec"), module)
    return {name: value for name, value in module.items() if name.startswith("test_")}


_tests = _their_tests()
globals().update({name: test for name, test in _tests.items() if name not in LEFT_OUT})


@pytest.fixture
def global_random_seed():
    """The seed that scikit-learn's test suite uses unless it is told another."""
    return 42


def test_little_is_left_out():
    """What is left out exists, and is a small part of scikit-learn's file."""
    assert set(LEFT_OUT) <= set(_tests)
    assert len(_tests) - len(LEFT_OUT) >= 35
