"""A policy over finite choices that are drawn independently, learned from rewards by REINFORCE.

The gradient is that of Williams 1992; rejection of what is not allowed, and the correction by the
probability of being allowed, are those of TabNAS: Yang et al. 2022, :arxiv:`2204.07615`.
"""

import numpy as np


class Policy:
    """A softmax for each choice: P(c) = prod_l softmax(logits_l)[c_l].

    A choice that is not made, as the width of a layer that a network does not have, is -1. It has
    no part in the probability, and nothing is learned of it.

    Parameters
    ----------
    sizes : sequence of int
        Among how many options each choice is. All begin equally likely.
    learning_rate : float, default=0.1
        Step of the ascent along the gradient of the expected advantage, which is in units of the
        spread of rewards.
    decay : float, default=0.9
        How much of the baseline, and of the spread about it, is kept in an update.
    entropy_weight : float, default=0.0
        Weight of the entropy in what is ascended at first, which keeps a policy from settling on
        its first luck.
    n_warmup : int, default=0
        The number of updates in which `entropy_weight` falls to zero, linearly.

    Attributes
    ----------
    logits : ndarray of shape (n_choices, max(sizes))
        -inf beyond the options of a choice.
    baseline : float or None
        Moving average of the rewards. None before the first update.
    n_updates : int

    Raises
    ------
    ValueError
        If there is no choice, or a choice has no option.

    Examples
    --------
    >>> rng, policy = np.random.default_rng(0), Policy([2, 3])
    >>> for _ in range(100):
    ...     choices = policy.sample(rng, 8)
    ...     policy.update(choices, rewards=choices[:, 1])
    >>> int(policy.probabilities()[1].argmax())
    2
    """

    def __init__(self, sizes, *, learning_rate=0.1, decay=0.9, entropy_weight=0.0, n_warmup=0):
        self.sizes = np.asarray(list(sizes), dtype=int)
        if not self.sizes.size or self.sizes.min() < 1:
            raise ValueError(f"sizes takes at least one number, all of them >= 1; got {sizes!r}.")
        self.learning_rate, self.decay = learning_rate, decay
        self.entropy_weight, self.n_warmup = entropy_weight, n_warmup
        self.is_option = np.arange(self.sizes.max()) < self.sizes[:, None]
        self.logits = np.where(self.is_option, 0.0, -np.inf)
        self.baseline, self.variance, self.n_updates = None, 0.0, 0

    def probabilities(self):
        """Return the probabilities of options, zero beyond those of a choice.

        Returns
        -------
        probabilities : ndarray of shape (n_choices, max(sizes))
        """
        return np.exp(self._log_softmax())

    def sample(self, rng, n):
        """Draw choices.

        Parameters
        ----------
        rng : numpy.random.Generator
        n : int

        Returns
        -------
        choices : ndarray of int of shape (n, n_choices)
        """
        cumulative = self.probabilities().cumsum(1)
        drawn = rng.random((n, len(self.sizes), 1)) * cumulative[:, -1:]
        return np.minimum((drawn >= cumulative).sum(-1), self.sizes - 1)

    def log_probabilities(self, choices, allowed_probability=1.0):
        """Return the logarithms of the probabilities of choices.

        Parameters
        ----------
        choices : array-like of int of shape (n, n_choices)
        allowed_probability : float, default=1.0
            The probability that a sample is allowed. Where others are rejected, that of one which
            is allowed is P(c) / P(allowed): TabNAS, section 3.

        Returns
        -------
        log_probabilities : ndarray of shape (n,)
        """
        choices = self._checked(choices)
        of_each = self._log_softmax()[np.arange(len(self.sizes)), choices]  # (n, n_choices)
        return np.where(choices < 0, 0.0, of_each).sum(1) - np.log(allowed_probability)

    def score_function(self, choices, allowed=None):
        """Return the gradients of the log probabilities of choices with respect to the logits.

        Parameters
        ----------
        choices : array-like of int of shape (n, n_choices)
        allowed : array-like of int of shape (m, n_choices) or None, default=None
            Samples of this policy that are allowed, by :func:`sample_allowed`. Then the gradients
            are those of log P(c) - log P(allowed), where the gradient of the second is estimated
            by the mean over these samples. None, or no sample, leaves it out.

        Returns
        -------
        gradients : ndarray of shape (n, n_choices, max(sizes))
        """
        gradients = self._gradients(self._checked(choices))
        if allowed is None or not len(allowed):
            return gradients
        # grad log P(allowed) = E[grad log P(z) | z is allowed]
        return gradients - self._gradients(self._checked(allowed)).mean(0)

    def entropy(self):
        """Return the sum of the entropies of all choices, in nats."""
        log_p = self._log_softmax()
        return -float((np.exp(log_p) * np.where(self.is_option, log_p, 0.0)).sum())

    def entropy_gradient(self):
        """Return the gradient of the entropy with respect to the logits: -p (log p + H)."""
        log_p = np.where(self.is_option, self._log_softmax(), 0.0)
        p = self.probabilities()
        return -p * (log_p - (p * log_p).sum(1, keepdims=True))

    def update(self, choices, rewards, *, allowed=None):
        """Make choices that had more than the usual reward more likely, and others less.

        The logits ascend mean_i A_i grad log P(c_i), with the advantage A = (reward - baseline) /
        spread. Baseline and spread are those before this update; in the first one they are those
        of the rewards themselves.

        Parameters
        ----------
        choices : array-like of int of shape (n, n_choices)
        rewards : array-like of shape (n,)
            The more the better, in any units.
        allowed : array-like of int of shape (m, n_choices) or None, default=None
            See :meth:`score_function`.
        """
        rewards = np.asarray(rewards, dtype=float)
        if self.baseline is None:
            self.baseline, self.variance = float(rewards.mean()), float(rewards.var())
        spread = np.sqrt(self.variance)
        advantages = (rewards - self.baseline) / spread if spread > 0 else rewards * 0.0
        gradient = np.tensordot(advantages, self.score_function(choices, allowed), 1) / len(rewards)
        weight = self.entropy_weight * max(0.0, 1 - self.n_updates / max(self.n_warmup, 1))
        gradient += weight * self.entropy_gradient()
        self.logits = np.where(self.is_option, self.logits + self.learning_rate * gradient, -np.inf)
        self._learn_baseline(rewards)
        self.n_updates += 1

    def _learn_baseline(self, rewards):
        """Move baseline and spread toward those of the last rewards."""
        kept = self.decay
        about_baseline = float(((rewards - self.baseline) ** 2).mean())
        self.variance = kept * self.variance + (1 - kept) * about_baseline
        self.baseline = kept * self.baseline + (1 - kept) * float(rewards.mean())

    def _log_softmax(self):
        shifted = self.logits - self.logits.max(1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))

    def _gradients(self, choices):
        """One-hot choices minus probabilities, zero for choices that are not made."""
        one_hot = choices[:, :, None] == np.arange(self.logits.shape[1])  # (n, n_choices, size)
        return (one_hot - self.probabilities()) * (choices >= 0)[:, :, None]

    def _checked(self, choices):
        choices = np.atleast_2d(np.asarray(choices, dtype=int))
        if choices.shape[1] != len(self.sizes) or (choices >= self.sizes).any():
            raise ValueError(
                f"choices takes rows of {len(self.sizes)} numbers, each below its size of "
                f"{self.sizes.tolist()}; got shape {choices.shape} with a largest of "
                f"{choices.max(0).tolist()}."
            )
        return choices


def sample_allowed(policy, rng, is_allowed, n):
    """Draw samples and reject those that are not allowed.

    Parameters
    ----------
    policy : Policy
    rng : numpy.random.Generator
    is_allowed : callable
        `is_allowed(choices)` tells of one sample, an ndarray of shape (n_choices,), whether it may
        be tried.
    n : int
        How many are drawn before any is rejected.

    Returns
    -------
    allowed : ndarray of int of shape (m, n_choices)
        What is left, in the order of the draws.
    probability : float
        m / n, the Monte Carlo estimate of the probability that a sample is allowed.
    """
    drawn = policy.sample(rng, n)
    kept = np.array([bool(is_allowed(each)) for each in drawn], dtype=bool)
    return drawn[kept], float(kept.mean())
