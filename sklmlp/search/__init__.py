"""Many fits at once: the joblib backend in which they meet, and what to search through."""

from sklmlp.search.backend import StackBackend
from sklmlp.search.spaces import params_of, space, suggest

__all__ = ["StackBackend", "params_of", "space", "suggest"]
