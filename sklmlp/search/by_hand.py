"""Candidates that no method proposes: shapes that people choose by hand."""

from contextlib import suppress

from sklearn.base import is_classifier

from sklmlp.search.automl.portfolio import portfolio
from sklmlp.search.suggestions import Expressed, find_network

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
        `suggest(trial)` suggests parameters. Others stay as they are, and settings with a value
        that it never suggests are left out.

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
    own, found = estimator.get_params(), []
    for setting in settings:
        setting = {f"{prefix}{name}": value for name, value in setting.items()}
        with suppress(Exception):  # of a user's function, and where no trial has a value
            suggested = suggest(Expressed({**own, **setting}))
            chosen = {name: value for name, value in setting.items() if name in suggested}
            if chosen and chosen not in found:
                found.append(chosen)
    return found
