"""
Reading what a network has learned
==================================

Which columns does a network use, and how? Permutation importance answers the first question and
partial dependence the second, for a network as for any scikit-learn estimator. Here the truth is
known, so the answers can be checked.
"""

# %%
# Friedman's first function (1991): y is 10 sin(pi x0 x1) + 20 (x2 - 1/2)^2 + 10 x3 + 5 x4, plus
# noise. Three more columns have no effect.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_friedman1
from sklearn.inspection import PartialDependenceDisplay, permutation_importance
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPRegressor

X, y = make_friedman1(1500, n_features=8, noise=1.0, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
network = MLPRegressor(
    hidden_layer_sizes=(64,), activation="silu", normalize_y=True, alpha=10, solver="lbfgs",
    tol=1e-3, max_iter=1000, random_state=0,
)  # fmt: skip
model = make_pipeline(StandardScaler(), network).fit(X_train, y_train)
print(f"R2 on held-out rows: {model.score(X_test, y_test):.3f}")

# %%
# How much worse does the model become if a column is shuffled? Measure this on held-out rows: on
# training rows, what was learned by heart would count too.

importance = permutation_importance(model, X_test, y_test, n_repeats=10, random_state=0)
names = [f"x{i}" for i in range(X.shape[1])]
for name, mean, std in zip(
    names, importance.importances_mean, importance.importances_std, strict=True
):
    print(f"{name}  {mean:.3f} +- {std:.3f}")

# %%
# Partial dependence is the mean prediction over all rows, with one column set to a value. Additive
# effects, such as those of x2 and x3, are found up to a constant. Thin lines are single rows.

figure, axes = plt.subplots(1, 4, figsize=(16, 4.2), layout="constrained")
bars, *of_one, of_two = axes
bars.barh(names, importance.importances_mean, xerr=importance.importances_std, color="#0072b2")
bars.invert_yaxis()
bars.set(title="Which columns?", xlabel="loss of R2 when shuffled")
display = PartialDependenceDisplay.from_estimator(
    model, X_test, [2, 3], kind="both", subsample=40, grid_resolution=30, percentiles=(0.02, 0.98),
    feature_names=names, ax=of_one, random_state=0, ice_lines_kw={"color": "#56b4e9", "alpha": 0.3},
    pd_line_kw={"color": "#0072b2", "linewidth": 2.5, "linestyle": "-", "label": "the network"},
)  # fmt: skip
truths = {"x2": lambda x: 20 * (x - 0.5) ** 2, "x3": lambda x: 10 * x}
errors = {}
for ax, found, (name, truth) in zip(of_one, display.pd_results, truths.items(), strict=True):
    grid, mean = found["grid_values"][0], found["average"][0]
    expected = truth(grid)
    expected += (mean - expected).mean()
    errors[name] = np.abs(mean - expected).max() / np.ptp(expected)
    ax.plot(grid, expected, color="#d55e00", linestyle="--", linewidth=2.5, label="the truth")
    ax.set(title=f"How does {name} count?", xlabel=name)
    ax.legend(frameon=False, loc="upper left")
PartialDependenceDisplay.from_estimator(
    model, X_test, [(0, 1)], feature_names=names, grid_resolution=12, ax=[of_two]
)
of_two.set_title("x0 and x1 act together")

mean = importance.importances_mean
assert model.score(X_test, y_test) > 0.9
assert min(mean[:5]) > 0.05 and max(mean[5:]) < 0.01  # columns without an effect have none
assert mean[3] > mean[4]  # ten times x3, five times x4
assert max(errors.values()) < 0.2

# sphinx_gallery_start_ignore
# With a folder as argument, the picture is saved there, not shown.
import sys
from pathlib import Path

if len(sys.argv) > 1:
    figure.savefig(Path(sys.argv[1]) / "plot_reading_a_network.png", dpi=150)
else:
    plt.show()
# sphinx_gallery_end_ignore
