"""Training losses without a look at the device at every step."""

import torch

LOGITS_AT_ONCE = 2**18
"""Losses are computed when about this many logits have come together."""


class LossMeter:
    """The training losses of an epoch from its logits, many batches at a time.

    The device is looked at once an epoch, at the end.

    Parameters
    ----------
    fits : list of Fit
        K networks; one does without the axis of K.
    batches : Batches

    Attributes
    ----------
    squared_coefs : tensor of shape (n_batches,) or (n_batches, K)
        To be filled with the sum of squared coefs before each step.
    """

    def __init__(self, fits, batches):
        flat, k = fits[0].network.flat.detach(), fits[0].network.spec.n_outputs
        self.loss, self.n, self.size = fits[0].loss, batches.n, batches.size
        stack = () if len(fits) == 1 else (len(fits),)
        capacity = min(self.n, max(self.size, LOGITS_AT_ONCE // (k * len(fits))))
        self.buffer = flat.new_empty((*stack, k, capacity)).mT  # quicker than row by row
        self.capacity, self.filled_from, self.filled_to = capacity, 0, 0
        self.all_squared = flat.new_zeros((-(-self.n // self.size), *stack))
        self.squared_coefs = list(self.all_squared)
        self.half_alpha = flat.new_tensor([fit.params.alpha / 2 for fit in fits]).view(stack)
        self.total = flat.new_zeros(stack)

    def begin(self, y, weight):
        """Forget the last epoch.

        Parameters
        ----------
        y : tensor of shape (n,) or (n, k), or (K, n) or (K, n, k)
            The targets of the epoch in order.
        weight : ndarray of shape (n,) or (K, n), or None
        """
        self.y, self.share = y, None
        if weight is not None:
            self.share, self.penalty_share = _shares(weight, self.size, self.buffer)
        self.filled_from = self.filled_to = 0
        self.total.zero_()
        self.all_squared.zero_()

    def logits(self, batch):
        """Where the logits of a batch belong, (n, k) or (K, n, k)."""
        end = batch.start + batch.x.shape[-2]
        if end - self.filled_from > self.capacity:
            self._add()
            self.filled_from = batch.start
        self.filled_to = end
        return self.buffer[..., batch.start - self.filled_from : end - self.filled_from, :]

    def _add(self):
        seen = slice(self.filled_from, self.filled_to)
        logits = self.buffer[..., : self.filled_to - self.filled_from, :]
        rows = self.loss.rows(logits, self.y[:, seen] if self.buffer.ndim == 3 else self.y[seen])
        if self.share is not None:
            rows = rows * self.share[..., seen]
        self.total += rows.sum(-1)

    def losses(self):
        """The penalised training loss of each network, as scikit-learn averages it."""
        self._add()
        squared = self.all_squared
        if self.share is not None:
            squared = squared * self.penalty_share
        total = (self.total + self.half_alpha * squared.sum(0)) / self.n
        return total.view(-1).tolist()


def _shares(weight, size, like):
    """A row's weight over its batch's mean weight, (n,) or (K, n); and 1 over that, a batch."""
    share, penalty_share = weight * 0.0, []
    for start in range(0, weight.shape[-1], size):
        run = slice(start, start + size)
        mean = weight[..., run].mean(-1, keepdims=True)
        mean[mean == 0] = float("inf")
        share[..., run] = weight[..., run] / mean
        penalty_share.append(1 / mean[..., 0])
    to = {"dtype": like.dtype, "device": like.device}
    stacked = torch.stack([torch.as_tensor(each, **to) for each in penalty_share])
    return torch.as_tensor(share, **to), stacked
