"""What every test file shares: a switch for CUDA, and the process's torch left as it was found."""

import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from tests.tables import make_table


def pytest_collection_modifyitems(config, items):
    """Leave out what needs a card where there is none, and say so at the end of the collection."""
    if torch.cuda.is_available():
        return
    needs_a_card = [item for item in items if "cuda" in item.keywords]
    if needs_a_card:
        config.hook.pytest_deselected(items=needs_a_card)
        items[:] = [item for item in items if "cuda" not in item.keywords]
    config.stash[_LEFT_OUT] = len(needs_a_card)


_LEFT_OUT = pytest.StashKey()


def pytest_report_collectionfinish(config):
    left_out = config.stash.get(_LEFT_OUT, 0)
    return f"no CUDA here: {left_out} tests marked cuda are left out" if left_out else None


@pytest.fixture(autouse=True)
def auto_is_the_cpu(request, monkeypatch):
    """`device="auto"` means the CPU on every machine, but for tests that are marked cuda."""
    if "cuda" not in request.keywords:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture(params=["binary", "multiclass", "multilabel", "regression", "regressions"])
def kind(request):
    """Each kind of target."""
    return request.param


@pytest.fixture
def table(kind):
    """A small table (X, y) of the kind."""
    return make_table(kind)


@pytest.fixture
def short_fits(recwarn):
    """Allow fits that end at `max_iter`."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
