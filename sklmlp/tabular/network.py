"""The network of the tabular estimators, as a multilayer perceptron with a module and an optimizer.

Checks, batches, validation, callbacks, predictions and files are those of `MLPClassifier` and
`MLPRegressor`; what differs is here.
"""

from dataclasses import dataclass, replace

from sklmlp.callbacks import CallbackList, TrainingCallback
from sklmlp.classifier import MLPClassifier
from sklmlp.optim import Muon, Schedule
from sklmlp.regressor import MLPRegressor


class StopAfter(TrainingCallback):
    """Ends a fit after some epochs, as planned: nothing is warned of.

    Parameters
    ----------
    n_epochs : int
    """

    def __init__(self, n_epochs):
        self.n_epochs, self.n_done = n_epochs, 0

    @property
    def stopped(self):
        """Whether the last epoch is over."""
        return self.n_done >= self.n_epochs

    def end_epoch(self, record):
        """Count an epoch."""
        self.n_done += 1


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
        callback = CallbackList([run.callback, StopAfter(self.plan.n_epochs)])
        # scores of training rows would take a third of the time
        return replace(run, callback=callback, training_sample=None)


class TiedClassifier(TiedMixin, MLPClassifier):
    """A classifier of encoded rows."""


class TiedRegressor(TiedMixin, MLPRegressor):
    """A regressor of encoded rows."""
