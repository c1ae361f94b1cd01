"""When a fit ends: scikit-learn's rules, the held-out rows of early stopping, and their score."""

import inspect
import re
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import train_test_split

from sklmlp.caller import warn
from sklmlp.compat import metric_of, takes_sample_weight, with_labels
from sklmlp.data import Dataset, check_sample_weight
from sklmlp.spelling import closest

MOST_TRAINING_ROWS = 10_000
"""The training score of an epoch is that of no more rows than this."""

SIGN_OF_RAW_ROWS = r"X_val has (text|dates|\d+ features)|X_val contains NaN|feature names"
"""Errors of an X_val that perhaps did not go through the steps before the network."""

IN_A_PIPELINE = (
    "The steps of a Pipeline do not transform X_val as they transform X unless it is told to: "
    'Pipeline(..., transform_input=["X_val"]), with metadata routing enabled.'
)


# The rules


@dataclass
class StoppingState:
    """Losses, scores and counts that decide when a fit ends; warm starts continue them.

    Attributes
    ----------
    loss_curve : list of float
        The training loss of each epoch.
    validation_scores : list of float or None
        The score on the validation rows after each epoch, with early stopping.
    best_loss, best_validation_score : float or None
    no_improvement : int
        Epochs in a row that improved by less than `tol`.
    n_rows_seen : int
    n_iter : int
        Epochs of the running fit.
    history : list of dict
        One an epoch.
    best : list of tensor or None
        The network's snapshot at the best validation score.
    """

    loss_curve: list = field(default_factory=list)
    validation_scores: list | None = None
    best_loss: float | None = np.inf
    best_validation_score: float | None = None
    no_improvement: int = 0
    n_rows_seen: int = 0
    n_iter: int = 0
    history: list = field(default_factory=list)
    best: object = None

    def start(self, early_stopping, network):
        """Begin a fit, a continued one included."""
        self.n_iter = 0
        if early_stopping:
            self.validation_scores = self.validation_scores or []
            if self.best_validation_score is None:
                self.best_validation_score = -np.inf
            self.best_loss = None
            self.best = network.snapshot()
        elif self.best_loss is None:  # the earlier fits stopped early
            self.best_loss = np.inf

    def add_epochs(self, losses, n_rows):
        """Count epochs over some rows, and their training losses."""
        self.n_iter += len(losses)
        self.n_rows_seen += n_rows * len(losses)
        self.loss_curve += losses

    def update_from_losses(self, losses, tol):
        """Tell which of the latest epochs improved the training loss."""
        best, failures = self.best_loss, self.no_improvement
        for loss in losses:
            failures = failures + 1 if loss > best - tol else 0
            if loss < best:
                best = loss
        self.best_loss, self.no_improvement = best, failures

    def update_from_score(self, score, tol, network):
        """Count an epoch; tell whether it improved the score, and keep the best weights then."""
        self.validation_scores.append(score)
        self.no_improvement = (
            self.no_improvement + 1 if score < self.best_validation_score + tol else 0
        )
        if score > self.best_validation_score:
            self.best_validation_score = score
            self.best = network.snapshot()


# The rows


@dataclass
class Subset:
    """Some rows of a dataset, as the network sees them and as the user gave them.

    Parameters
    ----------
    dataset : Dataset
        Its `index` says which rows these are.
    X, y : ndarray or sparse matrix
        All rows of the dataset, checked; y has the user's labels.
    """

    dataset: Dataset
    X: object
    y: object

    def take(self, index):
        """Take some of the rows."""
        if self.dataset.index is not None:
            index = self.dataset.index[index]
        return replace(self, dataset=replace(self.dataset, index=index))

    def rows(self):
        """X and y of these rows alone."""
        index = self.dataset.index
        return (self.X, self.y) if index is None else (self.X[index], self.y[index])


def check_validation_data(validation_data, y, early_stopping, check, has_names):
    """Check the user's own validation rows as X, y and sample_weight are checked.

    Parameters
    ----------
    validation_data : tuple of X_val, y_val and sample_weight_val
    y : ndarray
        The training targets, checked.
    early_stopping : bool
        The parameter.
    check : callable
        `check(X_val, y_val)` checks rows against what is known of X and y, and returns both.
    has_names : bool
        Whether the columns of X have names.

    Returns
    -------
    (X_val, y_val, sample_weight_val) : tuple or None
        None where there are none.
    """
    X_val, y_val, sample_weight_val = validation_data
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val is provided, but X_val was not provided.")
        return None
    if y_val is None:
        raise ValueError("X_val is provided, but y_val was not provided.")
    if X_val is None:
        raise ValueError("y_val is provided, but X_val was not provided.")
    if not early_stopping:
        raise ValueError(
            "X_val and y_val are passed to fit while at the same time early_stopping is False. "
            "When passing X_val and y_val to fit, early_stopping should be set to True."
        )
    if not has_names and any(isinstance(c, str) for c in getattr(X_val, "columns", ())):
        warn(f"X_val has column names and X has none. {IN_A_PIPELINE}")
    try:
        X_val, y_val = check(X_val, y_val)
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


def split_rows(n_samples, validation_fraction, stratify, rng):
    """Draw the rows to train on and those to validate on.

    Returns
    -------
    training, held_out : ndarray of int
    """
    try:
        parts = train_test_split(
            np.arange(n_samples),
            random_state=rng,
            test_size=validation_fraction,
            stratify=stratify,
        )
    except ValueError as error:
        raise ValueError(
            f"validation_fraction={validation_fraction!r} cannot split {n_samples} samples: {error}"
        ) from error
    if len(parts[1]) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
    return parts


# The score


