"""Rows to logits in prediction: no autograd, no module where there need be none, few calls."""

import torch

from sklmlp.nn.builder import build_module, load_layers


def make_predictor(spec, weights, dtype, device):
    """Build what computes a network's predictions over tensors, which it shares.

    Its parameters are those of `build_module`.
    """
    if spec.module is None and not spec.residual and spec.normalization in (None, "batch"):
        return Predictor(spec, weights)
    module = build_module(spec, weights, dtype, device)
    return ModulePredictor(spec, module, dtype, device)


class Predictor:
    """A stack that only predicts, without normalization or with that by batches.

    Parameters
    ----------
    spec : Spec
    weights : Weights
        With tensors as coefs and intercepts.

    Attributes
    ----------
    n_products : int
        Multiplications for a row.
    widest : int
        Units of the widest layer.
    takes_sparse : bool
        Whether rows may be CSR.
    """

    takes_sparse = True

    def __init__(self, spec, weights):
        coefs, layers = weights.coefs, load_layers(spec, weights)
        self.dtype, self.device = coefs[0].dtype, coefs[0].device
        self.n_outputs = coefs[-1].shape[1]
        self.widest = max(coef.shape[1] for coef in coefs)
        self.n_products = sum(coef.numel() for coef in coefs)
        self.normalizations = layers.normalizations
        chosen = zip(spec.activations, layers.activations, strict=True)
        functions = [_in_place(choice, module) for choice, module in chosen]
        self.layers = list(zip(weights.intercepts, coefs, [*functions, None], strict=True))

    def __call__(self, x):
        """Compute logits, (n, k), of rows, (n, d), dense or CSR."""
        for intercept, coef, activation in self._folded(x.shape[0]):
            x = torch.addmm(intercept, x, coef)
            if activation is not None:
                x = activation(x)
        return x

    def _folded(self, n):
        """Return the layers, affine maps that follow each other made one where that saves work.

        (x W + b) V + c = x (W V) + (b V + c)
        """
        all_layers = self._normalized(n) if self.normalizations else self.layers
        layers = all_layers[:1]
        for intercept, coef, activation in all_layers[1:]:
            before, first, between = layers[-1]
            if between is None and n > first.shape[0]:
                folded = torch.addmv(intercept, coef.T, before), first @ coef, activation
                layers[-1] = folded
            else:
                layers.append((intercept, coef, activation))
        return layers

    def _normalized(self, n):
        """Return the layers with batch normalization folded into affine maps where that saves work.

        With running mean m and variance v: s ((x W + b) - m) + beta = x (W s) + (s (b - m) + beta)
        where s = gamma / sqrt(v + epsilon) (Ioffe & Szegedy 2015, algorithm 2, line 11).
        """
        layers = []
        for (intercept, coef, activation), norm in zip(
            self.layers, self.normalizations, strict=False
        ):
            if n > coef.shape[0]:
                scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
                intercept = norm.bias + scale * (intercept - norm.running_mean)
                layers.append((intercept, coef * scale, activation))
            else:
                layers.append((intercept, coef, _both(norm, activation)))
        return [*layers, self.layers[-1]]


class ModulePredictor:
    """Any other network that only predicts.

    Parameters
    ----------
    spec : Spec
    module : torch.nn.Module
        In eval mode; not `module_`, whose mode is the user's to change.
    dtype, device : torch.dtype, torch.device
    """

    takes_sparse = False

    def __init__(self, spec, module, dtype, device):
        self.module, self.dtype, self.device = module, dtype, device
        self.n_outputs = spec.n_outputs
        matrices = [p for p in module.parameters() if p.ndim > 1]
        self.n_products = sum(p.numel() for p in matrices)
        self.widest = max([spec.width_in, spec.n_outputs, *(max(p.shape) for p in matrices)])

    def __call__(self, x):
        """Compute logits, (n, k), of rows, (n, d)."""
        return self.module(x)


def _both(normalization, activation):
    if activation is None:
        return normalization
    return lambda z: activation(normalization(z))


def _in_place(choice, module):
    """Return a function that may overwrite its argument, or None for the identity."""
    if choice.name == "identity" and choice.custom is None:
        return None
    if choice.entry.kernel is None:
        return module
    forward = choice.entry.kernel(choice.entry.filled(choice.arguments)).forward

    def function(z):
        forward(z, z)
        return z

    return function
