"""
Universal approximation
=======================

One hidden layer can follow any curve if it is wide enough (Cybenko 1989). Two layers can do so with
fewer units.
"""

# %%
# The curve sin(3 pi x^2) oscillates faster and faster. There is no noise: the question is whether a
# network can represent the curve, not whether it would find it in noisy data.

import matplotlib.pyplot as plt
import numpy as np

from sklmlp import MLPRegressor

x = np.linspace(-1, 1, 100)[:, None]
y = np.sin(3 * np.pi * x**2).ravel()


def approximation(*hidden_layer_sizes):
    """The root mean squared error and the curve of the middle one of three fits."""
    curves = [
        MLPRegressor(
            hidden_layer_sizes=hidden_layer_sizes, activation="tanh", solver="lbfgs", alpha=0,
            tol=1e-5, max_iter=10_000, random_state=seed,
        ).fit(x, y).predict(x)
        for seed in range(3)
    ]  # fmt: skip
    errors = [np.sqrt(np.mean((curve - y) ** 2)) for curve in curves]
    middle = np.argsort(errors)[1]
    return errors[middle], curves[middle]


wide = {width: approximation(width) for width in (2, 4, 6, 12, 64)}
deep = {2 * width: approximation(width, width) for width in (4, 8, 12)}

# %%
# More units follow the curve more closely: universal approximation. From a dozen units on,
# the width limits little, and the remaining error depends on where L-BFGS stops. The second layer
# works on the folded output of the first, so 24 units in two layers come closer than 64 in one.

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")
left.plot(x, y, color="#222222", linewidth=4, alpha=0.25, label="the curve")
for width, colour in zip((2, 4, 6), ("#56b4e9", "#e69f00", "#0072b2"), strict=True):
    left.plot(x, wide[width][1], color=colour, label=f"{width} units in one layer")
left.plot(x, deep[24][1], color="#d55e00", linestyle="--", label="24 units in two layers")
left.set(xlabel="x", ylim=(-1.2, 2.2))
left.legend(frameon=False, loc="upper center", ncols=2)

for name, errors, colour in (("one", wide, "#0072b2"), ("two", deep, "#d55e00")):
    right.plot(
        list(errors), [error for error, _ in errors.values()], "o-", color=colour,
        label=f"{name} hidden layer" + "s" * (name == "two"),
    )  # fmt: skip
right.set(xlabel="hidden units", ylabel="root mean squared error", xscale="log", yscale="log")
right.set_xticks(sorted({*wide, *deep}), sorted({*wide, *deep}))
right.minorticks_off()
right.legend(frameon=False)

for layers, errors in (("one layer", wide), ("two layers", deep)):
    print(layers, {units: round(float(error), 4) for units, (error, _) in errors.items()})
by_width = [error for error, _ in wide.values()]
assert by_width[0] > by_width[1] > 10 * max(by_width[3:])
assert deep[24][0] < wide[64][0]  # fewer units, closer

# sphinx_gallery_start_ignore
# With a folder as argument, the picture is saved there, not shown.
import sys
from pathlib import Path

if len(sys.argv) > 1:
    figure.savefig(Path(sys.argv[1]) / "plot_universal_approximation.png", dpi=150)
else:
    plt.show()
# sphinx_gallery_end_ignore
