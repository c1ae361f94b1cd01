"""Values of parameters: NumPy's scalars, extremes, what contradicts what, words of others."""

import inspect
import re
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, ParameterSampler
from skorch.callbacks import Callback
from torch import nn

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.config import TrainingConfig
from sklmlp.parameters import (
    CLASSIFICATION_LOSSES,
    DEPENDENCES,
    OTHER_NAMES,
    OTHER_PARAMETERS,
    REGRESSION_LOSSES,
    loss_dependences,
)
from tests.pairwise import pairwise
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SOLVERS = ["adam", "sgd", "lbfgs", "adamw", "muon"]
X, y = make_table("regression")

# A value of each kind of parameter, with what it needs to have an effect.
REALS = {
    "alpha": (0.25, {}),
    "beta_1": (0.5, {}),
    "beta_2": (0.75, {}),
    "dropout": (0.25, {}),
    "epsilon": (2.0**-20, {}),
    "huber_delta": (0.5, {"loss": "huber"}),
    "learning_rate_init": (0.0078125, {}),
    "max_grad_norm": (0.5, {}),
    "max_time": (1000.0, {}),
    "momentum": (0.75, {}),
    "power_t": (0.25, {"solver": "sgd", "learning_rate": "invscaling"}),
    "quantile": (0.25, {"loss": "quantile"}),
    "tol": (2.0**-9, {}),
    "validation_fraction": (0.25, {"early_stopping": True}),
    "warmup_fraction": (0.25, {"learning_rate": "cosine"}),
}
INTEGERS = {
    "batch_size": (16, {}),
    "checkpoint_every": (2, None),  # with a file
    "hidden_layer_sizes": (6, {}),
    "max_fun": (100, {}),
    "max_iter": (3, {}),
    "n_estimators": (2, {}),
    "n_iter_no_change": (2, {}),
    "random_state": (3, {}),
}
BOOLS = {
    "early_stopping": (True, {}),
    "nesterovs_momentum": (False, {}),
    "normalize_y": (True, {}),
    "residual": (True, {}),
    "shuffle": (False, {}),
    "verbose": (False, {}),
    "warm_start": (True, {}),
}
STRINGS = {
    "activation": ("tanh", {}),
    "device": ("cpu", {}),
    "dtype": ("float32", {}),
    "learning_rate": ("cosine", {}),
    "loss": ("huber", {}),
    "matmul_precision": ("high", {}),
    "normalization": ("layer", {}),
    "scoring": ("loss", {"early_stopping": True}),
    "solver": ("adamw", {}),
    "weight_init": ("orthogonal", {}),
}
OTHER_KINDS = {"callbacks", "checkpoint", "module", "module_params", "solver_params"}
OF_A_CLASSIFIER = {"label_smoothing": (0.25, {}), "focal_gamma": (1.5, {"loss": "focal"})}


def of(values, types):
    """Combinations of the parameters, the types of their values and the solvers."""
    chosen = pairwise(values, types, SOLVERS)
    return [(name, *values[name], numpy_type, solver) for name, numpy_type, solver in chosen]


CASES = [
    *of(REALS, [np.float64, np.float32, np.float16, np.longdouble]),
    *of(INTEGERS, [np.int64, np.int32, np.uint8]),
    *of(BOOLS, [np.bool_]),
    *of(STRINGS, [np.str_]),
]


def same(model, other, X=X, y=y):
    """Both fits learn the same numbers, to the rounding of products in other memory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y), other.fit(X, y)
    tolerance = 1e-4 if model.dtype == "float32" else 1e-9
    assert_allclose(model.predict(X), other.predict(X), tolerance, tolerance)
    if model.n_estimators == 1:
        assert_allclose(model.loss_, other.loss_, tolerance)


def test_every_parameter_has_its_cases():
    """A parameter that is added is tried with NumPy's scalars too."""
    tried = {*REALS, *INTEGERS, *BOOLS, *STRINGS, *OTHER_KINDS}
    assert tried == set(inspect.signature(MLPRegressor).parameters)
    tried = {
        *tried - {"huber_delta", "normalize_y", "quantile"},
        *OF_A_CLASSIFIER,
        "class_weight",
        "stratify",
    }
    assert tried == set(inspect.signature(MLPClassifier).parameters)


