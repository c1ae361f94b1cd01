"""Successive halving (Jamieson & Talwalkar 2016; Li et al. 2018) as pure functions.

Candidates of a batch train for a few epochs, the better share of them goes on, and so on: a rung is
the number of epochs after which they are compared. The first candidate of a search goes all the
way, so that there is always one that has, and the search is never worse than it.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Rungs:
    """When candidates are compared.

    Parameters
    ----------
    factor : float
        The better `1 / factor` goes on.
    first : int or None
        Epochs before the first comparison; None compares none before the end.
    others : tuple of int, default=()
        Epochs of the other comparisons, rising; without any each is `factor` times the one before.
    """

    factor: float
    first: int | None
    others: tuple = ()

    def after(self, n_epochs, max_iter):
        """Return the epochs of the next rung; None for the last, as `next_rung` does."""
        if not self.others:
            return next_rung(n_epochs, self.factor, max_iter)
        return next((n for n in self.others if n_epochs < n < max_iter), None)

    def share_of_full(self, max_iter, size):
        """Return the share of their epochs that candidates of a batch train for, as a mean."""
        going, before, n_epochs, trained = size, 0, self.first, 0
        while going:
            until = max_iter if n_epochs is None else min(n_epochs, max_iter)
            trained, before = trained + going * (until - before), until
            if until == max_iter:
                break
            going, n_epochs = math.ceil(going / self.factor), self.after(n_epochs, max_iter)
        return trained / (size * max_iter)


def next_rung(n_epochs, factor, max_iter):
    """Return the epochs of the next rung; None for the last, which ends where the fits end.

    Parameters
    ----------
    n_epochs : int
        Of this rung.
    factor : float
        By how much a rung is longer than the one before.
    max_iter : int
        The most epochs that a candidate may train.
    """
    longer = math.ceil(n_epochs * factor)
    return longer if longer < max_iter else None


def promote(scores, factor, always=(), earlier=()):
    """Return the positions of the candidates that go on, in order.

    It is the better `1 / factor` of the batch, and none that is not among the better `1 / factor`
    of all that ever came to this rung: a batch with nothing to offer ends early. One goes on at
    least where no earlier batch has a score.

    Parameters
    ----------
    scores : list of float
        Of a batch at a rung; greater is better, and NaN is a candidate that failed.
    factor : float
    always : collection of int
        Positions of candidates that go on in any case, if they have not failed.
    earlier : list of float
        Scores of earlier batches at this rung.
    """
    good = [k for k, score in enumerate(scores) if not math.isnan(score)]
    ranked = sorted(good, key=lambda k: (-scores[k], k))
    chosen = ranked[: math.ceil(len(scores) / factor)]
    seen = sorted((s for s in (*earlier, *(scores[k] for k in good))), reverse=True)
    if earlier and seen:
        bar = seen[math.ceil(len(seen) / factor) - 1]
        chosen = [k for k in chosen if scores[k] >= bar]
    return sorted({*chosen, *(k for k in always if k in good)})


def ranks(mean_scores, rungs):
    """Rank candidates: those of higher rungs before others, then by score; 1 is the best.

    Parameters
    ----------
    mean_scores : ndarray of shape (n_candidates,)
        NaN comes last in its rung.
    rungs : ndarray of int of shape (n_candidates,)

    Returns
    -------
    ranks : list of int
        Equal candidates have the smallest rank of theirs, as by `rankdata(..., method="min")`.
    """
    keys = [
        (-int(rung), math.inf if math.isnan(score) else -float(score))
        for score, rung in zip(mean_scores, rungs, strict=True)
    ]
    place = {}
    for i, key in enumerate(sorted(keys), 1):
        place.setdefault(key, i)
    return [place[key] for key in keys]


def rungs(n_rungs, are_final):
    """Return how far candidates have come, from 0 for the first rung.

    Parameters
    ----------
    n_rungs : list of int
        Comparisons that each took part in.
    are_final : list of bool
        Whether its fits have ended by themselves: then it is at the last rung, above all others.

    Returns
    -------
    rungs : list of int
    """
    pairs = list(zip(n_rungs, are_final, strict=True))
    top = max(n - 1 if is_final else n for n, is_final in pairs)
    return [top if is_final else n - 1 for n, is_final in pairs]
