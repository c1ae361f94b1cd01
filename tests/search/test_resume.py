"""A search that was killed goes on, and two processes share one: the results are the same."""

import os
import signal
import subprocess
import sys
import threading

import optuna
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sklmlp import MLPClassifier
from sklmlp.search import evaluation
from sklmlp.search.ledger import FileLock, StorageLedger, mend, open_storage, started_at
from tests.search.test_cv import search, without_times
from tests.tables import make_table

N_TRIALS, N_FITS = 5, 24

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def small(**params):
    """A search of two batches over small networks."""
    network = MLPClassifier(4, max_iter=5, random_state=0)
    space = {"hidden_layer_sizes": [(2,), (4,), (3, 3)], "alpha": [1e-3, 1e-2, 1e-1, 1.0]}
    defaults = {"n_trials": N_TRIALS, "factor": 2, "refit": False, "batch_size": 3}
    return search(network, space, **{**defaults, **params})


@pytest.fixture(scope="module")
def table():
    return make_table("multiclass")


@pytest.fixture(scope="module")
def whole(table):
    """The results of a search that nothing happened to."""
    return without_times(small().fit(*table).cv_results_)


@pytest.fixture
def interrupt_at(monkeypatch):
    """A function that makes the n-th fit from now on one in which Ctrl-C comes."""
    fit_and_score = evaluation.fit_and_score

    def interrupt_at(n):
        fits = iter(range(n))

        def counted(*args, **kwargs):
            if next(fits, None) is None:
                raise KeyboardInterrupt
            return fit_and_score(*args, **kwargs)

        monkeypatch.setattr(evaluation, "fit_and_score", counted)

    return interrupt_at


@pytest.mark.parametrize("storage", ["journal", "sqlite"])
def test_a_storage_changes_nothing(table, whole, storage, tmp_path):
    """With a storage the results are those without one, and are there for the next fit."""
    place = str(tmp_path / "study") if storage == "journal" else f"sqlite:///{tmp_path}/study.db"
    assert without_times(small(storage=place).fit(*table).cv_results_) == whole
    again = small(storage=place).fit(*table)
    assert without_times(again.cv_results_) == whole
    assert again.plan_["batch_sizes"] == []


def test_a_search_goes_on_from_any_fit(table, whole, tmp_path, interrupt_at):
    """Wherever Ctrl-C came, the next fit with the same storage ends with the same results."""
    fits = 0
    for n in range(0, N_FITS, 2):
        place = str(tmp_path / f"study{n}")
        interrupt_at(n)
        try:
            small(storage=place).fit(*table)
        except KeyboardInterrupt:
            fits = n
        except UserWarning:  # the best so far is kept
            fits = n
        interrupt_at(10**9)
        again = small(storage=place).fit(*table)
        assert without_times(again.cv_results_) == whole, n
    assert fits > N_FITS / 2


