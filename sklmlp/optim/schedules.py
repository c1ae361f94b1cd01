"""Learning rate schedules that change step by step toward a known end."""

import math
from dataclasses import dataclass

DECAYS = {
    "cosine": lambda q: (1 + math.cos(math.pi * q)) / 2,  # Loshchilov & Hutter 2017, eq. 5
    "linear": lambda q: 1 - q,
    "exponential": lambda q: 0.01**q,
}
"""What is left of the rate at the share q of the steps after the warm-up."""

SCHEDULES = (*DECAYS, "one_cycle")


def coslog(q):
    """Four cycles, each about twice as long as the one before: 0 at 0, 1/15, 3/15, 7/15 and 1.

    So one fit holds solutions of four lengths, and of them the best can be chosen
    (Holzmueller, Grinsztajn & Steinwart 2024, "Better by default", sec. 3).
    """
    return (1 - math.cos(2 * math.pi * math.log2(1 + 15 * q))) / 2


def factor(name, step, n_steps, warmup_fraction=0.0):
    """Return the share of the full rate that a step takes.

    Parameters
    ----------
    name : str
        One of SCHEDULES, or "coslog".
    step, n_steps : int
        The number of the step, from 0, and of all of them; a step behind the last is the last.
    warmup_fraction : float, default=0.0
        The share of steps in which the rate rises: in proportion to the step (Goyal et al. 2017,
        sec. 2.2), or for "one_cycle" along a cosine, where 0 stands for 0.3.

    Returns
    -------
    factor : float
    """
    step = min(step, n_steps - 1)
    if name == "coslog":
        return coslog(step / n_steps)
    if name == "one_cycle":
        return one_cycle(step, n_steps, warmup_fraction or 0.3)
    warmup = warmup_fraction * n_steps
    if step < warmup:
        return min(1.0, (step + 1) / warmup)
    return DECAYS[name]((step - warmup) / (n_steps - warmup))


def one_cycle(step, n_steps, rise, start=1 / 25, end=1 / 25e4):
    """Up and down along two halves of a cosine (Smith & Topin 2018).

    The arithmetic and the defaults of `torch.optim.lr_scheduler.OneCycleLR`.
    """
    top = rise * n_steps - 1
    if top > 0 and step <= top:
        return _cosine(start, 1.0, step / top)
    return _cosine(1.0, end, (step - top) / (n_steps - 1 - top))


def _cosine(start, end, q):
    return end + (start - end) * (1 + math.cos(math.pi * q)) / 2


@dataclass(frozen=True)
class Schedule:
    """The rates of a fit.

    Parameters
    ----------
    name : str
        As `factor` takes it.
    rate : float
        The full rate.
    warmup_fraction : float
    n_epochs : int
        Over which it is laid out.
    """

    name: str
    rate: float
    warmup_fraction: float
    n_epochs: int

    @classmethod
    def of(cls, params):
        """Make the schedule that parameters ask for; None if rates change otherwise."""
        if params.learning_rate not in SCHEDULES:
            return None
        return cls(
            params.learning_rate,
            params.learning_rate_init,
            params.warmup_fraction,
            params.max_iter,
        )

    def rates(self, epoch, n_batches):
        """Return the rate of each step of an epoch; epochs are counted from 0."""
        steps, n_steps = (
            range(epoch * n_batches, (epoch + 1) * n_batches),
            self.n_epochs * n_batches,
        )
        return [self.rate * factor(self.name, s, n_steps, self.warmup_fraction) for s in steps]
