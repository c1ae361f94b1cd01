"""Names that a user may have meant."""

import difflib


def closest(name, known, n=1, cutoff=0.6):
    """Return the known names that are spelled most like a name, the closest first.

    Parameters
    ----------
    name : str
    known : iterable of str
    n : int, default=1
        How many to return at most.
    cutoff : float, default=0.6
        How alike they have to be, from 0 to 1.
    """
    return difflib.get_close_matches(name, list(known), n=n, cutoff=cutoff)


def did_you_mean(name, known):
    """Return the sentence that asks for the closest known name, or says that there is none."""
    return ask_for(closest(name, known))


def ask_for(names):
    """Return the sentence that asks whether one of some names was meant."""
    return f"Did you mean {' or '.join(map(repr, names))}?" if names else "None is close."
