"""Which device and dtype a fit computes on."""

import multiprocessing
import re
import sys
import zlib

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
    if config.solver == "lbfgs" and device.type != "mps":
        return torch.float64
    return torch.float32 if dtype == np.float32 else torch.float64
