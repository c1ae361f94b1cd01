"""Worker processes take the GPUs of a machine in turn."""

import multiprocessing
import time

import joblib
import pytest
import torch

from sklmlp.runtime import resolve_device


def gpu_of(device, n_gpus):
    """The GPU that a process takes for a device, on a machine that says it has several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "device_count", lambda: n_gpus)
        name = multiprocessing.current_process().name
        return name, str(resolve_device(device))


def gpu_while_others_wait(folder, n_workers):
    """The GPU of a process that is held until as many processes as that have come here."""
    name, gpu = gpu_of("cuda", n_workers)
    (folder / name).touch()
    end = time.monotonic() + 120
    while len(list(folder.iterdir())) < n_workers and time.monotonic() < end:
        time.sleep(0.01)
    return gpu


def test_processes_of_loky_take_gpus_in_turn(tmp_path):
    """Two worker processes that are asked for "cuda" compute on two GPUs."""
    with joblib.parallel_config(backend="loky", n_jobs=2):
        gpus = joblib.Parallel()(joblib.delayed(gpu_while_others_wait)(tmp_path, 2) for _ in "ab")
    assert sorted(gpus) == ["cuda:0", "cuda:1"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LokyProcess-1", "cuda:0"),
        ("LokyProcess-4", "cuda:0"),
        ("LokyProcess-2:6", "cuda:2"),
        ("ForkPoolWorker-3", "cuda:2"),
        ("MainProcess", "cuda"),
        ("Process-2", "cuda"),
    ],
)
def test_names_of_workers(monkeypatch, name, expected):
    """The number of a worker is the last of its process's name; other processes take the first."""
    monkeypatch.setattr(multiprocessing.current_process(), "name", name)
    assert gpu_of("cuda", 3)[1] == expected
    assert gpu_of(torch.device("cuda"), 3)[1] == expected


@pytest.mark.parametrize(
    ("device", "n_gpus", "expected"),
    [("cuda", 1, "cuda"), ("cuda:1", 2, "cuda:1"), ("auto", 2, "cuda"), ("cpu", 2, "cpu")],
)
def test_what_is_not_spread(monkeypatch, device, n_gpus, expected):
    """A single GPU, a GPU by its number, "auto" and the CPU are what they are everywhere."""
    monkeypatch.setattr(multiprocessing.current_process(), "name", "LokyProcess-2")
    assert gpu_of(device, n_gpus)[1] == expected
