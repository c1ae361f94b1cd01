"""Combinations of options, chosen so that any two options meet."""

import itertools


def pairwise(*options):
    """Choose from the product of lists so that each pair of values of two lists occurs.

    Most faults come of one value or of two together (Kuhn, Wallace & Gallo 2004), and the product
    of three lists and more is many times as long. The choice is greedy, and always the same.

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
    missing, chosen = set().union(*left.values()), []
    while missing:
        best = max(left, key=lambda choice: len(left[choice] & missing))
        chosen.append(best)
        missing -= left.pop(best)
    return [tuple(map(list.__getitem__, options, choice)) for choice in sorted(chosen)]
