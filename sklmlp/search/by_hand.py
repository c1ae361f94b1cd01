"""Candidates that no method proposes: shapes that people choose by hand."""

from sklearn.base import is_classifier

from sklmlp.search.automl.portfolio import portfolio
from sklmlp.search.suggestions import express, find_network

SHAPES = [
    *((64,), (256,), (64, 64), (128, 64), (256, 128), (256, 256)),
    *((64, 64, 64), (128, 128, 128), (256, 128, 64), (256, 256, 256)),
]
"""Hidden layers: one to three, of equal widths or halved from layer to layer."""


def by_hand(estimator, suggest):
    """Return settings for a network that are to be tried in this order.

    Parameters
    ----------
    estimator : estimator
        With one network in it.
    suggest : callable
        `suggest(trial)` suggests parameters. Settings that it never would are left out.

    Returns
    -------
    settings : list of dict
        What `estimator.set_params` takes. Of a raw table's network they are those that
        `AutoMLPClassifier` and `AutoMLPRegressor` begin with.
    """
    prefix, network = find_network(estimator)
    if "n_bins" in network.get_params(deep=False):
        settings = portfolio("classification" if is_classifier(network) else "regression")
    else:
        settings = [
            {"hidden_layer_sizes": shape, "activation": activation}
            for activation in ("relu", "tanh")
            for shape in SHAPES
        ]
    own = estimator.get_params()
    settings = [{f"{prefix}{name}": value for name, value in each.items()} for each in settings]
    return [each for each in settings if express({**own, **each}, suggest) is not None]
