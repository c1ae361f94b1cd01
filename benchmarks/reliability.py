"""Whether probabilities are what they say: the picture of `docs/tables.md`.

python benchmarks/reliability.py --data FOLDER --output docs/reliability.png

Rows that no model has seen are sorted by the probability of the likelier class into ten parts of
equal size; in each, the share of rows that are right is compared with the mean probability.
`python benchmarks/accuracy.py --help` says what the folder has to hold.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from accuracy import build, calibration_error, load_table, split_rows
from threadpoolctl import threadpool_limits

MODELS = {
    "TabularMLPClassifier": "tabular",
    "HistGradientBoostingClassifier": "hgb",
}
COLOURS = ("#0072b2", "#d55e00")
N_PARTS = 10


def reliability(probability, is_right, n_parts=N_PARTS):
    """Return mean probability and share that is right of each part of the rows, and its error.

    Parameters
    ----------
    probability : ndarray of shape (n,)
        Of the likelier class.
    is_right : ndarray of bool of shape (n,)

    Returns
    -------
    mean, share, error : ndarray of shape (n_parts,)
        The error is the standard error of a share.
    """
    parts = np.array_split(np.argsort(probability, kind="stable"), n_parts)
    mean = np.array([probability[part].mean() for part in parts])
    share = np.array([is_right[part].mean() for part in parts])
    size = np.array([len(part) for part in parts])
    return mean, share, np.sqrt(share * (1 - share) / size)


def draw(ax, probabilities, classes, y):
    """Draw the reliability of several models on the same rows.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    probabilities : dict of {str: ndarray of shape (n, n_classes)}
    classes : ndarray of shape (n_classes,)
    y : ndarray of shape (n,)
    """
    for (name, p), colour in zip(probabilities.items(), COLOURS, strict=True):
        mean, share, error = reliability(p.max(axis=1), classes[p.argmax(axis=1)] == y)
        label = f"{name}: {calibration_error(p, classes, y):.3f}"
        ax.errorbar(mean, share, error, fmt="o-", markersize=4, color=colour, label=label)
    low = min(ax.get_xlim()[0], ax.get_ylim()[0])
    ax.plot([low, 1], [low, 1], "--", color="#8a8a8a", linewidth=1)
    ax.set(xlabel="mean probability of the likelier class", ylabel="share of rows that are right")
    ax.legend(frameon=False, fontsize="small", title="expected calibration error")
    ax.spines[["top", "right"]].set_visible(False)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--tables", nargs="+", default=["telco_churn", "adult"])
    parser.add_argument("--seed", type=int, default=0, help="of the split and of the fits")
    parser.add_argument("--output", type=Path, default=Path("reliability.png"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    n = len(options.tables)
    figure, axes = plt.subplots(1, n, figsize=(5.2 * n, 4.6), layout="constrained", squeeze=False)
    for name, ax in zip(options.tables, axes[0], strict=True):
        X, y, task = load_table(options.data, name)
        train, test = split_rows(y, task, options.seed)
        probabilities = {}
        for model_name, text in MODELS.items():
            model = build(text, task, options.seed)
            with threadpool_limits(1):
                model.fit(X.iloc[train], y[train])
            probabilities[model_name] = model.predict_proba(X.iloc[test])
        draw(ax, probabilities, model.classes_, y[test])
        ax.set_title(f"{name}: {len(train):,} rows to learn from, {len(test):,} held out")
    figure.savefig(options.output, dpi=110)
    print(f"Picture: {options.output}")


if __name__ == "__main__":
    main()
