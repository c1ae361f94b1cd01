"""SGD and Adam with scikit-learn's arithmetic in torch's fused kernels, over one flat tensor."""

import math
from numbers import Real
from types import MappingProxyType

import torch

from sklmlp.compat import fused_adam, fused_sgd


def is_rate(value):
    """Tell whether a value is a finite number of at least 0, and no bool."""
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= value < math.inf


def _is_share(value):
    return is_rate(value) and value <= 1


def _are_betas(value):
    is_pair = isinstance(value, list | tuple) and len(value) == 2
    return is_pair and all(_is_share(beta) and beta < 1 for beta in value)


class Optimizer:
    """What Adam and SGD over one flat tensor share.

    No `torch.optim.Optimizer`: the first of those in a process costs a second of imports. Callbacks
    get one that shares all of this (`sklmlp.callbacks.skorch`).

    Parameters
    ----------
    flat : torch.nn.Parameter
    group : dict
        Rate, momentum and so on, under torch's names.
    names : list of str
        torch's names of the moments.

    Attributes
    ----------
    solver : str
    pins_parameters : bool
        Whether it holds on to the memory that the weights are in.
    has_initial_moments : bool
        Whether its moments are there before the first step.
    supports_sklearn_schedules : bool
        Whether 'invscaling' and 'adaptive' change its learning rate, as in scikit-learn.
    option_names : tuple of str
        The options that are kept for the next call of `partial_fit`.
    option_checks : mapping of str to callable
        Of these but the rate, whether a value in a file may be one.
    schedule : Schedule or None
        Rates that change step by step.
    """

    solver, pins_parameters, schedule = None, False, None
    has_initial_moments, supports_sklearn_schedules = True, False
    option_names = ("lr",)

    def __init__(self, flat, group, names):
        self.flat, self.group, self.t = flat, group, 0
        self.moments = {name: torch.zeros_like(flat.detach()) for name in names}

    @property
    def lr(self):
        """The learning rate, before any bias correction."""
        return self.group["lr"]

    @lr.setter
    def lr(self, value):
        self.group["lr"] = value

    def set_rate(self, lr):
        """Take the next steps at another rate, and leave the moments as they are."""
        self.group["lr"] = lr

    @property
    def options(self):
        """Rate, momentum and so on, as plain Python."""
        return {name: self.group[name] for name in self.option_names}

    def restore(self, options, moments):
        """Take over options and moments that were those of an optimizer of the same class."""
        self.group.update(options)
        for name, moment in moments.items():
            self.moments[name].copy_(torch.from_numpy(moment))

    @property
    def engine_options(self):
        """The compiled engine's solver and options for the same steps; None where it has none."""
        return None

    def joint_moments(self):
        """Return the moments as tensors of the shape of `flat`, for the compiled engine."""
        return list(self.moments.values())

    def set_steps(self, t):
        """Take note of steps that the compiled engine has taken."""
        self.t = t

    def detach_from_stack(self):
        """Own moments, where those of a stack were shared."""
        self.moments = {name: moment.clone() for name, moment in self.moments.items()}


class Adam(Optimizer):
    """Adam as scikit-learn computes it.

    scikit-learn adds epsilon to sqrt(v) before the bias is corrected, torch after it: torch's
    epsilon at step t is therefore eps / sqrt(1 - beta_2^t) (Kingma & Ba 2015, end of section 2).
    """

    solver = "adam"
    option_checks = MappingProxyType(
        {"betas": _are_betas, "eps": lambda value: is_rate(value) and value > 0}
    )
    option_names = ("lr", *option_checks)

    @classmethod
    def of(cls, network, params):
        """Return the optimizer of a network that an estimator's parameters ask for."""
        lr = params.learning_rate_init
        return cls(network.flat, lr, params.beta_1, params.beta_2, params.epsilon)

    @staticmethod
    def names_of_moments(options):
        """Return torch's names of the moments that there are with these options."""
        return {"exp_avg", "exp_avg_sq"}

    def __init__(self, flat, lr, beta_1, beta_2, epsilon):
        group = {"lr": lr, "betas": (beta_1, beta_2), "eps": epsilon}
        super().__init__(flat, group, ["exp_avg", "exp_avg_sq"])

    @property
    def engine_options(self):
        """See `Optimizer`."""
        beta_1, beta_2 = self.group["betas"]
        return {
            "solver": "adam",
            "beta_1": beta_1,
            "beta_2": beta_2,
            "epsilon": self.group["eps"],
        }

    @staticmethod
    def update_tensors(flats, gradients, moments, steps, t, group):
        """Update tensors of one set of options at step t; `steps` is memory for that number."""
        beta_1, beta_2 = group["betas"]
        steps[0].fill_(t)
        fused_adam(
            flats,
            gradients,
            moments[:1],
            moments[1:],
            [],
            steps,
            lr=group["lr"],
            beta1=beta_1,
            beta2=beta_2,
            weight_decay=0.0,
            eps=group["eps"] / math.sqrt(1 - beta_2**t),
            amsgrad=False,
            maximize=False,
        )


