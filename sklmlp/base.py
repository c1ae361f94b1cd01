"""What the two estimators share: a fit, a partial fit and a predict."""

import copy
import functools
import os
from abc import ABC, abstractmethod
from dataclasses import replace
from numbers import Integral, Real

import numpy as np
import torch
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from sklmlp import io, runtime
from sklmlp.callbacks import (
    CallbackList,
    Checkpoints,
    SklearnCallbackSession,
    SkorchCallback,
    TrainingCallback,
)
from sklmlp.caller import warn
from sklmlp.compat import (
    CALLBACKS,
    CallbackSupportMixin,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    fit_context,
    safe_indexing,
)
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
    rows_of,
)
from sklmlp.failures import (
    hint_of_targets,
    learning_rate_hint,
    warn_of_divergence,
    warn_of_failed_learning,
)
from sklmlp.losses import make_loss
from sklmlp.nn import (
    Network,
    Spec,
    Weights,
    check_same_layers,
    check_trainable,
    dropout_rates,
    initial_weights,
    output_rule,
    resolve,
)
from sklmlp.optim import SCHEDULES, OptimizerState, make_optimizer
from sklmlp.parameters import (
    check_kinds,
    check_names,
    check_parameters,
    check_range,
    hints,
    plain_parameters,
)
from sklmlp.prediction import (
    LAYER_ATTRIBUTES,
    SINGLE_NETWORK_ATTRIBUTES,
    PredictionMixin,
    learning_aside,
)
from sklmlp.runtime import computing_dtype, explain_oom, resolve_device, resolve_dtype
from sklmlp.training import StoppingState, TrainingRun, train, train_lbfgs
from sklmlp.validation_set import (
    Subset,
    attach_validation,
    check_validation_set,
    snapshot_estimator,
)

NESTED = ("module", "solver")
"""Parameters whose arguments are a dict, `<name>_params`, and go by `<name>__<argument>` too."""

MOST = 2**31 - 1
"""The largest number of units or networks, which no memory holds."""

OF_SHAPE = ("n_layers_", "n_outputs_", "out_activation_", "_device")


