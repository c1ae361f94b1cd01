"""Which device and dtype a fit computes on, and what happens where its memory ends."""

import multiprocessing
import re
import sys
import zlib
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch


def resolve_device(device):
    """Return the torch device that the `device` parameter asks for.

    Worker processes of joblib and Dask that are asked for "cuda" take a machine's GPUs in turn.

    Raises
    ------
    ValueError
        If torch does not know it or this machine does not have it.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device takes 'auto', 'cpu', 'cuda', 'cuda:0' and the like or 'mps', got {device!r}."
        ) from error
    if not is_available(resolved):
        raise ValueError(
            f"device={device!r} is not available on this machine; choose 'auto' or 'cpu'."
        )
    if resolved == torch.device("cuda") and torch.cuda.device_count() > 1:
        rank = worker_rank()
        if rank is not None:
            return torch.device("cuda", rank % torch.cuda.device_count())
    return resolved


def worker_rank():
    """Return the number of this process among workers of joblib or Dask; None elsewhere.

    Workers of Dask-CUDA have a GPU each already.
    """
    if "dask_cuda" in sys.modules:
        return None
    if "distributed" in sys.modules:
        try:
            name = str(sys.modules["distributed"].get_worker().name)
        except ValueError:  # not in a task
            pass
        else:
            return int(name) if name.isdecimal() else zlib.crc32(name.encode())
    found = re.fullmatch(r"(?:LokyProcess|\w+PoolWorker)-(?:\d+:)*(\d+)", _process_name())
    return None if found is None else int(found[1]) - 1


def _process_name():
    return multiprocessing.current_process().name


def is_available(device):
    """Tell whether this machine has a torch device."""
    if device.type == "cuda":
        n_cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return (device.index or 0) < n_cards
    if device.type == "mps":
        return torch.backends.mps.is_available()
    return device.type == "cpu"


def resolve_dtype(dtype, X_dtype, device):
    """Return the NumPy dtype that a fit computes in.

    `"auto"` follows X as scikit-learn does, and is float32 on GPUs.
    """
    if dtype != "auto":
        resolved = np.dtype(dtype)
        if resolved == np.float64 and device.type == "mps":
            raise ValueError("dtype='float64' is not available on device='mps'.")
        return resolved
    if device.type != "cpu" or X_dtype == np.float32:
        return np.dtype(np.float32)
    return np.dtype(np.float64)


def computing_dtype(dtype, config, device):
    """Return the torch dtype that a fit computes in, for weights of a NumPy dtype.

    L-BFGS computes in float64 where the device has it: its line search needs the digits.
    """
    if not config.is_stochastic and device.type != "mps":
        return torch.float64
    return torch.float32 if dtype == np.float32 else torch.float64


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
