"""TabularMLPClassifier: parameters, classes and calibrated probabilities."""

import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin

from sklmlp.compat import StrOptions
from sklmlp.data import ClassTargets, accuracy, check_y, checked_score, class_weighted
from sklmlp.tabular.additive import AdditiveModel
from sklmlp.tabular.base import BaseTabularMLP
from sklmlp.tabular.calibration import learn_temperature, learn_weight, tempered
from sklmlp.tabular.encodings import transform
from sklmlp.tabular.network import TiedClassifier
from sklmlp.training import split_rows


class TabularMLPClassifier(ClassifierMixin, BaseTabularMLP):
    """Classifier for raw tables: numbers, words and gaps go in, calibrated probabilities come out.

    A :class:`TableEncoder` makes numbers of the table. Every number then has a learned
    piecewise-linear embedding [1]_, and `n_estimators` members that share their matrices [2]_
    learn from these, by Muon [3]_ and Adam with a learning rate that anneals four times [4]_.
    Held-out rows choose the number of epochs by the log loss of the averaged members, and how sure
    probabilities may be [5]_. Then all rows are trained on for that number of epochs.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(128, 128, 128)
        Number of units of each hidden layer, of each member.
    n_estimators : int, default=8
        Members, whose probabilities are averaged. They share most weights, so that more of them
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
    class_weight : dict, list of dict or 'balanced', default=None
        Weights of classes, which multiply `sample_weight`, as in :class:`MLPClassifier`.
    additive : bool, default=True
        Whether to blend in a generalized additive model of the bins, by as much as held-out rows
        like it. It takes a second or two, and helps where columns have effects of their own. Not
        for multilabel targets.
    calibrate : bool, default=True
        Whether to divide logits by a temperature of at least 1 that the held-out rows choose. Not
        for multilabel targets.
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
        What chooses the number of epochs on held-out rows: 'loss' is the log loss, None the
        accuracy, and others are scorers of scikit-learn.
    validation_fraction : float, default=0.15
        The share of rows that is held out, in the proportions of the classes. Tables with fewer
        than 40 rows hold none out, and are trained on for `max_iter` epochs.
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
        Where to compute, see :class:`MLPClassifier`.
    callbacks : list, default=None
        skorch callbacks. They follow the fit with held-out rows, and not the refit.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels; for multilabel targets the indices of the columns.
    encoder_ : TableEncoder
        What makes the network's input of a table.
    network_ : MLPClassifier
        The network behind it, fitted.
    additive_ : AdditiveModel or None
        The additive model, where it counts.
    additive_weight_ : float
        Its share of probabilities.
    temperature_ : float
        What logits are divided by; 1 without `calibrate`.
    best_iteration_ : int
        The epoch with the best score on held-out rows, of those where the rate has annealed.
    n_iter_ : int
        Epochs that `network_` was trained for.
    validation_scores_ : list of float or None
        The score of held-out rows after each epoch, the mean over folds; None where none were held
        out.
    loss_curve_ : list of float
        The training loss of the averaged members in each epoch of the fit with held-out rows.
    history_ : list of dict
        As in :class:`MLPClassifier`, of the same fit.
    batch_size_, max_iter_, learning_rate_init_, n_folds_ : int, int, float, int
        What 'auto' was.
    n_features_in_ : int
        Columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where X had names that are all strings.

    See Also
    --------
    TabularMLPRegressor : The same for real targets.
    MLPClassifier : Networks of numbers, for people who choose everything themselves.

    References
    ----------
    .. [1] Gorishniy, Rubachev & Babenko (2022), "On embeddings for numerical features in tabular
       deep learning". NeurIPS, :arxiv:`2203.05556`.
    .. [2] Gorishniy, Kotelnikov & Babenko (2025), "TabM: Advancing tabular deep learning with
       parameter-efficient ensembling". ICLR, :arxiv:`2410.24210`.
    .. [3] Jordan et al. (2024), "Muon: An optimizer for hidden layers in neural networks".
    .. [4] Holzmüller, Grinsztajn & Steinwart (2024), "Better by default: Strong pre-tuned MLPs
       and boosted trees on tabular data". NeurIPS, :arxiv:`2407.04491`.
    .. [5] Guo, Pleiss, Sun & Weinberger (2017), "On calibration of modern neural networks". ICML,
       :arxiv:`1706.04599`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import TabularMLPClassifier
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> TabularMLPClassifier(max_iter=10, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **BaseTabularMLP._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
        "calibrate": ["boolean"],
    }

    def __init__(
        self,
        hidden_layer_sizes=(128, 128, 128),
        *,
        n_estimators=8,
        numeric_embedding="piecewise",
        n_bins=48,
        embedding_size=8,
        categorical_features="from_dtype",
        max_one_hot=16,
        category_embedding=False,
        target_encoding=True,
        class_weight=None,
        additive=True,
        calibrate=True,
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_estimators = n_estimators
        self.numeric_embedding = numeric_embedding
        self.n_bins = n_bins
        self.embedding_size = embedding_size
        self.categorical_features = categorical_features
        self.max_one_hot = max_one_hot
        self.category_embedding = category_embedding
        self.target_encoding = target_encoding
        self.class_weight = class_weight
        self.additive = additive
        self.calibrate = calibrate
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
        return check_y(self, y, name)

    def _learn_targets(self, rows):
        targets = ClassTargets.learn(rows.y)
        self.classes_, self.temperature_ = targets.classes_, 1.0
        self.additive_, self.additive_weight_ = None, 0.0
        self._kind_of_targets = targets.kind

    def _split(self, rows, rng):
        """Hold out rows in the proportions of the classes, and of each class leave one at least."""
        if self._kind_of_targets == "multilabel-indicator":
            return super()._split(rows, rng)
        index = np.searchsorted(self.classes_, rows.y)
        counts = np.bincount(index)
        n_held_out = int(np.ceil(self.validation_fraction * len(index)))
        n_trained_on = len(index) - n_held_out
        # scikit-learn stratifies classes of two and more rows, if each may have one in each part
        if counts.min() >= 2 and min(n_held_out, n_trained_on) >= len(counts):
            return split_rows(len(index), self.validation_fraction, index, rng)
        training, held_out = super()._split(rows, rng)
        is_known = np.isin(index[held_out], index[training])
        return np.append(training, held_out[~is_known]), held_out[is_known]

    def _classes_of(self, rows):
        if self._kind_of_targets == "multilabel-indicator":
            return super()._classes_of(rows)
        return np.searchsorted(self.classes_, rows.y)

    def _make_network(self, **params):
        return TiedClassifier(class_weight=self.class_weight, **params)

    def _target_type(self):
        kind = self._kind_of_targets
        return "auto" if kind == "multilabel-indicator" else kind

    def _average(self):
        return "softmax" if self._kind_of_targets == "multiclass" else "logistic"

    def _best_length(self, fits):
        """Return the length that is best once probabilities are as sure as they may be.

        Of few rows the length with the least log loss is one that is not sure of itself, however
        many it has right; a temperature mends that too, and keeps what was learned later
        (Berta, Holzmüller, Jordan & Bach 2025, "Rethinking early stopping").
        """
        ends = set.intersection(*(set(fit.course.held_out_logits) for fit, _, _ in fits))
        if len(fits) == 1 or not ends or not self._is_tempered or self.scoring != "loss":
            return super()._best_length(fits)
        index, weight = self._held_out_classes(fits)

        def log_loss(end):
            probability = self._held_out_probability(fits, end)
            temperature = learn_temperature(probability, index, weight)
            of_truth = tempered(probability, temperature)[np.arange(len(index)), index]
            return -np.average(np.log(np.maximum(of_truth, 1e-300)), weights=weight)

        return min(sorted(ends), key=log_loss)

    @property
    def _is_tempered(self):
        """Whether there is a temperature."""
        return self.calibrate and self._kind_of_targets != "multilabel-indicator"

    def _calibrate(self, fits):
        if self._kind_of_targets == "multilabel-indicator":
            return
        index, weight = self._held_out_classes(fits)
        probability = self._held_out_probability(fits, self.best_iteration_)
        if self.additive:
            models = [self._fit_additive(fit, training) for fit, training, _ in fits]
            other = np.concatenate(
                [
                    model.predict_proba(transform(fit.encoder, held_out))
                    for model, (fit, _, held_out) in zip(models, fits, strict=True)
                ]
            )
            self.additive_weight_ = learn_weight(probability, other, index, weight)
            if self.additive_weight_:
                self.additive_ = models[0]
                probability = self._blended(probability, other)
        if self.calibrate:
            self.temperature_ = learn_temperature(probability, index, weight)

    def _held_out_probability(self, fits, n_epochs):
        """Return probabilities of all held-out rows, (n, n_classes), after some epochs."""
        parts = []
        for fit, _, held_out in fits:
            logits = fit.course.held_out_logits.get(n_epochs)
            if logits is None:  # a fit ended before its first cycle
                parts.append(fit.network.predict_proba(transform(fit.encoder, held_out)))
                continue
            if logits.shape[1] == 1:
                logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
            parts.append(softmax(logits.astype(np.float64), axis=1))
        return np.concatenate(parts)

    def _held_out_classes(self, fits):
        """Return classes and weights of all held-out rows."""
        index = np.searchsorted(self.classes_, np.concatenate([part.y for _, _, part in fits]))
        weights = [part.weight for _, _, part in fits]
        if self.class_weight is not None:
            weights = [
                class_weighted(
                    self.class_weight, self.classes_, part.y, part.weight, (rows.y, rows.weight)
                )
                for _, rows, part in fits
            ]
        return index, None if weights[0] is None else np.concatenate(weights)

    def _fit_additive(self, fitted, rows):
        params = {"class_weight": self.class_weight, "device": self.device, "random_state": 0}
        return AdditiveModel.of_classes(
            fitted.X_without_levels, rows.y, rows.weight, fitted.edges, **params
        )

    def predict_proba(self, X):
        """Predict probabilities.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        network, rows = self._encoded(X)
        probability = network.predict_proba(rows)
        if self.additive_ is not None:
            probability = self._blended(probability, self.additive_.predict_proba(rows))
        return tempered(probability, self.temperature_)

    def predict_log_proba(self, X):
        """Predict logarithms of probabilities.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)

        Returns
        -------
        log_probability : ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_classes)
            The most probable label of each row; for multilabel targets a one for each label that
            is more probable than not.
        """
        if vars(self).get("_kind_of_targets") != "multilabel-indicator":
            probability = self.predict_proba(X)
            return self.classes_[probability.argmax(axis=1)]
        network, rows = self._encoded(X)
        return network.predict(rows)

    def score(self, X, y, sample_weight=None):
        """Return the accuracy of the predictions.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true labels.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight for each row; None weighs all the same.

        Returns
        -------
        score : float
            The share of rows that are predicted right, in every label if there are several.
        """
        return checked_score(accuracy, y, self.predict(X), sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
