"""The network of the tabular estimators, as a multilayer perceptron with a module and an optimizer.

Checks, batches, validation, callbacks, predictions and files are those of `MLPClassifier` and
`MLPRegressor`; what differs is here.
"""

import math
import time
from dataclasses import dataclass, field, replace

import numpy as np

from sklmlp.callbacks import CallbackList, TrainingCallback
from sklmlp.classifier import MLPClassifier
from sklmlp.optim import Muon, Schedule
from sklmlp.regressor import MLPRegressor
from sklmlp.training import StoppingState

BUDGET_SHARE, LEAST_EPOCHS = 0.85, 4
"""The share of a time limit that epochs may take, and how many make a refit worth while."""


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


@dataclass(frozen=True)
class Budget:
    """How long a fit may take, with the refit behind it.

    Parameters
    ----------
    seconds : float
    following : float
        How long an epoch of what follows takes, over one of the fit: other folds and the refit.
    overhead : float
        Seconds that these take before their first epochs.
    """

    seconds: float
    following: float
    overhead: float

    def n_epochs(self, seconds, most):
        """Return how many epochs there is time for, if one takes so many seconds.

        What follows takes as many in the worst case. Where that leaves too few of them, one fit
        has all the time.
        """
        time_left = BUDGET_SHARE * self.seconds
        both = (time_left - self.overhead) / (seconds * (1 + self.following))
        n_epochs = int(both) if both >= LEAST_EPOCHS else int(time_left / seconds)
        return max(1, min(most, n_epochs))


class Course(StopAfter):
    """Takes dropout back in the second half of the schedule, and ends a fit as planned.

    With a budget it times the first epoch, and lays out the schedule over as many epochs as there
    is time for: a fit that has annealed is better than the beginning of a longer one.

    With dropout to the end, values that are nearly determined by the columns stay as blurred as
    dropout leaves them (Holzmüller, Grinsztajn & Steinwart 2024, sec. 3: "flat_cos").

    Parameters
    ----------
    n_epochs : int
        Epochs to train.
    run : TrainingRun
        Of a `TiedNetwork`; the schedule is laid out over its `max_iter`.
    budget : Budget, default=None

    Attributes
    ----------
    max_iter : int
        Epochs that the schedule was laid out over in the end.
    held_out_logits : dict of {int: ndarray of shape (n, n_outputs)}
        Those of held-out rows after the epochs at which the rate had annealed.
    """

    def __init__(self, n_epochs, run, budget=None):
        super().__init__(n_epochs, run.state)
        self.module, self.budget = run.network.module, budget
        self.max_iter, self.dropout = run.config.max_iter, self.module.dropout
        self.held_out_logits = {}

    def recording(self, score):
        """Return a score of held-out rows that also takes note of their logits."""

        def recorded(logits, loss, network):
            if self.n_done in ends_of_cycles(self.max_iter):
                self.held_out_logits[self.n_done] = logits
            return score(logits, loss, network)

        return recorded

    def begin_training(self):
        """Start the clock; a fit that goes on keeps the schedule that it has been given."""
        self.started = time.monotonic()
        self._shorten(self.state.stopping.ends[-1])

    def end_epoch(self, record):
        """After the first epoch say how many there is time for."""
        if self.n_done == 1 and self.budget is not None:
            self._shorten(self.budget.n_epochs(time.monotonic() - self.started, self.max_iter))

    def _shorten(self, n_epochs):
        """Lay out the schedule over fewer epochs."""
        if n_epochs < self.max_iter:
            self.n_epochs = self.max_iter = n_epochs
            optimizer, stopping = self.state.optimizer, self.state.stopping
            optimizer.schedule = replace(optimizer.schedule, n_epochs=n_epochs)
            stopping.ends = ends_of_cycles(n_epochs)

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
    budget : Budget or None
        May shorten the schedule.
    """

    n_epochs: int
    matrix_factor: float
    scale_factor: float
    weight_decay: float
    budget: Budget | None = None


class TiedMixin:
    """Train a `TiedNetwork` by Muon with the coslog schedule, for a planned number of epochs."""

    def fit_by(self, plan, X, y, *args, **kwargs):
        """Fit as `fit` does, by a `Plan`; return the `Course` that the fit took."""
        self.plan, courses = plan, []
        self.courses = courses  # the fit goes on in a copy
        try:
            self.fit(X, y, *args, **kwargs)
        finally:
            del self.plan, self.courses
        return courses[0]

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
        course = Course(self.plan.n_epochs, run, self.plan.budget)
        self.courses.append(course)
        callback = CallbackList([run.callback, course])
        run.state.stopping = StoppingAtEnds(ends=ends_of_cycles(run.config.max_iter))
        if run.validation is not None:
            run.validation.score = course.recording(run.validation.score)
        # scores of training rows would take a third of the time
        return replace(run, callback=callback, training_sample=None)


class TiedClassifier(TiedMixin, MLPClassifier):
    """A classifier of encoded rows."""


class TiedRegressor(TiedMixin, MLPRegressor):
    """A regressor of encoded rows."""
