"""scikit-learn's callbacks in our training loop: a fit and its epochs as tasks."""

import threading
from dataclasses import replace

import torch

from sklmlp.callbacks.base import CallbackList, TrainingCallback
from sklmlp.compat import init_callback_context, safe_indexing


class SklearnCallbackSession:
    """A fit as scikit-learn's callbacks see it.

    The task of the fit has one subtask an epoch; that of an ensemble has one a network, and each of
    these one an epoch.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        It has callbacks, which are given it.
    raw : tuple of X and y
        As the user gave them.
    dataset : Dataset
        All rows of the fit.
    runs : list of TrainingRun
    """

    def __init__(self, estimator, raw, dataset, runs):
        self.estimator, self.raw, self.n_networks = estimator, raw, len(runs)
        self.n_epochs = 1 if runs[0].is_one_epoch else runs[0].config.max_iter
        self.lock = threading.Lock()  # networks of an ensemble may train on several threads
        several = len(runs) > 1
        self.context = init_callback_context(
            estimator,
            max_subtasks=len(runs) if several else self.n_epochs,
            sequential_subtasks=not several,
        )
        self.rows = self._rows_of(dataset)
        self.context.call_on_fit_task_begin(estimator=estimator, **self.rows)

    def follow(self, number, run, attributes):
        """Let callbacks follow one network's training.

        Parameters
        ----------
        number : int
            Which network it is.
        run : TrainingRun
        attributes : callable
            Gives the attributes that make the estimator one of the weights of the moment.

        Returns
        -------
        run : TrainingRun
            The same with one more listener.
        """
        kwargs = {"estimator": self.estimator, **self._rows_of(run.dataset)}
        kwargs["reconstruction_attributes"] = attributes
        if self.n_networks == 1:
            callback = SklearnCallback(self.context, None, self.lock, kwargs)
        else:
            task = self.context.subcontext("network", task_id=number, max_subtasks=self.n_epochs)
            callback = SklearnCallback(task, task, self.lock, kwargs)
        if run.has_batch_callbacks:
            callback = CallbackList([run.callback, callback])
        return replace(run, callback=callback)

    def _rows_of(self, dataset):
        """`X`, `y` and `metadata` of the rows of a dataset, as the user gave them."""
        index, weight = dataset.index, dataset.weights()
        X, y = self.raw
        if index is not None:
            X, y = (safe_indexing(each, index) for each in self.raw)
        return {"X": X, "y": y, "metadata": None if weight is None else {"sample_weight": weight}}

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
    task : CallbackContext or None
        The task of this network, in an ensemble.
    lock : threading.Lock
    kwargs : dict
        What every callback may ask for.
    """

    def __init__(self, parent, task, lock, kwargs):
        self.parent, self.task, self.lock, self.kwargs = parent, task, lock, kwargs

    epoch = None

    def begin_training(self):
        self._tell(self.task, "call_on_fit_task_begin")

    def begin_epoch(self):
        self.epoch = self.parent.subcontext("epoch")
        self._tell(self.epoch, "call_on_fit_task_begin")

    def end_epoch(self, record):
        if self._tell(self.epoch, "call_on_fit_task_end"):
            self.stopped = True
        self.epoch = None

    def end_training(self):
        self._tell(self.epoch, "call_on_fit_task_end")  # one that was begun in vain
        self._tell(self.task, "call_on_fit_task_end")

    def _tell(self, task, hook):
        if task is not None:
            with self.lock, torch.inference_mode(False):  # callbacks may do as they like
                return getattr(task, hook)(**self.kwargs)
