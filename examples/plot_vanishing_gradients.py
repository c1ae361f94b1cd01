"""
Why deep sigmoid networks did not train
=======================================

The same network of eight hidden layers on handwritten digits, once with sigmoids and once with
rectifiers.
"""

# %%
# Everything but the activation is equal, down to the seed and the order of the rows.

import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier
from sklmlp.exceptions import VanishingSignalWarning
from sklmlp.inspection import GradientFlowDisplay, LossCurveDisplay, diagnose

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
scaler = StandardScaler().fit(X_train)
X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)

networks = {}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", VanishingSignalWarning)  # the fit of sigmoids warns
    for activation in ("logistic", "relu"):
        network = MLPClassifier((32,) * 8, activation=activation, tol=0.01, random_state=0)
        networks[activation] = network.fit(X_train, y_train)
assert [warning.category for warning in caught] == [VanishingSignalWarning]
print(caught[0].message)

# %%
# On its way back from the output, the gradient loses most of itself at each layer of sigmoids (each
# derivative is a quarter at most), so the layers in front hardly move, and the output has nothing
# to work with. Through rectifiers it arrives. See Glorot & Bengio (2010), "Understanding the
# difficulty of training deep feedforward neural networks".

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
flow = {
    activation: GradientFlowDisplay.from_estimator(
        network, X_train, y_train, name=activation, ax=left
    )
    for activation, network in networks.items()
}
for activation, network in networks.items():
    LossCurveDisplay.from_estimator(network, name=activation, ax=right)
left.set_title("The gradient's norm by layer")
scores = {a: network.score(X_test, y_test) for a, network in networks.items()}
right.set_title(", ".join(f"{a}: {s:.0%} of the test digits" for a, s in scores.items()))

arrives = {activation: display.start[0] / display.start[-1] for activation, display in flow.items()}
print("the first layer's gradient over the last one's:", arrives)
assert arrives["logistic"] < 1e-4
assert arrives["relu"] > 0.1
assert scores["logistic"] < 0.5
assert scores["relu"] > 0.9

# %%
# The outputs of the layers show the same: after eight layers of sigmoids the digits collapse almost
# to a single point, of effective rank 1; rectifiers keep several directions.

facts = {a: diagnose(network, X_train, y_train) for a, network in networks.items()}
for activation, frame in facts.items():
    print(f"\n{activation}\n{frame[['gradient_norm', 'effective_rank', 'std']].round(4)}")
ranks = {a: frame.loc["hidden 7", "effective_rank"] for a, frame in facts.items()}
assert ranks["logistic"] < 2 < ranks["relu"]

# sphinx_gallery_start_ignore
# With a folder as argument, the picture is saved there, not shown.
import sys
from pathlib import Path

if len(sys.argv) > 1:
    figure.savefig(Path(sys.argv[1]) / "plot_vanishing_gradients.png", dpi=150)
else:
    plt.show()
# sphinx_gallery_end_ignore
