"""Random numbers of torch's that leave torch's global generators as they were."""

import os
import threading
from contextlib import contextmanager

import torch

_LOCK = threading.Lock()  # torch's global generators are the process's, not ours


def _begin_forked():
    """Start a forked child with a lock that nobody holds."""
    global _LOCK
    _LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):  # not where there is no fork
    os.register_at_fork(after_in_child=_begin_forked)


@contextmanager
def seeded(seed=None):
    """Let the block draw from torch's global generator, seeded, and build on the CPU.

    Parameters
    ----------
    seed : int or None
        None for a block whose random numbers do not matter.
    """
    with _LOCK, torch.random.fork_rng(devices=[]), torch.device("cpu"):
        if seed is not None:
            torch.default_generator.manual_seed(seed)  # torch.manual_seed also seeds every GPU
        yield


class ModuleRNG:
    """A stream of random numbers for a custom module, which draws from torch's global generators.

    Parameters
    ----------
    seed : int
    device : torch.device
    """

    def __init__(self, seed, device):
        self.device, self.gpus = device, [device] if device.type == "cuda" else []
        self.states = [torch.Generator("cpu").manual_seed(seed).get_state()]
        self.states += [torch.Generator(gpu).manual_seed(seed).get_state() for gpu in self.gpus]

    @contextmanager
    def drawn(self):
        """Let the block draw the next of them."""
        with _LOCK, torch.random.fork_rng(devices=self.gpus):
            torch.default_generator.set_state(self.states[0])
            for gpu in self.gpus:
                torch.cuda.set_rng_state(self.states[1], gpu)
            yield
            self.states = [torch.default_generator.get_state()]
            self.states += [torch.cuda.get_rng_state(gpu) for gpu in self.gpus]
