"""Aging evolution: a tournament chooses the parent, one value mutates, the oldest dies.

Real et al. 2019, "Regularized evolution for image classifier architecture search",
:arxiv:`1802.01548`, algorithm 1.
"""

from sklmlp.search.architecture.encoding import mutated, size_of
from sklmlp.search.architecture.planned import PlannedSampler, at_random


class AgingEvolutionSampler(PlannedSampler):
    """Propose the mutated winner of a tournament among the last trials.

    The population is the last `population_size` trials whose values are known. As many are drawn
    at random in the beginning. A trial that failed is never a parent.

    Parameters
    ----------
    population_size : int, default=20
        How many trials may be parents: the last ones.
    tournament_size : int, default=5
        How many of these are drawn; the best of them is the parent.
    is_allowed : callable or None, default=None
        `is_allowed(values)` tells of the values of a trial, by the names of its parameters,
        whether it may be tried. A parameter that no trial has had yet is not among them; if that
        makes it raise a KeyError, they may. None allows all.
    seed : int or None, default=None
        None takes another one each time.

    Raises
    ------
    ValueError
        If a size is less than 1, or the tournament is larger than the population.

    Examples
    --------
    >>> import optuna
    >>> from sklmlp.search.architecture import AgingEvolutionSampler
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study(sampler=AgingEvolutionSampler(seed=0))
    >>> study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=60)
    >>> study.best_value < 1e-3
    True
    """

    def __init__(self, population_size=20, tournament_size=5, *, is_allowed=None, seed=None):
        super().__init__(is_allowed, seed)
        if not 1 <= tournament_size <= population_size:
            raise ValueError(
                "tournament_size takes a whole number from 1 to population_size="
                f"{population_size!r}; got {tournament_size!r}."
            )
        self.population_size, self.tournament_size = population_size, tournament_size

    def proposals(self, knowledge, rng):
        """Yield children; ever more values mutate where all so far were tried before."""
        if knowledge.number < self.population_size or not knowledge.told:
            yield from at_random(knowledge, rng)
        tries = 0
        while True:
            parent = tournament(knowledge.told, self.population_size, self.tournament_size, rng)
            yield child_of(parent, knowledge.space, rng, n_mutations=1 + tries // 20)
            tries += 1


def tournament(told, population_size, tournament_size, rng):
    """Return the best of some trials that are drawn from the last ones.

    Parameters
    ----------
    told : list of Told
        In the order of their numbers.
    population_size, tournament_size : int
        How many are the last ones, and how many of them are drawn, without replacement.
    rng : numpy.random.Generator
    """
    population = told[-population_size:]
    drawn = rng.choice(len(population), min(tournament_size, len(population)), replace=False)
    return min((population[i] for i in drawn), key=lambda each: (each.loss, each.number))


def child_of(parent, space, rng, n_mutations=1):
    """Return the values of a trial, with some of them mutated.

    Parameters
    ----------
    parent : Told
    space : KnownSpace
    rng : numpy.random.Generator
    n_mutations : int, default=1

    Returns
    -------
    values : dict
        Of every known parameter; those that the parent was not asked for are drawn.
    """
    values = {**space.draw(rng), **parent.values}
    changeable = [
        name for name, distribution in parent.distributions.items() if size_of(distribution) > 1
    ]
    if not changeable:
        return values
    for place in rng.choice(len(changeable), min(n_mutations, len(changeable)), replace=False):
        name = changeable[place]
        values[name] = mutated(parent.distributions[name], parent.values[name], rng)
    return values
