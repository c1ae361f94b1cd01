"""What the tests of samplers share."""

from sklmlp.search.architecture.history import told_trials
from sklmlp.search.architecture.planned import Knowledge
from sklmlp.search.architecture.space import KnownSpace


def knowledge_of(study):
    """All that a sampler knows before the next trial."""
    trials = study.get_trials()
    space = KnownSpace([(each.params, each.distributions) for each in trials])
    return Knowledge(len(trials), told_trials(study, trials), space)