@pytest.mark.parametrize("name, value, others, numpy_type, solver", CASES)
def test_a_scalar_of_numpy_is_a_scalar(name, value, others, numpy_type, solver, tmp_path):
    """Of every parameter and with every solver it means the number that it is."""
    others = {"checkpoint": tmp_path / "a", "solver": "adam"} if others is None else others
    options = {"solver": solver, **others}
    if options["solver"] == "lbfgs":
        if name in ("dropout", "max_grad_norm", "warmup_fraction", "early_stopping"):
            options["solver"] = "adam"
        if name == "learning_rate":
            options["solver"] = "adam"
    model = make("regression", **options)
    plain = clone(model).set_params(**{name: value})
    if "checkpoint" in others:
        plain.set_params(checkpoint=tmp_path / "b")
    given = numpy_type(value)
    same(model.set_params(**{name: given}), plain)
    assert getattr(model, name) is given  # what the user said stays


@pytest.mark.parametrize("numpy_type", [np.float64, np.float32, np.longdouble])
@pytest.mark.parametrize("name", OF_A_CLASSIFIER)
def test_a_scalar_of_numpy_in_a_classifier(name, numpy_type):
    """The parameters that a classifier has of its own as well."""
    value, others = OF_A_CLASSIFIER[name]
    X, y = make_table("multiclass")
    plain = make("multiclass", **others, **{name: value})
    same(clone(plain).set_params(**{name: numpy_type(value)}), plain, X, y)


F = np.float64
NESTED = [
    ({"solver": "adamw", "solver_params": {"weight_decay": F(0.25), "betas": (F(0.5), F(0.75))}},
     {"solver": "adamw", "solver_params": {"weight_decay": 0.25, "betas": (0.5, 0.75)}}),
    ({"solver": "adamw", "solver_params": {np.str_("amsgrad"): np.bool_(True)}},
     {"solver": "adamw", "solver_params": {"amsgrad": True}}),
    ({"activation": (np.str_("leaky_relu"), {"negative_slope": np.float32(0.25)})},
     {"activation": ("leaky_relu", {"negative_slope": 0.25})}),
    ({"activation": [("prelu", {"num_parameters": np.int64(8)})]},
     {"activation": [("prelu", {"num_parameters": 8})]}),
    ({"weight_init": (np.str_("normal"), {"std": F(0.25)})},
     {"weight_init": ("normal", {"std": 0.25})}),
    ({"hidden_layer_sizes": np.array([4, 3], np.uint8)}, {"hidden_layer_sizes": (4, 3)}),
    ({"hidden_layer_sizes": [np.int64(4), 3]}, {"hidden_layer_sizes": (4, 3)}),
    ({"dropout": [np.float32(0.25)]}, {"dropout": [0.25]}),
    ({"dropout": np.array([0.25])}, {"dropout": [0.25]}),
    ({"loss": "quantile", "quantile": [F(0.25), np.float32(0.75)]},
     {"loss": "quantile", "quantile": [0.25, 0.75]}),
]  # fmt: skip


@pytest.mark.parametrize("given, plain", NESTED)
def test_a_scalar_of_numpy_within(given, plain):
    """In dicts, tuples and lists they are numbers too, and the stored network has plain ones."""
    model = make("regression", **given)
    same(model, make("regression", **plain))
    for choice in model._spec.activations:
        assert all(type(value) in (int, float) for value in choice.arguments.values())


def test_weights_of_classes_may_be_scalars_of_numpy():
    """Labels and weights alike."""
    X, y = make_table("binary")
    plain = make("binary", class_weight={0: 1.0, 1: 2.5})
    same(
        make("binary", class_weight={np.int32(0): F(1), np.int64(1): np.float32(2.5)}), plain, X, y
    )


def test_a_random_search_draws_scalars_of_numpy():
    """What `np.linspace` and distributions of SciPy draw is taken by sgd."""
    space = {"momentum": np.linspace(0.1, 0.9, 9), "nesterovs_momentum": np.array([True, False])}
    for params in ParameterSampler(space, 4, random_state=0):
        assert np.isfinite(make("regression", solver="sgd", **params).fit(X, y).loss_)


