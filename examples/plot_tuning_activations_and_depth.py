"""
Tuning activations and depth together
=====================================

Which activation is best depends on how deep the network is, so tune both in one grid.
"""

# %%
# An activation is a parameter like any other, with or without arguments of its own. A fit that ends
# no better than a constant prediction warns. Here it is expected of the deepest sigmoids, so these
# warnings are counted. Any other, of a fit that has not converged say, would be shown.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier
from sklmlp.exceptions import VanishingSignalWarning

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

activations = ["logistic", "tanh", "relu", ("leaky_relu", {"negative_slope": 0.2}), "mish"]
depths = [0, 1, 2, 4, 6]
model = make_pipeline(
    StandardScaler(),
    MLPClassifier(learning_rate_init=0.005, tol=0.01, n_iter_no_change=5, random_state=0),
)
grid = {
    "mlpclassifier__activation": activations,
    "mlpclassifier__hidden_layer_sizes": [(32,) * depth for depth in depths],
}
search = GridSearchCV(model, grid, cv=3)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", VanishingSignalWarning)
    search.fit(X_train, y_train)
n_fits = search.n_splits_ * len(search.cv_results_["params"])
print(f"{len(caught)} of {n_fits} fits learned nothing; the first says:\n{caught[0].message}")

# %%
# Each row of the picture is an activation, each column a depth. Without hidden layers the
# activation affects only the size of the initial weights. Sigmoids do best in shallow networks;
# rectifiers and their relatives tolerate depth.

scores = search.cv_results_["mean_test_score"].reshape(len(activations), len(depths))
best = np.unravel_index(scores.argmax(), scores.shape)
names = [a if isinstance(a, str) else f"{a[0]}\n{a[1]}" for a in activations]

figure, ax = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
image = ax.imshow(scores, cmap="viridis", vmin=0.8, vmax=1, aspect="auto")
for (row, column), score in np.ndenumerate(scores):
    colour = "white" if score < 0.92 else "black"
    weight = "bold" if (row, column) == best else "normal"
    ax.text(column, row, f"{score:.3f}", ha="center", va="center", color=colour, weight=weight)
ax.set_xticks(range(len(depths)), depths)
ax.set_yticks(range(len(activations)), names)
ax.set_xlabel("hidden layers of 32 units")
held_out = search.score(X_test, y_test)
ax.set_title(f"Cross-validated accuracy; the best has {held_out:.1%} on held-out digits")
figure.colorbar(image, extend="min", label="accuracy")

by_depth = dict(zip(depths, scores.T, strict=True))
assert np.ptp(by_depth[0]) < 0.03  # nothing to activate
assert scores.max() > by_depth[0].max() + 0.005
assert depths[scores[0].argmax()] <= 1  # logistic
assert by_depth[6][2] - by_depth[6][0] > 0.3  # relu over logistic
assert held_out > 0.93

# sphinx_gallery_start_ignore
# With a folder as argument, the picture is saved there, not shown.
import sys
from pathlib import Path

if len(sys.argv) > 1:
    figure.savefig(Path(sys.argv[1]) / "plot_tuning_activations_and_depth.png", dpi=150)
else:
    plt.show()
# sphinx_gallery_end_ignore
