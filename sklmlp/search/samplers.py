"""What proposes the next trials: one table of names, and the samplers of Optuna behind them."""

import importlib.util
import warnings
from contextlib import contextmanager
from dataclasses import dataclass

from sklmlp.spelling import did_you_mean


@dataclass(frozen=True)
class Method:
    """One entry of the table.

    Parameters
    ----------
    name : str
        The value of the parameter `method`.
    make : callable
        `make(optuna, seed)` returns the sampler.
    reads_pruned : bool
        Whether the sampler learns from trials that were stopped early. To others these are told as
        complete, with the score that they had.
    """

    name: str
    make: object
    reads_pruned: bool = False


def _tpe(optuna, seed):
    """Tree-structured Parzen estimators: Watanabe 2023, :arxiv:`2304.11127`.

    A choice is learned together with others that come with it (`group`), and trials that run count
    as bad ones (`constant_liar`), which keeps the trials of a batch apart.
    """
    options = {"seed": seed, "group": True, "constant_liar": True}
    if int(optuna.__version__.split(".")[0]) < 5:  # what has become the default
        options |= {"multivariate": True, "warn_independent_sampling": False}
    return optuna.samplers.TPESampler(**options)


def _gp(optuna, seed):
    return optuna.samplers.GPSampler(seed=seed)


def _cmaes(optuna, seed):
    if importlib.util.find_spec("cmaes") is None:
        raise ImportError("method='cmaes' needs the package that has it: pip install cmaes")
    return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)


def _nsga2(optuna, seed):
    return optuna.samplers.NSGAIISampler(population_size=20, seed=seed)


def _random(optuna, seed):
    return optuna.samplers.RandomSampler(seed=seed)


def _qmc(optuna, seed):
    return optuna.samplers.QMCSampler(scramble=True, seed=seed, warn_independent_sampling=False)


METHODS = {
    method.name: method
    for method in [
        Method("tpe", _tpe, reads_pruned=True),
        Method("gp", _gp),
        Method("cmaes", _cmaes),
        Method("nsga2", _nsga2),
        Method("random", _random),
        Method("qmc", _qmc),
        Method("grid", lambda optuna, seed: make_grid_sampler()),
    ]
}
"""Name -> entry."""


def import_optuna():
    """Return the module `optuna`, or raise with the way to install it."""
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "MLPSearchCV asks Optuna what to try next: pip install 'sklmlp[search]'"
        ) from error
    return optuna


def sampler(method="tpe", *, random_state=None):
    """Make the sampler of a method, for a study of one's own.

    Parameters
    ----------
    method : {"tpe", "gp", "cmaes", "nsga2", "random", "qmc", "grid"}, default="tpe"
        How the next trials are chosen; see :class:`sklmlp.MLPSearchCV`.
    random_state : int or None, default=None
        The seed. None takes another one each time.

    Returns
    -------
    sampler : optuna.samplers.BaseSampler

    Raises
    ------
    ValueError
        If there is no method of this name.
    ImportError
        If Optuna is not installed, or what it needs for this method.

    Examples
    --------
    >>> import optuna
    >>> from sklmlp.search import sampler
    >>> study = optuna.create_study(sampler=sampler("random", random_state=0))
    >>> 0 <= study.ask().suggest_float("dropout", 0, 0.5) <= 0.5
    True
    """
    if method not in METHODS:
        raise ValueError(
            f"method={method!r} is not known. {did_you_mean(str(method), METHODS)} Known are: "
            f"{', '.join(METHODS)}, and any sampler of Optuna."
        )
    optuna = import_optuna()
    with quietly():
        return METHODS[method].make(optuna, random_state)


@contextmanager
def quietly():
    """Leave out Optuna's lines, and its warnings of what it calls experimental."""
    optuna = import_optuna()
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def make_grid_sampler():
    """Make a sampler that goes through all combinations of finite choices, one a trial.

    The choice that is suggested first changes fastest. Optuna's own `GridSampler` has to know all
    values beforehand, and ends the study.
    """
    optuna = import_optuna()

    class GridSampler(optuna.samplers.BaseSampler):
        """All combinations of finite choices, one a trial."""

        def __init__(self):
            self.n_trials, self.rest = 0, 0

        def infer_relative_search_space(self, study, trial):
            """Return nothing: choices are made one by one."""
            return {}

        def sample_relative(self, study, trial, search_space):
            """Return nothing: choices are made one by one."""
            return {}

        def before_trial(self, study, trial):
            """Begin the next combination."""
            self.rest, self.n_trials = self.n_trials, self.n_trials + 1

        def sample_independent(self, study, trial, param_name, param_distribution):
            """Return the choice of this combination."""
            values = _values_of(param_distribution, param_name)
            self.rest, place = divmod(self.rest, len(values))
            return values[place]

    return GridSampler()


def _values_of(distribution, name):
    """Return all values of a distribution that has finitely many."""
    if hasattr(distribution, "choices"):
        return list(distribution.choices)
    if getattr(distribution, "step", None) is None or getattr(distribution, "log", False):
        raise ValueError(
            f"method='grid' goes through lists of values, and {name!r} has {distribution!r}. Use "
            "lists in space, or another method."
        )
    low, step = distribution.low, distribution.step
    return [low + i * step for i in range(int((distribution.high - low) / step + 1e-9) + 1)]