ARRAYS = [
    ({"alpha": np.array(0.5)}, "alpha is an array without dimensions, array(0.5); give the value "
     "itself, 0.5."),
    ({"hidden_layer_sizes": np.array(4)}, "hidden_layer_sizes is an array without dimensions, "
     "array(4); give the value itself, 4."),
    ({"dropout": np.array(0.1)}, "dropout is an array without dimensions, array(0.1); give the "
     "value itself, 0.1."),
    ({"solver": np.array("adam")}, "solver is an array without dimensions, array('adam', "
     "dtype='<U4'); give the value itself, 'adam'."),
    ({"early_stopping": np.array(True)}, "early_stopping is an array without dimensions, "
     "array(True); give the value itself, True."),
    ({"solver": "adamw", "solver_params": {"weight_decay": np.array(0.1)}},
     "solver_params['weight_decay'] is an array without dimensions, array(0.1); give the value "
     "itself, 0.1."),
    ({"activation": ("elu", {"alpha": np.array(0.5)})}, "activation[1]['alpha'] is an array "
     "without dimensions, array(0.5); give the value itself, 0.5."),
    ({"weight_init": ("normal", {"std": np.array(0.5)})}, "weight_init[1]['std'] is an array "
     "without dimensions, array(0.5); give the value itself, 0.5."),
    ({"hidden_layer_sizes": [np.array(4)]}, "hidden_layer_sizes[0] is an array without "
     "dimensions, array(4); give the value itself, 4."),
]  # fmt: skip


@pytest.mark.parametrize("params, message", ARRAYS)
def test_arrays_without_dimensions_are_refused_by_name(params, message):
    """They look like numbers, and torch and NumPy disagree on whether they are."""
    with pytest.raises(ValueError) as caught:
        make("regression", **params).fit(X, y)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [True, False, np.True_])
@pytest.mark.parametrize("name", [*REALS, *INTEGERS])
def test_a_bool_is_no_number(name, value):
    """Where a number is meant a bool is refused by name."""
    with pytest.raises(ValueError, match=rf"^The '?{name}'? parameter|^{name} must be integers"):
        make("regression", **{name: value}).fit(X, y)


def test_bools_are_no_sizes():
    """Nor are they within a list."""
    for sizes in ([True, 4], (False,)):
        with pytest.raises(ValueError, match=r"^hidden_layer_sizes must be integers, got \["):
            make("regression", hidden_layer_sizes=sizes).fit(X, y)


EXTREMES = [5e-324, 1e-310, 1e-46, 1e-40, 1 - 1e-16, 1000, 10**30, 1e39, 1e200, 1.7e308, 10**400]
REFUSALS = [
    r"^The '\w+' parameter of MLP\w+ must be ",
    r"^\w+ is too large for a float: 401 digits\.$",
    r"^\w+=\S+ is out of the range of float(32|64), in which this fit computes: ",
    r"^Solver produced non-finite parameter weights\. ",
    r"^Solver produced a non-finite loss .* lower alpha=",
    r"^The validation set is too small\. Increase 'validation_fraction'",
    r"^validation_fraction=\S+ cannot split 60 samples: ",
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "name, solver, dtype",
    pairwise(
        [*REALS, *OF_A_CLASSIFIER],
        ["adam", "sgd", "lbfgs", "adamw", "rprop"],
        ["float32", "float64"],
    ),
)
def test_extreme_values_are_computed_with_or_refused(name, solver, dtype):
    """Every finite number ends in finite weights, or in an error that says what is wrong."""
    (_, others), kind = (REALS | OF_A_CLASSIFIER)[name], "regression"
    if name in OF_A_CLASSIFIER:
        kind = "multiclass"
    X, y = make_table(kind)
    for value in EXTREMES:
        options = {"solver": solver, "dtype": dtype, **others, name: value}
        if solver == "lbfgs" and name in ("dropout", "warmup_fraction", "max_grad_norm"):
            continue
        model = make(kind, **options)
        try:
            model.fit(X, y)
        except ValueError as error:
            assert any(re.search(each, str(error)) for each in REFUSALS), error
        else:
            assert all(np.isfinite(coef).all() for coef in model.coefs_)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("value", [2**33, 2**63, 10**30, 10**400], ids=lambda v: len(str(v)))
