"""examples/serve.py, started on loopback and called."""

import json
import os
import runpy
import socket
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
import skops.io
import uvicorn
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import sklmlp
from sklmlp import MLPClassifier
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
    response = client.post("/predict", json={"rows": rows.tolist()})
    assert response.status_code == 200
    assert response.json()["predictions"] == model.predict(frame).tolist()
    probabilities = [list(row.values()) for row in response.json()["probabilities"]]
    np.testing.assert_array_equal(probabilities, model.predict_proba(frame))


def test_rows_by_name(server):
    """A row may be an object from column name to value."""
    client, _ = server
    row = dict(zip(NAMES, [5.1, 3.5, 1.4, 0.2], strict=True))
    response = client.post("/predict", json={"rows": [row]}).json()
    assert response["predictions"] == ["setosa"]
    assert list(response["probabilities"][0]) == ["setosa", "versicolor", "virginica"]


def reason(at, message):
    return [{"loc": [str(part) for part in at], "msg": message}]


A_NUMBER, A_FINITE = "Input should be a valid number", "Input should be a finite number"
EXTRA = "Extra inputs are not permitted"
ROW = dict.fromkeys(NAMES, 1.0)


@pytest.mark.parametrize(
    "body, told",
    [
        ({"rows": [[1, 2, 3]]}, reason(["rows", 0, "list", 3], "Field required")),
        ({"rows": [[1, 2, 3, 4], [1, 2, 3]]}, reason(["rows", 1, "list", 3], "Field required")),
        ({"rows": [[1, 2, 3, 4, 5]]}, reason(["rows", 0, "list"], "Tuple should have at most 4 "
            "items after validation, not 5")),
        ({"rows": []}, reason(["rows"], "List should have at least 1 item after validation, not "
            "0")),
        ({"rows": [[1, 2, 3, 4]] * 10_001}, reason(["rows"], "List should have at most 10000 "
            "items after validation, not 10001")),
        ({"rows": [{**ROW, "a": 1}]}, reason(["rows", 0, "object", "a"], EXTRA)),
        ({"rows": [{**ROW, "a" * 1000: 1}]}, reason(["rows", 0, "object", "a" * 50], EXTRA)),
        ({"rows": [dict.fromkeys(NAMES[1:], 1)]}, reason(["rows", 0, "object", NAMES[0]],
            "Field required")),
        ({"rows": [["a", 2, 3, 4]]}, reason(["rows", 0, "list", 0], A_NUMBER)),
        ({"rows": [["1", 2, 3, 4]]}, reason(["rows", 0, "list", 0], A_NUMBER)),
        ({"rows": [[True, 2, 3, 4]]}, reason(["rows", 0, "list", 0], A_NUMBER)),
        ({"rows": 7}, reason(["rows"], "Input should be a valid array")),
        ({}, reason(["rows"], "Field required")),
        ({"rows": [[1, 2, 3, 4]], "more": 1}, reason(["more"], EXTRA)),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_what_the_schema_refuses_is_422_with_the_reason(server, body, told):
    """What the schema refuses is a client's error that says where and why."""
    client, _ = server
    response = client.post("/predict", json=body)
    assert response.status_code == 422
    assert response.json() == {"detail": told}


def test_what_the_model_refuses_is_422_with_its_message(server):
    """A missing value is for the model to take or to refuse."""
    client, _ = server
    response = client.post("/predict", json={"rows": [[None, 1, 2, 3]]})
    assert response.status_code == 422
    frame = pd.DataFrame([[np.nan, 1, 2, 3]], columns=NAMES)
    with pytest.raises(ValueError) as refused:
        load_skops(server[1]).predict(frame)
    assert response.json() == {"detail": str(refused.value)[:500]}


NO_JSON = {
    "NaN": (b'{"rows": [[NaN, 1, 1, 1]]}', A_FINITE),
    "Infinity": (b'{"rows": [[-Infinity, 1, 1, 1]]}', A_FINITE),
    "beyond the floats": (b'{"rows": [[1e999, 1, 1, 1]]}', A_FINITE),
    "an endless number": (b'{"rows": [[' + b"9" * 5000 + b", 1, 1, 1]]}", "Invalid JSON: number "
                          "out of range at line 1 column 4313"),
    "broken off": (b'{"rows": [[1, SECRET', "Invalid JSON: expected value at line 1 column 15"),
    "nothing": (b"", "Invalid JSON: EOF while parsing a value at line 1 column 0"),
    "no text": (b"\xff\xfeSECRET", "Invalid JSON: expected value at line 1 column 1"),
    "deep": (b'{"rows":' + b"[" * 500_000, "Invalid JSON: recursion limit exceeded at line 1 "
             "column 209"),
    "a word": (b'"SECRET"', "Input should be an object"),
}  # fmt: skip


@pytest.mark.parametrize("content, message", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_json_is_422_without_an_echo(server, content, message):
    """Numbers that JSON does not have, and broken JSON, are refused without showing them."""
    client, _ = server
    response = client.post("/predict", content=content)
    assert response.status_code == 422
    assert [told["msg"] for told in response.json()["detail"]] == [message]


def pieces(n):
    """So much of a request, without saying before how much it will be."""
    yield b'{"rows": ['
    for _ in range(n // 10_000):
        yield b"[1,2,3,4]," * 1000


HOSTILE = {
    "declared": (b" " * (2**20 + 1), 413, {"detail": "at most 1048576 bytes are taken"}),
    "in pieces": (pieces(5 * 2**20), 413, {"detail": "at most 1048576 bytes are taken"}),
    "bad rows": (
        b'{"rows":[' + b'["a",1,1,1],' * 80_000 + b"[]]}",
        422,
        {"detail": reason(["rows", 0, "list", 0], A_NUMBER)},
    ),
    "names": (
        json.dumps(dict.fromkeys(map(str, range(60_000)), 1)).encode(),
        422,
        {"detail": reason(["rows"], "Field required")
         + [told for i in range(4) for told in reason([i], EXTRA)]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("content, status, told", HOSTILE.values(), ids=HOSTILE)
def test_large_requests_get_small_answers(server, content, status, told):
    """A request beyond the limits is refused before it is read, and few reasons are told."""
    client, _ = server
    response = client.post("/predict", content=content)
    assert (response.status_code, response.json()) == (status, told)


# A table of text, numbers with gaps, whole numbers and truth values ---------------------------


def make_rows(n=60):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": np.where(rng.random(n) < 0.2, np.nan, rng.normal(40, 9, n)),
            "city": pd.Series(rng.choice(["Ulm", "Bonn", "Kiel"], n)).where(rng.random(n) > 0.1),
            "plan": rng.integers(0, 3, n),
            "new": rng.random(n) > 0.5,
            "note": "is not used",
        }
    )


def make_model():
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age"]),
        (OneHotEncoder(handle_unknown="ignore"), ["city", "plan", "new"]),
    )
    X = make_rows()
    mlp = MLPClassifier((8,), solver="lbfgs", max_iter=20, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make_pipeline(columns, mlp).fit(X, X["new"] & (X["plan"] > 0))


@pytest.fixture(scope="module")
def table():
    """A client of the example with a model of a mixed table, in a thread of this process."""
    module = runpy.run_path(str(ROOT / "examples/serve.py"))
    model = make_model()
    config = uvicorn.Config(module["make_app"](model), port=0, log_level="error")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        while not running.started:
            assert thread.is_alive()
            time.sleep(0.05)
        port = running.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield client, model
    finally:
        running.should_exit = True
        thread.join(timeout=30)


def as_json(frame):
    """Rows of plain values, with None for what is missing."""
    rows = frame.astype(object).to_numpy().tolist()
    return [[None if value != value else value for value in row] for row in rows]


@pytest.mark.parametrize("order", ["as fitted", "reversed", "as lists", "without what is unused"])
def test_text_gaps_and_truth_values(table, order):
    """Rows of any types are predicted as by the model, whatever the order of their keys."""
    client, model = table
    frame = make_rows()
    rows = as_json(frame)
    if order != "as lists":
        rows = [dict(zip(frame, row, strict=True)) for row in rows]
    if order == "reversed":
        rows = [dict(reversed(row.items())) for row in rows]
    if order == "without what is unused":
        rows = [{name: value for name, value in row.items() if name != "note"} for row in rows]
    response = client.post("/predict", json={"rows": rows})
    assert response.status_code == 200, response.text
    assert response.json()["predictions"] == model.predict(frame).tolist()
    got = [list(row.values()) for row in response.json()["probabilities"]]
    np.testing.assert_allclose(got, model.predict_proba(frame))


def test_the_schema_is_that_of_the_fitted_columns(table):
    """The documentation names the columns with their types, and says which have to be there."""
    client, _ = table
    row = client.get("/openapi.json").json()["components"]["schemas"]["Row"]
    kinds = {
        name: {kind["type"] for kind in column["anyOf"]}
        for name, column in row["properties"].items()
    }
    assert kinds == {
        "age": {"number", "null"},
        "city": {"string", "null"},
        "plan": {"integer", "null"},
        "new": {"boolean", "null"},
        "note": {"string", "boolean", "number", "null"},
    }
    assert row["required"] == ["age", "city", "plan", "new"]
    assert row["additionalProperties"] is False


@pytest.mark.parametrize(
    "column, value, message",
    [
        ("age", "old", A_NUMBER),
        ("city", 7, "Input should be a valid string"),
        ("plan", 1.5, "Input should be a valid integer"),
        ("plan", 2**63, "Input should be less than 9223372036854775808"),
        ("new", 1, "Input should be a valid boolean"),
    ],
)
def test_values_of_another_type_are_refused(table, column, value, message):
    """Each column takes its own type."""
    client, _ = table
    row = {"age": 1.0, "city": "Ulm", "plan": 1, "new": True, column: value}
    response = client.post("/predict", json={"rows": [row]})
    assert response.status_code == 422
    assert response.json() == {"detail": reason(["rows", 0, "object", column], message)}


def test_others_are_answered_while_the_model_predicts(table, monkeypatch):
    """A prediction that takes its time holds up nobody."""
    client, model = table
    predict, begun, go_on = type(model).predict, threading.Event(), threading.Event()

    def slowly(self, X):
        begun.set()
        assert go_on.wait(30)
        return predict(self, X)

    monkeypatch.setattr(type(model), "predict", slowly)
    body = {"rows": [{"age": 1.0, "city": "Ulm", "plan": 1, "new": True}]}
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.post, "/predict", json=body)
        assert begun.wait(30)
        assert client.get("/health").json() == {"status": "ok"}
        assert not waiting.done()
        go_on.set()
        assert waiting.result().status_code == 200


def test_a_pipeline_with_an_imputer_is_served_from_its_file(tmp_path):
    """The file of such a pipeline is loaded as the server loads it."""
    skops.io.dump(make_model(), tmp_path / "model.skops")
    frame = make_rows()
    expected = make_model().predict(frame)
    np.testing.assert_array_equal(load_skops(tmp_path / "model.skops").predict(frame), expected)
