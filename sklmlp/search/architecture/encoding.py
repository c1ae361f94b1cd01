"""Distributions of Optuna as numbers: finite options for policies, vectors for predictors.

A number has a place from 0 to 1 on the scale of its distribution, logarithmic where that is. Each
number of a grid, that is of whole numbers or of numbers with a step, has an equal share of the
scale, and on a logarithmic one an equal share before the logarithm is taken.
"""

import numpy as np

MOST_OPTIONS = 12
"""So many numbers of a grid are each an option; more are cut into bins."""

N_BINS = 8
"""Options that longer grids, and numbers without a step, are cut into."""


def is_categorical(distribution):
    """Tell whether a distribution is of choices without an order."""
    return hasattr(distribution, "choices")


def is_grid(distribution):
    """Tell whether a distribution is of whole numbers, or of numbers with a step."""
    return getattr(distribution, "step", None) is not None


def size_of(distribution):
    """Return the number of different values, infinity without a step."""
    if is_categorical(distribution):
        return len(distribution.choices)
    if is_grid(distribution):
        return int((distribution.high - distribution.low) / distribution.step + 1e-9) + 1
    return 1 if distribution.single() else np.inf


def contains(distribution, value):
    """Tell whether a value may be one of a distribution."""
    if is_categorical(distribution):
        return any(type(each) is type(value) and each == value for each in distribution.choices)
    if isinstance(value, str | bool) or value is None:
        return False
    steps = (value - distribution.low) / distribution.step if is_grid(distribution) else 0.0
    return distribution.low <= value <= distribution.high and abs(steps - round(steps)) < 1e-8


def place_of(distribution, value):
    """Return the index of a choice, or the place of a number from 0 to 1."""
    if is_categorical(distribution):
        return int(distribution.to_internal_repr(value))
    low, high = _ends(distribution)
    if high <= low:
        return 0.5
    number = np.log(value) if distribution.log else value
    return float(np.clip((number - low) / (high - low), 0.0, 1.0))


def value_at(distribution, place):
    """Return the choice of an index, or the number at a place from 0 to 1."""
    if is_categorical(distribution):
        return distribution.choices[int(place)]
    low, high = _ends(distribution)
    number = low + place * (high - low)
    number = float(np.exp(number)) if distribution.log else float(number)
    if is_grid(distribution):
        step = round((number - distribution.low) / distribution.step)
        step = min(max(step, 0), size_of(distribution) - 1)
        number = distribution.low + step * distribution.step
        return int(number) if isinstance(distribution.low, int) else float(number)
    return min(max(number, distribution.low), distribution.high)


def uniform(distribution, rng):
    """Draw a value: a choice, or a number at a uniform place."""
    if is_categorical(distribution):
        return distribution.choices[int(rng.integers(len(distribution.choices)))]
    return value_at(distribution, rng.random())


def mutated(distribution, value, rng, nearness=0.5):
    """Draw another value.

    Parameters
    ----------
    distribution : optuna.distributions.BaseDistribution
        Of more than one value.
    value : object
        The one that it has.
    rng : numpy.random.Generator
    nearness : float, default=0.5
        The probability that a number moves to a neighbor: the next of a grid of few, else one at a
        normal distance, whose standard deviation is a tenth of the scale. If not, it moves
        anywhere, as a choice without an order always does.
    """
    if is_categorical(distribution):
        place = int(rng.integers(len(distribution.choices) - 1))
        return distribution.choices[place + (place >= place_of(distribution, value))]
    is_near = rng.random() < nearness
    for _ in range(20):
        other = _neighbour(distribution, value, rng) if is_near else uniform(distribution, rng)
        if other != value:
            return other
    return uniform(distribution, rng)


def _neighbour(distribution, value, rng):
    if size_of(distribution) <= MOST_OPTIONS:
        step = distribution.step if rng.random() < 0.5 else -distribution.step
        other = value + step
        other = other if distribution.low <= other <= distribution.high else value - step
        return value_at(distribution, place_of(distribution, other))
    place = place_of(distribution, value) + 0.1 * rng.standard_normal()
    return value_at(distribution, 1 - abs(1 - abs(place)))  # reflected at the ends


def _ends(distribution):
    """Return the ends of a distribution on its scale, where each of a grid has a share."""
    low, high = distribution.low, distribution.high
    if is_grid(distribution):
        low, high = low - distribution.step / 2, high + distribution.step / 2
    return (np.log(low), np.log(high)) if distribution.log else (low, high)


