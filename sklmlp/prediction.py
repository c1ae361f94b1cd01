"""Prediction, display and serialization of fitted estimators."""

import copy
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sklmlp import io
from sklmlp.compat import CALLBACK_BOOKKEEPING, extend_html
from sklmlp.data import as_tensor, check_X, is_plain_table
from sklmlp.fitted_network import (
    device_here,
    fitted_networks,
    members,
    refuse_overflow,
    snapshot,
    weights_dtype,
)
from sklmlp.nn import Network, Weights, layers_as_html
from sklmlp.optim import OptimizerState, check_next_step

SINGLE_NETWORK_ATTRIBUTES = (
    "coefs_",
    "intercepts_",
    "loss_",
    "loss_curve_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
    "history_",
    "module_",
    "_spec",
    "_state",
    "_module_seed",
    "_optimizer",
    "_partly_fitted",
    "_no_improvement_count",
)

LAYER_ATTRIBUTES = ("coefs_", "intercepts_", "n_layers_")
"""Attributes that a custom module does not have."""


class PredictionMixin(BaseEstimator):
    """Weights and a spec, made into predictions.

    Every prediction begins with a `snapshot`, and is then short: rows are checked, each network
    makes logits of them and the loss's link makes outputs of logits, in one array; these are
    averaged over the networks, and a classifier turns them into labels.
    """

    def _check_rows(self, X):
        """Check rows to predict for."""
        if self._is_plainly_valid(X):
            return X
        check_is_fitted(self)
        return check_X(self, X, fitted_networks(self)[0].dtype)

    def _is_plainly_valid(self, X):
        """Tell whether X is a finite float array of the right width, which needs no more checks."""
        known = vars(self)
        return (
            is_plain_table(X)
            and X.shape[1] == known.get("n_features_in_")
            and "feature_names_in_" not in known
            and self.__sklearn_is_fitted__()
        )

    def _outputs(self, X, link):
        """Compute each network's outputs on checked rows: a list of ndarrays."""
        networks = fitted_networks(self)
        return [network.outputs(X, link, self.matmul_precision) for network in networks]

    def _mean_output(self, X, link):
        """Return the mean of the networks' outputs on checked rows, (n, n_outputs)."""
        outputs = self._outputs(X, link)
        with np.errstate(over="ignore"):  # it is refused
            mean = outputs[0] if len(outputs) == 1 else np.mean(outputs, axis=0)
        refuse_overflow(mean, mean.dtype)
        return mean

    def _encoded(self, X, y):
        """X and y of the model that is fitted, checked, and y as numbers."""
        X, y = self._validate(X, y, reset=False, incremental=True)
        return X, self._encode(y)

    @property
    def _networks(self):
        """The fitted estimators of one network each, see `members`."""
        return members(self)

    @property
    def _loss(self):
        """The `Loss` that was fitted, whatever the parameters have become since."""
        return fitted_networks(self)[0].spec.loss_function

    @property
    def _weights_dtype(self):
        """The NumPy dtype of what was learned, also where `coefs_` were set by hand."""
        known = vars(self._networks[0])
        return weights_dtype(known.get("coefs_"), known.get("_state"))

    @property
    def device_(self):
        """The torch device that this machine computes the model on."""
        check_is_fitted(self)
        return device_here(self._device)

    @property
    def module_(self):
        """The fitted network from rows to logits: a `torch.nn.Sequential`, or the user's module.

        On a CPU its parameters share the memory of `coefs_` and `intercepts_`: training the module
        in torch changes what the estimator predicts, and so does writing into these arrays. On a
        GPU both are copies of the arrays: assign new arrays to change them.
        """
        model = snapshot(self)
        if "estimators_" in vars(model):
            raise AttributeError  # __getattr__ says why
        return fitted_networks(model)[0].module

    def _layers(self):
        """Return coefs and intercepts; a custom module has none."""
        return (self.coefs_, self.intercepts_) if "coefs_" in vars(self) else ([], [])

    def _get_params_html(self, *args, **kwargs):
        """Return what scikit-learn's diagrams show: the parameters, and the layers."""
        parameters = super()._get_params_html(*args, **kwargs)

        def layers():
            model = snapshot(self)
            return layers_as_html(model, model._fitted_networks)

        return extend_html(parameters, layers)

    def __sklearn_is_fitted__(self):
        known = vars(self)  # coefs_ may have been set by hand
        return "coefs_" in known or "_spec" in known or "estimators_" in known

    def __getattr__(self, name):
        if name in LAYER_ATTRIBUTES:
            module = getattr(vars(self._networks[0]).get("_spec"), "module", None)
            if module is not None:
                raise AttributeError(
                    f"{name} belongs to a stack of layers, and this {type(self).__name__} has "
                    f"module={module.__name__} in its place; see module_."
                )
        if name in SINGLE_NETWORK_ATTRIBUTES and "estimators_" in vars(self):
            raise AttributeError(
                f"{name} belongs to one network, and this {type(self).__name__} has "
                f"{len(self.estimators_)}; see estimators_[0].{name} and so on."
            )
        return object.__getattribute__(self, name)  # raises the error that led here

    def __getstate__(self):
        state = vars(self).copy()
        state.pop("_fitted_networks", None)
        for name in {*self._get_param_names()} & {*state} - {"module_params"}:
            state[name] = io.portable_parameter(state[name])
        state["activation"] = io.portable_activation(state["activation"])
        if "estimators_" in state:
            state["estimators_"] = [network.__getstate__() for network in state["estimators_"]]
        if "_spec" in state:
            state["_spec"] = io.portable_spec(state["_spec"])
            state["solver"] = io.portable_solver(state["solver"])
            state["history_"] = io.to_columns(state["history_"])
        optimizer = state.pop("_optimizer", None)
        if optimizer is not None and state["_partly_fitted"]:  # an incremental learner goes on
            state["_optimizer"] = dict(optimizer)
        return io.add_metadata(state)

    def __setstate__(self, state):
        state = io.strip_metadata(state, type(self).__name__)
        if isinstance(state.get("estimators_"), list):
            state["estimators_"] = [self._member(each) for each in state["estimators_"]]
        state = io.validate_state(state, self)
        if "_optimizer" in state:
            self._try_optimizer(state)
            state["_optimizer"] = OptimizerState(state["_optimizer"])
        self.__dict__ = vars(self) | state

    def _try_optimizer(self, state):
        """Refuse a state from which `partial_fit` could not go on; run no module of the user's."""
        spec = state["_spec"]
        if spec.module is not None or any(choice.custom is not None for choice in spec.activations):
            return
        weights = Weights(state["coefs_"], state["intercepts_"], state["_state"])
        dtype = as_tensor(np.empty(0, state["coefs_"][0].dtype)).dtype
        try:
            network = Network(spec, weights, dtype, "cpu")
            check_next_step(state["_optimizer"], network, SimpleNamespace(**state))
        except ValueError as error:
            raise ValueError(
                f"This state of {type(self).__name__} cannot be loaded: {error}"
            ) from error

    def _member(self, state):
        """Return a network of an ensemble; before format 3 it is an estimator already."""
        if not isinstance(state, dict):
            return state
        member = type(self).__new__(type(self))
        member.__setstate__(state)
        return member

    def __deepcopy__(self, memo):
        copied = type(self).__new__(type(self))
        vars(copied).update(copy.deepcopy(vars(self), memo))
        return copied

    def __copy__(self):
        copied = type(self).__new__(type(self))
        vars(copied).update(vars(self))
        return copied


def encoded_rows(estimator, X, y):
    """X and y for a fitted estimator, checked as further rows to train on, and y as numbers.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    X, y : array-like of shape (n_samples, n_features), (n_samples,) or (n_samples, n_outputs)

    Returns
    -------
    X : {ndarray, sparse matrix} of shape (n_samples, n_features)
    y : ndarray
        Before any scaling of targets.
    """
    return estimator._encoded(X, y)


@contextmanager
def learning_aside(estimator):
    """Yield a copy to learn on; the estimator takes over its results in one step, or nothing."""
    aside = copy.copy(estimator)
    before = vars(aside).copy()
    try:
        yield aside
    except BaseException:
        # scikit-learn takes callbacks down after this
        underway = {n: v for n, v in vars(aside).items() if n in CALLBACK_BOOKKEEPING}
        vars(estimator).update(underway)
        raise
    dropped = before.keys() - vars(aside).keys()
    learned = {n: v for n, v in vars(aside).items() if n not in before or before[n] is not v}
    kept = {n: v for n, v in vars(estimator).copy().items() if n not in dropped}
    estimator.__dict__ = kept | learned
