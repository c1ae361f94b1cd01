"""Steps of gradient descent on shared weights."""

import math

import torch

from sklmlp.runtime import compute

LEARNING_RATE = 4e-3
"""At the start; it falls to zero along a cosine."""


WEIGHT_DECAY = 0.1
"""Of AdamW: in a step, weights lose this share of themselves, times the rate."""


class Descent:
    """AdamW on the weights of a supernet, with a rate that falls along a cosine.

    Loshchilov & Hutter 2017, eq. 5; 2019, algorithm 2.

    Parameters
    ----------
    supernet : Supernet
    rows : SearchRows
    n_steps : int
        In which the rate falls to zero.
    learning_rate : float, default=LEARNING_RATE
    weight_decay : float, default=WEIGHT_DECAY
    """

    def __init__(self, supernet, rows, n_steps, *, learning_rate=LEARNING_RATE,
                 weight_decay=WEIGHT_DECAY):  # fmt: skip
        self.supernet, self.rows, self.n_steps, self.at = supernet, rows, n_steps, 0
        self.learning_rate, self.parameters = learning_rate, supernet.parameters()
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=learning_rate, weight_decay=weight_decay, fused=True
        )

    @property
    def rate(self):
        """The learning rate of the next step."""
        return self.learning_rate / 2 * (1 + math.cos(math.pi * min(1, self.at / self.n_steps)))

    def step(self, logits_of):
        """Take a step along the loss of the next batch.

        Weights that have no part in the logits stay as they are.

        Parameters
        ----------
        logits_of : callable
            `logits_of(x)` returns logits of shape (K, n, k).
        """
        x, y, weight = self.rows.batch()
        gradients = self.rows.gradients(logits_of(x), y, weight, self.parameters)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.param_groups[0]["lr"] = self.rate
        self.optimizer.step()
        self.at += 1

    def step_on(self, architecture):
        """Take a step with one architecture."""
        self.step(lambda x: self.supernet.logits(x, architecture))


def score_all(supernet, rows, architectures):
    """Return the held-out score of each architecture with the weights as they are.

    Parameters
    ----------
    supernet : Supernet
    rows : SearchRows
    architectures : iterable of Architecture
        Equal ones are computed once.

    Returns
    -------
    scores : list of float
        Minus mean losses.
    """
    known = {}
    for each in architectures:
        if each not in known:
            known[each] = rows.score(lambda x, each=each: supernet.logits(x, each))
    return [known[each] for each in architectures]


def reproducibly(work):
    """Return what a function returns, computed on one thread and free of the caller's modes."""

    def free():
        with torch.inference_mode(False), torch.enable_grad():
            return work()

    return compute(free, "highest", one_thread=True)
