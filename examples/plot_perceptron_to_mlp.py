"""
From the perceptron to the multilayer perceptron
================================================

A stack of affine maps is an affine map, however deep. One nonlinearity between two of them, and the
network bends.
"""

# %%
# Two rings of points: no straight line tells them apart.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import expit
from sklearn.datasets import make_circles
from sklearn.inspection import DecisionBoundaryDisplay

from sklmlp import MLPClassifier
from sklmlp.exceptions import NothingLearntWarning
from sklmlp.inspection import linear_equivalent

X, y = make_circles(300, noise=0.1, factor=0.4, random_state=0)

# %%
# Three networks: Rosenblatt's perceptron, which is one affine map; three hidden layers without a
# nonlinearity; one hidden layer with one. The first two can do no better than a constant, and their
# fits warn of that.

networks = {
    "one affine map": MLPClassifier((), solver="lbfgs", random_state=0),
    "four affine maps in a row": MLPClassifier(
        (16, 16, 16), activation="identity", solver="lbfgs", random_state=0
    ),
    "two, and tanh between them": MLPClassifier(
        (16,), activation="tanh", solver="lbfgs", random_state=0
    ),
}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for network in networks.values():
        network.fit(X, y)
assert [warning.category for warning in caught] == [NothingLearntWarning] * 2
print(caught[0].message)
alone, stack, bent = networks.values()

# %%
# The stack has collapsed: one affine map of two features gives its probabilities to the last digit.
# It has learned what the perceptron has, with 600 numbers in place of three.

coef, intercept = linear_equivalent(stack)
print("affine map of the stack:     ", coef.ravel().round(3), intercept.round(3))
W, b = alone.coefs_[0], alone.intercepts_[0]
print("affine map of the perceptron:", W.ravel().round(3), b.round(3))
collapsed = expit(X @ coef + intercept).ravel()
np.testing.assert_allclose(stack.predict_proba(X)[:, 1], collapsed, rtol=1e-9)
np.testing.assert_allclose(collapsed, alone.predict_proba(X)[:, 1], atol=0.01)

# %%
# The network with a nonlinearity does not collapse: asking for its affine map raises an error.

try:
    linear_equivalent(bent)
except ValueError as error:
    print(error)
else:
    raise AssertionError("tanh is no affine map")

# %%
# Only the bent network goes around the inner ring.

figure, axes = plt.subplots(1, 3, figsize=(12, 4.6), layout="constrained")
for ax, (name, network) in zip(axes, networks.items(), strict=True):
    DecisionBoundaryDisplay.from_estimator(
        network, X, response_method="predict_proba", plot_method="pcolormesh", cmap="coolwarm",
        vmin=0, vmax=1, alpha=0.5, eps=0.3, grid_resolution=200, ax=ax,
    )  # fmt: skip
    ax.scatter(*X.T, c=y, cmap="coolwarm", edgecolor="white", linewidth=0.5, s=25)
    ax.set(title=f"{name}: {network.score(X, y):.0%} right", xticks=[], yticks=[], aspect="equal")

assert alone.score(X, y) < 0.65
assert stack.score(X, y) < 0.65
assert bent.score(X, y) > 0.98

# sphinx_gallery_start_ignore
# With a folder as argument, the picture is saved there, not shown.
import sys
from pathlib import Path

if len(sys.argv) > 1:
    figure.savefig(Path(sys.argv[1]) / "plot_perceptron_to_mlp.png", dpi=150)
else:
    plt.show()
# sphinx_gallery_end_ignore
