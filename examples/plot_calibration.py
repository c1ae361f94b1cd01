"""
A calibrated classifier
=======================

When a model is 90% sure, it should be right nine times in ten. A network that trains for too
long becomes overconfident. Early stopping by the loss prevents that, and
``CalibratedClassifierCV`` repairs it.
"""

# %%
# One label in seven of this table is wrong, so no model can be certain. Some rows
# train the network, others calibrate it, and many evaluate it.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, log_loss

from sklmlp import MLPClassifier

X, y = make_classification(
    n_samples=8000, n_features=10, n_informative=6, flip_y=0.28, class_sep=1.2, random_state=0
)
train, calibrate, judge = np.split(np.arange(len(y)), [1000, 2000])

# %%
# The first network trains to the end of its patience and learns the wrong labels by heart. The
# second is the same network, calibrated on the next thousand rows by a sigmoid (Platt 1999), which
# leaves the order of the rows as it is. The third has both thousands and stops early by the
# log loss.

params = {"hidden_layer_sizes": (64, 64), "learning_rate_init": 0.005, "random_state": 0}
trained = MLPClassifier(**params, tol=1e-3).fit(X[train], y[train])
repaired = CalibratedClassifierCV(FrozenEstimator(trained), method="sigmoid")
repaired.fit(X[calibrate], y[calibrate])
stopped = MLPClassifier(**params, early_stopping=True, scoring="loss")
stopped.fit(X[train], y[train], X_val=X[calibrate], y_val=y[calibrate])

# %%
# Above, how often rows are positive against how often the model says so: on the diagonal the two
# agree. Below, how sure the model is. The calibrated network is honest, but wrong as often as
# before: only stopping earlier could have kept it from learning wrong labels by heart.

models = {"trained to the end": trained, "and calibrated": repaired, "stopped early": stopped}
figure, axes = plt.subplots(
    2, 3, figsize=(12, 6), sharex=True, sharey="row", height_ratios=[3, 1], layout="constrained"
)
losses, gaps, accuracies = {}, {}, {}
for (above, below), (name, model) in zip(axes.T, models.items(), strict=True):
    p = model.predict_proba(X[judge])[:, 1]
    losses[name], accuracies[name] = log_loss(y[judge], p), accuracy_score(y[judge], p > 0.5)
    curve = CalibrationDisplay.from_predictions(y[judge], p, n_bins=10, ax=above, color="#0072b2")
    counts, _ = np.histogram(p, np.linspace(0, 1, 11))
    gaps[name] = np.average(np.abs(curve.prob_true - curve.prob_pred), weights=counts[counts > 0])
    above.get_legend().remove()
    above.set(xlabel="", ylabel="", title=f"{name}: {accuracies[name]:.0%} right\n"
              f"log loss {losses[name]:.2f}, mean gap {gaps[name]:.3f}")  # fmt: skip
    below.hist(p, np.linspace(0, 1, 21), color="#56b4e9", edgecolor="white")
    below.set(xlabel="predicted probability", yticks=[])
axes[0, 0].set_ylabel("share that is positive")
axes[1, 0].set_ylabel("rows")
print("log loss:", losses, "\nmean gap:", gaps)

end, calibrated, early = models
assert gaps[end] > 0.1
assert max(gaps[calibrated], gaps[early]) < 0.06
assert max(losses[calibrated], losses[early]) < losses[end] - 0.1
assert abs(accuracies[calibrated] - accuracies[end]) < 0.02
assert accuracies[early] > accuracies[end] + 0.04

# sphinx_gallery_start_ignore
# With a folder as argument, the picture is saved there, not shown.
import sys
from pathlib import Path

if len(sys.argv) > 1:
    figure.savefig(Path(sys.argv[1]) / "plot_calibration.png", dpi=150)
else:
    plt.show()
# sphinx_gallery_end_ignore
