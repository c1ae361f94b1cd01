"""Write the results of the quickstart: a model that another process can load, and a picture."""

import subprocess
import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import ConfusionMatrixDisplay

LOAD_AND_PREDICT = """
import sys, joblib
model_file, inputs, outputs = sys.argv[1:]
model, (X, methods) = joblib.load(model_file), joblib.load(inputs)
joblib.dump([getattr(model, method)(X) for method in methods], outputs)
"""


def save_and_reload(model, X, output):
    """Save a model into a folder, and let a new process load it and predict the same."""
    output.mkdir(parents=True, exist_ok=True)
    model_file = output / "model.joblib"
    joblib.dump(model, model_file)
    methods = ["predict", "predict_proba"] if is_classifier(model) else ["predict"]
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "inputs", Path(folder) / "outputs"
        joblib.dump((X, methods), inputs)
        subprocess.run(
            [sys.executable, "-c", LOAD_AND_PREDICT, model_file, inputs, outputs], check=True
        )
        reloaded = joblib.load(outputs)
    here = [getattr(model, method)(X) for method in methods]
    if not all(np.array_equal(*pair) for pair in zip(here, reloaded, strict=True)):
        sys.exit("quickstart: the reloaded model predicts otherwise")
    size = model_file.stat().st_size / 1024
    print(
        f"Saved {model_file} ({size:.0f} kB); a new process loads it and gives identical "
        "predictions"
    )


def draw_confusion(ax, y, predicted, classes):
    """Draw which classes are taken for which, each row of the matrix as shares."""
    few = len(classes) <= 12
    display = ConfusionMatrixDisplay.from_predictions(
        y, predicted, labels=classes, normalize="true", values_format=".2f", include_values=few,
        colorbar=False, cmap="Blues", ax=ax, im_kw={"vmin": 0, "vmax": 1},
        xticks_rotation="vertical" if max(map(len, map(str, classes))) > 3 else "horizontal",
        text_kw={"fontsize": "small"},
    )  # fmt: skip
    for text in display.text_.ravel() if few else []:
        text.set_text(text.get_text().replace("0.00", ""))  # what is left to read are the errors
    if not few:
        ax.figure.colorbar(display.im_, ax=ax, label="share of the true class")
    ax.set(xlabel="predicted", ylabel="true (each row adds up to 1)")


def draw_values(ax, y, predicted):
    """Draw true against predicted values."""
    low, high = np.percentile(np.r_[y, predicted], [0.1, 99.9])  # a few far points hide the rest
    ax.plot([low, high], [low, high], color="#8a8a8a", linestyle="--", linewidth=1)
    dots = dict(s=8, alpha=0.3, linewidth=0) if len(y) > 500 else dict(s=18, alpha=0.6)
    ax.scatter(predicted, y, color="#0072b2", **dots)
    ax.set(xlim=(low, high), ylim=(low, high), xlabel="predicted", ylabel="true", aspect="equal")
    ax.spines[["top", "right"]].set_visible(False)


def save_picture(figure, output):
    """Save a figure into the folder."""
    picture_file = output / "quickstart.png"
    figure.savefig(picture_file, dpi=150)
    print(f"Picture: {picture_file}")
