"""Combinations of options, chosen so that any two options meet."""

import itertools
from collections import Counter


def pairwise(*options):
    """Choose from the product of lists so that each pair of values of two lists occurs.

    Most faults come of one value or of two together (Kuhn, Wallace & Gallo 2004), and the product
    of three lists and more is many times as long. The choice is greedy, takes the values of a list
    about equally often, and is always the same.

    Parameters
    ----------
    *options : iterable
        Two or more lists of values.

    Returns
    -------
    combinations : list of tuple
        In the order of the product, each with one value of each list.
    """
    options = [list(values) for values in options]
    places = [(i, j) for i in range(len(options)) for j in range(i)]

    def pairs_of(choice):
        return {(i, choice[i], j, choice[j]) for i, j in places}

    places_of_all = itertools.product(*(range(len(values)) for values in options))
    left = {choice: pairs_of(choice) for choice in places_of_all}
    missing, chosen, used = set().union(*left.values()), [], Counter()

    def gain(choice):
        return len(left[choice] & missing), -sum(used[place] for place in enumerate(choice))

    while missing:
        best = max(left, key=gain)
        chosen.append(best)
        used.update(enumerate(best))
        missing -= left.pop(best)
    return [tuple(map(list.__getitem__, options, choice)) for choice in sorted(chosen)]
