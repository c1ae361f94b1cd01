"""Which choices of a network do not go together."""

from sklmlp.nn.layers import draws_or_averages
from sklmlp.nn.own import check_class

BESIDE_A_MODULE = {"dropout": 0.0, "normalization": None, "residual": False, "weight_init": "auto"}
"""Parameters that shape the stack of layers, which a user's module has no use for."""


def check_options(params):
    """Raise where parameters of an estimator contradict each other.

    Parameters
    ----------
    params : namespace
        The estimator's parameters.
    """
    if params.module is not None:
        check_class(params.module)
        for name, default in BESIDE_A_MODULE.items():
            if not _equals(getattr(params, name), default):
                raise ValueError(
                    f"{name}={getattr(params, name)!r} shapes the stack of layers, which module="
                    f"{params.module.__name__} stands in for; use {name}={default!r} with a module."
                )
    elif params.module_params:
        raise ValueError(
            f"module_params={params.module_params!r} are arguments of a module, and module=None."
        )
    if params.solver == "lbfgs":
        if params.normalization == "batch":
            raise _lbfgs_error("normalization='batch'")
        if not _equals(params.dropout, 0.0):
            raise _lbfgs_error(f"dropout={params.dropout!r}")


def check_trainable(network, params):
    """Raise where a user's module cannot be trained by the solver."""
    if params.solver == "lbfgs" and params.module is not None:
        for part in network.module.modules():
            if draws_or_averages(part):
                raise _lbfgs_error(f"module={params.module.__name__} with {part}")


def check_same_layers(earlier, asked):
    """Raise unless training can go on from one spec to another.

    Parameters
    ----------
    earlier, asked : Spec
    """
    for name in ("module", "normalization", "residual"):
        was, now = getattr(earlier, name), getattr(asked, name)
        if name == "module":  # a class may have been defined again: its state is looked at
            was, now = (None if own is None else own.__qualname__ for own in (was, now))
        if was != now:
            raise ValueError(
                f"Training cannot go on: it began with {name}={was!r}, got {name}={now!r}. Use "
                "warm_start=False to fit anew."
            )


def _lbfgs_error(what):
    return ValueError(
        f"solver='lbfgs' descends one fixed function, which a network with {what} is not in "
        "training; use solver='adam' or another stochastic solver."
    )


def _equals(value, default):
    """Whether a parameter has its default value; a list of rates has it where all of them do."""
    values = list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
    return all(each == default for each in values)
