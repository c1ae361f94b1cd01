"""Intersphinx's inventories of other projects, written from a table of the names that we link to.

The table is `inventories.txt`: a line with a project and the address of its documentation, and
under it, indented, a role, a name, the place of that name, where `{}` is the name, and its title
where links show another one.
"""

import zlib
from pathlib import Path

HEADER = "# Sphinx inventory version 2\n# Project: {}\n# Version: \n"
HEADER += "# The remainder of this file is compressed using zlib.\n"


def read_table(text):
    """Return {project: (address, [(name, role, place, title), ...])}."""
    projects = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if not line.startswith(" "):
            project, address = line.split()
            entries = []
            projects[project] = address, entries
        else:
            role, name, place, *title = line.split(maxsplit=3)
            entries.append((name, role, place.replace("{}", name), *(title or ["-"])))
    return projects


def inventory(project, entries):
    """Return the bytes of an objects.inv."""
    lines = (f"{name} {role} 1 {place} {title}\n" for name, role, place, title in entries)
    return HEADER.format(project).encode() + zlib.compress("".join(lines).encode())


def write_inventories(table, folder):
    """Write one inventory a project into the folder, and return intersphinx's mapping of them."""
    folder.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for project, (address, entries) in read_table(Path(table).read_text("utf-8")).items():
        file = folder / f"{project}.inv"
        file.write_bytes(inventory(project, entries))
        mapping[project] = address, str(file)
    return mapping
