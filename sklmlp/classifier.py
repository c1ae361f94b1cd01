"""MLPClassifier: parameters, classes and probabilities."""

from dataclasses import replace

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    check_classification_targets,
    type_of_target,
    unique_labels,
)

from sklmlp.base import BaseMLP, learning_aside
from sklmlp.compat import StrOptions, check_partial_fit_first_call, fit_context
from sklmlp.data import (
    ClassTargets,
    accuracy,
    check_y,
    checked_score,
    class_weighted,
    errors_of_labels,
)
from sklmlp.fitted_network import class_targets, fitted_networks, snapshot
from sklmlp.losses import LOSSES, NAMES, Loss, loss_parameters


class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multilayer perceptron classifier: scikit-learn's contract, computed by torch.

    Minimizes the log loss of a softmax (several classes) or of logistic outputs (two classes,
    and multilabel targets), or another `loss`, by backpropagation [1]_. Everything that
    :class:`sklearn.neural_network.MLPClassifier` takes is taken, with the same meaning.

    The parameters stand in five groups. All but the first two are given by name.

    - The network: `hidden_layer_sizes`, `activation`, `dropout`, `normalization`, `residual`,
      `weight_init`, `module`, `module_params`, `n_estimators`.
    - The loss: `loss`, `label_smoothing`, `focal_gamma`, `class_weight`, `alpha`.
    - Optimization: `solver`, `solver_params`, `batch_size`, `shuffle`, `learning_rate`,
      `learning_rate_init`, `warmup_fraction`, `power_t`, `momentum`, `nesterovs_momentum`,
      `beta_1`, `beta_2`, `epsilon`, `max_grad_norm`.
    - Stopping: `max_iter`, `tol`, `n_iter_no_change`, `early_stopping`, `scoring`,
      `validation_fraction`, `stratify`, `max_fun`, `max_time`.
    - Computing: `random_state`, `warm_start`, `verbose`, `device`, `dtype`, `matmul_precision`,
      `callbacks`, `checkpoint`, `checkpoint_every`.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Number of units that each hidden layer outputs. `()` is the perceptron's affine map alone:
        softmax regression.
    activation : str, tuple, module, callable or list, default='relu'
        The hidden layers' nonlinearity: a name of `torch.nn` in any spelling or one of
        scikit-learn's ('identity', 'logistic', 'tanh', 'relu'), a `(name, {argument: value})`
        pair, a `torch.nn.Module` class or instance, a callable on tensors, or a list of these,
        one a hidden layer. `sklmlp.activations.ACTIVATIONS` is the table of names.
    dropout : float or array-like of float, default=0.0
        The share of a hidden layer's units that a training step sets to zero [5]_; a list gives
        one rate a hidden layer. Of no effect in prediction.
    normalization : {None, 'batch', 'layer', 'rms'}, default=None
        What stands between each hidden layer's affine map and its activation: batch
        normalization [6]_, layer normalization [7]_ or root mean square normalization [8]_.
    residual : bool, default=False
        Whether each hidden layer is added to what came into it [9]_: as it is where the widths
        agree, by a learned linear map without bias, which starts by Glorot's rule, where they do
        not.
    weight_init : str or (str, dict), default='auto'
        How `coefs_` start: 'auto' is the rule of the activation (scikit-learn's for
        scikit-learn's four), another name a function of `torch.nn.init`, such as 'orthogonal' or
        `('normal', {'std': 0.01})`, with intercepts of zero.
    module : type, default=None
        A custom `torch.nn.Module` class that replaces the built-in layers. Its constructor gets
        `n_features_in` and `n_outputs`, where it has parameters of these names, and
        `module_params`. It maps X to logits. An instance is refused.
        `hidden_layer_sizes` and `activation` are not used then, and there is no `coefs_`.
    module_params : dict, default=None
        Further arguments of `module`. In a grid `module__name` sets one of them.
    n_estimators : int, default=1
        Networks to train, side by side, each from its own seed; their probabilities, or decision
        values, are averaged.
    loss : {'log_loss', 'focal', 'hinge'}, callable or Loss, default='log_loss'
        What is minimized: 'log_loss'; 'focal' [13]_, the log loss of a row times
        `(1 - p) ** focal_gamma` with p the probability of its class; or 'hinge', one against the
        rest, which makes a linear support vector machine on learned features: it has
        `decision_function` and no `predict_proba`. A callable takes logits and targets, tensors
        of shape (n, k) and (n,), the number of each class in `classes_`, and returns the loss of
        each sample, (n,); for two classes and multilabel targets both are (n, k), the targets
        zeros and ones. Autograd differentiates it. Probabilities are those of 'log_loss'. A
        :class:`sklmlp.losses.Loss` may give a gradient, and say that it has no probabilities.
    label_smoothing : float, default=0.0
        The share of a label's probability that 'log_loss' spreads over all classes [12]_.
    focal_gamma : float, default=2.0
        How much 'focal' down-weights samples that are classified well; 0 gives 'log_loss'.
    class_weight : dict, list of dict or 'balanced', default=None
        Weights of classes, which multiply `sample_weight`, on validation rows also; 'balanced' is
        inverse to how often they occur, by `sample_weight`. Multilabel targets take a list, one
        dict `{0: weight, 1: weight}` a label, and multiply the weights of their labels. Not
        'balanced' in `partial_fit`, which does not see all rows.
    alpha : float, default=0.0001
        Strength of the L2 penalty on `coefs_` and other matrices. It is divided by the sum of the
        batch's weights.
    solver : {'lbfgs', 'sgd', 'adam'}, str, type or Solver, default='adam'
        'adam' [2]_ and 'sgd' train batch by batch, 'lbfgs' (SciPy's) on all rows at once, which
        suits small tables. Any first-order optimizer for dense gradients of `torch.optim` goes by
        its name: 'adamw', 'nadam', 'radam', 'rmsprop', 'adagrad', 'muon' (for the matrices, with
        AdamW for the rest) and so on. Or a subclass of `torch.optim.Optimizer`, torch's or a
        user's, or a `sklmlp.optim.Solver`.
    solver_params : dict, default=None
        Further arguments of an optimizer of `torch.optim`; 'adam', 'sgd' and 'lbfgs' take none.
        In a grid `solver__name` sets one of them.
        Its `weight_decay` is 0 unless given here, and never decays biases, normalizations and
        slopes.
    batch_size : int or 'auto', default='auto'
        Rows a training step; 'auto' is `min(200, n_samples)`. Ignored by 'lbfgs'.
    shuffle : bool, default=True
        Whether the rows are shuffled before each epoch.
    learning_rate : {'constant', 'invscaling', 'adaptive', 'cosine', 'linear', 'exponential', \
            'one_cycle'}, default='constant'
        The schedule. Of 'sgd' alone (others warn), after each epoch: 'invscaling' is
        `learning_rate_init / (t + 1) ** power_t` after t rows; 'adaptive' divides the rate by 5
        whenever `n_iter_no_change` epochs in a row did not improve by `tol`, and stops below
        1e-6. Of every stochastic solver, step by step over `max_iter` epochs: 'cosine' [10]_ and
        'linear' fall to 0, 'exponential' to a hundredth, and 'one_cycle' [11]_ rises to
        `learning_rate_init` from a 25th of it and falls to a 250,000th.
    learning_rate_init : float, default=0.001
        The step size of every solver but 'lbfgs'; the full rate of a schedule.
    warmup_fraction : float, default=0.0
        The share of all steps in which those four rise to `learning_rate_init`; 0 is 0.3 for
        'one_cycle'.
    power_t : float, default=0.5
        The exponent of 'invscaling'.
    momentum : float, default=0.9
        Momentum of 'sgd', between 0 and 1.
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay rates of the moments of 'adam'.
    epsilon : float, default=1e-8
        Keeps divisions of 'adam' finite.
    max_grad_norm : float, default=None
        The gradient, penalty included, is scaled down to this Euclidean norm where it is longer;
        None never does. Not for 'lbfgs'.
    max_iter : int, default=200
        Epochs, or iterations of 'lbfgs', at most.
    tol : float, default=1e-4
        The least improvement that counts, of the training loss or of the validation score. For
        'lbfgs' the gradient's norm at which it stops.
    n_iter_no_change : int or inf, default=10
        Epochs without improvement by `tol` that end a fit.
    early_stopping : bool, default=False
        Whether to keep `validation_fraction` of the rows from training, to stop when their score
        (accuracy) has not improved by `tol` for `n_iter_no_change` epochs, and to keep the weights
        of the best score. The split is stratified for two classes, and with `stratify` for more.
    scoring : str or callable, default=None
        What `early_stopping` looks at: None is the accuracy, 'loss' the validation loss, and
        otherwise a scorer's name or a callable `scorer(estimator, X, y)`, greater being better.
        It is given a model with the weights of the moment and, where rows have weights and it
        takes them, `sample_weight`. NaN is an error.
    validation_fraction : float, default=0.1
        The share of rows that `early_stopping` keeps from training.
    stratify : bool, default=False
        Whether the validation split keeps the proportions of the classes also where there are
        more than two.
    max_fun : int, default=15000
        Evaluations of the loss by 'lbfgs', at most.
    max_time : float, default=None
        Time limit in seconds: the fit stops at the end of the epoch. None means no limit.
    random_state : int, RandomState instance or None, default=None
        Draws initial weights, the validation split and the order of rows, in scikit-learn's
        order: the same seed gives scikit-learn's numbers.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the fit before.
    verbose : bool, default=False
        Whether to print a line an epoch: scikit-learn's, with the learning rate, the training
        score, the seconds since the fit began and the most that are left, and which network of an
        ensemble it is of.
    device : str or torch.device, default='auto'
        Where to compute: 'cpu', 'cuda', 'cuda:1', 'mps' (untested), or 'auto' for CUDA where
        there is a GPU and the CPU elsewhere. A model that was fitted on a GPU predicts on the
        CPU where there is none.
    dtype : {'auto', 'float32', 'float64'}, default='auto'
        What to compute in. 'auto' follows X as scikit-learn does: float32 stays float32,
        anything else becomes float64; on a GPU it is float32.
    matmul_precision : {'highest', 'high', 'medium'}, default='highest'
        How float32 matrices are multiplied, in the words of
        `torch.set_float32_matmul_precision`: 'medium' lets the processor multiply in bfloat16
        and keep float32 weights, where it can. No effect on float64.
    callbacks : list, default=None
        skorch callbacks, as `skorch.NeuralNet(callbacks=...)` takes them. scikit-learn's go to
        `set_callbacks`, from scikit-learn 1.9 on.
    checkpoint : str or path, default=None
        Checkpoint file, for 'sgd' and 'adam' only. The same fit started again resumes from it and
        gives the same result; a finished fit is restored at once. Needs a `random_state`. Raises
        ValueError if the file belongs to a different fit.
    checkpoint_every : int, default=10
        Epochs from one checkpoint to the next.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels; for multilabel targets the indices of the columns.
    coefs_ : list of ndarray of shape (n_layers - 1,)
        The weights of each affine map, (fan in, fan out). For an activation that takes more units
        than it gives ('glu') fan out is what it takes. Writing into them changes predictions.
    intercepts_ : list of ndarray of shape (n_layers - 1,)
        The bias of each affine map.
    loss_ : float
        The training loss of the last epoch, or what 'lbfgs' reached.
    loss_curve_ : list of float
        The training loss of each epoch, penalty included. Not for 'lbfgs'.
    best_loss_ : float or None
        The least training loss; None with `early_stopping`. Not for 'lbfgs'.
    validation_scores_ : list of float or None
        The validation score of each epoch, with `early_stopping`: accuracy, or what `scoring` is.
    best_validation_score_ : float or None
        The best of them.
    history_ : list of dict
        One an epoch: `epoch`, `train_loss`, `lr`, `seconds` and, with `early_stopping`,
        `train_score` (of at most 10,000 rows), `valid_loss` and `valid_score`.
    estimators_ : list of estimator
        With `n_estimators` greater than one: each network as a fitted estimator by itself, equal
        to one fitted alone with its `random_state`. The attributes of a single network (`coefs_`,
        `loss_curve_`, `history_`, ...) are theirs.
    module_ : torch.nn.Sequential
        The network from rows to logits, for use in torch; of the class `module` where there is
        one.
    device_ : torch.device
        Where this machine computes predictions.
    t_ : int
        Training rows seen, over all epochs.
    n_iter_ : int
        Epochs, or iterations of 'lbfgs', of the last fit.
    n_layers_ : int
        Layers, input and output included.
    n_outputs_ : int
        Output units.
    out_activation_ : str
        The output's link: 'softmax', 'logistic', or 'identity' for the hinge loss.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where X had names that are all strings.

    See Also
    --------
    MLPRegressor : The same for real targets.

    References
    ----------
    .. [1] Rumelhart, Hinton & Williams (1986), "Learning representations by
       back-propagating errors". Nature 323.
    .. [2] Kingma & Ba (2015), "Adam: A method for stochastic optimization". ICLR,
       :arxiv:`1412.6980`.
    .. [3] Glorot & Bengio (2010), "Understanding the difficulty of training deep feedforward
       neural networks". AISTATS.
    .. [4] He, Zhang, Ren & Sun (2015), "Delving deep into rectifiers". ICCV,
       :arxiv:`1502.01852`.
    .. [5] Srivastava et al. (2014), "Dropout: A simple way to prevent neural networks from
       overfitting". JMLR 15.
    .. [6] Ioffe & Szegedy (2015), "Batch normalization". ICML, :arxiv:`1502.03167`.
    .. [7] Ba, Kiros & Hinton (2016), "Layer normalization". :arxiv:`1607.06450`.
    .. [8] Zhang & Sennrich (2019), "Root mean square layer normalization". NeurIPS,
       :arxiv:`1910.07467`.
    .. [9] He, Zhang, Ren & Sun (2016), "Deep residual learning for image recognition". CVPR,
       :arxiv:`1512.03385`.
    .. [10] Loshchilov & Hutter (2017), "SGDR: Stochastic gradient descent with warm restarts".
       ICLR, :arxiv:`1608.03983`.
    .. [11] Smith & Topin (2018), "Super-convergence". :arxiv:`1708.07120`.
    .. [12] Szegedy et al. (2016), "Rethinking the Inception architecture". CVPR, sec. 7.
    .. [13] Lin, Goyal, Girshick, He & Dollar (2017), "Focal loss for dense object detection".
       ICCV, :arxiv:`1708.02002`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklmlp import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((16,), activation="gelu", solver="lbfgs", random_state=0)
    >>> make_pipeline(StandardScaler(), mlp).fit(X, y).score(X, y) > 0.97
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(NAMES["classifier"]), callable, Loss],
        **loss_parameters("classifier"),
        "stratify": ["boolean"],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        dropout=0.0,
        normalization=None,
        residual=False,
        weight_init="auto",
        module=None,
        module_params=None,
        n_estimators=1,
        loss="log_loss",
        label_smoothing=0.0,
        focal_gamma=2.0,
        class_weight=None,
        alpha=0.0001,
        solver="adam",
        solver_params=None,
        batch_size="auto",
        shuffle=True,
        learning_rate="constant",
        learning_rate_init=0.001,
        warmup_fraction=0.0,
        power_t=0.5,
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        max_grad_norm=None,
        max_iter=200,
        tol=1e-4,
        n_iter_no_change=10,
        early_stopping=False,
        scoring=None,
        validation_fraction=0.1,
        stratify=False,
        max_fun=15000,
        max_time=None,
        random_state=None,
        warm_start=False,
        verbose=False,
        device="auto",
        dtype="auto",
        matmul_precision="highest",
        callbacks=None,
        checkpoint=None,
        checkpoint_every=10,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.normalization = normalization
        self.residual = residual
        self.weight_init = weight_init
        self.module = module
        self.module_params = module_params
        self.n_estimators = n_estimators
        self.loss = loss
        self.label_smoothing = label_smoothing
        self.focal_gamma = focal_gamma
        self.class_weight = class_weight
        self.alpha = alpha
        self.solver = solver
        self.solver_params = solver_params
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.warmup_fraction = warmup_fraction
        self.power_t = power_t
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.max_grad_norm = max_grad_norm
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.stratify = stratify
        self.max_fun = max_fun
        self.max_time = max_time
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.device = device
        self.dtype = dtype
        self.matmul_precision = matmul_precision
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    def _validate(self, X, y, reset, incremental, names=("X", "y")):
        X, y = self._validate_X_y(X, y, reset, names)
        if incremental or (self.warm_start and hasattr(self, "classes_")):
            self._check_labels(y, incremental, names[1])
        else:
            targets = ClassTargets.learn(y)
            self.classes_, self._targets = targets.classes_, targets.kind_and_form
        return X, y

    def _check_labels(self, y, incremental, name):
        """Raise ValueError for labels that training so far does not know."""
        self._class_targets.check_form(y, name)
        with errors_of_labels(name):
            check_classification_targets(y)
            labels = unique_labels(y)
        if not incremental and set(labels) != set(self.classes_):
            raise ValueError(
                f"warm_start can only be used where `{name}` has the same classes as in the "
                f"previous call to fit. Previously got {self.classes_}, `{name}` has {labels}"
            )
        if np.setdiff1d(labels, self.classes_).size:
            raise ValueError(
                f"`{name}` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. '{name}' has {labels}."
            )

    @property
    def _class_targets(self):
        return class_targets(self)

    def _encode(self, y):
        return self._class_targets.encode(y)

    def _count_outputs(self, y):
        return self._class_targets.n_outputs

    _loss_of_callable = "log_loss"

    def _loss_key(self, name):
        return self._class_targets.variant(str(name))

    def _loss_and_params(self):
        loss, params = super()._loss_and_params()
        if not isinstance(loss, Loss):
            return loss, params
        if loss.link is not None:
            raise ValueError(
                f"loss={loss!r} has a link, and a classifier has its own: the softmax or logistic "
                "function for a loss with probabilities. Leave link=None."
            )
        link = LOSSES[self._loss_key("log_loss")].loss.out_activation
        return replace(loss, link=link if loss.has_probabilities else "identity"), params

    def _apply_class_weight(self, y, sample_weight, learn_from=None):
        if self.class_weight is None:
            return sample_weight
        return class_weighted(self.class_weight, self.classes_, y, sample_weight, learn_from)

    def _stratification(self, y):
        kind = self._class_targets.kind
        if self.stratify and kind == "multilabel-indicator":
            raise ValueError(
                "stratify=True is for one label a sample, and y has "
                f"{len(self.classes_)} labels; use stratify=False."
            )
        return self._encode(y) if self.stratify or kind == "binary" else None

    def _score_logits(self, y, weight, logits, loss):
        return self._class_targets.accuracy(y, logits, weight)

    def _probability_link(self, loss):
        """Return what makes probabilities of each class, (n, n_classes), of logits, a tensor."""
        _check_probabilities(loss)
        if self._class_targets.kind != "binary":
            return loss.link
        n_classes = len(self.classes_)
        return lambda z: torch.sigmoid(torch.cat([-z, z], 1))[:, -n_classes:]

    def _decode_logits(self, method, logits, loss):
        if method == "predict":
            return self._class_targets.decode(logits)
        return self._probability_link(loss)(torch.from_numpy(logits)).contiguous().numpy()

    @available_if(lambda self: self._check_solver())
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Go on training with one pass over the given rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight for each row; None weighs all the same.
        classes : array-like of shape (n_classes,), default=None
            All labels that any call will bring; needed in the first call only.

        Returns
        -------
        self : object
            The estimator, with the optimizer's moments kept for the next call.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit. In order to use "
                "'balanced' weights, use compute_class_weight('balanced', classes=classes, y=y). "
                "In place of y you can use a large enough sample of the full training set target "
                "to properly estimate the class frequency distributions. Pass the resulting "
                "weights as the class_weight parameter."
            )
        with learning_aside(self) as aside:
            if check_partial_fit_first_call(aside, classes):
                y = check_y(aside, y)
                multilabel = type_of_target(y).startswith("multilabel")
                targets = ClassTargets.learn(y if multilabel else classes)
                aside._targets = targets.kind_and_form
            aside._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X):
        """Predict labels.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_classes)
            The most probable label of each row; for multilabel targets a one for each label that
            is more probable than not. With the hinge loss the label of the largest decision
            value, and a one for each that is above zero.
        """
        model = snapshot(self)
        X, targets = model._check_rows(X), model._class_targets
        if len(fitted_networks(model)) == 1:
            return targets.decode(model._outputs(X, None)[0])
        if not model._loss.has_probabilities:
            return targets.decode(model._mean_output(X, None))
        probability = model._mean_output(X, model._probability_link(model._loss))
        return targets.decode(probability[:, -targets.n_outputs :] - 0.5)

    @available_if(lambda self: not self._loss_in_use().has_probabilities)
    def decision_function(self, X):
        """Predict decision values, of the hinge loss.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)

        Returns
        -------
        decision : ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes what speaks for `classes_[1]`, else what speaks for each class; 1 and
            -1 are the margins. In X's dtype where that is float32 or float64.
        """
        model = snapshot(self)
        decision = model._mean_output(model._check_rows(X), None)
        return decision.ravel() if model._class_targets.kind == "binary" else decision

    @available_if(lambda self: _check_probabilities(self._loss_in_use()))
    def predict_proba(self, X):
        """Predict probabilities; not of the hinge loss.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`, and in X's dtype where that is float32 or float64.
        """
        model = snapshot(self)
        X = model._check_rows(X)
        return model._mean_output(X, model._probability_link(model._loss))

    @available_if(lambda self: _check_probabilities(self._loss_in_use()))
    def predict_log_proba(self, X):
        """Predict logarithms of probabilities; not of the hinge loss.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)

        Returns
        -------
        log_probability : ndarray of shape (n_samples, n_classes)
            The logarithm of `predict_proba`: minus infinity where that has underflowed to zero.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def score(self, X, y, sample_weight=None):
        """Return the accuracy of the predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true labels.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight for each sample; None weighs all the same.

        Returns
        -------
        score : float
            The share of samples that are predicted right, in every label if there are several.
        """
        return checked_score(accuracy, y, self.predict(X), sample_weight)

    def _loss_in_use(self):
        """Return the loss of predictions: the fitted one, before a fit the parameter's."""
        model = snapshot(self)
        return model._loss if model.__sklearn_is_fitted__() else model._described_loss()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _check_probabilities(loss):
    if not loss.has_probabilities:
        raise AttributeError(f"loss={loss.name!r} has no probabilities; it has decision_function.")
    return True
