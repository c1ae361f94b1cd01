"""The map of the rooms: who may import from whom, read from the source itself."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import sklmlp
from sklmlp import compat

ROOT = Path(sklmlp.__file__).parent
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
DOORS = [path.parent for path in FILES if path.name == "__init__.py" and path.parts[1:]]

# Each room (or file next to the rooms) and those that it may import from.
MAY_IMPORT = {
    "__init__": {"classifier", "regressor", "search", "tabular", "versions"},
    "versions": {"native"},
    "caller": set(),
    "compat": set(),
    "exceptions": set(),
    "kernels": set(),
    "activations": {"compat", "kernels", "spelling"},
    "losses": {"compat"},
    "native": {"compat"},
    "spelling": set(),
    "runtime": {"exceptions"},
    "data": {"caller"},
    "nn": {"native", "activations", "compat", "losses", "spelling"},
    "optim": {"compat", "spelling"},
    "callbacks": {"compat", "optim"},
    "failures": {"caller", "data", "exceptions"},
    "training": {
        *("caller", "callbacks", "compat", "data", "failures", "kernels", "nn", "optim"),
        *("native", "runtime", "spelling"),
    },
    # prediction pickles through it
    "io": {
        *("caller", "compat", "fitted_network", "kernels", "losses", "nn", "optim", "versions"),
    },
    "fitted_network": {"data", "native", "nn", "runtime"},
    "prediction": {"compat", "data", "fitted_network", "io", "nn", "optim"},
    "config": {"compat", "optim"},
    "parameters": {"caller", "compat", "config", "losses", "nn", "optim"},
    "learned": {"compat", "failures", "nn", "optim", "prediction", "training"},
    "preparation": {
        *("callbacks", "compat", "config", "data", "fitted_network", "nn", "runtime"),
        "training",
    },
    "base": {
        *("callbacks", "compat", "config", "failures", "io", "learned", "losses"),
        *("optim", "parameters", "prediction", "preparation", "runtime", "training"),
    },
    "classifier": {"base", "compat", "data", "fitted_network", "losses"},
    "regressor": {"base", "compat", "data", "fitted_network", "losses"},
    "inspection": {
        *("compat", "data", "fitted_network", "nn", "prediction", "preparation", "runtime"),
    },
    "search": {
        *("caller", "compat", "data", "prediction", "regressor", "runtime", "spelling"),
        *("tabular", "training"),
    },
    "tabular": {
        *("callbacks", "classifier", "compat", "data", "fitted_network", "losses", "nn"),
        *("optim", "prediction", "regressor", "training"),
    },
}

EXTRAS = {"matplotlib", "rich", "onnx", "skl2onnx", "skops", "dask", "optuna", "pandas", "polars"}


def room_of(path):
    return path.parts[0].removesuffix(".py")


@cache
def parsed(path):
    """The syntax tree of a file of the package."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def imported(path, top_level_only=False):
    """The dotted names of the modules that a file imports, wherever in the file it does."""
    tree = parsed(path)
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively in line {node.lineno}"
            if node.module == "sklmlp":  # `from sklmlp import io` imports a room
                yield from (f"sklmlp.{alias.name}" for alias in node.names)
            else:
                yield node.module


def ours(path):
    """The parts behind `sklmlp.` of what a file imports from the package."""
    return [tuple(name.split(".")[1:]) for name in imported(path) if name.startswith("sklmlp")]


def test_the_map_names_every_room():
    """A room that is added is added to the map."""
    assert {room_of(path) for path in FILES} == set(MAY_IMPORT)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_point_one_way(path):
    """A file imports from its own room and from those that the map allows."""
    room = room_of(path)
    others = {parts[0] for parts in ours(path)} - {room}
    assert others <= MAY_IMPORT[room]


def test_the_map_has_no_circle():
    """No two rooms import from each other, however long the way round."""
    left = dict(MAY_IMPORT)
    while left:
        free = [room for room, others in left.items() if not others & set(left)]
        assert free, f"a circle among {sorted(left)}"
        for room in free:
            del left[room]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_rooms_are_entered_by_the_door(path):
    """Other rooms import from a room's `__init__`, not from the files behind it."""
    behind = [parts for parts in ours(path) if parts[0] != room_of(path) and len(parts) > 1]
    assert behind == []


@pytest.mark.parametrize(
    "room", sorted(p.parts[0] for p in FILES if p.parts[1:] == ("__init__.py",))
)
def test_a_door_exports_what_it_imports(room):
    """A room's `__init__` imports its public names, lists them in `__all__`, and does no more."""
    tree = parsed(Path(room, "__init__.py"))
    docstring, *imports, exports = tree.body
    assert isinstance(docstring, ast.Expr)
    assert all(isinstance(node, ast.ImportFrom) for node in imports)
    names = [alias.name for node in imports for alias in node.names]
    assert sorted(names) == sorted(ast.literal_eval(exports.value))


@pytest.mark.parametrize("path", FILES, ids=str)
def test_extras_are_imported_where_they_are_used(path):
    """No file imports an optional package at its top."""
    packages = {name.split(".")[0] for name in imported(path, top_level_only=True)}
    assert not packages & EXTRAS


OF_SCORERS = {"_kwargs", "_response_method", "_score_func"}
THEIRS = ("joblib", "numpy", "scipy", "sklearn", "skorch", "torch")


def is_private(name):
    return name.startswith("_") and not name.endswith("__") and name != "_"


