"""skops files from anybody: refused with a ValueError, or loaded without running code."""

import inspect
import io
import itertools
import json

import scipy.sparse as sp
import torch
from sklearn import metrics

from sklmlp.io.integrity import read_members, write_members

OURS = (
    "sklmlp.classifier.MLPClassifier",
    "sklmlp.nn.tied.TiedNetwork",
    "sklmlp.optim.registry.Solver",
    "sklmlp.regressor.MLPRegressor",
    "sklmlp.tabular.additive.AdditiveClassifier",
    "sklmlp.tabular.additive.AdditiveModel",
    "sklmlp.tabular.categories.CategoryEncoding",
    "sklmlp.tabular.categories.TargetEncoding",
    "sklmlp.tabular.classifier.TabularMLPClassifier",
    "sklmlp.tabular.encoder.TableEncoder",
    "sklmlp.tabular.network.TiedClassifier",
    "sklmlp.tabular.network.TiedRegressor",
    "sklmlp.tabular.regressor.TabularMLPRegressor",
)
"""All of ours that a model or pipeline consists of."""

OF_SCIKIT_LEARN = (
    "numpy.dtype",
    "numpy.mean",
    *(f"scipy.sparse._{form}.{form}_{kind}"
      for form in ("csr", "csc") for kind in ("matrix", "array")),
    "sklearn._config.config_context",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.cluster._bisect_k_means._BisectingTree",
    *(f"sklearn.cluster._kmeans._kmeans_single_{name}" for name in ("lloyd", "elkan")),
    "sklearn.compose._column_transformer.make_column_selector",
    *(f"sklearn.feature_selection._univariate_selection.{name}"
      for name in ("f_classif", "f_regression", "chi2", "r_regression")),
    *(f"sklearn.feature_selection._mutual_info.mutual_info_{name}"
      for name in ("classif", "regression")),
    *(f"sklearn.metrics._scorer.{name}"
      for name in ("_Scorer", "_PassthroughScorer", "_MultimetricScorer", "_CurveScorer")),
    *(f"sklearn.model_selection._split.{name}"
      for name in ("KFold", "StratifiedKFold", "ShuffleSplit", "StratifiedShuffleSplit",
                   "RepeatedKFold", "RepeatedStratifiedKFold", "GroupKFold", "LeaveOneOut")),
    "sklearn.utils._bunch.Bunch",
    *(f"sklearn.utils._metadata_requests.{name}"
      for name in ("MetadataRequest", "MethodMetadataRequest")),
    *sorted(f"{metric.__module__}.{metric.__name__}" for metric in vars(metrics).values()
            if inspect.isfunction(metric) and metric.__module__.startswith("sklearn.metrics.")),
)  # fmt: skip
"""What scikit-learn's own estimators consist of besides what skops trusts: none of it acts.

Trees, the trees of neighbors and splines are not among them: their compiled code trusts the numbers
that it is given, and a hostile file could end the process.
"""

OF_TORCH = tuple(
    f"{kind.__module__}.{kind.__qualname__}"
    for kind in vars(torch.optim).values()
    if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)
)
"""Classes that the parameter `solver` may name."""

LOADERS = {
    *("JsonNode", "DictNode", "DefaultDictNode", "ListNode", "SetNode", "TupleNode", "SliceNode"),
    *("NdArrayNode", "MaskedArrayNode", "DTypeNode", "SparseMatrixNode", "RandomStateNode"),
    *("TypeNode", "FunctionNode", "PartialNode", "MethodNode", "OperatorFuncNode", "CachedNode"),
    *("ObjectNode", "ConstructorFromReduceNode", "LossNode", "TreeNode"),
    "_DictWithDeprecatedKeysNode",
}
"""skops' nodes that take no more memory than is counted here: not bytes, not generators."""

TREE = "sklearn.tree._tree.Tree"
"""skops 0.11 trusts it; and in any version a TreeNode makes one, whatever type it claims."""

_MADE_OF_SIZES = {"numpy.void", "numpy.bytes_"}
"""Types that make as many bytes as a number says."""

JSON_BYTES, NODE_BYTES = 16, 2048
"""About what a byte of the description and a node of it take in memory."""