class Validation:
    """Rows that are scored after each epoch.

    Parameters
    ----------
    dataset : Dataset
    score : callable
        `score(logits, loss, network)`: logits in the dataset's order, their loss, and the network
        that they are of, to a score; greater is better.
    is_loss : bool, default=False
        Whether the score is minus the loss.
    """

    def __init__(self, dataset, score, is_loss=False):
        self.dataset, self.score, self.is_loss = dataset, score, is_loss

    def evaluate(self, network, loss):
        """Compute (loss, score) of the network as it is; NaN where a logit is not finite."""
        logits, total, weight_sum = [], 0.0, 0.0
        for x, y, weight in self.dataset.slices(network.takes_sparse):
            z = network.logits(x)
            rows = loss.value(z, y)
            total += float((rows if weight is None else rows * weight).sum())
            weight_sum += float(len(x) if weight is None else weight.sum())
            logits.append(z.cpu().numpy())
        logits = np.concatenate(logits)
        mean = total / weight_sum if weight_sum else np.nan
        if not np.isfinite(logits).all():
            return mean, np.nan
        with torch.inference_mode(False):  # a user's scorer may do as it likes
            return mean, float(self.score(logits, mean, network))


def make_judges(
    training, held_out, rng, *, scoring, stops_by_loss, encode, score_logits, current_model, targets
):
    """Make what scores the held-out rows after each epoch, and some of those that are trained on.

    Rows are scored by the loss, by the estimator's own score, or by a scorer.

    Parameters
    ----------
    training, held_out : Subset
    rng : numpy.random.RandomState
        Left as it is.
    scoring : str, callable or None
        The parameter.
    stops_by_loss : bool
        Whether None stands for the loss.
    encode : callable
        Checked targets to what `score_logits` takes.
    score_logits : callable
        `score_logits(y, weight, logits, loss)`, the estimator's own score.
    current_model : callable
        A network to a fitted estimator with the weights that it has now, for scorers.
    targets : ClassTargets or None
        What a classifier knows of its classes; None for regression.

    Returns
    -------
    judges : dict
        The `Validation` of each, by their names in a `TrainingRun`.
    """
    is_loss = scoring == "loss" or (scoring is None and stops_by_loss)
    if is_loss:
        score_of = _minus_loss
    elif scoring is None:
        score_of = partial(_own_score, encode, score_logits)
    else:
        _check_name(scoring, targets)
        scorer = _scorer_with_labels(check_scoring(scoring=scoring), targets)
        score_of = partial(_score_by_scorer, scoring, scorer, current_model)
    weight, n = training.dataset.weights(), len(training.dataset)
    rows = np.arange(n) if weight is None else np.flatnonzero(weight)
    if len(rows) > MOST_TRAINING_ROWS:
        rows = np.sort(_copied(rng).choice(rows, MOST_TRAINING_ROWS, replace=False))
    if n > MOST_TRAINING_ROWS:
        training = training.take(rows)
    score = score_of(held_out)
    if scoring not in (None, "loss"):
        score = _never_nan(score, scoring)
    return {
        "training_sample": Validation(training.dataset, score_of(training), is_loss),
        "validation": Validation(held_out.dataset, score, is_loss),
    }


def _minus_loss(part):
    """Score some rows by their loss."""
    return lambda logits, loss, network: -loss


def _own_score(encode, score_logits, part):
    """Return the function of logits, loss and network that scores some rows as `score` does."""
    y, weight = encode(part.rows()[1]), part.dataset.weights()
    return lambda logits, loss, network: score_logits(y, weight, logits, network.spec.loss_function)


def _score_by_scorer(scoring, scorer, current_model, part):
    """Return the same for a scorer of scikit-learn's, or a callable."""
    (X, y), weight = part.rows(), part.dataset.weights()
    takes_weights = weight is not None and takes_sample_weight(scorer)
    known = {"sample_weight": weight} if takes_weights else {}

    def score(logits, loss, network):
        try:
            value = scorer(current_model(network), X, y, **known)
        except ValueError as error:
            raise ValueError(
                f"scoring={scoring!r} fails on the validation rows: {error}"
            ) from error
        if np.ndim(value) != 0 or np.asarray(value).dtype.kind not in "buif":
            raise ValueError(f"scoring={scoring!r} must give a number, got {value!r}.")
        return value

    return score


def _copied(rng):
    """Return a generator that draws what `rng` would, and leaves it where it is."""
    copied = np.random.RandomState()
    copied.set_state(rng.get_state())
    return copied


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


def _check_name(name, targets):
    """Raise for a name of `scoring` that is another library's, or for two classes alone."""
    if not isinstance(name, str):
        return
    meant = _OTHER_SCORES.get(name.lower())
    if meant is None and name not in get_scorer_names():
        meant = next(iter(closest(name, get_scorer_names())), None)
    if meant is not None:
        raise ValueError(f"scoring={name!r} is not a score of scikit-learn. Use scoring={meant!r}.")
    if name not in _OF_TWO_CLASSES or targets is None or targets.kind == "binary":
        return
    if name != "roc_auc" or targets.kind == "multiclass":
        raise ValueError(
            f"scoring={name!r} is for two classes, and y has {len(targets.classes_)}"
            f"{' labels' if targets.kind == 'multilabel-indicator' else ''}. Use "
            f"scoring={_OF_TWO_CLASSES[name]!r}."
        )


def _never_nan(score, scoring):
    """Return a score that refuses to be NaN for finite logits, which nothing could be judged by."""

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


def _scorer_with_labels(scorer, targets):
    """Return a scorer of probabilities whose metric is told of classes that its rows may lack."""
    if (
        targets is None
        or targets.kind == "multilabel-indicator"
        or "labels" not in inspect.signature(metric_of(scorer)).parameters
    ):
        return scorer
    return with_labels(scorer, targets.classes_) or scorer
