"""From the arguments of a fit to training runs: members, checked data, networks and scoring."""

import copy
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state

from sklmlp.callbacks import SkorchCallback, TrainingCallback
from sklmlp.compat import CALLBACKS
from sklmlp.config import TrainingConfig, check_range
from sklmlp.data import (
    Dataset,
    as_tensor,
    check_limits,
    check_same_length,
    check_sample_weight,
    check_split,
    check_X,
    check_y,
    input_dtype,
)
from sklmlp.fitted_network import fitted_networks
from sklmlp.nn import Spec, build_network, check_trainable, dropout_rates, resolve
from sklmlp.runtime import computing_dtype, resolve_device, resolve_dtype
from sklmlp.training import (
    StoppingState,
    Subset,
    TrainingRun,
    TrainingState,
    check_validation_data,
    make_judges,
    split_rows,
)


@dataclass(frozen=True)
class FitData:
    """The data of a fit, checked and on the device.

    Parameters
    ----------
    rows : Subset
        To train on, or to split where early stopping is not given validation rows.
    held_out : Subset or None
        The user's validation rows.
    dtype : numpy.dtype
        Of the weights that are learned.
    """

    rows: Subset
    held_out: Subset | None
    dtype: np.dtype

    def arrays(self):
        """Return the checked arrays by name, as a checkpoint tells one fit from another."""
        parts = {"": self.rows, "_val": self.held_out}
        arrays = {}
        for suffix, part in parts.items():
            if part is not None:
                weight = part.dataset.weight
                arrays |= {f"X{suffix}": part.X, f"y{suffix}": part.y}
                arrays[f"sample_weight{suffix}"] = weight
        return arrays


