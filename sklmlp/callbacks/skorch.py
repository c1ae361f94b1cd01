"""skorch's callbacks in our training loop: a `skorch.NeuralNet` that shows them a run."""

import skorch
import torch
from skorch.dataset import Dataset

from sklmlp.callbacks.base import TrainingCallback
from sklmlp.optim import StackedUpdate, TorchOptimizerAdapter


class Net(skorch.NeuralNet):
    """The `net` that skorch's callbacks get.

    Its module, optimizer, history, learning rate and device are those of the fit, so that policies,
    checkpoints and scorers work on the real thing; `predict` and `predict_proba` return the
    user's labels.
    """

    def __init__(self, *args, decode=None, classes=None, our_optimizer=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.decode, self.classes, self.our_optimizer = decode, classes, our_optimizer

    def get_default_callbacks(self):
        """Return none: scoring and printing are the fit's."""
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
        """Predict probabilities, for scorers."""
        return self.decode("predict_proba", self.forward(X).cpu().numpy())

    def predict(self, X):
        """Predict labels or values, for scorers."""
        return self.decode("predict", self.forward(X).cpu().numpy())


class CallbackOptimizerView(torch.optim.Optimizer):
    """Adam or SGD as a `torch.optim.Optimizer`, with shared options and moments.

    Parameters
    ----------
    ours : sklmlp.optim.adam_sgd.Optimizer
    network : Network
        What a callback has frozen of it keeps its weights and moments.
    """

    def __init__(self, ours, network):
        defaults = dict(ours.group)
        ours.group["params"] = [ours.flat]
        super().__init__([ours.group], defaults)
        self.state[ours.flat].update(ours.moments)
        self.ours, self.together = ours, StackedUpdate([ours], ours.flat.detach(), ours.flat.grad)
        self.network, self.missed = network, None

    def step(self, closure=None):
        """Update the flat tensor from its gradient, or those parts of it that are not frozen."""
        frozen = self.network.frozen()
        if self.missed is None:
            if not any(frozen):
                self.together.step()
                return
            self.missed = [0] * len(frozen)  # steps, so that Adam corrects for those it has taken
        ours, step = self.ours, torch.zeros((), device=self.ours.flat.device)
        flat, gradient = ours.flat.detach(), ours.flat.grad
        for k, part in enumerate(self.network.segments):
            if frozen[k]:
                self.missed[k] += 1
                continue
            moments = [moment[part] for moment in ours.moments.values()]
            t = ours.t + 1 - self.missed[k]
            ours.update_tensors([flat[part]], [gradient[part]], moments, [step], t, ours.group)
        ours.t += 1

    def begin_epoch(self):
        """Do nothing: each step looks at the options."""

    def load_state_dict(self, state_dict):
        """Take options and moments over, as a checkpoint has them."""
        super().load_state_dict(state_dict)
        state, self.ours.group = self.state[self.ours.flat], self.param_groups[0]
        for name, moment in self.ours.moments.items():
            state[name] = moment.copy_(state[name])


def _as_torch(optimizer, network):
    """Return the `torch.optim.Optimizer` that callbacks see; None for SciPy's."""
    if optimizer is None:
        return None
    if isinstance(optimizer, TorchOptimizerAdapter):
        return optimizer.optimizer
    return CallbackOptimizerView(optimizer, network)


class SkorchCallback(TrainingCallback):
    """Tells skorch callbacks of a fit.

    Parameters
    ----------
    config : TrainingConfig
        Its `callbacks` are as `skorch.NeuralNet` takes them.
    network : Network
    state : TrainingState
        With the optimizer and the history of the run.
    decode : callable
        `decode(method, logits)` to what `predict` or `predict_proba` returns.
    classes : ndarray or None
        The labels of a classifier.
    training, held_out : tuple of X and y
        As the user gave them, checked; `held_out` is None without early stopping.
    """

    follows_batches, is_within_epoch = True, False

    def __init__(self, config, network, state, decode, classes, training, held_out):
        loss = network.spec.loss_function

        def mean_loss(z, y):
            return loss.value(z, torch.as_tensor(y)).mean()

        self.net = Net(
            network.module,
            lambda: mean_loss,  # skorch calls what is no module to get its criterion
            lr=config.learning_rate_init,
            max_epochs=config.max_iter,
            train_split=None,
            callbacks=config.callbacks,
            verbose=int(config.verbose),
            device=str(network.flat.device),
            use_caching=False,
            predict_nonlinearity=loss.link,
            decode=decode,
            classes=classes,
            our_optimizer=lambda: _as_torch(state.optimizer, network),
        ).initialize()
        self.optimizer, self.network = self.net.optimizer_, network
        self.constants = [p for p in network.module.parameters() if not p.requires_grad]
        self.data = {"train": training, "valid": held_out}
        history = state.stopping.history
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
        self.is_within_epoch = True
        self._notify("on_epoch_begin", **self._datasets())
        if any(p.requires_grad for p in self.constants):
            raise ValueError(
                "A callback unfroze a parameter that the module's constructor had frozen, which "
                "is no part of the training. Freeze it by a callback too, such as "
                "skorch.callbacks.Freezer."
            )
        if not self.on_batches:
            self.net.history.new_batch()  # an empty one: Checkpoint looks for the last

    def begin_batch(self, batch):
        if self.on_batches:
            self._notify("on_batch_begin", batch=(batch.x, batch.y), training=True)
        self.network.put_gradients()

    def gradient_computed(self, batch):
        if self.on_batches:
            named = list(self.net.module_.named_parameters())
            self._notify(
                "on_grad_computed", named_parameters=named, batch=(batch.x, batch.y), training=True
            )
        self.network.take_gradients()

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
        self.is_within_epoch = False

    def end_training(self):
        if self.is_within_epoch:  # L-BFGS may end where another iteration was to begin
            self.net.history.pop()
        X, y = self.data["train"]
        self._notify("on_train_end", X=X, y=y)
