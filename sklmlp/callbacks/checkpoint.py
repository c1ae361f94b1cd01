"""Snapshots of training runs between epochs, and going on from them."""

import math
import threading
from dataclasses import fields

import numpy as np
import torch

from sklmlp.optim import optimizer_state, restore_optimizer


class Checkpoints:
    """The checkpoints of the networks of one fit.

    Parameters
    ----------
    runs : list of TrainingRun
        All of them.
    every : int
        Epochs from one checkpoint to the next.
    file : sklmlp.io.CheckpointFile
        What to read from and write to.
    """

    def __init__(self, runs, every, file):
        self.runs, self.every, self.file = runs, every, file
        self._latest, self._ended = [None] * len(runs), []
        self._lock = threading.Lock()  # several networks may train at a time

    def resume(self):
        """Take up what was taken down, if there is something.

        Raises
        ------
        ValueError
            If it is not what `snapshot_run` gives of these fits.
        """
        snapshots = self.file.read()
        if snapshots is None:
            return
        try:
            pairs = list(zip(self.runs, snapshots, strict=True))
            pairs = [(run, snapshot) for run, snapshot in pairs if snapshot is not None]
            for run, snapshot in pairs:
                check(run, snapshot)
            for run, snapshot in pairs:
                resume_run(run, snapshot)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"checkpoint={self.file.path!r} does not describe this fit: {error}"
            ) from error
        self._latest = snapshots

    def after_epoch(self, runs, orders, going):
        """Take down the fits of a stack, of which those at the positions `going` go on.

        A network that ended between two checkpoints is held back for the next. So a stack goes on
        with the networks that it had, and with them its arithmetic.
        """
        ended = [
            (run, snapshot_run(run, order, ended=True))
            for k, (run, order) in enumerate(zip(runs, orders, strict=True))
            if k not in going
        ]
        is_due = not going or runs[0].state.stopping.n_iter % self.every == 0
        running = going if is_due else []
        running = [(runs[k], snapshot_run(runs[k], orders[k], ended=False)) for k in running]
        with self._lock:
            self._ended += ended
            if is_due:
                self._save(self._ended + running)
                self._ended = []

    def _save(self, snapshots):
        """Write the file, with new snapshots of some networks and the earlier ones of others."""
        for run, snapshot in snapshots:
            self._latest[next(k for k, f in enumerate(self.runs) if f is run)] = snapshot
        self.file.write(self._latest)


def snapshot_run(run, order, ended):
    """Return all that a fit has to know to go on: plain values and arrays, copied.

    Parameters
    ----------
    run : TrainingRun
        Between two epochs.
    order : ndarray of int or None
        The rows in the order of the last epoch.
    ended : bool
        Whether that was the last one.
    """
    return {
        "ended": ended,
        "ran_out_at": run.config.max_iter if ended and run.outcome.ran_out else None,
        "reached": run.outcome.final_loss,
        "flat": _plain(run.network.flat),
        "buffers": {name: _plain(b) for name, b in run.network.module.named_buffers()},
        "optimizer": dict(optimizer_state(run.state.optimizer)),
        "progress": {name: _plain(value) for name, value in vars(run.state.stopping).items()},
        "order": None if order is None else order.copy(),
        "rng": run.state.rng.get_state(legacy=False),
        "generator": [_plain(g.get_state()) for g in _generators(run.network)],
    }


def check(run, snapshot):
    """Raise unless a snapshot is one of this run, before anything is taken over from it."""
    _require(isinstance(snapshot, dict) and set(snapshot) == set(ENTRIES), "it has other entries")
    ended, ran_out_at = snapshot["ended"], snapshot["ran_out_at"]
    _require(isinstance(ended, bool), f"ended is {ended!r:.80}")
    _require(ran_out_at is None or (ended and _is_count(ran_out_at)),
            f"ran_out_at is {ran_out_at!r:.80}")  # fmt: skip
    _require(isinstance(snapshot["reached"], float), f"reached is {snapshot['reached']!r:.80}")
    _check_like("flat", snapshot["flat"], _plain(run.network.flat), may_overflow=ended)
    buffers = {name: _plain(buffer) for name, buffer in run.network.module.named_buffers()}
    _check_like("buffers", snapshot["buffers"], buffers, may_overflow=ended)
    _check_stopping(run, snapshot["progress"])
    _check_optimizer(run, snapshot["optimizer"], may_overflow=ended)
    order = snapshot["order"]
    if order is not None:
        rows = run.dataset.index
        rows = np.arange(len(run.dataset)) if rows is None else rows
        _require(
            isinstance(order, np.ndarray)
            and order.dtype.kind == "i"
            and np.array_equal(np.sort(order), np.sort(rows)),
            "its order of rows is none of the rows of this fit",
        )
    _check_random_state(snapshot["rng"])
    _check_like(
        "generator",
        snapshot["generator"],
        [_plain(g.get_state()) for g in _generators(run.network)],
    )


