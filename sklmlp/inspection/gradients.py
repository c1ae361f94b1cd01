"""The norm of the gradient in each layer, when a fit began and at its end."""

import copy
from numbers import Integral

import numpy as np
import torch
from sklearn.base import clone, is_classifier
from skorch.callbacks import Callback

from sklmlp import runtime
from sklmlp.compat import AnyBatchNorm
from sklmlp.data import Dataset, as_tensor, rows_of
from sklmlp.inspection.layers import Layers
from sklmlp.prediction import encoded_rows


@torch.inference_mode(False)
def gradient_norms(estimator, X, y, module=None):
    """The norm of the mean loss's gradient with respect to each layer's matrices.

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
    table = _table(X, y, network)
    loss = network.spec.loss_function

    @torch.enable_grad()
    def differentiate():
        for x, target, _ in table.slices():
            z = network.module(x)
            z.backward(loss.gradient(z.detach(), target) / len(table))

    runtime.compute(differentiate, estimator.matmul_precision)
    return np.array([_norm(layer.matrices) for layer in network.layers])


def _table(X, y, network):
    scaling = network.spec.scaling
    target = as_tensor(y if scaling is None else scaling.encode(y))
    is_index = target.dtype == torch.int64 and target.ndim == 1
    target = target.to(network.device, None if is_index else network.dtype)
    return Dataset(rows_of(X, network.dtype, network.device), target)


def _norm(matrices):
    return float(torch.cat([p.grad.reshape(-1) for p in matrices]).norm())


def initial_module(estimator, X, y):
    """The network that a fit began with, drawn again from the estimator's `random_state`.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted, with one network.
    X, y : array-like of shape (n_samples, n_features), (n_samples,) or (n_samples, n_outputs)

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
    begin = _EndAtTheBegin()
    # what is drawn before the weights does not depend on any of these
    twin = clone(estimator).set_params(
        solver="adam", solver_params=None, learning_rate="constant", warmup_fraction=0.0,
        early_stopping=False, scoring=None, n_estimators=1, verbose=False, callbacks=[begin],
    )  # fmt: skip
    try:
        if is_classifier(estimator):  # with all classes, also those that y lacks
            twin.set_params(class_weight=None, stratify=False).partial_fit(
                X, y, classes=estimator.classes_
            )
        else:
            twin.partial_fit(X, y)
    except _Begun:
        return begin.module


class _Begun(Exception):
    """Training is about to begin."""


class _EndAtTheBegin(Callback):
    """Takes a copy of a network before its first step, and ends the fit there."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Called by skorch when weights have been drawn."""
        self.module = copy.deepcopy(net.module_)
        raise _Begun