@pytest.mark.parametrize("name", sorted({*INTEGERS} - {"checkpoint_every", "max_iter"}))
def test_large_integers_are_computed_with_or_refused(name, value):
    """An integer beyond what torch and NumPy count with is taken, or refused by its name."""
    model = make("regression", **{name: value})
    if name in ("n_estimators", "random_state", "hidden_layer_sizes"):
        with pytest.raises(ValueError, match=rf"^(The '{name}' parameter of|{name}) MLPR|^{name} "):
            model.fit(X, y)
    else:
        same(model, make("regression", **{name: 10**6}))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_rate_that_falls_too_fast_to_be_a_number(momentum):
    """invscaling by a power of a thousand is a fit that stands still after its first epoch."""
    params = {"solver": "sgd", "learning_rate": "invscaling", "momentum": momentum}
    params |= {"alpha": 0.0, "nesterovs_momentum": False}
    one = make("regression", **params, power_t=1000, max_iter=1).fit(X, y)
    more = make("regression", **params, power_t=1000, max_iter=30).fit(X, y)
    assert more.history_[-1]["lr"] == pytest.approx(1e-33)
    # the velocity of the first step runs out, as scikit-learn's does at a rate of 0
    velocity = -1e-33 * one._optimizer["moments"].get("momentum_buffer", np.zeros(99))[:40]
    expected = one.coefs_[0] + velocity.reshape(5, 8) * sum(momentum**k for k in range(1, 30))
    assert_allclose(more.coefs_[0], expected, rtol=1e-10)


def test_alpha_over_small_weights():
    """alpha is divided by the batch's weights: what overflows then is refused by both names."""
    with pytest.raises(ValueError) as caught:
        make("regression", dtype="float32", alpha=1e15).fit(X, y, np.full(60, 1e-28))
    assert str(caught.value) == (
        "alpha=1000000000000000.0 divided by the least sample weight, 1e-28, is out of the range "
        "of float32, in which this fit computes. Lower alpha, or scale the weights."
    )


INEFFECTIVE = [
    (MLPClassifier, {"label_smoothing": 0.1, "loss": "focal"}, "label_smoothing=0.1 has no effect "
     "with loss='focal'. Use loss='log_loss', or label_smoothing=0.0."),
    (MLPClassifier, {"focal_gamma": 3}, "focal_gamma=3.0 has no effect with loss='log_loss'. Use "
     "loss='focal', or focal_gamma=2.0."),
    (MLPRegressor, {"huber_delta": 2}, "huber_delta=2.0 has no effect with loss='squared_error'. "
     "Use loss='huber', or huber_delta=1.0."),
    (MLPRegressor, {"quantile": 0.9}, "quantile=0.9 has no effect with loss='squared_error'. Use "
     "loss='quantile', or quantile=0.5."),
    (MLPRegressor, {"quantile": [0.1, 0.9], "loss": "huber"}, "quantile=[0.1, 0.9] has no effect "
     "with loss='huber'. Use loss='quantile', or quantile=0.5."),
    (MLPRegressor, {"scoring": "r2"}, "scoring='r2' has no effect with early_stopping=False. Use "
     "early_stopping=True, or scoring=None."),
    (MLPClassifier, {"stratify": True}, "stratify=True has no effect with early_stopping=False. "
     "Use early_stopping=True, or stratify=False."),
    (MLPRegressor, {"warmup_fraction": 0.1}, "warmup_fraction=0.1 has no effect with "
     "learning_rate='constant'. Use learning_rate='cosine', or warmup_fraction=0.0."),
    (MLPRegressor, {"max_grad_norm": 1, "solver": "lbfgs"}, "max_grad_norm=1.0 has no effect with "
     "solver='lbfgs'. Use solver='adam', or max_grad_norm=None."),
    (MLPRegressor, {"learning_rate": "linear", "solver": "lbfgs"}, "learning_rate='linear' has no "
     "effect with solver='lbfgs'. Use solver='adam', or learning_rate='constant'."),
]  # fmt: skip


