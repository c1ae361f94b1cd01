"""The map of the rooms: who may import from whom, read from the source itself."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sklmlp

ROOT = Path(sklmlp.__file__).parent
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
DOORS = [path.parent for path in FILES if path.name == "__init__.py" and path.parts[1:]]

# Each room (or file beside the rooms) and those that it may import from.
MAY_IMPORT = {
    "__init__": {"_version", "classifier", "regressor", "search"},
    "_version": set(),
    "caller": set(),
    "runtime": set(),
    "kernels": set(),
    "activations": {"kernels"},
    "losses": set(),
    "scaling": set(),
    "data": {"caller"},
    "exceptions": set(),
    "native": set(),
    "nn": {"activations", "losses", "scaling"},
    "train": {"activations", "caller", "exceptions", "kernels", "losses", "nn", "runtime"},
    "io": {
        "_version",
        "activations",
        "caller",
        "losses",
        "nn",
        "scaling",
    },  # of `fitted`, which pickles through it, nothing
    "architecture": {"nn"},
    "fitted": {"architecture", "data", "nn", "train", "io", "runtime"},
    "watching": {"caller", "data", "train"},
    "base": {
        "activations",
        "caller",
        "losses",
        "data",
        "fitted",
        "parameters",
        "nn",
        "train",
        "io",
        "runtime",
        "watching",
    },
    "parameters": {"caller", "nn", "train"},
    "classifier": {"base", "data", "losses"},
    "regressor": {"base", "data", "fitted", "scaling"},
    "inspection": {"architecture", "data", "fitted", "losses", "nn", "runtime", "train"},
    "search": {"caller", "train"},
}

EXTRAS = {"matplotlib", "rich", "onnx", "skl2onnx", "skops", "dask", "optuna", "pandas", "polars"}


def room_of(path):
    return path.parts[0].removesuffix(".py")


def imported(path, top_level_only=False):
    """The dotted names of the modules that a file imports, wherever in the file it does."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
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
    tree = ast.parse((ROOT / room / "__init__.py").read_text(encoding="utf-8"))
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


ROOTS = {"torch", "sklearn", "skorch", "joblib", "scipy", "numpy"}


def test_import_imports_what_is_required_and_the_standard_library_alone():
    """Beside its requirements and what these import, `import sklmlp` imports itself alone."""
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