class PreparationMixin:
    """Check the data of a fit, and prepare the training of its networks."""

    def _check_data(self, config, X, y, sample_weight, validation_data, reset, incremental):
        """Check the data of a fit, and put it on the device: a `FitData`."""
        X, y = self._validate(X, y, reset, incremental)
        sample_weight = check_sample_weight(sample_weight, X.shape[0])
        device = resolve_device(config.device)
        # a fit that goes on keeps its dtype
        dtype = resolve_dtype(config.dtype, X.dtype, device) if reset else self._weights_dtype
        computing = computing_dtype(dtype, config, device)
        weight = self._weights(y, sample_weight, computing)
        # as the rows of a partial fit: of the names, width and labels that are known
        check = partial(self._validate, reset=False, incremental=True, names=("X_val", "y_val"))
        has_names = hasattr(self, "feature_names_in_")
        held_out = check_validation_data(
            validation_data, y, config.early_stopping, check, has_names
        )
        check_range(config, computing, weight)
        scaling = self._target_scaling(y, weight, reset)

        def on_device(X, y, weight):
            dataset = Dataset.of(X, self._encode(y), weight, computing, device, scaling)
            self._check_range(y, dataset.y)
            return Subset(dataset, X, y)

        rows = on_device(X, y, weight)
        if held_out is not None:
            X_val, y_val, weight_val = held_out
            weight_val = self._weights(
                y_val, weight_val, computing, "sample_weight_val", learn_from=(y, sample_weight)
            )
            held_out = on_device(X_val, y_val, weight_val)
        return FitData(rows, held_out, dtype)

    def _validate_X_y(self, X, y, reset, names):
        computed_in = np.float64 if self.dtype == "auto" else self.dtype
        X = check_X(self, X, computed_in, input_dtype(X, self.dtype), reset, names[0])
        y = check_y(self, y, names[1])
        check_same_length(X, y, names)
        return X, y

    def _weights(self, y, sample_weight, dtype, name="sample_weight", learn_from=None):
        """Multiply weights of samples and of classes, checked for the computing dtype."""
        weight = self._apply_class_weight(y, sample_weight, learn_from)
        if weight is not sample_weight:
            times = "" if sample_weight is None else f" times {name}"
            name = f"class_weight={self.class_weight!r}{times}"
        check_limits(weight, dtype, name)
        return weight

    def _prepare_runs(self, members, data, reset, incremental):
        """Make the training of each member's network, ready to start."""
        config, dataset = members[0][1], data.rows.dataset
        n_features, n_outputs = data.rows.X.shape[1], self._count_outputs(data.rows.y)
        spec = self._build_spec(config, n_features, n_outputs, dataset.scaling)
        names = [""]
        if len(members) > 1:
            names = [f", network {k} of {len(members)}" for k in range(1, len(members) + 1)]
        return [
            member._prepare_run(config, spec, data, reset, incremental, name)
            for (member, config), name in zip(members, names, strict=True)
        ]

    def _prepare_run(self, config, spec, data, reset, incremental, name=""):
        training, held_out = data.rows, data.held_out
        dataset, rng = training.dataset, check_random_state(config.random_state)
        weights, stopping = None, StoppingState()
        if not reset:
            weights, stopping = self._earlier_weights(spec), self._earlier_stopping()
        device = dataset.y.device
        network = build_network(spec, config, rng, data.dtype, dataset.dtype, device, weights)
        check_trainable(network, config, dataset.rows)
        state, judges = TrainingState(rng, stopping), {}
        if config.is_stochastic:
            state.optimizer = self._make_optimizer(network, config, incremental)
            if config.early_stopping:
                training, held_out = self._hold_out(config, data, rng)
                judges = make_judges(
                    training,
                    held_out,
                    rng,
                    scoring=config.scoring,
                    stops_by_loss=spec.loss_function.stops_by_loss,
                    encode=self._encode,
                    score_logits=self._score_logits,
                    current_model=partial(self._current_model, dtype=data.dtype),
                    targets=getattr(self, "_class_targets", None),
                )
            # the rows seen so far: calls of partial_fit are not to repeat each other's draws
            network.seed(lambda: rng.randint(np.iinfo(np.int32).max) + stopping.n_rows_seen)
        callback = TrainingCallback()
        if config.callbacks:
            decode = partial(self._decode_logits, loss=spec.loss_function)
            classes, held_out = getattr(self, "classes_", None), held_out and held_out.rows()
            callback = SkorchCallback(
                config, network, state, decode, classes, training.rows(), held_out
            )
        return TrainingRun(
            config=config,
            network=network,
            dataset=training.dataset,
            state=state,
            **judges,
            callback=callback,
            epoch_offset=len(stopping.loss_curve) if incremental else 0,
            is_one_epoch=incremental,
            name=name,
        )

    def _hold_out(self, config, data, rng):
        """Return the rows to train on, and those that early stopping looks at."""
        if data.held_out is not None:
            return data.rows, data.held_out
        y = data.rows.y
        parts = split_rows(y.shape[0], config.validation_fraction, self._stratification(y), rng)
        training, held_out = map(data.rows.take, parts)
        check_split(training.dataset.weights(), held_out.dataset.weights())
        return training, held_out

    def _build_spec(self, config, n_features, n_outputs, scaling=None):
        """Describe the network: all that is to be known but its numbers."""
        hidden = () if config.module else config.hidden_layer_sizes
        loss, loss_params = self._loss_and_params()
        return Spec(
            n_features=n_features,
            n_outputs=n_outputs,
            hidden=hidden,
            activations=() if config.module else tuple(resolve(config.activation, len(hidden))),
            loss=loss,
            loss_params=loss_params,
            dropout=() if config.module else dropout_rates(config.dropout, len(hidden)),
            normalization=config.normalization,
            residual=config.residual,
            module=config.module,
            module_params=dict(config.module_params or {}),
            scaling=scaling,
        )


def initial_network(estimator):
    """Build the network that the fit of an estimator began with, from its `random_state`.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted, with one network and an integer as `random_state`.

    Returns
    -------
    network : Network
    """
    config, fitted = TrainingConfig.from_estimator(estimator), fitted_networks(estimator)[0]
    spec = estimator._build_spec(config, fitted.spec.n_features, fitted.spec.n_outputs)
    rng, of_torch = check_random_state(config.random_state), as_tensor(np.empty(0, fitted.dtype))
    return build_network(spec, config, rng, fitted.dtype, of_torch.dtype, fitted.device)


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
