"""Ensembles: estimators of one network each that are trained together and averaged."""

import copy
from dataclasses import replace

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from sklmlp.compat import CALLBACKS
from sklmlp.prediction import LAYER_ATTRIBUTES, SINGLE_NETWORK_ATTRIBUTES

SHARED = ("n_features_in_", "feature_names_in_", "classes_", "_targets")
"""What members know because the ensemble has learnt it from X and y."""


class EnsembleMixin:
    """Make the members of an ensemble before a fit, and take their place after it."""

    def _make_members(self, config, reset):
        """Pair the estimators whose networks are to be trained with their configurations.

        They are this estimator itself, or an ensemble's. Each member has a `random_state` of its
        own, drawn in the first fit.
        """
        if config.n_estimators == 1 and (reset or "estimators_" not in vars(self)):
            if reset:
                vars(self).pop("estimators_", None)  # of an ensemble that this was
            return [(self, config)]
        single = {"n_estimators": 1, "checkpoint": None}
        if reset:
            rng = check_random_state(config.random_state)
            seeds = rng.randint(np.iinfo(np.int32).max, size=config.n_estimators).tolist()
            members = [clone(self).set_params(**single, random_state=seed) for seed in seeds]
        elif len(getattr(self, "estimators_", [])) == config.n_estimators:
            members = [copy.copy(member) for member in self.estimators_]  # a failed fit keeps these
            changed = self.get_params(deep=False) | single
            del changed["random_state"]
            for member in members:
                member.set_params(**changed)
        else:
            raise ValueError(
                f"Training cannot go on: it began with n_estimators="
                f"{len(getattr(self, 'estimators_', [self]))}, got n_estimators="
                f"{config.n_estimators}. Use warm_start=False to fit anew."
            )
        known = {name: value for name, value in vars(self).items() if name in SHARED}
        for member in members:
            vars(member).update(known)
            vars(member).pop(CALLBACKS, None)  # they are told by the ensemble
        return [(m, replace(config, **single, random_state=m.random_state)) for m in members]

    def _set_ensemble(self, members):
        """Swap in the networks of an ensemble, in place of an earlier fit's single one."""
        for name in (*SINGLE_NETWORK_ATTRIBUTES, *LAYER_ATTRIBUTES):
            vars(self).pop(name, None)
        self.estimators_ = members
        self.n_iter_ = max(member.n_iter_ for member in members)
        self.t_ = members[0].t_
        self._keep_shape(members[0]._spec, members[0]._device)