class BaseMLP(CallbackSupportMixin, PredictionMixin, ABC):
    """A multilayer perceptron: parameters in, weights and a history out."""

    _parameter_constraints: dict = {  # noqa: RUF012
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": "no_validation",  # sklmlp.activations.resolve has better messages
        "dropout": ["array-like", Interval(Real, 0, 1, closed="left")],
        "normalization": [StrOptions({"batch", "layer", "rms"}), None],
        "residual": ["boolean"],
        "weight_init": [str, tuple],
        "module": "no_validation",  # sklmlp.nn.check_module_class has better messages
        "module_params": [dict, None],
        "solver": [str],
        "solver_params": [dict, None],
        "alpha": [Interval(Real, 0, np.inf, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [
            StrOptions(
                {
                    *("constant", "invscaling", "adaptive"),
                    *("cosine", "linear", "exponential", "one_cycle"),
                }
            )
        ],
        "warmup_fraction": [Interval(Real, 0, 1, closed="left")],
        "learning_rate_init": [Interval(Real, 0, np.inf, closed="neither")],
        "power_t": [Interval(Real, 0, np.inf, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "scoring": [str, callable, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "max_time": [Interval(Real, 0, None, closed="left"), None],
        "n_estimators": [Interval(Integral, 1, MOST, closed="both")],
        "device": [str, torch.device],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "matmul_precision": [StrOptions({"highest", "high", "medium"})],
        "callbacks": [list, None],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
    }

    @classmethod
    @functools.cache  # a search asks for each fit of its clones several times
    def _get_param_names(cls):
        return super()._get_param_names()

    def get_params(self, deep=True):
        """Get the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether to list the entries of `module_params` and `solver_params` too, as
            `module__name` and `solver__name`.

        Returns
        -------
        params : dict
            The value of each parameter by its name.
        """
        params = super().get_params(deep=deep)
        for name in NESTED if deep else ():
            entries = params.get(f"{name}_params")
            if isinstance(entries, dict):
                params |= {f"{name}__{entry}": value for entry, value in entries.items()}
        return params

    def set_params(self, **params):
        """Set parameters.

        Parameters
        ----------
        **params : dict
            Parameters by name. `module__name` sets one entry of `module_params`, and
            `solver__name` one of `solver_params`, so that a grid can go over them.

        Returns
        -------
        self : object
            The estimator.
        """
        nested = {
            key: value
            for key, value in params.items()
            if key.startswith(tuple(f"{name}__" for name in NESTED))
        }
        check_names(self, params)
        super().set_params(**{key: params[key] for key in params if key not in nested})
        for key, value in nested.items():
            name, entry = key.split("__", 1)
            entries = getattr(self, f"{name}_params")  # the user's own: not to be written into
            setattr(self, f"{name}_params", {**(entries or {}), entry: value})
        return self

    def _validate_params(self):
        check_kinds(self)
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            raise InvalidParameterError(" ".join([str(error), *hints(self)])) from None

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Fit the network to data X and targets y.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or values to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight for each row; None weighs all the same.
        X_val : {array-like, sparse matrix, dataframe} of shape (n_val, n_features), default=None
            The rows that `early_stopping` looks at, in place of a share of X. In a `Pipeline` they
            are transformed as X is with `Pipeline(..., transform_input=["X_val"])`.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their labels or values.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights; None weighs all the same.

        Returns
        -------
        self : object
            The fitted estimator. A fit that fails leaves the estimator as it was.

        Warns
        -----
        sklearn.exceptions.ConvergenceWarning
            If `max_iter` or `max_time` ends the fit.
        sklmlp.exceptions.TrainingWarning
            If nothing was learnt and the reason was found.
        """
        with learning_aside(self) as aside:
            aside._fit(X, y, sample_weight, own=(X_val, y_val, sample_weight_val))
        return self

    def _fit(self, X, y, sample_weight, incremental=False, own=(None, None, None)):
        # a fit computes the same, whatever modes the caller is in
        with (
            explain_oom(self) as sizes,
            torch.inference_mode(False),
            torch.enable_grad(),
            runtime.neutral(),
        ):
            params = plain_parameters(self)
            check_parameters(params)
            anew = not self.__sklearn_is_fitted__() or not (self.warm_start or incremental)
            given = X, y
            X, y = self._validate(X, y, anew, incremental)
            sample_weight = check_sample_weight(sample_weight, X.shape[0])
            device, dtype = self._device_and_dtype(X, anew)
            computing = computing_dtype(dtype, self, device)
            weight = self._weights(y, sample_weight, computing)
            own = check_validation_set(self, y, *own)
            if own is not None:
                learn_from = y, sample_weight
                weight_val = self._weights(*own[1:], computing, "sample_weight_val", learn_from)
                own = *own[:2], weight_val
            members = self._make_members(anew)
            check_range(params, computing, weight)
            scaling = self._target_scaling(y, weight, anew)
            dataset = Subset(self._table(X, y, weight, computing, scaling), X, y)
            layers = X.shape[1], *self._hidden_layer_sizes(), self._count_outputs(y)
            sizes.update(n_rows=X.shape[0], layers=layers, itemsize=computing.itemsize)
            if not incremental:
                self._check_checkpoint()
            data = {"X": X, "y": y, "sample_weight": weight}
            data |= dict(zip(("X_val", "y_val", "sample_weight_val"), own or (), strict=False))
            own = own and Subset(self._table(*own, computing, scaling), *own[:2])
            fits = [m._prepare_training(dataset, own, anew, incremental, dtype) for m in members]
            tasks = self._tasks(given, dataset.table, members, fits, dtype, incremental)
            if self.solver == "lbfgs":
                has_ended = train_lbfgs(fits)
            else:
                checkpoints = None
                if self.checkpoint is not None and not incremental:
                    checkpoints = self._checkpoints(fits, data)
                has_ended = train(fits, one_epoch=incremental, checkpoints=checkpoints)
            if has_ended and not incremental:
                names = getattr(self, "feature_names_in_", None)
                warn_of_failed_learning(fits, names)
            elif has_ended:
                warn_of_divergence(fits)
            for member, fit in zip(members, fits, strict=True):
                member._store_results(fit, dtype, incremental)
            if self.n_estimators > 1:
                self._set_ensemble(members)
            if tasks is not None:
                tasks.end()

    def _tasks(self, given, table, members, fits, dtype, incremental):
        """What tells scikit-learn's callbacks of the fits; None where there are none."""
        if not vars(self).get(CALLBACKS):
            return None

        def rows(table):
            index, weight = table.index, table.weights()
            X, y = given if index is None else (safe_indexing(each, index) for each in given)
            return {
                "X": X,
                "y": y,
                "metadata": weight if weight is None else {"sample_weight": weight},
            }

        n_epochs = 1 if incremental else self.max_iter
        tasks = SklearnCallbackSession(self, len(fits), n_epochs, rows(table))
        for number, (member, fit) in enumerate(zip(members, fits, strict=True)):
            fitted = functools.partial(self._current_attributes, member, fit, dtype)
            events = tasks.events_of(number, rows(fit.table), fitted)
            fit.events = CallbackList([fit.events, events]) if fit.has_batch_callbacks else events
        return tasks

    def _current_attributes(self, member, fit, dtype):
        """What makes this estimator a fitted one with the weights that a network has now."""
        model = snapshot_estimator(member, fit.network, dtype)
        new = {name: v for name, v in vars(model).items() if vars(self).get(name) is not v}
        if self.n_estimators == 1:
            return new
        return {"estimators_": [model], **{name: new[name] for name in OF_SHAPE}}

    def _validate_X_y(self, X, y, anew, names):
        computed_in = np.float64 if self.dtype == "auto" else self.dtype
        X = check_X(self, X, computed_in, input_dtype(X, self.dtype), anew, names[0])
        y = check_y(self, y, names[1])
        check_same_length(X, y, names)
        return X, y

    def _device_and_dtype(self, X, anew):
        """Where to compute, and the NumPy dtype of the weights; a continued fit keeps its own."""
        device = resolve_device(self.device)
        if anew:
            return device, resolve_dtype(self.dtype, X.dtype, device)
        return device, self._networks[0]._weights_dtype

    def _table(self, X, y, sample_weight, dtype, scaling=None):
        """Rows, targets and weights on the device; one for all networks of an ensemble."""
        device = resolve_device(self.device)
        target = self._encode(y)
        target = as_tensor(target if scaling is None else scaling.encode(target))
        is_index = target.dtype == torch.int64 and target.ndim == 1
        target = target.to(device, None if is_index else dtype)
        self._check_range(y, target)
        return Dataset(rows_of(X, dtype, device), target, sample_weight, scaling=scaling)

    def _prepare_training(self, dataset, own, anew, incremental, dtype):
        """One network's training, ready to start."""
        table, X, y = dataset.table, dataset.X, dataset.y
        rng = check_random_state(self.random_state)
        params = plain_parameters(self)
        spec = replace(self._build_spec(X, y, params), scaling=table.scaling)
        if anew:
            rule = output_rule(params.activation)
            weights = initial_weights(spec, rng, dtype, rule, params.weight_init)
            progress = StoppingState()
        else:
            weights, progress = self._earlier_weights(spec), self._earlier_progress()
        network = Network(spec, weights, table.dtype, table.y.device)
        check_trainable(network, params, table.rows)
        fit = TrainingRun(network, table, None, params, None, progress, rng, TrainingCallback())
        training, held_out = dataset, None
        if self.solver == "lbfgs":
            if self.early_stopping:
                warn("early_stopping=True is ignored by solver='lbfgs', which holds no rows out.")
        else:
            fit.optimizer = self._make_optimizer(network, params, incremental)
            fit.epoch_offset = len(progress.loss_curve) if incremental else 0
            if self.early_stopping:
                if incremental:
                    raise ValueError("partial_fit does not support early_stopping=True")
                if own is None:
                    training, held_out = map(dataset.take, self._split(y, rng))
                    check_split(training.table.weights(), held_out.table.weights())
                else:
                    held_out = own
                fit.table = training.table
                attach_validation(fit, self, training, held_out, dtype)
            # the rows seen so far: calls of partial_fit are not to repeat each other's draws
            network.seed(lambda: rng.randint(np.iinfo(np.int32).max) + progress.n_rows_seen)
        if self.callbacks:
            fit.events = SkorchCallback(self, fit, training.rows(), held_out and held_out.rows())
        return fit

    def _build_spec(self, X, y, params):
        hidden = () if self.module else self._hidden_layer_sizes()
        return Spec(
            n_features=X.shape[1],
            n_outputs=self._count_outputs(y),
            hidden=hidden,
            activations=() if self.module else tuple(resolve(params.activation, len(hidden))),
            loss=str(self._loss_name()),
            loss_params=self._loss_params(),
            dropout=() if self.module else dropout_rates(params.dropout, len(hidden)),
            normalization=params.normalization,
            residual=params.residual,
            module=self.module,
            module_params=dict(params.module_params or {}),
        )

    def _earlier_weights(self, spec):
        """The weights to go on from."""
        by_hand = replace(spec, normalization=None, residual=False, module=None)
        check_same_layers(vars(self).get("_spec", by_hand), spec)
        coefs, intercepts = self._layers()
        got = [np.shape(coef) for coef in coefs]
        if got != spec.shapes:
            raise ValueError(
                f"Training cannot go on: coefs_ has the shapes {got}, and hidden_layer_sizes="
                f"{self.hidden_layer_sizes!r} with activation={self.activation!r} and "
                f"{spec.n_outputs} outputs asks for {spec.shapes}. Use warm_start=False to fit "
                "anew."
            )
        return Weights(coefs, intercepts, vars(self).get("_extras", []))

    def _earlier_progress(self):
        """The course of the fits to go on from."""
        return StoppingState(
            loss_curve=list(getattr(self, "loss_curve_", [])),
            validation_scores=list(getattr(self, "validation_scores_", None) or []) or None,
            best_loss=getattr(self, "best_loss_", np.inf),
            best_validation_score=getattr(self, "best_validation_score_", None),
            no_improvement=getattr(self, "_no_improvement_count", 0),
            n_rows_seen=getattr(self, "t_", 0),
            history=list(getattr(self, "history_", [])),
        )

    def _make_optimizer(self, network, params, incremental):
        optimizer = make_optimizer(network, params)
        kept = getattr(self, "_optimizer", None)
        if incremental and kept is not None and kept.solver == optimizer.solver:
            kept.restore(optimizer)
        return optimizer

    def _split(self, y, rng):
        """Indices of the rows to train on and of those to validate on."""
        stratify = self._stratification(y)
        try:
            parts = train_test_split(
                np.arange(y.shape[0]),
                random_state=rng,
                test_size=self.validation_fraction,
                stratify=stratify,
            )
        except ValueError as error:
            raise ValueError(
                f"validation_fraction={self.validation_fraction!r} cannot split {y.shape[0]} "
                f"samples: {error}"
            ) from error
        if len(parts[1]) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' "
                "or the size of your dataset."
            )
        return parts

    def _store_results(self, fit, dtype, incremental):
        """Swap in what a fit has learnt."""
        network, progress = fit.network, fit.progress
        weights = network.weights(dtype)
        if not network.is_finite(weights):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                f"values and need to be preprocessed. {learning_rate_hint(self)}"
                f"{hint_of_targets(fit)}"
            )
        self._set_network(weights, network)
        self.loss_, self.history_ = fit.reached, progress.history
        self.n_iter_, self.t_ = progress.n_iter, progress.n_rows_seen
        if self.solver != "lbfgs":
            self.loss_curve_, self.best_loss_ = progress.loss_curve, progress.best_loss
            self.validation_scores_ = progress.validation_scores
            self.best_validation_score_ = progress.best_validation_score
            self._no_improvement_count = progress.no_improvement
            self._optimizer = OptimizerState.of(fit.optimizer)
            self._partly_fitted = incremental

    def _set_network(self, weights, network):
        """Take over what predicting needs of a network."""
        for name in (*LAYER_ATTRIBUTES, "estimators_"):  # an earlier fit's
            vars(self).pop(name, None)
        if network.spec.module is None:
            self.coefs_, self.intercepts_ = weights.coefs, weights.intercepts
        self._spec, self._extras = network.spec.without_arrays(), weights.extras
        self._keep_shape(network.spec, network.flat.device)

    def _keep_shape(self, spec, device):
        if spec.module is None:
            self.n_layers_ = len(spec.hidden) + 2
        self.n_outputs_, self.out_activation_ = spec.n_outputs, spec.out_activation
        self._device = str(device)

    def _check_checkpoint(self):
        """Refuse a checkpoint of what cannot be taken up again."""
        reasons = {
            f"solver={self.solver!r}, whose course is SciPy's": self.solver == "lbfgs",
            "callbacks, which have courses of their own": (
                bool(self.callbacks or vars(self).get(CALLBACKS))
            ),
            f"module={self.module!r}, which may draw numbers of its own": self.module is not None,
            "random_state=None, which is another fit every time": self.random_state is None,
        }
        for reason, holds in reasons.items():
            if holds and self.checkpoint is not None:
                raise ValueError(f"checkpoint={self.checkpoint!r} does not go with {reason}.")

    def _checkpoints(self, fits, data):
        """What keeps the course of a fit in a file."""
        networks = [(fit.network.spec, fit.network.flat) for fit in fits]
        if hasattr(self, "feature_names_in_"):
            data = data | {"names of columns": self.feature_names_in_}
        schedule = self.learning_rate in SCHEDULES
        file = io.CheckpointFile(
            self.checkpoint, io.fit_fingerprint(self, data, networks, schedule)
        )
        return Checkpoints(fits, self.checkpoint_every, file)

    def _make_members(self, anew):
        """The estimators whose networks are to be trained: this one, or an ensemble's."""
        if self.n_estimators == 1 and (anew or "estimators_" not in vars(self)):
            if anew:
                vars(self).pop("estimators_", None)  # of an ensemble that this was
            return [self]
        known = {name: value for name, value in vars(self).items() if name in self._SHARED}
        if anew:
            rng = check_random_state(self.random_state)
            seeds = rng.randint(np.iinfo(np.int32).max, size=self.n_estimators)
            twins = [clone(self) for _ in seeds]
            for twin, seed in zip(twins, seeds, strict=True):
                twin.set_params(n_estimators=1, random_state=int(seed), checkpoint=None)
        elif len(getattr(self, "estimators_", [])) == self.n_estimators:
            twins = [copy.copy(member) for member in self.estimators_]  # a failed fit loses nothing
            changed = self.get_params(deep=False) | {"n_estimators": 1, "checkpoint": None}
            del changed["random_state"]
            for twin in twins:
                twin.set_params(**changed)
        else:
            raise ValueError(
                f"Training cannot go on: it began with n_estimators="
                f"{len(getattr(self, 'estimators_', [self]))}, got n_estimators="
                f"{self.n_estimators}. Use warm_start=False to fit anew."
            )
        for twin in twins:
            vars(twin).update(known)
            vars(twin).pop(CALLBACKS, None)  # they are told by the ensemble
        return twins

    _SHARED = ("n_features_in_", "feature_names_in_", "classes_", "_targets")

    def _set_ensemble(self, members):
        """Swap in the networks of an ensemble, in place of an earlier fit's single one."""
        for name in (*SINGLE_NETWORK_ATTRIBUTES, *LAYER_ATTRIBUTES):
            vars(self).pop(name, None)
        self.estimators_ = members
        self.n_iter_ = max(member.n_iter_ for member in members)
        self.t_ = members[0].t_
        self._keep_shape(members[0]._spec, members[0]._device)

    def _hidden_layer_sizes(self):
        sizes = self.hidden_layer_sizes
        if isinstance(sizes, str | bytes | dict):  # one could go through them, too
            raise ValueError(f"hidden_layer_sizes must be integers, got {sizes!r}.")
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if any(not isinstance(size, Integral) or isinstance(size, bool) for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be integers, got {sizes}.")
        if any(size <= 0 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        if any(size > MOST for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be {MOST} or less, got {sizes}.")
        return tuple(int(size) for size in sizes)

    def _check_solver(self):
        if self.solver == "lbfgs":
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. "
                f"{self.solver} is not stochastic."
            )
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @abstractmethod
    def _validate(self, X, y, anew, incremental, names=("X", "y")):
        """Check X and y, which errors call by `names`, and learn from them what precedes training."""  # noqa: E501

    @abstractmethod
    def _encode(self, y):
        """Checked targets as the loss takes them."""

    @abstractmethod
    def _count_outputs(self, y):
        """The number of the network's output units."""

    @abstractmethod
    def _loss_name(self):
        """The key of the loss in `sklmlp.losses.LOSSES`."""

    @abstractmethod
    def _loss_params(self):
        """What that loss is made with, in plain Python."""

    def _chosen_loss(self):
        """The `Loss` that the parameters ask for."""
        return make_loss(self._loss_name(), self._loss_params())

    def _weights(self, y, sample_weight, dtype, name="sample_weight", learn_from=None):
        """The weights of samples times those of their classes, checked for the computing dtype."""
        weight = self._apply_class_weight(y, sample_weight, learn_from)
        if weight is not sample_weight:
            times = "" if sample_weight is None else f" times {name}"
            name = f"class_weight={self.class_weight!r}{times}"
        check_limits(weight, dtype, name)
        return weight

    def _target_scaling(self, y, weight, anew):
        """What targets are scaled by for training; None where they are not."""
        return None

    def _check_range(self, y, target):
        """Raise where targets `y` have no use as the tensor `target` that they have become."""

    def _apply_class_weight(self, y, sample_weight, learn_from=None):
        """Weights of rows; `learn_from` are the training targets and weights where y is not."""
        return sample_weight

    @abstractmethod
    def _stratification(self, y):
        """What to stratify the validation split by, or None."""

    @abstractmethod
    def _score_logits(self, y, weight, logits, loss):
        """The validation score of logits of a `Loss` against encoded targets."""

    @abstractmethod
    def _decode_logits(self, method, logits, loss):
        """What 'predict' or 'predict_proba' makes of logits of a `Loss`, for skorch's callbacks."""
