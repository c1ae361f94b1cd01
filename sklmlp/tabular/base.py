"""What the tabular estimators share: a fit as a story, and the networks behind a prediction."""

import time
from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import torch
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from sklmlp.compat import Interval, StrOptions, extend_html, fit_context, safe_indexing
from sklmlp.data import check_sample_weight, check_split
from sklmlp.nn import TiedNetwork, bin_edges, pad_edges
from sklmlp.prediction import learning_aside
from sklmlp.tabular import defaults
from sklmlp.tabular.architecture import layers_as_html
from sklmlp.tabular.columns import as_table
from sklmlp.tabular.encoder import TableEncoder
from sklmlp.tabular.encodings import fit_transform, transform
from sklmlp.tabular.network import Budget, Plan, best_end, ends_of_cycles
from sklmlp.training import split_rows

ROWS_OF_BINS = 100_000
"""Bins are quantiles of no more rows than these."""


LEARNED_OF_ROWS = (
    *("batch_size_", "max_iter_", "learning_rate_init_", "n_folds_"),
    *("loss_curve_", "history_"),
)
"""What "auto" was in a fit, and how it went."""

LEARNED_OF_HELD_OUT = ("temperature_", "additive_weight_")


class Rows(NamedTuple):
    """Some rows of a table, as the user gave them; they are copied when they are needed.

    `index` says which rows of the table these are; None is all of them.
    """

    table: object
    y: np.ndarray | None = None
    weight: np.ndarray | None = None
    index: np.ndarray | None = None

    @property
    def X(self):
        """The rows of the table."""
        return self.table if self.index is None else safe_indexing(self.table, self.index)

    def take(self, index):
        """Take some of the rows."""
        weight = None if self.weight is None else self.weight[index]
        of_table = index if self.index is None else self.index[index]
        return Rows(self.table, self.y[index], weight, of_table)


class FittedTable(NamedTuple):
    """An encoder, the network that was trained on its output, and that output.

    `course` is the `Course` that the training took.
    """

    encoder: object
    network: object
    X: np.ndarray
    course: object

    @property
    def edges(self):
        """Edges of the bins of numbers, see `sklmlp.nn.pad_edges`."""
        return self.network.module_params["edges"]

    @property
    def X_without_levels(self):
        """The columns that are numbers; codes of levels are the last ones."""
        return self.X[:, : np.count_nonzero(self.encoder.feature_kinds_ != "level")]


