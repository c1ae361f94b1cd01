"""What a fit is judged by: rows to score, how to score them, and the model of the moment."""

import copy
import difflib
import inspect
import re
from dataclasses import dataclass, replace

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring, get_scorer_names

from sklmlp.caller import warn
from sklmlp.compat import CALLBACKS, metric_of, with_labels
from sklmlp.data import Dataset, check_sample_weight
from sklmlp.training import Validation

MOST_TRAINING_ROWS = 10_000
"""The training score of an epoch is that of no more rows than this."""

SIGN_OF_RAW_ROWS = r"X_val has (text|dates|\d+ features)|X_val contains NaN|feature names"
"""Errors of an X_val that perhaps did not go through the steps before the network."""

IN_A_PIPELINE = (
    "The steps of a Pipeline do not transform X_val as they transform X unless it is told to: "
    'Pipeline(..., transform_input=["X_val"]), with metadata routing enabled.'
)
STOPPED_BY_LOSS = ("gamma", "gaussian")
"""Losses of distributions that scikit-learn lacks and whose fit R2 does not measure."""


@dataclass
class Subset:
    """Some rows of a table, as the network sees them and as the user gave them.

    Parameters
    ----------
    table : Dataset
        Its `index` says which rows these are.
    X, y : ndarray or sparse matrix
        All rows of the table, checked; y has the user's labels.
    """

    table: Dataset
    X: object
    y: object

    def take(self, index):
        """The part that has these of the rows."""
        if self.table.index is not None:
            index = self.table.index[index]
        return replace(self, table=replace(self.table, index=index))

    def rows(self):
        """X and y of the part."""
        index = self.table.index
        return (self.X, self.y) if index is None else (self.X[index], self.y[index])


def check_validation_set(estimator, y, X_val, y_val, sample_weight_val):
    """The user's own validation rows, checked as X, y and sample_weight are; or None.

    Returns
    -------
    (X_val, y_val, sample_weight_val) : tuple or None
    """
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val is provided, but X_val was not provided.")
        return None
    if y_val is None:
        raise ValueError("X_val is provided, but y_val was not provided.")
    if X_val is None:
        raise ValueError("y_val is provided, but X_val was not provided.")
    if not estimator.early_stopping:
        raise ValueError(
            "X_val and y_val are passed to fit while at the same time early_stopping is False. "
            "When passing X_val and y_val to fit, early_stopping should be set to True."
        )
    names = "X_val", "y_val"
    columns = getattr(X_val, "columns", ())
    if not hasattr(estimator, "feature_names_in_") and any(isinstance(c, str) for c in columns):
        warn(f"X_val has column names and X has none. {IN_A_PIPELINE}")
    try:
        # as the rows of a partial fit: of the names, width and labels that are known
        X_val, y_val = estimator._validate(X_val, y_val, False, incremental=True, names=names)
    except (ValueError, TypeError) as error:
        message = f"X_val and y_val do not fit X and y: {error}"
        if re.search(SIGN_OF_RAW_ROWS, str(error)):
            message += f"\n{IN_A_PIPELINE}"
        raise (TypeError if isinstance(error, TypeError) else ValueError)(message) from error
    if y_val.shape[1:] != y.shape[1:]:
        raise ValueError(
            f"y_val has the shape {y_val.shape}, which does not go with y of shape {y.shape}."
        )
    weight = check_sample_weight(sample_weight_val, X_val.shape[0], "sample_weight_val")
    return X_val, y_val, weight


def attach_validation(fit, estimator, training, held_out, dtype):
    """Let a fit be judged by the rows that are held out, beside some of those it trains on.

    Parameters
    ----------
    fit : TrainingRun
    estimator : MLPClassifier or MLPRegressor
        Of this network alone.
    training, held_out : Subset
    dtype : numpy.dtype
        Of the weights that a scorer sees.
    """
    scorer, is_loss = None, stops_by_loss(estimator)
    if estimator.scoring not in (None, "loss"):
        _check_name(estimator)
        scorer = _scorer_with_labels(check_scoring(estimator, estimator.scoring), estimator)
    weight = training.table.weights()
    rows = np.arange(len(training.table)) if weight is None else np.flatnonzero(weight)
    if len(rows) > MOST_TRAINING_ROWS:
        rows = np.sort(_twin(fit.rng).choice(rows, MOST_TRAINING_ROWS, replace=False))
    if len(training.table) > MOST_TRAINING_ROWS:
        training = training.take(rows)
    fit.training_sample, fit.validation = (
        Validation(part.table, _score_of(part, estimator, scorer, dtype), is_loss)
        for part in (training, held_out)
    )
    if scorer is not None:
        fit.validation.score = _never_nan(fit.validation.score, estimator.scoring)


