"""The protocol of training steps, what those share that go batch by batch, and the plain one."""

import math
import time
from abc import ABC, abstractmethod

import torch

from sklmlp.data import Batches
from sklmlp.optim import StackedUpdate

SECONDS_AT_A_TIME = 0.05
"""The longest that a step keeps Ctrl-C and other fits waiting, if its epochs are not longer."""


class Step(ABC):
    """A way to train the networks of some runs, which share a spec and a plan of batches.

    The order of calls, by `sklmlp.training.loop`:

    1. `can_run(run)` of each class in `STEPS`; the first that can is made of the runs.
    2. `train_epochs(n_epochs, interrupted)`, again and again. It moves the weights, the optimizers
       and the random states, and returns what came of the epochs. Then the loop writes losses
       and scores into each run's `state.stopping`, moves learning rates that depend on them, and
       finds which networks go on.
    3. `select(indices)` when a network has ended. The others go on; each network that leaves owns
       its memory from then on.

    A step that computes many epochs in one call ends the call early by the rule that the loop
    applies: after the first epoch in which a network's loss has failed to improve by `tol` more
    than `n_iter_no_change` times, or is not finite. It lays out schedules by `run.epoch`.
    """

    can_stack = False
    """Whether it trains several networks side by side."""

    uses_autograd = False
    """Whether torch has to record operations."""

    is_compiled = False
    """Whether it holds no lock of Python's, and uses threads of its own rather than torch's."""

    @classmethod
    @abstractmethod
    def can_run(cls, run):
        """Return whether it can train the network of a run.

        Parameters
        ----------
        run : TrainingRun
        """

    @abstractmethod
    def train_epochs(self, n_epochs, interrupted):
        """Train for at least one epoch, and for about `SECONDS_AT_A_TIME` at most.

        Parameters
        ----------
        n_epochs : int
            No more than these: 1 where somebody looks at a run after every epoch.
        interrupted : Interrupt
            Once it is set the step raises KeyboardInterrupt, in the middle of an epoch too.

        Returns
        -------
        losses : list of list of float
            For each network the penalized training loss of each epoch, as scikit-learn averages it.
        rates : list of list of float
            For each network the learning rate of each epoch's last step.
        seconds : list of float
            What each epoch took.
        """

    @abstractmethod
    def select(self, indices):
        """Go on with the networks at these positions.

        Parameters
        ----------
        indices : list of int
        """

    @property
    @abstractmethod
    def orders(self):
        """For each network the rows in the order of the last epoch; None if that is the dataset's.

        Between two epochs, as checkpoints store them.
        """


class BatchStep(Step):
    """A step that is called with one batch after another, from Python.

    A subclass says by `prepare_update` where weights and gradients lie. It writes
    `__call__(batch)`, which computes the gradient of a batch, fills in its logits and squared coefs
    and calls `update_weights`; and, where it can stack, `_rearrange(before, indices)`.

    Parameters
    ----------
    runs : list of TrainingRun
    """

    takes_sparse = False
    """Whether it can multiply rows as CSR."""

    def __init__(self, runs):
        self.runs, config = list(runs), runs[0].config
        datasets = [run.ordered_dataset for run in runs]
        rngs = [run.state.rng for run in runs] if config.shuffle else None
        n_outputs = runs[0].network.spec.n_outputs
        sparse = self.takes_sparse and datasets[0].rows.is_multiplied_sparse
        self.batches = Batches(datasets, config.batch_size, rngs, n_outputs, sparse)

    def prepare_update(self, flat, gradient):
        """Have weights and gradients in memory of their own, or in that of a stack.

        Parameters
        ----------
        flat, gradient : tensor of shape (K, P), or (P,) for one network
        """
        optimizers = [run.state.optimizer for run in self.runs]
        if optimizers[0].pins_parameters:
            self.optimizer = optimizers[0]
        else:  # policies of skorch and torch wrap the `step` of the optimizer that they know
            watched = self.runs[0].callback.optimizer
            self.optimizer = watched or StackedUpdate(optimizers, flat, gradient)
        self.all_gradients = gradient
        self.bounds = bounds_of_norms([run.config.max_grad_norm for run in self.runs], gradient)
        self.scheduled = [run for run in self.runs if run.state.optimizer.schedule is not None]

    def begin_epoch(self):
        """Take note of learning rates, and lay out those of schedules."""
        self.optimizer.begin_epoch()
        keys = [
            (run.state.optimizer.schedule, run.epoch, run.batch_plan.n_batches)
            for run in self.scheduled
        ]
        rates = {key: key[0].rates(*key[1:]) for key in dict.fromkeys(keys)}
        self.rates = zip(*(rates[key] for key in keys), strict=True)

    def update_weights(self):
        """Move the weights of every network along its gradient."""
        if self.bounds is not None:
            clip(self.all_gradients, self.bounds)
        if self.scheduled:
            for run, rate in zip(self.scheduled, next(self.rates), strict=True):
                run.state.optimizer.set_rate(rate)
        self.optimizer.step()

    @abstractmethod
    def __call__(self, batch):
        """Train on a batch, and fill in its logits and squared coefs.

        Parameters
        ----------
        batch : Batch
        """

    def train_epochs(self, n_epochs, interrupted):
        """Train for one epoch; see `Step`."""
        started = time.perf_counter()
        listening = [run.callback for run in self.runs if run.has_batch_callbacks]
        self.begin_epoch()
        flat = self.runs[0].network.flat.detach()
        stack = (len(self.runs),) if len(self.runs) > 1 else ()
        total = flat.new_zeros(stack)  # the device is looked at once an epoch, at the end
        half_alpha = flat.new_tensor([run.config.alpha / 2 for run in self.runs]).view(stack)
        for group in self.batches.epoch():
            for batch in group.batches:  # thousands, if they are of a row each
                if interrupted.is_set():
                    raise KeyboardInterrupt
                for callback in listening:
                    callback.begin_batch(batch)
                if batch.weight_sum is None:  # all its rows have weight zero
                    batch.logits.zero_(), batch.squared_coefs.zero_()
                    continue
                self(batch)
                for callback in listening:
                    callback.end_batch(batch)
            _add_losses(total, group, self.runs[0].loss, half_alpha)
        rates = [[run.state.optimizer.lr] for run in self.runs]
        totals = zip(total.view(-1).tolist(), self.runs, strict=True)
        losses = [[each / len(run.dataset)] for each, run in totals]
        return losses, rates, [time.perf_counter() - started]

    def select(self, indices):
        """Go on with some of the networks; see `Step`."""
        if len(indices) == len(self.runs):
            return
        self.batches.select(indices)
        if indices:
            before, self.runs = self.runs, [self.runs[k] for k in indices]
            self._rearrange(before, indices)

    def _rearrange(self, before, indices):
        """Go on with the networks at these positions of the runs before."""

    @property
    def orders(self):
        """See `Step`."""
        return self.batches.order


