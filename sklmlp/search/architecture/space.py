"""What the trials of a study have shown of its space: names, distributions, conditions.

A space of Optuna is a function, and shows what it asks for only when it is run. A parameter that
some trials were not asked for, as the width of a third layer, depends on one that was asked before.
"""

from collections import Counter, defaultdict

from sklmlp.search.architecture.encoding import is_categorical, is_grid, uniform

ABSENT = "(not asked for)"
MOST_RECORDS = 200
"""Of trials that asked for the same parameters, so many of the last ones show the conditions."""


class KnownSpace:
    """The parameters that trials were asked for.

    Parameters
    ----------
    records : list of (values, distributions)
        Of trials, in the order of their numbers, each by the names of parameters, in the order in
        which they were asked for.

    Attributes
    ----------
    distributions : dict
        Name -> the last distribution, in the order of first appearance.
    conditions : dict
        Name of a parameter that some trials were not asked for -> (parent, asked), where `asked`
        tells for each value of the parent whether it was.
    signature : str
        Equal for equal spaces.
    """

    def __init__(self, records):
        self.distributions = {}
        for _, distributions in records:
            self.distributions.update(distributions)
        shown = _last_of_each([values for values, _ in records])
        counts = Counter(name for values in shown for name in values)
        names = list(self.distributions)
        self.conditions = {
            name: self._condition(name, names[:place], shown)
            for place, name in enumerate(names)
            if counts[name] < len(shown)
        }
        self.signature = repr((self.distributions, self.conditions))

    def asked(self, values):
        """Return those of the values that a trial with these values would be asked for."""
        asked = {}
        for name in self.distributions:
            if name in values and self._is_asked(name, asked):
                asked[name] = values[name]
        return asked

    def draw(self, rng):
        """Draw a value for every parameter, of its distribution."""
        return {name: uniform(each, rng) for name, each in self.distributions.items()}

    def _condition(self, name, earlier, records):
        """Return the earlier parameter whose value tells best whether another is asked for."""
        best, least = (None, {ABSENT: True}), float("inf")
        for parent in [None, *earlier]:
            counts = defaultdict(Counter)
            for values in records:
                counts[self._mark(parent, values)][name in values] += 1
            errors = sum(min(each[True], each[False]) for each in counts.values())
            cost = errors + 0.25 * len(counts)  # a parent of many values explains anything
            if cost < least:
                asked = {mark: each[True] >= each[False] for mark, each in counts.items()}
                best, least = (parent, dict(sorted(asked.items(), key=repr))), cost
        return best

    def _mark(self, parent, values):
        """Return the value of a parent as far as others may depend on it."""
        if parent is None or parent not in values:
            return ABSENT
        distribution = self.distributions[parent]
        is_finite = is_categorical(distribution) or is_grid(distribution)
        return values[parent] if is_finite else "(a number)"

    def _is_asked(self, name, asked):
        if name not in self.conditions:
            return True
        parent, known = self.conditions[name]
        mark = self._mark(parent, asked)
        if mark in known:
            return known[mark]
        if mark == ABSENT:
            return False
        numbers = [each for each in known if isinstance(each, int | float)]
        if isinstance(mark, int | float) and numbers:
            return known[min(numbers, key=lambda each: abs(each - mark))]
        return True


def _last_of_each(records):
    """Leave out the first of many that have the same names; what is rare is not forgotten."""
    kept, counts = [], Counter()
    for values in reversed(records):
        names = frozenset(values)
        counts[names] += 1
        if counts[names] <= MOST_RECORDS:
            kept.append(values)
    return kept[::-1]
