"""The choice of the step that trains a network."""

from sklmlp.training.steps.autograd import AutogradStep
from sklmlp.training.steps.compiled import CompiledStep
from sklmlp.training.steps.dense import DenseStep

STEPS = [CompiledStep, DenseStep, AutogradStep]
"""The fastest first; the last one can run anything."""


def choose_step(runs):
    """Return the first class of `STEPS` that can train the networks of some runs.

    Parameters
    ----------
    runs : list of TrainingRun
        Of one spec, on one device.

    Returns
    -------
    step : type
        A subclass of `Step`, to be called with the runs.
    """
    return next(step for step in STEPS if all(map(step.can_run, runs)))
