"""The network of the tabular estimators, as a multilayer perceptron with a module and an optimizer.

Checks, batches, validation, callbacks, predictions and files are those of `MLPClassifier` and
`MLPRegressor`; what differs is here.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from sklmlp.callbacks import CallbackList, TrainingCallback
from sklmlp.classifier import MLPClassifier
from sklmlp.optim import Muon, Schedule
from sklmlp.regressor import MLPRegressor
from sklmlp.training import StoppingState


class StopAfter(TrainingCallback):
    """Ends a fit after some epochs, as planned: nothing is warned of.

    Parameters
    ----------
    n_epochs : int
    state : TrainingState
        Counts them.
    """

    def __init__(self, n_epochs, state):
        self.n_epochs, self.state = n_epochs, state

    @property
    def n_done(self):
        """Epochs so far."""
        return self.state.stopping.n_iter

    @property
    def stopped(self):
        """Whether the last epoch is over."""
        return self.n_done >= self.n_epochs


class Course(StopAfter):
    """Takes dropout back in the second half of the schedule, and ends a fit as planned.

    With dropout to the end, values that are nearly determined by the columns stay as blurred as
    dropout leaves them (Holzmüller, Grinsztajn & Steinwart 2024, sec. 3: "flat_cos").

    Parameters
    ----------
    n_epochs : int
        Epochs to train.
    state : TrainingState
        Counts them.
    max_iter : int
        Epochs that the schedule is laid out over.
    module : TiedNetwork
    """

    def __init__(self, n_epochs, state, max_iter, module):
        super().__init__(n_epochs, state)
        self.max_iter, self.module, self.dropout = max_iter, module, module.dropout

    def begin_epoch(self):
        """Set the rate of dropout."""
        self.module.dropout = self.dropout * flat_cos(self.n_done / self.max_iter)


def flat_cos(t):
    """Return 1 in the first half, and from there half a cosine down to 0 at t = 1."""
    return (1 + math.cos(math.pi * (max(1.0, 2 * t) - 1))) / 2


def ends_of_cycles(max_iter):
    """Return the epochs after which the learning rate has annealed: four, or fewer of a short fit.

    Parameters
    ----------
    max_iter : int
        Epochs that the coslog schedule is laid out over.

    Returns
    -------
    ends : list of int
        Rising; the last is `max_iter`.
    """
    return sorted({max(1, round(max_iter * share / 15)) for share in (1, 3, 7, 15)})


def best_end(scores, ends):
    """Return the epoch, from 1, that is best of those at the end of a cycle.

    Parameters
    ----------
    scores : list of float
        Of the epochs so far; before the first end all of them count.
    ends : list of int
    """
    reached = [end for end in ends if end <= len(scores)] or range(1, len(scores) + 1)
    return max(reached, key=lambda end: scores[end - 1])


@dataclass
class StoppingAtEnds(StoppingState):
    """Keeps the best weights of those at the ends of cycles.

    In between a high learning rate blurs them, and a fit of the same length to other rows would be
    blurred otherwise. Before the first end, where a fit may have to end, all epochs count.

    Attributes
    ----------
    ends : list of int
    """

    ends: list = field(default_factory=list)

    def update_from_score(self, score, tol, network):
        """Count an epoch, and keep its weights if it is an end and the best of these."""
        if self.n_iter == self.ends[0]:
            self.best_validation_score = -np.inf
        if self.n_iter in self.ends or self.n_iter < self.ends[0]:
            super().update_from_score(score, tol, network)
        else:
            self.validation_scores.append(score)


@dataclass(frozen=True)
class Plan:
    """What a fit takes besides the parameters of an MLP.

    Parameters
    ----------
    n_epochs : int
        Epochs to train, of the `max_iter` that the schedule is laid out over.
    matrix_factor, scale_factor, weight_decay : float
        See `sklmlp.optim.Muon`.
    """

    n_epochs: int
    matrix_factor: float
    scale_factor: float
    weight_decay: float


class TiedMixin:
    """Train a `TiedNetwork` by Muon with the coslog schedule, for a planned number of epochs."""

    def fit_by(self, plan, X, y, *args, **kwargs):
        """Fit as `fit` does, by a `Plan`."""
        self.plan = plan
        try:
            return self.fit(X, y, *args, **kwargs)
        finally:
            del self.plan

    def _make_optimizer(self, network, config, incremental):
        plan, lr = self.plan, config.learning_rate_init
        optimizer = Muon(
            network,
            network.module.shared,
            network.module.first_scales,
            lr,
            plan.matrix_factor,
            plan.scale_factor,
            (config.beta_1, config.beta_2),
            config.epsilon,
            plan.weight_decay,
        )
        optimizer.schedule = Schedule("coslog", lr, 0.0, config.max_iter)
        return optimizer

    def _prepare_run(self, *args, **kwargs):
        run = super()._prepare_run(*args, **kwargs)
        state, module = run.state, run.network.module
        course = Course(self.plan.n_epochs, state, run.config.max_iter, module)
        callback = CallbackList([run.callback, course])
        run.state.stopping = StoppingAtEnds(ends=ends_of_cycles(run.config.max_iter))
        # scores of training rows would take a third of the time
        return replace(run, callback=callback, training_sample=None)


class TiedClassifier(TiedMixin, MLPClassifier):
    """A classifier of encoded rows."""


class TiedRegressor(TiedMixin, MLPRegressor):
    """A regressor of encoded rows."""
