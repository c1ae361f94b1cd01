"""skops files: there and back with sklmlp's estimators trusted, and nothing from a hostile one."""

import io
import json
import os
import re
import socket
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp
import skops.io
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SelectFromModel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedKFold
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import Tree
from sklearn.utils import all_estimators
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
    """A model of any kind comes back with its predictions, ensembles whole."""
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
    """A pipeline is saved in one file, by path too."""
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
    """The bytes of a model's file, and what the model predicts for."""
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
    """With any bit flipped a file raises ValueError, or the model predicts what it predicted."""
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


def packed(members, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def peak_of(act):
    """The most memory that Python and NumPy held while acting, in bytes."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def node(loader, name="builtins.list", number=0, **more):
    module, _, kind = name.rpartition(".")
    return {"__class__": kind, "__module__": module, "__loader__": loader, "__id__": number, **more}


def refused(schema, reason, most_bytes=10**7, **members):
    """Check that a schema next to members is refused with a reason, in bounded memory."""
    schema = schema | {"protocol": 2, "_skops_version": "0.12"}
    names = {name.replace("_", "."): content for name, content in members.items()}
    data = packed({"schema.json": json.dumps(schema), **names})
    pattern = reason if isinstance(reason, re.Pattern) else re.escape(reason)

    def load():
        with pytest.raises(ValueError, match=pattern):
            load_skops(io.BytesIO(data), most_bytes=most_bytes)

    assert peak_of(load) < 4 * most_bytes + 2**22


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(method):
    """Members that unpack in pieces of any size are not unpacked."""
    data = packed({"schema.json": bytes(10**6)}, method)
    with pytest.raises(ValueError, match=r"'schema.json' .* is compressed by method \d+; only"):
        loaded(data)


def test_what_inflates_beyond_its_size_is_not_followed():
    """A member that announces ten bytes and inflates to 100 MB takes no memory."""
    data = bytearray(packed({"schema.json": bytes(10**8)}))
    for mark, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        start = data.find(mark) + offset
        data[start : start + 4] = (10).to_bytes(4, "little")

    def load():
        with pytest.raises(ValueError, match=r"'schema.json' in the archive is damaged: Bad CRC"):
            loaded(bytes(data))

    assert peak_of(load) < 2**23


def array_of_megabytes(n):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(n * 2**20, np.uint8))
    return buffer.getvalue()


def test_every_reference_to_an_array_counts():
    """Forty nodes that name one array of 1 MB would take 40 MB, and are refused."""
    nodes = [node("NdArrayNode", "numpy.ndarray", i + 1, type="numpy", file="a.npy")
             for i in range(40)]  # fmt: skip
    schema = node("ListNode", number=99, content=nodes)
    refused(schema, "bytes, more than most_bytes=10000000", a_npy=array_of_megabytes(1))


def test_an_archive_in_the_archive_counts():
    """A sparse matrix that unpacks to more than `most_bytes` is refused before it does."""
    matrix = {f"{name}.npy": array_of_megabytes(50) for name in ("data", "indices", "indptr")}
    schema = node("SparseMatrixNode", "scipy.sparse._csr.csr_matrix", 1, type="scipy", file="a.npz")
    refused(schema, "bytes, more than most_bytes=10000000", a_npz=packed(matrix))


def test_a_sparse_matrix_whose_indices_lie_is_refused():
    """Column 7 of a matrix of three columns would be read from somewhere else in memory."""
    buffer = io.BytesIO()
    matrix = sp.csr_matrix(np.eye(3))
    matrix.indices[0] = 7
    sp.save_npz(buffer, matrix)
    schema = node("SparseMatrixNode", "scipy.sparse._csr.csr_matrix", 1, type="scipy", file="a.npz")
    reason = re.compile("(indices|column index values) must be < 3")  # SciPy 1.11 says the latter
    refused(schema, reason, a_npz=buffer.getvalue())


@pytest.mark.parametrize(
    "loader, name", [("BytesNode", "bytes"), ("BytearrayNode", "bytearray"), ("NewNode", "list")]
)
def test_other_nodes_are_refused(loader, name):
    """Nodes that take a multiple of their bytes, and those that nobody knows, are refused."""
    reason = f"builtins.{name} is kept by {loader!r}, which is not read"
    refused(node(loader, f"builtins.{name}", 1, file="a.npy"), reason, a_npy=array_of_megabytes(1))


def test_types_that_are_made_of_a_size_are_refused():
    """`numpy.void` of an array that holds 10**12 would ask for so many bytes."""
    buffer = io.BytesIO()
    np.save(buffer, np.array(10**12))
    schema = node("NdArrayNode", "numpy.void", 1, type="numpy", file="a.npy")
    reason = "numpy.void is not read, since a number says how large it is"
    refused(schema, reason, a_npy=buffer.getvalue())


def test_an_array_of_nothing_is_refused():
    """10**12 texts of no characters announce no bytes, and become text of one character each."""
    buffer = io.BytesIO()
    header = {"descr": "<U0", "fortran_order": False, "shape": (10**12,)}
    np.lib.format.write_array_header_1_0(buffer, header)
    schema = node("NdArrayNode", "numpy.ndarray", 1, type="numpy", file="a.npy")
    reason = "announces 0 bytes of 1000000000000 times <U0 and has 0"
    refused(schema, reason, a_npy=buffer.getvalue())


def test_shared_nodes_do_not_hang():
    """Forty lists, each of which holds the next one twice, are refused at once."""
    inner = node("JsonNode", "builtins.str", 1, content="0", is_json=True)
    for number in range(2, 42):
        again = node("ListNode", number=inner["__id__"], content=[])
        inner = node("ListNode", number=number, content=[inner, again])
    refused(inner, "nodes, shared ones counted at each use")


def test_a_node_that_contains_itself_is_refused():
    """So is a list that is an entry of itself."""
    schema = node("ListNode", number=7, content=[node("ListNode", number=7, content=[])])
    refused(schema, "a node of it contains itself")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "socket"])
def test_only_regular_files_are_read(kind, tmp_path):
    """What may block or never end is refused by name, without being opened."""
    path = "/dev/zero" if kind == "device" else str(tmp_path / kind)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        os.mkdir(path)
    elif kind == "socket":
        path = f"/tmp/sklmlp-test-{os.getpid()}"  # pytest's folders are too long a name
        server = socket.socket(socket.AF_UNIX)
        server.bind(path)
        server.close()
    try:
        with pytest.raises(ValueError, match=re.escape(f"{path!r} is not a regular file.")):
            load_skops(path)
    finally:
        if kind == "socket":
            os.remove(path)


# scikit-learn's own estimators -----------------------------------------------------------------

NOT_TRUSTED = {
    "Isomap": "sklearn.neighbors._kd_tree.KDTree",
    "KNeighborsTransformer": "sklearn.neighbors._kd_tree.KDTree",
    "LocallyLinearEmbedding": "sklearn.neighbors._kd_tree.KDTree",
    "RadiusNeighborsTransformer": "sklearn.neighbors._kd_tree.KDTree",
    "RandomTreesEmbedding": "sklearn.tree._tree.Tree",
    "SplineTransformer": "scipy.interpolate._bsplines.BSpline",
}
"""Those of which a hostile file could end the process."""

OF_OTHER_INPUT = {
    *("Birch",),  # skops cannot write it
    *("CCA", "PLSCanonical", "PLSRegression", "PLSSVD"),  # they transform targets, too
    *("DictVectorizer", "FeatureHasher", "HashingVectorizer", "CountVectorizer"),
    *("TfidfVectorizer", "TfidfTransformer", "PatchExtractor", "KernelCenterer", "SparseCoder"),
    *("LabelBinarizer", "LabelEncoder", "MultiLabelBinarizer", "IsotonicRegression"),
    *("MissingIndicator", "TSNE", "MDS", "SpectralEmbedding", "ClassicalMDS"),
    *("ColumnTransformer", "FeatureUnion", "SelectFromModel", "RFE", "RFECV", "GridSearchCV"),
    *("SequentialFeatureSelector", "StackingClassifier", "StackingRegressor"),
    *("VotingClassifier", "VotingRegressor"),
}
"""Transformers of text, targets or other estimators, which are below where a network can be."""

TRANSFORMERS = {n: kind for n, kind in all_estimators(type_filter="transformer")
                if n not in OF_OTHER_INPUT}  # fmt: skip


def net():
    return make("multiclass", hidden_layer_sizes=(3,), max_iter=2)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.mark.filterwarnings("ignore")  # of the transformers, on this small table
@pytest.mark.parametrize("through_columns", [False, True])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_every_transformer_before_a_network(name, through_columns, iris):
    """A pipeline of any transformer of scikit-learn loads, or names what could end the process."""
    X, y = iris
    transformer = TRANSFORMERS[name]()
    few = {"n_components": 2, "n_bins": 3, "k": 2, "max_iter": 20, "n_estimators": 3}
    for parameter, value in few.items():
        if parameter in transformer.get_params():
            transformer.set_params(**{parameter: value})
    if through_columns:
        transformer = make_column_transformer((transformer, [0, 1, 2]), remainder="passthrough")
    model = make_pipeline(transformer, net()).fit(X, y)
    data = skops.io.dumps(model)
    if name in NOT_TRUSTED:
        with pytest.raises(ValueError, match=re.escape(NOT_TRUSTED[name])):
            loaded(data)
    else:
        assert_array_equal(loaded(data).predict(X), model.predict(X))


@pytest.mark.parametrize("trusted", [Tree, "sklearn.tree._tree.Tree"])
def test_a_tree_has_to_be_trusted(trusted, iris):
    """A tree is loaded if it is trusted, by name or as a type, and refused under another's name."""
    model = DecisionTreeClassifier().fit(*iris)
    data = skops.io.dumps(model)
    found = load_skops(io.BytesIO(data), trusted=[trusted]).predict(iris[0])
    assert_array_equal(found, model.predict(iris[0]))

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = members["schema.json"].decode()
    renamed = schema.replace('"sklearn.tree._tree"', '"sklmlp.classifier"')
    renamed = renamed.replace('"Tree"', '"MLPClassifier"')
    assert renamed != schema
    with pytest.raises(ValueError, match=r"sklearn\.tree\._tree\.Tree is not trusted"):
        loaded(packed(members | {"schema.json": renamed}))


def regressor():
    return make("regression", hidden_layer_sizes=(3,), max_iter=2)


AROUND = {
    "calibrated": CalibratedClassifierCV(net(), cv=2),
    "isotonic": CalibratedClassifierCV(net(), cv=2, method="isotonic"),
    "bagging": BaggingClassifier(net(), 2),
    "voting": VotingClassifier([("a", net()), ("b", LogisticRegression())]),
    "stacking": StackingClassifier([("a", net()), ("b", LogisticRegression())], cv=2),
    "grid": GridSearchCV(net(), {"alpha": [0.1, 0.2]}, cv=2),
    "random": RandomizedSearchCV(net(), {"alpha": [0.1, 0.2]}, n_iter=2, cv=StratifiedKFold(2)),
    "scoring": GridSearchCV(net(), {"alpha": [0.1]}, cv=2, scoring="roc_auc_ovr"),
    "one against the rest": OneVsRestClassifier(net()),
    "one against one": OneVsOneClassifier(net()),
    "targets": TransformedTargetRegressor(regressor(), transformer=StandardScaler()),
    "log of targets": TransformedTargetRegressor(regressor(), func=np.log1p, inverse_func=np.expm1),
    "bagging of regressors": BaggingRegressor(regressor(), 2),
    "outputs": MultiOutputRegressor(regressor()),
    "words": make_pipeline(SimpleImputer(strategy="most_frequent"),
                           OneHotEncoder(handle_unknown="ignore"), net()),
    "selection": make_pipeline(SelectFromModel(LogisticRegression()), net()),
    "features": make_pipeline(make_union(StandardScaler(), PCA(2)), net()),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", AROUND.values(), ids=AROUND)
def test_what_scikit_learn_puts_around_a_network(model, iris):
    """Meta-estimators with networks inside load, and predict what they predicted."""
    X, y = iris
    y = np.c_[y, y].astype(float) if isinstance(model, MultiOutputRegressor) else y
    model = clone(model).fit(X, y)
    assert_array_equal(loaded(skops.io.dumps(model)).predict(X), model.predict(X))


def test_deep_nesting_is_refused():
    """A schema nested beyond Python's stack is a ValueError."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", "[" * 100_000)
    with pytest.raises(ValueError, match="skops file cannot be loaded"):
        loaded(buffer.getvalue())


def test_an_archive_of_too_many_parts_is_refused(monkeypatch, honest):
    """A file of a great many empty parts is refused before they are looked at."""
    monkeypatch.setattr("sklmlp.io.integrity.MOST_MEMBERS", 3)
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
