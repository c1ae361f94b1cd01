"""
Early stopping on your own rows
===============================

A random split is a fair judge only if new rows will be like the old ones. Where rows come in
groups, such as people, days or machines, give ``fit`` validation rows of other groups: ``X_val``
and ``y_val``.
"""

# %%
# Handwritten digits of 43 people (Alpaydin & Kaynak 1998, of scikit-learn), in the order of the
# people. The network will have to read the writing of others, so the last rows are kept for a test
# and those before them for validation.

import matplotlib.pyplot as plt
import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier

X, y = load_digits(return_X_y=True)
X_train, y_train = X[:1000], y[:1000]
X_val, y_val = X[1000:1400], y[1000:1400]
X_test, y_test = X[1400:], y[1400:]

# %%
# By default, early stopping holds out a random share of the rows. They come from people whom the
# network has seen.

network = MLPClassifier(
    (64,), early_stopping=True, scoring="loss", validation_fraction=0.2, learning_rate_init=0.005,
    max_iter=500, random_state=0,
)  # fmt: skip
random_rows = make_pipeline(StandardScaler(), network).fit(X_train, y_train)

# %%
# Other people's rows go to ``fit``. In a pipeline they have to be scaled as ``X`` is, which
# ``transform_input`` does; that is scikit-learn's metadata routing.

with sklearn.config_context(enable_metadata_routing=True):
    network = sklearn.clone(network).set_fit_request(X_val=True, y_val=True)
    own_rows = make_pipeline(StandardScaler(), network, transform_input=["X_val"])
    own_rows.fit(X_train, y_train, X_val=X_val, y_val=y_val)

# %%
# The random rows promise too much: their loss keeps falling, far below the loss on the people
# in the test set. The other people's rows show what to expect.

figure, axes = plt.subplots(1, 2, figsize=(11.5, 4.6), sharey=True, layout="constrained")
promised, found = {}, {}
models = {"a random split": random_rows, "other people's rows": own_rows}
for ax, (name, model) in zip(axes, models.items(), strict=True):
    promised[name] = -model[-1].best_validation_score_
    found[name] = log_loss(y_test, model.predict_proba(X_test))
    history = model[-1].history_
    epochs = [epoch["epoch"] for epoch in history]
    losses = [epoch["valid_loss"] for epoch in history]
    ax.plot(epochs, [epoch["train_loss"] for epoch in history], color="#0072b2", label="training")
    ax.plot(epochs, losses, color="#d55e00", label=f"validation, {name}")
    ax.plot(1 + np.argmin(losses), min(losses), "o", color="#d55e00", label="the weights kept")
    ax.axhline(found[name], color="#222222", linestyle=":", label="the people of the test")
    ax.set_title(f"Promised {promised[name]:.2f}, found {found[name]:.2f}")
    ax.set(xlabel="epoch", yscale="log")
    ax.legend(frameon=False)
axes[0].set_ylabel("log loss")
print("promised:", promised, "\nfound:   ", found)

split, own = models
assert found[split] > 2 * promised[split]
assert found[own] < 1.5 * promised[own]
assert own_rows[-1].n_iter_ < random_rows[-1].n_iter_
assert found[own] < found[split]

# sphinx_gallery_start_ignore
# With a folder as argument, the picture is saved there, not shown.
import sys
from pathlib import Path

if len(sys.argv) > 1:
    figure.savefig(Path(sys.argv[1]) / "plot_early_stopping_own_rows.png", dpi=150)
else:
    plt.show()
# sphinx_gallery_end_ignore
