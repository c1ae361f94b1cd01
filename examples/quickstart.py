"""Tune, fit, save and reload a network on real data, and look at what came out.

On scikit-learn's digits, half a minute:    python examples/quickstart.py
On your own table:                          python examples/quickstart.py --csv FILE --target COLUMN
"""

# %% [markdown]
# # Quickstart
# A search over activations and layer widths, the best network fitted, saved, reloaded in another
# process, and a picture. First, what the command line asked for.

# %%
import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
from quickstart_progress import counted
from sklearn.base import is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import ConfusionMatrixDisplay, mean_absolute_error
from sklearn.model_selection import GridSearchCV, ParameterGrid, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier, MLPRegressor

parser = argparse.ArgumentParser(description="Tune, fit, save and reload a network.")
parser.add_argument(
    "--csv", metavar="FILE", help="a table of your own; its first line names the columns"
)
parser.add_argument("--target", metavar="COLUMN", help="the column to predict")
parser.add_argument(
    "--task", choices=["auto", "classification", "regression"], default="auto",
    help="what kind of target it is (default: look at its values)",
)  # fmt: skip
parser.add_argument(
    "--rows", type=int, default=25_000, help="use at most so many rows of the file; 0 for all"
)
parser.add_argument(
    "--jobs", type=int, default=min(joblib.cpu_count(), 4), help="fits that run side by side"
)
parser.add_argument("--output", type=Path, default=Path("quickstart_output"), metavar="DIR")
parser.add_argument("--quick", action="store_true", help="a small search, to see that all runs")
arguments = parser.parse_args([] if "ipykernel" in sys.modules else None)
if (arguments.csv is None) != (arguments.target is None):
    parser.error("--csv FILE and --target COLUMN go together")

# %% [markdown]
# ## The data
# A fifth of the rows is held out: nothing is chosen by them, so the score on them is honest.
# For a table, `quickstart_table.py` says what it made of the columns.

# %%
if arguments.csv is None:
    name = "digits"
    X, y = load_digits(return_X_y=True)
    task, scale = "classification", StandardScaler()
else:
    try:
        from quickstart_table import load_table, prepare

        table = load_table(arguments.csv, arguments.target, arguments.task, arguments.rows)
    except ImportError as error:
        sys.exit(f"quickstart: --csv needs pandas ({error}): pip install 'sklmlp[examples]'")
    except ValueError as error:
        sys.exit(f"quickstart: {error}")
    name = f"{Path(arguments.csv).name}: {arguments.target}"
    X, y, task, scale = table.X, table.y, table.task, prepare(table.X, table.task)
    for note in table.notes:
        print(f"- {note}")

X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.2, stratify=y if task == "classification" else None, random_state=0
)
print(f"{name}: {task}, {len(X_train):,} rows to learn from, {len(X_test):,} held out")

# %% [markdown]
# ## The network and what to try
# Early stopping pays once there are rows to spare for it, and few rows want small batches, or an
# epoch is over after a step or two. A network predicts amounts best when they are about one in
# size, so a regression's target is scaled as well, and scaled back in the prediction.

