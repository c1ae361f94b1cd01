"""The optimizers of `torch.optim` as solvers: their names and what they update."""

import inspect

import numpy as np
import torch

OPTIMIZERS = {
    name.lower(): kind
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type)
    and issubclass(kind, torch.optim.Optimizer)
    and name not in ("Optimizer", "Adam", "SGD", "LBFGS", "SparseAdam")
}
"""Name -> class: the first-order optimizers for dense gradients that this torch has."""

ELEMENTWISE = {
    getattr(torch.optim, name)
    for name in (
        *("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "ASGD"),
        *("NAdam", "RAdam", "RMSprop", "Rprop", "SGD"),
    )
}
"""Those that treat each number by itself, so that one flat tensor does for many matrices."""

NOT_COMPILED = ("amsgrad", "maximize", "foreach", "capturable", "differentiable", "fused")
"""Options of AdamW that the compiled engine does not have."""


class TorchOptimizerAdapter:
    """An optimizer of `torch.optim` over a network, where our own `Optimizer` would be.

    Parameters
    ----------
    entry : Solver
        Of the table `sklmlp.optim.SOLVERS`, with a class of torch.
    network : Network
        Its numbers and gradients have to stay in the memory that they are in.
    lr : float
    arguments : dict
        Further arguments of the class.

    Attributes
    ----------
    optimizer : torch.optim.Optimizer
    t : int
        Steps taken.
    """

    pins_parameters, schedule = True, None
    has_initial_moments, supports_sklearn_schedules = False, False

    def __init__(self, entry, network, lr, arguments):
        self.solver, self.is_elementwise, self.t = entry.name, entry.is_elementwise, 0
        self.network, self.arguments, self.parts = network, arguments, []
        try:
            self.optimizer = _construct(entry, network, lr, arguments)
        except (TypeError, ValueError, RuntimeError, AssertionError) as error:
            raise ValueError(
                f"solver {self.solver!r} cannot be built from solver_params={arguments!r}: {error}"
            ) from error

    @property
    def lr(self):
        """The learning rate."""
        return self.optimizer.param_groups[0]["lr"]

    def set_rate(self, lr):
        """Take the next steps at another rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def begin_epoch(self):
        """Do nothing: torch looks at the options at each step."""

    def step(self):
        """One step from the gradients as they are; what a callback has frozen stays."""
        frozen = self.network.frozen()
        if any(frozen) and not self.parts and self.is_elementwise:
            self._split()
        parameters = self.parts or (self.network.learned if any(frozen) else [])
        gradients = [p.grad for p in parameters]
        for p, is_frozen in zip(parameters, frozen, strict=False):
            if is_frozen:
                p.grad = None  # torch passes it over, decay and moments included
        try:
            self.optimizer.step()
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise ValueError(
                f"solver {self.solver!r} fails with learning_rate_init={self.lr!r} and "
                f"solver_params={self.arguments!r}: {error}"
            ) from error
        for p, gradient in zip(parameters, gradients, strict=True):
            p.grad = gradient
        self.t += 1

    def _split(self):
        """Give each parameter of the network its own part of the optimizer's two long ones."""
        segments, n = self.network.segments, self.network.n_coefs
        for group in self.optimizer.param_groups:
            (long,) = group["params"]
            first = 0 if long.data_ptr() == self.network.flat.data_ptr() else n
            state, group["params"] = self.optimizer.state.pop(long, {}), []
            for each in segments:
                part = slice(each.start - first, each.stop - first)
                if part.start < 0 or part.stop > len(long):
                    continue
                p = torch.nn.Parameter(long.detach()[part])
                p.grad = long.grad[part]
                if state:
                    self.optimizer.state[p] = {
                        name: value[part] if value.ndim else value.clone()
                        for name, value in state.items()
                    }
                group["params"].append(p)
                self.parts.append(p)

    def _join(self):
        """Undo `_split`; counts of steps are then those of the part that has taken the most."""
        flat, gradient, n = self.network.flat.detach(), self.network.gradient, self.network.n_coefs
        for group in self.optimizer.param_groups:
            parts = group["params"]
            is_first = parts[0].data_ptr() == flat.data_ptr()
            part = slice(0, n) if is_first and n else slice(n, None)
            long = torch.nn.Parameter(flat[part])
            long.grad = gradient[part]
            states = [self.optimizer.state.pop(p, {}) for p in parts]
            most = max(states, key=lambda state: float(state.get("step", 0)))
            self.optimizer.state[long] = {
                name: torch.cat(
                    [s.get(name, p.detach() * 0) for p, s in zip(parts, states, strict=True)]
                )
                if value.ndim
                else value
                for name, value in most.items()
            }
            group["params"] = [long]
        self.parts = []

    @property
    def engine_options(self):
        """The compiled engine's solver and options for the same steps; None where it has none.

        It has AdamW with one set of options and one count of steps, and decays matrices alone.
        """
        groups, state = self.optimizer.param_groups, self.optimizer.state
        if type(self.optimizer) is not torch.optim.AdamW or len(groups) != 2:
            return None
        first, rest = groups
        options = ("lr", "betas", "eps", *NOT_COMPILED)
        steps = [float(each["step"]) for each in state.values() if "step" in each]
        if (
            any(first[name] for name in NOT_COMPILED)
            or any(first[name] != rest[name] for name in options)
            or rest["weight_decay"] != 0
            or any(step != self.t for step in steps or [0.0])
        ):
            return None
        beta_1, beta_2 = first["betas"]
        return {
            "solver": "adamw",
            "beta_1": beta_1,
            "beta_2": beta_2,
            "epsilon": first["eps"],
            "weight_decay": first["weight_decay"],
        }

    def joint_moments(self):
        """Return AdamW's moments as tensors of the shape of `flat`, for the compiled engine.

        Those of the two long parameters become slices of them.
        """
        if self.parts:
            self._join()
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        states, joint = [self.optimizer.state[p] for p in parameters], []
        for state in states:
            state.setdefault("step", torch.tensor(float(self.t)))
        for name in ("exp_avg", "exp_avg_sq"):
            pairs = zip(parameters, states, strict=True)
            both = torch.cat([state.get(name, p.detach() * 0) for p, state in pairs])
            for state, part in zip(states, both.split([*map(len, parameters)]), strict=True):
                state[name] = part
            joint.append(both)
        return joint

    def set_steps(self, t):
        """Take note of steps that the compiled engine has taken."""
        self.t = t
        for state in self.optimizer.state.values():
            state["step"].fill_(t)

    @property
    def options(self):
        """Rate, betas and so on, as plain Python."""
        if self.parts:
            self._join()
        return {"lr": self.lr, "param_groups": self.optimizer.state_dict()["param_groups"]}

    @property
    def moments(self):
        """What the optimizer keeps of each of its parameters, by `"number.name"`."""
        if self.parts:
            self._join()
        return {
            f"{number}.{name}": torch.as_tensor(value)
            for number, state in self.optimizer.state_dict()["state"].items()
            for name, value in state.items()
            if value is not None
        }

    def restore(self, options, moments):
        """Take over options and moments that were those of an optimizer of the same class."""
        state = {}
        for key, moment in moments.items():
            number, name = key.split(".", 1)
            # a copy: the optimizer writes into it
            state.setdefault(int(number), {})[name] = torch.from_numpy(np.array(moment))
        self.optimizer.load_state_dict({"state": state, "param_groups": options["param_groups"]})
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        for number, saved in state.items():
            known = self.optimizer.state[parameters[number]]
            for name, value in saved.items():  # torch casts all to the dtype of the weights
                known[name] = known[name].to(value.dtype)


def _construct(entry, network, lr, arguments):
    """Construct the optimizer, with a group of what is decayed and one of what is not."""
    kind = entry.optimizer
    decayed, rest = _parameters(network, entry.is_elementwise)
    known = inspect.signature(kind).parameters
    decay = {"weight_decay": arguments.get("weight_decay", 0.0)} if "weight_decay" in known else {}
    no_decay = {term: 0.0 for term in ("weight_decay", "lambd") if term in known}  # ASGD has both
    if entry.takes_matrices_alone:
        matrices = [p for p in decayed if p.ndim == 2]
        others = [p for p in decayed if p.ndim != 2]
        groups = [{"params": matrices, **decay}]
        chain = [kind(groups, lr=lr, **arguments)] if matrices else []
        groups = _not_empty([{"params": others, **decay}, {"params": rest, **no_decay}])
        return Chained([*chain, *([torch.optim.AdamW(groups, lr=lr)] if groups else [])])
    groups = [{"params": decayed, **decay}, {"params": rest, **no_decay}]
    return kind(_not_empty(groups), lr=lr, **arguments)


def _not_empty(groups):
    return [group for group in groups if group["params"]]


def _parameters(network, elementwise):
    """Return what the penalty sees and what it does not, two lists of parameters with gradients.

    They are views of the network's flat tensor, whose first `n_coefs` numbers the penalty sees:
    two long ones for an optimizer that goes number by number, else those of the module.
    """
    flat, n = network.flat.detach(), network.n_coefs
    if not elementwise:
        parameters = [p for p in network.module.parameters() if p.requires_grad]
        is_decayed = [p.storage_offset() - flat.storage_offset() < n for p in parameters]
        pairs = list(zip(parameters, is_decayed, strict=True))
        return [p for p, yes in pairs if yes], [p for p, yes in pairs if not yes]
    parts = []
    for values, gradient in ((flat[:n], network.gradient[:n]), (flat[n:], network.gradient[n:])):
        parameter = torch.nn.Parameter(values)
        parameter.grad = gradient
        parts.append([parameter] if len(values) else [])
    return parts


class Chained(torch.optim.Optimizer):
    """Several optimizers, each with its own parameters, as one.

    Parameters
    ----------
    optimizers : list of torch.optim.Optimizer
        Their groups and states are shared.
    """

    def __init__(self, optimizers):
        self.optimizers = optimizers
        super().__init__([g for o in optimizers for g in o.param_groups], {})
        self._share()

    def step(self, closure=None):
        """One step of each."""
        for optimizer in self.optimizers:
            optimizer.step()

    def __setstate__(self, state):
        super().__setstate__(state)
        self._share()

    def _share(self):
        groups = iter(self.param_groups)
        for optimizer in self.optimizers:
            optimizer.state = self.state
            optimizer.param_groups = [next(groups) for _ in optimizer.param_groups]