ENTRIES = (
    *("ended", "ran_out_at", "reached", "flat", "buffers", "optimizer", "progress", "order"),
    *("rng", "generator"),
)


def _check_stopping(run, stopping):
    names = {each.name for each in fields(run.state.stopping)}
    _require(
        isinstance(stopping, dict) and set(stopping) == names, "its progress has other entries"
    )
    n_iter = stopping["n_iter"]
    for name in ("n_iter", "n_rows_seen", "no_improvement"):
        _require(_is_count(stopping[name]), f"{name} is {stopping[name]!r:.80}")
    _require(
        n_iter <= run.config.max_iter,
        f"it has done {n_iter} epochs, more than max_iter={run.config.max_iter}",
    )
    scored = run.validation is not None
    columns = {name: stopping[name] for name in ("loss_curve", "history")}
    if scored:
        columns["validation_scores"] = stopping["validation_scores"]
    for name, column in columns.items():
        _require(isinstance(column, list), f"{name} is {column!r:.80}")
    for name in ("loss_curve", *(["validation_scores"] if scored else [])):
        _require(all(isinstance(v, float) for v in columns[name]), f"{name} has other than numbers")
    for record in columns["history"]:
        _require(
            isinstance(record, dict) and all(isinstance(v, int | float) for v in record.values()),
            f"history has {record!r:.80}",
        )
    n_epochs = len(run.state.stopping.loss_curve) + n_iter  # with those that a warm start continues
    _require(
        len(columns["loss_curve"]) == n_epochs,
        f"loss_curve has {len(columns['loss_curve'])} entries after {n_epochs} epochs",
    )
    for name in ("best_loss", "best_validation_score"):
        value = stopping[name]
        _require(value is None or isinstance(value, float), f"{name} is {value!r:.80}")
    missing = "best_validation_score" if scored else "best_loss"
    _require(stopping[missing] is not None, f"{missing} is None")
    best = [_plain(part) for part in run.network.snapshot()] if scored else None
    _check_like("best", stopping["best"], best)


def _check_optimizer(run, state, may_overflow):
    expected = optimizer_state(run.state.optimizer)
    is_one = isinstance(state, dict) and set(state) == set(expected)
    _require(is_one, "its optimizer has other entries")
    _require(state["solver"] == expected["solver"], f"its solver is {state['solver']!r:.80}")
    _require(_is_count(state["t"]), f"its optimizer has taken {state['t']!r:.80} steps")
    _check_options("options", state["options"], expected["options"])
    moments = state["moments"]
    _require(isinstance(moments, dict), f"moments is {type(moments).__name__}, not dict")
    if run.state.optimizer.has_initial_moments:
        _check_like("moments", moments, expected["moments"], may_overflow)
        return
    # torch makes its moments in the first step
    for name, moment in moments.items():
        number, _, what = str(name).partition(".")
        _require(number.isdecimal() and what and isinstance(moment, np.ndarray),
                f"moments has {name!r:.80}")  # fmt: skip
        finite = moment.dtype.kind in "fiub" and (may_overflow or np.isfinite(moment).all())
        _require(finite, f"moments[{name!r}] has values that are not finite numbers")


