"""Predictors of the loss of a trial: an ensemble of small networks over encoded trials.

BANANAS, White et al. 2021, :arxiv:`1910.11858`, compares ways to use one; five networks on vectors
of one-hot choices are among the best.
"""

import warnings

import numpy as np
from scipy.special import ndtri
from sklearn.exceptions import ConvergenceWarning

from sklmlp.regressor import MLPRegressor
from sklmlp.search.architecture.encoding import VectorEncoder


def normal_score(losses):
    """Return the standard normal quantiles of the ranks of losses, the least loss the greatest.

    Parameters
    ----------
    losses : array-like of shape (n,)

    Returns
    -------
    scores : ndarray of shape (n,)
        Equal losses have the score of their mean rank.
    """
    losses = np.asarray(losses, dtype=float)
    below = (losses[:, None] > losses).sum(1)
    equal = (losses[:, None] == losses).sum(1)
    return -ndtri((below + equal / 2) / len(losses))


class Ensemble:
    """Networks of one shape that predict the normal score of a trial, the greater the better.

    Parameters
    ----------
    n_members : int, default=8
    hidden_layer_sizes : tuple of int, default=(32, 32)
        Of each network, whose activation is tanh: predictions have a gradient everywhere.
    n_epochs : int, default=200
    seed : int, default=0
    """

    def __init__(self, n_members=8, hidden_layer_sizes=(32, 32), n_epochs=200, seed=0):
        self.n_members, self.hidden_layer_sizes = n_members, hidden_layer_sizes
        self.n_epochs, self.seed = n_epochs, seed

    def fit(self, space, told):
        """Learn from the trials whose values are known.

        Parameters
        ----------
        space : KnownSpace
        told : list of Told

        Returns
        -------
        self : Ensemble
        """
        self.encoder = VectorEncoder(space)
        X = self.encoder.encode([each.values for each in told])
        y = normal_score([each.loss for each in told])
        self.regressor = MLPRegressor(
            hidden_layer_sizes=self.hidden_layer_sizes,
            activation="tanh",
            alpha=1e-2,
            batch_size=min(16, len(X)),
            learning_rate_init=0.01,
            max_iter=self.n_epochs,
            n_iter_no_change=self.n_epochs,
            n_estimators=self.n_members,
            random_state=self.seed,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is meant
            self.regressor.fit(X, y)
        self.members = [(each.coefs_, each.intercepts_) for each in self.regressor.estimators_]
        return self

    def predict(self, vectors, member):
        """Return the scores that one network predicts.

        Parameters
        ----------
        vectors : ndarray of shape (n, n_columns)
        member : int

        Returns
        -------
        scores : ndarray of shape (n,)
        """
        return self._activations(vectors, member)[-1][:, 0]

    def gradient(self, vectors, member):
        """Return the gradients of the scores of one network with respect to the vectors.

        Parameters
        ----------
        vectors : ndarray of shape (n, n_columns)
        member : int

        Returns
        -------
        gradients : ndarray of shape (n, n_columns)
        """
        coefs, _ = self.members[member]
        _, *hidden, output = self._activations(vectors, member)
        gradients = np.ones_like(output)  # (n, 1)
        for weights, a in zip(coefs[:0:-1], hidden[::-1], strict=True):
            gradients = (gradients @ weights.T) * (1 - a**2)  # tanh' = 1 - tanh^2
        return gradients @ coefs[0].T

    def _activations(self, vectors, member):
        """Return the vectors, the activations of each hidden layer, and the outputs."""
        coefs, intercepts = self.members[member]
        activations = [vectors]
        for i, (weights, bias) in enumerate(zip(coefs, intercepts, strict=True)):
            z = activations[-1] @ weights + bias
            activations.append(z if i == len(coefs) - 1 else np.tanh(z))
        return activations


class Latest:
    """The ensemble for what is known, trained once for a set of trials.

    Parameters
    ----------
    options : dict
        Of `Ensemble`.
    """

    def __init__(self, **options):
        self.options, self.last = options, None

    def of(self, knowledge, seed):
        """Return an ensemble that has learned from all trials that are known.

        Parameters
        ----------
        knowledge : Knowledge
        seed : int
        """
        of_what = knowledge.space.signature, knowledge.told
        if self.last is None or self.last[0] != of_what:
            ensemble = Ensemble(**self.options, seed=seed)
            self.last = of_what, ensemble.fit(knowledge.space, knowledge.told)
        return self.last[1]
