"""Ensembles of what a search has trained anyway: chosen by held-out rows, averaged by weights."""

from dataclasses import dataclass, field

import numpy as np

from sklmlp.tabular import Encodings, use_encodings


def select(predictions, score, max_members):
    """Choose members one after another, again and again the one that helps most.

    Greedy forward selection with replacement (Caruana, Niculescu-Mizil, Crew & Ksikes 2004): the
    ensemble is the mean of what was chosen, and the best one on the way is returned.

    Parameters
    ----------
    predictions : list of ndarray
        Of each candidate for the held-out rows, the best candidate first.
    score : callable
        Of a prediction; greater is better.
    max_members : int
        How many are chosen, the same more than once perhaps.

    Returns
    -------
    counts : ndarray of int of shape (n_candidates,)
        How often each was chosen.
    """
    counts = np.zeros(len(predictions), dtype=int)
    best_counts, best_score, total = counts, -np.inf, 0.0
    for n_chosen in range(1, max_members + 1):
        scores = [score((total + each) / n_chosen) for each in predictions]
        # of equal ones a member, so that there are few
        chosen = max(range(len(scores)), key=lambda k: (scores[k], counts[k] > 0, -k))
        counts = counts + (np.arange(len(counts)) == chosen)
        total = total + predictions[chosen]
        if scores[chosen] > best_score:
            best_counts, best_score = counts, scores[chosen]
    return best_counts


@dataclass(frozen=True)
class Ensemble:
    """Fitted networks with weights, and some that have seen all rows.

    The networks of the folds lack a share of the rows each. That of the best setting, which is
    fitted to all rows in any case, and those of other members that there is time for, count as much
    as all of them together: no rows are left to find a weight by.

    Parameters
    ----------
    numbers : ndarray of int of shape (n_members,)
        Candidates, as in `cv_results_` and `leaderboard()`.
    weights : ndarray of shape (n_members,)
        Of their predictions; the sum is 1.
    estimators : list of list
        The estimators of each member, one a fold.
    whole : list of (float, estimator)
        Those that were fitted to all rows, with weights whose sum is 1.
    """

    numbers: np.ndarray
    weights: np.ndarray
    estimators: list
    whole: list = field(default_factory=list)

    def predict(self, X, metric):
        """Return the mean prediction, probabilities or values, for rows of a table.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
        metric : Metric
            Says what is predicted.
        """
        total = 0.0
        with use_encodings(Encodings()):
            for weight, estimators in zip(self.weights, self.estimators, strict=True):
                for estimator in estimators:
                    total = total + weight / len(estimators) * metric.predicted(estimator, X)
            if self.whole:
                whole = sum(weight * metric.predicted(each, X) for weight, each in self.whole)
                total = (total + whole) / 2
        return total
