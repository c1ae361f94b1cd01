"""Threads, forks, the interpreter's lock, random numbers and instruction sets."""

import multiprocessing
import signal
import threading

import numpy as np
import pytest

from sklmlp.native import Limits, Rows, instruction_set, shards, train_epochs
from sklmlp.native.extension import engine
from tests.native.networks import ADAM, Network

NETWORK = {"dtype": "float32", "hidden": (40, 30)}


def fit(seed=0):
    """Train on two shards; return what was learned."""
    network = Network(**NETWORK)
    x = np.random.default_rng(seed).normal(size=(300, 7)).astype(np.float32)
    state = network.state(ADAM, 300)
    train_epochs(
        network.plan,
        state,
        Rows(300, x, network.targets(300)),
        ADAM,
        Limits(30, np.inf),
        batch_size=50,
        rng=np.random.RandomState(seed),
        n_threads=2,
        n_shards=2,
    )
    return state.flat


def test_fits_in_two_threads_are_those_of_each_alone():
    """Two fits at once have the bits that each has alone."""
    alone = [fit(seed) for seed in range(2)]
    results = [None, None]

    def run(seed):
        results[seed] = fit(seed)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(results, alone)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_processes_train_as_their_parent(method):
    """A forked and a spawned process train after their parent did, to the same bits."""
    expected = fit()
    with multiprocessing.get_context(method).Pool(2) as pool:
        results = pool.map(fit, [0, 0])
    np.testing.assert_array_equal(results, [expected, expected])


@pytest.mark.parametrize(
    ("hidden", "batch_size", "n_threads", "expected"),
    [((4,), 200, 8, 1), ((500,), 200, 8, 8), ((500,), 20, 8, 2), ((500,), 200, 1, 1)],
)
def test_a_batch_is_cut_where_it_pays(hidden, batch_size, n_threads, expected):
    """Shards are as many as threads, but small steps and small batches have fewer."""
    plan = Network(n_features=64, hidden=hidden).plan
    assert shards(plan, batch_size, n_threads) == expected


def test_other_threads_run_during_a_block():
    """A thread of Python's sees the weights move and ends the block: the lock is free."""
    network, flag = Network(**NETWORK), bytearray(1)
    x = np.ones((300, 7), np.float32)
    state = network.state(ADAM, 300)
    first = state.flat.copy()

    def watch():
        while (state.flat == first).all():
            pass
        flag[0] = 1

    watcher = threading.Thread(target=watch)
    watcher.start()
    block = train_epochs(
        network.plan,
        state,
        Rows(300, x, network.targets(300)),
        ADAM,
        Limits(10**6, np.inf, stop=flag),
        batch_size=50,
    )
    watcher.join()
    assert block.reason == "stopped" and state.t > 0


def test_a_signal_ends_a_block_in_the_middle():
    """Ctrl-C is raised out of a block, whose state is written all the same."""
    network = Network(**NETWORK)
    x = np.ones((300, 7), np.float32)
    state = network.state(ADAM, 300)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    try:
        with pytest.raises(KeyboardInterrupt):
            train_epochs(
                network.plan,
                state,
                Rows(300, x, network.targets(300)),
                ADAM,
                Limits(10**6, np.inf),
                batch_size=50,
                n_shards=1,
            )
    finally:
        signal.signal(signal.SIGALRM, before)
    assert state.t > 0 and np.isfinite(state.flat).all()


@pytest.mark.parametrize("bits", [np.random.MT19937, np.random.PCG64])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 64, 65, 1000])
def test_the_shuffle_is_numpys(bits, n):
    """The engine's shuffle has RandomState's order, and leaves the generator as that does."""
    ours, theirs = (np.random.RandomState(bits(5)) for _ in range(2))
    values, expected = np.arange(n), np.arange(n)
    for _ in range(3):
        engine().shuffle(ours._bit_generator.capsule, values)
        theirs.shuffle(expected)
    np.testing.assert_array_equal(values, expected)
    assert ours.randint(2**31) == theirs.randint(2**31)


@pytest.mark.parametrize("name", ["baseline", "avx2"])
@pytest.mark.parametrize(
    "kind",
    [{}, {"activation": "gelu", "normalization": "layer"}, {"hidden": (70, 3), "n_features": 37}],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_instruction_sets_agree(name, kind, dtype):
    """Each set of instructions that the processor has trains to the same numbers."""
    best = instruction_set()
    try:
        flats = []
        for each in (best, name):
            engine().use_instruction_set(each)
            network = Network(dtype=dtype, **kind)
            x = np.random.default_rng(1).normal(size=(50, network.n_features)).astype(dtype)
            state = network.state(ADAM, 50)
            data = Rows(50, x, network.targets(50))
            train_epochs(
                network.plan, state, data, ADAM, Limits(3, np.inf), batch_size=20, n_shards=2
            )
            flats.append(state.flat)
    finally:
        engine().use_instruction_set(best)
    tolerance = (
        1e-10 if dtype == "float64" else 2e-3
    )  # Adam's first steps are as long for any noise
    np.testing.assert_allclose(flats[1], flats[0], rtol=tolerance, atol=tolerance)


def steps(alone, shared):
    """Return the share of seconds lost to the best way, and which steps were shared."""
    ways = np.empty(len(alone), np.int64)
    engine().pace(alone, shared, ways)
    took = np.where(ways, shared, alone).sum()
    return took / min(alone.sum(), shared.sum()) - 1, ways


@pytest.mark.parametrize("milliseconds", [0.02, 0.5, 8])
@pytest.mark.parametrize("gain", [1.9, 1.1, 0.9, 0.2])
def test_steps_are_taken_the_faster_way(milliseconds, gain):
    """A step costs at most a twentieth more than the better of alone and shared."""
    rng = np.random.default_rng(0)
    alone = milliseconds * 1e-3 * rng.uniform(0.97, 1.03, int(8000 / milliseconds))
    lost, _ = steps(alone, alone / gain)
    assert lost < 0.05


def test_a_stall_now_and_then_does_not_end_sharing():
    """One step in a thousand that waits for a helper's core changes nothing."""
    alone = np.full(100_000, 2e-4)
    shared = alone / 1.8
    shared[::1000] += 4e-3
    lost, ways = steps(alone, shared)
    assert lost < 0.05
    assert ways.mean() > 0.9


def test_a_busy_core_is_left_alone_and_found_again():
    """While another process has a helper's core steps are done alone, and shared afterwards."""
    alone = np.full(100_000, 2e-4)
    shared = alone / 1.8
    shared[30_000:60_000] += 2e-3
    _, ways = steps(alone, shared)
    assert ways[:30_000].mean() > 0.9
    assert ways[32_000:60_000].mean() < 0.05
    assert ways[65_000:].mean() > 0.9
