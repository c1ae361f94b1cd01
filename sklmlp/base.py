"""The base class of the estimators: a fit as a table of contents, and hooks."""

from abc import ABC, abstractmethod
from contextlib import nullcontext
from functools import partial

import torch

from sklmlp import io, runtime
from sklmlp.callbacks import Checkpoints, told_to_sklearn
from sklmlp.compat import CALLBACKS, CallbackSupportMixin, fit_context
from sklmlp.config import CONSTRAINTS, TrainingConfig
from sklmlp.failures import warn_of_divergence, warn_of_failed_learning
from sklmlp.learned import LearnedMixin
from sklmlp.losses import LOSSES, Loss, describe_loss, make_loss
from sklmlp.optim import SCHEDULES, is_stochastic
from sklmlp.parameters import ParametersMixin, check_parameters
from sklmlp.prediction import PredictionMixin, learning_aside
from sklmlp.preparation import PreparationMixin, make_members
from sklmlp.runtime import explain_oom
from sklmlp.training import let_pause, train_lbfgs, train_networks

NO_ROWS = (None, None, None)


class BaseMLP(
    CallbackSupportMixin,
    ParametersMixin,
    PreparationMixin,
    LearnedMixin,
    PredictionMixin,
    ABC,
):
    """A multilayer perceptron: parameters in, weights and a history out."""

    _parameter_constraints: dict = CONSTRAINTS

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
            If nothing was learned and the reason was found.
        """
        with learning_aside(self) as aside:
            aside._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        return self

    def _fit(self, X, y, sample_weight, validation_data=NO_ROWS, incremental=False):
        config = TrainingConfig.from_estimator(self)
        check_parameters(config, incremental, bool(vars(self).get(CALLBACKS)))
        # a fit computes the same, whatever modes the caller is in
        with torch.inference_mode(False), torch.enable_grad(), runtime.neutral():
            reset = not self.__sklearn_is_fitted__() or not (config.warm_start or incremental)
            data = self._check_data(
                config, X, y, sample_weight, validation_data, reset, incremental
            )
            with explain_oom(config, data.rows.dataset, self._count_outputs(data.rows.y)):
                members = make_members(self, config, reset)
                runs = self._prepare_runs(members, data, reset, incremental)
                if reset and not incremental:
                    let_pause(runs, data.rows)
                with self._told_to_sklearn((X, y), data, members, runs) as runs:
                    self._train(config, data, runs)
                    self._store([member for member, _ in members], runs, data.dtype)

    def _told_to_sklearn(self, raw, data, members, runs):
        """Let scikit-learn's callbacks follow the runs, where there are some."""
        if not vars(self).get(CALLBACKS):
            return nullcontext(runs)
        attributes = [
            partial(self._current_attributes, member, run.network, data.dtype)
            for (member, _), run in zip(members, runs, strict=True)
        ]
        return told_to_sklearn(self, raw, data.rows.dataset, runs, attributes)

    def _train(self, config, data, runs):
        """Train the networks, and warn of those that learned nothing."""
        if config.is_stochastic:
            has_ended = train_networks(runs, self._open_checkpoint(config, data, runs))
        else:
            has_ended = train_lbfgs(runs)
        if has_ended and runs[0].is_one_epoch:
            warn_of_divergence(runs)
        elif has_ended and not any(run.outcome.has_paused for run in runs):
            warn_of_failed_learning(runs, getattr(self, "feature_names_in_", None))

    def _open_checkpoint(self, config, data, runs):
        """Open the checkpoint file of a fit; None where none is asked for."""
        if config.checkpoint is None or runs[0].is_one_epoch:
            return None
        arrays = data.arrays()
        if hasattr(self, "feature_names_in_"):
            arrays["names of columns"] = self.feature_names_in_
        networks = [(run.network.spec, run.network.flat) for run in runs]
        params, schedule = self.get_params(deep=False), config.learning_rate in SCHEDULES
        fingerprint = io.fit_fingerprint(type(self).__name__, params, arrays, networks, schedule)
        file = io.CheckpointFile(config.checkpoint, fingerprint)
        return Checkpoints(runs, config.checkpoint_every, file)

    def _check_solver(self):
        if not is_stochastic(self.solver):
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
            )
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @abstractmethod
    def _validate(self, X, y, reset, incremental, names=("X", "y")):
        """Check X and y, which errors call by `names`, and learn their classes and columns."""

    @abstractmethod
    def _encode(self, y):
        """Checked targets as the loss takes them."""

    @abstractmethod
    def _count_outputs(self, y):
        """Return the number of the network's output units."""

    _loss_of_callable: str
    """The loss whose link and name in files a callable has."""

    def _loss_key(self, name):
        """Return the key in `sklmlp.losses.LOSSES` of a loss, for the kind of the targets."""
        return str(name)

    def _loss_and_params(self):
        """Return what `sklmlp.losses.make_loss` makes the loss of."""
        if isinstance(self.loss, Loss):
            return self.loss, {}
        if callable(self.loss):
            return self._loss_key(self._loss_of_callable), {"function": self.loss}
        entry = LOSSES[self.loss]
        params = {name: entry.plain(getattr(self, name)) for name in entry.parameters}
        return self._loss_key(self.loss), params

    def _chosen_loss(self):
        """Return the `Loss` that the parameters ask for."""
        return make_loss(*self._loss_and_params())

    def _described_loss(self):
        """Return the same before a fit, with the defaults of its parameters."""
        return describe_loss(self.loss, self._loss_of_callable)

    def _target_scaling(self, y, weight, reset):
        """Return what targets are scaled by for training; None where they are not."""
        return None

    def _check_range(self, y, target):
        """Raise where targets `y` have no use as the tensor `target` that they have become."""

    def _apply_class_weight(self, y, sample_weight, learn_from=None):
        """Return weights of rows; `learn_from` are training targets and weights where y is not."""
        return sample_weight

    @abstractmethod
    def _stratification(self, y):
        """Return what to stratify the validation split by, or None."""

    @abstractmethod
    def _score_logits(self, y, weight, logits, loss):
        """Return the validation score of logits of a `Loss` against encoded targets."""

    @abstractmethod
    def _decode_logits(self, method, logits, loss):
        """Return the output of 'predict' or 'predict_proba' for logits, for skorch's callbacks."""
