"""What the tabular estimators share: a fit as a story, and the networks behind a prediction."""

import time
from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from sklmlp.compat import Interval, StrOptions, fit_context, safe_indexing
from sklmlp.data import check_sample_weight, check_split
from sklmlp.nn import TiedNetwork, bin_edges, pad_edges
from sklmlp.prediction import learning_aside
from sklmlp.tabular import defaults
from sklmlp.tabular.encoder import TableEncoder
from sklmlp.tabular.network import Budget, Plan, best_end, ends_of_cycles
from sklmlp.training import split_rows

ROWS_OF_BINS = 100_000
"""Bins are quantiles of no more rows than these."""


class Rows(NamedTuple):
    """Some rows of a table, as the user gave them."""

    X: object
    y: np.ndarray
    weight: np.ndarray | None

    def take(self, index):
        """Take some of the rows."""
        weight = None if self.weight is None else self.weight[index]
        return Rows(safe_indexing(self.X, index), self.y[index], weight)


class FittedTable(NamedTuple):
    """An encoder, the network that was trained on its output, and that output.

    `max_iter` is how many epochs the schedule was laid out over.
    """

    encoder: object
    network: object
    X: np.ndarray
    max_iter: int


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
        "target_encoding": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "learning_rate_init": [StrOptions({"auto"}), Interval(Real, 0, np.inf, closed="neither")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "scoring": [str, callable, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
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
        training, held_out = self._hold_out(rows, validation_data, rng)
        self._resolve_defaults(len(training.y))

        has_refit = held_out is not None and validation_data[0] is None and self.refit
        first = self._train(training, self.max_iter_, held_out, rng, started, has_refit)
        n_done, self.max_iter_ = first.network.n_iter_, first.max_iter
        self.validation_scores_, self.loss_curve_, self.history_ = (
            getattr(first.network, name)
            for name in ("validation_scores_", "loss_curve_", "history_")
        )
        self.best_iteration_ = n_done
        if held_out is not None:
            self.best_iteration_ = best_end(self.validation_scores_, ends_of_cycles(self.max_iter_))
            self._calibrate(first, training, held_out)
        is_whole = n_done == self.max_iter_ or self.callbacks
        fitted = first
        if has_refit and is_whole:
            fitted = self._refit(rows, first, rng, started)
            if fitted is not first:
                self._complete(fitted, rows)
        self.encoder_, self.network_ = fitted[:2]
        self.n_iter_ = self.network_.n_iter_
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)
            if hasattr(self.encoder_, name):
                setattr(self, name, getattr(self.encoder_, name))

    def _refit(self, rows, first, rng, started):
        """Train again on all rows, for as long as the held-out rows liked it best."""
        n_epochs = self.best_iteration_
        if self.max_time is not None:
            spent = time.monotonic() - started
            needed = spent * n_epochs / first.network.n_iter_ / (1 - self.validation_fraction)
            if spent + needed > self.max_time:
                return first
        if self.verbose:
            print(f"Refit on all rows for {n_epochs} epochs")
        again = self._train(rows, n_epochs, None, rng, started)
        # Ctrl-C or the clock ended it at a high learning rate
        return again if again.network.n_iter_ == n_epochs else first

    def _hold_out(self, rows, validation_data, rng):
        """Return the rows to train on, and those that choose the number of epochs or None."""
        X_val, y_val, weight_val = validation_data
        if X_val is not None or y_val is not None:
            if X_val is None or y_val is None:
                given, missing = ("X_val", "y_val") if y_val is None else ("y_val", "X_val")
                raise ValueError(f"{given} is provided, but {missing} was not provided.")
            return rows, self._check_rows(X_val, y_val, weight_val, "_val")
        if weight_val is not None:
            raise ValueError("sample_weight_val is provided, but X_val was not provided.")
        n = len(rows.y)
        if n < defaults.LEAST_ROWS:
            return rows, None
        index = self._split(rows, rng)
        training, held_out = map(rows.take, index)
        check_split(training.weight, held_out.weight)
        return training, held_out

    def _split(self, rows, rng):
        """Draw the rows to train on and those to hold out."""
        return split_rows(len(rows.y), self.validation_fraction, None, rng)

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

    def _train(self, rows, n_epochs, held_out, rng, started, has_refit=None):
        """Encode rows and train a network on them: a `FittedTable`.

        With `max_time` the schedule may become shorter, unless `has_refit` is None.
        """
        began = time.monotonic()
        seeds = rng.randint(np.iinfo(np.int32).max, size=2).tolist()
        encoder = TableEncoder(
            self.categorical_features,
            max_one_hot=self.max_one_hot,
            target_encoding=self.target_encoding,
            target_type=self._target_type(),
            random_state=seeds[0],
        )
        X = encoder.fit_transform(rows.X, rows.y)
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
                "X_val": encoder.transform(held_out.X),
                "y_val": held_out.y,
                "sample_weight_val": held_out.weight,
            }
        if self.max_time is not None and has_refit is not None:
            refit_cost = 1 / (1 - self.validation_fraction) if has_refit else 0.0
            budget = Budget(self._time_left(started), refit_cost, time.monotonic() - began)
        plan = Plan(
            n_epochs, defaults.MATRIX_FACTOR, defaults.SCALE_FACTOR, defaults.WEIGHT_DECAY, budget
        )
        max_iter = network.fit_by(plan, X, rows.y, rows.weight, **validation)
        return FittedTable(encoder, network, X, max_iter)

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
        }

    def _encoded(self, X):
        """Return the network, and the encoded rows of a prediction for it."""
        known = vars(self)
        check_is_fitted(self, "network_")
        # links compute in float64 then, and the network in float32 all the same
        return known["network_"], known["encoder_"].transform(X).astype(np.float64)

    def _check_rows(self, X, y, sample_weight, suffix=""):
        """Check targets and weights; the encoder checks X."""
        y = self._check_targets(y, f"y{suffix}")
        if sp.issparse(X):
            raise TypeError(
                f"Sparse data was passed for X{suffix}, but dense data is required. Use "
                "'.toarray()' to convert to a dense numpy array, or MLPClassifier and MLPRegressor."
            )
        X = X if hasattr(X, "shape") or isinstance(X, list) else np.asarray(X)
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

    def _calibrate(self, first, training, held_out):
        """Learn from held-out rows what is to be made of the network's predictions."""

    def _complete(self, fitted, rows):
        """Fit what stands beside the network again, to all rows."""
