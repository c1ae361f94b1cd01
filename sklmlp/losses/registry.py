"""The table of losses, and what makes a loss of a name and its parameters."""

from dataclasses import replace

import torch

from sklmlp.losses import classification, regression
from sklmlp.losses.loss import into

LOSSES = {
    "log_loss": classification.log_loss,
    "binary_log_loss": classification.binary_log_loss,
    "focal": classification.focal,
    "binary_focal": classification.binary_focal,
    "hinge": classification.hinge,
    "binary_hinge": classification.binary_hinge,
    "squared_error": regression.squared_error,
    "absolute_error": regression.absolute_error,
    "huber": regression.huber,
    "poisson": regression.poisson,
    "gamma": regression.gamma,
    "quantile": regression.quantile,
    "gaussian": regression.gaussian,
}


def make_loss(name, parameters, scaling=None):
    """Return the loss of a name in `LOSSES`, given its parameters.

    Parameters
    ----------
    name : str
    parameters : dict
        Among them `function` may be a user's own: logits (n, k) and targets to the loss of each
        sample, (n,). The link is then that of the name.
    scaling : TargetScaling, default=None
        What targets were scaled by. The loss and its gradient are those of scaled targets;
        predictions and variances are scaled back.

    Returns
    -------
    loss : Loss
    """
    parameters = dict(parameters)
    function = parameters.pop("function", None)
    if scaling is not None and "huber_delta" in parameters:  # it is given in units of y
        parameters["huber_delta"] = [parameters["huber_delta"] / scale for scale in scaling.scale]
    loss = LOSSES[name](**parameters)
    if function is not None:
        loss = _by_autograd(loss, function)
    if scaling is None:
        return loss
    variance = loss.variance and (lambda z: scaling.decode_variance(loss.variance(z)))
    return replace(loss, link=lambda z: scaling.decode(loss.link(z)), variance=variance)


def _by_autograd(loss, function):
    """A loss whose value is a user's function of tensors, and whose gradient is autograd's."""
    name = getattr(function, "__qualname__", repr(function))

    def rows(z, y):
        values = function(z, y)
        got = tuple(values.shape) if isinstance(values, torch.Tensor) else type(values).__name__
        if got != (len(z),):
            raise ValueError(
                f"loss={name} returned {'shape ' * isinstance(got, tuple)}{got} for {len(z)} "
                f"samples; expected one value per sample, shape ({len(z)},)."
            )
        return values

    def gradient(z, y, out=None):
        with torch.inference_mode(False), torch.enable_grad():
            leaf = z.clone().requires_grad_()
            total = rows(leaf, y.clone()).sum()
            if not total.requires_grad:
                raise ValueError(
                    f"loss={name} returned values without a gradient; compute them from the logits "
                    "by operations of torch."
                )
            return into(out, torch.autograd.grad(total, leaf)[0])

    return replace(loss, name="custom", rows=rows, gradient=gradient, objective=None)
