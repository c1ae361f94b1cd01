"""One training step: a batch in, weights moved. The plain one here, the fast one in `dense.py`."""

import torch

from sklmlp.optim import ClippedUpdate, ScheduledUpdate, StackedUpdate


class AutogradStep:
    """Gradient by autograd for one network of any module, then one update.

    The test of every faster step.

    Parameters
    ----------
    fit : TrainingRun
    """

    takes_sparse = False

    def __init__(self, fits):
        (self.fit,) = fits
        self.network = network = self.fit.network
        if self.fit.optimizer is not None:  # SciPy has its own
            self.optimizer = make_update(fits, network.flat.detach(), network.gradient)

    def begin_epoch(self):
        """Take note of learning rates, which an epoch may have changed."""
        self.optimizer.begin_epoch()

    def __call__(self, batch):
        """Train on a batch, and fill in its logits and squared coefs.

        Parameters
        ----------
        batch : Batch
        """
        self.network.train(len(batch.x))
        self.network.gradient.zero_()
        self.backward(batch.x, batch.y, batch.scale, batch.logits)
        self.penalise(batch.weight_sum, batch.squared_coefs)
        self.fit.events.gradient_computed(batch)
        self.optimizer.step()

    def keep(self, which):
        """Nothing to give up: there is one network."""

    def backward(self, x, y, scale, logits):
        """Add the gradient of the scaled losses of some rows to the network's."""
        z = self.network(x)
        logits.copy_(z.detach())
        if z.requires_grad:  # not where a callback has frozen everything
            z.backward(self.fit.loss.gradient(z.detach(), y).mul_(scale))

    def penalise(self, weight_sum, penalty):
        """Add the gradient of alpha / (2 weight_sum) times the squared coefs."""
        coefs = self.network.flat.detach()[: self.network.n_coefs]
        if self.fit.params.alpha:
            scale = self.fit.params.alpha / weight_sum
            self.network.gradient[: self.network.n_coefs].add_(coefs, alpha=scale)
        torch.dot(coefs, coefs, out=penalty)


def make_update(fits, flat, gradient):
    """What updates networks whose numbers lie in one tensor each."""
    if fits[0].optimizer.pins_parameters:
        update = fits[0].optimizer
    else:  # policies of skorch and torch wrap the `step` of the optimizer that they know
        update = fits[0].events.optimizer
        update = update or StackedUpdate([fit.optimizer for fit in fits], flat, gradient)
    scheduled = [fit for fit in fits if fit.optimizer.schedule is not None]
    if scheduled:
        update = ScheduledUpdate(update, scheduled)
    bounds = [fit.params.max_grad_norm for fit in fits]
    if any(bound is not None for bound in bounds):
        update = ClippedUpdate(update, gradient, bounds)
    return update
