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
        coefs, then intercepts, then the parameters of activations.
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

        # torch keeps a linear map as (out, in); flat holds it as scikit-learn does, (in, out)
        learned = [(layer.weight, True) for layer in linears]
        learned += [(layer.bias, False) for layer in linears]
        learned += [
            (p, False) for layer in self.activations for p in layer.parameters() if p.requires_grad
        ]
        self._learned, self._n_layers = learned, len(coefs)
        stored = [p.detach().T if turned else p.detach() for p, turned in learned]
        self._shapes = [value.shape for value in stored]
        self.n_coefs = sum(coef.numel() for coef in coefs)
        flat = torch.cat([value.reshape(-1) for value in stored])
        self.flat = torch.nn.Parameter(flat)
        self.bind(flat, torch.zeros_like(flat))

    def bind(self, flat, gradient):
        """Move into other memory that holds the same numbers."""
        self.flat.data, self.flat.grad, self.gradient = flat, gradient, gradient
        values, gradients = _views(flat, self._shapes), _views(gradient, self._shapes)
        for (p, turned), value, slope in zip(self._learned, values, gradients, strict=True):
            p.data, p.grad = (value.T, slope.T) if turned else (value, slope)
        self.coefs, self.intercepts = values[: self._n_layers], values[self._n_layers :]
        self.intercepts = self.intercepts[: self._n_layers]

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


def _views(flat, shapes):
    parts = flat.detach().split([shape.numel() for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
