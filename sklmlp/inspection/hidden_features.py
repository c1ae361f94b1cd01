"""A hidden layer's output as features for the next model."""

import copy
from numbers import Integral

import numpy as np
import torch
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from sklmlp import runtime
from sklmlp.compat import HasMethods, fit_context
from sklmlp.data import check_X
from sklmlp.fitted_network import fitted_networks
from sklmlp.inspection.layers import in_chunks, layers_of, one_network, outputs
from sklmlp.prediction import learning_aside


class HiddenFeatures(
    ClassNamePrefixFeaturesOutMixin, MetaEstimatorMixin, TransformerMixin, BaseEstimator
):
    """Transform rows into the outputs of a hidden layer of a network.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor or FrozenEstimator of one
        `fit` clones it and fits the clone; a :class:`sklearn.frozen.FrozenEstimator`, which is
        fitted, is used as it is. With one network: of an ensemble freeze one of its
        `estimators_`.
    layer : int, default=-1
        Which hidden layer, counted from 0, or from the last one by -1, -2 and so on.

    Attributes
    ----------
    estimator_ : estimator
        The fitted clone, or the frozen estimator.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where X had names that are all strings.

    See Also
    --------
    sklearn.feature_selection.SelectFromModel : Features that a model finds important.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.svm import LinearSVC
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.inspection import HiddenFeatures
    >>> X, y = load_iris(return_X_y=True)
    >>> hidden = HiddenFeatures(MLPClassifier((16, 4), solver="lbfgs", random_state=0))
    >>> model = make_pipeline(StandardScaler(), hidden, LinearSVC()).fit(X, y)
    >>> model.score(X, y) > 0.97
    True
    >>> model[:-1].transform(X).shape
    (150, 4)
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "estimator": [HasMethods(["fit", "predict"])],
        "layer": [Integral],
    }

    def __init__(self, estimator, layer=-1):
        self.estimator = estimator
        self.layer = layer

    @fit_context(prefer_skip_nested_validation=False)  # the estimator checks itself
    def fit(self, X, y=None, **fit_params):
        """Fit a clone of the network, or take the frozen one as it is.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their targets; a frozen network needs none.
        **fit_params : dict
            Passed to the `fit` of the network, by metadata routing where that is enabled.

        Returns
        -------
        self : object
        """
        if get_config()["enable_metadata_routing"]:
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        fitted = clone(self.estimator).fit(X, y, **fit_params)
        network = one_network(fitted)
        n_hidden = len(_widths(network))
        if not n_hidden:
            raise ValueError(
                "estimator has no hidden layer to take features from: hidden_layer_sizes="
                f"{network.hidden_layer_sizes!r}."
            )
        if not -n_hidden <= self.layer < n_hidden:
            raise ValueError(
                f"layer={self.layer} is not one of the {n_hidden} hidden layers, which are "
                f"{-n_hidden} to {n_hidden - 1}."
            )
        with learning_aside(self) as aside:
            validate_data(aside, X, skip_check_array=True)
            aside.estimator_ = fitted
        return self

    def transform(self, X):
        """Compute the output of the hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_units)
            In X's dtype where that is float32 or float64.
        """
        transformer = copy.copy(self)  # a fit in another thread changes nothing of it
        check_is_fitted(transformer)
        network = one_network(transformer.estimator_)
        X = check_X(transformer, X, fitted_networks(network)[0].dtype, [np.float64, np.float32])
        widths = _widths(network)
        index = range(len(widths))[transformer.layer]  # counted from the first
        hidden = layers_of(network)[: index + 1]
        features = np.empty((X.shape[0], widths[index]), X.dtype)

        @torch.inference_mode()
        def compute():
            start = 0
            for x in in_chunks(network, X):
                x = outputs(hidden, x)[-1]
                features[start : start + len(x)] = x.cpu().numpy()
                start += len(x)

        runtime.compute(compute, network.matmul_precision)
        return features

    @property
    def _n_features_out(self):
        return _widths(one_network(self.estimator_))[self.layer]

    def get_metadata_routing(self):
        """Return how metadata is routed to the network.

        Returns
        -------
        routing : MetadataRouter
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        mapping.add(caller="fit_transform", callee="fit")
        router = MetadataRouter(owner=type(self).__name__)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def __sklearn_is_fitted__(self):
        return "estimator_" in vars(self)

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags.sparse = inner.input_tags.sparse
        tags.target_tags = inner.target_tags
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _widths(network):
    """Return the units of each hidden layer."""
    return fitted_networks(network)[0].spec.hidden
