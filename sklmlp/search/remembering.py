"""What the transformers of a pipeline made of the rows of a fold, for the fits that ask again.

Candidates and rungs fit the same transformers to the same rows over and over. A pipeline asks its
`memory` before it fits one, and a search is the memory of pipelines that have none.
"""

import pickle
import threading
from functools import partial

import joblib
from sklearn.pipeline import Pipeline

MOST_BYTES = 2**28
"""What is made is kept up to so much memory; what does not fit in is made each time."""


class Remembered:
    """Results of functions by key, pickled: whoever asks has one of his own, to write into.

    Parameters
    ----------
    most_bytes : int
    """

    def __init__(self, most_bytes):
        self.most_bytes, self.bytes_left = most_bytes, most_bytes
        self._known, self._lock = {}, threading.Lock()

    def __reduce__(self):
        return Remembered, (self.most_bytes,)  # another process begins anew

    def get(self, key, make):
        """Return what is known of a key, or make it."""
        if key not in self._known:
            made = make()
            try:
                pickled = pickle.dumps(made, protocol=5)
            except Exception:  # of a user's class
                return made
            with self._lock:
                if key not in self._known:
                    if len(pickled) > self.bytes_left:
                        return made
                    self._known[key] = pickled
                    self.bytes_left -= len(pickled)
        return pickle.loads(self._known[key])  # the first as the later ones


class FoldMemory:
    """The `memory` of a pipeline that is fitted once, to the rows of a fold: joblib's interface.

    What a transformer makes is known by the fold, and by the transformers up to it.

    Parameters
    ----------
    remembered : Remembered
    fold : int
    """

    def __init__(self, remembered, fold):
        self.remembered, self.key = remembered, str(fold)

    def cache(self, function, **options):
        """Return a function of a transformer and more that remembers what it returned.

        Options are joblib's; of the arguments only the transformer tells results apart.
        """
        return partial(self._call, function)

    def _call(self, function, transformer, *args, **kwargs):
        make = partial(function, transformer, *args, **kwargs)
        try:
            self.key = self.key and joblib.hash((self.key, transformer))
        except Exception:  # it cannot be pickled, so nobody knows those behind it
            self.key = None
        return make() if self.key is None else self.remembered.get(self.key, make)


def lend_memory(estimator, remembered, fold):
    """Give a pipeline that has no memory one for its next fit.

    Returns
    -------
    take_back : callable
    """
    if not isinstance(estimator, Pipeline) or estimator.memory is not None:
        return lambda: None
    estimator.memory = FoldMemory(remembered, fold)
    return partial(setattr, estimator, "memory", None)
