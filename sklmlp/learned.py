"""From a training run to fitted attributes, and back for a fit that goes on."""

import copy
from dataclasses import replace

import numpy as np

from sklmlp.compat import CALLBACKS
from sklmlp.failures import hint_of_targets, learning_rate_hint
from sklmlp.nn import Weights, check_same_layers
from sklmlp.optim import make_optimizer, optimizer_state, restore_optimizer
from sklmlp.prediction import LAYER_ATTRIBUTES, SINGLE_NETWORK_ATTRIBUTES
from sklmlp.training import StoppingState

OF_SHAPE = ("n_layers_", "n_outputs_", "out_activation_", "_device")


class LearnedMixin:
    """Store the results of a fit, and give them to the next one."""

    def _store(self, members, runs, dtype):
        """Swap in what the networks have learned, of this estimator or of its members."""
        for member, run in zip(members, runs, strict=True):
            member._store_results(run, dtype)
        if len(members) == 1:
            return
        for name in (*SINGLE_NETWORK_ATTRIBUTES, *LAYER_ATTRIBUTES):  # an earlier fit's
            vars(self).pop(name, None)
        self.estimators_ = members
        self.n_iter_ = max(member.n_iter_ for member in members)
        self.t_ = members[0].t_
        self._keep_shape(members[0]._spec, members[0]._device)

    def _store_results(self, run, dtype):
        """Swap in what a run has learned; weights have a NumPy dtype."""
        network, stopping, config = run.network, run.state.stopping, run.config
        weights = network.weights(dtype)
        if not network.is_finite(weights):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                f"values and need to be preprocessed. {learning_rate_hint(config)}"
                f"{hint_of_targets(run)}"
            )
        self._set_network(weights, network)
        self.loss_, self.history_ = run.outcome.final_loss, stopping.history
        self.n_iter_, self.t_ = stopping.n_iter, stopping.n_rows_seen
        if config.is_stochastic:
            self.loss_curve_, self.best_loss_ = stopping.loss_curve, stopping.best_loss
            self.validation_scores_ = stopping.validation_scores
            self.best_validation_score_ = stopping.best_validation_score
            self._no_improvement_count = stopping.no_improvement
            self._optimizer = optimizer_state(run.state.optimizer)
            self._partly_fitted = run.is_one_epoch

    def _set_network(self, weights, network):
        """Take over what predicting needs of a network."""
        for name in (*LAYER_ATTRIBUTES, "_module_seed", "estimators_"):  # an earlier fit's
            vars(self).pop(name, None)
        if network.spec.module is None:
            self.coefs_, self.intercepts_ = weights.coefs, weights.intercepts
        else:
            self._module_seed = weights.module_seed
        self._spec, self._state = network.spec.without_arrays(), weights.state
        self._keep_shape(network.spec, network.flat.device)

    def _keep_shape(self, spec, device):
        if spec.module is None:
            self.n_layers_ = len(spec.hidden) + 2
        self.n_outputs_, self.out_activation_ = spec.n_outputs, spec.out_activation
        self._device = str(device)

    def _earlier_weights(self, spec):
        """Return the weights to go on from."""
        by_hand = replace(spec, normalization=None, residual=False, module=None)
        check_same_layers(vars(self).get("_spec", by_hand), spec)
        coefs, intercepts = self._layers()
        got = [np.shape(coef) for coef in coefs]
        if got != spec.shapes:
            raise ValueError(
                f"Training cannot go on: coefs_ has the shapes {got}, and hidden_layer_sizes="
                f"{self.hidden_layer_sizes!r} with activation={self.activation!r} and "
                f"{spec.n_outputs} outputs asks for {spec.shapes}. Use warm_start=False to fit "
                "from scratch."
            )
        known = vars(self)
        return Weights(coefs, intercepts, known.get("_state"), known.get("_module_seed"))

    def _earlier_stopping(self):
        """Return the losses, scores and counts to go on from."""
        return StoppingState(
            loss_curve=list(getattr(self, "loss_curve_", [])),
            validation_scores=list(getattr(self, "validation_scores_", None) or []) or None,
            best_loss=getattr(self, "best_loss_", np.inf),
            best_validation_score=getattr(self, "best_validation_score_", None),
            no_improvement=getattr(self, "_no_improvement_count", 0),
            n_rows_seen=getattr(self, "t_", 0),
            history=list(getattr(self, "history_", [])),
        )

    def _make_optimizer(self, network, config, incremental):
        """Make the optimizer of a run, with the moments of the last one in a partial fit."""
        optimizer = make_optimizer(network, config)
        kept = getattr(self, "_optimizer", None)
        if incremental and kept is not None and kept["solver"] == optimizer.solver:
            restore_optimizer(optimizer, kept)
        return optimizer

    def _current_model(self, network, dtype):
        """Make a fitted copy of the estimator with the weights that its network has now.

        It takes checked rows, so it knows no names of features.
        """
        model = copy.copy(self)
        for name in ("feature_names_in_", "estimators_", CALLBACKS):
            vars(model).pop(name, None)
        model._set_network(network.weights(dtype), network)
        return model

    def _current_attributes(self, member, network, dtype):
        """Return what makes this estimator a fitted one with the weights of a network now."""
        model = member._current_model(network, dtype)
        new = {name: v for name, v in vars(model).items() if vars(self).get(name) is not v}
        if member is self:
            return new
        return {"estimators_": [model], **{name: new[name] for name in OF_SHAPE}}
