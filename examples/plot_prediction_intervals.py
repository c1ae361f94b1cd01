"""
Prediction intervals
====================

How far off may a prediction be? Two losses answer this: the quantile loss, which assumes nothing
about the noise, and the Gaussian loss, which learns a mean and a standard deviation.
"""

# %%
# The progression of diabetes within a year against the body mass index. Its spread grows with the
# index.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPRegressor

X, y = load_diabetes(return_X_y=True, scaled=False)
X = X[:, [2]]  # the body mass index
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.4, random_state=0)
scale_X, scale_y = StandardScaler().fit(X_train), StandardScaler().fit(y_train[:, None])
Z_train, Z_test = scale_X.transform(X_train), scale_X.transform(X_test)
target = scale_y.transform(y_train[:, None]).ravel()


def in_units_of_y(prediction):
    """Back from the scale that the networks learn on."""
    return prediction * scale_y.scale_ + scale_y.mean_


# %%
# One network for three quantiles: it predicts one column for each, and the columns never cross.
# Nine rows in ten should lie between the outer two.

params = {
    "hidden_layer_sizes": (16,), "activation": "tanh", "solver": "lbfgs", "alpha": 1.0,
    "max_iter": 1000, "random_state": 0,
}  # fmt: skip
quantiles = MLPRegressor(loss="quantile", quantile=[0.05, 0.5, 0.95], **params)
quantiles.fit(Z_train, target)

# %%
# One network for the mean and the standard deviation. Of Gaussian rows, nine in ten lie within
# 1.645 standard deviations of the mean.

gaussian = MLPRegressor(loss="gaussian", **params).fit(Z_train, target)


def gaussian_interval(Z):
    """Lower end, mean and upper end, (n, 3)."""
    mean, std = gaussian.predict(Z, return_std=True)
    return mean[:, None] + std[:, None] * norm.ppf([0.05, 0.5, 0.95])


# %%
# Held-out rows show whether the intervals cover as many rows as they promise.

grid = np.linspace(X.min(), X.max(), 200)[:, None]
figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True, layout="constrained")
intervals = {"quantile": quantiles.predict, "gaussian": gaussian_interval}
for ax, (loss, predict) in zip(axes, intervals.items(), strict=True):
    low, middle, high = in_units_of_y(predict(scale_X.transform(grid))).T
    lower, _, upper = in_units_of_y(predict(Z_test)).T
    inside = (lower <= y_test) & (y_test <= upper)
    ax.fill_between(grid[:, 0], low, high, color="#56b4e9", alpha=0.35, label="5% to 95%")
    ax.plot(grid, middle, color="#0072b2", label="median" if loss == "quantile" else "mean")
    for which, colour, name in ((inside, "#222222", "inside"), (~inside, "#d55e00", "outside")):
        ax.scatter(X_test[which], y_test[which], s=10, color=colour, label=name)
    ax.set_title(f'loss="{loss}": {inside.mean():.0%} of held-out rows inside')
    ax.set_xlabel("body mass index")
    ax.legend(frameon=False, loc="upper left")
    assert (low <= middle).all() and (middle <= high).all()  # no crossing
    assert 0.82 < inside.mean() < 0.97
    heavy, light = (grid[:, 0] > 33).nonzero()[0], (grid[:, 0] < 22).nonzero()[0]
    assert (high - low)[heavy].mean() > (high - low)[light].mean()  # it knows where it is unsure
axes[0].set_ylabel("progression of diabetes in a year")

# sphinx_gallery_start_ignore
# With a folder as argument, the picture is saved there, not shown.
import sys
from pathlib import Path

if len(sys.argv) > 1:
    figure.savefig(Path(sys.argv[1]) / "plot_prediction_intervals.png", dpi=150)
else:
    plt.show()
# sphinx_gallery_end_ignore
