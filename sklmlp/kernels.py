"""Activations and their derivatives by torch's operators, into existing memory.

Each function takes all arguments of an activation, those with defaults included, and gives its
`Kernel`, for the training step that is written out by hand. The table in `sklmlp.activations` names
them.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

_aten = torch.ops.aten

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


class Kernel(NamedTuple):
    """An activation and its derivative.

    Parameters
    ----------
    forward : callable
        `forward(z, a)` writes the activation of `z` into `a`.
    backward : callable
        `backward(gradient, z, a)` gives the gradient times the derivative, which is written over
        the gradient wherever torch can.
    keeps_input : bool
        Whether `backward` reads `z`; where it does not, `a` and `z` are one.

    Examples
    --------
    >>> import torch
    >>> from sklmlp.kernels import Kernel
    >>> square = Kernel(
    ...     lambda z, a: torch.square(z, out=a),
    ...     lambda gradient, z, a: gradient.mul_(z).mul_(2),
    ...     keeps_input=True,
    ... )
    >>> z, a = torch.tensor([1.0, 3.0]), torch.empty(2)
    >>> square.forward(z, a), square.backward(torch.ones(2), z, a)
    (tensor([1., 9.]), tensor([2., 6.]))
    """

    forward: Callable
    backward: Callable
    keeps_input: bool


def inplace_kernel(forward_, backward):
    """Make a kernel whose derivative follows from the value, which replaces the input."""
    return lambda _: Kernel(
        lambda z, a: forward_(z),
        lambda gradient, z, a: backward(gradient, a, grad_input=gradient),
        keeps_input=False,
    )


def out_kernel(name, *names, constants=()):
    """Make a kernel of torch's `name` and `name_backward`, with arguments after the input."""
    forward = getattr(_aten, name).out
    backward = getattr(_aten, f"{name}_backward").grad_input

    def kernel(arguments):
        extra = [*(arguments[each] for each in names), *constants]
        return Kernel(
            lambda z, a: forward(z, *extra, out=a),
            lambda gradient, z, a: backward(gradient, z, *extra, grad_input=gradient),
            keeps_input=True,
        )

    return kernel


def allocating_kernel(name):
    """Return a kernel of operators of which torch's derivative makes a new tensor."""
    forward, backward = getattr(_aten, name).out, getattr(_aten, f"{name}_backward").default
    return lambda _: Kernel(
        lambda z, a: forward(z, out=a),
        lambda gradient, z, a: gradient.copy_(backward(gradient, z)),
        keeps_input=True,
    )


def identity(_):
    """Return a kernel that does nothing."""
    return Kernel(lambda z, a: a, lambda gradient, z, a: gradient, keeps_input=False)


def relu(_):
    """max(0, z); the derivative is one where the value is positive."""
    backward = _aten.threshold_backward.grad_input
    return Kernel(
        lambda z, a: torch.relu_(z),
        lambda gradient, z, a: backward(gradient, a, 0, grad_input=gradient),
        keeps_input=False,
    )


def leaky_relu(arguments):
    """max(0, z) + slope min(0, z)."""
    slope = arguments["negative_slope"]
    backward = _aten.leaky_relu_backward.grad_input
    return Kernel(
        lambda z, a: _aten.leaky_relu.out(z, slope, out=a),
        lambda gradient, z, a: backward(gradient, z, slope, False, grad_input=gradient),
        keeps_input=True,
    )


def threshold(arguments):
    """The input where it is greater than the threshold, a value elsewhere."""
    at, value = arguments["threshold"], arguments["value"]
    backward = _aten.threshold_backward.grad_input
    return Kernel(
        lambda z, a: _aten.threshold.out(z, at, value, out=a),
        lambda gradient, z, a: backward(gradient, z, at, grad_input=gradient),
        keeps_input=True,
    )


def gelu(arguments):
    """The input times the normal distribution function of it, or its approximation by tanh."""
    approximate = arguments["approximate"]
    backward = _aten.gelu_backward.grad_input
    return Kernel(
        lambda z, a: _aten.gelu.out(z, approximate=approximate, out=a),
        lambda gradient, z, a: backward(gradient, z, approximate=approximate, grad_input=gradient),
        keeps_input=True,
    )


def _elu(alpha, scale, input_scale):
    backward = _aten.elu_backward.grad_input
    return Kernel(
        lambda z, a: _aten.elu.out(z, alpha, scale, input_scale, out=a),
        lambda gradient, z, a: backward(
            gradient, alpha, scale, input_scale, False, z, grad_input=gradient
        ),
        keeps_input=True,
    )


def elu(arguments):
    """The input if positive, else alpha (exp(z) - 1)."""
    return _elu(arguments["alpha"], 1.0, 1.0)


def celu(arguments):
    """The input if positive, else alpha (exp(z / alpha) - 1)."""
    alpha = arguments["alpha"]
    return _elu(alpha, 1.0, 1 / alpha)


def selu(_):
    """ELU scaled to keep mean and variance: Klambauer et al. 2017, eq. 2."""
    return _elu(SELU_ALPHA, SELU_SCALE, 1.0)


def by_autograd(module):
    """Return a kernel for any module without parameters: autograd takes the derivative alone."""

    def forward(z, a):
        with torch.inference_mode(False), torch.enable_grad():
            source = z.detach().clone().requires_grad_()
            kept.append((module(source), source))
        a.copy_(kept[-1][0].detach())

    def backward(gradient, z, a):
        with torch.inference_mode(False):
            return torch.autograd.grad(*kept.pop(), gradient.clone())[0]

    kept = []
    return Kernel(forward, backward, keeps_input=True)


logistic = inplace_kernel(torch.sigmoid_, _aten.sigmoid_backward.grad_input)
tanh = inplace_kernel(torch.tanh_, _aten.tanh_backward.grad_input)
silu = out_kernel("silu")
hardsigmoid = out_kernel("hardsigmoid")
hardtanh = out_kernel("hardtanh", "min_val", "max_val")
relu6 = out_kernel("hardtanh", constants=(0.0, 6.0))
softplus = out_kernel("softplus", "beta", "threshold")
softshrink = out_kernel("softshrink", "lambd")
hardshrink = out_kernel("hardshrink", "lambd")
mish = allocating_kernel("mish")
hardswish = allocating_kernel("hardswish")