def stops_by_loss(estimator):
    """Whether early stopping looks at the validation loss."""
    scoring = estimator.scoring
    return scoring == "loss" or (scoring is None and estimator._loss_name() in STOPPED_BY_LOSS)


def snapshot_estimator(estimator, network, dtype):
    """A fitted copy of an estimator with the weights that its network has now.

    It takes checked rows, so it knows no names of features.
    """
    model = copy.copy(estimator)
    for name in ("feature_names_in_", "estimators_", CALLBACKS):
        vars(model).pop(name, None)
    model._set_network(network.weights(dtype), network)
    return model


def _twin(rng):
    """A generator that draws what `rng` would, and leaves it where it is."""
    twin = np.random.RandomState()
    twin.set_state(rng.get_state())
    return twin


def _score_of(part, estimator, scorer, dtype):
    """The function of logits, loss and network that `scoring` makes a part's score."""
    weight = part.table.weights()
    if stops_by_loss(estimator):
        return lambda logits, loss, network: -loss
    X, y = part.rows()
    if scorer is None:
        y = estimator._encode(y)
        return lambda logits, loss, network: estimator._score_logits(
            y, weight, logits, network.spec.loss_function
        )
    known = {} if weight is None or not _takes_weights(scorer) else {"sample_weight": weight}

    def score(logits, loss, network):
        try:
            value = scorer(snapshot_estimator(estimator, network, dtype), X, y, **known)
        except ValueError as error:
            raise ValueError(
                f"scoring={estimator.scoring!r} fails on the validation rows: {error}"
            ) from error
        if np.ndim(value) != 0 or np.asarray(value).dtype.kind not in "buif":
            raise ValueError(f"scoring={estimator.scoring!r} must give a number, got {value!r}.")
        return value

    return score


_OTHER_SCORES = {
    **{"acc": "accuracy", "accuracy_score": "accuracy", "auc": "roc_auc", "auroc": "roc_auc"},
    **{"f1_score": "f1", "log_loss": "neg_log_loss", "logloss": "neg_log_loss"},
    **{"cross_entropy": "neg_log_loss", "mse": "neg_mean_squared_error", "r2_score": "r2"},
    **{"mean_squared_error": "neg_mean_squared_error", "rmse": "neg_root_mean_squared_error"},
    **{"mae": "neg_mean_absolute_error", "mean_absolute_error": "neg_mean_absolute_error"},
    **{"val_loss": "loss", "valid_loss": "loss"},
}
"""What other libraries call a score -> scikit-learn's name."""

_OF_TWO_CLASSES = {
    "roc_auc": "roc_auc_ovr",
    **{name: f"{name}_macro" for name in ("f1", "precision", "recall", "jaccard")},
}
"""Scores of two classes -> their counterparts for several."""


def _check_name(estimator):
    """Raise for a name of `scoring` that is another library's, or for two classes alone."""
    name = estimator.scoring
    if not isinstance(name, str):
        return
    meant = _OTHER_SCORES.get(name.lower())
    if meant is None and name not in get_scorer_names():
        meant = next(iter(difflib.get_close_matches(name, get_scorer_names(), n=1)), None)
    if meant is not None:
        raise ValueError(f"scoring={name!r} is not a score of scikit-learn. Use scoring={meant!r}.")
    if name in _OF_TWO_CLASSES and is_classifier(estimator):
        targets = estimator._class_targets
        if targets.kind != "binary" and (name != "roc_auc" or targets.kind == "multiclass"):
            raise ValueError(
                f"scoring={name!r} is for two classes, and y has {len(estimator.classes_)}"
                f"{' labels' if targets.kind == 'multilabel-indicator' else ''}. Use "
                f"scoring={_OF_TWO_CLASSES[name]!r}."
            )


def _never_nan(score, scoring):
    """A score that refuses to be NaN for finite logits, which nothing could be judged by."""

    def checked(logits, loss, network):
        value = score(logits, loss, network)
        if np.isnan(value):
            raise ValueError(
                f"scoring={scoring!r} is NaN on the validation rows, perhaps for the want of a "
                "class in them. Pass X_val and y_val that have all classes, raise "
                "validation_fraction, or choose another scoring."
            )
        return value

    return checked


def _takes_weights(scorer):
    parameters = inspect.signature(metric_of(scorer)).parameters.values()
    return any(p.name == "sample_weight" or p.kind is p.VAR_KEYWORD for p in parameters)


def _scorer_with_labels(scorer, estimator):
    """A scorer of probabilities whose metric is told of classes that its rows may lack."""
    if (
        not is_classifier(estimator)
        or estimator._class_targets.kind == "multilabel-indicator"
        or "labels" not in inspect.signature(metric_of(scorer)).parameters
    ):
        return scorer
    return with_labels(scorer, estimator.classes_) or scorer
