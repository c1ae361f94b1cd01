"""Members: networks that share their matrices and differ in scales of units, biases and heads.

Gorishniy, Kotelnikov & Babenko 2025, "TabM: Advancing tabular deep learning with
parameter-efficient ensembling", sec. 3, after Wen, Tran & Ba 2020, "BatchEnsemble".
"""

import math

import numpy as np
import torch
from torch import nn

from sklmlp.losses import log_sigmoid, log_softmax
from sklmlp.nn.embeddings import LevelVectors, make_front


class TiedLayer(nn.Module):
    """An affine map of k members: member i has diag(r_i) W diag(s_i), and its own bias.

    Parameters
    ----------
    r : tensor of shape (k, n_in)
        The scales of units that come in to start from.
    n_out : int
    """

    def __init__(self, r, n_out):
        super().__init__()
        k, n_in = r.shape
        bound = n_in**-0.5
        self.weight = nn.Parameter(torch.empty(n_in, n_out).uniform_(-bound, bound))
        self.r, self.s = nn.Parameter(r), nn.Parameter(torch.ones(k, n_out))
        bias = torch.empty(n_out).uniform_(-bound, bound)
        self.bias = nn.Parameter(bias.repeat(k, 1))  # all members start from one draw

    def forward(self, h):
        """Map (n, n_in), which all members share, or (k, n, n_in) to (k, n, n_out)."""
        z = (h * self.r.unsqueeze(1)) @ self.weight
        return torch.addcmul(self.bias.unsqueeze(1), z, self.s.unsqueeze(1))


class TiedNetwork(nn.Module):
    """Embeddings of numbers, and members with shared matrices over them, as one network.

    In training it returns the logits of each member, (k, n, n_outputs), and in evaluation those of
    the members' averaged prediction, (n, n_outputs). A user's `module` could be one like this.

    Parameters
    ----------
    n_features_in, n_outputs : int
    edges : ndarray of shape (n_numbers, n_edges)
        Of the bins of the first columns, see `sklmlp.nn.embeddings.pad_edges`. The other columns
        are not embedded.
    blocks : array-like of int of shape (n_features_in,)
        Columns of one number belong together, such as those of one category: they start from one
        scale in each member.
    hidden_layer_sizes : tuple of int
    n_members : int
    embedding_size : int
    dropout : float
        Share of each hidden layer's units that a training step sets to zero.
    average : str
        A key of `AVERAGES`: how predictions of members are averaged.
    numeric_embedding : {"piecewise", "periodic", "both"}
    frequency_scale : float
        Of periodic embeddings.
    n_levels : array-like of int
        The last columns are codes of categories with so many levels, see
        `sklmlp.nn.embeddings.LevelVectors`. Their vectors go in, and the codes do not.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklmlp.nn import TiedNetwork
    >>> edges = np.array([[0.0, 1.0, 2.0]])  # of the first of three columns
    >>> network = TiedNetwork(3, 1, edges, [0, 1, 1], hidden_layer_sizes=(16,), n_members=4)
    >>> X = torch.zeros(10, 3)
    >>> network.train()(X).shape, network.eval()(X).shape
    (torch.Size([4, 10, 1]), torch.Size([10, 1]))
    """

    def __init__(
        self,
        n_features_in,
        n_outputs,
        edges,
        blocks,
        hidden_layer_sizes=(128, 128, 128),
        n_members=8,
        embedding_size=8,
        dropout=0.1,
        average="identity",
        numeric_embedding="piecewise",
        frequency_scale=0.1,
        n_levels=(),
    ):
        super().__init__()
        edges, blocks = np.asarray(edges, dtype=np.float32), np.asarray(blocks)
        self.n_plain = len(blocks) - len(n_levels)
        self.n_numbers, self.n_members = len(edges), n_members
        self.dropout, self.average = float(dropout), average
        self.generator = None
        """Of dropout's random numbers; None is torch's global one."""
        self.front, size = make_front(numeric_embedding, edges, embedding_size, frequency_scale)
        self.levels = LevelVectors(n_levels, embedding_size) if len(n_levels) else None
        of_numbers = np.repeat(blocks[: self.n_numbers], size)
        of_levels = np.repeat(blocks[self.n_plain :], embedding_size)
        r = first_scales([*of_numbers, *of_levels, *blocks[: self.n_plain]], n_members)
        layers = []
        for width in hidden_layer_sizes:
            layers.append(TiedLayer(r, width))
            r = torch.ones(n_members, width)
        self.layers = nn.ModuleList(layers)
        fan_in = r.shape[1]
        bound = fan_in**-0.5
        head = torch.empty(n_members, fan_in, n_outputs).uniform_(-bound, bound)
        self.head = nn.Parameter(head if layers else head * r.unsqueeze(2))
        self.head_bias = nn.Parameter(torch.empty(n_members, 1, n_outputs).uniform_(-bound, bound))

    @property
    def shared(self):
        """The matrices that members share."""
        return [layer.weight for layer in self.layers]

    @property
    def first_scales(self):
        """The members' scales of what goes into the first layer, (k, n_in)."""
        return [layer.r for layer in self.layers[:1]]

    def inputs(self, x):
        """Return what goes into the first layer: embeddings of numbers and levels, then columns."""
        inputs = [x[:, : self.n_plain]]
        if self.levels is not None:
            inputs.insert(0, self.levels(x[:, self.n_plain :]).flatten(1))
        if self.front is not None:
            embedded = self.front(x[:, : self.n_numbers])  # (F, n, size)
            inputs.insert(0, embedded.transpose(0, 1).flatten(1))
        return torch.cat(inputs, 1)

    def _mask(self, shape, like):
        keep = 1 - self.dropout
        return like.new_empty(shape).bernoulli_(keep, generator=self.generator).div_(keep)

    def forward(self, x):
        """Return logits of rows, (n, n_features_in)."""
        h = self.inputs(x)
        for layer in self.layers:
            h = layer(h).relu()
            if self.training and self.dropout:
                h = h * self._mask(h.shape, h)
        z = self.head_bias + h @ self.head  # (k, n, n_outputs)
        return z if self.training else self.averaged(z)

    def averaged(self, z):
        """Return the logits, (n, n_outputs), of the averaged prediction of members' logits."""
        return AVERAGES[self.average](z)


def first_scales(blocks, n_members):
    """Draw the scales that members start the first layer from, (k, n_in).

    Each member draws one number for all inputs of a block, (n_in,), which are those of a column:
    that is what makes members differ (TabM, sec. 3.3).
    """
    _, column = np.unique(blocks, return_inverse=True)
    draws = torch.randn(n_members, column.max() + 1)
    return draws[:, torch.from_numpy(column)]


# The logits of averaged predictions


def _softmax(z):
    return torch.logsumexp(log_softmax(z), 0) - math.log(len(z))


def _logistic(z):
    yes, no = (torch.logsumexp(log_sigmoid(each), 0) for each in (z, -z))
    return yes - no  # log(p / (1 - p))


def _exp(z):
    return torch.logsumexp(z, 0) - math.log(len(z))


def _gaussian(z):
    # the law of total variance
    mean, log_variance = z.chunk(2, -1)
    variance = log_variance.exp().mean(0) + mean.var(0, correction=0)
    return torch.cat([mean.mean(0), variance.log()], -1)


AVERAGES = {
    "identity": lambda z: z.mean(0),
    "softmax": _softmax,
    "logistic": _logistic,
    "exp": _exp,
    "gaussian": _gaussian,
}
"""Name -> logits of k members, (k, n, n_outputs), to those of their mean prediction."""
