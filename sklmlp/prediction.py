"""What a fitted estimator can do: answer, show its network, and travel."""

import copy
import operator
import os
import threading
from contextlib import contextmanager
from dataclasses import asdict
from types import SimpleNamespace
from weakref import WeakKeyDictionary

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sklmlp import io, runtime
from sklmlp.compat import CALLBACK_BOOKKEEPING
from sklmlp.data import ConvertedRows, as_tensor, check_X
from sklmlp.nn import Network, Weights, assemble, make_predictor, with_layers
from sklmlp.optim import OptimizerState
from sklmlp.runtime import in_chunks, is_available


class _Built:
    """What has been built of an estimator's weights, and of which parts.

    Attributes
    ----------
    lock : threading.Lock
        Held by the thread that builds.
    entry : (tuple, dict)
        The parts, and what was built of them by the function that built it.
    """

    def __init__(self):
        self.lock, self.entry = threading.Lock(), ((), {})

    def of(self, parts):
        """What has been built of exactly these objects."""
        known, built = self.entry
        if len(known) != len(parts) or not all(map(operator.is_, known, parts)):
            built = {}
            self.entry = parts, built
        return built


_built = WeakKeyDictionary()  # outside the estimators: predicting leaves their __dict__ alone
_built_lock = threading.Lock()


def _begin_forked():
    """In a forked child: locks that nobody holds; what was built while forking may be half."""
    global _built, _built_lock
    _built, _built_lock = WeakKeyDictionary(), threading.Lock()


if hasattr(os, "register_at_fork"):  # not where there is no fork
    os.register_at_fork(after_in_child=_begin_forked)

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
    "_extras",
    "_optimizer",
    "_partly_fitted",
    "_no_improvement_count",
)

LAYER_ATTRIBUTES = ("coefs_", "intercepts_", "n_layers_")
"""What a user's module has none of."""

FEW_VALUES = 2**12
"""Looking at each of so few values takes less time than not to hear their sum overflow."""

VALUES_AT_A_TIME = 2**20
"""Predictions are made in chunks of rows whose widest layer has about this many values."""