@pytest.mark.parametrize("cls, params, message", INEFFECTIVE)
def test_what_has_no_effect_is_refused(cls, params, message):
    """The error names both parameters and what to write."""
    X, y = make_table("regression" if cls is MLPRegressor else "binary")
    with pytest.raises(ValueError) as caught:
        cls(hidden_layer_sizes=(4,), max_iter=2, **params).fit(X, y)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "dependence", [*loss_dependences(), *DEPENDENCES], ids=lambda d: f"{d.name}-{d.other}"
)
def test_defaults_have_no_need_of_anything(dependence):
    """The default in the table is the estimators' own, so that nobody hears of what he left."""
    for cls in (MLPClassifier, MLPRegressor):
        parameter = inspect.signature(cls).parameters.get(dependence.name)
        if parameter is not None:
            assert parameter.default == dependence.default
            dependence.check(TrainingConfig.from_estimator(cls()))


def test_what_scikit_learn_shares_between_solvers_is_no_error():
    """momentum with adam and beta_1 with sgd are scikit-learn's to take: grids go over them."""
    for params in [
        {"momentum": 0.5},
        {"nesterovs_momentum": False},
        {"power_t": 0.3},
        {"max_fun": 9},
        {"solver": "sgd", "beta_1": 0.5, "beta_2": 0.5, "epsilon": 1e-3},
        {"solver": "lbfgs", "batch_size": 7, "shuffle": False, "learning_rate_init": 1.0},
        {"validation_fraction": 0.3, "n_iter_no_change": 3},
    ]:
        make("regression", **params).fit(X, y)


class Narrow(MLPRegressor):
    """A subclass with a parameter of its own, and none of the others."""

    def __init__(self, width=3):
        self.width = width
        super().__init__(hidden_layer_sizes=(width,), max_iter=2, random_state=0)


def test_a_subclass_may_have_fewer_parameters():
    """What its constructor sets is trained with, and its own parameter is left alone."""
    model = clone(Narrow()).set_params(width=4).fit(X, y)
    assert model.get_params() == {"width": 4}
    expected = MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, random_state=0).fit(X, y)
    assert_array_equal(model.predict(X), expected.predict(X))


