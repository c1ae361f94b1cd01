"""Draw the front page's figures from the tables of the pages that measured them.

Run `python docs/figures.py` after a change to a table of performance.md, tables.md or automl.md; a
test compares what the figures say with the tables.
"""

import re
from pathlib import Path

import matplotlib.pyplot as plt

HERE = Path(__file__).parent
OURS, OTHERS, LINE = "#0072b2", "#e69f00", "#8a8a8a"
STYLE = {
    "font.size": 11,
    "svg.fonttype": "none",  # words stay words: small files that a test can read
    "svg.hashsalt": "sklmlp",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def table_of(page, first_columns):
    """Return the rows of the table of docs/ whose header begins so, as lists of cells."""
    text = (HERE / page).read_text("utf-8")
    header = "| " + " | ".join(first_columns) + " |"
    lines = text[text.index(header) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in lines]


def number(cell):
    """The first number of a cell such as "**.106 / 3.2 %**"; None of an empty one."""
    found = re.search(r"[\d.]+", cell)
    return float(found[0]) if found else None


def speed():
    """{network: times scikit-learn} of training in float32."""
    rows = table_of("performance.md", ["case", "sklmlp", "scikit-learn", "skorch"])
    return {row[0].split(", ")[1]: number(row[4]) for row in rows if ", " in row[0]}


def against_trees():
    """{table: loss over CatBoost's} of TabularMLP* at its defaults."""
    rows = table_of("tables.md", ["table", "CatBoost"])
    return {row[0]: number(row[4]) / number(row[1]) for row in rows}


def tuned():
    """{table: (loss of AutoML, loss of a search by hand or None)} over the default's."""
    rows = table_of("automl.md", ["table", "the default"])
    return {
        row[0]: tuple(loss and loss / number(row[1]) for loss in (number(row[2]), number(row[3])))
        for row in rows
    }


def bars(ax, values, form, colour=OURS):
    """Draw a labelled bar for each value, the first one on top."""
    names = list(values)[::-1]
    drawn = ax.barh(names, [values[name] for name in names], color=colour, height=0.65)
    ax.bar_label(drawn, [form.format(values[name]) for name in names], padding=3)
    ax.axvline(1, color=LINE, linewidth=1)
    ax.tick_params(length=0)


def draw_speed(ax):
    """Draw bars of times scikit-learn, and return a title."""
    bars(ax, speed(), "{:.1f}")
    ax.set(xlim=(0, 13.5), xlabel="times as fast as scikit-learn", ylabel="units of each layer")
    return "Training a network"


def draw_trees(ax):
    """Draw bars of losses over CatBoost's, and return a title."""
    bars(ax, against_trees(), "{:.2f}")
    ax.set(xlim=(0, 1.25), xlabel="loss / loss of CatBoost")
    return "At the defaults: less is better"


def draw_tuned(ax):
    """Draw points of losses over the default's, and return a title."""
    values = tuned()
    names = list(values)[::-1]
    by_hand = {name: hand for name, (_, hand) in values.items() if hand}
    ax.plot([values[name][0] for name in names], names, "o", color=OURS, label="AutoML")
    ax.plot(list(by_hand.values()), list(by_hand), "D", color=OTHERS, label="by hand")
    for name in names:
        ax.annotate(
            f"{values[name][0]:.2f}", (values[name][0], name), (-6, 0), ha="right", va="center",
            textcoords="offset points",
        )  # fmt: skip
    ax.axvline(1, color=LINE, linewidth=1)
    ax.tick_params(length=0)
    ax.set(xscale="log", xlim=(0.25, 60), xlabel="loss / loss of the default")
    ax.set_xticks([1, 4, 16], ["1", "4", "16"])
    ax.minorticks_off()
    ax.legend(frameon=False, loc="lower right", fontsize=9, handletextpad=0.2)
    return "After a minute: less is better"


FIGURES = {"speed": draw_speed, "trees": draw_trees, "tuned": draw_tuned}


def main():
    """Write all figures."""
    with plt.rc_context(STYLE):
        for name, draw in FIGURES.items():
            figure, ax = plt.subplots(figsize=(4.0, 3.2), layout="constrained")
            title = draw(ax)
            figure.suptitle(title, x=0.02, ha="left", fontsize=13, fontweight="bold")
            figure.savefig(HERE / "images" / f"{name}.svg", metadata={"Date": None})
            plt.close(figure)


if __name__ == "__main__":
    main()
