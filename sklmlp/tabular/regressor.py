"""TabularMLPRegressor: parameters, losses and the range of predictions."""

from functools import partial
from numbers import Real

import numpy as np
from sklearn.base import RegressorMixin

from sklmlp.compat import Interval, StrOptions
from sklmlp.data import check_numbers, check_y, checked_score
from sklmlp.fitted_network import fitted_networks
from sklmlp.losses import LOSSES
from sklmlp.regressor import r2_or_d2_pinball
from sklmlp.tabular.additive import AdditiveModel
from sklmlp.tabular.base import BaseTabularMLP
from sklmlp.tabular.calibration import learn_weight_of_values
from sklmlp.tabular.encodings import transform
from sklmlp.tabular.network import TiedRegressor

NAMES = ("squared_error", "absolute_error", "quantile", "gaussian", "poisson", "gamma")


class TabularMLPRegressor(RegressorMixin, BaseTabularMLP):
    """Regressor for raw tables: numbers, words and gaps go in, values of y come out.

    A :class:`TableEncoder` makes numbers of the table. Every number then has a learned
    piecewise-linear embedding [1]_, and `n_estimators` members that share their matrices [2]_
    learn from these, by Muon [3]_ and Adam with a learning rate that anneals four times [4]_.
    Held-out rows choose the number of epochs, by the loss of the averaged members; then all rows
    are trained on for that number of epochs. Targets are scaled inside.

    Parameters
    ----------
    loss : {'squared_error', 'absolute_error', 'quantile', 'gaussian', 'poisson', 'gamma'}, \
            default='squared_error'
        What is minimized, see :class:`MLPRegressor`.
    hidden_layer_sizes : int or array-like of int, default=(128, 128, 128)
        Number of units of each hidden layer, of each member.
    quantile : float or array-like of float, default=0.5
        What 'quantile' predicts; a list makes `predict` return a column for each.
    clip : bool, default=True
        Whether to clip predictions to the range of the targets that were trained on.
    n_estimators : int, default=8
        Members, whose predictions are averaged. They share most weights, so that more of them
        want wider layers.
    numeric_embedding : {'piecewise', 'periodic', 'both'} or None, default='piecewise'
        What numbers are besides themselves: vectors that are linear between the edges of bins,
        or affine maps of cosines of learned frequencies [1]_ [4]_, for targets that oscillate.
        The latter train by autograd, and take longer.
    n_bins : int, default=48
        Bins of the piecewise-linear embedding of a number, at most.
    embedding_size : int, default=8
        Length of these embeddings, of each kind.
    categorical_features : array-like, 'from_dtype' or None, default='from_dtype'
        Which columns are categories, as :class:`TableEncoder` takes it.
    max_one_hot : int, default=16
        Columns that a category becomes at most, see :class:`TableEncoder`.
    category_embedding : bool, default=False
        Whether categories of more levels than `max_one_hot` also become learned vectors of
        `embedding_size` numbers.
    target_encoding : bool, default=True
        Whether categories also become the mean targets of their levels, see
        :class:`TableEncoder`.
    additive : bool, default=True
        Whether to blend in a generalized additive model of the bins, by as much as held-out rows
        like it: of few rows it is often the better one. For the squared error alone.
    dropout : float, default=0.1
        The share of a hidden layer's units that a training step sets to zero. It falls to 0 in
        the second half of the schedule.
    learning_rate_init : float or 'auto', default='auto'
        The largest learning rate of Adam; those of shared matrices and of input scales are in
        proportion. See `sklmlp.tabular.defaults` for what 'auto' is here and below.
    batch_size : int or 'auto', default='auto'
        Rows of a training step; 'auto' grows with the table.
    max_iter : int or 'auto', default='auto'
        Epochs over which the learning rate anneals four times: after 1, 3, 7 and 15 parts of 15.
        The best of these four lengths is chosen. 'auto' is 30, and more for small tables.
    scoring : str, callable or None, default='loss'
        What chooses the number of epochs on held-out rows: 'loss' is that of `loss`, None is
        `score`, and others are scorers of scikit-learn.
    validation_fraction : float, default=0.15
        The share of rows that is held out. Tables with fewer than 40 rows hold none out, and are
        trained on for `max_iter` epochs.
    n_folds : int or 'auto', default='auto'
        More than 1 hold out each row once, in one of so many folds, in place of
        `validation_fraction`: the number of epochs is that with the best mean score. 'auto' is 5
        for fewer than 1,000 rows, and 1 for more, with callbacks, and without a refit.
    refit : bool, default=True
        Whether to train again on all rows, for the number of epochs that was found.
    max_time : float, default=None
        Time limit in seconds. After the first epoch the schedule is laid out over as many epochs,
        up to `max_iter`, as there is time for together with the refit; `max_iter_` says how many.
    random_state : int, RandomState instance or None, default=None
        Draws the held-out rows, the weights to start from, and the order of rows.
    verbose : bool, default=False
        Whether to print a line an epoch.
    device : str or torch.device, default='auto'
        Where to compute, see :class:`MLPRegressor`.
    callbacks : list, default=None
        skorch callbacks. They follow the fit with held-out rows, and not the refit.

    Attributes
    ----------
    encoder_ : TableEncoder
        What makes the network's input of a table.
    network_ : MLPRegressor
        The network behind it, fitted.
    additive_ : AdditiveModel or None
        The additive model, where it counts.
    additive_weight_ : float
        Its share of predictions.
    target_range_ : ndarray of shape (2,) or (2, n_outputs)
        The least and the largest target that was trained on.
    best_iteration_ : int
        The epoch with the best score on held-out rows, of those where the rate has annealed.
    n_iter_ : int
        Epochs that `network_` was trained for.
    validation_scores_ : list of float or None
        The score of held-out rows after each epoch, the mean over folds; None where none were held
        out.
    loss_curve_ : list of float
        The training loss of the averaged members in each epoch of the fit with held-out rows, of
        scaled targets.
    history_ : list of dict
        As in :class:`MLPRegressor`, of the same fit.
    batch_size_, max_iter_, learning_rate_init_, n_folds_ : int, int, float, int
        What 'auto' was.
    n_features_in_ : int
        Columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where X had names that are all strings.

    See Also
    --------
    TabularMLPClassifier : The same for classes.
    MLPRegressor : Networks of numbers, for people who choose everything themselves.

    References
    ----------
    .. [1] Gorishniy, Rubachev & Babenko (2022), "On embeddings for numerical features in tabular
       deep learning". NeurIPS, :arxiv:`2203.05556`.
    .. [2] Gorishniy, Kotelnikov & Babenko (2025), "TabM: Advancing tabular deep learning with
       parameter-efficient ensembling". ICLR, :arxiv:`2410.24210`.
    .. [3] Jordan et al. (2024), "Muon: An optimizer for hidden layers in neural networks".
    .. [4] Holzmüller, Grinsztajn & Steinwart (2024), "Better by default: Strong pre-tuned MLPs
       and boosted trees on tabular data". NeurIPS, :arxiv:`2407.04491`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklmlp import TabularMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> TabularMLPRegressor(max_iter=10, random_state=0).fit(X, y).score(X, y) > 0.3
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **BaseTabularMLP._parameter_constraints,
        "loss": [StrOptions({*NAMES})],
        "quantile": [Interval(Real, 0, 1, closed="neither"), "array-like"],
        "clip": ["boolean"],
    }

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(128, 128, 128),
        *,
        quantile=0.5,
        clip=True,
        n_estimators=8,
        numeric_embedding="piecewise",
        n_bins=48,
        embedding_size=8,
        categorical_features="from_dtype",
        max_one_hot=16,
        category_embedding=False,
        target_encoding=True,
        additive=True,
        dropout=0.1,
        learning_rate_init="auto",
        batch_size="auto",
        max_iter="auto",
        scoring="loss",
        validation_fraction=0.15,
        n_folds="auto",
        refit=True,
        max_time=None,
        random_state=None,
        verbose=False,
        device="auto",
        callbacks=None,
    ):
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.quantile = quantile
        self.clip = clip
        self.n_estimators = n_estimators
        self.numeric_embedding = numeric_embedding
        self.n_bins = n_bins
        self.embedding_size = embedding_size
        self.categorical_features = categorical_features
        self.max_one_hot = max_one_hot
        self.category_embedding = category_embedding
        self.target_encoding = target_encoding
        self.additive = additive
        self.dropout = dropout
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.n_folds = n_folds
        self.refit = refit
        self.max_time = max_time
        self.random_state = random_state
        self.verbose = verbose
        self.device = device
        self.callbacks = callbacks

    def _check_targets(self, y, name):
        return check_numbers(self, check_y(self, y, name), name)

    def _learn_targets(self, rows):
        self.target_range_ = np.array([rows.y.min(axis=0), rows.y.max(axis=0)])
        self.additive_, self.additive_weight_ = None, 0.0

    def _make_network(self, **params):
        return TiedRegressor(self.loss, quantile=self.quantile, normalize_y=True, **params)

    def _target_type(self):
        return "continuous"

    def _average(self):
        if self.loss == "gaussian":
            return "gaussian"
        link = LOSSES[self.loss].loss.out_activation
        return link if link == "exp" else "identity"

    def _calibrate(self, fits):
        if not self.additive or self.loss != "squared_error":
            return
        models = [self._fit_additive(fit, training) for fit, training, _ in fits]
        ours, theirs, y, weight = [], [], [], []
        for model, (fit, _, held_out) in zip(models, fits, strict=True):
            rows = transform(fit.encoder, held_out)
            ours.append(fit.network.predict(rows.astype(np.float64)))
            theirs.append(model.predict(rows))
            y.append(held_out.y)
            weight.append(held_out.weight)
        weight = None if weight[0] is None else np.concatenate(weight)
        ours, theirs, y = map(np.concatenate, (ours, theirs, y))
        self.additive_weight_ = learn_weight_of_values(ours, theirs, y, weight)
        if self.additive_weight_:
            self.additive_ = models[0]

    def _fit_additive(self, fitted, rows):
        return AdditiveModel.of_values(fitted.X_without_levels, rows.y, rows.weight, fitted.edges)

    def predict(self, X, return_std=False):
        """Predict values.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
        return_std : bool, default=False
            Whether to return standard deviations too, which the loss 'gaussian' learns.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            A list of quantiles has a column each, in its order.
        std : ndarray of the same shape
            With `return_std`.
        """
        network, rows = self._encoded(X)
        if return_std:
            y, std = network.predict(rows, return_std=True)
            return self._clipped(y), std
        y = network.predict(rows)
        if self.additive_ is not None:
            y = self._blended(y, self.additive_.predict(rows))
        return self._clipped(y)

    def _clipped(self, y):
        return np.clip(y, *self.target_range_.astype(y.dtype)) if self.clip else y

    def score(self, X, y, sample_weight=None):
        """Return R2 of the predictions; of quantiles the mean of their D2 pinball scores.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true values.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight for each row; None weighs all the same.

        Returns
        -------
        score : float
            At most 1; 0 is what the constant mean, or quantile, of y would have.
        """
        quantile = fitted_networks(self.network_)[0].spec.loss_function.quantile
        metric = partial(r2_or_d2_pinball, quantile=quantile)
        return checked_score(metric, y, self.predict(X), sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self.loss in ("poisson", "gamma")
        tags.target_tags.multi_output = True
        return tags
