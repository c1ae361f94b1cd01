"""
Activations and their derivatives
=================================

What a hidden unit makes of its input, and how much of the gradient it lets back through.
"""

# %%
# Backpropagation multiplies the gradient by the activation's derivative once in each layer. A
# sigmoid's is a quarter at most: ten layers of them leave a millionth. A rectifier's is one
# wherever the unit is on, and nothing where it is off; its relatives leak a little there.

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
# The curves are kept as arrays, so what was said can be looked up.

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
