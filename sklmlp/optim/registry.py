"""The table of solvers: the optimizer of each, the parameters that it takes, and its state."""

import inspect
from dataclasses import dataclass

import numpy as np
import torch

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
        The value of the parameter `solver`, in small letters, and what files call it.
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

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import scale
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.optim import Solver
    >>> class SignSGD(torch.optim.SGD):
    ...     @torch.no_grad()
    ...     def step(self, closure=None):
    ...         for group in self.param_groups:
    ...             for p in group["params"]:
    ...                 p.sub_(p.grad.sign(), alpha=group["lr"])
    >>> X, y = load_iris(return_X_y=True)
    >>> sign_sgd = Solver("sign_sgd", SignSGD, is_elementwise=True)
    >>> mlp = MLPClassifier(
    ...     (8,), solver=sign_sgd, learning_rate_init=0.01, tol=1e-3, random_state=0
    ... )
    >>> mlp.fit(scale(X), y).score(scale(X), y) > 0.8
    True
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
    def is_of_torch(self):
        """Whether it is one of `torch.optim` itself, and no user's."""
        return getattr(self.optimizer, "__module__", "").startswith("torch.optim.")

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

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import scale
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.optim import Solver, register_solver
    >>> class HeavyBall(torch.optim.SGD):
    ...     def __init__(self, params, lr=0.01, momentum=0.9):
    ...         super().__init__(params, lr=lr, momentum=momentum)
    >>> register_solver(Solver("heavy_ball", HeavyBall, is_elementwise=True))
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((8,), solver="heavy_ball", learning_rate_init=0.1, random_state=0)
    >>> mlp.set_params(tol=1e-3).fit(scale(X), y).score(scale(X), y) > 0.8
    True
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
            is_elementwise=OPTIMIZERS[name] in ELEMENTWISE,
            takes_matrices_alone=name == "muon",
        )
        for name in sorted(OPTIMIZERS)
    ),
]:
    register_solver(_entry)


def lookup_solver(solver):
    """Return the entry that the parameter `solver` stands for.

    Parameters
    ----------
    solver : str, type or Solver
        A name in any spelling, as torch has it; 'lbfgs', which is not torch's, as it is. Or a
        subclass of `torch.optim.Optimizer`, or an entry, which need not be in the table.

    Returns
    -------
    entry : Solver

    Raises
    ------
    ValueError
        If no solver has this name, or if the optimizer does not step without a closure.
    TypeError
        For another kind of value.
    """
    if isinstance(solver, Solver):
        return _checked(solver)
    if not isinstance(solver, str):
        return _entry_of_class(solver)
    entry = SOLVERS.get(solver.lower())
    if entry is not None and (entry.is_stochastic or solver == entry.name):
        return entry
    hint = did_you_mean(solver.lower(), SOLVERS)
    raise ValueError(f"solver {solver!r} is not known. {hint} Known are: {', '.join(SOLVERS)}.")


def is_stochastic(solver):
    """Tell whether the parameter `solver` goes over batches; what is no solver does, too."""
    try:
        return lookup_solver(solver).is_stochastic
    except (TypeError, ValueError):
        return True


def _entry_of_class(optimizer):
    """Return the entry of an optimizer's class: that of the table, if it is there."""
    if not isinstance(optimizer, type):
        raise _no_optimizer(optimizer)
    for entry in SOLVERS.values():
        if entry.optimizer is optimizer:
            return entry
    name = f"{optimizer.__module__}.{optimizer.__qualname__}"
    return _checked(Solver(name, optimizer, is_elementwise=optimizer in ELEMENTWISE))


def _checked(entry):
    """Return an entry that is not, or need not be, in the table."""
    optimizer = entry.optimizer
    if SOLVERS.get(entry.name, entry) != entry:
        raise ValueError(
            f"solver {entry.name!r} is another one in sklmlp.optim.SOLVERS. Give this Solver a "
            "name of its own."
        )
    if entry.is_ours:
        return entry
    if not (isinstance(optimizer, type) and issubclass(optimizer, torch.optim.Optimizer)):
        raise _no_optimizer(optimizer)
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty:
        raise ValueError(
            f"solver {entry.name!r} calls a closure for more gradients within a step, and a fit "
            "takes a step from one gradient. Use solver='lbfgs', or an optimizer whose step needs "
            "no closure."
        )
    return entry


def _no_optimizer(value):
    return TypeError(
        "solver takes a name, a subclass of torch.optim.Optimizer, or a sklmlp.optim.Solver that "
        f"has one; got {value!r}."
    )


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
    name = params.solver if isinstance(params.solver, str) else entry.name
    if entry.is_ours:
        if given:
            raise ValueError(
                f"solver_params={given!r} goes with optimizers of torch.optim; "
                f"solver={name!r} has the parameters {entry.parameters} instead."
            )
        return
    if "lr" in given:
        raise ValueError(
            f"solver_params has lr={given['lr']!r}; use learning_rate_init={given['lr']!r}."
        )
    parameters = inspect.signature(entry.optimizer).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return  # it may take anything
    known = sorted(set(parameters) - NOT_TAKEN)
    unknown = sorted(set(given) - set(known), key=str)
    if unknown:
        raise ValueError(
            f"solver {name!r} has no argument {', '.join(map(repr, unknown))}; "
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


class OptimizerState(dict):
    """The dict that `optimizer_state` describes, with the attribute that scikit-learn's has."""

    @property
    def learning_rate(self):
        """The rate that the next step would take."""
        return self["options"]["lr"]


def optimizer_state(optimizer):
    """Return what an optimizer has to remember between calls of `partial_fit`, copied.

    Returns
    -------
    state : OptimizerState
        `solver`, its name; `t`, the steps taken; `options`, a dict of rate, momentum and so on, of
        which scikit-learn keeps those that training began with; `moments`, a dict of ndarray.
    """
    moments = {name: np.array(moment.cpu().numpy()) for name, moment in optimizer.moments.items()}
    return OptimizerState(
        solver=optimizer.solver, t=optimizer.t, options=optimizer.options, moments=moments
    )


def restore_optimizer(optimizer, state):
    """Continue with an optimizer of the same kind from an `optimizer_state`."""
    optimizer.t = state["t"]
    optimizer.restore(state["options"], state["moments"])


def check_next_step(state, network, params):
    """Raise ValueError where an optimizer of torch's could not go on from an `optimizer_state`.

    Nothing of a user's is run.

    Parameters
    ----------
    state : dict
    network : Network
        One that nobody needs: a step is tried on it.
    params : namespace
        The estimator's parameters.
    """
    try:
        if not lookup_solver(params.solver).is_of_torch:
            return
        optimizer = make_optimizer(network, params)
    except Exception:  # parameters have changed since, and the next fit refuses them
        return
    if optimizer.solver != state["solver"]:
        return
    try:
        restore_optimizer(optimizer, state)
        optimizer.step()
    except Exception as error:  # torch.optim checks nothing, and fails in many ways
        raise ValueError(
            f"the _optimizer of this state cannot go on: {type(error).__name__}: {error}"
        ) from error
