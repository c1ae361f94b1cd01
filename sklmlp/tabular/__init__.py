"""Raw tables: numbers, words and gaps to what a network takes."""

from sklmlp.tabular.encoder import TableEncoder

__all__ = ["TableEncoder"]
