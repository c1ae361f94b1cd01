"""Evolution of several objectives over candidates that a supernet scores: CARS."""

import numpy as np

from sklmlp.search.architecture.pool import Architecture
from sklmlp.search.architecture.shared import Ranking, SharedWeightsSampler
from sklmlp.search.architecture.training import Descent, score_all

POPULATION, N_GENERATIONS = 32, 12
"""Candidates that live, and how often there are as many new ones."""

WARMUP = 0.5
"""The share of steps in which the supernet learns from all of the pool, before any evolves: small
networks learn sooner, and would be all that is left."""

CROSSOVER = 0.5
"""The share of children that have two parents."""


class CARSSampler(SharedWeightsSampler):
    """Evolve candidates by score and size, while a supernet learns from those that live.

    CARS: Yang et al. 2020, :arxiv:`1909.04977`, algorithm 1, with the selection of NSGA-II. What
    has lived in the end is proposed first, front by front: the best score of all, and then the
    best of their sizes. For parameters see
    :class:`~sklmlp.search.architecture.SharedWeightsSampler`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.search.architecture import CARSSampler, Problem
    >>> space = {"hidden_layer_sizes": [(4,), (16,), (16, 16)]}
    >>> problem = Problem.of(MLPClassifier(), *load_iris(return_X_y=True), space)
    >>> sampler = CARSSampler(problem, seed=0, n_steps=60)
    >>> sampler.pool.n_parameters.tolist(), sampler.supernet_scores.shape
    ([35, 131, 403], (3,))
    """

    name = "cars"

    def rank(self, pool, rows, rng):
        """Train the supernet and let candidates evolve by turns."""
        supernet = self.make_supernet(pool, rng)
        descent = Descent(supernet, rows, self.n_steps)
        n_warmup = int(WARMUP * self.n_steps)
        for member in rng.integers(len(pool), size=n_warmup):
            descent.step_on(pool.architectures[member])
        living = rng.permutation(len(pool))[:POPULATION]
        for generation in range(N_GENERATIONS):
            done = n_warmup + (self.n_steps - n_warmup) * (generation + 1) // N_GENERATIONS
            n_steps = done - descent.at
            for member in rng.choice(living, size=n_steps):
                descent.step_on(pool.architectures[member])
            everyone = np.concatenate([living, self._children(pool, living, rng)])
            fitness = self._fitness(pool, supernet, rows, everyone)
            living = everyone[select(fitness, min(POPULATION, len(everyone)))]
        scores = np.array(score_all(supernet, rows, pool.architectures))
        front = np.full(len(pool), len(pool))
        front[living] = fronts(objectives(scores[living], pool.n_parameters[living]))
        return Ranking(scores, np.lexsort((-scores, front)))

    def _fitness(self, pool, supernet, rows, members):
        """Return the objectives of some members."""
        scores = score_all(supernet, rows, [pool.architectures[member] for member in members])
        return objectives(scores, pool.n_parameters[members])

    def _children(self, pool, living, rng):
        """Return members of the pool, none of which lives, that are near to children."""
        others = np.setdiff1d(np.arange(len(pool)), living)
        children = []
        for _ in range(min(POPULATION, len(others))):
            one, two = (pool.architectures[member] for member in rng.choice(living, size=2))
            has_two = rng.random() < CROSSOVER
            child = cross(one, two, rng) if has_two else mutate(one, pool, rng)
            children.append(pool.nearest(child, others))
            others = others[others != children[-1]]
        return np.array(children, dtype=int)


def objectives(scores, n_parameters):
    """Return what is to be great: score, and smallness; an ndarray of shape (n, 2)."""
    return np.stack([scores, -np.log(n_parameters)], 1)


def cross(one, two, rng):
    """Return an architecture with each layer of either parent, as deep as one of them."""
    depth = len(two.widths) if rng.random() < 0.5 else len(one.widths)
    layers = []
    for i in range(depth):
        having = [each for each in (one, two) if len(each.widths) > i]
        parent = having[rng.integers(len(having))]
        layers.append((parent.widths[i], parent.activations[i]))
    return _of(layers)


def mutate(architecture, pool, rng):
    """Return an architecture that differs by a layer more or less, a width or the activations."""
    layers = list(zip(architecture.widths, architecture.activations, strict=True))
    kinds = ["depth"] * (len(pool.depths) > 1) + ["width", "activation"] * bool(layers)
    kind = kinds[rng.integers(len(kinds))] if kinds else None
    if kind == "depth":
        depth = pool.depths[rng.integers(len(pool.depths))]
        while len(layers) < depth:
            more = pool.widths[len(layers)] // 2 + 1, int(rng.integers(len(pool.activations)))
            layers.append(layers[-1] if layers else more)
        layers = layers[:depth]
    elif kind == "width":
        at = rng.integers(len(layers))
        width = layers[at][0] * 2 ** rng.normal(0, 1.5)
        layers[at] = max(1, min(pool.widths[at], round(width))), layers[at][1]
    elif kind == "activation":
        choice = int(rng.integers(len(pool.activations)))
        layers = [(width, choice) for width, _ in layers]
    return _of(layers)


def _of(layers):
    return Architecture(tuple(int(w) for w, _ in layers), tuple(choice for _, choice in layers))


# NSGA-II: Deb et al. 2002


def fronts(fitness):
    """Return the number of the front, from 0, that each candidate is in.

    Parameters
    ----------
    fitness : ndarray of shape (n, n_objectives)
        The greater the better.

    Returns
    -------
    front : ndarray of int of shape (n,)
        0 where no other is as good in all objectives and better in one.
    """
    as_good = (fitness[:, None] >= fitness[None]).all(-1)
    dominates = as_good & (fitness[:, None] > fitness[None]).any(-1)
    front, number = np.full(len(fitness), -1), 0
    while (front < 0).any():
        left = front < 0
        front[left & ~dominates[left].any(0)] = number
        number += 1
    return front


def crowding(fitness):
    """Return how far neighbors on a front are from each other: Deb et al. 2002, section III-B.

    Parameters
    ----------
    fitness : ndarray of shape (n, n_objectives)
        Of one front.

    Returns
    -------
    distance : ndarray of shape (n,)
        inf at the ends of an objective.
    """
    distance = np.zeros(len(fitness))
    for values in fitness.T:
        order = np.argsort(values, kind="stable")
        distance[order[[0, -1]]] = np.inf
        span = values[order[-1]] - values[order[0]]
        if 0 < span < np.inf:
            distance[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / span
    return distance


def select(fitness, n):
    """Return the places of those that live on: the first fronts, and of the last the loneliest."""
    front, lonely = fronts(fitness), np.zeros(len(fitness))
    for number in range(front.max() + 1):
        at = front == number
        lonely[at] = crowding(fitness[at])
    return np.lexsort((-lonely, front))[:n]
