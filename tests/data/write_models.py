"""Write the models that every later version has to read: `python -m tests.data.write_models`.

Run once for each release, before it, and for each new format of states: a folder that is there is
left as it is.
"""

import warnings
from pathlib import Path

import joblib
import numpy as np
import skops.io
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklmlp
from sklmlp.io.state import FORMAT
from tests.tables import make, make_table

MODELS = Path(__file__).parent / "models"


def models():
    """Estimators by name, each with the kind of table that it is fitted to."""
    layers = {"hidden_layer_sizes": (8, 4), "activation": ["prelu", ("elu", {"alpha": 0.5})]}
    return {
        "classifier": ("multiclass", make("multiclass", early_stopping=True, **layers)),
        "regressor": ("regressions", make("regressions", dtype="float32", activation="glu")),
        "multilabel": ("multilabel", make("multilabel", activation="multihead_attention")),
        "ensemble": ("binary", make("binary", n_estimators=3)),
        "incremental": ("counts", make("counts", solver="sgd", learning_rate_init=1e-3)),
        "pipeline": (
            "multiclass",
            make_pipeline(StandardScaler(), make("multiclass", solver="lbfgs")),
        ),
    }


def predictions(model, X):
    """What a model says of rows, by method."""
    methods = ("predict", "predict_proba")
    return {name: getattr(model, name)(X) for name in methods if hasattr(model, name)}


def write(folder):
    """Fit and save every model, with its rows and predictions."""
    folder.mkdir(parents=True)
    for name, (kind, model) in models().items():
        X, y = make_table(kind)
        y = np.array(["ash", "beech", "cedar"])[y] if name == "pipeline" else y
        model.fit(X, y)
        if name == "incremental":
            model.partial_fit(X, y)
        joblib.dump(model, folder / f"{name}.joblib", compress=True)
        skops.io.dump(model, folder / f"{name}.skops", compression=8)
        np.savez_compressed(folder / f"{name}.npz", X=X, y=y, **predictions(model, X))


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    write(MODELS / f"{sklmlp.__version__}-format-{FORMAT}")
