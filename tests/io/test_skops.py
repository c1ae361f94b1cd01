"""skops files: there and back with sklmlp's estimators trusted, and nothing from a hostile one."""

import io
import json
import os
import sys
import zipfile

import numpy as np
import pytest
import skops.io
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sklmlp.activations import ACTIVATIONS
from sklmlp.io import load_skops
from tests.io.test_state import Power, assert_same_answers, cube
from tests.tables import KINDS, make, make_table

OURS = ["sklmlp.classifier.MLPClassifier", "sklmlp.regressor.MLPRegressor"]


def through_skops(model):
    return skops.io.loads(skops.io.dumps(model), trusted=OURS)


def loaded(data):
    return load_skops(io.BytesIO(data))


@pytest.mark.parametrize("n_estimators", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(kind, n_estimators, short_fits):
    """A model of any kind comes back with its answers, ensembles whole."""
    X, y = make_table(kind)
    model = make(kind, n_estimators=n_estimators).fit(X, y)
    assert_same_answers(model, through_skops(model), X)
    assert_same_answers(model, loaded(skops.io.dumps(model)), X)


@pytest.mark.parametrize("activation", [*ACTIVATIONS, nn.ELU(0.5), nn.PReLU(8), [nn.GELU]])
def test_only_our_estimator_has_to_be_trusted(activation, short_fits):
    """There is nothing in a file that a reader would have to look at, but sklmlp's class."""
    X, y = make_table("regression")
    model = make("regression", activation=activation).fit(X, y).partial_fit(X, y)
    data = skops.io.dumps(model)
    assert skops.io.get_untrusted_types(data=data) == ["sklmlp.regressor.MLPRegressor"]
    twin = through_skops(model)
    assert_same_answers(model, twin, X)
    assert_same_answers(model.partial_fit(X, y), twin.partial_fit(X, y), X)


def test_pipeline(short_fits, tmp_path):
    """A pipeline travels in one file, by path too."""
    X, y = make_table("multiclass")
    model = make_pipeline(StandardScaler(), make("multiclass")).fit(X, np.array(list("abc"))[y])
    skops.io.dump(model, tmp_path / "model.skops")
    assert_same_answers(model, load_skops(tmp_path / "model.skops"), X)


@pytest.mark.parametrize("activation", [cube, Power, Power(3), (Power, {"exponent": 3}), [cube]])
def test_own_activations_are_refused_by_name(activation, short_fits):
    """What would run a stranger's code is named, and loads once it is trusted."""
    X, y = make_table("regression")
    model = make("regression", activation=activation).fit(X, y)
    data = skops.io.dumps(model)
    name = "cube" if "cube" in str(activation) else "Power"
    with pytest.raises(ValueError, match=rf"tests\.io\.test_state\.{name}"):
        loaded(data)
    own = [t for t in skops.io.get_untrusted_types(data=data) if t not in OURS]
    assert own == [f"tests.io.test_state.{name}"]
    assert_same_answers(model, load_skops(io.BytesIO(data), trusted=own), X)


# Hostile files ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def honest():
    """The bytes of a model's file, and what the model answers to."""
    X, y = make_table("multiclass", n_samples=30)
    model = make("multiclass", solver="lbfgs", activation="prelu", max_iter=200, tol=1e-2)
    return skops.io.dumps(model.fit(X, y)), model, X


def test_a_truncated_file_is_refused(honest):
    """A file that was cut off anywhere is a ValueError."""
    data, *_ = honest
    for end in np.linspace(0, len(data) - 1, 60).astype(int):
        with pytest.raises(ValueError, match=r"archive|skops file"):
            loaded(data[:end])


@pytest.mark.parametrize("seed", range(3))
def test_a_flipped_bit_is_refused_or_means_nothing(honest, seed):
    """With any bit flipped a file is a ValueError, or the model answers what it answered."""
    data, model, X = honest
    refused = 0
    for bit in np.random.default_rng(seed).integers(len(data) * 8, size=60):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        try:
            twin = loaded(bytes(flipped))
        except ValueError:
            refused += 1
        else:
            assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
    assert refused > 40


def rebuilt(data, change=lambda schema: None, arrays=lambda name, content: content):
    """The file with another schema and other arrays, and with the zip's own checksums right."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith(".npy"):
                content = arrays(name, content)
            else:
                schema = json.loads(content)
                change(schema)
                content = json.dumps(schema)
            new.writestr(name, content)
    return buffer.getvalue()


def entry(schema, name):
    """A part of the estimator's state in a schema."""
    return schema["content"]["content"][name]


def test_other_numbers_fail_the_checksum(honest):
    """A weight that was changed, with a zip archive that is whole, is found."""
    data, *_ = honest

    def halved(name, content):
        array = np.load(io.BytesIO(content))
        buffer = io.BytesIO()
        np.save(buffer, array / 2 if array.dtype.kind == "f" else array)
        return buffer.getvalue()

    with pytest.raises(ValueError, match="damaged: its checksum"):
        loaded(rebuilt(data, arrays=halved))


def test_a_foreign_class_is_named_and_not_called(honest, tmp_path):
    """A function of another module in place of a parameter is refused; it never runs."""
    data, *_ = honest
    made = tmp_path / "made"

    def change(schema):
        arguments = json.dumps(f"touch {made}")
        schema["content"]["content"]["alpha"] = {
            "__class__": "system",
            "__module__": os.system.__module__,
            "__loader__": "ConstructorFromReduceNode",
            "__id__": 1,
            "content": {
                "__class__": "tuple",
                "__module__": "builtins",
                "__loader__": "TupleNode",
                "__id__": 2,
                "content": [
                    {
                        "__class__": "str",
                        "__module__": "builtins",
                        "__loader__": "JsonNode",
                        "__id__": 3,
                        "content": arguments,
                        "is_json": True,
                    }
                ],
            },
        }

    with pytest.raises(ValueError, match=f"{os.system.__module__}.system"):
        loaded(rebuilt(data, change))
    assert not made.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda schema: schema.clear(),
        lambda schema: schema.pop("__class__"),
        lambda schema: schema.update(__loader__="NoNode"),
        lambda schema: schema["content"].update(content=[]),
        lambda schema: entry(schema, "coefs_").update(content=[]),
        lambda schema: entry(schema, "coefs_")["content"].pop(),
        lambda schema: entry(schema, "coefs_")["content"].reverse(),
        lambda schema: schema["content"]["content"].pop("_format"),
        lambda schema: schema["content"]["content"].pop("intercepts_"),
        lambda schema: schema["content"]["content"].pop("classes_"),
        lambda schema: entry(schema, "_format").update(content="99", __id__=-1),
        lambda schema: entry(schema, "coefs_")["content"][0].update(file="no.npy"),
    ],
    ids=range(12),
)
def test_another_schema_is_refused(honest, change):
    """A schema that describes something else is a ValueError."""
    data, *_ = honest
    with pytest.raises(ValueError, match=r"skops file cannot be loaded"):
        loaded(rebuilt(data, change))


