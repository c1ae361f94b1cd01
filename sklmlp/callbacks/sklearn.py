"""scikit-learn's callbacks in our loop: the tasks of a fit, of which each epoch is one."""

import threading

import torch

from sklmlp.callbacks.base import TrainingCallback
from sklmlp.compat import init_callback_context


class SklearnCallbackSession:
    """A fit as scikit-learn's callbacks see it.

    The task of the fit has one subtask an epoch; that of an ensemble has one a network, and each of
    these one an epoch.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        It has callbacks.
    n_networks, n_epochs : int
        As many as there may be.
    rows : dict
        `X`, `y` and `metadata` of the fit.
    """

    def __init__(self, estimator, n_networks, n_epochs, rows):
        self.estimator, self.n_networks, self.n_epochs = estimator, n_networks, n_epochs
        self.lock = threading.Lock()  # networks of an ensemble may train on several threads
        several = n_networks > 1
        self.context = init_callback_context(
            estimator,
            max_subtasks=n_networks if several else n_epochs,
            sequential_subtasks=not several,
        )
        self.rows = rows
        self.context.call_on_fit_task_begin(estimator=estimator, **rows)

    def events_of(self, number, rows, fitted):
        """The events of one network's training.

        Parameters
        ----------
        number : int
            Which network it is.
        rows : dict
            `X`, `y` and `metadata` that it trains on, or functions that give them.
        fitted : callable
            Gives the attributes that make the estimator one of the weights of the moment.
        """
        kwargs = {"estimator": self.estimator, **rows, "reconstruction_attributes": fitted}
        if self.n_networks == 1:
            return SklearnCallback(self.context, None, self.lock, kwargs)
        task = self.context.subcontext("network", task_id=number, max_subtasks=self.n_epochs)
        return SklearnCallback(task, task, self.lock, kwargs)

    def end(self):
        """Tell of the end; the estimator is fitted."""
        self.context.call_on_fit_task_end(
            estimator=self.estimator, **self.rows, reconstruction_attributes={}
        )


class SklearnCallback(TrainingCallback):
    """Tells scikit-learn's callbacks of one network's epochs.

    Parameters
    ----------
    parent : sklearn.callback.CallbackContext
        Of which each epoch is a subtask.
    own : CallbackContext or None
        The task of this network, in an ensemble.
    lock : threading.Lock
    kwargs : dict
        What every callback may ask for.
    """

    def __init__(self, parent, own, lock, kwargs):
        self.parent, self.own, self.lock, self.kwargs = parent, own, lock, kwargs

    epoch = None

    def begin_training(self):
        self._tell(self.own, "call_on_fit_task_begin")

    def begin_epoch(self):
        self.epoch = self.parent.subcontext("epoch")
        self._tell(self.epoch, "call_on_fit_task_begin")

    def end_epoch(self, record):
        if self._tell(self.epoch, "call_on_fit_task_end"):
            self.stopped = True
        self.epoch = None

    def end_training(self):
        self._tell(self.epoch, "call_on_fit_task_end")  # one that was begun in vain
        self._tell(self.own, "call_on_fit_task_end")

    def _tell(self, task, hook):
        if task is not None:
            with self.lock, torch.inference_mode(False):  # callbacks may do as they like
                return getattr(task, hook)(**self.kwargs)
