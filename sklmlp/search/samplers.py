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
    family : str
        Of the survey's table: He, Zhao & Chu 2021, :arxiv:`1908.00709`.
    make : callable or None
        `make(optuna, seed, problem)` returns the sampler. The problem has the space, what is
        allowed, and a look at the table; without it, None, everything is allowed. Methods without
        a sampler try what is given.
    reads_pruned : bool
        Whether the sampler learns from trials that were stopped early. To others these are told as
        complete, with the score that they had.
    shares_weights : bool
        Whether the sampler trains networks of its own beforehand, and so needs a problem.
    directions : tuple of str
        Of what it is told: the score and, where it takes a second value, the number of parameters.
    """

    name: str
    family: str
    make: object
    reads_pruned: bool = False
    shares_weights: bool = False
    directions: tuple = ("maximize",)


def _tpe(optuna, seed, problem):
    """Tree-structured Parzen estimators: Watanabe 2023, :arxiv:`2304.11127`.

    A choice is learned together with others that come with it (`group`), and trials that run count
    as bad ones (`constant_liar`), which keeps the trials of a batch apart.
    """
    options = {"seed": seed, "group": True, "constant_liar": True}
    if int(optuna.__version__.split(".")[0]) < 5:  # what has become the default
        options |= {"multivariate": True, "warn_independent_sampling": False}
    return optuna.samplers.TPESampler(**options)


def _gp(optuna, seed, problem):
    return optuna.samplers.GPSampler(seed=seed)


def _cmaes(optuna, seed, problem):
    if importlib.util.find_spec("cmaes") is None:
        raise ImportError("method='cmaes' needs the package that has it: pip install cmaes")
    return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)


def _nsga2(optuna, seed, problem):
    return optuna.samplers.NSGAIISampler(population_size=20, seed=seed)


def _random(optuna, seed, problem):
    return optuna.samplers.RandomSampler(seed=seed)


def _qmc(optuna, seed, problem):
    return optuna.samplers.QMCSampler(scramble=True, seed=seed, warn_independent_sampling=False)


def _learning(name):
    """Return what makes a sampler of ours that learns from trials, by the name of its class."""

    def make(optuna, seed, problem):
        from sklmlp.search import architecture

        is_allowed = None if problem is None else problem.values_allowed
        return getattr(architecture, name)(is_allowed=is_allowed, seed=seed)

    return make


def _sharing(method):
    """Return what makes a sampler of ours that trains networks which share weights."""

    def make(optuna, seed, problem):
        from sklmlp.search.architecture import make_shared_sampler

        return make_shared_sampler(method, problem, seed)

    return make


_PARETO = ("maximize", "minimize")

METHODS = {
    method.name: method
    for method in [
        Method("default", "manual", None),
        Method("portfolio", "manual", None),
        Method("random", "RS", _random),
        Method("qmc", "RS", _qmc),
        Method("grid", "grid", lambda optuna, seed, problem: make_grid_sampler()),
        Method(
            "random-shared", "RS, shared weights", _sharing("random-shared"), shares_weights=True
        ),
        Method("evolution", "EA", _learning("AgingEvolutionSampler")),
        Method("nsga2", "EA, several objectives", _nsga2, directions=_PARETO),
        Method("cmaes", "EA", _cmaes),
        Method("morphism", "EA, inherited weights", _sharing("morphism"), shares_weights=True),
        Method("reinforce", "RL", _learning("ReinforceSampler")),
        Method("enas", "RL, shared weights", _sharing("enas"), shares_weights=True),
        Method("tpe", "SMBO", _tpe, reads_pruned=True),
        Method("gp", "SMBO", _gp),
        Method("predictor", "SMBO", _learning("PredictorSampler")),
        Method("darts", "GD", _sharing("darts"), shares_weights=True),
        Method("darts-unrolled", "GD", _sharing("darts-unrolled"), shares_weights=True),
        Method("gdas", "GD", _sharing("gdas"), shares_weights=True),
        Method("nao", "GD + SMBO", _learning("NAOSampler")),
        Method("cars", "EA + GD", _sharing("cars"), shares_weights=True),
        Method("renas", "EA + RL", _learning("RENASSampler")),
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


def sampler(method="tpe", *, random_state=None, problem=None):
    """Make the sampler of a method, for a study of one's own.

    Parameters
    ----------
    method : str, default="tpe"
        How the next trials are chosen; see :class:`~sklmlp.MLPSearchCV`. All but "default" and
        "portfolio", which have no sampler.
    random_state : int or None, default=None
        The seed. None takes another one each time.
    problem : sklmlp.search.architecture.Problem or None, default=None
        The space, the table and the largest size. Methods that share weights need it; others that
        are ours do not propose what it does not allow.

    Returns
    -------
    sampler : optuna.samplers.BaseSampler

    Raises
    ------
    ValueError
        If there is no method of this name, or it needs a problem and there is none.
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
    entry = find_method(method)
    if entry.make is None:
        raise ValueError(
            f"method={method!r} has no sampler: MLPSearchCV tries what is given. Use another one."
        )
    if entry.shares_weights and (problem is None or problem.look is None):
        raise ValueError(
            f"method={method!r} trains networks that share weights before the first trial. In "
            "MLPSearchCV it does so for MLPClassifier and MLPRegressor; in your own study pass "
            "problem=sklmlp.search.architecture.Problem.of(estimator, X, y). AutoML* cannot use it."
        )
    optuna = import_optuna()
    with quietly():
        return entry.make(optuna, random_state, problem)


def find_method(name):
    """Return the entry of a method, or raise with the names that are known."""
    if name not in METHODS:
        raise ValueError(
            f"method={name!r} is not known. {did_you_mean(str(name), METHODS)} Known are: "
            f"{', '.join(METHODS)}, and any sampler of Optuna."
        )
    return METHODS[name]


@contextmanager
def quietly():
    """Leave out Optuna's lines, but those of errors, and warnings of what is experimental."""
    optuna = import_optuna()
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # Optuna 4, of a trial that two processes show at the same moment
            warnings.filterwarnings("ignore", "The reported value is ignored")
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
