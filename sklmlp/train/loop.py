"""The one training loop, for one network or for a stack of them."""

import time
import warnings

import torch
from sklearn.exceptions import ConvergenceWarning

from sklmlp import runtime
from sklmlp.train.batches import Batches
from sklmlp.train.dense import DenseStep, can_step_by_hand
from sklmlp.train.step import AutogradStep

LOGITS_AT_ONCE = 2**18
"""Losses are computed when about this many logits have come together."""


def train(fits, one_epoch=False):
    """Train networks, each until it has converged, `max_iter` epochs are done or the user stops.

    Networks that can share their steps are trained side by side, and each ends as if it had been
    trained alone.

    Parameters
    ----------
    fits : list of Fit
        Of networks of one spec, on tables of one table's rows.
    one_epoch : bool, default=False
        Whether a single pass is asked for, as `partial_fit` does.
    """
    for stack in [fits] if _can_stack(fits) else [[fit] for fit in fits]:
        _train_stack(stack, one_epoch)


def _can_stack(fits):
    return len(fits) == 1 or (
        can_step_by_hand(fits[0].network.spec)
        and all(fit.can_share_steps for fit in fits)
        and len({len(fit.table) for fit in fits}) == 1
    )


def _train_stack(fits, one_epoch):
    params = fits[0].params
    for fit in fits:
        fit.start()
    step = (DenseStep if can_step_by_hand(fits[0].network.spec) else AutogradStep)(fits)
    rngs = [fit.rng for fit in fits] if params.shuffle else None
    batches = Batches([fit.table for fit in fits], params.batch_size, rngs)
    running = list(fits)
    try:
        for fit in fits:
            fit.events.begin_training()
        while running:
            with runtime.settings(params.matmul_precision, _is_small(running, batches)):
                _train_epoch(running, step, batches)
            going = [k for k, fit in enumerate(running) if not (fit.has_ended() or one_epoch)]
            going = [k for k in going if not _out_of_epochs(running[k])]
            if len(going) < len(running):
                running = [running[k] for k in going]
                step.keep(going)
                batches.keep(going)
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=2)
    for fit in fits:
        fit.finish()


def _is_small(fits, batches):
    """Whether a step is too small to be worth a second thread."""
    products = sum(i * o for i, o in fits[0].network.spec.shapes) * batches.size * len(fits)
    return products < runtime.SMALL_STEP


def _train_epoch(fits, step, batches):
    """One pass over the rows, and what every network learns from it about its progress."""
    started = time.perf_counter()
    for fit in fits:
        fit.events.begin_epoch()
    y, weight, epoch = batches.epoch()
    meter = _LossMeter(fits, y, weight, batches)
    for batch in epoch:
        for fit in fits:
            fit.events.begin_batch(batch)
        if batch.weight_sum is not None:  # a batch without weight has nothing to say
            logits = meter.logits(batch)
            step(batch, logits, meter.penalty(batch))
            for fit in fits:
                fit.events.end_batch(batch, logits)
    for fit, loss in zip(fits, meter.losses(), strict=True):
        fit.end_epoch(loss, batches.n, started)


def _out_of_epochs(fit):
    if fit.progress.n_iter < fit.params.max_iter:
        return False
    warnings.warn(
        f"Stochastic Optimizer: Maximum iterations ({fit.params.max_iter}) reached and the "
        "optimization hasn't converged yet.",
        ConvergenceWarning,
        stacklevel=3,
    )
    return True


class _LossMeter:
    """The training losses of an epoch from its logits, a few batches at a time.

    The device is looked at once, at the end.
    """

    def __init__(self, fits, y, weight, batches):
        flat, k = fits[0].network.flat.detach(), fits[0].network.spec.n_outputs
        self.loss, self.y, self.n = fits[0].loss, y, batches.n
        stack = () if len(fits) == 1 else (len(fits),)
        capacity = max(batches.size, LOGITS_AT_ONCE // (k * len(fits)))
        self.buffer = flat.new_empty((*stack, min(capacity, self.n), k))
        self.filled_from, self.filled_to = 0, 0
        self.size = batches.size
        self.squared_coefs = flat.new_zeros((-(-self.n // batches.size), *stack))
        self.alpha = torch.tensor([fit.params.alpha for fit in fits], dtype=flat.dtype)
        self.alpha = self.alpha.to(flat.device).view(stack)
        self.share = None  # what a row's loss, and a batch's penalty, count in the mean of batches
        if weight is not None:
            self.share, self.penalty_share = _shares(weight, batches.size, flat)
        self.total = flat.new_zeros(stack)

    def logits(self, batch):
        """Where the logits of a batch belong, (n, k) or (K, n, k)."""
        n = batch.x.shape[-2]
        if batch.start + n - self.filled_from > self.buffer.shape[-2]:
            self._add()
            self.filled_from = batch.start
        self.filled_to = batch.start + n
        return self.buffer[..., batch.start - self.filled_from :, :][..., :n, :]

    def penalty(self, batch):
        """Where the sum of squared coefs before a step belongs, () or (K,)."""
        return self.squared_coefs[batch.start // self.size]

    def _add(self):
        seen = slice(self.filled_from, self.filled_to)
        logits = self.buffer[..., : self.filled_to - self.filled_from, :]
        of_stack = self.buffer.ndim == 3
        rows = self.loss.rows(logits, self.y[:, seen] if of_stack else self.y[seen])
        if self.share is not None:
            rows = rows * self.share[..., seen]
        self.total += rows.sum(-1)

    def losses(self):
        """The penalised training loss of each network, as scikit-learn averages it."""
        self._add()
        squared = self.squared_coefs
        if self.share is not None:
            squared = squared * self.penalty_share
        total = (self.total + 0.5 * self.alpha * squared.sum(0)) / self.n
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