KILLED = """
import sys
sys.path.insert(0, {root!r})
from tests.search.test_resume import small, evaluation
from tests.tables import make_table
import os, signal
fit_and_score, left = evaluation.fit_and_score, iter(range({n}))
def counted(*args, **kwargs):
    if next(left, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)
    return fit_and_score(*args, **kwargs)
evaluation.fit_and_score = counted
small(storage={place!r}).fit(*make_table("multiclass"))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_a_search_goes_on_after_a_kill(table, whole, tmp_path):
    """A process that is killed in the middle of the second batch loses that batch alone."""
    place, root = str(tmp_path / "study"), os.getcwd()
    program = KILLED.format(root=root, n=13, place=place)
    killed = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with open(place, "ab") as file:
        file.write(b'{"op_code": 5, "wor')  # a line that it was in the middle of
    again = small(storage=place).fit(*table)
    assert without_times(again.cv_results_) == whole
    assert again.plan_["batch_sizes"] == [2]


def test_trials_are_shown_to_optuna(table, tmp_path):
    """The storage has an ordinary study, with parameters, scores and what was pruned."""
    place = str(tmp_path / "study")
    results = small(storage=place, study_name="mine").fit(*table).cv_results_
    study = optuna.load_study(study_name="mine", storage=open_storage(place))
    assert [trial.number for trial in study.trials] == list(range(N_TRIALS))
    for trial, score, rung in zip(
        study.trials, results["mean_test_score"], results["rung"], strict=True
    ):
        assert trial.state.name == ("COMPLETE" if rung == max(results["rung"]) else "PRUNED")
        assert list(trial.intermediate_values.values())[-1] == score
    assert set(study.trials[-1].params) == {"alpha", "hidden_layer_sizes"}


def test_more_trials_go_on(table, tmp_path):
    """`n_trials` is a total: a larger one adds what is missing."""
    place = str(tmp_path / "study")
    few = small(storage=place, n_trials=3).fit(*table)
    more = small(storage=place).fit(*table)
    assert len(few.cv_results_["params"]) == 3
    assert len(more.cv_results_["params"]) == N_TRIALS
    assert more.plan_["batch_sizes"] == [2]


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"space": {"alpha": [0.5]}}, "space"),
        ({"random_state": 1}, "random_state"),
        ({"estimator__max_iter": 6}, "estimator"),
        ({"cv": 3}, "folds"),
    ],
)
def test_another_search_is_refused(table, tmp_path, params, name):
    """A storage goes on with the search that it has, and says what another one differs in."""
    place = str(tmp_path / "study")
    small(storage=place, n_trials=1).fit(*table)
    with pytest.raises(ValueError, match=f"other are {name}"):
        small(storage=place).set_params(**params).fit(*table)
    X, y = table
    with pytest.raises(ValueError, match="other are X"):
        small(storage=place).fit(X + 1, y)


def test_processes_share_a_storage(table, whole, tmp_path):
    """Two at a time do each trial once, and both end with the results of all."""
    place, root = str(tmp_path / "study"), os.getcwd()
    program = (
        f"import sys\nsys.path.insert(0, {root!r})\n"
        "from tests.search.test_resume import small\nfrom tests.tables import make_table\n"
        f"search = small(storage={place!r}, n_trials=10, batch_size=2)\n"
        "search.fit(*make_table('multiclass'))\n"
        "print(len(search.cv_results_['params']), sum(search.plan_['batch_sizes']))\n"
        "print(search.cv_results_['mean_test_score'].tolist())\n"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [run.communicate()[0].splitlines() for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert outputs[0][1] == outputs[1][1]
    trials = [line[0].split() for line in outputs]
    assert [int(n) for n, _ in trials] == [10, 10]
    assert sum(int(own) for _, own in trials) == 10


def test_ctrl_c_keeps_the_best_so_far(table, interrupt_at):
    """After the first batch Ctrl-C ends the search, and the best candidate is fitted."""
    interrupt_at(13)
    ours = small(refit=True)
    with pytest.warns(UserWarning, match="Search interrupted by user after 3 trials"):
        ours.fit(*table)
    check_is_fitted(ours)
    assert len(ours.cv_results_["params"]) == 3


def test_ctrl_c_before_any_score_is_raised(table, interrupt_at):
    """With nothing to keep it is what it always is."""
    interrupt_at(1)
    ours = small()
    with pytest.raises(KeyboardInterrupt):
        ours.fit(*table)
    with pytest.raises(NotFittedError):
        check_is_fitted(ours)


def test_a_lock_of_the_system_excludes(tmp_path):
    """While one holds the lock of a journal, another waits."""
    first, second = FileLock(str(tmp_path / "a")), FileLock(str(tmp_path / "a"))
    first.acquire()
    waiting = threading.Thread(target=second.acquire)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    first.release()
    waiting.join()
    second.release()


def test_a_torn_line_is_cut_off(tmp_path):
    """What was written whole stays, and a rest without an end goes."""
    path = tmp_path / "journal"
    path.write_bytes(b"one\ntwo\nthr")
    mend(str(path), FileLock(str(path)))
    assert path.read_bytes() == b"one\ntwo\n"


def test_processes_that_are_gone_are_known():
    """A process is told from a later one of the same number by when it began."""
    run = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    began = started_at(run.pid)
    assert began is not None
    assert began == started_at(run.pid)
    run.communicate(b"\n")
    assert started_at(run.pid) is None
    assert started_at(os.getpid()) == started_at(os.getpid())


def test_a_claim_of_another_machine_lasts_for_a_while(tmp_path, monkeypatch):
    """A process of another machine is alive as long as it gives signs."""
    facts, place = {"space": "a"}, str(tmp_path / "study")
    one = StorageLedger(place, "s", facts, seed=1)
    one.me = {**one.me, "host": "elsewhere"}
    assert one.claim(2, None) == [0, 1]
    one._sign()
    other = StorageLedger(place, "s", facts, seed=2)
    assert other.seed == 1
    assert other.others_work(None)
    assert other.claim(2, None) == [2, 3]
    monkeypatch.setattr("sklmlp.search.ledger.SECONDS_WITHOUT_SIGN", -1)
    assert not other.others_work(None)
    assert other.claim(2, None) == [0, 1]
    one.close(), other.close()
