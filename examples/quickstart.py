"""Tune, fit, save and reload a network on real data, and look at what came out.

On scikit-learn's digits, half a minute:    python examples/quickstart.py
On your own table:                          python examples/quickstart.py --csv FILE --target COLUMN
"""

# %% [markdown]
# # Quickstart
# A search over activations and layer widths, the best network fitted, saved, reloaded in another
# process, and a picture. First, what the command line asked for.

# %%
import argparse
import sys
from pathlib import Path

import joblib
import numpy as np
from quickstart_output import draw_confusion, save_and_reload, save_picture
from quickstart_progress import counted
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV, ParameterGrid, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier

parser = argparse.ArgumentParser(description="Tune, fit, save and reload a network.")
parser.add_argument(
    "--csv", metavar="FILE", help="a table of your own; its first line names the columns"
)
parser.add_argument("--target", metavar="COLUMN", help="the column to predict")
parser.add_argument(
    "--task", choices=["auto", "classification", "regression"], default="auto",
    help="what kind of target it is (default: look at its values)",
)  # fmt: skip
parser.add_argument(
    "--rows", type=int, default=25_000, help="use at most so many rows of the file; 0 for all"
)
parser.add_argument(
    "--jobs", type=int, default=min(joblib.cpu_count(), 4), help="fits that run side by side"
)
parser.add_argument(
    "--minutes", type=float, metavar="M", help="search for so long on the table of --csv"
)
parser.add_argument("--output", type=Path, default=Path("quickstart_output"), metavar="DIR")
parser.add_argument("--quick", action="store_true", help="a small search, to see that all runs")
arguments = parser.parse_args([] if "ipykernel" in sys.modules else None)
if (arguments.csv is None) != (arguments.target is None):
    parser.error("--csv FILE and --target COLUMN go together")
if arguments.minutes is not None and arguments.csv is None:
    parser.error("--minutes is for a table of your own: --csv FILE --target COLUMN")

# %% [markdown]
# ## The data
# A fifth of the rows is held out: nothing is chosen by them, so the score on them is honest.
# A table of your own goes to `quickstart_table.py`, with boosted trees and a linear model too.

# %%
if arguments.csv is not None:
    try:
        from quickstart_table import compare
    except ImportError as error:
        sys.exit(f"quickstart: --csv needs pandas ({error}): pip install 'sklmlp[examples]'")
    sys.exit(compare(arguments))

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=0)
print(f"digits: {len(X_train):,} rows to learn from, {len(X_test):,} held out")

# %% [markdown]
# ## The network and what to try
# Few rows want small batches, or an epoch is over after a step or two.

# %%
network = MLPClassifier(
    batch_size=72,
    dtype="float32",  # up to twice as fast as the data's float64, and as good
    max_iter=1000,
    random_state=0,
)
model = Pipeline([("scale", StandardScaler()), ("mlp", network)])

ACTIVATIONS = ["relu", "gelu", "mish", ("leaky_relu", {"negative_slope": 0.2})]
WIDTHS = [(64,), (128, 64)]
if arguments.quick:
    ACTIVATIONS, WIDTHS = ACTIVATIONS[2:], WIDTHS[:1]
    model.set_params(mlp__learning_rate_init=0.01, mlp__tol=0.001)
# () has no hidden layer and so no activation: softmax regression, the score to beat.
grid = [
    {"mlp__hidden_layer_sizes": [()]},
    {"mlp__activation": ACTIVATIONS, "mlp__hidden_layer_sizes": WIDTHS},
]

# %% [markdown]
# ## The search
# It is scikit-learn's own; only the scorer is ours, because it also counts for the display.

# %%
folds = 2 if arguments.quick else 5
fits = len(ParameterGrid(grid)) * folds
print(f"Trying {len(ParameterGrid(grid))} networks on {folds} folds, {arguments.jobs} at a time")
with counted("accuracy", fits) as scorer:
    search = GridSearchCV(model, grid, scoring=scorer, cv=folds, n_jobs=arguments.jobs)
    search.fit(X_train, y_train)


# %%
def describe(activation):
    """Write an activation as short as it is clear."""
    if isinstance(activation, tuple):
        name, options = activation
        return f"{name}({', '.join(f'{key}={value}' for key, value in options.items())})"
    return activation


def describe_widths(widths):
    """Write the widths of the hidden layers as in 128-64."""
    return "-".join(map(str, widths)) or "none"


results = search.cv_results_
rows = [
    (
        describe(parameters.get("mlp__activation", "-")),
        describe_widths(parameters["mlp__hidden_layer_sizes"]),
        results["mean_test_score"][i],
        results["std_test_score"][i],
        results["mean_fit_time"][i],
    )
    for i, parameters in enumerate(results["params"])
]
print(f"\n{'activation':<32}{'hidden layers':<15}{'accuracy (mean ± std)':<24}seconds a fit")
for activation, widths, mean, std, seconds in sorted(rows, key=lambda row: -row[2]):
    print(f"{activation:<32}{widths:<15}{f'{mean:.4f} ± {std:.4f}':<24}{seconds:.2f}")

# %% [markdown]
# ## The best one on rows that it has never seen
# Next to it stands the trivial baseline: the most frequent class.

# %%
best = search.best_estimator_
best_activation, best_widths, *_ = rows[search.best_index_]
free = DummyClassifier().fit(X_train, y_train)
best_name = "no hidden layer" if best_widths == "none" else f"{best_activation}, {best_widths}"
held_out = best.score(X_test, y_test)
print(f"\nBest: {best_name}")
print(f"Held-out accuracy: {held_out:.4f} (without learning: {free.score(X_test, y_test):.4f})")

# %% [markdown]
# ## Save it, and load it where nothing of this is in memory
# Another Python process reads the file and predicts; we compare its predictions one by one.

# %%
save_and_reload(best, X_test, arguments.output)

# %% [markdown]
# ## A picture
# Left, the search: is the best better than its neighbors by more than the spread of the folds?
# Right, the held-out rows: where is it wrong?

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    sys.exit("No picture without matplotlib: pip install 'sklmlp[plot]'")

GREY = "#8a8a8a"
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7"]  # Okabe and Ito's, told apart by everyone
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.2), layout="constrained")

_, _, mean, std, _ = rows[0]
left.axhspan(mean - std, mean + std, color=GREY, alpha=0.15, linewidth=0)
left.axhline(mean, color=GREY, linestyle="--", label="no hidden layer")
for i, activation in enumerate(map(describe, ACTIVATIONS)):
    scores = np.array([row[2:4] for row in rows[1:] if row[0] == activation])  # (widths, 2)
    left.errorbar(
        np.arange(len(WIDTHS)) + (i - (len(ACTIVATIONS) - 1) / 2) * 0.15, *scores.T,
        fmt="o", color=COLOURS[i], capsize=3, label=activation,
    )  # fmt: skip
left.set_xticks(range(len(WIDTHS)), map(describe_widths, WIDTHS))
left.set_xlim(-0.5, len(WIDTHS) - 0.5)
left.set_xlabel("units in the hidden layers")
left.set_ylabel(f"cross-validated accuracy (mean and std of {folds} folds)")
left.set_title("The search")
left.legend(
    frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3
)
left.spines[["top", "right"]].set_visible(False)

draw_confusion(right, y_test, best.predict(X_test), best.classes_)
right.set_title(f"Held-out rows: accuracy {held_out:.3f}")
figure.suptitle(f"digits: the best is {best_name}")
save_picture(figure, arguments.output)
