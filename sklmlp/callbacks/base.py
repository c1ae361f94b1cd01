"""The protocol of callbacks: what they are told at the begin and end of each part of a fit."""

from functools import partial


class TrainingCallback:
    """The begin and end of everything in a fit, with nobody listening."""

    stopped, optimizer, follows_batches = False, None, False

    def begin_training(self):
        """Before the first epoch."""

    def begin_epoch(self):
        """Before the first batch of an epoch."""

    def begin_batch(self, batch):
        """Before a step."""

    def gradient_computed(self, batch):
        """Between the gradient and the update."""

    def end_batch(self, batch):
        """After a step."""

    def end_epoch(self, record):
        """After an epoch, whose entry of `history_` is `record`."""

    def end_training(self):
        """After the last epoch; the weights may still be changed here."""


class CallbackList(TrainingCallback):
    """Several listeners as one.

    Parameters
    ----------
    listeners : list of TrainingCallback
    """

    def __init__(self, listeners):
        self.listeners = listeners
        self.follows_batches = any(each.follows_batches for each in listeners)
        self.optimizer = next((each.optimizer for each in listeners if each.optimizer), None)
        for name in EVENTS:
            setattr(self, name, partial(self._tell_all, name))

    @property
    def stopped(self):
        """Whether one of them wants the fit to end."""
        return any(each.stopped for each in self.listeners)

    def _tell_all(self, name, *args):
        for each in self.listeners:
            getattr(each, name)(*args)


EVENTS = [name for name, value in vars(TrainingCallback).items() if callable(value)]
