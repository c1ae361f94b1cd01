"""examples/serve.py, started on loopback and called."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from sklearn.datasets import load_iris

import sklmlp
from sklmlp.io import load_skops

ROOT = Path(sklmlp.__file__).parents[1]
NAMES = load_iris().feature_names


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A client of the example in a process of its own, and the file that it serves."""
    file = tmp_path_factory.mktemp("serve") / "model.skops"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-W", "error::UserWarning", ROOT / "examples/serve.py", file, str(port)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            _wait_for(client, process)
            yield client, file
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _wait_for(client, process):
    for _ in range(1200):
        assert process.poll() is None, process.stderr.read()
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.ConnectError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


def test_it_answers_what_the_model_answers(server):
    """Labels and probabilities over HTTP are those of the file's model."""
    client, file = server
    frame, _ = load_iris(return_X_y=True, as_frame=True)
    rows, model = frame.to_numpy(), load_skops(file)
    answer = client.post("/predict", json={"rows": rows.tolist()})
    assert answer.status_code == 200
    assert answer.json()["predictions"] == model.predict(frame).tolist()
    probabilities = [list(row.values()) for row in answer.json()["probabilities"]]
    np.testing.assert_array_equal(probabilities, model.predict_proba(frame))


def test_rows_by_name(server):
    """A row may be an object from column name to value."""
    client, _ = server
    row = dict(zip(NAMES, [5.1, 3.5, 1.4, 0.2], strict=True))
    answer = client.post("/predict", json={"rows": [row]}).json()
    assert answer["predictions"] == ["setosa"]
    assert list(answer["probabilities"][0]) == ["setosa", "versicolor", "virginica"]


@pytest.mark.parametrize(
    "body, message",
    [
        ({"rows": [[1.0, 2.0]]}, "a row takes 4 numbers"),
        ({"rows": [[1, 2, 3, 4], [1, 2]]}, "a row takes 4 numbers"),
        ({"rows": []}, "at least 1 item"),
        ({"rows": [{"a": 1, "b": 2, "c": 3, "d": 4}]}, "feature names"),
        ({"rows": [dict.fromkeys(reversed(NAMES), 1.0)]}, "same order"),
        ({"rows": [["a", "b", "c", "d"]]}, "valid number"),
        ({"rows": [[None, 1, 2, 3]]}, "valid number"),
        ({"rows": 7}, "valid list"),
        ({}, "Field required"),
        ({"rows": [[1, 2, 3, 4]], "more": 1}, "Extra inputs"),
    ],
    ids=str,
)
def test_what_is_refused_is_422_with_the_reason(server, body, message):
    """What the model or the schema refuses is a client's error that says why."""
    client, _ = server
    answer = client.post("/predict", json=body)
    assert answer.status_code == 422
    assert message in str(answer.json()["detail"])


def test_numbers_beyond_the_floats_are_refused(server):
    """JSON has numbers that no float holds; they are no rows."""
    client, _ = server
    content = '{"rows": [[1e999, 1, 1, 1]]}'
    answer = client.post("/predict", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422
