"""What every test file shares: tests for a GPU or a cluster, settings that stay, short fits."""

import signal
import warnings

import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

_left_out = pytest.StashKey()


def pytest_configure():
    """Let Ctrl-C through where a shell started the tests with `&`, and so without it.

    Tests of Ctrl-C train until it comes, and would fill the memory with the history of the fit.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    """Leave out what needs a GPU where there is none, or what is to be asked for; count the first.

    `make test-cluster` installs what a cluster needs and asks for it by `-m cluster`, and
    `make test-browser` what a browser needs by `-m browser`.
    """
    for marker in ("browser", "cluster"):
        if marker not in config.option.markexpr:
            unasked = [item for item in items if item.get_closest_marker(marker)]
            config.hook.pytest_deselected(items=unasked)
            items[:] = [item for item in items if item not in unasked]
    needs_a_card = [item for item in items if item.get_closest_marker("cuda")]
    if needs_a_card and not torch.cuda.is_available():
        config.hook.pytest_deselected(items=needs_a_card)
        items[:] = [item for item in items if item not in needs_a_card]
        config.stash[_left_out] = len(needs_a_card)


def pytest_report_collectionfinish(config):
    """Say what was left out."""
    left_out = config.stash.get(_left_out, 0)
    return f"no CUDA here: {left_out} tests marked cuda are left out" if left_out else None


@pytest.fixture(autouse=True)
def auto_is_the_cpu(request, monkeypatch):
    """`device="auto"` means the CPU on every machine, but for tests that are marked cuda."""
    if not request.node.get_closest_marker("cuda"):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def settings_of_torch():
    """What of torch a fit or a test could leave changed."""
    return {
        "threads": torch.get_num_threads(),
        "precision of products": torch.get_float32_matmul_precision(),
        "dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "determinism": torch.are_deterministic_algorithms_enabled(),
    }


@pytest.fixture(autouse=True)
def torch_stays_as_it_is():
    """No fit touches torch's settings for good, and no test leaves its own behind."""
    before = settings_of_torch()
    yield
    assert settings_of_torch() == before


@pytest.fixture
def two_threads(torch_stays_as_it_is):
    """Let torch have two threads, whatever the processor has."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["binary", "multiclass", "multilabel", "regression", "regressions"])
def kind(request):
    """Each kind of target, see tests/tables.py."""
    return request.param


@pytest.fixture
def short_fits():
    """Allow fits that end at `max_iter`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
