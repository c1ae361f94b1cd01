"""
Decision boundaries by activation
=================================

The activation decides what a boundary is made of: one straight line, straight pieces, smooth
curves, or waves. Here the same small network is fitted to three tables with five activations.
"""

# %%
# Three noisy tables with two columns each.

import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import make_circles, make_moons
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from sklmlp import MLPClassifier
from sklmlp.exceptions import NothingLearntWarning

rng = np.random.default_rng(0)
corners = rng.uniform(-1, 1, (200, 2))
tables = {
    "moons": make_moons(200, noise=0.2, random_state=0),
    "rings": make_circles(200, noise=0.12, factor=0.5, random_state=0),
    "exclusive or": (corners + rng.normal(0, 0.08, corners.shape), corners.prod(axis=1) > 0),
}
splits = {
    name: train_test_split(scale(X), y, test_size=0.4, random_state=0)
    for name, (X, y) in tables.items()
}

# %%
# An activation is a name, or a function of tensors, such as ``torch.sin``. "identity" can only draw
# a straight line, which cannot separate the rings: that fit warns.

activations = {
    "identity": "identity", "logistic": "logistic", "tanh": "tanh", "relu": "relu",
    "torch.sin": torch.sin,
}  # fmt: skip
networks, scores = {}, {}
for table, (X_train, X_test, y_train, y_test) in splits.items():
    for name, activation in activations.items():
        network = MLPClassifier(
            (16,), activation, solver="lbfgs", alpha=0.1, max_iter=1000, random_state=0
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", NothingLearntWarning)
            networks[table, name] = network.fit(X_train, y_train)
        assert len(caught) == ((table, name) == ("rings", "identity"))
        scores[table, name] = network.score(X_test, y_test)

# %%
# Each picture shows the probability of the red class, and the accuracy on held-out rows, which are
# drawn darker. "identity" gives a straight line, whatever the table. "relu" gives straight pieces;
# "logistic" and "tanh" bend smoothly. The sine is smooth as well, but it repeats itself where there
# are no rows to constrain it.

figure, axes = plt.subplots(3, 5, figsize=(13, 8), layout="constrained")
for row, (table, (X_train, X_test, y_train, y_test)) in zip(axes, splits.items(), strict=True):
    for ax, name in zip(row, activations, strict=True):
        DecisionBoundaryDisplay.from_estimator(
            networks[table, name], np.concatenate([X_train, X_test]), grid_resolution=120,
            response_method="predict_proba", plot_method="contourf", levels=np.linspace(0, 1, 11),
            cmap="coolwarm", alpha=0.6, eps=0.5, ax=ax,
        )  # fmt: skip
        for X, y, alpha in ((X_train, y_train, 0.35), (X_test, y_test, 1)):
            ax.scatter(*X.T, c=y, cmap="coolwarm", edgecolor="white", lw=0.4, s=18, alpha=alpha)
        ax.text(
            0.97, 0.03, f"{scores[table, name]:.0%}", transform=ax.transAxes, ha="right",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 2},
        )  # fmt: skip
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(table)
for ax, name in zip(axes[0], activations, strict=True):
    ax.set_title(name)

# %%
# "Made of straight pieces" can be checked. Along a line through the table, the second differences
# of a rectifier network's logits are zero except at a few kinks; those of a smooth network are not.

line = np.column_stack([np.linspace(-2, 2, 401), np.full(401, 0.3)])


def straight_share(network):
    """The share of the line on which the logits are straight."""
    probabilities = network.predict_proba(line)
    logits = np.log(probabilities[:, 1]) - np.log(probabilities[:, 0])
    return np.mean(np.abs(np.diff(logits, 2)) < 1e-9)


straight = {name: straight_share(networks["moons", name]) for name in activations}
print({name: f"{share:.0%}" for name, share in straight.items()})
assert straight["identity"] == 1
assert 0.85 < straight["relu"] < 1
assert max(straight["logistic"], straight["tanh"], straight["torch.sin"]) < 0.05
assert scores["rings", "identity"] < 0.7 and scores["exclusive or", "identity"] < 0.7
assert min(score for (_, name), score in scores.items() if name != "identity") > 0.85

# sphinx_gallery_start_ignore
# With a folder as argument, the picture is saved there, not shown.
import sys
from pathlib import Path

if len(sys.argv) > 1:
    figure.savefig(Path(sys.argv[1]) / "plot_decision_boundaries.png", dpi=150)
else:
    plt.show()
# sphinx_gallery_end_ignore
