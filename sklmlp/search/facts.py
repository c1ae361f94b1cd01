"""What tells one search from another, so that a storage goes on with the same one alone."""

import re

import joblib

from sklmlp.search.suggestions import describe

SETTINGS = ("halving", "min_epochs", "factor", "batch_size", "max_parameters", "refit")
"""Parameters of a search that decide which candidates there are and which go on."""


def describe_search(search, X, y, splits, initial_params, metadata):
    """Return facts by name, each in a few words.

    Parameters
    ----------
    search : MLPSearchCV
    X, y : array-like
    splits : list of (ndarray, ndarray)
    initial_params : list of dict
    metadata : dict
        What else is given to fits and scorers.

    Returns
    -------
    facts : dict of str to str
        Of numbers and arrays a checksum.
    """
    estimator, method = search.estimator, search.method
    plain = {
        name: value
        for name, value in sorted(estimator.get_params().items())
        if not hasattr(value, "get_params")
    }
    facts = {name: getattr(search, name) for name in SETTINGS}
    facts |= {"estimator": (type(estimator).__name__, plain), "scoring": search.scoring}
    facts |= {"space": describe(search.space), "initial_params": initial_params}
    facts["method"] = method if isinstance(method, str) else type(method).__name__
    if search.random_state is not None:
        facts["random_state"] = search.random_state
    return as_facts(facts, {"X": X, "y": y, "folds": splits, "metadata": metadata})


def as_facts(settings, arrays):
    """Return the text of settings, and the checksums of arrays, by name."""
    facts = {name: re.sub(r" at 0x[0-9a-fA-F]+", "", repr(v)) for name, v in settings.items()}
    return facts | {name: joblib.hash(each) for name, each in arrays.items()}