class BaseTabularMLP(BaseEstimator, ABC):
    """A network for raw tables: a subclass says what targets are and how predictions are read."""

    _parameter_constraints: dict = {  # noqa: RUF012
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "numeric_embedding": [StrOptions({"piecewise", "periodic", "both"}), None],
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "embedding_size": [Interval(Integral, 1, None, closed="left")],
        "categorical_features": "no_validation",  # the encoder has better messages
        "max_one_hot": [Interval(Integral, 2, None, closed="left")],
        "category_embedding": ["boolean"],
        "target_encoding": ["boolean"],
        "additive": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "learning_rate_init": [StrOptions({"auto"}), Interval(Real, 0, np.inf, closed="neither")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "scoring": [str, callable, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_folds": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "refit": ["boolean"],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "device": [str, torch.device],
        "callbacks": [list, None],
    }

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Fit to a table X and targets y.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
            Numbers, words and gaps.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or values to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight for each row; None weighs all the same.
        X_val : {array-like, dataframe} of shape (n_val, n_features), default=None
            Rows that choose the number of epochs, in place of a share of X. They are not trained
            on, and there is no refit then.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.

        Returns
        -------
        self : object
            The fitted estimator. A fit that fails leaves the estimator as it was.
        """
        with learning_aside(self) as aside:
            aside._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))
        return self

    def _fit(self, X, y, sample_weight, validation_data):
        started, rng = time.monotonic(), check_random_state(self.random_state)
        rows = self._check_rows(X, y, sample_weight)
        self._learn_targets(rows)
        splits = self._hold_out(rows, validation_data, rng)
        self._resolve_defaults(len(splits[0][0].y))
        has_refit = splits[0][1] is not None and validation_data[0] is None and self.refit
        fits = self._train_by_split(splits, has_refit, rng, started)

        first, _, held_out = fits[0]
        self.validation_scores_, self.loss_curve_, self.history_ = (
            getattr(first.network, name)
            for name in ("validation_scores_", "loss_curve_", "history_")
        )
        self.best_iteration_ = first.network.n_iter_
        if held_out is not None:
            self.validation_scores_ = _mean_scores(fits)
            self.best_iteration_ = self._best_length(fits)
            self._calibrate(fits)
        is_whole = fits[-1][0].network.n_iter_ == self.max_iter_ or self.callbacks
        fitted = first
        if has_refit and is_whole:
            fitted = self._refit(rows, first, len(fits), rng, started)
            if fitted is not first:
                self._complete(fitted, rows)
        self._take_over(fitted)

    def _get_params_html(self, *args, **kwargs):
        """Return what scikit-learn's diagrams show: the parameters, and the network."""
        parameters = super()._get_params_html(*args, **kwargs)
        return extend_html(parameters, lambda: layers_as_html(self))

    def fit_all(self, fits, X, y, sample_weight=None):
        """Fit to all rows what was fitted to folds of them, as the refit of `fit` does.

        The number of epochs is the one that held-out rows liked best, and the temperature and the
        weight of the additive model are the means of what they said. There is one fit, then, where
        `fit` makes two.

        Parameters
        ----------
        fits : list of TabularMLPClassifier or TabularMLPRegressor
            With the parameters of this one, each fitted with one and the same number of rows held
            out as `X_val`.
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        with learning_aside(self) as aside:
            rng = check_random_state(self.random_state)
            rows = aside._check_rows(X, y, sample_weight)
            aside._learn_targets(rows)
            for name in LEARNED_OF_ROWS:
                setattr(aside, name, getattr(fits[0], name))
            scores = np.mean([each.validation_scores_ for each in fits], axis=0)
            aside.validation_scores_ = scores.tolist()
            aside.best_iteration_ = best_end(scores, ends_of_cycles(aside.max_iter_))
            for name in LEARNED_OF_HELD_OUT:
                if hasattr(fits[0], name):
                    setattr(aside, name, float(np.mean([getattr(each, name) for each in fits])))
            fitted = aside._train(rows, aside.best_iteration_, None, rng, time.monotonic())
            aside._complete(fitted, rows)
            aside._take_over(fitted)
        return self

    def _take_over(self, fitted):
        """Predict by an encoder and its network from here on."""
        self.encoder_, self.network_ = fitted[:2]
        self.n_iter_ = self.network_.n_iter_
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
            if hasattr(self.encoder_, name):
                setattr(self, name, getattr(self.encoder_, name))

    def _train_by_split(self, splits, has_refit, rng, started):
        """Train on each split until one is cut short: a list of (FittedTable, rows, held out)."""
        n, fits = len(splits), []
        share = 1 - self.validation_fraction if n == 1 else 1 - 1 / n
        for training, held_out in splits:
            if fits and self._lacks_time(started, len(fits)):
                break
            # what follows in the other splits and the refit, over what this one takes
            following = None if fits else n - 1 + has_refit / share
            fit = self._train(training, self.max_iter_, held_out, rng, started, following)
            self.max_iter_ = fit.course.max_iter
            fits.append((fit, training, held_out))
            if fit.network.n_iter_ < self.max_iter_:
                break
        return fits

    def _best_length(self, fits):
        """Return the number of epochs that held-out rows like best."""
        return best_end(self.validation_scores_, ends_of_cycles(self.max_iter_))

    def _lacks_time(self, started, n_done):
        """Tell whether there is no time for another fit and the refit, after some fits."""
        if self.max_time is None:
            return False
        spent = time.monotonic() - started
        return spent + 2 * spent / n_done > self.max_time

    def _refit(self, rows, first, n_fits, rng, started):
        """Train again on all rows, for as long as the held-out rows liked it best."""
        n_epochs = self.best_iteration_
        if self.max_time is not None:
            spent = time.monotonic() - started
            epoch = spent / n_fits / first.network.n_iter_
            needed = epoch * n_epochs / (1 - self.validation_fraction)
            if spent + needed > self.max_time:
                return first
        if self.verbose:
            print(f"Refit on all rows for {n_epochs} epochs")
        again = self._train(rows, n_epochs, None, rng, started)
        # Ctrl-C or the clock ended it at a high learning rate
        return again if again.network.n_iter_ == n_epochs else first

    def _hold_out(self, rows, validation_data, rng):
        """Return the rows to train on and those that choose the number of epochs, by split.

        There are several splits of cross-validation, and no rows to choose of a few.
        """
        X_val, y_val, weight_val = validation_data
        self.n_folds_ = 1
        if X_val is not None or y_val is not None:
            if X_val is None or y_val is None:
                given, missing = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
                raise ValueError(f"{given} is provided, but {missing} was not provided.")
            return [(rows, self._check_rows(X_val, y_val, weight_val, "_val"))]
        if weight_val is not None:
            raise ValueError("sample_weight_val is provided, but X_val was not provided.")
        n = len(rows.y)
        if n < defaults.LEAST_ROWS:
            return [(rows, None)]
        self.n_folds_ = self.n_folds
        if self.n_folds == "auto":
            can_fold = self.refit and not self.callbacks
            self.n_folds_ = defaults.n_folds(n) if can_fold else 1
        elif self.n_folds > 1 and not self.refit:
            raise ValueError(
                f"n_folds={self.n_folds} needs refit=True: networks of folds are for choosing the "
                "number of epochs, and none of them is the model."
            )
        if self.n_folds_ > 1:
            splits = [tuple(map(rows.take, index)) for index in self._folds(rows, rng)]
            splits = [each for each in splits if all(_has_weight(part) for part in each)]
            if splits:
                return splits
        training, held_out = map(rows.take, self._split(rows, rng))
        check_split(training.weight, held_out.weight)
        return [(training, held_out)]

    def _split(self, rows, rng):
        """Draw the rows to train on and those to hold out."""
        return split_rows(len(rows.y), self.validation_fraction, None, rng)

    def _folds(self, rows, rng):
        """Yield the rows to train on and those to hold out, by fold.

        Classes are dealt out evenly. One that has rows in a single fold is trained on in all.
        """
        classes = self._classes_of(rows)
        order = rng.permutation(len(classes))
        order = order[np.argsort(classes[order], kind="stable")]
        fold = np.empty(len(classes), int)
        fold[order] = np.arange(len(classes)) % self.n_folds_
        for number in range(self.n_folds_):
            is_held_out = fold == number
            is_held_out &= np.isin(classes, classes[~is_held_out])
            yield np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)

    def _classes_of(self, rows):
        """Return what folds are to have in the same proportions, a number for each row."""
        return np.zeros(len(rows.y), int)

    def _resolve_defaults(self, n):
        """Say what "auto" stands for."""
        self.batch_size_ = self.batch_size
        if self.batch_size == "auto":
            self.batch_size_ = defaults.batch_size(n)
        self.max_iter_ = self.max_iter
        if self.max_iter == "auto":
            self.max_iter_ = defaults.max_iter(n, self.batch_size_)
        self.learning_rate_init_ = self.learning_rate_init
        if self.learning_rate_init == "auto":
            task = "classification" if is_classifier(self) else "regression"
            self.learning_rate_init_ = defaults.LEARNING_RATE_INIT[task]

    def _train(self, rows, n_epochs, held_out, rng, started, following=None):
        """Encode rows and train a network on them: a `FittedTable`.

        With `max_time` the schedule may become shorter. `following` is how long what follows
        takes, over this fit; None leaves the schedule as it is.
        """
        began = time.monotonic()
        seeds = rng.randint(np.iinfo(np.int32).max, size=2).tolist()
        encoder = TableEncoder(
            self.categorical_features,
            max_one_hot=self.max_one_hot,
            target_encoding=self.target_encoding,
            level_codes=self.category_embedding,
            target_type=self._target_type(),
            random_state=seeds[0],
        )
        encoder, X = fit_transform(encoder, rows)
        network = self._make_network(
            module=TiedNetwork,
            module_params=self._module_params(X, encoder),
            learning_rate_init=self.learning_rate_init_,
            batch_size=min(self.batch_size_, len(rows.y)),
            max_iter=self.max_iter_,
            early_stopping=held_out is not None,
            scoring=self.scoring if held_out is not None else None,
            n_iter_no_change=np.inf,
            tol=0.0,
            alpha=0.0,
            beta_2=0.95,
            max_time=self._time_left(started),
            random_state=seeds[1],
            verbose=self.verbose,
            device=self.device,
            dtype="float32",
            callbacks=self.callbacks if held_out is not None or not self.refit else None,
        )
        validation, budget = {}, None
        if held_out is not None:
            validation = {
                "X_val": transform(encoder, held_out),
                "y_val": held_out.y,
                "sample_weight_val": held_out.weight,
            }
        if self.max_time is not None and following is not None:
            overhead = following * (time.monotonic() - began)
            budget = Budget(self._time_left(started), following, overhead)
        plan = Plan(
            n_epochs, defaults.MATRIX_FACTOR, defaults.SCALE_FACTOR, defaults.WEIGHT_DECAY, budget
        )
        course = network.fit_by(plan, X, rows.y, rows.weight, **validation)
        return FittedTable(encoder, network, X, course)

    def _time_left(self, started):
        if self.max_time is None:
            return None
        return max(0.0, self.max_time - (time.monotonic() - started))

    def _module_params(self, X, encoder):
        """Return the arguments of the `TiedNetwork` for encoded rows, (n, d)."""
        n_numbers = np.count_nonzero(encoder.feature_kinds_ == "numeric")
        if self.numeric_embedding is None:
            n_numbers = 0
        sample = X[:: -(-len(X) // ROWS_OF_BINS), :n_numbers]
        edges = pad_edges([bin_edges(column, self.n_bins) for column in sample.T])
        sizes = self.hidden_layer_sizes
        return {
            "edges": edges,
            "blocks": np.asarray(encoder.feature_blocks_),
            "hidden_layer_sizes": tuple(sizes) if np.ndim(sizes) else (sizes,),
            "n_members": self.n_estimators,
            "embedding_size": self.embedding_size,
            "dropout": self.dropout,
            "average": self._average(),
            "numeric_embedding": self.numeric_embedding or "piecewise",
            "frequency_scale": defaults.FREQUENCY_SCALE,
            "n_levels": encoder.n_levels_,
        }

    def _encoded(self, X):
        """Return the network, and the encoded rows of a prediction for it."""
        known = vars(self)
        check_is_fitted(self, "network_")
        # links compute in float64 then, and the network in float32 all the same
        return known["network_"], transform(known["encoder_"], Rows(X)).astype(np.float64)

    def _check_rows(self, X, y, sample_weight, suffix=""):
        """Check targets and weights; the encoder checks X."""
        y = self._check_targets(y, f"y{suffix}")
        X = as_table(X, f"X{suffix}")
        check_consistent_length(X, y)
        weight = check_sample_weight(sample_weight, len(y), f"sample_weight{suffix}")
        return Rows(X, y, weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    @abstractmethod
    def _check_targets(self, y, name):
        """Return checked targets, an array."""

    @abstractmethod
    def _learn_targets(self, rows):
        """Learn what predictions are made of, such as classes."""

    @abstractmethod
    def _make_network(self, **params):
        """Return the estimator of encoded rows, with the loss."""

    @abstractmethod
    def _target_type(self):
        """Return what targets are to `TableEncoder`."""

    @abstractmethod
    def _average(self):
        """Return how predictions of members are averaged, a key of `sklmlp.nn.tied.AVERAGES`."""

    def _calibrate(self, fits):
        """Learn from held-out rows what is to be made of predictions.

        `fits` are a FittedTable, the rows that it was trained on and those held out, by split.
        """

    def _complete(self, fitted, rows):
        """Fit what stands beside the network again, to all rows."""
        if self.additive_weight_:
            self.additive_ = self._fit_additive(fitted, rows)

    @abstractmethod
    def _fit_additive(self, fitted, rows):
        """Return the `AdditiveModel` of what a FittedTable was trained on."""

    def _blended(self, predicted, other):
        """Return predictions with those of the additive model, by its weight."""
        share = self.additive_weight_
        return (1 - share) * predicted + share * other


def _has_weight(rows):
    """Tell whether there are rows, and some of them have weight."""
    return len(rows.y) > 0 and (rows.weight is None or rows.weight.any())


def _mean_scores(fits):
    """Return the mean score of held-out rows after each epoch, over splits by their weight."""
    scores = [fit.network.validation_scores_ for fit, _, _ in fits]
    n_epochs = min(map(len, scores))
    parts = [held_out for _, _, held_out in fits]
    sizes = [len(part.y) if part.weight is None else part.weight.sum() for part in parts]
    return np.average([each[:n_epochs] for each in scores], axis=0, weights=sizes).tolist()
