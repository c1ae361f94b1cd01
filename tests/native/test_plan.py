"""Plans, states and rows that are wrong are refused before anything is read."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from sklmlp.native import Limits, Rows, train_epochs
from tests.native.networks import ADAM, Network


def with_layer(plan, number, **changes):
    """The plan with one of its layers changed."""
    layers = list(plan.layers)
    layers[number] = replace(layers[number], **changes)
    return replace(plan, layers=layers)


PLAN = Network(normalization="batch", hidden=(11, 5, 5), residual=True).plan
N, LAST = PLAN.n_parameters, len(PLAN.layers) - 1

BAD_PLANS = {
    "no layers": (replace(PLAN, layers=[]), "the last layer is no output layer"),
    "more coefs than numbers": (
        replace(PLAN, n_coefs=N + 1),
        "n_coefs is greater than n_parameters",
    ),
    "other outputs": (replace(PLAN, n_outputs=4), "the last layer has not n_outputs units"),
    "targets of a class": (replace(PLAN, n_targets=3), "n_targets does not fit the loss"),
    "fan in": (with_layer(PLAN, 1, fan_in=12), "layer 1: fan_in is 12, expected 11"),
    "units": (with_layer(PLAN, 0, units=12), "layer 0: units do not fit width"),
    "coefs behind the coefs": (
        with_layer(PLAN, 0, coefs=PLAN.n_coefs - 10),
        f"layer 0: coefs lies outside of its array: 77 values from {PLAN.n_coefs - 10} on, in "
        f"[0, {PLAN.n_coefs})",
    ),
    "intercepts among the coefs": (
        with_layer(PLAN, 0, intercepts=0),
        f"layer 0: intercepts lies outside of its array: 11 values from 0 on, in "
        f"[{PLAN.n_coefs}, {N})",
    ),
    "no intercepts": (
        with_layer(PLAN, LAST, intercepts=None),
        f"layer {LAST}: intercepts lies outside of its array: 3 values from nowhere on, in "
        f"[{PLAN.n_coefs}, {N})",
    ),
    "running mean": (
        with_layer(PLAN, 0, mean=PLAN.n_buffers - 10),
        f"layer 0: mean lies outside of its array: 11 values from {PLAN.n_buffers - 10} on, in "
        f"[0, {PLAN.n_buffers})",
    ),
    "slopes": (
        with_layer(PLAN, 0, activation="prelu", slopes=N - 1, n_slopes=4),
        "layer 0: n_slopes is neither 1 nor the number of units",
    ),
    "shift of rms": (
        with_layer(PLAN, 0, normalization=3),
        "layer 0: RMS normalization has no shift",
    ),
    "dropout": (with_layer(PLAN, 0, dropout=1.0), "layer 0: dropout is not in [0, 1)"),
    "skip": (with_layer(PLAN, 0, skip=1), "layer 0: an identity skip keeps the width"),
    "unknown skip": (with_layer(PLAN, 0, skip=7), "unknown normalization or skip"),
    "unknown argument": (
        with_layer(PLAN, 0, arguments={"slope": 1.0}),
        "unknown arguments ['slope']; expected []",
    ),
    "huber of too few": (
        replace(PLAN, loss="huber", n_targets=3, loss_arguments={"huber_delta": (1.0, 2.0)}),
        "wrong number of loss_arguments",
    ),
    "negative": (replace(PLAN, n_features=-1), "n_features is negative"),
}


@pytest.mark.parametrize("name", BAD_PLANS)
def test_plans_that_do_not_fit_are_refused(name):
    """Shapes and offsets are checked against each other and against the arrays."""
    plan, message = BAD_PLANS[name]
    with pytest.raises(ValueError) as caught:
        plan.compiled  # noqa: B018
    assert str(caught.value) == message


def good():
    """Arguments that are taken."""
    network = Network()
    x = np.ones((6, 7))
    return network, network.state(ADAM, 6), Rows(6, x, np.zeros(6, np.int64), np.ones(6))


BAD_STATES = {
    "short flat": ({"flat": np.ones(5)}, "flat holds 5 values, expected 166"),
    "float32 flat": (
        {"flat": np.ones(166, np.float32)},
        "flat has format 'f', expected 'd'",
    ),
    "no moment": ({"second_moment": None}, "second_moment holds 0 values, expected 166"),
    "short moment": (
        {"first_moment": np.ones(3)},
        "first_moment holds 3 values, expected 166",
    ),
    "order": ({"order": np.array([0, 6])}, "order has an index that is no row"),
    "negative order": ({"order": np.array([-1, 2])}, "order has an index that is no row"),
    "empty order": ({"order": np.array([], np.int64)}, "there are no rows to train on"),
}

BAD_ROWS = {
    "narrow": ({"x": np.ones((6, 6))}, "x is not of shape (n_rows, n_features)"),
    "float32": ({"x": np.ones((6, 7), np.float32)}, "x has format 'f', expected 'd'"),
    "few targets": ({"y": np.zeros(5, np.int64)}, "y holds 5 values, expected 6"),
    "float targets": ({"y": np.zeros(6)}, "y has format 'd', expected 'q'"),
    "no class": ({"y": np.full(6, 3)}, "y has an index that is no class"),
    "negative class": ({"y": np.full(6, -1)}, "y has an index that is no class"),
    "weights": ({"weight": np.ones(5)}, "weight holds 5 values, expected 6"),
    "no x": ({"x": None}, "rows have neither x nor values and indices"),
}


@pytest.mark.parametrize("name", BAD_STATES)
def test_states_that_do_not_fit_are_refused(name):
    """A state's arrays are checked by length, type and content."""
    network, state, rows = good()
    changes, message = BAD_STATES[name]
    with pytest.raises(ValueError) as caught:
        train_epochs(network.plan, replace(state, **changes), rows, ADAM, Limits(1), batch_size=3)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", BAD_ROWS)
