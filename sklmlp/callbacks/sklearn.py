"""scikit-learn's callbacks in our training loop: a fit and its epochs as tasks."""

import threading
from contextlib import contextmanager
from dataclasses import replace

import torch

from sklmlp.callbacks.base import CallbackList, TrainingCallback
from sklmlp.compat import init_callback_context, safe_indexing


@contextmanager
def told_to_sklearn(estimator, raw, dataset, runs, attributes):
    """Let scikit-learn's callbacks follow a fit: the block trains, and stores what was learned.

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
    attributes : list of callable
        For each run, gives the attributes that make the estimator one of the weights of the moment.

    Yields
    ------
    runs : list of TrainingRun
        The same with one more listener each.
    """
    n_epochs = 1 if runs[0].is_one_epoch else runs[0].config.max_iter
    lock = threading.Lock()  # networks of an ensemble may train on several threads
    several = len(runs) > 1
    context = init_callback_context(
        estimator,
        max_subtasks=len(runs) if several else n_epochs,
        sequential_subtasks=not several,
    )
    rows = _rows_of(raw, dataset)
    context.call_on_fit_task_begin(estimator=estimator, **rows)
    followed = []
    for number, (run, current) in enumerate(zip(runs, attributes, strict=True)):
        kwargs = {"estimator": estimator, **_rows_of(raw, run.dataset)}
        kwargs["reconstruction_attributes"] = current
        task, parent = None, context
        if several:
            task = parent = context.subcontext("network", task_id=number, max_subtasks=n_epochs)
        callback = SklearnCallback(parent, task, lock, kwargs)
        if run.has_batch_callbacks:
            callback = CallbackList([run.callback, callback])
        followed.append(replace(run, callback=callback))
    yield followed
    context.call_on_fit_task_end(estimator=estimator, **rows, reconstruction_attributes={})


def _rows_of(raw, dataset):
    """Return `X`, `y` and `metadata` of the rows of a dataset, as the user gave them."""
    index, weight = dataset.index, dataset.weights()
    X, y = raw if index is None else (safe_indexing(each, index) for each in raw)
    return {"X": X, "y": y, "metadata": None if weight is None else {"sample_weight": weight}}


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