def _check_options(where, options, expected):
    """Check that options are the same but for rates, which may have moved."""
    if isinstance(expected, dict):
        _require(
            isinstance(options, dict) and set(options) == set(expected),
            f"{where} has other entries",
        )
        for name, value in expected.items():
            _check_options(f"{where}[{name!r}]", options[name], value)
    elif isinstance(expected, list | tuple):
        _require(
            isinstance(options, list | tuple) and len(options) == len(expected),
            f"{where} is {options!r:.80}",
        )
        for i, (one, other) in enumerate(zip(options, expected, strict=True)):
            _check_options(f"{where}[{i}]", one, other)
    elif where.endswith("['lr']"):
        moved = isinstance(options, float) and math.isfinite(options) and options >= 0
        _require(moved or options == expected, f"{where} is {options!r:.80}")
    else:
        same = type(options) is type(expected) and options == expected
        _require(same, f"{where} is {options!r:.80}, not {expected!r:.80}")


def _check_random_state(state):
    """Check a Mersenne Twister's state; NumPy itself does not look at the position."""
    message = "its random state is none of NumPy's RandomState"
    _require(isinstance(state, dict) and set(state) == {*RANDOM_STATE}, message)
    inner = state["state"]
    _require(isinstance(inner, dict) and set(inner) == {"key", "pos"}, message)
    key, position = inner["key"], inner["pos"]
    _require(
        state["bit_generator"] == "MT19937"
        and isinstance(key, np.ndarray)
        and (key.dtype, key.shape) == (np.uint32, (624,))
        and key.any()
        and _is_count(position)
        and position <= 624
        and state["has_gauss"] in (0, 1)
        and isinstance(state["gauss"], float),
        message,
    )


RANDOM_STATE = ("bit_generator", "state", "has_gauss", "gauss")


def _check_like(name, value, expected, may_overflow=False):
    """Check arrays: the same nesting, dtypes and shapes, and finite numbers."""
    if isinstance(expected, np.ndarray):
        got = value.dtype, value.shape
        _require(
            got == (expected.dtype, expected.shape),
            f"{name} has the dtype and shape {got}, not {(expected.dtype, expected.shape)}",
        )
        _require(may_overflow or np.isfinite(value).all(), f"{name} has values that are not finite")
    elif isinstance(expected, dict):
        _require(
            isinstance(value, dict) and set(value) == set(expected), f"{name} has other entries"
        )
        for key, part in expected.items():
            _check_like(f"{name}[{key!r}]", value[key], part, may_overflow)
    elif isinstance(expected, list):
        _require(
            isinstance(value, list) and len(value) == len(expected), f"{name} has other entries"
        )
        for i, (one, other) in enumerate(zip(value, expected, strict=True)):
            _check_like(f"{name}[{i}]", one, other, may_overflow)
    else:
        _require(value is expected, f"{name} is {value!r:.80}, not {expected!r}")


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _require(condition, message):
    if not condition:
        raise ValueError(message)


def resume_run(run, snapshot):
    """Take a fit that has not begun to where another one was, whose snapshot this is.

    One that had come to its `max_iter` goes on where that has been raised.
    """
    order = snapshot["order"]
    run.network.flat.detach().copy_(torch.from_numpy(snapshot["flat"]))
    for name, buffer in run.network.module.named_buffers():
        buffer.copy_(torch.from_numpy(snapshot["buffers"][name]))
    restore_optimizer(run.state.optimizer, snapshot["optimizer"])
    state = run.state
    # lists of its own: the file is written again with this snapshot until there is a newer one
    state.order, state.stopping = order, type(state.stopping)(**_plain(snapshot["progress"]))
    state.stopping.best = _on_device(state.stopping.best, run.network.flat)
    for generator, state in zip(_generators(run.network), snapshot["generator"], strict=True):
        generator.set_state(torch.from_numpy(state))
    limit = snapshot["ran_out_at"]
    goes_on = limit is not None and run.config.max_iter > limit
    run.outcome.was_finished = snapshot["ended"] and not goes_on
    run.outcome.final_loss, run.outcome.was_resumed = snapshot["reached"], True
    run.state.rng.set_state(snapshot["rng"])


def _generators(network):
    """Return the generators that activations draw from in training, each once."""
    found = [getattr(module, "generator", None) for module in network.module.modules()]
    return list({id(g): g for g in found if g is not None}.values())


def _plain(value):
    """Return a tensor, or what is made of tensors, as copied arrays."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy().copy()
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(part) for part in value)
    return value


def _on_device(value, like):
    """Return arrays as tensors on the device of another one."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value).to(like.device)
    if isinstance(value, dict):
        return {name: _on_device(part, like) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_on_device(part, like) for part in value)
    return value
