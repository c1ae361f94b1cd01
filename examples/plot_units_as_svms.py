"""
Units are linear classifiers that hand on their features
========================================================

A unit scores a row as a linear support vector machine does: by its signed distance from a
hyperplane, times a constant. A layer passes these scores on through a nonlinearity, and the next
layer draws its hyperplanes among them. So the last layer needs no more than a straight line.
"""

# %%
# Two half moons. A straight line cannot separate them.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sklmlp import MLPClassifier
from sklmlp.inspection import HiddenFeatures

X, y = make_moons(300, noise=0.12, random_state=0)
svm = LinearSVC().fit(X, y)
print(f"a linear SVM on the rows: {svm.score(X, y):.1%}")

# %%
# A network with a layer of eight units and a layer of two. The second layer has only two units so
# that its outputs can be drawn.

network = MLPClassifier((8, 2), "tanh", solver="lbfgs", alpha=0.01, max_iter=2000, random_state=0)
network.fit(X, y)

# %%
# A unit is the decision function of a linear classifier, followed by tanh. ``HiddenFeatures``
# returns the outputs of a layer, so we can check this by hand.

first = HiddenFeatures(FrozenEstimator(network), layer=0).fit(X)
W, b = network.coefs_[0], network.intercepts_[0]
np.testing.assert_allclose(first.transform(X), np.tanh(X @ W + b), atol=1e-12)

# %%
# The outputs of the last hidden layer are features like any others. On these features, a linear SVM
# separates the classes that it could not separate before.

hidden = HiddenFeatures(FrozenEstimator(network), layer=-1)
on_features = make_pipeline(hidden, StandardScaler(), LinearSVC()).fit(X, y)
print(f"a linear SVM on the hidden features: {on_features.score(X, y):.1%}")
assert svm.score(X, y) < 0.9
assert on_features.score(X, y) > 0.98

# %%
# Left, the rows and the line of an SVM. In the middle, the line of each unit in the first layer,
# and the curve that the network makes of these lines. Right, the same rows as the last layer sees
# them, with the SVM's line and its margins.

figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.6), layout="constrained")
Z = StandardScaler().fit_transform(hidden.fit_transform(X, y))
straight, curved, handed_on = axes
for ax, model, rows in (
    (straight, svm, X), (curved, network, X), (handed_on, on_features[-1], Z)
):  # fmt: skip
    DecisionBoundaryDisplay.from_estimator(
        model, rows, response_method="predict", plot_method="pcolormesh", cmap="coolwarm",
        alpha=0.25, eps=0.4, grid_resolution=300, ax=ax,
    )  # fmt: skip
    ax.scatter(*rows.T, c=y, cmap="coolwarm", edgecolor="white", linewidth=0.5, s=22)
    ax.set(xticks=[], yticks=[])
limits = curved.axis()
for w, bias in zip(W.T, b, strict=True):
    foot = -bias * w / (w @ w)  # the point of the unit's line that is closest to zero
    curved.axline(foot, foot + np.array([-w[1], w[0]]), color="#222222", linewidth=0.9, alpha=0.6)
curved.axis(limits)
(slope, across), intercept = on_features[-1].coef_[0], on_features[-1].intercept_[0]
limits = handed_on.axis()
for level, style in ((-1, "--"), (0, "-"), (1, "--")):
    where = (0, (level - intercept) / across)
    handed_on.axline(where, slope=-slope / across, color="#222222", linestyle=style, linewidth=1)
handed_on.axis(limits)
straight.set_title(f"A linear SVM: {svm.score(X, y):.0%} right")
curved.set_title(f"Eight units, a line each: {network.score(X, y):.0%} right")
handed_on.set_title(f"What they hand on: an SVM is {on_features.score(X, y):.0%} right")
handed_on.set(xlabel="first unit of the last layer", ylabel="second unit of the last layer")

# sphinx_gallery_start_ignore
# With a folder as argument, the picture is saved there, not shown.
import sys
from pathlib import Path

if len(sys.argv) > 1:
    figure.savefig(Path(sys.argv[1]) / "plot_units_as_svms.png", dpi=150)
else:
    plt.show()
# sphinx_gallery_end_ignore
