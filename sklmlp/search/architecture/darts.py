"""Choices relaxed to weights, which descend a gradient: DARTS, and GDAS with Gumbel noise."""

import torch

from sklmlp.search.architecture.grid import Grid
from sklmlp.search.architecture.shared import Ranking, SharedWeightsSampler
from sklmlp.search.architecture.training import WEIGHT_DECAY as USUAL_DECAY
from sklmlp.search.architecture.training import Descent

WARMUP = 0.25
"""The share of steps in which weights learn, before any choice does."""

LEARNING_RATE, BETAS = 0.02, (0.5, 0.999)
"""Of the choices; the betas are those of DARTS, section 3.1."""

WEIGHT_DECAY = 2.0
"""Of the weights. With less they fit the training rows so well that the gradient of the held-out
loss makes choices small that would be good, as Zela et al. 2020, :arxiv:`1909.09656`, have found.
"""

FIRST_TEMPERATURE, LAST_TEMPERATURE = 10.0, 0.1
"""Of Gumbel noise: GDAS, section 4.1."""


class DARTSSampler(SharedWeightsSampler):
    """Descend the held-out loss of a mixture of all candidates by the weights of their options.

    DARTS: Liu et al. 2019, :arxiv:`1806.09055`. Candidates are ranked by how much likelier than by
    chance their options have become. Widths are between six levels a layer at the most, and a
    candidate counts as the nearest of them. For other parameters see
    :class:`~sklmlp.search.architecture.SharedWeightsSampler`.

    Parameters
    ----------
    problem : Problem
    unrolled : bool, default=False
        Whether the gradient sees the weights of the network as they are after one more step (the
        second order, equation 6), rather than as they are. Takes about twice as long.
    seed : int or None, default=None
    n_steps : int, default=400
    n_networks : int, default=1

    Examples
    --------
    >>> import optuna
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.search.architecture import DARTSSampler, Problem
    >>> space = {"hidden_layer_sizes": [(4,), (16, 16)], "activation": ["relu", "tanh"]}
    >>> problem = Problem.of(MLPClassifier(), *load_iris(return_X_y=True), space)
    >>> sampler = DARTSSampler(problem, unrolled=True, seed=0, n_steps=20)
    >>> study = optuna.create_study(direction="maximize", sampler=sampler)
    >>> problem.suggest(study.ask())["activation"] in ("relu", "tanh")
    True
    """

    name, weight_decay = "darts", WEIGHT_DECAY

    def __init__(self, problem, *, unrolled=False, seed=None, n_steps=400, n_networks=1):
        super().__init__(problem, seed=seed, n_steps=n_steps, n_networks=n_networks)
        self.unrolled = unrolled

    def rank(self, pool, rows, rng):
        """Descend by weights and choices by turns."""
        grid, supernet = Grid(pool), self.make_supernet(pool, rng)
        descent = Descent(supernet, rows, self.n_steps, weight_decay=self.weight_decay)
        n_warmup = int(WARMUP * self.n_steps)
        to = {"dtype": rows.dtype, "device": rows.held_out[0].device}
        alphas = [torch.zeros(size, **to).requires_grad_() for size in grid.sizes]
        optimizer = torch.optim.Adam(alphas, lr=LEARNING_RATE, betas=BETAS)
        for step in range(self.n_steps):
            logits_of = self.relaxation(grid, supernet, alphas, step / self.n_steps, rng)
            if step >= n_warmup:
                gradients = self._gradients(rows, descent, alphas, logits_of)
                for alpha, gradient in zip(alphas, gradients, strict=True):
                    alpha.grad = gradient
                optimizer.step()
            descent.step(logits_of)
        log_p = [torch.log_softmax(a.detach().double(), 0).cpu().numpy() for a in alphas]
        return Ranking(grid.log_odds(log_p))

    def relaxation(self, grid, supernet, alphas, progress, rng):
        """Return the function of rows and choices to logits that a step descends.

        Parameters
        ----------
        grid : Grid
        supernet : Supernet
        alphas : list of tensor
            For each choice a number an option; softmax makes weights of them.
        progress : float
            The share of steps that are done.
        rng : numpy.random.Generator

        Returns
        -------
        logits_of : callable
        """
        del progress, rng

        def logits_of(x):
            weights = [alpha.softmax(0) for alpha in alphas]
            return supernet.mixed_logits(x, *grid.mixture(weights))

        return logits_of

    def _gradients(self, rows, descent, alphas, logits_of):
        """Return the gradients of the held-out loss with respect to the choices."""

        def slopes(batch, of):
            x, y, weight = batch
            return rows.gradients(logits_of(x), y, weight, of)

        held_out = rows.held_out_batch()
        if not self.unrolled:
            return slopes(held_out, alphas)
        training = rows.batch()
        return unrolled_gradients(
            lambda of: slopes(training, of),
            lambda of: slopes(held_out, of),
            descent.parameters,
            alphas,
            descent.rate,
        )


