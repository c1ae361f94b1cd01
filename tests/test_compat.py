"""What stands in for newer versions of Python."""

import threading

from sklmlp.compat import cached_property


class Slow:
    """Computes its value when another one has computed its own."""

    def __init__(self, other=None):
        self.other, self.n_computed, self.has_ended = other, 0, threading.Event()

    @cached_property
    def value(self):
        """Once."""
        self.n_computed += 1
        if self.other is not None:
            threading.Thread(target=lambda: self.other.value, daemon=True).start()
            assert self.other.has_ended.wait(10)
        self.has_ended.set()
        return self.n_computed


def test_cached_properties_hold_no_lock():
    """One may wait for another in another thread, as the networks of an ensemble do in a signal."""
    slow = Slow(Slow())
    assert slow.value == slow.value == slow.n_computed == 1
    assert isinstance(Slow.value, cached_property)
    assert Slow.value.__doc__ == "Once."
