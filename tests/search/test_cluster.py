"""A search on a cluster: two worker processes of Dask on this machine (`make test-cluster`)."""

import os
import signal

import joblib
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier
from sklmlp.runtime import resolve_device
from tests.tables import make_table

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("default:::(distributed|dask|tornado|joblib)"),
]

X, Y = make_table("multiclass", n_samples=300)
FOLDS = list(StratifiedKFold(3).split(X, Y))
GRID = {"mlpclassifier__alpha": [0, 0.1, 1], "mlpclassifier__activation": ["relu", "prelu"]}


@pytest.fixture(scope="module")
def client():
    """A scheduler and two worker processes, which keep what they are sent."""
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set({"distributed.scheduler.active-memory-manager.start": False}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def make_search(**options):
    mlp = MLPClassifier((6,), max_iter=8, learning_rate_init=0.02, random_state=0)
    return GridSearchCV(make_pipeline(StandardScaler(), mlp), GRID, cv=FOLDS, **options)


def assert_same_search(got, expected):
    assert_allclose(
        got.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], rtol=1e-9
    )
    assert got.best_params_ == expected.best_params_
    assert_allclose(got.predict_proba(X), expected.predict_proba(X), rtol=1e-9)


def test_a_search(client):
    """A search on the cluster finds what it finds on one process, and the workers compute it."""
    expected = make_search().fit(X, Y)
    with joblib.parallel_config(backend="dask"):
        got = make_search().fit(X, Y)
    assert_same_search(got, expected)


def test_predictions(client):
    """Networks are sent to the workers, and predictions come back."""
    pipeline = make_search().estimator
    expected = cross_val_predict(pipeline, X, Y, cv=3, method="predict_proba")
    with joblib.parallel_config(backend="dask"):
        got = cross_val_predict(pipeline, X, Y, cv=3, method="predict_proba")
    assert_allclose(got, expected, rtol=1e-9)


class KillOnce:
    """A scorer that kills the process that it is in, the first time that it is asked."""

    def __init__(self, flag, home):
        self.flag, self.home = flag, home

    def __call__(self, estimator, X, y):
        if os.getpid() != self.home and estimator[-1].alpha == 0.1:
            try:
                os.close(os.open(self.flag, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return estimator.score(X, y)


def test_a_worker_that_is_killed(client, tmp_path):
    """A search whose worker is killed in the middle ends with all of its results.

    Each worker is to have the table and the folds: Dask cannot compute them again.
    """
    before = set(client.run(os.getpid).values())
    flag = tmp_path / "killed"
    expected = make_search(error_score="raise").fit(X, Y)
    search = make_search(scoring=KillOnce(str(flag), os.getpid()), error_score="raise")
    scatter = [X, Y, *(part for fold in FOLDS for part in fold)]
    with joblib.parallel_config(backend="dask", scatter=scatter):
        search.fit(X, Y)
    assert flag.exists()
    client.wait_for_workers(2, timeout=60)
    assert len(before & set(client.run(os.getpid).values())) == 1
    assert_same_search(search, expected)


def card_of_this_worker():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "device_count", lambda: 2)
        return str(resolve_device("cuda"))


def test_workers_take_cards_in_turn(client):
    """Two workers that are asked for "cuda" on a machine with two GPUs take one each."""
    workers = client.scheduler_info()["workers"]
    tasks = [client.submit(card_of_this_worker, workers=[each], pure=False) for each in workers]
    assert sorted(client.gather(tasks)) == ["cuda:0", "cuda:1"]
