"""One training step: rows in, a loss out, weights moved."""

import torch


class AutogradStep:
    """Gradient by autograd for any module, then one update.

    Parameters
    ----------
    network : Network
    loss : Loss
    alpha : float
        L2 penalty: alpha / (2 sum of weights) times the squared coefs is added to the loss.
    optimizer : torch.optim.Optimizer
        Over the network's flat tensor.
    """

    def __init__(self, network, loss, alpha, optimizer=None):
        self.network, self.loss, self.alpha, self.optimizer = network, loss, alpha, optimizer

    def __call__(self, x, y, weight, weight_sum, events):
        """Train on one batch.

        Parameters
        ----------
        x : tensor of shape (n, d)
        y : tensor of shape (n,) or (n, k)
        weight : tensor of shape (n,) or None
        weight_sum : float
            The sum of `weight`, n where there is none.
        events : Events
            Told between the gradient and the update.

        Returns
        -------
        loss : tensor of shape ()
            The batch's penalised loss, before the update; left on the device.
        """
        self.network.module.train()
        self.network.gradient.zero_()
        loss = self.backward(x, y, weight, weight_sum) + self.penalty(weight_sum)
        events.gradient_computed(x, y)
        self.optimizer.step()
        return loss

    def backward(self, x, y, weight, weight_sum):
        """Add the gradient of the weighted mean loss to the network's; returns that loss."""
        z = self.network.module(x)
        with torch.no_grad():
            rows, gradient = self.loss.rows(z, y), self.loss.gradient(z, y)
            if weight is not None:
                rows, gradient = rows * weight, gradient * weight.unsqueeze(-1)
            gradient /= weight_sum
        z.backward(gradient)
        return rows.sum() / weight_sum

    def penalty(self, weight_sum):
        """Add the penalty's gradient to the network's; returns the penalty."""
        if not self.alpha:
            return 0.0
        coefs = self.network.flat.detach()[: self.network.n_coefs]
        scale = self.alpha / weight_sum
        self.network.gradient[: self.network.n_coefs].add_(coefs, alpha=scale)
        return 0.5 * scale * coefs.dot(coefs)
