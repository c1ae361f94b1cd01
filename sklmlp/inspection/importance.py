"""How much each parameter of a search had to do with being among the best, by Optuna's PED-ANOVA.

Optuna learns of nothing but what each trial chose, and whether it is among the best. So it need not
know the space that was searched through, and the answer is the same in its versions 4 and 5.
"""

import warnings
from numbers import Real

import numpy as np
from scipy.stats import rankdata

FEW_VALUES = 5
"""Numbers that take no more values than these are choices, such as a depth."""


def values_of(search):
    """Return what each trial of a search chose: a list of dicts, by names as short as can be.

    The sizes of layers are a depth, and a width for each of the layers that there are.
    """
    choices = search.cv_results_["params"]
    names = list(dict.fromkeys(name for params in choices for name in params))
    like = getattr(search, "estimator", None)
    like = type(search.best_estimator_)() if like is None else like
    own = {name: value for name, value in like.get_params().items() if name in names}
    trials = [_flat({**own, **params}) for params in choices]
    names = list(dict.fromkeys(name for values in trials for name in values))
    short = {name: name.rpartition("__")[2] for name in names}
    if len(set(short.values())) < len(names):  # of two steps, say
        short = {name: name for name in names}
    return [{short[name]: value for name, value in values.items()} for values in trials]


def _flat(params):
    """Replace the sizes of layers by a depth and widths."""
    flat = {}
    for name, value in params.items():
        step = name.removesuffix("hidden_layer_sizes")
        if step == name:
            flat[name] = value
            continue
        widths = [int(width) for width in np.atleast_1d(np.asarray(value, dtype=int))]
        flat |= {f"{step}depth": len(widths)}
        flat |= {f"{step}width_{i}": width for i, width in enumerate(widths, 1)}
    return flat


def importances(values, best, rest):
    """Compute importances by Optuna's PED-ANOVA.

    Parameters
    ----------
    values : list of dict
        Of each trial, by the name of the parameter. One may have names that others do not.
    best, rest : ndarray of int
        Places of the trials that are among the best, and of others.

    Returns
    -------
    importances : dict of str to float
        Their sum is 1, and the greatest comes first. Parameters that never change are left out.
    """
    try:
        import optuna
    except ImportError as error:
        raise ImportError(
            "ParameterImportanceDisplay asks Optuna for importances: pip install 'sklmlp[search]'"
        ) from error
    order = [*best, *rest]
    names = dict.fromkeys(name for i in order for name in values[i])
    known = {name: {i: values[i][name] for i in order if name in values[i]} for name in names}
    known = {name: ranks_or_choices(each) for name, each in known.items()}
    known = {name: each for name, each in known.items() if len(set(each.values())) > 1}
    distributions = {name: _distribution(optuna, each) for name, each in known.items()}
    found, level = {}, optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            # that it is experimental, and that few trials have some of the parameters
            warnings.simplefilter("ignore")
            study = optuna.create_study(direction="maximize")
            for place, i in enumerate(order):
                own = {name: each[i] for name, each in known.items() if i in each}
                trial = optuna.trial.create_trial(
                    value=float(place < len(best)),  # all that are among the best are as good
                    params=own,
                    distributions={name: distributions[name] for name in own},
                )
                study.add_trial(trial)
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            for name in known:  # one by one: else Optuna 4 leaves out what only some trials have
                found |= optuna.importance.get_param_importances(
                    study, evaluator=evaluator, params=[name], normalize=False
                )
    finally:
        optuna.logging.set_verbosity(level)
    total = sum(found.values()) or 1.0
    return {name: found[name] / total for name in sorted(found, key=found.get, reverse=True)}


def ranks_or_choices(values):
    """Return the ranks of the numbers among some values, or else all of them as choices.

    What PED-ANOVA computes, a divergence of two densities, is the same for ranks as for numbers and
    for their logarithms, so that nothing need be known of the scale that they were drawn on.

    Parameters
    ----------
    values : dict
        Of a parameter, by trial.

    Returns
    -------
    values : dict
        Ranks, without those that are words such as 'auto'; or words, if there are few numbers.
    """
    numbers = {
        i: float(value)
        for i, value in values.items()
        if isinstance(value, Real) and not isinstance(value, bool)
    }
    if len(set(numbers.values())) > FEW_VALUES:
        return dict(zip(numbers, rankdata(list(numbers.values())).tolist(), strict=True))
    return {i: str(value) for i, value in values.items()}


def _distribution(optuna, values):
    """Return Optuna's distribution of some ranks or choices."""
    known = sorted(set(values.values()))
    if isinstance(known[0], str):
        return optuna.distributions.CategoricalDistribution(known)
    return optuna.distributions.FloatDistribution(known[0], known[-1])
