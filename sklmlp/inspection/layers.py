"""The layers of a fitted network, and their outputs for rows."""

import copy
from collections import OrderedDict

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklmlp.data import ConvertedRows, check_X
from sklmlp.fitted_network import VALUES_AT_A_TIME, fitted_networks, members, snapshot
from sklmlp.nn import children_by_layer
from sklmlp.prediction import PredictionMixin


def networks_of(estimator):
    """Return all fitted networks in an estimator, for what needs no layers and no rows.

    Parameters
    ----------
    estimator : estimator
        A `MLPClassifier` or `MLPRegressor`, or what ends in one: a `Pipeline`, a search (its best
        estimator), a `TransformedTargetRegressor`, a `FrozenEstimator`, or an ensemble of them.

    Returns
    -------
    networks : list of MLPClassifier or MLPRegressor
        Of an ensemble, all of its members' networks.

    Raises
    ------
    TypeError
        If there is no network in it.
    """
    networks = list(_networks_in(estimator))
    if not networks:
        raise TypeError(
            "estimator must be a MLPClassifier or MLPRegressor of sklmlp, or end in one as a "
            f"Pipeline, a search and an ensemble do, got {estimator!r}."
        )
    return networks


def _networks_in(estimator):
    if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
        return
    check_is_fitted(estimator)
    if isinstance(estimator, PredictionMixin):
        yield from members(estimator)
    elif isinstance(estimator, Pipeline):
        yield from _networks_in(estimator[-1])
    elif isinstance(estimator, FrozenEstimator):
        yield from _networks_in(estimator.estimator)
    else:
        held = [vars(estimator).get(name) for name in ("best_estimator_", "regressor_")]
        for part in [*held, *_flat(vars(estimator).get("estimators_", []))]:
            yield from _networks_in(part)


def _flat(members):
    return members.ravel() if isinstance(members, np.ndarray) else members


def one_network(estimator, any_module=False):
    """Return the fitted estimator of one network of layers that `estimator` is, or has frozen.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor or FrozenEstimator
    any_module : bool, default=False
        Whether a custom module will do, whose layers are not known.

    Returns
    -------
    estimator : MLPClassifier or MLPRegressor
        A snapshot, which later fits leave as it is.

    Raises
    ------
    TypeError
        For any other estimator.
    ValueError
        For an ensemble, and for a custom module.
    """
    if isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    if not isinstance(estimator, PredictionMixin):
        raise TypeError(
            "estimator must be a MLPClassifier or MLPRegressor of sklmlp, or a FrozenEstimator of "
            f"one, got {estimator!r}."
        )
    estimator = snapshot(estimator)
    check_is_fitted(estimator)
    if "estimators_" in vars(estimator):
        raise ValueError(
            f"estimator has {len(estimator.estimators_)} networks, and one is looked at at a time; "
            "pass one of its estimators_, such as estimators_[0]."
        )
    module = fitted_networks(estimator)[0].spec.module
    if module is not None and not any_module:
        raise ValueError(
            f"estimator has a module of its own, module={module.__name__}, whose layers are not "
            "known; look at it in torch, where it is estimator.module_."
        )
    return estimator


def rows_for(estimator, X):
    """Check rows for a fitted estimator of one network."""
    return check_X(estimator, X, fitted_networks(estimator)[0].dtype)


def layers_of(estimator, module=None):
    """Return the layers of a network in prediction, as a copy to be hooked and differentiated.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        See `one_network`.
    module : torch.nn.Sequential, default=None
        Another state of its network; None for the fitted one.

    Returns
    -------
    layers : list of torch.nn.Sequential
        An affine map and what follows it, (n, fan in) to (n, units); the last one is the output's.
    """
    module = copy.deepcopy(estimator.module_ if module is None else module).eval()
    return [nn.Sequential(OrderedDict(children)) for children in children_by_layer(module)]


def names_of(layers):
    """Return what layers are called: "hidden 0", "hidden 1" and so on, and "output"."""
    return [*(f"hidden {i}" for i in range(len(layers) - 1)), "output"]


def activation_of(layer):
    """Return the module of a layer's activation; the output layer has none."""
    for name, module in layer.named_modules():
        if name.rpartition(".")[2].startswith("activation"):
            return module
    return None


def matrices_of(layer):
    """Return a layer's weights without biases, slopes and the scales of normalizations."""
    return [p for p in layer.parameters() if p.ndim > 1]


def outputs(layers, x):
    """Compute the output of each layer for rows, (n, d): a list of (n, units)."""
    handed_on = []
    for layer in layers:
        x = layer(x)
        handed_on.append(x)
    return handed_on


def in_chunks(estimator, X):
    """Yield checked rows as tensors, so many at a time that memory is bounded."""
    network = fitted_networks(estimator)[0]
    coef = next(network.module.parameters())
    rows = ConvertedRows(X, coef.dtype, coef.device)
    size = max(1, VALUES_AT_A_TIME // max(map(max, network.spec.shapes)))
    for start in range(0, X.shape[0], size):
        yield rows.take(slice(start, start + size))


def slope(activation, z):
    """Return the derivative of an elementwise activation, by autograd; of the shape of z."""
    with torch.inference_mode(False), torch.enable_grad():
        z = z.detach().clone().requires_grad_()
        return torch.autograd.grad(activation(z).sum(), z)[0]
