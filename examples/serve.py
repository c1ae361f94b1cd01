"""Serve a saved model as JSON over HTTP: `pip install sklmlp[serve,skops]`, then

    python examples/serve.py model.skops

Without a file it fits and saves one first. POST {"rows": [[5.1, 3.5, 1.4, 0.2]]} to /predict, or a
list of objects by column name where the model knows names. What the model refuses comes back as
status 422 with its message.
"""

# %% A pipeline that is worth serving, saved in a format that runs no code when it is loaded
import sys
from pathlib import Path

import skops.io
import uvicorn
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier
from sklmlp.io import load_skops


def save_a_model(path):
    """Fit a classifier of irises and save it."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    species = load_iris().target_names[y]
    mlp = MLPClassifier((16,), solver="lbfgs", random_state=0)
    skops.io.dump(make_pipeline(StandardScaler(), mlp).fit(X, species), path)


# %% What goes in and what comes out; FastAPI checks it and documents it at /docs
class Request(BaseModel):
    """Rows as lists of numbers, or as objects from column name to number."""

    model_config = ConfigDict(extra="forbid")
    rows: list[list[float]] | list[dict[str, float]] = Field(min_length=1)


class Answer(BaseModel):
    """A label or value for each row, and where there are classes their probabilities."""

    predictions: list
    probabilities: list[dict[str, float]] | None = None


# %% The application: the model is loaded once, and predicts in any thread
def make_app(path):
    """The application that serves the model in a file."""
    model = load_skops(path)
    names = getattr(model, "feature_names_in_", None)
    app = FastAPI(title="sklmlp")

    def as_table(rows):
        if names is None:
            return rows
        import pandas as pd

        if isinstance(rows[0], dict):
            return pd.DataFrame(rows)  # scikit-learn refuses other names, and another order
        if any(len(row) != len(names) for row in rows):
            raise ValueError(f"a row takes {len(names)} numbers: {', '.join(names)}")
        return pd.DataFrame(rows, columns=names)

    @app.get("/health")
    def health():
        return {"status": "ok"}

    @app.post("/predict")
    def predict(request: Request) -> Answer:
        try:
            table = as_table(request.rows)
            answer = Answer(predictions=model.predict(table).tolist())
            if hasattr(model, "predict_proba"):
                labels = [str(label) for label in model.classes_]
                answer.probabilities = [
                    dict(zip(labels, row, strict=True)) for row in model.predict_proba(table)
                ]
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        return answer

    return app


# %% One process; put `gunicorn --preload` or several containers in front for more
if __name__ == "__main__":
    file = Path(sys.argv[1] if len(sys.argv) > 1 else "model.skops")
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 8000
    if not file.exists():
        save_a_model(file)
    uvicorn.run(make_app(file), host="127.0.0.1", port=port)
