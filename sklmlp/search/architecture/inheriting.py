"""Evolution whose children inherit their parents' weights: the method "morphism"."""

import numpy as np
import torch

from sklmlp.search.architecture.morphism import (
    Layers,
    deepen,
    identity_kind,
    units_for_identity,
    widen,
)
from sklmlp.search.architecture.shared import Ranking, SharedWeightsSampler
from sklmlp.search.architecture.supernet import Supernet
from sklmlp.search.architecture.training import Descent

N_NETWORKS, N_FIRST = 48, 12
"""Networks that are trained, and how many of them begin with random weights."""

TOURNAMENT, POPULATION = 3, 20
"""Of how many the best is a parent, and how many live: Real et al. 2019."""

N_NEAREST = 8
"""A child is one of so many that differ the least from its parent."""

N_NEIGHBOURS = 3
"""By the scores of how many networks that were trained others are ranked."""


class MorphismSampler(SharedWeightsSampler):
    """Let small networks grow, each child from what its parent computes, and train them a little.

    A child is widened or one layer deeper, begins with the function of its parent (Net2Net: Chen
    et al. 2016), and takes a share of the steps. So evolve Lemonade (Elsken et al. 2019,
    :arxiv:`1804.09081`) and EENA (Zhu et al. 2019, :arxiv:`1905.07320`). Behind an activation that
    no layer passes on, such as tanh, networks only grow wider. Candidates that were not trained
    are ranked by those that are nearest to them.

    Parameters
    ----------
    problem : Problem
    seed : int or None, default=None
    n_steps : int, default=2400
        Steps of gradient descent of all networks together.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.search.architecture import MorphismSampler, Problem
    >>> space = {"hidden_layer_sizes": [(4,), (16,), (16, 16)], "activation": ["relu", "gelu"]}
    >>> problem = Problem.of(MLPClassifier(), *load_iris(return_X_y=True), space)
    >>> MorphismSampler(problem, seed=0, n_steps=60).supernet_scores.shape
    (6,)
    """

    name = "morphism"

    def __init__(self, problem, *, seed=None, n_steps=2400):
        super().__init__(problem, seed=seed, n_steps=n_steps)

    def rank(self, pool, rows, rng):
        """Let networks evolve."""
        n_steps = max(1, self.n_steps // (N_NETWORKS + N_FIRST))
        trained, scores, layers = [], {}, {}

        def train(member, inherited):
            steps = n_steps * (1 if inherited else 2)
            scores[member], layers[member] = self._train(
                pool, rows, rng, pool.architectures[member], inherited, steps
            )
            trained.append(member)

        for member in first_members(pool, rng):
            train(member, None)
        for _ in range(N_NETWORKS - len(trained)):
            parent = max(rng.permutation(trained[-POPULATION:])[:TOURNAMENT], key=scores.get)
            child = self._child(pool, int(parent), set(trained), rng)
            if child is not None:
                grown = grow(layers[parent], pool, pool.architectures[child], rng)
                train(child, grown)
        return Ranking(_extended(pool, scores))

    def _train(self, pool, rows, rng, architecture, inherited, n_steps):
        """Return (score, layers) of a network that is trained for some steps."""
        network = Supernet(
            *(pool.n_features, pool.n_outputs, architecture.widths, [len(architecture.widths)]),
            *(pool.activations, rng),
            device=pool.run.dataset.y.device,
        )
        if inherited is not None:
            put_layers(network, inherited)
        descent = Descent(network, rows, n_steps)
        for _ in range(n_steps):
            descent.step_on(architecture)
        score = rows.score(lambda x: network.logits(x, architecture))
        return score, take_layers(network)

    def _child(self, pool, parent, trained, rng):
        """Return a member that can grow out of a parent, one of the nearest; None if none can."""
        can = [
            member
            for member in range(len(pool))
            if member not in trained
            and can_grow(pool, pool.architectures[parent], pool.architectures[member])
        ]
        if not can:
            return None
        distance = np.square(pool.vectors[can] - pool.vectors[parent]).sum(1)
        nearest = np.argsort(distance, kind="stable")[:N_NEAREST]
        return can[nearest[rng.integers(len(nearest))]]


def first_members(pool, rng):
    """Return small members of all activations, with whose networks evolution begins."""
    by_activation = {}
    for member in np.argsort(pool.n_parameters, kind="stable"):
        activations = frozenset(pool.architectures[member].activations)
        by_activation.setdefault(activations, []).append(int(member))
    n_each = max(1, N_FIRST // len(by_activation))
    chosen = []
    for members in by_activation.values():
        smaller = members[: max(n_each, len(members) // 3)]
        chosen += [int(each) for each in rng.permutation(smaller)[:n_each]]
    return chosen[:N_FIRST]


def can_grow(pool, parent, child):
    """Tell whether a network can become another one by widening, and one layer more."""
    depth, more = len(parent.widths), len(child.widths) - len(parent.widths)
    wider = all(b >= a for a, b in zip(parent.widths, child.widths, strict=False))
    same = child.activations[:depth] == parent.activations
    if not (wider and same and depth and more in (0, 1)):
        return False
    if more == 0:
        return child != parent
    activation = pool.activations[child.activations[-1]]
    kind = identity_kind(activation)
    return (
        kind is not None
        and child.activations[-1] == child.activations[-2]
        and child.widths[-1] >= units_for_identity(parent.widths[-1], kind)
    )


def grow(layers, pool, child, rng):
    """Return layers of the widths of a child that compute the same."""
    if len(child.widths) > len(layers.widths):
        layers = deepen(layers, child.widths[-1], pool.activations[child.activations[-1]], rng)
    for i, width in enumerate(child.widths):
        layers = widen(layers, i, width, rng)
    return layers


def take_layers(network):
    """Return the layers of a supernet that is one network."""
    ((coefs, intercepts),) = network.heads.values()

    def arrays(tensors):
        return [each.detach().cpu().numpy()[0] for each in tensors]

    return Layers(
        arrays([*network.coefs, coefs]),
        [each[0] for each in arrays([*network.intercepts, intercepts])],
    )


@torch.no_grad()
def put_layers(network, layers):
    """Let a supernet of the same widths have these layers."""
    ((coefs, intercepts),) = network.heads.values()
    tensors = [*network.coefs, coefs, *network.intercepts, intercepts]
    for tensor, array in zip(tensors, [*layers.coefs, *layers.intercepts], strict=True):
        tensor.copy_(torch.from_numpy(array))


def _extended(pool, scores):
    """Return scores of all members: of those not trained, the mean of the nearest that were."""
    trained = np.array(list(scores))
    known = np.array([scores[member] for member in trained])
    distances = np.square(pool.vectors[:, None] - pool.vectors[trained]).sum(-1)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :N_NEIGHBOURS]
    extended = known[nearest].mean(1)
    extended[trained] = known
    return extended