def _add_losses(total, group, loss, half_alpha):
    """Add the penalized losses of batches that were trained on, from the logits that steps left."""
    rows, squared_coefs = loss.value(group.logits, group.y), group.squared_coefs
    if group.share is not None:
        rows, squared_coefs = rows * group.share, squared_coefs * group.penalty_share
    total.add_(rows.sum(-1)).addcmul_(half_alpha, squared_coefs.sum(0))


def bounds_of_norms(bounds, gradient):
    """Return the bounds that `clip` takes, (K, 1) or (1,); None where there are none.

    Parameters
    ----------
    bounds : list of float or None
        Of each network; None is no bound.
    gradient : tensor of shape (K, P), or (P,) for one network
    """
    if all(bound is None for bound in bounds):
        return None
    bounds = [math.inf if bound is None else bound for bound in bounds]
    return gradient.new_tensor(bounds).view(*gradient.shape[:-1], 1)


def clip(gradient, bounds):
    """Bound the length of each network's gradient: g <- g min(1, c / (|g| + 1e-6)).

    As `torch.nn.utils.clip_grad_norm_` has it (Pascanu, Mikolov & Bengio 2013, algorithm 1).
    """
    norms = torch.linalg.vector_norm(gradient, dim=-1, keepdim=True)  # (K, 1)
    gradient.mul_((bounds / norms.add_(1e-6)).clamp_(max=1.0))


class AutogradStep(BatchStep):
    """Gradient by autograd for one network of any module, then one update.

    The test of every faster step.

    Parameters
    ----------
    runs : list of TrainingRun
        One of them.
    """

    uses_autograd = True

    def __init__(self, runs):
        super().__init__(runs)
        (self.run,) = runs
        self.network = network = self.run.network
        self.prepare_update(network.flat.detach(), network.gradient)

    @classmethod
    def can_run(cls, run):
        """Anything; see `Step`."""
        return True

    def __call__(self, batch):
        """Train on a batch; see `BatchStep`."""
        self.network.train(len(batch.x))
        self.network.gradient.zero_()
        add_gradient(self.run, batch.x, batch.y, batch.scale, batch.logits)
        add_penalty(self.run, batch.weight_sum, batch.squared_coefs)
        self.run.callback.gradient_computed(batch)
        self.update_weights()


def add_gradient(run, x, y, scale, logits):
    """Add the gradient of the scaled losses of some rows to the network's, and fill in logits.

    Of members, whose logits have an axis of their own in front, it is the mean of their losses.
    """
    z = run.network(x)
    if z.ndim > logits.ndim:
        logits.copy_(run.network.module.averaged(z.detach()))
        y, scale = y.expand(len(z), *y.shape), scale / len(z)
    else:
        logits.copy_(z.detach())
    if z.requires_grad:  # not where a callback has frozen everything
        z.backward(run.loss.gradient(z.detach(), y).mul_(scale))


def add_penalty(run, weight_sum, squared_coefs):
    """Add the gradient of alpha / (2 weight_sum) times the squared coefs, and fill these in."""
    network, alpha = run.network, run.config.alpha
    coefs = network.flat.detach()[: network.n_coefs]
    if alpha:
        network.gradient[: network.n_coefs].add_(coefs, alpha=alpha / weight_sum)
    torch.dot(coefs, coefs, out=squared_coefs)
