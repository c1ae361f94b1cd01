"""Every Python block of README.md, CONTRIBUTING.md and docs/ runs, and every link leads somewhere.

The blocks of a page run in their order and share their names, in an empty folder. A block that
is only to be read is fenced as ```py or ```text.
"""

import importlib
import pydoc
import re
import sys
import types
from pathlib import Path
from unittest.mock import patch

import pytest
from sklearn.experimental import enable_halving_search_cv  # noqa: F401, so that it is found

from sklmlp.activations import ACTIVATIONS
from sklmlp.losses import LOSSES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ANY_BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def parametrize_pages(pages):
    return pytest.mark.parametrize("page", pages, ids=lambda page: str(page.relative_to(ROOT)))


@parametrize_pages([page for page in PAGES if BLOCK.search(page.read_text("utf-8"))])
def test_blocks_run(page, tmp_path, monkeypatch):
    """The code of a page runs as it stands, without warnings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    # A module of its own, so that what a page defines can be pickled.
    module = types.ModuleType(f"page_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    text = page.read_text("utf-8")
    with patch.dict(ACTIVATIONS), patch.dict(LOSSES):  # what a page registers goes with it
        for block in BLOCK.finditer(text):
            # Empty lines in front make a traceback show the line of the page.
            code = "\n" * text[: block.start(1)].count("\n") + block[1]
            exec(compile(code, page, "exec"), module.__dict__)


@parametrize_pages(PAGES)
def test_links_lead_somewhere(page):
    """A relative link names a file that exists, and a heading that it has."""
    text = ANY_BLOCK.sub("", page.read_text("utf-8"))
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT) and target.exists(), f"{link} leads nowhere"
        if anchor:
            assert anchor in anchors(target.read_text("utf-8")), f"{link}: no such heading"


PATH = re.compile(r"`((?:[a-z_0-9]+/)*[a-z_0-9]+(?:/|\.py))`")
MAP_ENTRY = re.compile(r"^  (\w+(?:\.py|/)) ", re.MULTILINE)


@parametrize_pages(PAGES)
def test_paths_are_there(page):
    """A file or folder of ours that a page names is in the repository."""
    named = set(PATH.findall(page.read_text("utf-8")))
    folders = (ROOT, ROOT / "sklmlp", ROOT / "examples")
    assert {path for path in named if not any((f / path).exists() for f in folders)} == set()


def test_the_map_shows_every_room():
    """The map in "How it works" names each file and folder at the top of the package."""
    text = (ROOT / "docs" / "how_it_works.md").read_text("utf-8").split("```")[1]
    there = {
        path.name + ("/" if path.is_dir() else "")
        for path in (ROOT / "sklmlp").iterdir()
        if not path.name.startswith("__pycache__")
    }
    assert set(MAP_ENTRY.findall(text)) == there


@pytest.fixture
def docs_on_path(monkeypatch):
    """Let the modules of docs/ be imported."""
    monkeypatch.syspath_prepend(str(ROOT / "docs"))


@pytest.mark.parametrize("name", ["speed", "trees", "tuned"])
def test_figures_show_the_tables(name, docs_on_path):
    """Each number that a figure of the front page shows is that of the table it was drawn from."""
    figures = importlib.import_module("figures")
    values = {"speed": figures.speed, "trees": figures.against_trees, "tuned": figures.tuned}[
        name
    ]()
    shown = (ROOT / "docs" / "images" / f"{name}.svg").read_text("utf-8")
    words = re.findall(r">([^<>]+)</text>", shown)
    numbers = [value[0] if name == "tuned" else value for value in values.values()]
    assert len(values) >= 6
    for label in [
        *values,
        *(f"{number:{'.1f' if name == 'speed' else '.2f'}}" for number in numbers),
    ]:
        assert label in words, f"{name}.svg has no {label}: run python docs/figures.py"


def test_inventories_name_what_exists(docs_on_path):
    """What the table of other projects' names holds of NumPy, SciPy, torch and so on is there."""
    inventories = importlib.import_module("inventories")
    table = inventories.read_table((ROOT / "docs" / "inventories.txt").read_text("utf-8"))
    names = [
        name
        for _, entries in table.values()
        for name, role, *_ in entries
        if role.startswith("py:") and "." in name
    ]
    assert len(names) > 5
    for name in names:
        assert pydoc.locate(name), f"{name} is not there"


def anchors(text):
    """Return the names that a page's headings are linked by."""
    headings = HEADING.findall(ANY_BLOCK.sub("", text))
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }
