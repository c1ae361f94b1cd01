"""The affine map that a network without nonlinearity is equal to."""

import numpy as np

from sklmlp.fitted_network import fitted_networks
from sklmlp.inspection.layers import one_network


def linear_equivalent(estimator):
    """Compute the one affine map that a network without nonlinearity collapses to.

    ``(x W + b) V + c = x (W V) + (b V + c)``: affine maps in a row are an affine map, however many
    they are. A network needs a nonlinearity between them to be more than that.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted, with one network whose activations are all 'identity', or without hidden layers.

    Returns
    -------
    coef : ndarray of shape (n_features, n_outputs)
    intercept : ndarray of shape (n_outputs,)
        ``X @ coef + intercept`` are the logits: the predictions of a squared error, and what
        softmax, logistic and exp make probabilities and means of. With `normalize_y=True` they
        are in units of y too, but for a list of quantiles, whose steps are not affine.

    Raises
    ------
    ValueError
        If some activation is not 'identity', or normalization or skips stand between the maps.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from sklmlp import MLPRegressor
    >>> from sklmlp.inspection import linear_equivalent
    >>> X, y = load_diabetes(return_X_y=True)
    >>> deep = MLPRegressor(
    ...     hidden_layer_sizes=(20, 20), activation="identity", normalize_y=True, random_state=0
    ... ).fit(X, y)
    >>> coef, intercept = linear_equivalent(deep)
    >>> coef.shape
    (10, 1)
    >>> np.allclose(deep.predict(X), (X @ coef + intercept).ravel())
    True
    """
    estimator = one_network(estimator)
    spec = fitted_networks(estimator)[0].spec
    for i, choice in enumerate(spec.activations):
        if choice.name != "identity" or choice.custom is not None:
            raise ValueError(
                f"The activation of hidden layer {i} is {choice.name!r}, and affine maps are one "
                "affine map only without a nonlinearity between them. Only activation='identity' "
                "is supported."
            )
    for name, plain in {"normalization": None, "residual": False}.items():
        value = getattr(spec, name, plain)
        if spec.hidden and value != plain:
            raise ValueError(
                f"The network has more than affine maps in a row: {name}={value!r}. Only {name}="
                f"{plain!r} is supported."
            )
    coef, intercept = estimator.coefs_[0], estimator.intercepts_[0]
    for W, b in zip(estimator.coefs_[1:], estimator.intercepts_[1:], strict=True):
        coef, intercept = coef @ W, intercept @ W + b
    return _in_units_of_y(spec, np.array(coef), np.array(intercept))


def _in_units_of_y(spec, coef, intercept):
    """Turn an affine map to logits of scaled targets into one to logits in units of y."""
    if spec.scaling is None or spec.out_activation == "ordered":
        return coef, intercept
    dtype, n_targets = coef.dtype, len(spec.scaling.scale)
    center, scale = (np.array(each, dtype) for each in (spec.scaling.center, spec.scaling.scale))
    if spec.out_activation == "exp":  # s exp(z) = exp(z + log s)
        return coef, intercept + np.log(scale)
    coef[:, :n_targets] *= scale
    intercept[:n_targets] = intercept[:n_targets] * scale + center
    intercept[n_targets:] += 2 * np.log(scale[: len(intercept) - n_targets])  # of variances
    return coef, intercept