def load_skops(file, *, trusted=(), most_bytes=2**31):
    """Load a model or pipeline that `skops.io.dump` wrote; a file that it is not is refused.

    It is `skops.io.load` that trusts `MLPClassifier`, `MLPRegressor`, `TableEncoder`, the plain
    parts of scikit-learn's estimators and torch's classes of optimizers, and that raises ValueError
    for every damaged or hostile file, in bounded memory and time. Needs `pip install
    sklmlp[skops]`.

    Parameters
    ----------
    file : path or binary file
        A path to a regular file.
    trusted : sequence of str or type, default=()
        Further types, as `skops.io.load` takes them: a custom activation, for example. Look
        at `skops.io.get_untrusted_types` before trusting a file's.
    most_bytes : int, default=2**31
        What the file may unpack to; an array that is named twice counts twice, and so does the
        memory that descriptions need. Loading takes up to three times as much for a moment.

    Returns
    -------
    estimator : object

    Raises
    ------
    ValueError
        If the file is damaged, is larger than `most_bytes`, has types that are not trusted (the
        message names them), or describes a model that cannot be.

    Examples
    --------
    >>> import io
    >>> import skops.io
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.io import load_skops
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((8,), solver="lbfgs", max_iter=2000, random_state=0).fit(X, y)
    >>> file = io.BytesIO(skops.io.dumps(model))
    >>> bool((load_skops(file).predict(X) == model.predict(X)).all())
    True
    """
    try:
        import skops.io
    except ImportError as error:
        raise ImportError("load_skops needs skops: pip install sklmlp[skops]") from error
    members = read_members(file, most_bytes)
    try:
        types = _checked_types(members, most_bytes)
        if TREE in types and TREE not in {_name_of(each) for each in trusted}:
            raise ValueError(f"{TREE} is not trusted: a hostile one could end the process.")
        plain = io.BytesIO()
        write_members(plain, members)
        members.clear()
        # skops copies the list for every node
        known = [name for name in (*OURS, *OF_SCIKIT_LEARN, *OF_TORCH) if name in types]
        return skops.io.load(plain, trusted=[*known, *trusted])
    except Exception as error:  # skops lets through what zipfile, json and NumPy raise
        raise ValueError(f"This skops file cannot be loaded: {error}") from error


def _checked_types(members, most_bytes):
    """Return the types that a file names, once it has proved to need no more memory than it may.

    Sparse matrices, which are archives in the archive, are replaced by ones that are not
    compressed.
    """
    text = members["schema.json"]
    _check_size(len(text) * JSON_BYTES, most_bytes)
    schema = json.loads(text)
    nodes, n_visits = _walk(schema, most_bytes // NODE_BYTES)
    for name in {node["file"] for node in nodes if "file" in node} & {*members}:
        if name.endswith(".npz"):
            members[name] = _plain_sparse(members[name], most_bytes)
        elif not name.endswith(".npy"):
            raise ValueError(f"{name!r} is named as an array, and is none.")
    sizes = {(node.get("__id__") or i, node["file"]) for i, node in enumerate(nodes)
             if "file" in node}  # fmt: skip
    size = sum(len(members.get(name, b"")) for _, name in sizes)
    _check_size(size + len(text) * JSON_BYTES + n_visits * NODE_BYTES, most_bytes)
    types = {f"{node.get('__module__')}.{node.get('__class__')}" for node in nodes}
    return types | {TREE for node in nodes if node["__loader__"] == "TreeNode"}


def _name_of(trusted):
    if isinstance(trusted, str):
        return trusted
    return f"{trusted.__module__}.{trusted.__name__}"


def _check_size(size, most_bytes):
    if size > most_bytes:
        raise ValueError(f"it would take {size} bytes, more than most_bytes={most_bytes}")


def _plain_sparse(content, most_bytes):
    """Return a sparse matrix's file without compression, once its indices are checked."""
    parts = read_members(io.BytesIO(content), most_bytes)
    plain = io.BytesIO()
    write_members(plain, parts)
    plain.seek(0)
    matrix = sp.load_npz(plain)
    if matrix.format not in ("csr", "csc"):
        raise ValueError(f"sparse matrices of the format {matrix.format!r} are not read")
    matrix.check_format(full_check=True)
    return plain.getvalue()


def _walk(schema, most_visits):
    """Return the nodes of a schema, and how many skops visits: shared ones once for each use.

    skops builds an object once for all nodes of one number, but looks at it at each of them.
    """
    nodes, definitions, numbers = [], {}, itertools.count()
    todo = [(schema, roots := [])]  # parts, and the children of the node that they are in
    while todo:
        part, siblings = todo.pop()
        if isinstance(part, dict) and "__loader__" in part:
            _check_node(part)
            nodes.append(part)
            key = ("id", part["__id__"]) if part.get("__id__") else ("no", next(numbers))
            siblings.append(key)
            siblings = []
            definitions.setdefault(key, []).append(siblings)
        inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        todo.extend((each, siblings) for each in inner)
    visits, underway, todo = {}, set(), list(roots)
    while todo:
        key = todo[-1]
        if key in visits:
            todo.pop()
            continue
        missing = {child for each in definitions[key] for child in each if child not in visits}
        if not missing:
            most = max(sum(visits[child] for child in each) for each in definitions[key])
            visits[key] = min(1 + most, most_visits + 1)
        elif key in underway:
            raise ValueError("a node of it contains itself")
        else:
            underway.add(key)
            todo.extend(missing)
    n_visits = sum(visits[key] for key in roots)
    if n_visits > most_visits:
        raise ValueError(f"it has more than {most_visits} nodes, shared ones counted at each use")
    return nodes, n_visits


def _check_node(node):
    loader, name = node["__loader__"], f"{node.get('__module__')}.{node.get('__class__')}"
    if loader not in LOADERS:
        raise ValueError(f"{name} is kept by {loader!r:.80}, which is not read")
    if name in _MADE_OF_SIZES:
        raise ValueError(f"{name} is not read, since a number says how large it is")