class SGD(Optimizer):
    """SGD with momentum as scikit-learn computes it.

    scikit-learn's velocity is -lr times torch's momentum buffer, so that the buffer is rescaled
    when the rate changes; without momentum there is nothing for Nesterov to look ahead to.
    """

    solver = "sgd"
    supports_sklearn_schedules = True
    option_checks = MappingProxyType(
        {"momentum": _is_share, "nesterov": lambda value: isinstance(value, bool)}
    )
    option_names = ("lr", *option_checks)

    @classmethod
    def of(cls, network, params):
        """Return the optimizer of a network that an estimator's parameters ask for."""
        lr = params.learning_rate_init
        return cls(network.flat, lr, params.momentum, params.nesterovs_momentum)

    @staticmethod
    def names_of_moments(options):
        """Return torch's names of the moments that there are with these options."""
        return {"momentum_buffer"} if options["momentum"] else set()

    def __init__(self, flat, lr, momentum, nesterov):
        group = {"lr": lr, "momentum": momentum, "nesterov": nesterov and momentum > 0}
        super().__init__(flat, group, ["momentum_buffer"] if momentum else [])

    @property
    def engine_options(self):
        """See `Optimizer`."""
        momentum, nesterov = self.group["momentum"], self.group["nesterov"]
        return {"solver": "sgd", "momentum": momentum, "nesterov": nesterov}

    @Optimizer.lr.setter
    def lr(self, value):
        """Change the learning rate and keep the velocity."""
        for velocity in self.moments.values():
            velocity.mul_(self.lr / value)
        self.group["lr"] = value

    @staticmethod
    def update_tensors(flats, gradients, moments, steps, t, group):
        """Update tensors of one set of options."""
        fused_sgd(
            flats,
            gradients,
            moments,
            weight_decay=0.0,
            momentum=group["momentum"],
            lr=group["lr"],
            dampening=0.0,
            nesterov=group["nesterov"],
            maximize=False,
            is_first_step=False,
        )


class StackedUpdate:
    """One fused update for all networks of a stack that agree on their optimizers' options.

    Parameters
    ----------
    optimizers : list of Adam or of SGD
        One a network.
    flat, gradient : tensor of shape (K, P), or (P,) for one network
        Those of several are `stack_padded`.
    """

    def __init__(self, optimizers, flat, gradient):
        self.optimizers, self.flat, self.gradient = optimizers, flat, gradient
        self.moments = list(optimizers[0].moments.values())
        if flat.ndim == 2:
            self.moments = [self._together(name) for name in optimizers[0].moments]
        self.steps = [flat.new_zeros((), dtype=torch.float32)]
        self.groups, self.keys = [], None
        self.begin_epoch()

    def _together(self, name):
        """Stack the moments of all networks, (K, P), of which each optimizer keeps its row."""
        together = stack_padded([optimizer.moments[name] for optimizer in self.optimizers])
        for optimizer, moment in zip(self.optimizers, together, strict=True):
            optimizer.moments[name] = moment[: len(optimizer.moments[name])]
        return together

    def begin_epoch(self):
        """Runs of neighbors that agree; each is one tensor to the fused kernel.

        Rates may have changed since the last epoch; within one only by a schedule.
        """
        first = self.optimizers[0].t
        keys = [(o.t - first, o.schedule, *o.group.values()) for o in self.optimizers]
        if keys == self.keys:
            return
        self.groups, self.keys, start = [], keys, 0
        for k in range(1, len(keys) + 1):
            if k == len(keys) or keys[k] != keys[start]:
                run = slice(start, k) if self.flat.ndim == 2 else slice(None)
                tensors = [self.flat[run]], [self.gradient[run]], [m[run] for m in self.moments]
                self.groups.append((self.optimizers[start], tensors))
                start = k

    def step(self):
        """One step of every network."""
        for one, tensors in self.groups:
            one.update_tensors(*tensors, self.steps, one.t + 1, one.group)
        for optimizer in self.optimizers:
            optimizer.t += 1


def stack_padded(flats):
    """Flat tensors of equal size as rows of one, which begin at full lines of the cache.

    BLAS may round differently where its operands lie differently to them; so networks that are the
    same stay the same.

    Parameters
    ----------
    flats : list of tensor of shape (P,)

    Returns
    -------
    together : tensor of shape (K, P'), P' >= P
        Zero from P on.
    """
    size, line = flats[0].numel(), 64 // flats[0].element_size()
    together = flats[0].new_zeros((len(flats), -(-size // line) * line))
    torch.stack(flats, out=together[:, :size])
    return together
