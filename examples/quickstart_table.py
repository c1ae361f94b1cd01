"""Compare TabularMLP on your own table with boosted trees, a linear model and no model at all.

python examples/quickstart.py --csv FILE --target COLUMN
python examples/quickstart.py --csv FILE --target COLUMN --minutes 2     # AutoMLP first
"""

import sys
import time
from pathlib import Path

import numpy as np
from quickstart_csv import load_table
from quickstart_output import draw_confusion, draw_values, save_and_reload, save_picture
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sklmlp import (
    AutoMLPClassifier,
    AutoMLPRegressor,
    TableEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
)

MOST_LEVELS = 255
"""The most categories that HistGradientBoosting accepts in a column."""


def make_models(X, task, quick, minutes=None):
    """Return the models by name; all take the table as it is, and ours come first."""
    is_classes = task == "classification"
    ours = TabularMLPClassifier if is_classes else TabularMLPRegressor
    trees = HistGradientBoostingClassifier if is_classes else HistGradientBoostingRegressor
    words = [X[name] for name in X.columns if X[name].dtype == "category"]
    trees = trees(categorical_features="from_dtype", random_state=0)
    encoder = TableEncoder(target_type="auto" if is_classes else "continuous", random_state=0)
    if any(len(column.cat.categories) > MOST_LEVELS for column in words):
        trees = make_pipeline(encoder, trees)
    linear = LogisticRegression(max_iter=5000) if is_classes else RidgeCV(np.logspace(-3, 3, 13))
    small = {"hidden_layer_sizes": (64, 64), "max_iter": 30, "n_folds": 1} if quick else {}
    searches = {}
    if minutes:
        automl = AutoMLPClassifier if is_classes else AutoMLPRegressor
        searches[automl.__name__] = automl(60 * minutes, random_state=0, verbose=1)
    return {
        **searches,
        ours.__name__: ours(random_state=0, **small),
        "HistGradientBoosting": trees,
        "linear model": make_pipeline(encoder, linear),
        "without learning": DummyClassifier() if is_classes else DummyRegressor(),
    }


def figures_of(model, X, y):
    """Return what the predictions of held-out rows are worth, by name."""
    if hasattr(model, "predict_proba"):
        probability = model.predict_proba(X)
        return {
            "log loss": log_loss(y, probability, labels=model.classes_),
            "accuracy": accuracy_score(y, model.predict(X)),
        }
    predicted = model.predict(X)
    return {"RMSE": root_mean_squared_error(y, predicted), "R2": r2_score(y, predicted)}


def compare(arguments):
    """Fit each model, print the same figures of all, save ours and draw a picture.

    Parameters
    ----------
    arguments : argparse.Namespace
        Those of `quickstart.py`.

    Returns
    -------
    error : str or None
        What was wrong with the file or its columns.
    """
    try:
        table = load_table(arguments.csv, arguments.target, arguments.task, arguments.rows)
    except ValueError as error:
        return f"quickstart: {error}"
    X, y, task = table.X, table.y, table.task
    for note in table.notes:
        print(f"- {note}")
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.2, stratify=y if task == "classification" else None, random_state=0
    )
    name = f"{Path(arguments.csv).name}: {arguments.target}"
    print(f"{name}: {task}, {len(X_train):,} rows to learn from, {len(X_test):,} held out")

    models, figures = make_models(X, task, arguments.quick, arguments.minutes), {}
    for each, model in models.items():
        start = time.perf_counter()
        model.fit(X_train, y_train)
        seconds = time.perf_counter() - start
        figures[each] = figures_of(model, X_test, y_test) | {"fit, s": seconds}
        if len(figures) == 1:
            print("\n" + "".join([f"{'held-out rows':<24}", *(f"{f:>12}" for f in figures[each])]))
        print("".join([f"{each:<24}", *(f"{value:>12.4g}" for value in figures[each].values())]))

    ours, best = next(iter(models)), next(iter(models.values()))
    print()
    if arguments.minutes:
        print(best.leaderboard().head(10).to_string(max_colwidth=60), end="\n\n")
    save_and_reload(best, X_test, arguments.output)
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        sys.exit("No picture without matplotlib: pip install 'sklmlp[plot]'")
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.2), layout="constrained")
    metric, values = draw_bars(left, figures)
    if task == "classification":
        draw_confusion(right, y_test, best.predict(X_test), best.classes_)
    else:
        draw_values(right, y_test, best.predict(X_test))
    right.set_title(f"{ours}: {metric} {values[0]:.4g}")
    figure.suptitle(name)
    save_picture(figure, arguments.output)
    return None


def draw_bars(ax, figures):
    """Draw the first figure of each model, of which less is better; return its name and values."""
    metric = next(iter(next(iter(figures.values()))))
    values = [each[metric] for each in figures.values()]
    places = np.arange(len(values))[::-1]
    colours = ["#0072b2", *["#8a8a8a"] * (len(values) - 1)]
    ax.barh(places, values, color=colours, height=0.6)
    for place, value in zip(places, values, strict=True):
        ax.annotate(f"{value:.4g}", (value, place), (4, 0), textcoords="offset points", va="center")
    ax.set_yticks(places, list(figures))
    ax.set_xlabel(f"{metric} of held-out rows (less is better)")
    ax.set_title("Beside other models")
    ax.margins(x=0.15)
    ax.spines[["top", "right"]].set_visible(False)
    return metric, values
