"""The lock over torch's process-wide settings."""

import threading

import pytest
import torch

from sklmlp import runtime


def found():
    return torch.get_float32_matmul_precision(), torch.get_num_threads()


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("one_thread", [False, True])
@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_settings_hold_inside_and_are_put_back(precision, one_thread):
    """Inside the block they are what was asked for; after it, error or not, what they were."""
    before = found()
    with pytest.raises(ZeroDivisionError), runtime.settings(precision, one_thread):
        assert found() == (precision, 1 if one_thread else 2)
        raise ZeroDivisionError
    assert found() == before


def test_a_work_inside_another_keeps_its_settings():
    """What a callback predicts in the middle of a fit computes as the fit does."""
    with runtime.settings("medium", True):
        with runtime.settings("highest"):
            assert found() == ("medium", 1)
        assert found() == ("medium", 1)


def run(*works):
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    return threads


def test_equal_works_run_side_by_side():
    """Two works with the same settings are inside at the same time."""
    both = threading.Barrier(2, timeout=30)

    def work():
        with runtime.settings("high", True):
            both.wait()

    for thread in run(work, work):
        thread.join(30)
    assert not both.broken


def test_others_get_their_turn():
    """A work that gives way when others wait lets them in first, in their order."""
    entered, order = threading.Event(), []

    def long_work():
        for _ in range(2):
            with runtime.settings("highest") as others_wait:
                order.append("long")
                entered.set()
                while len(order) == 1 and not others_wait():
                    pass

    def short_work():
        entered.wait(30)
        with runtime.settings("medium"):
            order.append(found()[0])

    for thread in run(long_work, short_work):
        thread.join(30)
    assert order == ["long", "medium", "long"]
    assert not runtime._waiting
