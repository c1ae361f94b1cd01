"""Serve a saved model as JSON over HTTP: `pip install sklmlp[serve,skops]`, then

    python examples/serve.py model.skops

If the file does not exist, a model is fitted and saved first. POST {"rows": [{"sepal length (cm)":
5.1, ...}]} to /predict, or {"rows": [[5.1, 3.5, 1.4, 0.2]]} with the values in the order of the
columns. Columns and types are those that the model was fitted on; /docs shows them. A missing value
is null. Requests that the schema or the model refuses get status 422 with the reason.
"""

# %% A pipeline to serve, saved in a format that runs no code on loading
import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import skops.io
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    FailFast,
    Field,
    StrictBool,
    StrictStr,
    Tag,
    ValidationError,
    create_model,
)
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier
from sklmlp.io import column_types, load_skops

MOST_BYTES, MOST_ROWS, MOST_SECONDS = 2**20, 10_000, 10  # of a request, and to receive it
MOST_REQUESTS, MOST_CHARACTERS = 32, 500  # at a time, and of a reason


def save_a_model(path):
    """Fit a classifier of irises and save it."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    species = load_iris().target_names[y]
    mlp = MLPClassifier((16,), solver="lbfgs", random_state=0)
    skops.io.dump(make_pipeline(StandardScaler(), mlp).fit(X, species), path)


# %% The input and the output; FastAPI checks them and documents them at /docs
class Strict(BaseModel):
    """Nothing is taken that has no meaning."""

    model_config = ConfigDict(extra="forbid")


Whole = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
KINDS = {"U": StrictStr, "b": StrictBool, "i": Whole, "f": Real}


class Predictions(BaseModel):
    """A label or value for each row, and where there are classes their probabilities."""

    predictions: list
    probabilities: list[dict[str, float]] | None = None


def make_schema(types):
    """The request's schema: rows as objects from column name to value, or as lists of values."""
    unused = StrictStr | StrictBool | Real
    columns = {name: unused if t is None else KINDS[t.kind] for name, t in types.items()}
    fields = {  # columns that the model drops may be left out
        f"column_{i}": (kind | None, Field(None if types[name] is None else ..., alias=name))
        for i, (name, kind) in enumerate(columns.items())
    }
    by_name = create_model("Row", __base__=Strict, **fields)
    by_position = tuple[tuple(kind | None for kind in columns.values())]
    row = Annotated[
        Annotated[by_name, Tag("object")] | Annotated[by_position, Tag("list")],
        Discriminator(lambda row: "object" if isinstance(row, dict | BaseModel) else "list"),
    ]
    rows = Annotated[list[row], Field(min_length=1, max_length=MOST_ROWS), FailFast()]
    return create_model("Rows", __base__=Strict, rows=(rows, ...))


def as_table(rows, types, has_names):
    """The rows as the model was fitted on them: a data frame where it knows names."""
    rows = [tuple(row) if isinstance(row, list | tuple) else [v for _, v in row] for row in rows]
    columns = [
        np.array([np.nan if value is None else value for value in values],
                 dtype=None if all(type(value) in (int, float, bool) for value in values) else
                 float if dtype is not None and dtype.kind in "if" else object)
        for values, dtype in zip(zip(*rows, strict=True), types.values(), strict=True)
    ]  # fmt: skip
    if not has_names:
        kinds = {column.dtype.kind for column in columns}
        return np.stack([c.astype(object) if "O" in kinds else c for c in columns], axis=1)
    import pandas as pd

    return pd.DataFrame(dict(zip(types, columns, strict=True)))


# %% Limits: count the bytes of a request while it arrives, before it is parsed
class Limited:
    """Refuse requests that are too large or too slow."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MOST_BYTES:
            refusal = JSONResponse({"detail": f"at most {MOST_BYTES} bytes are taken"}, 413)
            return await refusal(scope, receive, send)
        received, end = 0, time.monotonic() + MOST_SECONDS

        async def limited():
            nonlocal received
            try:
                message = await asyncio.wait_for(receive(), max(0, end - time.monotonic()))
            except TimeoutError:
                raise HTTPException(408, f"the request took more than {MOST_SECONDS} s") from None
            received += len(message.get("body", b""))
            if received > MOST_BYTES:
                raise HTTPException(413, f"at most {MOST_BYTES} bytes are taken")
            return message

        return await self.app(scope, limited, send)


# %% The application: the model is loaded once, and predicts in threads beside the event loop
def make_app(model):
    """The application that serves a fitted estimator or pipeline."""
    types, has_names = column_types(model), hasattr(model, "feature_names_in_")
    Rows = make_schema(types)
    schema = Rows.model_json_schema(ref_template="#/components/schemas/{model}")
    parts = schema.pop("$defs")
    app = FastAPI(title="sklmlp")
    app.add_middleware(Limited)

    def predict(body):
        """Predict for the bytes of a request, and return the bytes of a response."""
        try:
            rows = Rows.model_validate_json(body).rows
            table = as_table(rows, types, has_names)
            response = Predictions(predictions=model.predict(table).tolist())
            if hasattr(model, "predict_proba"):
                labels = [str(label) for label in model.classes_]
                response.probabilities = [
                    dict(zip(labels, row, strict=True)) for row in model.predict_proba(table)
                ]
        except ValidationError as error:  # the first reasons, without what was sent
            reasons = error.errors(include_url=False, include_context=False, include_input=False)
            raise HTTPException(422, [in_short(reason) for reason in reasons[:5]]) from None
        except ValueError as error:
            raise HTTPException(422, str(error)[:MOST_CHARACTERS]) from None
        return response.model_dump_json()

    def in_short(reason):
        where = [str(part)[:50] for part in reason["loc"]]
        return {"loc": where, "msg": reason["msg"][:MOST_CHARACTERS]}

    @app.get("/health")
    async def health():
        return {"status": "ok"}

    body_of_rows = {"required": True, "content": {"application/json": {"schema": schema}}}

    @app.post("/predict", response_model=Predictions, openapi_extra={"requestBody": body_of_rows})
    async def predict_rows(request: Request):
        body = await request.body()
        return Response(await run_in_threadpool(predict, body), media_type="application/json")

    made = app.openapi()
    made["components"]["schemas"].update(parts)
    return app


# %% One process; for more, use `gunicorn --preload` or several containers
if __name__ == "__main__":
    file = Path(sys.argv[1] if len(sys.argv) > 1 else "model.skops")
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 8000
    if not file.exists():
        save_a_model(file)
    app = make_app(load_skops(file))
    uvicorn.run(app, host="127.0.0.1", port=port, limit_concurrency=MOST_REQUESTS)
