"""One training step: a batch in, weights moved. The plain one here, the fast one in `dense.py`."""

import torch


class AutogradStep:
    """Gradient by autograd for one network of any module, then one update.

    The test of every faster step.

    Parameters
    ----------
    fit : Fit
    """

    def __init__(self, fits):
        (self.fit,) = fits
        self.network = self.fit.network
        self.n_outputs = self.network.spec.n_outputs

    def __call__(self, batch, logits, penalty):
        """Train on a batch.

        Parameters
        ----------
        batch : Batch
        logits : tensor of shape (n, k)
            Is filled with the network's logits, before the update.
        penalty : tensor of shape ()
            Is filled with the sum of squared coefs, before the update.
        """
        self.network.module.train()
        self.network.gradient.zero_()
        self.backward(batch.x, batch.y, batch.scale, logits)
        self.penalise(batch.weight_sum, penalty)
        self.fit.events.gradient_computed(batch)
        self.fit.optimizer.step()

    def keep(self, which):
        """Nothing to give up: there is one network."""

    def backward(self, x, y, scale, logits):
        """Add the gradient of the scaled losses of some rows to the network's."""
        z = self.network.module(x)
        logits.copy_(z.detach())
        z.backward(self.fit.loss.gradient(z.detach(), y).mul_(scale))

    def penalise(self, weight_sum, penalty):
        """Add the gradient of alpha / (2 weight_sum) times the squared coefs."""
        coefs = self.network.flat.detach()[: self.network.n_coefs]
        if self.fit.params.alpha:
            scale = self.fit.params.alpha / weight_sum
            self.network.gradient[: self.network.n_coefs].add_(coefs, alpha=scale)
        torch.dot(coefs, coefs, out=penalty)
