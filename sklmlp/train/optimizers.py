"""SGD and Adam with scikit-learn's arithmetic in torch's fused kernels, over one flat tensor."""

import math
from dataclasses import dataclass

import torch


class FlatOptimizer:
    """What Adam and SGD over one flat tensor share.

    A torch optimizer to whoever looks at it; its arithmetic is a fused kernel on lists of tensors,
    so that it serves one network as well as a stack.
    """

    def _begin(self, names):
        self.t = 0
        flat = self.param_groups[0]["params"][0]
        self.moments = {name: torch.zeros_like(flat.detach()) for name in names}
        self.state[flat].update(self.moments)  # where torch and skorch look for them

    @property
    def lr(self):
        """The learning rate, before any bias correction."""
        return self.param_groups[0]["lr"]

    @lr.setter
    def lr(self, value):
        self.param_groups[0]["lr"] = value

    def step(self, closure=None):
        """Update the flat tensor from its gradient, as torch's optimizers are told to."""
        flat = self.param_groups[0]["params"][0]
        UpdateTogether([self], flat.detach(), flat.grad).update()

    def leave_stack(self):
        """Own moments, where those of a stack were shared."""
        self.moments = {name: moment.clone() for name, moment in self.moments.items()}


class Adam(FlatOptimizer, torch.optim.Adam):
    """Adam as scikit-learn computes it.

    scikit-learn adds epsilon to sqrt(v) before the bias is corrected, torch after it: torch's
    epsilon at step t is therefore eps / sqrt(1 - beta_2^t) (Kingma & Ba 2015, end of section 2).
    """

    def __init__(self, flat, lr, beta_1, beta_2, epsilon):
        super().__init__([flat], lr=lr, betas=(beta_1, beta_2), eps=epsilon, fused=True)
        self._begin(["exp_avg", "exp_avg_sq"])

    @property
    def options(self):
        """What networks must agree on to be updated together, the step apart."""
        group = self.param_groups[0]
        return group["lr"], *group["betas"], group["eps"]

    @staticmethod
    def update_tensors(flats, gradients, moments, t, options):
        """Update tensors of one set of options at step t."""
        lr, beta_1, beta_2, epsilon = options
        torch._fused_adam_(
            flats,
            gradients,
            moments[:1],
            moments[1:],
            [],
            [flats[0].new_full((), t, dtype=torch.float32)],
            lr=lr,
            beta1=beta_1,
            beta2=beta_2,
            weight_decay=0.0,
            eps=epsilon / math.sqrt(1 - beta_2**t),
            amsgrad=False,
            maximize=False,
        )


class SGD(FlatOptimizer, torch.optim.SGD):
    """SGD with momentum as scikit-learn computes it.

    scikit-learn's velocity is -lr times torch's momentum buffer, so that the buffer is rescaled
    when the rate changes; without momentum there is nothing for Nesterov to look ahead to.
    """

    def __init__(self, flat, lr, momentum, nesterov):
        super().__init__([flat], lr=lr, momentum=momentum, nesterov=nesterov and momentum > 0)
        self._begin(["momentum_buffer"] if momentum else [])

    @property
    def options(self):
        """What networks must agree on to be updated together."""
        group = self.param_groups[0]
        return group["lr"], group["momentum"], group["nesterov"]

    @FlatOptimizer.lr.setter
    def lr(self, value):
        """Change the learning rate and keep the velocity."""
        for velocity in self.moments.values():
            velocity.mul_(self.lr / value)
        self.param_groups[0]["lr"] = value

    @staticmethod
    def update_tensors(flats, gradients, moments, t, options):
        """Update tensors of one set of options."""
        lr, momentum, nesterov = options
        torch._fused_sgd_(
            flats,
            gradients,
            moments,
            weight_decay=0.0,
            momentum=momentum,
            lr=lr,
            dampening=0.0,
            nesterov=nesterov,
            maximize=False,
            is_first_step=False,
        )


class UpdateTogether:
    """One fused update for all networks of a stack that agree on their optimizers' options.

    Parameters
    ----------
    optimizers : list of Adam or of SGD
        One a network.
    flat, gradient : tensor of shape (K, P), or (P,) for one network
    """

    def __init__(self, optimizers, flat, gradient):
        self.optimizers, self.flat, self.gradient = optimizers, flat, gradient
        self.moments = list(optimizers[0].moments.values())
        if flat.ndim == 2:
            self.moments = [self._together(name) for name in optimizers[0].moments]
        self.options, self.groups = None, []

    def _together(self, name):
        """The moments of all networks as one (K, P), of which each optimizer keeps its row."""
        together = torch.stack([optimizer.moments[name] for optimizer in self.optimizers])
        for optimizer, moment in zip(self.optimizers, together, strict=True):
            optimizer.moments[name] = moment
        return together

    def update(self):
        """One step of every network."""
        options = [optimizer.options for optimizer in self.optimizers]
        if self.options != options:
            self._group(options)
        for tensors, optimizer in self.groups:
            optimizer.update_tensors(*tensors, optimizer.t + 1, optimizer.options)
        for optimizer in self.optimizers:
            optimizer.t += 1

    def _group(self, options):
        """Runs of neighbours that agree; each is one tensor to the fused kernel."""
        self.options, self.groups, start = options, [], 0
        keys = [
            (each, optimizer.t) for each, optimizer in zip(options, self.optimizers, strict=True)
        ]
        for k in range(1, len(keys) + 1):
            if k == len(keys) or keys[k] != keys[start]:
                run = slice(start, k) if self.flat.ndim == 2 else slice(None)
                tensors = [self.flat[run]], [self.gradient[run]], [m[run] for m in self.moments]
                self.groups.append((tensors, self.optimizers[start]))
                start = k


def make_optimizer(flat, params):
    """The optimizer that an estimator's parameters ask for.

    Parameters
    ----------
    flat : torch.nn.Parameter
    params : namespace
        The estimator's parameters.
    """
    if params.solver == "adam":
        return Adam(flat, params.learning_rate_init, params.beta_1, params.beta_2, params.epsilon)
    return SGD(flat, params.learning_rate_init, params.momentum, params.nesterovs_momentum)


@dataclass
class OptimizerState:
    """What an optimizer has to remember between calls of `partial_fit`.

    Attributes
    ----------
    solver : str
    t : int
        Steps taken.
    options : dict
        Rate, momentum and so on; scikit-learn keeps those that training began with.
    moments : dict of str to ndarray
    """

    solver: str
    t: int
    options: dict
    moments: dict

    @property
    def learning_rate(self):
        """The rate that the next step would take."""
        return self.options["lr"]

    @classmethod
    def of(cls, optimizer):
        """The state of an optimizer, copied."""
        names = ("lr", "betas", "eps", "momentum", "nesterov")
        group = optimizer.param_groups[0]
        return cls(
            solver=type(optimizer).__name__.lower(),
            t=optimizer.t,
            options={name: group[name] for name in names if name in group},
            moments={name: m.cpu().numpy().copy() for name, m in optimizer.moments.items()},
        )

    def restore(self, optimizer):
        """Continue with an optimizer of the same kind."""
        optimizer.t = self.t
        optimizer.param_groups[0].update(self.options)
        for name, moment in self.moments.items():
            optimizer.moments[name].copy_(torch.as_tensor(moment))
