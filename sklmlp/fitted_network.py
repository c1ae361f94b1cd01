"""Fitted networks: what a fit has learned of each, and what predicts with it.

This is the way into a fitted estimator for the other parts of the package: `snapshot` gives a copy
that no fit changes any more, `fitted_networks` its networks, `class_targets` its labels.
"""

import operator
import os
import threading
from contextlib import suppress
from weakref import WeakKeyDictionary

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.utils.validation import check_is_fitted

from sklmlp import native, runtime
from sklmlp.data import ClassTargets, ConvertedRows, as_tensor, is_finite
from sklmlp.nn import Weights, build_module, can_compile, make_model

VALUES_AT_A_TIME = 2**20
"""Predictions are made in chunks of rows whose widest layer has about this many values."""

_TORCH_DTYPES = {np.dtype(np.float32): torch.float32, np.dtype(np.float64): torch.float64}

_networks = WeakKeyDictionary()  # outside the estimators: predicting leaves their __dict__ alone
_lock = threading.Lock()  # taken to change it


def _begin_forked():
    """Start a forked child: nobody holds its locks, and what was built may be incomplete."""
    global _networks, _lock
    _networks, _lock = WeakKeyDictionary(), threading.Lock()


if hasattr(os, "register_at_fork"):  # not where there is no fork
    os.register_at_fork(after_in_child=_begin_forked)


def torch_predictor(spec, module, dtype, device):
    """Make a predictor by torch, on any device, in chunks of rows that bound the memory.

    Parameters
    ----------
    spec : Spec
    module : torch.nn.Module
        In eval mode; not `module_`, whose mode is the user's to change.
    dtype, device : torch.dtype, torch.device

    Returns
    -------
    predict : callable
        See `FittedNetwork.predictor`.
    """
    matrices = [p for p in module.parameters() if p.ndim > 1]
    n_products = sum(p.numel() for p in matrices)  # multiplications for a row
    widest = max([spec.width_in, spec.n_outputs, *(max(p.shape) for p in matrices)])

    def predict(X, out_dtype, precision):
        rows = ConvertedRows(X, dtype, device)
        take, width = rows.take, X.shape[1]
        if rows.is_multiplied_sparse and spec.module is None and not spec.residual:
            take, width = rows.take_sparse, rows.values_a_row
        size = max(1, int(VALUES_AT_A_TIME / max(width, widest)))
        is_small = min(size, X.shape[0]) * n_products < runtime.SMALL_STEP

        def compute(part):
            return module(take(part)).cpu().to(out_dtype or dtype)

        def compute_all():
            with torch.inference_mode():
                return runtime.in_chunks(compute, X.shape[0], size)

        logits = runtime.compute(compute_all, precision, is_small)
        refuse_overflow(logits.numpy(), dtype)
        return logits

    return predict


