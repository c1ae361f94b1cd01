"""What a study has been told, as the samplers of this room read it: all that they know."""

from dataclasses import dataclass

FINISHED = ("COMPLETE", "PRUNED")


@dataclass(frozen=True)
class Told:
    """A trial whose value is known.

    Parameters
    ----------
    number : int
        Of the trial.
    values, distributions : dict
        By the names of the parameters that the trial asked for.
    loss : float
        Its value, negated where the study maximizes: less is better. Of a trial that was pruned it
        is the last value that was reported.
    """

    number: int
    values: dict
    distributions: dict
    loss: float


def told_trials(study, trials):
    """Return those of some trials whose value is known, as `Told`, in the order of their numbers.

    Parameters
    ----------
    study : optuna.Study
        Of one objective.
    trials : iterable of optuna.trial.FrozenTrial

    Raises
    ------
    ValueError
        If the study has more than one objective.
    """
    if len(study.directions) > 1:
        raise ValueError(
            f"This sampler takes a study of one objective; got one of {len(study.directions)}. "
            "For several, method='nsga2' is there."
        )
    sign = -1.0 if study.direction.name == "MAXIMIZE" else 1.0
    told = []
    for trial in sorted(trials, key=lambda each: each.number):
        value = _value_of(trial)
        if value is not None and value == value:
            told.append(Told(trial.number, trial.params, trial.distributions, sign * value))
    return told


def _value_of(trial):
    """Return the value of a trial, the last that was reported if it was pruned, or None."""
    if trial.state.name == "COMPLETE":
        return trial.value
    if trial.state.name == "PRUNED" and trial.intermediate_values:
        return trial.intermediate_values[max(trial.intermediate_values)]
    return None


def key_of(values):
    """Return what tells the values of one trial from those of another."""
    key = tuple(sorted(values.items(), key=lambda item: item[0]))
    try:
        hash(key)
    except TypeError:  # a choice that is a list
        return repr(key)
    return key


class Replay:
    """Something that learns from trials one by one, made anew only where it has to be.

    What it has learned is kept as long as that is the beginning of what there is to learn. So what
    is kept saves time, and never changes what comes out.

    Parameters
    ----------
    make : callable
        `make(space)` returns a learner that knows nothing.
    learn : callable
        `learn(learner, space, told)` returns the learner after the last of `told`; the learner
        that was given stays as it was.
    """

    def __init__(self, make, learn):
        self.make, self.learn = make, learn
        self.last = None

    def up_to(self, space, told):
        """Return the learner after all of some trials.

        Parameters
        ----------
        space : KnownSpace
        told : list of Told
        """
        learner, done = None, 0
        if self.last is not None:
            signature, known, kept = self.last
            if signature == space.signature and told[: len(known)] == known:
                learner, done = kept, len(known)
        if learner is None:
            learner = self.make(space)
        for i in range(done, len(told)):
            learner = self.learn(learner, space, told[: i + 1])
        self.last = space.signature, list(told), learner
        return learner
