"""SGD and Adam with scikit-learn's arithmetic in torch's fused kernels, over one flat tensor."""

import math
from dataclasses import dataclass

import torch


class Adam(torch.optim.Adam):
    """Adam as scikit-learn computes it.

    scikit-learn adds epsilon to sqrt(v) before the bias is corrected, torch after it: torch's
    epsilon at step t is therefore eps / sqrt(1 - beta_2^t) (Kingma & Ba 2015, end of section 2).
    """

    def __init__(self, flat, lr, beta_1, beta_2, epsilon):
        super().__init__([flat], lr=lr, betas=(beta_1, beta_2), eps=epsilon, fused=True)
        self.t = 0
        self.moments = {
            "exp_avg": torch.zeros_like(flat.detach()),
            "exp_avg_sq": torch.zeros_like(flat.detach()),
        }
        self._step = torch.zeros((), dtype=torch.float32, device=flat.device)

    @property
    def lr(self):
        """The learning rate, before the bias correction."""
        return self.param_groups[0]["lr"]

    @lr.setter
    def lr(self, value):
        self.param_groups[0]["lr"] = value

    def step(self, closure=None):
        """Update the flat tensor from its gradient."""
        flat, group = self.param_groups[0]["params"][0], self.param_groups[0]
        beta_1, beta_2 = group["betas"]
        self.t += 1
        self._step.fill_(self.t)
        torch._fused_adam_(
            [flat.detach()],
            [flat.grad],
            [self.moments["exp_avg"]],
            [self.moments["exp_avg_sq"]],
            [],
            [self._step],
            lr=group["lr"],
            beta1=beta_1,
            beta2=beta_2,
            weight_decay=0.0,
            eps=group["eps"] / math.sqrt(1 - beta_2**self.t),
            amsgrad=False,
            maximize=False,
        )


class SGD(torch.optim.SGD):
    """SGD with momentum as scikit-learn computes it.

    scikit-learn's velocity is -lr times torch's momentum buffer, so that the buffer is rescaled
    when the rate changes; without momentum there is nothing for Nesterov to look ahead to.
    """

    def __init__(self, flat, lr, momentum, nesterov):
        super().__init__([flat], lr=lr, momentum=momentum, nesterov=nesterov and momentum > 0)
        self.t = 0
        self.moments = {"velocity": torch.zeros_like(flat.detach())} if momentum else {}

    @property
    def lr(self):
        """The learning rate; setting it keeps the velocity."""
        return self.param_groups[0]["lr"]

    @lr.setter
    def lr(self, value):
        for velocity in self.moments.values():
            velocity.mul_(self.lr / value)
        self.param_groups[0]["lr"] = value

    def step(self, closure=None):
        """Update the flat tensor from its gradient."""
        flat, group = self.param_groups[0]["params"][0], self.param_groups[0]
        self.t += 1
        torch._fused_sgd_(
            [flat.detach()],
            [flat.grad],
            list(self.moments.values()),
            weight_decay=0.0,
            momentum=group["momentum"],
            lr=group["lr"],
            dampening=0.0,
            nesterov=group["nesterov"],
            maximize=False,
            is_first_step=False,
        )


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
