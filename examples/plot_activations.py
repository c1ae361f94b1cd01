"""
Activations and their derivatives
=================================

How a hidden unit transforms its input, and how much of the gradient it lets back through.
"""

# %%
# Backpropagation multiplies the gradient by the activation's derivative once in each layer. The
# derivative of a sigmoid is at most a quarter: ten layers of sigmoids leave a millionth. The
# derivative of a rectifier is one where the unit is on, and zero where it is off; the rectifier's
# relatives let a little of the gradient through there.

import matplotlib.pyplot as plt
import numpy as np

from sklmlp.inspection import ActivationDisplay

figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
flat_on_both_sides = ActivationDisplay.from_names(["logistic", "tanh", "softsign"], ax=axes[0])
rectifiers = ActivationDisplay.from_names(
    ["relu", ("leaky_relu", {"negative_slope": 0.2}), "elu"], ax=axes[1]
)
smooth = ActivationDisplay.from_names(["gelu", "silu", "mish"], ax=axes[2])
titles = "flat on both sides", "straight where they are on", "smooth, with a dip"
for ax, title in zip(axes, titles, strict=True):
    ax.set_title(title)

# %%
# The display keeps the curves as arrays, so these values can be checked.

steepest = {
    name: slope.max()
    for display in (flat_on_both_sides, rectifiers, smooth)
    for name, slope in display.slopes.items()
}
print("activation                        steepest   what ten layers leave, at most")
for name, slope in steepest.items():
    print(f"{name:33} {slope:8.3f}   {slope**10:.2g}")

assert np.isclose(steepest["logistic"], 1 / 4)
assert steepest["logistic"] ** 10 < 1e-6
assert np.isclose(steepest["tanh"], 1)
assert set(rectifiers.slopes["relu"]) == {0, 1}
assert rectifiers.slopes["leaky_relu(negative_slope=0.2)"].min() == 0.2
assert all(value.min() < -0.1 for value in smooth.values.values())  # the dip

# sphinx_gallery_start_ignore
# With a folder as argument, the picture is saved there, not shown.
import sys
from pathlib import Path

if len(sys.argv) > 1:
    figure.savefig(Path(sys.argv[1]) / "plot_activations.png", dpi=150)
else:
    plt.show()
# sphinx_gallery_end_ignore
