"""The course of fits, taken down between epochs and taken up again."""

import threading
from dataclasses import asdict, replace

import numpy as np
import torch

from sklmlp.train.optimizers import OptimizerState


class Checkpoints:
    """The checkpoints of the networks of one fit.

    Parameters
    ----------
    fits : list of Fit
        All of them.
    every : int
        Epochs from one checkpoint to the next.
    file : sklmlp.io.CheckpointFile
        What to read from and write to.
    """

    def __init__(self, fits, every, file):
        self.fits, self.every, self.file = fits, every, file
        self._latest, self._lock = [None] * len(fits), threading.Lock()

    def resume(self):
        """Take up what was taken down, if there is something.

        Raises
        ------
        ValueError
            If it is not what `snapshot` gives of these fits.
        """
        snapshots = self.file.read()
        if snapshots is None:
            return
        try:
            pairs = list(zip(self.fits, snapshots, strict=True))
            for fit, snapshot in pairs:
                if snapshot is not None:
                    resume(fit, snapshot)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"checkpoint={self.file.path!r} does not describe this fit: {error!r}"
            ) from error
        self._latest = snapshots

    def of_stack(self):
        """The checkpoints of networks that are trained side by side."""
        return StackCheckpoints(self)

    def keep(self, snapshots):
        """Write the file, with new snapshots of some networks and the earlier ones of others."""
        with self._lock:
            for fit, snapshot in snapshots:
                self._latest[next(k for k, f in enumerate(self.fits) if f is fit)] = snapshot
            self.file.write(self._latest)


class StackCheckpoints:
    """Checkpoints of a stack: of all its networks after the same epoch.

    A network that ended between two checkpoints is held back for the next. So a stack goes on with
    the networks that it had, and with them its arithmetic.
    """

    def __init__(self, checkpoints):
        self.checkpoints, self.ended = checkpoints, []

    def after_epoch(self, fits, orders, going):
        """Take down the fits of a stack, of which those at the positions `going` go on."""
        for k in sorted(set(range(len(fits))) - set(going)):
            self.ended.append((fits[k], snapshot(fits[k], orders[k], ended=True)))
        if going and fits[0].progress.n_iter % self.checkpoints.every:
            return
        running = [(fits[k], snapshot(fits[k], orders[k], ended=False)) for k in going]
        self.checkpoints.keep(self.ended + running)
        self.ended = []


def snapshot(fit, order, ended):
    """All that a fit has to know to go on: plain values and arrays, copied.

    Parameters
    ----------
    fit : Fit
        Between two epochs.
    order : ndarray of int or None
        The rows in the order of the last epoch.
    ended : bool
        Whether that was the last one.
    """
    return {
        "ended": ended,
        "reached": fit.reached,
        "flat": _plain(fit.network.flat),
        "buffers": {name: _plain(b) for name, b in fit.network.module.named_buffers()},
        "optimizer": asdict(OptimizerState.of(fit.optimizer)),
        "progress": {name: _plain(value) for name, value in vars(fit.progress).items()},
        "order": None if order is None else order.copy(),
        "rng": fit.rng.get_state(legacy=False),
        "generator": [_plain(g.get_state()) for g in _generators(fit.network)],
    }


def resume(fit, snapshot):
    """Take a fit that has not begun to where another one was, whose `snapshot` this is."""
    flat, order = snapshot["flat"], snapshot["order"]
    rows = np.arange(len(fit.table)) if fit.table.index is None else fit.table.index
    if flat.shape != tuple(fit.network.flat.shape):
        raise ValueError(f"weights of shape {flat.shape}, not {tuple(fit.network.flat.shape)}")
    if order is not None and not np.array_equal(np.sort(order), np.sort(rows)):
        raise ValueError("its order of rows is none of the rows of this fit")
    fit.network.flat.detach().copy_(torch.from_numpy(flat))
    for name, buffer in fit.network.module.named_buffers():
        buffer.copy_(torch.from_numpy(snapshot["buffers"][name]))
    OptimizerState(**snapshot["optimizer"]).restore(fit.optimizer)
    if order is not None:
        fit.table = replace(fit.table, index=order)
    fit.progress = type(fit.progress)(**snapshot["progress"])
    fit.progress.best = _on_device(fit.progress.best, fit.network.flat)
    for generator, state in zip(_generators(fit.network), snapshot["generator"], strict=True):
        generator.set_state(torch.from_numpy(state))
    fit.reached, fit.is_resumed, fit.has_finished = snapshot["reached"], True, snapshot["ended"]
    fit.rng.set_state(snapshot["rng"])


def _generators(network):
    """The generators that activations draw from in training, each once."""
    found = [getattr(module, "generator", None) for module in network.module.modules()]
    return list({id(g): g for g in found if g is not None}.values())


def _plain(value):
    """A tensor, or what is made of tensors, as copied arrays."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy().copy()
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(part) for part in value)
    return value


def _on_device(value, like):
    """Arrays as tensors on the device of another one."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value).to(like.device)
    if isinstance(value, dict):
        return {name: _on_device(part, like) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_on_device(part, like) for part in value)
    return value
