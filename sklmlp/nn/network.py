"""A network in training: its module, with every learned number in one flat tensor."""

import numpy as np
import torch

from sklmlp.nn.spec import Weights, assemble


class Network:
    """The module of a spec whose parameters and gradients are views of one flat tensor each.

    Parameters
    ----------
    spec : Spec
    weights : Weights
    dtype : torch.dtype
    device : torch.device

    Attributes
    ----------
    module : torch.nn.Sequential
    activations : list of torch.nn.Module
        Those of the hidden layers, which are part of `module`.
    coefs, intercepts : list of tensor
        Views of `flat`, in scikit-learn's layout.
    flat, gradient : torch.nn.Parameter, tensor of shape (n_parameters,)
        coefs, then intercepts, then the parameters of activations; coefs as `is_turned` says.
    n_coefs : int
        How many of them, from the start, the penalty `alpha` sees.
    """

    def __init__(self, spec, weights, dtype, device):
        def tensors(arrays):
            return [torch.from_numpy(np.array(a)).to(device, dtype) for a in arrays]

        self.spec = spec
        coefs, intercepts = tensors(weights.coefs), tensors(weights.intercepts)
        extras = [{k: np.array(v) for k, v in state.items()} for state in weights.extras]
        self.module = assemble(spec, coefs, intercepts, extras)
        layers = dict(self.module.named_children())
        linears = [layer for name, layer in layers.items() if name.startswith("linear")]
        self.activations = [
            layer for name, layer in layers.items() if name.startswith("activation")
        ]

        # torch keeps a linear map as (out, in), and so is a turned one in memory
        self._turned = [is_turned(*coef.shape) for coef in coefs]
        self._learned = [layer.weight for layer in linears] + [layer.bias for layer in linears]
        self._learned += [p for a in self.activations for p in a.parameters() if p.requires_grad]
        rest = len(self._learned) - len(coefs)
        self._transpose = [not turned for turned in self._turned] + [False] * rest
        stored = [
            p.detach().T if transpose else p.detach()
            for p, transpose in zip(self._learned, self._transpose, strict=True)
        ]
        self._shapes = [value.shape for value in stored]
        self.n_coefs = sum(coef.numel() for coef in coefs)
        flat = torch.cat([value.reshape(-1) for value in stored])
        self.flat = torch.nn.Parameter(flat)
        self.bind(flat, torch.zeros_like(flat))

    def bind(self, flat, gradient):
        """Move into other memory that holds the same numbers."""
        self.flat.data, self.flat.grad, self.gradient = flat, gradient, gradient
        values, slopes = _views(flat, self._shapes), _views(gradient, self._shapes)
        parts = zip(self._learned, self._transpose, values, slopes, strict=True)
        for p, transpose, value, slope in parts:
            p.data, p.grad = (value.T, slope.T) if transpose else (value, slope)
        n_layers = len(self._turned)
        coefs = zip(values, self._turned, strict=False)
        self.coefs = [value.T if turned else value for value, turned in coefs]
        self.intercepts = values[n_layers : 2 * n_layers]

    def seed(self, draw):
        """Give activations that are random in training a generator, seeded by `draw()`."""
        random = [m for m in self.module.modules() if hasattr(m, "generator")]
        if random:
            generator = torch.Generator(self.flat.device).manual_seed(draw())
            for module in random:
                module.generator = generator

    def logits(self, x):
        """Rows, (n, d), to logits, (n, k), as in prediction."""
        self.module.eval()
        with torch.no_grad():
            return self.module(x)

    def weights(self, dtype):
        """A copy of the weights as NumPy arrays of a floating dtype."""

        def copied(tensor):
            array = tensor.detach().cpu().numpy()
            return array.astype(dtype if tensor.is_floating_point() else array.dtype)

        return Weights(
            [copied(coef) for coef in self.coefs],
            [copied(intercept) for intercept in self.intercepts],
            [{k: copied(v) for k, v in a.state_dict().items()} for a in self.activations],
        )


NARROW = 32
"""BLAS is several times slower at products whose result has contiguous runs shorter than this."""


def is_turned(fan_in, fan_out):
    """Whether coefs lie in memory as (fan out, fan in), so that contiguous runs are not narrow."""
    return fan_out < min(fan_in, NARROW)


def _views(flat, shapes):
    parts = flat.detach().split([shape.numel() for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
