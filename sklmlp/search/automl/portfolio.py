"""The portfolio: settings that did well together on other tables, to be tried first."""

import json
from importlib.resources import files


def portfolio(task):
    """Return settings of the tabular estimators, in the order in which they are to be tried.

    `portfolio.json` beside this file has them; `benchmarks/portfolio.py` learns them. The default,
    which is to be tried first, is not among them.

    Parameters
    ----------
    task : {"classification", "regression"}
        Of a `TabularMLPClassifier` or a `TabularMLPRegressor`.

    Returns
    -------
    settings : list of dict
        What `set_params` takes.

    Examples
    --------
    >>> from sklmlp import TabularMLPClassifier
    >>> from sklmlp.search.automl.portfolio import portfolio
    >>> models = [TabularMLPClassifier(**setting) for setting in portfolio("classification")]
    >>> 8 <= len(models) <= 16
    True
    """
    known = json.loads(files("sklmlp.search.automl").joinpath("portfolio.json").read_text("utf-8"))
    tasks = [name for name, value in known.items() if isinstance(value, list)]
    if task not in tasks:
        raise ValueError(f"task={task!r} is not known. Use one of {', '.join(map(repr, tasks))}.")
    return [{name: _as_given(value) for name, value in each.items()} for each in known[task]]


def _as_given(value):
    """Return a tuple for a list: JSON has no tuples, and estimators are written with them."""
    return tuple(value) if isinstance(value, list) else value
