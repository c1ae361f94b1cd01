"""Training by autograd and torch.optim, one operation after the other."""

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from sklmlp.losses import make_loss


def objective(network, z, y):
    """What is reported and what is descended, of each row, by the losses of the estimators."""
    name = "quantile" if network.loss == "quantiles" else network.loss
    arguments = {
        {"quantiles": "quantile"}.get(key, key): list(value) if isinstance(value, tuple) else value
        for key, value in network.loss_arguments.items()
    }
    loss = make_loss(name, arguments)
    reported = loss.value(z.detach(), y)
    # what is reported has clipped probabilities, which are flat
    if name == "log_loss":
        smoothing = arguments.get("label_smoothing", 0.0)
        return reported, cross_entropy(z, y, reduction="none", label_smoothing=smoothing)
    if name == "binary_log_loss":
        smoothing = arguments.get("label_smoothing", 0.0)
        y = y * (1 - smoothing) + smoothing / 2
        return reported, binary_cross_entropy_with_logits(z, y, reduction="none").sum(-1)
    return reported, (loss.objective or loss.value)(z, y)


def torch_optimizer(network, options):
    """The optimizer of torch's that the engine is to agree with."""
    if options.solver == "sgd":
        nesterov = options.nesterov and options.momentum > 0
        kind = torch.optim.SGD
        more = {"momentum": options.momentum, "nesterov": nesterov}
    else:
        kind = torch.optim.AdamW if options.solver == "adamw" else torch.optim.Adam
        betas = (options.beta_1, options.beta_2)
        more = {"betas": betas, "eps": options.epsilon}
    groups = [{"params": network.parameters}]
    if options.solver == "adamw":  # matrices alone decay
        n = len(matrices(network))
        first, rest = network.parameters[:n], network.parameters[n:]
        groups = [
            {"params": first, "weight_decay": options.weight_decay},
            {"params": rest, "weight_decay": 0.0},
        ]
    return kind(groups, lr=options.learning_rate_init, **more)


def matrices(network):
    """The parameters that are the first `n_coefs` numbers."""
    ends = np.cumsum([p.numel() for p in network.parameters])
    return [
        p for p, end in zip(network.parameters, ends, strict=True) if end <= network.plan.n_coefs
    ]


def train(network, x, y, options, orders, batch_size, weight=None, rates=None, masks=None):
    """Train on the rows in given orders, one an epoch; return the loss of each epoch."""
    optimizer = torch_optimizer(network, options)
    groups, coefs, losses, step = optimizer.param_groups, matrices(network), [], 0
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    weight = torch.ones(len(x)) if weight is None else torch.from_numpy(weight)
    n_seen = 0
    for epoch, order in enumerate(orders):
        total = 0.0
        if rates is not None:
            epoch_rates = iter(rates[epoch])
        for start in range(0, len(order), batch_size):
            rows = torch.from_numpy(order[start : start + batch_size])
            w = weight[rows].to(x.dtype)
            if w.sum() == 0:
                continue
            if rates is not None:
                rate = next(epoch_rates)
                for group in groups:
                    group["lr"] = rate
            if options.solver == "adam":  # scikit-learn's epsilon
                groups[0]["eps"] = options.epsilon / np.sqrt(1 - options.beta_2 ** (step + 1))
            z = network.logits(x[rows], None if masks is None else masks(step, len(rows)))
            reported, descended = objective(network, z, y[rows])
            squares = sum((p**2).sum() for p in coefs)
            penalty = options.alpha / 2 * squares / w.sum()
            optimizer.zero_grad()
            ((descended * w).sum() / w.sum() + penalty).backward()
            if options.max_grad_norm:
                torch.nn.utils.clip_grad_norm_(network.parameters, options.max_grad_norm)
            total += len(rows) * float((reported * w).sum() / w.sum() + penalty.detach())
            optimizer.step()
            step += 1
        losses.append(total / len(order))
        n_seen += len(order)
        if options.power_t is not None:
            rate = options.learning_rate_init / (n_seen + 1) ** options.power_t
            for state in optimizer.state.values():  # the velocity stays
                if state.get("momentum_buffer") is not None:
                    state["momentum_buffer"].mul_(groups[0]["lr"] / rate)
            for group in groups:
                group["lr"] = rate
    return losses
