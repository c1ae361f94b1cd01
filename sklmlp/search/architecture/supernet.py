"""One network whose parts are all architectures of a space: they share its weights.

A layer has as many units as its widest candidate, and a candidate has the first of them. Networks
of several depths end at several output layers, one after each hidden layer. What is relaxed is a
mixture: of widths by one weighted mask (FBNetV2: Wan et al. 2020, :arxiv:`2004.05565`, eq. 3, one
product for all widths), of activations and depths by weighted sums (DARTS: Liu et al. 2019,
:arxiv:`1806.09055`, eq. 2).
"""

import numpy as np
import torch


class Supernet:
    """A stack of K networks of the largest architecture, which differ in their initial weights.

    Parameters
    ----------
    n_features, n_outputs : int
        Units that go in and come out.
    widths : sequence of int
        The most units of each hidden layer.
    depths : sequence of int
        Numbers of hidden layers after which a network may end.
    activations : sequence of ActivationSpec
        Among which each hidden layer chooses.
    rng : numpy.random.Generator
        Draws the initial weights.
    n_networks : int, default=1
        K.
    dtype : torch.dtype, default=torch.float32
    device : torch.device or str, default="cpu"

    Attributes
    ----------
    coefs, intercepts : list of tensor of shape (K, fan in, fan out) and (K, 1, fan out)
        Of the hidden layers.
    heads : dict of int to (tensor, tensor)
        Depth to coefs and intercepts of the output layer behind it.
    functions : list of torch.nn.Module
        The activations.
    """

    def __init__(self, n_features, n_outputs, widths, depths, activations, rng, *, n_networks=1,
                 dtype=torch.float32, device="cpu"):  # fmt: skip
        self.functions = [each.build(1, "cpu", dtype).to(device) for each in activations]
        to = {"dtype": dtype, "device": device}

        def draw(fan_in, fan_out, bound):
            shapes = (n_networks, fan_in, fan_out), (n_networks, 1, fan_out)
            drawn = (torch.as_tensor(rng.uniform(-bound, bound, each), **to) for each in shapes)
            return tuple(each.requires_grad_() for each in drawn)

        fans = [n_features, *widths]
        # a weight serves all activations, so its bound lies between those of each
        pairs = [
            draw(fan_in, fan_out, np.mean([each.bound(fan_in, fan_out) for each in activations]))
            for fan_in, fan_out in zip(fans, widths, strict=False)
        ]
        self.coefs, self.intercepts = [a for a, _ in pairs], [b for _, b in pairs]
        self.heads = {
            depth: draw(fans[depth], n_outputs, np.sqrt(6 / (fans[depth] + n_outputs)))
            for depth in sorted(depths)
        }

    def parameters(self):
        """Return all tensors that are learned."""
        return [
            *self.coefs,
            *self.intercepts,
            *(each for pair in self.heads.values() for each in pair),
        ]

    def logits(self, x, architecture):
        """Compute the logits of one architecture.

        Parameters
        ----------
        x : tensor of shape (n, n_features)
        architecture : Architecture

        Returns
        -------
        logits : tensor of shape (K, n, n_outputs)
        """
        h = x.expand(self.n_networks, *x.shape)  # (K, n, d)
        for i, (width, choice) in enumerate(
            zip(architecture.widths, architecture.activations, strict=True)
        ):
            coefs = self.coefs[i][:, : h.shape[-1], :width]
            z = torch.baddbmm(self.intercepts[i][..., :width], h, coefs)  # (K, n, width)
            h = self.functions[choice](z)
        coefs, intercepts = self.heads[len(architecture.widths)]
        return torch.baddbmm(intercepts, h, coefs[:, : h.shape[-1]])

    def mixed_logits(self, x, of_depth, masks, of_activation):
        """Compute the logits of a mixture of architectures.

        Parameters
        ----------
        x : tensor of shape (n, n_features)
        of_depth : tensor of shape (n_depths,)
            Weights of the depths, in the order of `heads`.
        masks : sequence of tensor of shape (width,)
            For each hidden layer, what each of its units is multiplied by: the weights of the
            widths that have it, added up.
        of_activation : sequence of tensor of shape (n_activations,)
            For each hidden layer, weights of its activations.

        Returns
        -------
        logits : tensor of shape (K, n, n_outputs)
        """
        h, logits = x.expand(self.n_networks, *x.shape), 0.0
        weights = dict(zip(self.heads, of_depth, strict=True))
        for depth in range(max(self.heads) + 1):
            if depth > 0:
                z = torch.baddbmm(self.intercepts[depth - 1], h, self.coefs[depth - 1])
                shares = zip(of_activation[depth - 1], self.functions, strict=True)
                h = sum(share * function(z) for share, function in shares) * masks[depth - 1]
            if depth in weights:
                coefs, intercepts = self.heads[depth]
                logits = logits + weights[depth] * torch.baddbmm(intercepts, h, coefs)
        return logits

    @property
    def n_networks(self):
        """K."""
        return next(iter(self.heads.values()))[0].shape[0]
