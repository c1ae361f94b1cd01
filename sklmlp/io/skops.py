"""skops files from anybody: refused with a ValueError, or loaded without running code."""

from sklmlp.io.archive import opened

OURS = ("sklmlp.classifier.MLPClassifier", "sklmlp.regressor.MLPRegressor")
"""All that has to be trusted for a model, or for a pipeline of scikit-learn's estimators."""


def load_skops(file, *, trusted=(), most_bytes=2**31):
    """Load a model or pipeline that `skops.io.dump` wrote; a file that it is not is refused.

    It is `skops.io.load` that trusts `MLPClassifier` and `MLPRegressor`, and that tells of every
    damaged or hostile file by a ValueError, in bounded memory. Needs `pip install sklmlp[skops]`.

    Parameters
    ----------
    file : path or binary file
    trusted : sequence of str or type, default=()
        Further types, as `skops.io.load` takes them: an activation of your own, for example. Look
        at `skops.io.get_untrusted_types` before trusting a file's.
    most_bytes : int, default=2**31
        What the file may unpack to.

    Returns
    -------
    estimator : object

    Raises
    ------
    ValueError
        If the file is damaged, is larger than `most_bytes`, has types that are not trusted (the
        message names them), or describes a model that cannot be.

    Examples
    --------
    >>> import io
    >>> import skops.io
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.io import load_skops
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((8,), solver="lbfgs", random_state=0).fit(X, y)
    >>> file = io.BytesIO(skops.io.dumps(model))
    >>> bool((load_skops(file).predict(X) == model.predict(X)).all())
    True
    """
    try:
        import skops.io
    except ImportError as error:
        raise ImportError("load_skops needs skops: pip install sklmlp[skops]") from error
    with opened(file, most_bytes):
        pass
    if hasattr(file, "seek"):
        file.seek(0)
    try:
        return skops.io.load(file, trusted=[*OURS, *trusted])
    except Exception as error:  # skops lets through what zipfile, json and NumPy raise
        raise ValueError(f"This skops file cannot be loaded: {error}") from error
