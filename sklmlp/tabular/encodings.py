"""What encoders have made of tables, kept for the fits and predictions that ask for it again.

A search fits many networks to the rows of one fold, and the table that they see is the same.
"""

import threading
from contextlib import contextmanager

MOST_BYTES = 2**30
"""Encoded tables are kept up to so much memory; what does not fit in is encoded each time."""

_here = threading.local()


class Encodings:
    """Remembers encoders that were fitted to whole tables, and what they made of whole tables.

    Tables are told apart by identity, so that those who use it must keep the same objects.

    Parameters
    ----------
    most_bytes : int, default=2**30
    """

    def __init__(self, most_bytes=MOST_BYTES):
        self.bytes_left, self._known = most_bytes, {}

    def __reduce__(self):
        return Encodings, (MOST_BYTES,)  # another process begins anew

    def fit_transform(self, encoder, rows):
        """Fit an encoder, or find one that was: (encoder, encoded rows)."""
        key = id(rows.table), repr(sorted(encoder.get_params().items()))
        return self._remembered(key, rows, lambda: (encoder, encoder.fit_transform(rows.X, rows.y)))

    def transform(self, encoder, rows):
        """Encode rows, or find what they were: (encoder, encoded rows)."""
        key = id(rows.table), id(encoder)
        return self._remembered(key, rows, lambda: (encoder, encoder.transform(rows.X)))

    def _remembered(self, key, rows, make):
        if rows.index is not None:
            return make()
        if key not in self._known:
            encoder, encoded = make()
            if encoded.nbytes > self.bytes_left:
                return encoder, encoded
            self.bytes_left -= encoded.nbytes
            self._known[key] = rows.table, (encoder, encoded)  # an identity is that of what lives
        return self._known[key][1]


@contextmanager
def use_encodings(encodings):
    """Let the fits and predictions of this thread look into some `Encodings`, and add to them."""
    before = getattr(_here, "encodings", None)
    _here.encodings = encodings
    try:
        yield
    finally:
        _here.encodings = before


def fit_transform(encoder, rows):
    """Fit an encoder to rows with targets, and encode them.

    Parameters
    ----------
    encoder : TableEncoder
    rows : Rows

    Returns
    -------
    encoder : TableEncoder
        Fitted; another one with the same parameters where that is remembered.
    encoded : ndarray of shape (n_samples, n_features_out)
        Not to be written to.
    """
    known = getattr(_here, "encodings", None)
    return (Encodings(0) if known is None else known).fit_transform(encoder, rows)


def transform(encoder, rows):
    """Encode rows; see `fit_transform`."""
    known = getattr(_here, "encodings", None)
    return encoder.transform(rows.X) if known is None else known.transform(encoder, rows)[1]
