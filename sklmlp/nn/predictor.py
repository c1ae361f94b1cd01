"""Rows to logits in prediction: no autograd, no module, the fewest calls."""

import torch

from sklmlp.nn.spec import loaded_activations


class Predictor:
    """A network that only predicts, over tensors that it shares.

    Parameters
    ----------
    spec : Spec
    coefs, intercepts : list of tensor
        In scikit-learn's layout: coefs are (fan_in, fan_out).
    extras : list of dict of str to ndarray
    """

    def __init__(self, spec, coefs, intercepts, extras):
        self.dtype, self.device = coefs[0].dtype, coefs[0].device
        self.n_outputs = coefs[-1].shape[1]
        self.widest = max(coef.shape[1] for coef in coefs)
        modules = loaded_activations(spec, extras, self.dtype, self.device)
        functions = [_in_place(c, m) for c, m in zip(spec.activations, modules, strict=True)]
        self.layers = list(zip(intercepts, coefs, [*functions, None], strict=True))

    def __call__(self, x):
        """Rows, (n, d), dense or CSR, to logits, (n, k)."""
        for intercept, coef, activation in self._folded(x.shape[0]):
            x = torch.addmm(intercept, x, coef)
            if activation is not None:
                x = activation(x)
        return x

    def _folded(self, n):
        """The layers, affine maps that follow each other made one where that saves work.

        (x W + b) V + c = x (W V) + (b V + c)
        """
        layers = self.layers[:1]
        for intercept, coef, activation in self.layers[1:]:
            before, first, between = layers[-1]
            if between is None and n > first.shape[0]:
                folded = torch.addmv(intercept, coef.T, before), first @ coef, activation
                layers[-1] = folded
            else:
                layers.append((intercept, coef, activation))
        return layers


def _in_place(choice, module):
    """A function that may overwrite its argument, or None for the identity."""
    if choice.name == "identity" and choice.own is None:
        return None
    if choice.entry.kernel is None:
        return module
    forward = choice.entry.kernel(choice.arguments).forward

    def function(z):
        forward(z, z)
        return z

    return function
