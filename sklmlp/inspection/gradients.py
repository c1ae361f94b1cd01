"""The norm of the gradient in each layer, when a fit began and at its end."""

from numbers import Integral

import numpy as np
import torch

from sklmlp import runtime
from sklmlp.compat import AnyBatchNorm
from sklmlp.data import Dataset
from sklmlp.inspection.layers import Layers
from sklmlp.prediction import encoded_rows
from sklmlp.preparation import initial_network


@torch.inference_mode(False)
def gradient_norms(estimator, X, y, module=None):
    """Compute the norm of the mean loss's gradient with respect to each layer's matrices.

    The loss is that of the fit, without the penalty `alpha`, and all rows weigh the same. Dropout
    is off, and batch normalization takes the statistics of the rows, as in training.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted, with one network.
    X, y : array-like of shape (n_samples, n_features), (n_samples,) or (n_samples, n_outputs)
    module : torch.nn.Module, default=None
        Another state of its network; None for the fitted one.

    Returns
    -------
    norms : ndarray of shape (n_layers - 1,)
        Hidden layers first, the output's last.
    """
    X, y = encoded_rows(estimator, X, y)
    network = Layers(estimator, module)
    for part in network.module.modules():
        if isinstance(part, AnyBatchNorm):
            part.train()  # before training its running statistics are not those of any rows
    spec = network.spec
    dataset = Dataset.of(X, y, None, network.dtype, network.device, spec.scaling)
    loss = spec.loss_function

    @torch.enable_grad()
    def differentiate():
        for x, target, _ in dataset.slices():
            z = network.module(x)
            z.backward(loss.gradient(z.detach(), target) / len(dataset))

    runtime.compute(differentiate, estimator.matmul_precision)
    return np.array([_norm(layer.matrices) for layer in network.layers])


def _norm(matrices):
    return float(torch.cat([p.grad.reshape(-1) for p in matrices]).norm())


def initial_module(estimator):
    """Build the network that a fit began with from the estimator's `random_state`.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted, with one network.

    Returns
    -------
    module : torch.nn.Module

    Raises
    ------
    ValueError
        If `random_state` is not an integer, which alone gives the same numbers again.
    """
    if not isinstance(estimator.random_state, Integral):
        raise ValueError(
            "The weights that the fit began with are drawn again from random_state, which must be "
            f"an integer for that; got random_state={estimator.random_state!r}."
        )
    with torch.inference_mode(False), torch.enable_grad(), runtime.neutral():
        return initial_network(estimator).module
