"""The policy's probabilities, gradients and steps are those of torch, its rejection exact."""

from itertools import product

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import chisquare
from torch.distributions import Categorical

from sklmlp.search.architecture.policy import Policy, sample_allowed

SIZES = [2, 4, 3]
EVERY = np.array(list(product(*map(range, SIZES))))


def make_policy(seed=0, **options):
    policy = Policy(SIZES, **options)
    drawn = np.random.default_rng(seed).normal(size=policy.logits.shape)
    policy.logits = np.where(policy.is_option, drawn, -np.inf)
    return policy


def leaves_of(policy):
    return [
        torch.tensor(logits[:size], requires_grad=True)
        for logits, size in zip(policy.logits, policy.sizes, strict=True)
    ]


def log_probability(leaves, choices):
    """What torch.distributions says of one row of choices, -1 left out."""
    return sum(
        Categorical(logits=leaf).log_prob(torch.tensor(int(choice)))
        for leaf, choice in zip(leaves, choices, strict=True)
        if choice >= 0
    )


def gradient_of(value, leaves):
    """The gradient by autograd, zero beyond the options of a choice."""
    gradients = torch.autograd.grad(value, leaves, allow_unused=True)
    padded = np.zeros((len(SIZES), max(SIZES)))
    for row, gradient in zip(padded, gradients, strict=True):
        if gradient is not None:
            row[: len(gradient)] = gradient.numpy()
    return padded


def is_allowed(choices):
    return sum(choices) <= 3


def test_log_probabilities_are_those_of_torch():
    """Choices are independent, and one that is not made has no part."""
    policy, choices = make_policy(), np.vstack([EVERY, [1, -1, 2], [-1, 3, -1]])
    expected = [log_probability(leaves_of(policy), row).item() for row in choices]
    assert_allclose(policy.log_probabilities(choices), expected)


@pytest.mark.parametrize("choices", [[0, 3, 1], [1, -1, 2]])
def test_the_score_function_is_the_gradient(choices):
    """Autograd agrees, and says zero for a choice that is not made."""
    policy = make_policy()
    leaves = leaves_of(policy)
    expected = gradient_of(log_probability(leaves, choices), leaves)
    assert_allclose(policy.score_function([choices])[0], expected, atol=1e-12)


def test_the_entropy_and_its_gradient_are_those_of_torch():
    """The entropy is the sum over choices."""
    policy = make_policy()
    leaves = leaves_of(policy)
    entropy = sum(Categorical(logits=leaf).entropy() for leaf in leaves)
    assert policy.entropy() == pytest.approx(entropy.item())
    assert_allclose(policy.entropy_gradient(), gradient_of(entropy, leaves), atol=1e-12)


def test_samples_are_as_frequent_as_they_are_probable():
    """A chi-squared test over all combinations does not tell them apart."""
    policy = make_policy()
    drawn = policy.sample(np.random.default_rng(0), 20_000)
    counts = [(drawn == row).all(1).sum() for row in EVERY]
    expected = np.exp(policy.log_probabilities(EVERY)) * len(drawn)
    assert chisquare(counts, expected).pvalue > 0.01


def test_rejection_keeps_what_is_allowed():
    """The estimate of its probability agrees with enumeration, by which the rest sums to one."""
    policy = make_policy()
    kept = np.array([is_allowed(row) for row in EVERY])
    exact = np.exp(policy.log_probabilities(EVERY[kept])).sum()
    allowed, probability = sample_allowed(policy, np.random.default_rng(0), is_allowed, 5000)
    assert all(is_allowed(row) for row in allowed)
    assert len(allowed) == round(probability * 5000)
    assert probability == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 5000))
    assert np.exp(policy.log_probabilities(EVERY[kept], exact)).sum() == pytest.approx(1)


def test_the_gradient_is_corrected_for_rejection():
    """It is that of log P(c) - log P(allowed), of which autograd has every term."""
    policy, choices = make_policy(), [1, 0, 2]
    leaves = leaves_of(policy)
    of_allowed = sum(log_probability(leaves, row).exp() for row in EVERY if is_allowed(row))
    expected = gradient_of(log_probability(leaves, choices) - of_allowed.log(), leaves)
    allowed, _ = sample_allowed(policy, np.random.default_rng(0), is_allowed, 40_000)
    assert_allclose(policy.score_function([choices], allowed)[0], expected, atol=0.02)


def test_an_update_is_a_step_of_gradient_ascent():
    """That of A log P(c) + w H, by autograd; baseline and spread move."""
    policy = make_policy(learning_rate=0.5, decay=0.8, entropy_weight=0.4, n_warmup=4)
    policy.baseline, policy.variance, policy.n_updates = 1.0, 4.0, 1
    choices, rewards = [[0, 3, 1], [1, -1, 2]], [3.0, -2.0]
    leaves = leaves_of(policy)
    advantages = [(each - 1.0) / 2.0 for each in rewards]
    entropy = sum(Categorical(logits=leaf).entropy() for leaf in leaves)
    reinforced = sum(
        advantage * log_probability(leaves, row)
        for advantage, row in zip(advantages, choices, strict=True)
    )
    objective = reinforced / 2 + 0.4 * (1 - 1 / 4) * entropy
    expected = policy.logits + 0.5 * gradient_of(objective, leaves)
    policy.update(choices, rewards)
    assert_allclose(policy.logits, expected)
    assert policy.baseline == pytest.approx(0.8 * 1.0 + 0.2 * 0.5)
    assert policy.variance == pytest.approx(0.8 * 4.0 + 0.2 * (2**2 + 3**2) / 2)


def test_equal_rewards_teach_nothing():
    """Without a spread there is no advantage."""
    policy = make_policy()
    before = policy.logits.copy()
    policy.update([[0, 0, 0], [1, 1, 1]], [2.0, 2.0])
    assert_allclose(policy.logits, before)


def test_what_cannot_be_is_refused():
    """The messages say what was given."""
    with pytest.raises(ValueError, match=r"sizes takes .* got \[3, 0\]"):
        Policy([3, 0])
    with pytest.raises(ValueError, match=r"below its size of \[2, 4, 3\]; got shape \(1, 3\)"):
        make_policy().log_probabilities([[0, 4, 0]])
