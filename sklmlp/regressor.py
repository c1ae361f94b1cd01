"""MLPRegressor: parameters and predictions."""

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklmlp.base import BaseMLP, learning_aside
from sklmlp.compat import StrOptions, fit_context
from sklmlp.data import check_numbers, checked_score
from sklmlp.fitted_network import refuse_overflow, snapshot
from sklmlp.losses import NAMES, Loss, TargetScaling, loss_parameters


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multilayer perceptron regressor: scikit-learn's contract, computed by torch.

    Minimizes half the squared error, or another `loss`, by backpropagation [1]_.
    Everything that :class:`sklearn.neural_network.MLPRegressor` takes is taken, with the same
    meaning.

    The parameters stand in five groups, with `loss` in front of all, as in scikit-learn. All but
    the first three are given by name.

    - The network: `hidden_layer_sizes`, `activation`, `dropout`, `normalization`, `residual`,
      `weight_init`, `module`, `module_params`, `n_estimators`.
    - The loss: `loss`, `huber_delta`, `quantile`, `normalize_y`, `alpha`.
    - Optimization: `solver`, `solver_params`, `batch_size`, `shuffle`, `learning_rate`,
      `learning_rate_init`, `warmup_fraction`, `power_t`, `momentum`, `nesterovs_momentum`,
      `beta_1`, `beta_2`, `epsilon`, `max_grad_norm`.
    - Stopping: `max_iter`, `tol`, `n_iter_no_change`, `early_stopping`, `scoring`,
      `validation_fraction`, `max_fun`, `max_time`.
    - Computing: `random_state`, `warm_start`, `verbose`, `device`, `dtype`, `matmul_precision`,
      `callbacks`, `checkpoint`, `checkpoint_every`.

    Parameters
    ----------
    loss : {'squared_error', 'absolute_error', 'huber', 'poisson', 'gamma', 'quantile', \
            'gaussian'}, callable or Loss, default='squared_error'
        What is minimized. 'huber' is quadratic up to `huber_delta` and linear beyond. 'poisson'
        and 'gamma', half their deviances, predict the exponential of the network's output and
        require `y >= 0` and `y > 0`. 'quantile' is the pinball loss of `quantile`. 'gaussian',
        the negative log-likelihood [12]_, learns mean and variance: `predict(X, return_std=True)`.
        Of several outputs the sum is descended, and of 'squared_error', 'absolute_error',
        'huber', 'quantile' and 'gaussian' the mean reported, as scikit-learn does. A callable
        takes predictions and targets, tensors of shape (n, n_outputs), and returns the loss of
        each sample, (n,). Autograd differentiates it. A :class:`sklmlp.losses.Loss` also says its
        link, gradient and range of targets.
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Number of units that each hidden layer outputs. `()` is the perceptron's affine map alone:
        linear, or Poisson, regression.
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
        Networks to train, side by side, each from its own seed; their predictions are averaged.
    huber_delta : float, default=1.0
        Residuals up to this are squared by 'huber', in units of y.
    quantile : float or array-like of float, default=0.5
        What 'quantile' predicts, between 0 and 1. A list, for one target, makes `predict` return
        a column for each, which never cross.
    normalize_y : bool, default=False
        Whether to scale each target to mean 0 and standard deviation 1 for training; of 'poisson'
        and 'gamma' it is divided by its mean. Weights of samples count. Predictions, standard
        deviations, quantiles and scores are in units of y. The losses (`loss_`, `loss_curve_`,
        `best_loss_`, those of `history_` and of `scoring='loss'`) are those of the scaled
        targets, and so `alpha`, `tol` and `max_grad_norm` mean the same whatever the units of y.
        `huber_delta` stays in units of y. `partial_fit` and `warm_start` keep the scaling of the
        first call.
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
        (`score`) has not improved by `tol` for `n_iter_no_change` epochs, and to keep the weights
        of the best score.
    scoring : str or callable, default=None
        What `early_stopping` looks at: None is `score` (for the losses 'gaussian' and 'gamma' it
        is 'loss'), 'loss' the validation loss, and otherwise a scorer's name or a callable
        `scorer(estimator, X, y)`, greater being better. It is given a model with the weights of
        the moment and, where rows have weights and it takes them, `sample_weight`. NaN is an
        error.
    validation_fraction : float, default=0.1
        The share of rows that `early_stopping` keeps from training.
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
        The validation score of each epoch, with `early_stopping`: as `score`, or what `scoring` is.
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
        one. With `normalize_y=True` these are logits of the scaled targets.
    target_scaling_ : TargetScaling or None
        With `normalize_y=True`: `center` and `scale`, a tuple of floats each, of the targets.
        `(y - center) / scale` is what the network has learned.
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
        The output's link: 'identity', 'exp', or 'ordered' for a list of quantiles.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where X had names that are all strings.

    See Also
    --------
    MLPClassifier : The same for class labels.

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
    .. [12] Nix & Weigend (1994), "Estimating the mean and variance of the target probability
       distribution". ICNN.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklmlp import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> mlp = MLPRegressor(
    ...     hidden_layer_sizes=(16,), solver="lbfgs", alpha=100, max_iter=2000, random_state=0
    ... )
    >>> make_pipeline(StandardScaler(), mlp).fit(X, y).score(X, y) > 0.55
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(NAMES["regressor"]), callable, Loss],
        **loss_parameters("regressor"),
        "normalize_y": ["boolean"],
    }

    def __init__(
        self,
        loss="squared_error",
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
        huber_delta=1.0,
        quantile=0.5,
        normalize_y=False,
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
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.normalization = normalization
        self.residual = residual
        self.weight_init = weight_init
        self.module = module
        self.module_params = module_params
        self.n_estimators = n_estimators
        self.huber_delta = huber_delta
        self.quantile = quantile
        self.normalize_y = normalize_y
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
        y = check_numbers(self, y, names[1])
        loss = self._chosen_loss()
        if not loss.target_range.contains(y):
            raise ValueError(
                f"Some value(s) of {names[1]} are out of the valid range of the loss "
                f"{loss.name!r}, which takes {loss.target_range}; {_extremes(y, loss)}."
            )
        if y.ndim == 2 and isinstance(loss.quantile, list):
            raise ValueError(
                f"A list of quantiles is for one target, and {names[1]} has {y.shape[1]}; got "
                f"quantile={self.quantile!r}. A single quantile is predicted for several targets."
            )
        return X, y

    def _encode(self, y):
        return y.reshape(len(y), -1)

    def _count_outputs(self, y):
        return (1 if y.ndim == 1 else y.shape[1]) * self._chosen_loss().n_units

    _loss_of_callable = "squared_error"

    def _stratification(self, y):
        return None

    def _target_scaling(self, y, weight, reset):
        if reset:
            return self._learned_scaling(y, weight) if self.normalize_y else None
        spec, scaling = vars(self._networks[0]).get("_spec"), self.target_scaling_
        if (scaling is not None) != bool(self.normalize_y):
            raise ValueError(
                f"Training cannot go on: it began with normalize_y={scaling is not None}, got "
                f"normalize_y={self.normalize_y}. Use warm_start=False to fit from scratch."
            )
        if scaling is None:
            return None
        before, now = spec.loss_function, self._described_loss()
        if before.target_range.is_positive != now.target_range.is_positive:
            raise ValueError(
                f"Training cannot go on: normalize_y=True scaled the targets for loss="
                f"{before.name!r}, which does not go with loss={self.loss!r}. Use warm_start=False "
                "to fit from scratch."
            )
        return scaling

    def _learned_scaling(self, y, weight):
        takes = self._described_loss().target_range
        if not (takes.is_everything or takes.is_positive):
            raise ValueError(
                f"normalize_y=True does not go with loss={self.loss!r}, which takes {takes}: "
                "scaled targets are outside of that. Use normalize_y=False."
            )
        return TargetScaling.learn(self._encode(y), weight, takes.is_positive)

    def _check_range(self, y, target):
        dtype = str(target.dtype).removeprefix("torch.")
        wider = "" if self.normalize_y else "normalize_y=True, "
        wider += "dtype='float64'" if dtype == "float32" else "another unit for y"
        if not target.isfinite().all():
            raise ValueError(
                f"y has values from {y.min():g} to {y.max():g}, which overflow {dtype}. Use "
                f"{wider.replace(', ', ' or ')}."
            )
        loss = self._described_loss()
        if not loss.target_range.contains(target):
            raise ValueError(
                f"The loss {loss.name!r} takes {loss.target_range}, and the least value of y, "
                f"{y.min():g}, becomes {target.min():g} in {dtype}. Use "
                f"{wider.replace(', ', ' or ')}."
            )

    def _score_logits(self, y, weight, logits, loss):
        prediction = self._decode_logits("predict", logits, loss)
        if not np.isfinite(prediction).all():
            return np.nan  # as of logits that are not finite: training diverged
        with np.errstate(over="ignore"):  # a score of minus infinity
            return r2_or_d2_pinball(y, prediction, weight, loss.quantile)

    def _decode_logits(self, method, logits, loss):
        return _flat(loss.link(torch.from_numpy(logits)).contiguous().numpy(), loss)

    @available_if(lambda self: self._check_solver())
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Go on training with one pass over the given rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            The training rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The values to predict.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight for each row; None weighs all the same.

        Returns
        -------
        self : object
            The estimator, with the optimizer's moments kept for the next call.
        """
        with learning_aside(self) as aside:
            aside._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X, return_std=False):
        """Predict values.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
        return_std : bool, default=False
            Whether to return standard deviations too, which the loss 'gaussian' learns. With
            `n_estimators` their square is the mean of the networks' variances plus the variance
            of their means.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In X's dtype where that is float32 or float64. A list of quantiles has a column each,
            in its order.
        std : ndarray of the same shape
            With `return_std`.
        """
        model = snapshot(self)
        X, loss = model._check_rows(X), model._loss
        if not return_std:
            return _flat(model._mean_output(X, loss.link), loss)
        if loss.variance is None:
            raise ValueError(
                "return_std=True is for a model fitted with loss='gaussian'; this one was fitted "
                f"with loss={loss.name!r}."
            )
        outputs = model._outputs(X, lambda z: torch.stack([loss.link(z), loss.variance(z)]))
        means, variances = np.stack(outputs, axis=1)  # of each network, (n, n_outputs)
        # the law of total variance
        with np.errstate(over="ignore", invalid="ignore"):  # refused in the next lines
            y, std = means.mean(axis=0), np.sqrt(variances.mean(axis=0) + means.var(axis=0))
        for values in (y, std):
            refuse_overflow(values, values.dtype)
        return _flat(y, loss), _flat(std, loss)

    @property
    def target_scaling_(self):
        """What targets were scaled by for training; None without `normalize_y`."""
        check_is_fitted(self)
        spec = vars(self._networks[0]).get("_spec")  # there is none where coefs_ were set by hand
        return None if spec is None else spec.scaling

    def score(self, X, y, sample_weight=None):
        """Return R2 of the predictions; of quantiles the mean of their D2 pinball scores.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The true values.
        sample_weight : array-like of shape (n_samples,), default=None
            A weight for each row; None weighs all the same.

        Returns
        -------
        score : float
            At most 1; 0 is what the constant mean, or quantile, of y would have.
        """
        model = snapshot(self)
        metric = partial(r2_or_d2_pinball, quantile=model._loss.quantile)
        return checked_score(metric, y, model.predict(X), sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self._described_loss().target_range.low >= 0
        return tags


def _extremes(y, loss):
    """Return the value of y that is out of the range of a loss."""
    takes = loss.target_range
    is_low = not replace(takes, high=np.inf).contains(y)
    return f"the least is {y.min()}" if is_low else f"the largest is {y.max()}"


def _flat(y, loss):
    """Flatten values of one target, (n, 1), to (n,); a list of quantiles keeps its columns."""
    return y.ravel() if y.shape[1] == 1 and not isinstance(loss.quantile, list) else y


def r2_or_d2_pinball(y, prediction, sample_weight, quantile):
    """Return R2, or the D2 pinball score averaged over quantiles.

    Parameters
    ----------
    y, prediction : ndarray of shape (n,) or (n, n_outputs)
    sample_weight : ndarray of shape (n,) or None
    quantile : float, list of float or None
        What predictions are quantiles of; None where they are means.

    Returns
    -------
    score : float
    """
    if quantile is None:
        return r2_score(y, prediction, sample_weight=sample_weight)
    score = partial(d2_pinball_score, sample_weight=sample_weight)
    if not isinstance(quantile, list):
        return score(y, prediction, alpha=quantile)
    columns = zip(prediction.T, quantile, strict=True)
    return float(np.mean([score(y, column, alpha=alpha) for column, alpha in columns]))
