"""Gradients of bounded length, against `torch.nn.utils.clip_grad_norm_`."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sklmlp.training.steps.base import bounds_of_norms, clip
from tests.optim.plain_torch import PARAMS, X, Y, adamw, assert_trains_as_torch, sgd
from tests.tables import make

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("activation", ["tanh", "prelu"])  # by hand, and by autograd
@pytest.mark.parametrize("solver", ["sgd", "adamw"])
@pytest.mark.parametrize("bound", [0.2, 1.0])
def test_fits_clip_as_torch_does(bound, solver, activation):
    """Ten steps are those of plain torch with its clipping, the penalty's gradient included."""
    optimizers = {"sgd": sgd, "adamw": adamw}
    params = {"activation": activation, "solver": solver, "max_grad_norm": bound}
    assert_trains_as_torch(optimizers[solver], max_norm=bound, **params)


def test_short_gradients_stay_as_they_are():
    """A bound that no gradient reaches changes no number; one that they reach does."""
    free = make("regressions", **PARAMS, solver="sgd").fit(X, Y)
    bounded = make("regressions", **PARAMS, solver="sgd", max_grad_norm=1e6).fit(X, Y)
    assert_array_equal(bounded.coefs_[0], free.coefs_[0])
    tight = make("regressions", **PARAMS, solver="sgd", max_grad_norm=0.01).fit(X, Y)
    assert (tight.coefs_[0] != free.coefs_[0]).any()


def test_each_network_of_a_stack_by_its_own_norm():
    """Each row is clipped by its own bound, or by none."""
    bounds = [0.5, None, 100.0, 2.0, 1.0]
    gradient = torch.from_numpy(np.random.default_rng(0).normal(size=(5, 30)))
    gradient[4] = 0.0
    expected = gradient.clone()
    for row, bound in zip(expected, bounds, strict=True):
        parameter = torch.zeros(30, dtype=torch.float64, requires_grad=True)
        parameter.grad = row
        torch.nn.utils.clip_grad_norm_([parameter], np.inf if bound is None else bound)
    clip(gradient, bounds_of_norms(bounds, gradient))
    assert_allclose(gradient.numpy(), expected.numpy(), rtol=1e-12)
