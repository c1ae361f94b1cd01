"""
Class imbalance
===============

Where one class is rare, a network that minimizes its errors misses it.
``class_weight="balanced"`` counts every class the same.
"""

# %%
# Two classes that overlap, one row in twenty positive.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_classification
from sklearn.metrics import ConfusionMatrixDisplay, balanced_accuracy_score, recall_score
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_sample_weight

from sklmlp import MLPClassifier

X, y = make_classification(
    n_samples=4000, n_features=8, n_informative=4, weights=[0.95], class_sep=0.7, random_state=0
)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

# %%
# The same network, with and without class weights. "balanced" weights each row by the inverse of
# its class's frequency, so that both classes count equally. Passing these values as sample weights
# gives the same result.

params = {
    "hidden_layer_sizes": (16,), "learning_rate_init": 0.01, "tol": 1e-3, "random_state": 0,
}  # fmt: skip
networks = {
    "every row counts the same": MLPClassifier(**params).fit(X_train, y_train),
    "every class counts the same": MLPClassifier(**params, class_weight="balanced").fit(
        X_train, y_train
    ),
}
plain, balanced = networks.values()

weights = compute_sample_weight("balanced", y_train)
by_rows = MLPClassifier(**params).fit(X_train, y_train, sample_weight=weights)
np.testing.assert_allclose(by_rows.predict_proba(X_test), balanced.predict_proba(X_test), rtol=1e-6)

# %%
# The plain network has the better accuracy, but misses half of the rare class. The
# balanced network finds it, at the price of false alarms.

figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
recall, balanced_accuracy = {}, {}
for ax, (name, network) in zip(axes, networks.items(), strict=True):
    predicted = network.predict(X_test)
    recall[name] = recall_score(y_test, predicted)
    balanced_accuracy[name] = balanced_accuracy_score(y_test, predicted)
    ConfusionMatrixDisplay.from_predictions(
        y_test, predicted, display_labels=["common", "rare"], normalize="true",
        values_format=".0%", cmap="Blues", im_kw={"vmin": 0, "vmax": 1}, colorbar=False, ax=ax,
    )  # fmt: skip
    accuracy = network.score(X_test, y_test)
    ax.set_title(f"{name}\naccuracy {accuracy:.1%}, finds {recall[name]:.0%} of the rare")
    ax.set(xlabel="predicted", ylabel="true (each row adds up to 100%)")
print("balanced accuracy:", balanced_accuracy)

without, with_weights = recall.values()
assert without < 0.65
assert with_weights > without + 0.15
assert balanced_accuracy["every class counts the same"] > 0.75
assert plain.score(X_test, y_test) > balanced.score(X_test, y_test)

# sphinx_gallery_start_ignore
# With a folder as argument, the picture is saved there, not shown.
import sys
from pathlib import Path

if len(sys.argv) > 1:
    figure.savefig(Path(sys.argv[1]) / "plot_class_imbalance.png", dpi=150)
else:
    plt.show()
# sphinx_gallery_end_ignore
