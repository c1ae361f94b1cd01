"""Many fits at once: the joblib backend in which they meet, and what to search through."""

from sklmlp.search.backend import StackBackend

__all__ = ["StackBackend"]
