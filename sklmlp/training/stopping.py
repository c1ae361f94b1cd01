"""The state that decides when a fit ends: scikit-learn's rules of stopping."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class StoppingState:
    """Losses, scores and counts of one fit, which warm starts and partial fits continue.

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
            best = min(best, loss)
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
