"""Facts about a fitted network: layer by layer, and the affine map that it may be equal to."""

import numpy as np
import torch

from sklmlp.fitted_network import fitted_networks
from sklmlp.inspection.gradient_flow import gradient_norms
from sklmlp.inspection.hidden_units import activities
from sklmlp.inspection.layers import layers_of, one_network, rows_for


def diagnose(estimator, X, y=None):
    """Describe each layer of a fitted network by its activations and weights.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted; of an ensemble pass one of its `estimators_`.
    X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
        Rows to look at, such as those of training.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Their targets, for the gradient; without them `gradient_norm` is NaN.

    Returns
    -------
    facts : pandas.DataFrame
        A row for each hidden layer and one for the output, whose logits are looked at:

        - `activation`: its name, None for the output;
        - `units`: the width of the layer's output;
        - `weight_norm`: the Euclidean norm of its matrices;
        - `gradient_norm`: that of the gradient of the mean loss with respect to them;
        - `dead`: the share of units that are zero for every row, up to 1e-6;
        - `saturated`: the share of rows and units where the activation's slope is less than a
          twentieth of its steepest; for activations that are flat on both sides, such as
          'logistic' and 'tanh', and 0 for others; NaN for the output, activations across units
          and those of custom ones;
        - `effective_rank`: of the layer's output, (n_samples, units): the exponential of
          the entropy of its normalised singular values [1]_;
        - `mean`, `std`: of its output, over rows and units.

    References
    ----------
    .. [1] Roy & Vetterli (2007), "The effective rank: A measure of effective dimensionality".
       EUSIPCO.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.inspection import diagnose
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((8, 4), solver="lbfgs", random_state=0).fit(X, y)
    >>> diagnose(mlp, X, y)[["activation", "units"]]
             activation  units
    layer
    hidden 0       relu      8
    hidden 1       relu      4
    output         None      3
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("diagnose needs pandas: pip install 'sklmlp[examples]'") from error
    estimator = one_network(estimator)
    rows = activities(estimator, rows_for(estimator, X))
    gradients = np.full(len(rows), np.nan) if y is None else gradient_norms(estimator, X, y)
    return pd.DataFrame(
        {
            "activation": pd.Series([row.activation for row in rows], dtype=object),
            "units": [len(row.magnitude) for row in rows],
            "weight_norm": weight_norms(estimator),
            "gradient_norm": gradients,
            "dead": [row.dead.mean() if row.activation else np.nan for row in rows],
            "saturated": [row.saturated.mean() for row in rows],
            "effective_rank": [row.effective_rank for row in rows],
            "mean": [row.mean for row in rows],
            "std": [row.std for row in rows],
        },
    ).set_index(pd.Index([row.name for row in rows], name="layer"))


def weight_norms(estimator):
    """Return the Euclidean norm of each layer's matrices."""
    with torch.no_grad():
        return [
            float(torch.cat([p.reshape(-1) for p in layer.matrices]).norm())
            for layer in layers_of(estimator)
        ]


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
