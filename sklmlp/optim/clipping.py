"""Gradient clipping."""

import math

import torch


class ClippedUpdate:
    """An update from gradients of bounded length, each network's by its own bound.

    g <- g min(1, c / (|g| + 1e-6)), as `torch.nn.utils.clip_grad_norm_` has it (Pascanu, Mikolov &
    Bengio 2013, algorithm 1).

    Parameters
    ----------
    update : StackedUpdate, CallbackOptimizerView, TorchOptimizerAdapter or ScheduledUpdate
    gradient : tensor of shape (K, P), or (P,) for one network
    bounds : list of float or None
        One a network; None is no bound.
    """

    def __init__(self, update, gradient, bounds):
        self.update, self.gradient = update, gradient
        bounds = [math.inf if bound is None else bound for bound in bounds]
        self.bounds = gradient.new_tensor(bounds).view(*gradient.shape[:-1], 1)

    def begin_epoch(self):
        self.update.begin_epoch()

    def step(self):
        """One step of every network."""
        norms = torch.linalg.vector_norm(self.gradient, dim=-1, keepdim=True)  # (K, 1)
        self.gradient.mul_((self.bounds / norms.add_(1e-6)).clamp_(max=1.0))
        self.update.step()
