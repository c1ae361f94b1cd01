"""skorch's callbacks in our loop: a `skorch.NeuralNet` that shows them a fit of ours."""

from functools import partial

import skorch
import torch
from skorch.dataset import Dataset
from torch import nn

from sklmlp.train.optimizers import UpdateTogether
from sklmlp.train.solvers import TorchSolver


class Events:
    """The begin and end of everything in a fit, with nobody listening."""

    stopped, optimizer, follows_batches = False, None, False

    def begin_training(self):
        """Before the first epoch."""

    def begin_epoch(self):
        """Before the first batch of an epoch."""

    def begin_batch(self, batch):
        """Before a step."""

    def gradient_computed(self, batch):
        """Between the gradient and the update."""

    def end_batch(self, batch):
        """After a step."""

    def end_epoch(self, record):
        """After an epoch, whose entry of `history_` is `record`."""

    def end_training(self):
        """After the last epoch; the weights may still be changed here."""


class Net(skorch.NeuralNet):
    """What a skorch callback is handed as `net`.

    Its module, optimizer, history, learning rate and device are those of the fit, so that policies,
    checkpoints and scorers work on the real thing; `predict` and `predict_proba` answer in the
    user's labels.
    """

    def __init__(self, *args, answer=None, classes=None, our_optimizer=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.answer, self.classes, self.our_optimizer = answer, classes, our_optimizer

    def get_default_callbacks(self):
        """None: scoring and printing are the fit's."""
        return []

    @property
    def classes_(self):
        """The labels of a classifier."""
        if self.classes is None:
            raise AttributeError("a regressor has no classes")
        return self.classes

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "regressor" if self.classes is None else "classifier"
        return tags

    def initialize_optimizer(self, triggered_directly=None):
        """Take the optimizer that the fit uses."""
        self.optimizer_ = self.our_optimizer()  # skorch wants optimizers set here, not in __init__
        return self

    def predict_proba(self, X):
        """Probabilities, for scorers."""
        return self.answer("predict_proba", self.forward(X).cpu().numpy())

    def predict(self, X):
        """Labels or values, for scorers."""
        return self.answer("predict", self.forward(X).cpu().numpy())


class TorchOptimizer(torch.optim.Optimizer):
    """An optimizer of ours as torch and skorch know them; options and moments are shared.

    Parameters
    ----------
    ours : sklmlp.train.optimizers.Optimizer
    """

    def __init__(self, ours):
        defaults = dict(ours.group)
        ours.group["params"] = [ours.flat]
        super().__init__([ours.group], defaults)
        self.state[ours.flat].update(ours.moments)
        self.ours, self.together = ours, UpdateTogether([ours], ours.flat.detach(), ours.flat.grad)

    def step(self, closure=None):
        """Update the flat tensor from its gradient."""
        self.together.step()

    def begin_epoch(self):
        """Nothing to take note of: each step looks at the options."""

    def load_state_dict(self, state_dict):
        """Take options and moments over, as a checkpoint has them."""
        super().load_state_dict(state_dict)
        state, self.ours.group = self.state[self.ours.flat], self.param_groups[0]
        for name, moment in self.ours.moments.items():
            state[name] = moment.copy_(state[name])


def _as_torch(optimizer):
    """The `torch.optim.Optimizer` that callbacks see; None for SciPy's."""
    if optimizer is None:
        return None
    return optimizer.optimizer if isinstance(optimizer, TorchSolver) else TorchOptimizer(optimizer)


class SkorchEvents(Events):
    """Tells skorch callbacks of a fit.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Its `callbacks` are as `skorch.NeuralNet` takes them.
    fit : Fit
    training, held_out : tuple of X and y
        As the user gave them, checked; `held_out` is None without early stopping.
    """

    follows_batches = True

    def __init__(self, estimator, fit, training, held_out):
        self.net = Net(
            fit.network.module,
            _Criterion(fit.loss),
            lr=estimator.learning_rate_init,
            max_epochs=estimator.max_iter,
            train_split=None,
            callbacks=estimator.callbacks,
            verbose=int(estimator.verbose),
            device=str(fit.network.flat.device),
            use_caching=False,
            predict_nonlinearity=fit.loss.link,
            answer=partial(estimator._answer, loss=fit.loss),
            classes=getattr(estimator, "classes_", None),
            our_optimizer=lambda: _as_torch(fit.optimizer),
        ).initialize()
        self.optimizer = self.net.optimizer_
        self.data = {"train": training, "valid": held_out}
        history = fit.progress.history
        for record in history:
            self.net.history.new_epoch()
            self._record(record)
        self.on_batches = any(
            getattr(type(callback), name) is not getattr(skorch.callbacks.Callback, name)
            for _, callback in self.net.callbacks_
            for name in ("on_batch_begin", "on_batch_end", "on_grad_computed")
        )

    def _record(self, record):
        for name, value in record.items():
            self.net.history.record(name, value)
        self.net.history.record("dur", record["seconds"])

    def _notify(self, event, **kwargs):
        try:
            self.net.notify(event, **kwargs)
        except KeyboardInterrupt:  # how skorch's callbacks end a fit
            self.stopped = True

    def _datasets(self):
        return {
            f"dataset_{name}": None if pair is None else Dataset(*pair)
            for name, pair in self.data.items()
        }

    def begin_training(self):
        X, y = self.data["train"]
        self._notify("on_train_begin", X=X, y=y)

    def begin_epoch(self):
        self._notify("on_epoch_begin", **self._datasets())
        if not self.on_batches:
            self.net.history.new_batch()  # an empty one: Checkpoint looks for the last

    def begin_batch(self, batch):
        if self.on_batches:
            self._notify("on_batch_begin", batch=(batch.x, batch.y), training=True)

    def gradient_computed(self, batch):
        if self.on_batches:
            named = list(self.net.module_.named_parameters())
            self._notify(
                "on_grad_computed", named_parameters=named, batch=(batch.x, batch.y), training=True
            )

    def end_batch(self, batch):
        if self.on_batches:
            logits = batch.logits
            loss = self.net.criterion_(logits, batch.y)
            self.net.history.record_batch("train_loss", float(loss))
            self.net.history.record_batch("train_batch_size", len(batch.x))
            pair = batch.x, batch.y
            self._notify("on_batch_end", batch=pair, training=True, loss=loss, y_pred=logits)

    def end_epoch(self, record):
        self._record({k: v for k, v in record.items() if k != "epoch"})
        self._notify("on_epoch_end", **self._datasets())

    def end_training(self):
        X, y = self.data["train"]
        self._notify("on_train_end", X=X, y=y)


class _Criterion(nn.Module):
    """A loss of ours as skorch expects one."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def forward(self, z, y):
        return self.loss.rows(z, torch.as_tensor(y)).mean()