# %%
settings = {
    "batch_size": int(np.clip(len(X_train) // 20, 16, 200)),
    "dtype": "float32",  # up to twice as fast as the data's float64, and as good
    "early_stopping": len(X_train) >= 2000,
    "scoring": "loss" if len(X_train) >= 2000 else None,
    "max_iter": 1000,
    "random_state": 0,
}
if task == "classification":
    network, prefix, metric = MLPClassifier(**settings), "mlp__", "accuracy"
else:
    network = TransformedTargetRegressor(MLPRegressor(**settings), transformer=StandardScaler())
    prefix, metric = "mlp__regressor__", "r2"
model = Pipeline([("scale", scale), ("mlp", network)])

ACTIVATIONS = ["relu", "gelu", "mish", ("leaky_relu", {"negative_slope": 0.2})]
WIDTHS = [(64,), (128, 64)]
if arguments.quick:
    ACTIVATIONS, WIDTHS = ACTIVATIONS[2:], WIDTHS[:1]
    model.set_params(**{f"{prefix}learning_rate_init": 0.01, f"{prefix}tol": 0.001})
# () has no hidden layer and so no activation: softmax or linear regression, the score to beat.
grid = [
    {f"{prefix}hidden_layer_sizes": [()]},
    {f"{prefix}activation": ACTIVATIONS, f"{prefix}hidden_layer_sizes": WIDTHS},
]

# %% [markdown]
# ## The search
# It is scikit-learn's own; only the scorer is ours, because it also counts for the display.

# %%
folds = 2 if arguments.quick else 5 if len(X_train) < 2000 else 3
fits = len(ParameterGrid(grid)) * folds
print(f"Trying {len(ParameterGrid(grid))} networks on {folds} folds, {arguments.jobs} at a time")
with counted(metric, fits) as scorer:
    search = GridSearchCV(model, grid, scoring=scorer, cv=folds, n_jobs=arguments.jobs)
    start = time.perf_counter()
    search.fit(X_train, y_train)


# %%
def describe(activation):
    """Write an activation as short as it is clear."""
    if isinstance(activation, tuple):
        name, options = activation
        return f"{name}({', '.join(f'{key}={value}' for key, value in options.items())})"
    return activation


def describe_widths(widths):
    """Write the widths of the hidden layers as in 128-64."""
    return "-".join(map(str, widths)) or "none"


results = search.cv_results_
rows = [
    (
        describe(parameters.get(f"{prefix}activation", "-")),
        describe_widths(parameters[f"{prefix}hidden_layer_sizes"]),
        results["mean_test_score"][i],
        results["std_test_score"][i],
        results["mean_fit_time"][i],
    )
    for i, parameters in enumerate(results["params"])
]
metric_name = {"accuracy": "accuracy", "r2": "R2"}[metric]
print(f"\n{'activation':<32}{'hidden layers':<15}{metric_name + ' (mean ± std)':<24}seconds a fit")
for activation, widths, mean, std, seconds in sorted(rows, key=lambda row: -row[2]):
    print(f"{activation:<32}{widths:<15}{f'{mean:.4f} ± {std:.4f}':<24}{seconds:.2f}")

# %% [markdown]
# ## The best one on rows that it has never seen
# Next to it, what one gets for free: the most frequent class, or the mean.

# %%
best = search.best_estimator_
best_activation, best_widths, *_ = rows[search.best_index_]
predicted = best.predict(X_test)
free = DummyClassifier() if task == "classification" else DummyRegressor()
free.fit(X_train, y_train)
best_name = "no hidden layer" if best_widths == "none" else f"{best_activation}, {best_widths}"
held_out = best.score(X_test, y_test)
print(f"\nBest: {best_name}")
print(
    f"Held-out {metric_name}: {held_out:.4f} (without learning: {free.score(X_test, y_test):.4f})"
)
if task == "regression":
    error, free_error = (mean_absolute_error(y_test, m.predict(X_test)) for m in (best, free))
    print(f"Mean absolute error: {error:.4g} (without learning: {free_error:.4g})")

# %% [markdown]
# ## Save it, and load it where nothing of this is in memory
# Another Python process reads the file and predicts; its predictions are compared one by one.

# %%
LOAD_AND_PREDICT = """
import sys, joblib
model_file, inputs, outputs = sys.argv[1:]
model, (X, methods) = joblib.load(model_file), joblib.load(inputs)
joblib.dump([getattr(model, method)(X) for method in methods], outputs)
"""
arguments.output.mkdir(parents=True, exist_ok=True)
model_file = arguments.output / "model.joblib"
joblib.dump(best, model_file)

methods = ["predict", "predict_proba"] if is_classifier(best) else ["predict"]
with tempfile.TemporaryDirectory() as folder:
    inputs, outputs = Path(folder) / "inputs", Path(folder) / "outputs"
    joblib.dump((X_test, methods), inputs)
    subprocess.run(
        [sys.executable, "-c", LOAD_AND_PREDICT, model_file, inputs, outputs], check=True
    )
    reloaded = joblib.load(outputs)
if not all(
    np.array_equal(getattr(best, m)(X_test), a) for m, a in zip(methods, reloaded, strict=True)
):
    sys.exit("quickstart: the reloaded model predicts otherwise")
size = model_file.stat().st_size / 1024
print(f"Saved {model_file} ({size:.0f} kB); a new process loads it and gives identical predictions")

# %% [markdown]
# ## A picture
# Left, the search: is the best better than its neighbours by more than the spread of the folds?
# Right, the held-out rows: where is it wrong?

# %%
try:
    import matplotlib.pyplot as plt
except ImportError:
    sys.exit("No picture without matplotlib: pip install 'sklmlp[plot]'")

INK, GREY = "#222222", "#8a8a8a"
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7"]  # Okabe and Ito's, told apart by everyone
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.2), layout="constrained")