def test_a_grid_over_losses_keeps_their_parameters_apart():
    """A list of grids gives each loss its own parameter."""
    grid = [
        {"loss": ["quantile"], "quantile": [0.25, 0.75]},
        {"loss": ["huber"], "huber_delta": [0.5]},
        {"loss": ["squared_error"]},
    ]
    search = GridSearchCV(make("regression"), grid, cv=2, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


LOSSES = {MLPRegressor: REGRESSION_LOSSES, MLPClassifier: CLASSIFICATION_LOSSES}


def refused(cls, error, **params):
    kind = "multiclass" if cls is MLPClassifier else "regression"
    X, y = make_table(kind)
    with pytest.raises(error) as caught:
        cls(hidden_layer_sizes=(4,), max_iter=2, random_state=0, **params).fit(X, y)
    return str(caught.value)


@pytest.mark.parametrize(
    "cls, name, meant, spelling",
    [
        (cls, name, meant, spelling)
        for cls, losses in (
            (MLPRegressor, REGRESSION_LOSSES),
            (MLPClassifier, CLASSIFICATION_LOSSES),
        )
        for name, table in {"loss": losses, **OTHER_NAMES}.items()
        for meant, spellings in table.items()
        for spelling in spellings.split()
        if spelling != meant and spelling != "bool"
    ],
)
def test_words_of_other_libraries_are_told_ours(cls, name, meant, spelling):
    """A name that another library has for a value is refused with the one to write."""
    assert refused(cls, ValueError, **{name: spelling}).endswith(
        f"Got {spelling!r} instead. Use {name}={meant!r}."
    )


@pytest.mark.parametrize(
    "cls, params, end",
    [
        (MLPRegressor, {"learning_rate": 0.01}, "Got 0.01 instead. learning_rate is the schedule, "
         "and learning_rate_init the step size: use learning_rate_init=0.01."),
        (MLPRegressor, {"loss": (100, 50)}, " loss is the first parameter, as in scikit-learn: use "
         "hidden_layer_sizes=(100, 50)."),
        (MLPRegressor, {"loss": "cross_entropy"}, " This is a loss of MLPClassifier."),
        (MLPClassifier, {"loss": "binary_crossentropy"}, " Use loss='log_loss'."),
        (MLPClassifier, {"loss": "mse"}, " This is a loss of MLPRegressor."),
        (MLPRegressor, {"normalization": True}, "Got True instead. Use normalization='batch'."),
        (MLPRegressor, {"normalization": nn.LayerNorm}, " Use normalization='layer'."),
        (MLPRegressor, {"dtype": torch.float32}, "Got torch.float32 instead. Use dtype='float32'."),
        (MLPRegressor, {"dtype": np.float64}, " Use dtype='float64'."),
        (MLPRegressor, {"solver": partial(torch.optim.SGD, momentum=0.9)}, " Use a subclass of "
         "torch.optim.Optimizer, its arguments in solver_params."),
        (MLPRegressor, {"solver": torch.optim.SGD([torch.zeros(1)])}, " Use solver=SGD, the class, "
         "with its arguments in solver_params: a fit makes an optimizer of the weights that it "
         "trains."),
        (MLPRegressor, {"callbacks": Callback()}, " Use a list, callbacks=[...]."),
    ],
)  # fmt: skip
def test_objects_of_other_libraries_are_told_ours(cls, params, end):
    """So is a class, an instance or a function; scikit-learn's own message comes first."""
    (name,) = params
    message = refused(cls, ValueError, **params)
    assert message.startswith(f"The {name!r} parameter of {cls.__name__} must be ")
    assert message.endswith(end)


@pytest.mark.parametrize(
    "cls, loss, name, ours",
    [
        (MLPRegressor, nn.MSELoss(), "MSELoss", "squared_error"),
        (MLPRegressor, nn.SmoothL1Loss(), "SmoothL1Loss", "huber"),
        (MLPRegressor, nn.functional.l1_loss, "l1_loss", "absolute_error"),
        (MLPClassifier, nn.CrossEntropyLoss, "CrossEntropyLoss", "log_loss"),
        (MLPClassifier, nn.functional.binary_cross_entropy, "binary_cross_entropy", "log_loss"),
    ],
)
def test_losses_of_torch_are_told_ours(cls, loss, name, ours):
    """A class, and what makes one number of a batch, is refused with the built-in name."""
    assert refused(cls, ValueError, loss=loss) == (
        f"loss={name} does not return one value per sample. Use a name, or a function of logits "
        "and targets that does, such as an instance with reduction='none'. The built-in "
        f"{ours!r} is that loss."
    )


def test_callbacks_are_skorchs():
    """scikit-learn's are told where they go, and other objects what is taken."""

    class Bar:  # scikit-learn's protocol, also where it has none yet
        def on_fit_task_begin(self):
            pass

        def __repr__(self):
            return "Bar()"

    assert refused(MLPRegressor, TypeError, callbacks=[Bar()]) == (
        "callbacks takes callbacks of skorch, got Bar() of scikit-learn. Use "
        "set_callbacks(Bar(...))."
    )
    assert refused(MLPRegressor, TypeError, callbacks=[("bar", "x")]) == (
        "callbacks takes subclasses and instances of skorch.callbacks.Callback, got 'x'."
    )


@pytest.mark.parametrize(
    "activation, message",
    [
        (np.tanh, "activation 'tanh' fails on a hidden layer of 4 units: Can't call numpy() on "
         "Tensor that requires grad. Use tensor.detach().numpy() instead. Use activation='tanh'."),
        (nn.functional.glu, "activation 'glu' returned shape (2, 2) and dtype torch.float64 for "
         "input of shape (2, 4) and dtype torch.float64; expected shape (2, 4) and dtype "
         "torch.float64. Use activation='glu'."),
        (nn.functional.threshold, "activation '_threshold' fails on a hidden layer of 4 units: "
         "_threshold() missing 2 required positional arguments: 'threshold' and 'value'. Use "
         "activation='threshold'."),
        (nn.functional.dropout, "activation 'dropout' is random, also in prediction; use the "
         "parameter dropout, or a torch.nn.Module that looks at `self.training`."),
    ],
)  # fmt: skip
def test_functions_that_are_no_activations(activation, message):
    """What does not compute on tensors, or not the same twice, is told what to write instead."""
    assert refused(MLPRegressor, ValueError, activation=activation) == message


@pytest.mark.parametrize(
    "name, meant",
    [
        ("np.tanh", "tanh"),
        ("torch.relu", "relu"),
        ("nn.functional.gelu", "gelu"),
        ("F.leaky_relu", "leaky_relu"),
        ("lrelu", "leaky_relu"),
        ("hard_silu", "hardswish"),
        ("expit", "logistic"),
        ("none", "identity"),
    ],
)
def test_names_of_other_libraries_are_told_the_tables(name, meant):
    """A name with its module before it, or of another library, is refused with the table's."""
    assert refused(MLPRegressor, ValueError, activation=name).startswith(
        f"activation {name!r} is not known. Did you mean {meant!r}? Known are: celu, elu, "
    )


def test_no_activation_is_the_identity():
    """None, which Keras takes for it, is told the name."""
    assert refused(MLPRegressor, TypeError, activation=None).endswith(
        "one a hidden layer; got None. For none use 'identity'."
    )


@pytest.mark.parametrize(
    "cls, scoring, message",
    [
        (MLPClassifier, "roc_auc", "scoring='roc_auc' is for two classes, and y has 3. Use "
         "scoring='roc_auc_ovr'."),
        (MLPClassifier, "f1", "scoring='f1' is for two classes, and y has 3. Use "
         "scoring='f1_macro'."),
        (MLPClassifier, "acc", "scoring='acc' is not a score of scikit-learn. Use "
         "scoring='accuracy'."),
        (MLPRegressor, "mse", "scoring='mse' is not a score of scikit-learn. Use "
         "scoring='neg_mean_squared_error'."),
        (MLPRegressor, "val_loss", "scoring='val_loss' is not a score of scikit-learn. Use "
         "scoring='loss'."),
        (MLPRegressor, "neg_mean_square_error", "scoring='neg_mean_square_error' is not a score "
         "of scikit-learn. Use scoring='neg_mean_squared_error'."),
        (MLPRegressor, "accuracy", "scoring='accuracy' fails on the validation rows: continuous is "
         "not supported"),
    ],
)  # fmt: skip
def test_scores_are_told_what_to_write(cls, scoring, message):
    """Names of other libraries, and scores of two classes where there are more."""
    assert refused(cls, ValueError, early_stopping=True, scoring=scoring) == message


@pytest.mark.parametrize("name", OTHER_PARAMETERS)
def test_parameters_of_other_libraries_are_told_ours(name):
    """`set_params`, and with it every search, says what a parameter is called here."""
    valid = set(inspect.signature(MLPRegressor).parameters)
    assert OTHER_PARAMETERS[name] in valid
    assert name not in valid | set(inspect.signature(MLPClassifier).parameters)
    with pytest.raises(ValueError) as caught:
        GridSearchCV(MLPRegressor(), {name: [1]}, error_score="raise", cv=2).fit(X, y)
    assert str(caught.value) == (
        f"Invalid parameter {name!r} for estimator MLPRegressor. Use {OTHER_PARAMETERS[name]}."
    )


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_changed_parameter_is_checked_after_fits_with_defaults(kind):
    """Defaults are looked at once for each class, and what differs from them in every fit."""
    model = kind(max_iter=1).fit(X, y > 0)
    for name, wrong in {"alpha": -1.0, "max_iter": 1.0, "nesterovs_momentum": 1}.items():
        with pytest.raises(ValueError, match=f"The '{name}' parameter of {kind.__name__} must be"):
            clone(model).set_params(**{name: wrong}).fit(X, y > 0)


def test_a_default_that_a_subclass_gets_wrong_is_checked():
    """The defaults that need no check are those of the class that is fitted."""

    class Narrow(MLPRegressor):
        def __init__(self, alpha=-1.0, max_iter=1):
            super().__init__(alpha=alpha, max_iter=max_iter)

    Narrow(alpha=0.0).fit(X, y)
    with pytest.raises(ValueError, match="The 'alpha' parameter of Narrow must be"):
        Narrow().fit(X, y)
