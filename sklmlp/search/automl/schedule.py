"""How many folds, and how long a schedule, there is time for."""

import math

SHARE_OF_FIRST, MOST_OF_FIRST = 0.25, 0.5
"""The share of the time that the first candidate may take, and the most of it on large tables."""

LEAST_FOLDS = 2
"""Rather fewer folds than fewer epochs."""

MARGIN = 1.2
"""What fits take side by side, over what one takes alone."""


def plan(seconds, seconds_of_epoch, max_iter, n_folds, n_at_once):
    """Return the number of folds that are trained on, and of epochs that the schedule has.

    A network whose learning rate has annealed is better than the beginning of a longer fit, and
    the first candidate is to leave time for others. Two folds tell which setting is better, and
    what is best is fitted to all rows.

    Parameters
    ----------
    seconds : float
        There are.
    seconds_of_epoch : float
        Of one fold.
    max_iter, n_folds : int
        The most.
    n_at_once : int
        Fits at a time.

    Returns
    -------
    n_folds, max_iter : int
    """

    def n_epochs(share, n):
        rounds = math.ceil(n / n_at_once)
        return int(share * seconds / (rounds * seconds_of_epoch * MARGIN))

    least = min(LEAST_FOLDS, n_folds)
    for n in range(n_folds, least - 1, -1):
        if n_epochs(SHARE_OF_FIRST, n) >= max_iter:
            return n, max_iter
    return least, max(1, min(max_iter, n_epochs(MOST_OF_FIRST, least)))
