"""The rows of a run, cut into those that shared weights are trained on and those that score."""

import numpy as np
import torch
from sklearn.model_selection import train_test_split

HELD_OUT = 0.2
"""The share of rows that score."""

MOST_HELD_OUT, MOST_VALUES = 2000, 2**24
"""Limits of the rows that score, and of the numbers in them."""

LEAST_BATCH, MOST_BATCH = 16, 128
"""Rows of a batch."""


class SearchRows:
    """Batches to train on, and held-out rows to score by.

    Parameters
    ----------
    run : TrainingRun
        Whose rows these are, and whose loss.
    rng : numpy.random.Generator
        Cuts and shuffles them.
    dtype : torch.dtype, default=torch.float32

    Attributes
    ----------
    loss : Loss
    held_out : tuple of tensor
        x, y and weights (or None) of the rows that score.
    batch_size : int
    """

    def __init__(self, run, rng, dtype=torch.float32):
        self.loss, self.rng, self.dtype = run.loss, rng, dtype
        dataset = run.dataset
        self.rows, self.y, self.weight = dataset.rows, dataset.y, dataset.weight
        index = np.arange(len(dataset)) if dataset.index is None else dataset.index
        if self.weight is not None and np.count_nonzero(self.weight[index]) > 2:
            index = index[self.weight[index] > 0]
        if len(index) < 2:
            raise ValueError(
                f"Shared weights need a row to train on and one to score; got {len(index)} rows."
            )
        is_classifier = run.config.normalize_y is None
        self.training, held_out = _split(index, self.y if is_classifier else None, rng)
        most = max(100, min(MOST_HELD_OUT, MOST_VALUES // max(1, self.rows.shape[1])))
        self.held_out = self._take(held_out[:most])
        self.batch_size = max(LEAST_BATCH, min(MOST_BATCH, len(self.training) // 8))
        self.order, self.at = self.training, len(self.training)

    def batch(self):
        """Return x, y and weights (or None) of the next batch; the rows are shuffled each epoch."""
        if self.at >= len(self.order):
            self.order, self.at = self.rng.permutation(self.training), 0
        part = self.order[self.at : self.at + self.batch_size]
        self.at += self.batch_size
        return self._take(part)

    def held_out_batch(self):
        """Return a random batch of the rows that score."""
        x, y, weight = self.held_out
        part = self.rng.permutation(len(x))[: self.batch_size]
        part = torch.from_numpy(part).to(x.device)
        return x[part], y[part], None if weight is None else weight[part]

    def _take(self, index):
        x = self.rows.take(self.rows.index(index)).to(self.dtype)  # CSR rows come out dense
        y = self.y[torch.from_numpy(index).to(self.y.device)]
        if y.is_floating_point():
            y = y.to(self.dtype)
        weight = None
        if self.weight is not None:
            weight = torch.as_tensor(self.weight[index], dtype=self.dtype, device=x.device)
        return x, y, weight

    def gradients(self, logits, y, weight, of):
        """Compute the gradients of the mean loss of a batch.

        Parameters
        ----------
        logits : tensor of shape (K, n, k)
        y : tensor of shape (n,) or (n, m)
        weight : tensor of shape (n,) or None
        of : sequence of tensor
            With respect to what; those that have no part in the logits may be among them.

        Returns
        -------
        gradients : list of tensor or None
            Those of the sum of the means of K networks.
        """
        z, targets = _flat(logits.detach(), y)
        slope = self.loss.gradient(z, targets).view_as(logits)
        scale = 1 / len(y) if weight is None else (weight / weight.sum())[:, None]
        return torch.autograd.grad(logits, of, slope * scale, allow_unused=True)

    @torch.no_grad()
    def score(self, logits_of):
        """Return minus the mean loss of the held-out rows, of the K networks on average.

        Parameters
        ----------
        logits_of : callable
            `logits_of(x)` returns logits of shape (K, n, k).

        Returns
        -------
        score : float
            -inf where a loss is not finite.
        """
        x, y, weight = self.held_out
        z, targets = _flat(logits_of(x), y)
        losses = self.loss.value(z, targets).view(-1, len(y))  # (K, n)
        mean = losses.mean() if weight is None else (losses @ weight).mean() / weight.sum()
        return -float(mean) if torch.isfinite(mean) else -np.inf


def _flat(logits, y):
    """Return logits (K n, k) and targets (K n, ...): a user's loss knows one network alone."""
    return logits.reshape(-1, logits.shape[-1]), y.repeat(len(logits), *[1] * (y.ndim - 1))


def _split(index, y, rng):
    """Cut rows in two, with the same shares of classes where that can be."""
    options = {"test_size": HELD_OUT, "random_state": int(rng.integers(2**31))}
    if y is not None and (y.ndim == 1 or y.shape[1] == 1):
        classes = y.reshape(-1).cpu().numpy()[index]
        try:
            return train_test_split(index, stratify=classes, **options)
        except ValueError:  # a class with a single row
            pass
    return train_test_split(index, **options)
