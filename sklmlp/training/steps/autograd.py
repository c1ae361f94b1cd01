"""The plain training step: any network, by autograd. The fast one is in `dense.py`."""

import torch

from sklmlp.optim import StackedUpdate
from sklmlp.training.steps.base import BatchStep, Update


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
        self.update = make_update(runs, network.flat.detach(), network.gradient)

    @classmethod
    def can_run(cls, run):
        """Anything; see `Step`."""
        return True

    def begin_epoch(self):
        """Take note of learning rates, which an epoch may have changed."""
        self.update.begin_epoch()

    def __call__(self, batch):
        """Train on a batch; see `BatchStep`."""
        self.network.train(len(batch.x))
        self.network.gradient.zero_()
        add_gradient(self.run, batch.x, batch.y, batch.scale, batch.logits)
        add_penalty(self.run, batch.weight_sum, batch.squared_coefs)
        self.run.callback.gradient_computed(batch)
        self.update.step()


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


def make_update(runs, flat, gradient):
    """Make what updates networks whose numbers lie in one tensor each."""
    optimizers = [run.state.optimizer for run in runs]
    if optimizers[0].pins_parameters:
        update = optimizers[0]
    else:  # policies of skorch and torch wrap the `step` of the optimizer that they know
        update = runs[0].callback.optimizer or StackedUpdate(optimizers, flat, gradient)
    return Update(update, gradient, runs)