class Options:
    """The finite options of a distribution: its values where they are few, else bins.

    Parameters
    ----------
    distribution : optuna.distributions.BaseDistribution

    Attributes
    ----------
    size : int
        How many there are.
    """

    def __init__(self, distribution):
        self.distribution, n = distribution, size_of(distribution)
        self.edges = None  # of bins: places from 0 to 1, in between those of neighbors of a grid
        if is_categorical(distribution) or n <= MOST_OPTIONS:
            self.size = n
            return
        edges = np.linspace(0, 1, N_BINS + 1)
        if is_grid(distribution):
            firsts = [value_at(distribution, edge) for edge in edges[1:-1]]
            low, step = distribution.low, distribution.step
            firsts = sorted({low, *firsts})
            edges = np.array([place_of(distribution, each - step / 2) for each in firsts] + [1.0])
        self.edges, self.size = edges, len(edges) - 1

    def option_of(self, value):
        """Return the option that a value belongs to."""
        if is_categorical(self.distribution):
            return place_of(self.distribution, value)
        if self.edges is None:
            if not is_grid(self.distribution):
                return 0
            step = round((value - self.distribution.low) / self.distribution.step)
            return min(max(step, 0), self.size - 1)
        place = place_of(self.distribution, value)
        return min(int(np.searchsorted(self.edges, place, "right")) - 1, self.size - 1)

    def value_of(self, option, share=0.5):
        """Return a value of an option.

        Parameters
        ----------
        option : int
        share : float, default=0.5
            Where in the bin, from 0 to 1. Without bins it has no meaning.
        """
        if is_categorical(self.distribution):
            return value_at(self.distribution, option)
        if self.edges is None:
            if not is_grid(self.distribution):
                return self.distribution.low
            number = self.distribution.low + int(option) * self.distribution.step
            return value_at(self.distribution, place_of(self.distribution, number))
        low, high = self.edges[option], self.edges[option + 1]
        inside = low + (0.001 + 0.998 * share) * (high - low)  # clear of the neighbors' bins
        return value_at(self.distribution, inside)


class VectorEncoder:
    """The values of trials as vectors, and vectors as values.

    A choice without an order is one-hot. A number is its place on the scale, from -1 to 1. A
    parameter that some trials were not asked for has a column more, which says whether this one
    was; its other columns are zero where it was not.

    Parameters
    ----------
    space : KnownSpace

    Attributes
    ----------
    n_columns : int
    columns : dict
        Name -> slice.
    """

    def __init__(self, space):
        self.space, self.columns, start = space, {}, 0
        for name, distribution in space.distributions.items():
            width = size_of(distribution) if is_categorical(distribution) else 1
            self.columns[name] = slice(start, start + width)
            start += width + (name in space.conditions)
        self.n_columns = start

    def encode(self, trials):
        """Return the vectors of the values of trials.

        Parameters
        ----------
        trials : list of dict
            Each of the values that a trial was asked for.

        Returns
        -------
        vectors : ndarray of shape (n, n_columns)
        """
        vectors = np.zeros((len(trials), self.n_columns))
        for vector, values in zip(vectors, trials, strict=True):
            for name, columns in self.columns.items():
                distribution = self.space.distributions[name]
                if name not in values or not contains(distribution, values[name]):
                    continue
                place = place_of(distribution, values[name])
                if is_categorical(distribution):
                    vector[columns.start + place] = 1.0
                else:
                    vector[columns.start] = 2 * place - 1
                if name in self.space.conditions:
                    vector[columns.stop] = 1.0
        return vectors

    def project(self, vectors):
        """Return the nearest vectors that mix values: shares of choices, numbers from -1 to 1.

        Parameters
        ----------
        vectors : ndarray of shape (n, n_columns)

        Returns
        -------
        nearest : ndarray of shape (n, n_columns)
        """
        nearest = vectors.clip(-1, 1)
        for name, columns in self.columns.items():
            if is_categorical(self.space.distributions[name]):
                nearest[:, columns] = _on_simplex(vectors[:, columns])
        return nearest

    def decode(self, vector):
        """Return the values that a vector is nearest to, of all parameters.

        Parameters
        ----------
        vector : ndarray of shape (n_columns,)
        """
        values = {}
        for name, columns in self.columns.items():
            distribution, numbers = self.space.distributions[name], vector[columns]
            place = int(numbers.argmax()) if is_categorical(distribution) else (numbers[0] + 1) / 2
            values[name] = value_at(distribution, np.clip(place, 0, max(len(numbers) - 1, 1)))
        return values


def _on_simplex(vectors):
    """Return the nearest vectors that are not negative and sum to one.

    Duchi et al. 2008, "Efficient projections onto the l1-ball for learning in high dimensions",
    figure 1.
    """
    descending = -np.sort(-vectors, axis=1)
    excess = (descending.cumsum(1) - 1) / np.arange(1, vectors.shape[1] + 1)
    n_positive = (descending > excess).sum(1)
    return np.maximum(vectors - excess[np.arange(len(vectors)), n_positive - 1, None], 0.0)
