"""L-BFGS by the compiled engine against L-BFGS by autograd."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone
from skorch.callbacks import Callback

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.native import Plan, is_available
from sklmlp.training import Interrupt, lbfgs
from tests.training.test_same_steps import TARGETS, X

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(not is_available(), reason="the compiled engine is not built"),
]


class Caught(Exception):
    """Holds the run of a fit that is about to begin."""


@pytest.fixture
def caught(monkeypatch):
    """Return a function that gives the run of an estimator's fit, which does not begin."""

    def catch(run, interrupted):
        raise Caught(run)

    def run_of(estimator, *args):
        with monkeypatch.context() as patch:
            patch.setattr(lbfgs, "_minimise", catch)
            with pytest.raises(Caught) as error:
                estimator.fit(*args)
        return error.value.args[0]

    return run_of


LAYERS = {
    "plain": {"activation": "tanh"},
    "learned slopes": {"activation": "prelu", "hidden_layer_sizes": (40, 4)},
    "gated": {"activation": "glu"},
    "residual": {"activation": "gelu", "normalization": "layer", "residual": True},
    "no hidden layer": {"hidden_layer_sizes": ()},
}
ROWS = {"dense": np.array, "sparse": sparse.csr_array, "reversed": lambda X: X[::-1, ::-1]}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("target", "layers", "rows"),
    [
        *((target, "plain", "dense") for target in TARGETS),
        *(("multiclass", layers, "dense") for layers in LAYERS),
        *(("squared_error", "plain", rows) for rows in ROWS),
    ],
)
def test_the_compiled_objective_is_that_of_autograd(target, layers, rows, weighted, caught):
    """Loss and gradient of all rows are autograd's at any weights, whatever the network."""
    kind, options, y = TARGETS[target]
    table = ROWS[rows](np.where(np.abs(X) > 0.3, X, 0.0))
    weight = np.random.RandomState(1).randint(0, 3, len(X)) * 1.5 if weighted else None
    model = kind(hidden_layer_sizes=(8, 4), alpha=0.7, random_state=0, solver="lbfgs")
    run = caught(model.set_params(**options, **LAYERS[layers]), table, y, weight)
    interrupted = Interrupt()
    compiled = lbfgs._compiled_objective(run, interrupted)
    plain = lbfgs._torch_objective(run, interrupted)
    for seed in range(3):
        point = np.random.RandomState(seed).normal(scale=0.5, size=run.network.flat.numel())
        (loss, gradient), (expected, expected_gradient) = compiled(point), plain(point)
        assert_allclose(loss, expected, rtol=1e-12)
        scale = np.abs(expected_gradient).max()
        assert_allclose(gradient, expected_gradient, rtol=1e-10, atol=1e-12 * scale)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_compiled_fit_has_the_course_of_autograd(dtype, monkeypatch):
    """Ten iterations have autograd's losses and weights, in float64 for float32 rows too."""
    y = TARGETS["multiclass"][2]
    model = MLPClassifier((8,), "tanh", solver="lbfgs", alpha=0.1, max_iter=10, random_state=0)
    compiled, plain = clone(model), clone(model)
    compiled.fit(X.astype(dtype), y)
    monkeypatch.setattr(lbfgs, "is_compilable", lambda run: False)
    plain.fit(X.astype(dtype), y)
    courses = [[each["train_loss"] for each in one.history_] for one in (compiled, plain)]
    assert len(courses[0]) == compiled.n_iter_ == plain.n_iter_ == 10
    assert_allclose(*courses, rtol=1e-8)
    for one, other in zip(compiled.coefs_, plain.coefs_, strict=True):
        assert one.dtype == other.dtype == dtype
        assert_allclose(one, other, 1e-6, 1e-6)


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({}, "_compiled_objective"),
        ({"dtype": "float32"}, "_compiled_objective"),
        ({"n_estimators": 2}, "_compiled_objective"),
        ({"callbacks": [Callback]}, "_torch_objective"),
        ({"activation": torch.cos}, "_torch_objective"),
        ({"matmul_precision": "high"}, "_torch_objective"),
    ],
    ids=lambda each: each if isinstance(each, str) else " ".join(each) or "defaults",
)
def test_who_computes_the_objective(params, name, monkeypatch):
    """The engine computes what it knows and nobody follows; torch computes the rest."""
    made = []
    for each in (lbfgs._compiled_objective, lbfgs._torch_objective):

        def make(*args, each=each):
            made.append(each.__name__)
            return each(*args)

        monkeypatch.setattr(lbfgs, each.__name__, make)
    model = MLPClassifier((8,), solver="lbfgs", max_iter=2, random_state=0, **params)
    model.fit(X, TARGETS["binary"][2])
    assert made == [name] * model.n_estimators


def test_one_objective_is_one_sum_on_every_number_of_threads(caught, monkeypatch):
    """Threads share the rows out, and change loss and gradient by no more than rounding."""
    rows = np.tile(X, (100, 1))
    model = MLPRegressor(hidden_layer_sizes=(40, 4), solver="lbfgs", random_state=0)
    run = caught(model, rows, rows[:, 0])
    point, sums, counts = run.network.flat.detach().numpy().copy(), [], []
    compute = Plan.loss_and_gradient

    def counted(self, flat, rows, gradient, n_threads):
        counts.append(n_threads)
        return compute(self, flat, rows, gradient, n_threads)

    monkeypatch.setattr(Plan, "loss_and_gradient", counted)
    for n_threads in (1, 3):
        monkeypatch.setattr(lbfgs, "available_threads", lambda n=n_threads: n)
        sums.append(lbfgs._compiled_objective(run, Interrupt())(point))
    assert counts == [1, 3]
    for one, other in zip(*sums, strict=True):
        assert_allclose(one, other, rtol=1e-9, atol=1e-12)
