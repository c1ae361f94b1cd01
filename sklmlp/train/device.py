"""Which device and dtype a fit computes on."""

import numpy as np
import torch


def resolve_device(device):
    """The torch device that the `device` parameter asks for.

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
    return resolved


def is_available(device):
    """Whether this machine has a torch device."""
    if device.type == "cuda":
        n_cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return (device.index or 0) < n_cards
    if device.type == "mps":
        return torch.backends.mps.is_available()
    return device.type == "cpu"


def resolve_dtype(dtype, X_dtype, device):
    """The NumPy dtype that a fit computes in.

    `"auto"` follows X as scikit-learn does, and is float32 where that is what the hardware is for.
    """
    if dtype != "auto":
        resolved = np.dtype(dtype)
        if resolved == np.float64 and device.type == "mps":
            raise ValueError("dtype='float64' is not available on device='mps'.")
        return resolved
    if device.type != "cpu" or X_dtype == np.float32:
        return np.dtype(np.float32)
    return np.dtype(np.float64)


def computing_dtype(dtype, params, device):
    """The torch dtype that a fit computes in, for weights of a NumPy dtype.

    L-BFGS computes in float64 where the device has it: its line search needs the digits.
    """
    if params.solver == "lbfgs" and device.type != "mps":
        return torch.float64
    return torch.float32 if dtype == np.float32 else torch.float64