@pytest.mark.parametrize("path", [path for path in FILES if path != Path("compat.py")], ids=str)
def test_private_names_of_others_are_in_one_file(path):
    """Only `compat.py` imports a private name of a library, or knows one as an attribute's name."""
    tree = parsed(path)
    names = [
        f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    theirs = [name for name in names if name.startswith(THEIRS)]
    assert [name for name in theirs if any(map(is_private, name.split(".")))] == []
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    attributes = {*compat.OF_EVERY_ESTIMATOR, *compat.CALLBACK_BOOKKEEPING, *OF_SCORERS}
    assert strings & attributes == set()


def is_private_read(node):
    return isinstance(node, ast.Attribute) and is_private(node.attr)


COPIES_OF_SELF = {
    "clone(self)",
    "copy.copy(self)",
    "learning_aside(self)",
    "snapshot(self)",
    "type(self).__new__(type(self))",
}
"""What makes another object of the class that a method belongs to."""

MODULES = {"sys._getframe"}
"""Names of modules that Python documents in spite of the underscore."""

READS_OF_OTHERS = {
    # the one file for private names of scikit-learn's objects
    "compat.py": {
        *("estimator._init_callback_context", "estimator._parameter_constraints"),
        *("parameters._html_repr", "scorer._kwargs", "scorer._response_method"),
    },
    # the generator of a RandomState, for which NumPy has no public name
    "native/training.py": {"rng._bit_generator"},
}
"""File by file, what is read in spite of the rule; `found` must be exactly this."""


def underscores_of_others(tree):
    """The underscore attributes that a file reads of objects of other files."""
    own = set(_underscores_that_are_defined(tree))
    for scope in ast.walk(tree):
        if isinstance(scope, ast.ClassDef):
            bases = {ast.unparse(base) for base in scope.bases}
            for node in ast.walk(scope):
                if is_private_read(node) and ast.unparse(node.value) in bases:
                    own.add(node)  # an inherited attribute of the class
            for method in scope.body:
                if isinstance(method, ast.FunctionDef):
                    own.update(_of_copies(method))
    for node in filter(is_private_read, ast.walk(tree)):
        is_own = node in own or node.attr in own
        if not is_own and ast.unparse(node.value) not in ("self", "cls", "super()"):
            yield ast.unparse(node)


def _underscores_that_are_defined(tree):
    """Names of attributes that the classes of a file define, in their bodies or on `self`."""
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.ClassDef):
            continue
        for node in ast.walk(scope):
            if isinstance(node, ast.FunctionDef):
                yield node.name
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and ast.unparse(node.value) in ("self", "cls")
            ):
                yield node.attr
        for node in scope.body:
            for target in getattr(node, "targets", [getattr(node, "target", None)]):
                if isinstance(target, ast.Name):
                    yield target.id


def _of_copies(method):
    """The attributes that a method reads of copies of `self`."""
    copies = set()
    for node in ast.walk(method):
        if isinstance(node, ast.Assign) and ast.unparse(node.value) in COPIES_OF_SELF:
            copies.update(ast.unparse(target) for target in node.targets)
        elif isinstance(node, ast.withitem) and ast.unparse(node.context_expr) in COPIES_OF_SELF:
            copies.add(ast.unparse(node.optional_vars))
    for node in ast.walk(method):
        if is_private_read(node) and ast.unparse(node.value) in copies:
            yield node


@pytest.mark.parametrize("path", FILES, ids=str)
def test_no_file_reads_an_underscore_attribute_of_another(path):
    """An underscore attribute belongs to the file whose classes define it, and to `self`."""
    found = set(underscores_of_others(parsed(path)))
    assert found - MODULES == READS_OF_OTHERS.get(path.as_posix(), set())


READS = {
    "def f(x):\n return x._a": {"x._a"},
    "class A:\n def f(self, x):\n  return self._a + x._a": {"x._a"},
    "class A:\n def f(self, x):\n  self._a = x._a": set(),
    "class A:\n _a = 1\ndef f(x):\n return x._a": set(),
    "class A:\n def _a(self, x):\n  return x._a() + x._b": {"x._b"},
    "class A(B):\n a = B._a\n def f(self):\n  return super()._a + C._a": {"C._a"},
    "class A:\n def f(self):\n  x = copy.copy(self)\n  return x._a": set(),
    "class A:\n def f(self, x):\n  x = copy.copy(x)\n  return x._a": {"x._a"},
    "class A:\n def f(self):\n  with learning_aside(self) as x:\n   x._a()": set(),
    "def f(x):\n return x.a._b.__class__": {"x.a._b"},
    "def _a(x):\n return x._a": {"x._a"},
}


@pytest.mark.parametrize("source, expected", READS.items())
def test_the_rule_tells_own_attributes_from_others(source, expected):
    """A file's own names, `self`, its copies and its base classes are allowed, and no others."""
    assert set(underscores_of_others(ast.parse(source))) == expected


ROOTS = {"torch", "sklearn", "skorch", "joblib", "scipy", "numpy"}


def test_import_imports_what_is_required_and_the_standard_library_alone():
    """Besides its requirements and what these import, `import sklmlp` imports itself alone."""
    program = (
        "import sys, torch, scipy.optimize, sklearn.neural_network, skorch.callbacks, joblib\n"
        "before = set(sys.modules)\n"
        "import sklmlp\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))\n"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT.parent,
    )
    new = set(result.stdout.split())
    assert "sklmlp" in new
    assert new - {"sklmlp"} - ROOTS - sys.stdlib_module_names == set()
