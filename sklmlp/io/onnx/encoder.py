"""A fitted TableEncoder in ONNX's operators: raw columns to the float32 matrix of a network."""

from typing import NamedTuple

import numpy as np

from sklmlp.io.onnx.columns import TEXT
from sklmlp.io.onnx.layers import NotInOnnx

LARGEST, LARGEST_SCALED = 1e300, 1e100
"""Where numbers are cut off, before and after they are scaled, as the encoder does."""


class Block(NamedTuple):
    """Neighboring columns of one type, as a value of a graph.

    Parameters
    ----------
    name : str
        Of the value, (n, n_columns).
    dtype : numpy.dtype
        float32, float64, an integer, bool or TEXT.
    places : list of int
        Which columns of the encoder's input they are.
    """

    name: str
    dtype: np.dtype
    places: list


def used_places(encoder):
    """Return the columns that a fitted encoder looks at, rising."""
    return np.unique(encoder.feature_blocks_).tolist()


def encode_table(graph, blocks, encoder):
    """Add `transform` of a fitted TableEncoder to a graph.

    Parameters
    ----------
    graph : Graph
    blocks : list of Block
        Together all columns that the encoder looks at. A gap is NaN among numbers; a text that is
        no level is a gap.
    encoder : TableEncoder
        Fitted.

    Returns
    -------
    encoded : str
        The name of the rows, (n, n_features_out), float32.

    Raises
    ------
    NotInOnnx
        For a column of text that is given as numbers, or the other way round.
    """
    outer = graph.dtype
    tables = encoder.category_tables_
    numbers = [place for place in used_places(encoder) if tables[place] is None]
    parts, places = [], []
    if numbers:
        graph.dtype = np.dtype(np.float64)  # as the encoder computes
        for part, kind, at in _numbers(graph, _side_by_side(graph, blocks, numbers), encoder):
            columns = (encoder.feature_kinds_ == kind) & np.isin(encoder.feature_blocks_, at)
            parts.append(graph.cast(part, np.float32))
            places.append(np.flatnonzero(columns))
    graph.dtype = np.dtype(np.float32)
    for block in blocks:
        for j, place in enumerate(block.places):
            if tables[place] is not None:
                x = block.name
                if len(block.places) > 1:
                    x = graph("Gather", x, np.array([j]), axis=1)
                levels = encoder.categories_[place]
                codes = _codes(graph, x, block.dtype, levels, place)
                parts.append(graph("Gather", tables[place], codes, axis=0))
                places.append(np.flatnonzero(encoder.feature_blocks_ == place))
    encoded = parts[0] if len(parts) == 1 else graph("Concat", *parts, axis=1)
    order = np.argsort(np.concatenate(places))
    if (np.diff(order) != 1).any():
        encoded = graph("Gather", encoded, order, axis=1)
    graph.dtype = outer
    return encoded


def _side_by_side(graph, blocks, places):
    """Return columns of numbers, in the order of `places`, as one value in the graph's dtype."""
    parts, found = [], []
    for block in blocks:
        here = [j for j, place in enumerate(block.places) if place in places]
        if not here:
            continue
        if block.dtype == TEXT:
            raise NotInOnnx(
                f"The table has text in column {block.places[here[0]]}, and numbers were fitted."
            )
        x = block.name
        if len(here) < len(block.places):
            x = graph("Gather", x, np.array(here), axis=1)
        parts.append(graph.cast(x, graph.dtype))
        found += [block.places[j] for j in here]
    x = parts[0] if len(parts) == 1 else graph("Concat", *parts, axis=1)
    order = np.argsort(found)
    return graph("Gather", x, order, axis=1) if (np.diff(order) != 1).any() else x


def _numbers(graph, x, encoder):
    """Yield what columns of numbers become: (name, kind of columns, places of the input)."""
    places = np.array([p for p in used_places(encoder) if encoder.category_tables_[p] is None])
    is_gap = graph("IsNaN", x)
    is_scaled = np.isin(places, encoder.feature_blocks_[encoder.feature_kinds_ == "numeric"])
    has_gaps = np.isin(places, encoder.feature_blocks_[encoder.feature_kinds_ == "missing"])
    if is_scaled.any():
        center = encoder.center_[places]
        scale = np.where(is_scaled, encoder.scale_[places], 1.0)
        z = graph("Where", is_gap, center, x)
        z = graph("Div", graph("Sub", _within(graph, z, LARGEST), center), scale)
        z = _within(graph, z, LARGEST_SCALED)
        third = graph("Div", z, 3.0)
        z = graph("Div", z, graph("Sqrt", graph("Add", graph("Mul", third, third), 1.0)))
        yield _selected(graph, z, is_scaled), "numeric", places[is_scaled]
    if has_gaps.any():
        yield _selected(graph, is_gap, has_gaps), "missing", places[has_gaps]


def _within(graph, x, bound):
    return graph("Min", graph("Max", x, -bound), bound)


def _selected(graph, x, mask):
    return x if mask.all() else graph("Gather", x, np.flatnonzero(mask), axis=1)


def _codes(graph, x, dtype, levels, place):
    """Return the place of each value of a column, (n, 1), in the levels, (n,); gaps are behind."""
    n = len(levels)
    if (levels.dtype == object) != (dtype == TEXT):
        given, fitted = ("text", "numbers") if dtype == TEXT else ("numbers", "text")
        raise NotInOnnx(f"The table has {given} in column {place}, and {fitted} were fitted.")
    if dtype == TEXT:
        keys = {"keys_strings": [str(level) for level in levels]}
    elif dtype.kind in "iub" and levels.dtype.kind in "iub":
        keys = {"keys_int64s": levels.astype(np.int64).tolist()}
        x = graph.cast(x, np.int64)
    else:
        levels = graph.constant(levels.astype(dtype if dtype.kind == "f" else np.float64), True)
        x = x if dtype.kind == "f" else graph.cast(x, np.float64)
        is_level = graph.cast(graph("Equal", x, levels), np.float32)  # (n, n_levels)
        behind = graph("MatMul", is_level, np.arange(n, dtype=np.float32)[:, None] - n)
        codes = graph.cast(graph("Add", behind, float(n)), np.int64)
        return graph("Reshape", codes, np.array([-1]))
    codes = graph("LabelEncoder", x, **keys, values_int64s=list(range(n)), default_int64=n)
    return graph("Reshape", codes, np.array([-1]))