def test_rows_that_do_not_fit_are_refused(name):
    """Rows, targets and weights are checked by length, type and content."""
    network, state, rows = good()
    changes, message = BAD_ROWS[name]
    with pytest.raises(ValueError) as caught:
        train_epochs(network.plan, state, replace(rows, **changes), ADAM, Limits(1), batch_size=3)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["indices", "indptr"])
def test_sparse_indices_out_of_range_are_refused(name):
    """No index of sparse rows reaches beyond what it is an index of."""
    network, state, rows = good()
    csr = sparse.csr_array(np.ones((6, 7)))
    arrays = {"values": csr.data, "indices": csr.indices.copy(), "indptr": csr.indptr.copy()}
    arrays[name][-1] += 1
    with pytest.raises(ValueError, match=r"^indices of sparse rows are out of range$"):
        train_epochs(
            network.plan, state, replace(rows, x=None, **arrays), ADAM, Limits(1), batch_size=3
        )


def test_what_does_not_lie_in_one_piece_is_refused():
    """A state with gaps, or that is read-only, is no memory for the engine."""
    network, state, rows = good()
    with pytest.raises((ValueError, BufferError), match="contiguous"):
        network.plan.forward(np.repeat(state.flat, 2)[::2], rows.x)
    state.flat.flags.writeable = False
    with pytest.raises((ValueError, BufferError), match=r"read-only|writable"):
        train_epochs(network.plan, state, rows, ADAM, Limits(1), batch_size=3)


def test_a_step_of_no_rows_is_refused():
    """A batch has rows, and the block as many rates as steps."""
    network, state, rows = good()
    with pytest.raises(ValueError, match=r"^batch_size or n_shards is out of range$"):
        train_epochs(network.plan, state, rows, ADAM, Limits(1), batch_size=0, n_shards=1)
    with pytest.raises(ValueError, match=r"^rates holds 3 values, expected 4$"):
        rates = np.ones(3)
        train_epochs(network.plan, state, rows, ADAM, Limits(2), batch_size=3, rates=rates)