def unrolled_gradients(of_training, of_held_out, weights, alphas, rate):
    """Compute the gradient of the held-out loss after one more step of the weights.

    DARTS, equations 7 and 8: with w' = w - xi grad_w L_train(w, a) it is
    grad_a L_val(w', a) - xi (grad_a L_train(w+, a) - grad_a L_train(w-, a)) / (2 eps), where
    w+- = w +- eps grad_w' L_val(w', a), and eps = 0.01 / norm of that gradient.

    Parameters
    ----------
    of_training, of_held_out : callable
        `of_training(tensors)` returns the gradients of a loss with respect to tensors among
        `weights` and `alphas`, as these are.
    weights, alphas : list of tensor
        Weights are moved on the way, and are the same in the end.
    rate : float
        xi, the learning rate of the step.

    Returns
    -------
    gradients : list of tensor
        With respect to `alphas`.
    """
    before = [weight.detach().clone() for weight in weights]

    def put(step, directions):
        with torch.no_grad():
            for weight, start, direction in zip(weights, before, directions, strict=True):
                weight.copy_(start if direction is None else start + step * direction)

    put(-rate, of_training(weights))
    both = of_held_out([*alphas, *weights])
    gradients, directions = both[: len(alphas)], both[len(alphas) :]
    norm = torch.sqrt(sum(each.square().sum() for each in directions if each is not None))
    eps = 0.01 / max(float(norm), 1e-12)
    put(eps, directions)
    above = of_training(alphas)
    put(-eps, directions)
    below = of_training(alphas)
    put(0.0, directions)
    return [
        gradient - rate * (up - down) / (2 * eps)
        for gradient, up, down in zip(gradients, above, below, strict=True)
    ]


class GDASSampler(DARTSSampler):
    """Draw one option of each choice in a step, through which the gradient passes as it is.

    GDAS: Dong & Yang 2019, :arxiv:`1910.04465`, equations 3 to 5. Gumbel noise makes the draws
    those of the weights; its temperature falls. For parameters see :class:`DARTSSampler`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.search.architecture import GDASSampler, Problem
    >>> space = {"hidden_layer_sizes": [(4,), (16,), (16, 16)]}
    >>> problem = Problem.of(MLPClassifier(), *load_iris(return_X_y=True), space)
    >>> GDASSampler(problem, seed=0, n_steps=20).supernet_scores.shape
    (3,)
    """

    name, weight_decay = "gdas", USUAL_DECAY

    def __init__(self, problem, *, seed=None, n_steps=400, n_networks=1):
        super().__init__(problem, seed=seed, n_steps=n_steps, n_networks=n_networks)

    def relaxation(self, grid, supernet, alphas, progress, rng):
        """Return the logits of the options that this step draws."""
        temperature = FIRST_TEMPERATURE + progress * (LAST_TEMPERATURE - FIRST_TEMPERATURE)
        noises = [
            torch.as_tensor(rng.gumbel(size=len(a)), dtype=a.dtype, device=a.device) for a in alphas
        ]

        def logits_of(x):
            weights = [
                straight_through(alpha, noise, temperature)
                for alpha, noise in zip(alphas, noises, strict=True)
            ]
            return supernet.mixed_logits(x, *grid.mixture(weights))

        return logits_of


def straight_through(alpha, noise, temperature):
    """Return the option that noise draws, with the gradient of its relaxation.

    Jang et al. 2017, :arxiv:`1611.01144`, section 2.2.

    Parameters
    ----------
    alpha : tensor of shape (size,)
        Logits of the options.
    noise : tensor of shape (size,)
        Of the Gumbel distribution.
    temperature : float

    Returns
    -------
    drawn : tensor of shape (size,)
        One and zeros.
    """
    soft = ((alpha + noise) / temperature).softmax(0)
    hard = torch.zeros_like(soft)
    hard[soft.argmax()] = 1.0
    return hard + (soft - soft.detach())
