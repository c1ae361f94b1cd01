"""Many fits at once: a joblib backend that trains them together, and search spaces."""

from sklmlp.search.backend import StackBackend
from sklmlp.search.spaces import params_of, space, suggest

__all__ = ["StackBackend", "params_of", "space", "suggest"]
