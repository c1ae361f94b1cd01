"""Search spaces: depth, width, activation, learning rate, penalty and dropout.

Random search ought to draw rates and penalties on a logarithmic scale: Bergstra & Bengio (2012),
"Random search for hyper-parameter optimization", JMLR 13.
"""

from types import SimpleNamespace

ACTIVATIONS = ["relu", "gelu", "silu", "tanh"]
DEPTHS, WIDTHS = [1, 2, 3], [32, 64, 128, 256]
RATES, PENALTIES = (1e-4, 1e-2), (1e-6, 1e-1)
DROPOUTS = [0.0, 0.1, 0.2, 0.4]


def space(estimator):
    """Ready distributions for `RandomizedSearchCV` and `HalvingRandomSearchCV`.

    One to three hidden layers of 32, 64, 128 or 256 units each; ReLU, GELU, SiLU or tanh; learning
    rates from 1e-4 to 1e-2 and penalties from 1e-6 to 1e-1, log-uniform; dropout of 0, 0.1, 0.2
    or 0.4.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, Pipeline or other meta-estimator
        One of sklmlp, or with one of them in it; names get the prefix of its step.

    Returns
    -------
    space : dict of str to list or scipy.stats distribution
        Of this dict entries can be taken away, changed and added.

    Raises
    ------
    ValueError
        If there is no network in the estimator, or more than one.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.search import space
    >>> sorted(space(make_pipeline(StandardScaler(), MLPClassifier())))
    ['mlpclassifier__activation', 'mlpclassifier__alpha', 'mlpclassifier__dropout',
     'mlpclassifier__hidden_layer_sizes', 'mlpclassifier__learning_rate_init']
    """
    from scipy.stats import loguniform

    prefix = _prefix(estimator)
    return {
        f"{prefix}hidden_layer_sizes": [(width,) * depth for depth in DEPTHS for width in WIDTHS],
        f"{prefix}activation": list(ACTIVATIONS),
        f"{prefix}learning_rate_init": loguniform(*RATES),
        f"{prefix}alpha": loguniform(*PENALTIES),
        f"{prefix}dropout": list(DROPOUTS),
    }


def suggest(trial, estimator):
    """Suggest parameters for one trial of an Optuna study, from the same space as `space`.

    Parameters
    ----------
    trial : optuna.trial.Trial
        Its own parameters are `depth`, `width`, `activation`, `learning_rate_init`, `alpha` and
        `dropout`.
    estimator : MLPClassifier, MLPRegressor, Pipeline or other meta-estimator
        As `space` takes it.

    Returns
    -------
    params : dict
        What `estimator.set_params` takes. Optuna records `depth` and `width` in place of the tuple
        `hidden_layer_sizes`, and no prefixes: `params_of` turns its record into this dict again.

    Raises
    ------
    ValueError
        If there is no network in the estimator, or more than one.

    Examples
    --------
    >>> import optuna
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.search import suggest
    >>> trial = optuna.trial.FixedTrial(
    ...     {"depth": 2, "width": 64, "activation": "relu", "learning_rate_init": 0.01,
    ...      "alpha": 1e-4, "dropout": 0.1}
    ... )
    >>> suggest(trial, MLPClassifier())["hidden_layer_sizes"]
    (64, 64)
    """
    prefix = _prefix(estimator)
    depth = trial.suggest_int("depth", DEPTHS[0], DEPTHS[-1])
    width = trial.suggest_categorical("width", WIDTHS)
    return {
        f"{prefix}hidden_layer_sizes": (width,) * depth,
        f"{prefix}activation": trial.suggest_categorical("activation", ACTIVATIONS),
        f"{prefix}learning_rate_init": trial.suggest_float("learning_rate_init", *RATES, log=True),
        f"{prefix}alpha": trial.suggest_float("alpha", *PENALTIES, log=True),
        f"{prefix}dropout": trial.suggest_categorical("dropout", DROPOUTS),
    }


def params_of(trial, estimator):
    """Return what `estimator.set_params` takes, from what Optuna recorded of a trial of `suggest`.

    Parameters
    ----------
    trial : dict, or trial of Optuna's
        `study.best_params`, `study.best_trial` or one of `study.trials`.
    estimator : MLPClassifier, MLPRegressor, Pipeline or other meta-estimator
        As `suggest` was given it, or another one with a network in it.

    Returns
    -------
    params : dict
        What `suggest` returned. Parameters that were suggested next to it keep their names, which
        are to be those that `set_params` takes.

    Raises
    ------
    ValueError
        If parameters of `suggest` are missing, or the estimator is none that `suggest` takes.

    Examples
    --------
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.search import params_of
    >>> best_params = {"depth": 2, "width": 64, "activation": "gelu", "learning_rate_init": 0.001,
    ...                "alpha": 0.01, "dropout": 0.1}
    >>> MLPClassifier().set_params(**params_of(best_params, MLPClassifier()))
    MLPClassifier(activation='gelu', alpha=0.01, dropout=0.1, hidden_layer_sizes=(64, 64))
    """
    others, missing = dict(getattr(trial, "params", trial)), []

    def take(name, *args, **kwargs):
        if name not in others:
            missing.append(name)
            return 0  # the error is raised when all that is missing is known
        return others.pop(name)

    over = SimpleNamespace(suggest_int=take, suggest_float=take, suggest_categorical=take)
    params = suggest(over, estimator)
    if missing:
        raise ValueError(
            f"trial has no {', '.join(missing)}; params_of takes study.best_params or a "
            f"trial whose parameters `suggest` drew, got {trial!r}."
        )
    return params | others


def _prefix(estimator):
    """Return what stands before the parameters of the one network in an estimator."""
    ours = [name for name in estimator.get_params() if name.endswith("hidden_layer_sizes")]
    if len(ours) != 1:
        raise ValueError(
            "estimator takes an MLPClassifier or MLPRegressor, or a pipeline or other "
            f"meta-estimator with one of them in it; got {estimator!r}, with {len(ours)} in it."
        )
    return ours[0].removesuffix("hidden_layer_sizes")
