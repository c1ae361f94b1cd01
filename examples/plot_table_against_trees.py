"""
A table against trees
=====================

A table with numbers, text and missing values: like boosted trees, ``TabularMLPClassifier`` takes it
as it is. Which of them predicts better, and where do they disagree?
"""

# %%
# Breast tumors, benign or malignant (Wolberg et al. 1995, from scikit-learn), as a hospital's table
# might look: one value in ten was not measured, and sizes are also given in words.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

from sklmlp import TabularMLPClassifier

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X["size"] = pd.cut(X.pop("mean area"), [0, 400, 700, 1000, np.inf], labels=["S", "M", "L", "XL"])
X = X.mask(np.random.default_rng(0).random(X.shape) < 0.1)

# %%
# Both models have their defaults and are fitted on one half of the rows; the other half judges
# them. (``n_folds=1`` saves the network a quarter of a minute: by default it would choose by
# cross-validation how long to train on so small a table.)

X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0, stratify=y)
models = {
    "TabularMLPClassifier": TabularMLPClassifier(n_folds=1, random_state=0),
    "HistGradientBoostingClassifier": HistGradientBoostingClassifier(
        categorical_features="from_dtype", random_state=0
    ),
}
benign = {name: m.fit(X_train, y_train).predict_proba(X_test)[:, 1] for name, m in models.items()}
losses = {name: log_loss(y_test, p) for name, p in benign.items()}
errors = {name: 1 - accuracy_score(y_test, p > 0.5) for name, p in benign.items()}
for name in models:
    print(f"{name:<32} log loss {losses[name]:.3f}, errors {errors[name]:.1%}")

# %%
# Left, how far each row's probability is from the truth; the log loss penalizes confident errors
# most. Right, where the two models disagree: at blue points above the line and orange points below
# it, the network is closer to the truth.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
ends, ticks = (1e-4, 1 - 1e-4), [0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999]
for (name, p), colour in zip(benign.items(), ["#0072b2", "#8a8a8a"], strict=True):
    of_truth = np.sort(np.where(y_test == 1, p, 1 - p)).clip(*ends)
    label = f"{name}\nlog loss {losses[name]:.3f}, errors {errors[name]:.1%}"
    left.plot(of_truth, np.arange(1, len(p) + 1) / len(p), color=colour, label=label)
left.set(xscale="logit", xlim=ends, yscale="log", xlabel="probability of the true class")
left.set_ylabel("share of rows with less")
left.set_title("How wrong are they at their worst?")
left.legend(frameon=False, fontsize="small", loc="lower right")
ours, trees = (p.clip(*ends) for p in benign.values())
for label, name, colour in ((1, "benign", "#0072b2"), (0, "malignant", "#e69f00")):
    rows = y_test == label
    right.scatter(trees[rows], ours[rows], s=14, alpha=0.6, color=colour, label=name, linewidth=0)
right.plot(ends, ends, color="#8a8a8a", linewidth=1)
right.set(xscale="logit", yscale="logit", xlim=ends, ylim=ends)
right.set(xlabel="boosted trees: probability of benign", ylabel="network: probability of benign")
right.set_title("Where do they disagree?")
right.legend(frameon=False, fontsize="small", loc="lower right")
for axis in (left.xaxis, right.xaxis, right.yaxis):
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)
for ax in (left, right):
    ax.spines[["top", "right"]].set_visible(False)

our_loss, loss_of_trees = losses.values()
assert our_loss < loss_of_trees  # on a table of a few hundred rows

# sphinx_gallery_start_ignore
# With a folder as argument, the picture is saved there, not shown.
import sys
from pathlib import Path

if len(sys.argv) > 1:
    figure.savefig(Path(sys.argv[1]) / "plot_table_against_trees.png", dpi=150)
else:
    plt.show()
# sphinx_gallery_end_ignore
