"""Masked arrays and torch tensors, which NumPy would misread."""

import numpy as np
import torch

_WAYS_OUT = {
    "X": (
        "Fill them, or let an imputer do it: make_pipeline(SimpleImputer(add_indicator=True), "
        "StandardScaler(), ...) with X.filled(np.nan)."
    ),
    "y": "Leave these samples out: X[~y.mask], y[~y.mask].",
    "sample_weight": "Give these samples the weight zero: sample_weight.filled(0).",
}


def plain(values, name):
    """Return values as something that NumPy reads rightly.

    Parameters
    ----------
    values : object
        A tensor is detached from its gradient and copied from its device where it has to be.
        bfloat16 and smaller floats, which NumPy does not know, become float32. A masked array
        of which nothing is masked is the array in it.
    name : str
        The name of the values in error messages.

    Raises
    ------
    ValueError
        If something is masked, or a tensor is sparse, nested or without values.
    """
    if isinstance(values, np.ma.MaskedArray):
        return _unmasked(values, name)
    if isinstance(values, torch.Tensor):
        return _as_array(values, name)
    if type(values) in (list, tuple) and any(
        isinstance(each, np.ma.MaskedArray | torch.Tensor) for each in values
    ):
        return [plain(each, name) for each in values]
    return values


def _unmasked(values, name):
    n_masked = int(np.ma.getmaskarray(values).sum())
    if not n_masked:
        return values.data
    kind = name.removesuffix("_val")
    way_out = _WAYS_OUT.get(kind, "Fill them.")
    if kind != name:
        way_out = way_out.replace(kind, name)
    raise ValueError(
        f"{name} has {n_masked} masked values, which would be used as if they were not masked. "
        f"{way_out}"
    )


def _as_array(tensor, name):
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_meta:
        raise ValueError(
            f"{name} must be a dense tensor with values, got layout {tensor.layout} on "
            f"{tensor.device}. Sparse matrices may be those of scipy.sparse."
        )
    if tensor.is_floating_point() and tensor.dtype not in (
        torch.float16, torch.float32, torch.float64,
    ):  # fmt: skip
        tensor = tensor.float()
    return tensor.numpy(force=True)
