"""
Tuning with halving, and what the search has found
==================================================

``MLPSearchCV`` trains all candidates a little, the better half of them twice as long, and so on, so
most of the time goes to the good ones. The search leaves a table of its candidates. Three pictures
show the course of the search, the parameters that mattered, and what a better score costs.
"""

# %%
# Breast tumors, benign or malignant (Wolberg et al. 1995, from scikit-learn). The first candidate
# is the model with its given parameters; the others have parameters that ``suggest`` draws. They
# train for three epochs, the better half of them for six, and so on up to thirty. A candidate that
# is trained further does not start again: it continues where it paused.

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier, MLPSearchCV
from sklmlp.inspection import ParameterImportanceDisplay, ParetoDisplay, SearchHistoryDisplay

X, y = load_breast_cancer(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)


def suggest(trial):
    depth = trial.suggest_int("depth", 1, 3)
    widths = [trial.suggest_int(f"width_{i + 1}", 2, 64, log=True) for i in range(depth)]
    return {
        "mlpclassifier__hidden_layer_sizes": tuple(widths),
        "mlpclassifier__activation": trial.suggest_categorical("activation", ["relu", "tanh"]),
        "mlpclassifier__learning_rate_init": trial.suggest_float("rate", 1e-4, 1e-1, log=True),
        "mlpclassifier__dropout": trial.suggest_float("dropout", 0, 0.5),
    }


network = MLPClassifier(16, batch_size=32, max_iter=30, tol=1e-2, random_state=0)
model = make_pipeline(StandardScaler(), network)
options = {"cv": 3, "scoring": "neg_log_loss", "random_state": 0}
search = MLPSearchCV(model, suggest, n_trials=48, factor=2, **options).fit(X, y)
loss = log_loss(y_test, search.predict_proba(X_test))
print(f"{search.best_params_}\nlog loss {-search.best_score_:.3f}, on held-out rows {loss:.3f}")

# %%
# What did halving save? Without it, 48 candidates would train for up to thirty epochs each, on
# each of three folds.

trained, full = search.cv_results_["n_epochs"].sum(), 48 * 30
print(f"{trained} epochs in place of {full}")
assert trained < full / 2

# %%
# Left, the score of each candidate; for those that were stopped early, the score at that point. In
# the middle, the parameters that separate the best quarter from the others, by Optuna's PED-ANOVA.
# This describes these candidates only: on other data, other parameters may matter. Right, the
# candidates that were trained to the end: those on the front are the best for their size.

figure, axes = plt.subplots(1, 3, figsize=(15, 4.8), layout="constrained")
history = SearchHistoryDisplay.from_estimator(search, ax=axes[0])
importance = ParameterImportanceDisplay.from_estimator(search, ax=axes[1])
pareto = ParetoDisplay.from_estimator(search, ax=axes[2])
for ax, title in zip(axes, ["How it went", "What mattered", "What it costs"], strict=True):
    ax.set_title(title)

assert history.best[-1] == search.best_score_ > history.scores[0]  # better than the model as given
assert history.are_final.sum() < len(history.scores) / 2
assert set(importance.importances) >= {"depth", "width_1", "width_2", "learning_rate_init"}
assert search.best_score_ in pareto.scores[pareto.front]

# sphinx_gallery_start_ignore
# With a folder as argument, the picture is saved there, not shown.
import sys
from pathlib import Path

if len(sys.argv) > 1:
    figure.savefig(Path(sys.argv[1]) / "plot_search.png", dpi=150)
else:
    plt.show()
# sphinx_gallery_end_ignore
