"""Build the site with Sphinx: pages of docs/, pictures of examples/, docstrings (make docs).

Nothing is fetched: the names of other projects that are linked to are in `inventories.txt`.
"""

import importlib
import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from inventories import write_inventories  # noqa: E402

import sklmlp  # noqa: E402
from sklmlp.compat import cached_property  # noqa: E402

os.environ["MPLBACKEND"] = "Agg"

project = "sklmlp"
author = "The sklmlp developers"
copyright = author
version = release = sklmlp.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "gallery/*.md5", "gallery/*.ipynb"]
templates_path = ["_templates"]
nitpicky = True  # a name that leads nowhere is a warning
default_role = "literal"  # docstrings write code between single backticks

# Markdown -------------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4  # links to headings are those of the repository's pages

# Reference ------------------------------------------------------------------------------------

autosummary_generate = True
autodoc_default_options = {"members": True, "inherited-members": True}
autodoc_typehints = "none"  # the docstrings say it
numpydoc_show_class_members = False  # the template lists them
toc_object_entries_show_parents = "hide"
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"  # link the types that are named here
numpydoc_xref_aliases = {
    "ndarray": "numpy.ndarray",
    "RandomState": "numpy.random.RandomState",
    "DataFrame": "pandas.DataFrame",
    "Axes": "matplotlib.axes.Axes",
    "Figure": "matplotlib.figure.Figure",
    "matplotlib.axes.Axes": ":class:`matplotlib.axes.Axes`",
    "matplotlib.figure.Figure": ":class:`matplotlib.figure.Figure`",
    "torch.device": ":class:`torch.device`",
    "torch.nn.Sequential": ":class:`torch.nn.Sequential`",
    "Loss": "sklmlp.losses.Loss",
    **{name: f"sklmlp.{name}" for name in sklmlp.__all__ if name[0].isupper()},
}
extlinks = {
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
    "doi": ("https://doi.org/%s", "doi:%s"),
}

intersphinx_mapping = write_inventories(HERE / "inventories.txt", HERE / "_build" / "inventories")

# Gallery --------------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"^(?!plot_)",  # scripts, not lessons
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("sklmlp",),
    "reference_url": {"sklmlp": None},
    "within_subsection_order": "FileNameSortKey",
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "only_warn_on_example_error": False,
    "abort_on_example_error": False,
}

# Pages ----------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "sklmlp"
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {"index": [], "choosing": []}
html_context = {"default_mode": "auto"}  # light or dark as the system is
html_theme_options = {
    "logo": {"text": "sklmlp"},
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "header_links_before_dropdown": 6,
    "search_bar_text": "Search the documentation",
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

EXAMPLE = re.compile(r"\]\(\.\./examples/(plot_\w+)\.py\)")
AS_SCRIPT = re.compile(r"^Shown in a window: .*\n(?:Saved into a folder: .*\n)?", re.MULTILINE)


def adapt_source(app, docname, source):
    """Turn links between files of the repository into links between pages of the site."""
    if docname.startswith("gallery/"):  # how to start the script is of no use in a page
        source[0] = AS_SCRIPT.sub("", source[0])
    else:
        text = source[0].replace("](../examples/)", "](gallery/index.rst)")
        text = text.replace("](../CONTRIBUTING.md", "](contributing.md")
        source[0] = EXAMPLE.sub(r"](gallery/\1.rst)", text)


def skip_member(app, what, name, obj, skip, options):
    """Leave out what is inherited from torch or Python, and properties that autodoc cannot read."""
    owner = getattr(obj, "__objclass__", obj)
    is_foreign = re.match(r"(torch|builtins)\b", getattr(owner, "__module__", None) or "")
    return skip or bool(is_foreign) or isinstance(obj, cached_property)


def module_of(app, module, name):
    """Name the module whose source viewcode shows, where the value alone would mislead it."""
    value = importlib.import_module(module)
    for part in name.split("."):  # an instance may have what its class has not
        value = getattr(value, part, None)
    return module if getattr(value, "__module__", None) == "builtins" else None


def setup(app):
    """Connect what is above."""
    app.connect("viewcode-follow-imported", module_of)
    app.connect("autodoc-skip-member", skip_member)
    app.connect("source-read", adapt_source)