def compiled_predictor(model, dtype):
    """Make a predictor by the compiled engine, over the arrays of a fit.

    Parameters
    ----------
    model : sklmlp.native.Model
    dtype : numpy.dtype
        Of the arrays.

    Returns
    -------
    predict : callable
        See `FittedNetwork.predictor`.
    """
    runtime.will_compute()

    def predict(X, out_dtype, precision):
        n_threads, is_sparse = torch.get_num_threads(), sp.issparse(X)
        if is_sparse and model.plan.takes_sparse:
            logits = model(_compiled_rows(X, dtype), n_threads)
        elif not is_sparse and X.dtype == dtype and X.flags.aligned and min(X.strides) >= 0:
            logits = model(X, n_threads)
        else:
            size = max(1, VALUES_AT_A_TIME // X.shape[1])
            X = X.tocsr() if is_sparse else X
            parts = (X[start : start + size] for start in range(0, X.shape[0], size))
            parts = (x.toarray() if is_sparse else x for x in parts)
            with np.errstate(over="ignore"):  # it is refused
                logits = [model(np.ascontiguousarray(x, dtype), n_threads) for x in parts]
            logits = np.concatenate(logits)
        refuse_overflow(logits, dtype)
        logits = torch.from_numpy(logits)
        return logits if out_dtype is None else logits.to(out_dtype)

    return predict


def _compiled_rows(X, dtype):
    """Return the rows of a sparse matrix as the compiled engine takes them."""
    rows = ConvertedRows(X, as_tensor(np.empty(0, dtype)).dtype, "cpu")
    return native.Rows(**rows.as_arrays())


class FittedNetwork:
    """One fitted network.

    Attributes
    ----------
    spec : Spec
    coefs, intercepts : list of ndarray
        Of the layers; a user's module has none.
    state : dict of str to ndarray
        What else was learned, see `sklmlp.nn.Weights`.
    dtype : numpy.dtype
        Of what was learned.
    """

    def __init__(self, known):
        self.spec, self.state, self._learned_on = (
            known[name] for name in ("_spec", "_state", "_device")
        )
        self._module_seed = known.get("_module_seed")
        self.coefs, self.intercepts = map(list, _layers(known))
        self.dtype, self._parts = weights_dtype(self.coefs, self.state), _parts(known)
        self._built, self._being_built = {}, threading.Lock()

    def has_parts(self, parts):
        """Tell whether it consists of exactly these objects."""
        return len(parts) == len(self._parts) and all(map(operator.is_, parts, self._parts))

    @property
    def device(self):
        """The torch device that this machine computes it on."""
        return device_here(self._learned_on)

    @property
    def module(self):
        """The `torch.nn.Module` from rows to logits; on a CPU it shares the arrays' memory."""
        return self._cached_build("module", self._make_module)

    @property
    def predictor(self):
        """What computes logits: `predictor(X, dtype, precision)`; on a CPU over the arrays' memory.

        X are checked rows, an ndarray or a sparse matrix of shape (n, n_features). `dtype` is the
        torch dtype of the logits; None is that of the weights. `precision` is that of float32
        matrix products, see `sklmlp.runtime.compute`. The logits are a tensor of shape
        (n, n_outputs) on the CPU, whose memory is the caller's.
        """
        return self._built.get("predictor") or self._cached_build("predictor", self._make_predictor)

    def _make_predictor(self):
        device = self.device
        if device.type == "cpu" and can_compile(self.spec):
            arrays = Weights(self.coefs, self.intercepts, self.state)
            with suppress(ValueError, TypeError, BufferError):  # arrays of strides or dtypes
                return compiled_predictor(make_model(self.spec, arrays), self.dtype)
        return torch_predictor(self.spec, self._make_module(), self._torch_dtype, device)

    def _make_module(self):
        device, dtype = self.device, self._torch_dtype
        layers = [
            [as_tensor(np.asarray(array)).to(device, dtype) for array in arrays]
            for arrays in (self.coefs, self.intercepts)
        ]  # on a CPU over the same memory
        weights = Weights(*layers, self.state, self._module_seed)
        return build_module(self.spec, weights, dtype, device)

    @property
    def _torch_dtype(self):
        return as_tensor(np.empty(0, self.dtype)).dtype

    def outputs(self, X, link, precision):
        """Compute what a link makes of the logits of checked rows.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n, n_features)
        link : callable or None
            Tensor of logits, (n, n_outputs), to a tensor; None gives the logits.
        precision : str
            See `predictor`.

        Returns
        -------
        outputs : ndarray
            In X's dtype where that is float32 or float64.
        """
        logits = self.predictor(X, _TORCH_DTYPES.get(X.dtype), precision)
        if link is None:
            return logits.numpy()
        return link(logits).contiguous().numpy()

    def _cached_build(self, name, make):
        """Build something of the weights, once."""
        with self._being_built:
            if name not in self._built:
                # what is built outlives the caller's modes
                with torch.inference_mode(False), runtime.neutral():
                    self._built[name] = make()
            return self._built[name]


def fitted_networks(estimator):
    """Return the networks of a fitted estimator, one or an ensemble's.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Or a `snapshot` of one.

    Returns
    -------
    networks : list of FittedNetwork
        The same objects from call to call, until a fit or an assignment replaces their arrays.

    Raises
    ------
    sklearn.exceptions.NotFittedError
    """
    known = vars(estimator)
    if "_fitted_networks" not in known:
        known = vars(snapshot(estimator))
    return known["_fitted_networks"] or check_is_fitted(estimator, "_spec")


def members(estimator):
    """Return the fitted estimators of one network each: those of an ensemble, or this one."""
    return vars(estimator).get("estimators_", [estimator])


def snapshot(estimator):
    """Make a shallow copy of an estimator, to be read, which no fit changes any more.

    A fit replaces `__dict__` in one step. So what is computed of a snapshot is computed by the
    version before that fit or by the version after it.
    """
    known = vars(estimator)
    if "_fitted_networks" in known:
        return estimator
    known = known.copy()
    if "estimators_" in known:
        networks = [_network_of(each, vars(each)) for each in known["estimators_"]]
    else:
        networks = [_network_of(estimator, known)] if "_spec" in known else []
    known["_fitted_networks"] = networks
    copy = type(estimator).__new__(type(estimator))
    copy.__dict__ = known
    return copy


def class_targets(classifier):
    """Return the `ClassTargets` of a fitted classifier."""
    known = vars(classifier)
    return ClassTargets(known["classes_"], *known["_targets"])


def device_here(learned_on):
    """Return the torch device that this machine computes on, for what was learned on another."""
    device = torch.device(learned_on)
    return device if runtime.is_available(device) else torch.device("cpu")


def weights_dtype(coefs, state):
    """Return the NumPy dtype of what was learned."""
    arrays = coefs or state.values()
    return next(array.dtype for array in arrays if array.dtype.kind == "f")


def _network_of(estimator, known):
    """Return the network of an estimator with these attributes, the last one if it is the same."""
    parts, network = _parts(known), _networks.get(estimator)
    if network is None or not network.has_parts(parts):
        with _lock:
            network = _networks.get(estimator)
            if network is None or not network.has_parts(parts):
                network = _networks[estimator] = FittedNetwork(known)
    return network


def _layers(known):
    return (known["coefs_"], known["intercepts_"]) if "coefs_" in known else ([], [])


def _parts(known):
    """Return the objects that a network consists of, by whose identity it is known."""
    coefs, intercepts = _layers(known)
    return known["_spec"], known["_device"], *coefs, *intercepts, *known["_state"].values()


def refuse_overflow(values, dtype):
    """Raise if there are logits or predictions, a row each, that are not finite.

    `dtype` is what they were computed in.
    """
    if is_finite(values):
        return
    lost = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
    if len(lost):
        raise ValueError(
            f"The prediction for {len(lost)} row(s) of X, the first of them row {lost[0]}, is not "
            f"finite: its values overflow what {str(dtype).removeprefix('torch.')} can compute "
            "with. Scale X as in training."
        )
