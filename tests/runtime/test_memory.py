"""A GPU whose memory ends: predictions go on in smaller chunks, fits say what to lower."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from sklmlp.runtime import in_chunks
from tests.tables import make, make_table


@pytest.mark.parametrize("room", [1, 2, 7, 60, 100])
@pytest.mark.parametrize("size", [1, 16, 60, 1000])
def test_chunks_are_halved_until_they_fit(room, size):
    """Every row is computed, in chunks that there is room for."""
    X, taken = torch.arange(60.0), []

    def compute(part):
        if len(X[part]) > room:
            raise torch.OutOfMemoryError("no room")
        taken.append(len(X[part]))
        return 2 * X[part]

    assert_array_equal(in_chunks(compute, 60, size), 2 * X)
    assert max(taken) <= min(room, size)
    assert sum(taken) == 60


def test_a_row_that_does_not_fit_is_an_error():
    """Less than one row cannot be asked for."""

    def compute(part):
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(torch.OutOfMemoryError, match="no room"):
        in_chunks(compute, 60, 16)


def test_predict_goes_on_in_halves(monkeypatch, kind, short_fits):
    """`predict` returns what it returns where there is room."""
    X, y = make_table(kind)
    monkeypatch.setattr("sklmlp.fitted_network.can_compile", lambda spec: False)
    model = make(kind).fit(X, y)
    expected, whole, seen = model.predict(X), torch.nn.Sequential.forward, []

    def small(self, x):
        seen.append(len(x))
        if len(x) > 16:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return whole(self, x)

    monkeypatch.setattr(torch.nn.Sequential, "forward", small)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-12)
    assert seen == [60, 30, 15, 15, 15, 15]


def test_fit_says_what_needs_how_much(monkeypatch):
    """A fit without room names what needs it, and the parameters that change that."""
    X, y = make_table("regression", n_samples=2000)

    def no_room(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr("sklmlp.base.train_networks", no_room)
    model = make("regression", hidden_layer_sizes=(4096,), batch_size=512)
    with pytest.raises(torch.OutOfMemoryError) as error:
        model.fit(X, y)
    message = str(error.value)
    assert "the rows of X 0.1 MiB" in message  # 2000 * 5 * 8 bytes
    assert "weights, gradients and moments 0.9 MiB" in message  # 4 * (6 * 4096 + 4097) * 8
    assert "a step on one batch 48.1 MiB" in message  # 3 * 512 * (5 + 4096 + 1) * 8
    for advice in ("batch_size=512", "hidden_layer_sizes=(4096,)", "n_estimators=1", "'cpu'"):
        assert advice in message
    assert "CUDA out of memory." in message
    assert not hasattr(model, "coefs_")


@pytest.mark.cuda
def test_a_full_card_is_told_of():
    """A fit that a GPU has no room for says so itself, and leaves the GPU usable."""
    X, y = make_table("regression", n_samples=100_000)
    free, _ = torch.cuda.mem_get_info()
    ballast = torch.empty(free - 2**29, dtype=torch.uint8, device="cuda")
    try:
        with pytest.raises(torch.OutOfMemoryError, match="ran out of memory in fit"):
            make("regression", hidden_layer_sizes=(20_000,), batch_size=50_000, device="cuda").fit(
                X, y
            )
    finally:
        del ballast
        torch.cuda.empty_cache()
    assert make("regression", device="cuda", solver="lbfgs", tol=0.1, max_iter=500).fit(X, y)
