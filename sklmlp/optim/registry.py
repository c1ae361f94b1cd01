"""The table of solvers: the optimizer of each, and the parameters that it takes."""

import inspect
from dataclasses import dataclass

from sklmlp.optim.adam_sgd import SGD, Adam
from sklmlp.optim.schedules import Schedule
from sklmlp.optim.torch_optimizers import ELEMENTWISE, OPTIMIZERS, TorchOptimizerAdapter
from sklmlp.spelling import did_you_mean

NOT_TAKEN = {"params", "lr", "maximize", "capturable", "differentiable"}
"""Optimizer arguments that users may not set: a fit sets them, or they would break training."""


@dataclass(frozen=True)
class Solver:
    """One entry of the table.

    Parameters
    ----------
    name : str
        The value of the parameter `solver`, in small letters.
    optimizer : type
        Our own optimizer, made by `of(network, params)`; or a `torch.optim.Optimizer` class, whose
        arguments are `solver_params`. None for 'lbfgs', which SciPy computes.
    parameters : str
        The estimator's parameters that it has in place of `solver_params`, for an error.
    is_stochastic : bool
        Whether it goes over batches.
    is_elementwise : bool
        Of a torch class: whether each number is treated by itself, so that one flat tensor does for
        many matrices.
    takes_matrices_alone : bool
        Of a torch class: whether it is for matrices, and AdamW is to update the rest.
    """

    name: str
    optimizer: type | None
    parameters: str = ""
    is_stochastic: bool = True
    is_elementwise: bool = False
    takes_matrices_alone: bool = False

    @property
    def is_ours(self):
        """Whether the estimator's own parameters are its arguments."""
        return self.parameters != ""

    @property
    def supports_sklearn_schedules(self):
        """Whether 'invscaling' and 'adaptive' change its learning rate, as in scikit-learn."""
        return getattr(self.optimizer, "supports_sklearn_schedules", False)

    def make(self, network, params):
        """Return the optimizer of a network that an estimator's parameters ask for."""
        if self.is_ours:
            return self.optimizer.of(network, params)
        arguments = params.solver_params or {}
        return TorchOptimizerAdapter(self, network, params.learning_rate_init, arguments)


SOLVERS: dict[str, Solver] = {}
"""Name -> entry."""


def register_solver(entry):
    """Add an entry to the table; the estimators take its name from then on.

    Parameters
    ----------
    entry : Solver
        For example `Solver("lion", Lion)`, with a subclass of `torch.optim.Optimizer`.
    """
    SOLVERS[entry.name] = entry


for _entry in [
    Solver("adam", Adam, "beta_1, beta_2 and epsilon"),
    Solver("sgd", SGD, "momentum and nesterovs_momentum"),
    Solver("lbfgs", None, "max_fun and tol", is_stochastic=False),
    *(
        Solver(
            name,
            OPTIMIZERS[name],
            is_elementwise=name in ELEMENTWISE,
            takes_matrices_alone=name == "muon",
        )
        for name in sorted(OPTIMIZERS)
    ),
]:
    register_solver(_entry)


def lookup_solver(solver):
    """Return the entry of a solver's name.

    Parameters
    ----------
    solver : str
        In any spelling, as torch has it; 'lbfgs', which is not torch's, as it is.

    Returns
    -------
    entry : Solver

    Raises
    ------
    ValueError
        If no solver has this name.
    """
    entry = SOLVERS.get(solver.lower())
    if entry is not None and (entry.is_stochastic or solver == entry.name):
        return entry
    hint = did_you_mean(solver.lower(), SOLVERS)
    raise ValueError(f"solver {solver!r} is not known. {hint} Known are: {', '.join(SOLVERS)}.")


def check_solver(params):
    """Check the name of the solver and the arguments that are given for it.

    Parameters
    ----------
    params : namespace
        The estimator's parameters.

    Raises
    ------
    ValueError
        If the solver is not known, or does not take what is given for it.
    """
    entry, given = lookup_solver(params.solver), params.solver_params or {}
    if entry.is_ours:
        if given:
            raise ValueError(
                f"solver_params={given!r} goes with optimizers of torch.optim; "
                f"solver={params.solver!r} has the parameters {entry.parameters} instead."
            )
        return
    if "lr" in given:
        raise ValueError(
            f"solver_params has lr={given['lr']!r}; use learning_rate_init={given['lr']!r}."
        )
    known = sorted(set(inspect.signature(entry.optimizer).parameters) - NOT_TAKEN)
    unknown = sorted(set(given) - set(known), key=str)
    if unknown:
        raise ValueError(
            f"solver {params.solver!r} has no argument {', '.join(map(repr, unknown))}; "
            f"solver_params takes {', '.join(map(repr, known))}."
        )


def make_optimizer(network, params):
    """Make the optimizer that an estimator's parameters ask for.

    Parameters
    ----------
    network : Network
    params : namespace
        The estimator's parameters.

    Returns
    -------
    optimizer : Adam, SGD or TorchOptimizerAdapter
    """
    optimizer = lookup_solver(params.solver).make(network, params)
    optimizer.schedule = Schedule.of(params)
    return optimizer
