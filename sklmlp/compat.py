"""Every private name of scikit-learn and torch that this package uses, under a public one.

Private names may change in any release, so a change upstream is mended here and nowhere else:
`tests/test_imports.py` holds that. What has a public counterpart uses that instead and is not here,
such as `sklearn.get_config()["enable_metadata_routing"]`. Three kinds of names stay elsewhere:

- `sklmlp.kernels` is the one file for the overloads of `torch.ops.aten`.
- Hooks that scikit-learn calls are methods and attributes of the classes that have them:
  `_parameter_constraints`, `_validate_params`, `_get_param_names`, `_get_params_html` and
  `_n_features_out`.
- `sklmlp.io.skops` lists the names of types as they stand in files.

What older versions of Python lack is here, too.
"""

import copy
import functools
import inspect
import sys

from sklearn.base import _fit_context as fit_context
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import _fit_and_score as fit_and_score
from sklearn.model_selection._validation import _insert_error_scores as insert_error_scores
from sklearn.model_selection._validation import (
    _warn_or_raise_about_fit_failures as warn_or_raise_about_fit_failures,
)
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.multiclass import _check_partial_fit_first_call as check_partial_fit_first_call
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_method_params as check_method_params
from torch import _fused_adam_ as fused_adam
from torch import _fused_sgd_ as fused_sgd
from torch.nn.modules.batchnorm import _BatchNorm as AnyBatchNorm
from torch.nn.modules.dropout import _DropoutNd as AnyDropout

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:
        """Stands in for scikit-learn's where it has no callbacks."""


if sys.version_info >= (3, 12):
    cached_property = functools.cached_property
else:

    class cached_property:
        """`functools.cached_property` of Python 3.12, which has no lock.

        Before, all instances of a class share one. A child that was forked while another thread
        held it would wait for ever, and so would a signal handler that fits a model.
        """

        def __init__(self, function):
            self.function = function
            functools.update_wrapper(self, function)

        def __set_name__(self, owner, name):
            self.name = name

        def __get__(self, instance, owner=None):
            """Return the value, computed once."""
            if instance is None:
                return self
            return vars(instance).setdefault(self.name, self.function(instance))


__all__ = [
    "CALLBACKS",
    "CALLBACK_BOOKKEEPING",
    "OF_EVERY_ESTIMATOR",
    "AnyBatchNorm",
    "AnyDropout",
    "BaseSearchCV",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "Options",
    "StrOptions",
    "cached_property",
    "check_feature_names_in",
    "check_method_params",
    "check_partial_fit_first_call",
    "constraints_of",
    "extend_html",
    "fit_and_score",
    "fit_context",
    "fused_adam",
    "fused_sgd",
    "init_callback_context",
    "insert_error_scores",
    "metric_of",
    "safe_indexing",
    "scorer_as_stored",
    "validate_parameter_constraints",
    "warn_or_raise_about_fit_failures",
    "with_labels",
]

CALLBACKS = "_skl_callbacks"
"""The attribute that holds the callbacks an estimator was given."""

CALLBACK_BOOKKEEPING = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")
"""Attributes that scikit-learn sets on an estimator during `fit`, to take callbacks down after it.
"""

OF_EVERY_ESTIMATOR = ("_metadata_request", "_sklearn_output_config", CALLBACKS)
"""Attributes that scikit-learn may set on any estimator."""


def constraints_of(estimator):
    """Return what scikit-learn checks each parameter of an estimator by."""
    return estimator._parameter_constraints


def init_callback_context(estimator, **kwargs):
    """Begin the task of a fit, of which scikit-learn's callbacks are told."""
    return estimator._init_callback_context(**kwargs)


def metric_of(scorer):
    """Return the metric that a scorer of `sklearn.metrics.make_scorer` calls, or else the scorer.

    Parameters
    ----------
    scorer : callable
    """
    return getattr(scorer, "_score_func", scorer)


def takes_sample_weight(scorer):
    """Tell whether a scorer, or its metric, has a parameter `sample_weight`."""
    parameters = inspect.signature(metric_of(scorer)).parameters.values()
    return any(p.name == "sample_weight" or p.kind is p.VAR_KEYWORD for p in parameters)


def with_labels(scorer, labels):
    """Return a copy of a scorer whose metric is given `labels`.

    Parameters
    ----------
    scorer : callable
    labels : ndarray

    Returns
    -------
    scorer : callable or None
        None for a scorer that scores labels, that has `labels` already, or that is not one of
        `sklearn.metrics.make_scorer`.
    """
    kwargs = getattr(scorer, "_kwargs", None)
    if kwargs is None or "labels" in kwargs or not hasattr(scorer, "_score_func"):
        return None
    methods = scorer._response_method
    if "predict" in ([methods] if isinstance(methods, str) else methods):
        return None
    scorer = copy.copy(scorer)
    scorer._kwargs = {**kwargs, "labels": labels}
    return scorer


def scorer_as_stored(scorer):
    """Return what a search keeps as `scorer_`: a scorer, or a dict of several.

    Parameters
    ----------
    scorer : callable
        As a search has made it of its `scoring`.
    """
    return getattr(scorer, "_scorers", scorer)


def extend_html(parameters, more):
    """Let scikit-learn's table of parameters show more HTML under it.

    Parameters
    ----------
    parameters : ParamsDict
        What an estimator's `_get_params_html` returns; it is changed.
    more : callable
        Returns the HTML, when the table is shown.

    Returns
    -------
    parameters : ParamsDict
    """
    table = parameters._html_repr
    parameters._html_repr = lambda: table() + more()
    return parameters
