"""
Every family of architecture search, side by side
=================================================

How deep and how wide should a network be, and with which activation? By hand, at random, by
evolution, by reinforcement learning, by models of the score, by gradients: ``compare_methods`` runs
one search of each on your table, and scores what it ends with on rows that no search has seen.
"""

# %%
# Handwritten digits. Each search has the same space, the same few trials and the same folds;
# methods whose candidates share weights train these beforehand. The estimator as it is given is
# the first trial of each search, "default" is that trial alone.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier
from sklmlp.inspection import MethodComparisonDisplay
from sklmlp.search import compare_methods

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)

network = MLPClassifier(16, learning_rate_init=0.01, max_iter=12, tol=1e-2)
table = compare_methods(
    make_pipeline(StandardScaler(), network),
    X,
    y,
    n_trials=24,
    n_repeats=1,
    X_test=X_test,
    y_test=y_test,
    cv=2,
    n_jobs=2,
    scoring="neg_log_loss",
)
with pd.option_context("display.width", 120, "display.max_columns", None):
    print(table.round(3))

# %%
# One repeat of 24 trials gives a first look: most methods differ by less than their spread.
# Dozens of trials and several repeats tell more. On most tables they show that the choice among the
# methods that learn matters little.

figure, ax = plt.subplots(figsize=(9, 5.5), layout="constrained")
MethodComparisonDisplay.from_table(table, ax=ax)
ax.set(ylabel="minus log loss on test rows", title="What a score costs")

assert (table["trials"].drop(["default", "portfolio"], errors="ignore") == 24).all()
assert table["test_score"].max() > table.loc["default", "test_score"]

# sphinx_gallery_start_ignore
# With a folder as argument, the picture is saved there, not shown.
import sys
from pathlib import Path

if len(sys.argv) > 1:
    figure.savefig(Path(sys.argv[1]) / "plot_search_methods.png", dpi=150)
else:
    plt.show()
# sphinx_gallery_end_ignore
