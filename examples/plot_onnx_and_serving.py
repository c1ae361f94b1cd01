"""
From a fit to an answer over HTTP
=================================

A fitted pipeline becomes one ONNX file, which onnxruntime computes without Python's scientific
stack. A few lines of FastAPI answer requests with it. Here the client lives in the same process,
so that no port is opened.

Needs ``pip install 'sklmlp[onnx,serve,plot]' onnxruntime httpx``.
"""

# %%
# Irises by the length and width of their petals (Fisher 1936).

import asyncio

import httpx
import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
from fastapi import FastAPI
from pydantic import BaseModel, Field, FiniteFloat
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier
from sklmlp.io import to_onnx

iris = load_iris()
X, y = iris.data[:, 2:], iris.target_names[iris.target]
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
network = MLPClassifier((16,), "tanh", solver="lbfgs", alpha=0.1, random_state=0)
model = make_pipeline(StandardScaler(), network).fit(X_train, y_train)

# %%
# The scaler, the network and the labels are one graph. It needs neither sklmlp nor torch.

file = to_onnx(model).SerializeToString()
session = onnxruntime.InferenceSession(file)
print(f"{len(file):,} bytes; {len(session.get_inputs())} input: {session.get_inputs()[0].name}")

# %%
# The application checks what comes in, asks the session, and answers. ``examples/serve.py`` in the
# repository is one for production, with limits on the size, time and number of requests.


class Rows(BaseModel):
    """What a client sends: rows of two lengths in centimetres."""

    rows: list[tuple[FiniteFloat, FiniteFloat]] = Field(min_length=1, max_length=10_000)


app = FastAPI()


@app.post("/predict")
def predict(body: Rows):
    """Return the species of each row and the probabilities of all three."""
    labels, probabilities = session.run(None, {"X": np.array(body.rows, dtype=np.float32)})
    return {"labels": labels.tolist(), "probabilities": probabilities.tolist()}


# %%
# The answers are the pipeline's own, to the precision of float32; a row that lacks a number is
# refused. A client over the network would leave out the ``transport``, and name the server.


async def post(rows):
    """Ask for predictions of rows."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://model") as client:
        return await client.post("/predict", json={"rows": rows})


answer = asyncio.run(post(X_test.tolist())).json()  # in a notebook: await post(...)
gap = np.abs(np.array(answer["probabilities"]) - model.predict_proba(X_test))
print(f"largest difference from predict_proba: {gap.max():.1e}")
refusal = asyncio.run(post([[4.7]]))
print(refusal.status_code, refusal.json()["detail"][0]["msg"])

assert answer["labels"] == model.predict(X_test).tolist()
assert gap.max() < 1e-5
assert refusal.status_code == 422

# %%
# The server's predictions at every point of a grid. Colors are its
# probabilities; points are held-out flowers.

lengths, widths = np.linspace(0.5, 7.5, 90), np.linspace(0, 2.8, 60)
grid = np.stack(np.meshgrid(lengths, widths), axis=-1)
answers = asyncio.run(post(grid.reshape(-1, 2).tolist())).json()
colours = np.array([[0, 114, 178], [230, 159, 0], [0, 158, 115]]) / 255
mixed = 1 - 0.55 * np.array(answers["probabilities"]) @ (1 - colours)

figure, ax = plt.subplots(figsize=(7, 4.8), layout="constrained")
ax.imshow(
    mixed.reshape(*grid.shape[:2], 3), origin="lower", aspect="auto", interpolation="bilinear",
    extent=(lengths[0], lengths[-1], widths[0], widths[-1]),
)  # fmt: skip
for species, colour in zip(model.classes_, colours, strict=True):
    ax.scatter(*X_test[y_test == species].T, color=colour, edgecolor="white", s=45, label=species)
accuracy = np.mean(np.array(answer["labels"]) == y_test)
ax.set(xlabel="petal length (cm)", ylabel="petal width (cm)")
ax.set_title(f"{grid[..., 0].size:,} answers over HTTP; {accuracy:.0%} of held-out flowers right")
ax.legend(loc="upper left")
assert accuracy > 0.9

# sphinx_gallery_start_ignore
# With a folder as argument, the picture is saved there, not shown.
import sys
from pathlib import Path

if len(sys.argv) > 1:
    figure.savefig(Path(sys.argv[1]) / "plot_onnx_and_serving.png", dpi=150)
else:
    plt.show()
# sphinx_gallery_end_ignore
