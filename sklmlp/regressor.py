"""MLPRegressor: parameters and predictions."""

import numpy as np
import torch
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from sklmlp.base import BaseMLP
from sklmlp.losses import LOSSES


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multilayer perceptron regressor: scikit-learn's contract, computed by torch.

    Minimises half the squared error, or half the Poisson deviance, by backpropagation [1]_.
    Everything that :class:`sklearn.neural_network.MLPRegressor` takes is taken, with the same
    meaning.

    Parameters
    ----------
    loss : {'squared_error', 'poisson'}, default='squared_error'
        What is minimised. 'poisson' predicts the exponential of the network's output, which
        is the mean of a count, and requires `y >= 0`. Of several outputs the squared error's
        sum is descended and its mean reported, as in scikit-learn.
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Units that each hidden layer hands on. `()` is the perceptron's affine map alone:
        linear, or Poisson, regression.
    activation : str, tuple, module, callable or list, default='relu'
        The hidden layers' nonlinearity: a name of `torch.nn` in any spelling or one of
        scikit-learn's ('identity', 'logistic', 'tanh', 'relu'), a `(name, {argument: value})`
        pair, a `torch.nn.Module` class or instance, a callable on tensors, or a list of these,
        one a hidden layer. `sklmlp.activations.ACTIVATIONS` is the table of names.
    solver : {'lbfgs', 'sgd', 'adam'}, default='adam'
        'adam' [2]_ and 'sgd' train batch by batch, 'lbfgs' (SciPy's) on all rows at once, which
        suits small tables.
    alpha : float, default=0.0001
        Strength of the L2 penalty on `coefs_`. It is divided by the sum of the batch's weights.
    batch_size : int or 'auto', default='auto'
        Rows a training step; 'auto' is `min(200, n_samples)`. Ignored by 'lbfgs'.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        The schedule of 'sgd': 'invscaling' is `learning_rate_init / (t + 1) ** power_t` after t
        rows; 'adaptive' divides the rate by 5 whenever `n_iter_no_change` epochs in a row did
        not improve by `tol`, and stops below 1e-6.
    learning_rate_init : float, default=0.001
        The step size of 'sgd' and 'adam'.
    power_t : float, default=0.5
        The exponent of 'invscaling'.
    max_iter : int, default=200
        Epochs of 'sgd' and 'adam', iterations of 'lbfgs', at most.
    shuffle : bool, default=True
        Whether the rows are shuffled before each epoch.
    random_state : int, RandomState instance or None, default=None
        Draws initial weights, the validation split and the order of rows, in scikit-learn's
        order: the same seed gives scikit-learn's numbers.
    tol : float, default=1e-4
        The least improvement that counts, of the training loss or of the validation score. For
        'lbfgs' the gradient's norm at which it stops.
    verbose : bool, default=False
        Whether to print a line an epoch.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the fit before.
    momentum : float, default=0.9
        Momentum of 'sgd', between 0 and 1.
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to keep `validation_fraction` of the rows from training, to stop when their score
        (R2) has not improved by `tol` for `n_iter_no_change` epochs, and to keep the weights
        of the best score.
    validation_fraction : float, default=0.1
        The share of rows that `early_stopping` keeps from training.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay rates of the moments of 'adam'.
    epsilon : float, default=1e-8
        Keeps divisions of 'adam' finite.
    n_iter_no_change : int or inf, default=10
        Epochs without improvement by `tol` that end a fit.
    max_fun : int, default=15000
        Evaluations of the loss by 'lbfgs', at most.
    n_estimators : int, default=1
        Networks to train, side by side, each from its own seed; their predictions are averaged.
    device : str or torch.device, default='auto'
        Where to compute: 'cpu', 'cuda', 'cuda:1', 'mps' (untested), or 'auto' for CUDA where
        there is a card and the CPU elsewhere. A model that was fitted on a card predicts on the
        CPU where there is none.
    dtype : {'auto', 'float32', 'float64'}, default='auto'
        What to compute in. 'auto' follows X as scikit-learn does: float32 stays float32,
        anything else becomes float64; on a card it is float32.
    matmul_precision : {'highest', 'high', 'medium'}, default='highest'
        How float32 matrices are multiplied, in the words of
        `torch.set_float32_matmul_precision`: 'medium' lets the processor multiply in bfloat16
        and keep float32 weights, where it can. No effect on float64.
    callbacks : list, default=None
        skorch callbacks, as `skorch.NeuralNet(callbacks=...)` takes them.

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
        The validation score of each epoch, with `early_stopping`; R2.
    best_validation_score_ : float or None
        The best of them.
    history_ : list of dict
        One an epoch: `epoch`, `train_loss`, `valid_loss` and `valid_score` (with
        `early_stopping`), `lr`, `seconds`.
    estimators_ : list of estimator
        With `n_estimators` greater than one: each network as a fitted estimator by itself, equal
        to one fitted alone with its `random_state`. The attributes of a single network (`coefs_`,
        `loss_curve_`, `history_`, ...) are theirs.
    module_ : torch.nn.Sequential
        The network from rows to logits, for use in torch.
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
        The output's link: 'identity' or 'exp'.
    n_features_in_ : int
        Features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
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
        "loss": [StrOptions({"squared_error", "poisson"})],
    }

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        n_estimators=1,
        device="auto",
        dtype="auto",
        matmul_precision="highest",
        callbacks=None,
    ):
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.n_estimators = n_estimators
        self.device = device
        self.dtype = dtype
        self.matmul_precision = matmul_precision
        self.callbacks = callbacks

    def _validate(self, X, y, anew, incremental):
        X, y = self._validate_X_y(X, y, anew, y_numeric=True)
        if y.dtype.kind in "US":  # numbers written as text, or text that numpy refuses
            y = y.astype(np.float64)
        if self.loss == "poisson" and y.min() < 0:
            raise ValueError(
                "Some value(s) of y are out of the valid range of the loss 'poisson', which takes "
                f"y >= 0; the least is {y.min()}."
            )
        return X, y

    def _encode(self, y):
        return y.reshape(len(y), -1)

    def _count_outputs(self, y):
        return 1 if y.ndim == 1 else y.shape[1]

    def _loss_name(self):
        return self.loss

    def _stratification(self, y):
        return None

    def _score_logits(self, y, weight, logits):
        return r2_score(y, self._answer("predict", logits), sample_weight=weight)

    def _answer(self, method, logits, loss=None):
        y = LOSSES[loss or self.loss].link(torch.from_numpy(logits)).numpy()
        return y.ravel() if y.shape[1] == 1 else y

    @available_if(lambda estimator: estimator._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
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
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X):
        """Predict values.

        Parameters
        ----------
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            In X's dtype where that is float32 or float64.
        """
        return self._averaged("predict", self._check_rows(X))
