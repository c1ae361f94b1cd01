"""Ensembles: estimators of one network each that are trained together and averaged."""

import copy
from dataclasses import replace

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from sklmlp.compat import CALLBACKS

SHARED = ("n_features_in_", "feature_names_in_", "classes_", "_targets")
"""Attributes that members share because the ensemble has learned them from X and y."""


def make_members(estimator, config, reset):
    """Pair the estimators whose networks are to be trained with their configurations.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    config : TrainingConfig
        Its parameters.
    reset : bool
        Whether the fit starts from scratch.

    Returns
    -------
    members : list of (estimator, TrainingConfig)
        The estimator itself, or those of its ensemble; these have each a `random_state`, which is
        drawn in the first fit.
    """
    if config.n_estimators == 1 and (reset or "estimators_" not in vars(estimator)):
        if reset:
            vars(estimator).pop("estimators_", None)  # of an ensemble that this was
        return [(estimator, config)]
    single = {"n_estimators": 1, "checkpoint": None}
    if reset:
        rng = check_random_state(config.random_state)
        seeds = rng.randint(np.iinfo(np.int32).max, size=config.n_estimators).tolist()
        members = [clone(estimator).set_params(**single, random_state=seed) for seed in seeds]
    elif len(getattr(estimator, "estimators_", [])) == config.n_estimators:
        members = [
            copy.copy(member) for member in estimator.estimators_
        ]  # a failed fit keeps these
        changed = estimator.get_params(deep=False) | single
        del changed["random_state"]
        for member in members:
            member.set_params(**changed)
    else:
        raise ValueError(
            f"Training cannot go on: it began with n_estimators="
            f"{len(getattr(estimator, 'estimators_', [estimator]))}, got n_estimators="
            f"{config.n_estimators}. Use warm_start=False to fit from scratch."
        )
    known = {name: value for name, value in vars(estimator).items() if name in SHARED}
    for member in members:
        vars(member).update(known)
        vars(member).pop(CALLBACKS, None)  # they are told by the ensemble
    return [(m, replace(config, **single, random_state=m.random_state)) for m in members]
