"""Write the table of docs/activations.md from the table of the package.

Run `python docs/activation_table.py` after a change to `sklmlp.activations`.
"""

from pathlib import Path

from sklmlp.activations import ACTIVATIONS

PAGE = Path(__file__).with_name("activations.md")
BEGIN, END = "<!-- table: docs/activation_table.py -->\n", "<!-- end of table -->\n"


def bound(entry):
    """The bound of an entry's initial weights, as the page writes it."""
    gain = entry.gain(entry.defaults) if callable(entry.gain) else entry.gain
    square, fan = (6, "(fan_in + fan_out)") if entry.rule == "glorot" else (3, "fan_in")
    return f"sqrt({square * gain**2:.4g} / {fan})"


def table(entries):
    """The Markdown table of activations.

    Parameters
    ----------
    entries : dict of str to Activation

    Returns
    -------
    table : str
    """
    lines = [
        "| name | torch.nn | what it computes | initial weights up to | source of that bound |",
        "|---|---|---|---|---|",
    ]
    for name, entry in entries.items():
        torchs = next(c for c in entry.module.__mro__ if c.__module__.startswith("torch.nn"))
        formula = entry.formula.replace("|", r"\|")
        lines.append(
            f"| `{name}` | `{torchs.__name__}` | {formula} | {bound(entry)} | {entry.source} |"
        )
    return "\n".join(lines) + "\n"


def replaced(page, entries):
    """The page's text with the table of the given entries."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + "\n" + table(entries) + "\n" + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text("utf-8"), ACTIVATIONS), "utf-8")