def test_an_array_that_announces_terabytes_is_refused(honest):
    """The size in an array's header is compared with the file's before memory is asked for."""
    data, *_ = honest

    def announced(name, content):
        buffer = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**7, 10**7)}
        )
        return buffer.getvalue() + bytes(64)

    with pytest.raises(ValueError, match="announces 800000000000000 bytes"):
        loaded(rebuilt(data, arrays=announced))


def test_an_archive_that_unpacks_to_too_much_is_refused():
    """A few bytes that unpack to many are refused before they do."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", bytes(10**7))
    with pytest.raises(ValueError, match="10000000 bytes, more than most_bytes=1000000"):
        load_skops(io.BytesIO(buffer.getvalue()), most_bytes=10**6)


def test_deep_nesting_is_refused():
    """A schema nested beyond Python's stack is a ValueError."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", "[" * 100_000)
    with pytest.raises(ValueError, match="skops file cannot be loaded"):
        loaded(buffer.getvalue())


def test_an_archive_of_too_many_parts_is_refused(monkeypatch, honest):
    """A file of a great many empty parts is refused before they are looked at."""
    monkeypatch.setattr("sklmlp.io.archive.MOST_MEMBERS", 3)
    with pytest.raises(ValueError, match="parts, more than 3"):
        loaded(honest[0])


def test_an_array_of_another_format_is_refused(honest):
    """A version of NumPy's format that is not known is not guessed at."""

    def newer(name, content):
        return content[:6] + bytes([9, 9]) + content[8:]

    with pytest.raises(ValueError, match=r"version \(9, 9\) of NumPy's format"):
        loaded(rebuilt(honest[0], arrays=newer))


def test_without_skops_the_error_says_what_to_install(monkeypatch):
    """An extra that is missing is named with the command that brings it."""
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    with pytest.raises(ImportError, match=r"pip install sklmlp\[skops\]"):
        load_skops("model.skops")


def test_a_file_that_is_not_there_is_an_os_error(tmp_path):
    """A wrong path is what it is."""
    with pytest.raises(FileNotFoundError):
        load_skops(tmp_path / "none.skops")
