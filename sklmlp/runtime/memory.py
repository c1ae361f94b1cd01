"""Out-of-memory handling: informative errors in `fit`, smaller chunks in `predict`."""

from contextlib import contextmanager
from itertools import pairwise

import torch


def in_chunks(compute, n, size):
    """Compute rows a chunk at a time, in ever smaller chunks where a GPU's memory ends.

    Parameters
    ----------
    compute : callable
        A slice of rows to a tensor of as many rows.
    n, size : int
        Rows, and rows of a chunk.

    Returns
    -------
    values : torch.Tensor of shape (n, ...)
    """
    size, start, values = min(size, n), 0, None
    while start < n:
        try:
            part = compute(slice(start, min(start + size, n)))
        except torch.OutOfMemoryError:
            if size == 1:
                raise
            size //= 2
            continue
        if len(part) == n:
            return part
        if values is None:
            values = part.new_empty((n, *part.shape[1:]))
        values[start : start + len(part)] = part
        start += len(part)
    return values


@contextmanager
def explain_oom(config, dataset, n_outputs):
    """Let a fit that runs out of GPU memory say what needed how much, and what to lower.

    Parameters
    ----------
    config : TrainingConfig
    dataset : Dataset
        What is trained on.
    n_outputs : int
        Of the network.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        n_rows, n_features = dataset.rows.shape
        layers = n_features, *config.hidden_layer_sizes, n_outputs
        itemsize = dataset.dtype.itemsize
        weights = sum((i + 1) * o for i, o in pairwise(layers))
        batch = min(n_rows, 200 if config.batch_size == "auto" else config.batch_size)
        needs = {
            "the rows of X": n_rows * layers[0],
            "weights, gradients and moments": 4 * weights * config.n_estimators,
            "a step on one batch": 3 * batch * sum(layers) * config.n_estimators,
        }
        told = ", ".join(f"{what} {_mebibytes(n * itemsize)}" for what, n in needs.items())
        raise torch.OutOfMemoryError(
            f"device={config.device!r} ran out of memory in fit. Needed are about: {told}. Lower "
            f"batch_size={config.batch_size!r}, "
            f"hidden_layer_sizes={config.hidden_layer_sizes!r} or "
            f"n_estimators={config.n_estimators}, choose dtype='float32', or fit on device='cpu'. "
            f"({error})"
        ) from error


def _mebibytes(n):
    return f"{n / 2**20:,.1f} MiB"