_, _, mean, std, _ = rows[0]
left.axhspan(mean - std, mean + std, color=GREY, alpha=0.15, linewidth=0)
left.axhline(mean, color=GREY, linestyle="--", label="no hidden layer")
for i, activation in enumerate(map(describe, ACTIVATIONS)):
    scores = np.array([row[2:4] for row in rows[1:] if row[0] == activation])  # (widths, 2)
    left.errorbar(
        np.arange(len(WIDTHS)) + (i - (len(ACTIVATIONS) - 1) / 2) * 0.15, *scores.T,
        fmt="o", color=COLOURS[i], capsize=3, label=activation,
    )  # fmt: skip
left.set_xticks(range(len(WIDTHS)), map(describe_widths, WIDTHS))
left.set_xlim(-0.5, len(WIDTHS) - 0.5)
left.set_xlabel("units in the hidden layers")
left.set_ylabel(f"cross-validated {metric_name} (mean and std of {folds} folds)")
left.set_title("The search")
left.legend(
    frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3
)
left.spines[["top", "right"]].set_visible(False)

if task == "classification":
    few = len(best.classes_) <= 12
    display = ConfusionMatrixDisplay.from_predictions(
        y_test, predicted, labels=best.classes_, normalize="true", values_format=".2f",
        include_values=few, colorbar=False, cmap="Blues", ax=right, im_kw={"vmin": 0, "vmax": 1},
        xticks_rotation="vertical" if max(map(len, map(str, best.classes_))) > 3 else "horizontal",
        text_kw={"fontsize": "small"},
    )  # fmt: skip
    for text in display.text_.ravel() if few else []:
        text.set_text(text.get_text().replace("0.00", ""))  # what is left to read are the errors
    if not few:
        figure.colorbar(display.im_, ax=right, label="share of the true class")
    right.set(xlabel="predicted", ylabel="true (each row adds up to 1)")
else:
    low, high = np.percentile(
        np.r_[y_test, predicted], [0.1, 99.9]
    )  # a few far points hide the rest
    right.plot([low, high], [low, high], color=GREY, linestyle="--", linewidth=1)
    dots = dict(s=8, alpha=0.3, linewidth=0) if len(y_test) > 500 else dict(s=18, alpha=0.6)
    right.scatter(predicted, y_test, color=COLOURS[0], **dots)
    right.set(xlim=(low, high), ylim=(low, high), xlabel="predicted", ylabel="true", aspect="equal")
    right.spines[["top", "right"]].set_visible(False)
right.set_title(f"Held-out rows: {metric_name} {held_out:.3f}")
figure.suptitle(f"{name}: the best is {best_name}", color=INK)

picture_file = arguments.output / "quickstart.png"
figure.savefig(picture_file, dpi=150)
print(f"Picture: {picture_file}")