class PredictionMixin(BaseEstimator):
    """Weights and a spec, made into predictions.

    A fit replaces `__dict__` in one step, and every prediction begins with a `_snapshot`. So a
    prediction beside a fit is made by the version before or by the version after.
    """

    def _snapshot(self):
        """A shallow copy of the estimator and of its members, which no fit changes any more."""
        if "_built" in vars(self):
            return self
        known = vars(self).copy()  # a prediction reads what was learnt here and nowhere else
        known["_built"] = _built.get(self)
        if known["_built"] is None:
            with _built_lock:
                known["_built"] = _built.setdefault(self, _Built())
        if "estimators_" in known:
            known["estimators_"] = [each._snapshot() for each in known["estimators_"]]
        snapshot = type(self).__new__(type(self))
        snapshot.__dict__ = known
        return snapshot

    def _check_rows(self, X):
        """Rows to predict for, checked."""
        if self._is_plainly_valid(X):
            return X
        check_is_fitted(self)
        return check_X(self, X, self._networks[0]._weights_dtype)

    def _is_plainly_valid(self, X):
        """Whether X is what most rows in production are, so that scikit-learn need not look."""
        known = vars(self)
        return (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.dtype in (np.float32, np.float64)
            and len(X) > 0
            and X.shape[1] == known.get("n_features_in_")
            and "feature_names_in_" not in known
            and _sum_is_finite(X)
            and self.__sklearn_is_fitted__()
        )

    def _logits(self, X):
        """The network's last affine map on checked rows, (n, n_outputs), in X's dtype."""
        predictor = self._predictor()
        dtype = X.dtype if X.dtype in (np.float32, np.float64) else self._weights_dtype
        rows = ConvertedRows(X, predictor.dtype, predictor.device)
        take, width = rows.take, X.shape[1]
        if rows.is_multiplied_sparse and predictor.takes_sparse:
            take, width = rows.take_sparse, rows.values_a_row
        size = max(1, int(VALUES_AT_A_TIME / max(width, predictor.widest)))
        products = min(size, X.shape[0]) * predictor.n_products

        def predict(part):
            return predictor(take(part)).cpu().numpy().astype(dtype, copy=False)

        def predict_all():
            with torch.inference_mode():
                return in_chunks(predict, X.shape[0], size)

        is_small = products < runtime.SMALL_STEP
        logits = runtime.compute(predict_all, self.matmul_precision, is_small)
        refuse_overflow(logits, predictor.dtype)
        return logits

    def _ensemble_average(self, method, X):
        """What `method` answers to checked rows, averaged over an ensemble's networks."""
        answers = [
            n._decode_logits(method, n._logits(X), n._spec.loss_function) for n in self._networks
        ]
        with np.errstate(over="ignore"):  # it is refused
            answer = answers[0] if len(answers) == 1 else np.mean(answers, axis=0)
        if answer.dtype.kind == "f":  # others are labels
            refuse_overflow(answer, answer.dtype)
        return answer

    @property
    def _networks(self):
        """The fitted estimators of one network each that answer together."""
        return vars(self).get("estimators_", [self])

    @property
    def _loss(self):
        """The `Loss` that was fitted, whatever the parameters have become since."""
        return self._snapshot()._networks[0]._spec.loss_function

    @property
    def device_(self):
        """The torch device that this machine computes the model on."""
        check_is_fitted(self)
        device = torch.device(self._device)
        return device if is_available(device) else torch.device("cpu")

    @property
    def module_(self):
        """The fitted network from rows to logits: a `torch.nn.Sequential`, or the user's module.

        On a CPU its parameters share the memory of `coefs_` and `intercepts_`: training the module
        in torch changes what the estimator predicts, and so does writing into these arrays. On a
        GPU both are copies of the arrays: assign new arrays to change them.
        """
        return self._snapshot()._cached_build(assemble)

    def _predictor(self):
        return self._snapshot()._cached_build(make_predictor)

    def _cached_build(self, make):
        """What `make` builds of the weights of a snapshot; kept while these are the same arrays."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)
        coefs, intercepts = self._layers()
        learnt = (array for state in self._extras for array in state.values())
        with self._built.lock:
            built = self._built.of((self._spec, self._device, *coefs, *intercepts, *learnt))
            if make not in built:
                device = self.device_
                dtype = as_tensor(np.empty(0, self._weights_dtype)).dtype
                # what is built outlives the caller's modes
                with torch.inference_mode(False), runtime.neutral():
                    layers = [
                        [as_tensor(np.asarray(array)).to(device, dtype) for array in arrays]
                        for arrays in (coefs, intercepts)
                    ]  # on a CPU over the same memory
                    built[make] = make(self._spec, *layers, self._extras, dtype, device)
            return built[make]

    def _layers(self):
        """coefs and intercepts; a user's module has none."""
        return (self.coefs_, self.intercepts_) if "coefs_" in vars(self) else ([], [])

    @property
    def _weights_dtype(self):
        """The NumPy dtype of what was learned."""
        arrays = self._layers()[0] or self._extras[0].values()
        return next(array.dtype for array in arrays if array.dtype.kind == "f")

    def _get_params_html(self, *args, **kwargs):
        """What scikit-learn's diagrams show of an estimator: its parameters, and its layers."""
        return with_layers(super()._get_params_html(*args, **kwargs), self)

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
        state.pop("_built", None)
        for name in {*self._get_param_names()} & {*state} - {"module_params"}:
            state[name] = io.portable_parameter(state[name])
        state["activation"] = io.portable_activation(state["activation"])
        if "estimators_" in state:
            state["estimators_"] = [network.__getstate__() for network in state["estimators_"]]
        if "_spec" in state:
            state["_spec"] = io.portable_spec(state["_spec"])
            state["history_"] = io.columns(state["history_"])
        optimizer = state.pop("_optimizer", None)
        if optimizer is not None and state["_partly_fitted"]:  # an incremental learner goes on
            state["_optimizer"] = asdict(optimizer)
        return io.add_metadata(state)

    def __setstate__(self, state):
        state = io.strip_metadata(state, type(self).__name__)
        if isinstance(state.get("estimators_"), list):
            state["estimators_"] = [self._member(each) for each in state["estimators_"]]
        state = io.validate_state(state, self)
        if "_optimizer" in state:
            try:
                state["_optimizer"] = OptimizerState(**state["_optimizer"])
            except TypeError as error:
                raise ValueError(
                    f"The _optimizer of this state has other entries: {error}"
                ) from error
            self._try_optimizer(state)
        self.__dict__ = vars(self) | state

    def _try_optimizer(self, state):
        """Refuse a state from which `partial_fit` could not go on; run no module of the user's."""
        spec = state["_spec"]
        if spec.module is not None or any(choice.own is not None for choice in spec.activations):
            return
        weights = Weights(state["coefs_"], state["intercepts_"], state["_extras"])
        dtype = as_tensor(np.empty(0, state["coefs_"][0].dtype)).dtype
        try:
            network = Network(spec, weights, dtype, "cpu")
            state["_optimizer"].check_next_step(network, SimpleNamespace(**state))
        except ValueError as error:
            raise ValueError(
                f"This state of {type(self).__name__} cannot be loaded: {error}"
            ) from error

    def _member(self, state):
        """A network of an ensemble; before format 3 it is an estimator already."""
        if not isinstance(state, dict):
            return state
        member = type(self).__new__(type(self))
        member.__setstate__(state)
        return member

    def __deepcopy__(self, memo):
        twin = type(self).__new__(type(self))
        vars(twin).update(copy.deepcopy(vars(self), memo))
        return twin

    def __copy__(self):
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))
        return twin


def refuse_overflow(values, dtype):
    """Raise if there are logits or predictions, a row each, that are not finite.

    `dtype` is what they were computed in.
    """
    if _sum_is_finite(values):
        return
    lost = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
    if len(lost):
        raise ValueError(
            f"The prediction for {len(lost)} row(s) of X, the first of them row {lost[0]}, is not "
            f"finite: its values overflow what {str(dtype).removeprefix('torch.')} can compute "
            "with. Scale X as in training."
        )


def _sum_is_finite(X):
    if X.size < FEW_VALUES:
        return np.isfinite(X).all()
    with np.errstate(over="ignore", invalid="ignore"):
        return np.isfinite(X.sum())  # where it is not, scikit-learn looks closer


@contextmanager
def learning_aside(estimator):
    """A copy to learn on; the estimator takes over what that has learnt in one step, or nothing."""
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
    learnt = {n: v for n, v in vars(aside).items() if n not in before or before[n] is not v}
    kept = {n: v for n, v in vars(estimator).copy().items() if n not in dropped}
    estimator.__dict__ = kept | learnt
