"""The table of activations: every entry builds, computes its formula, trains and starts right."""

import inspect
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import sklearn.neural_network
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklmlp import MLPClassifier, MLPRegressor, activations
from sklmlp.activations import ACTIVATIONS, Activation, lookup, register
from sklmlp.nn import Spec, initial_weights, resolve, resolve_one
from tests.tables import make, make_table

TABLE = dict(ACTIVATIONS)  # the package's own entries: examples in docstrings add to the table

# The names that were asked for, as torch.nn spells them.
TORCH_NAMES = [
    *("ELU", "Hardshrink", "Hardsigmoid", "Hardtanh", "Hardswish", "LeakyReLU", "LogSigmoid"),
    *("MultiheadAttention", "PReLU", "ReLU", "ReLU6", "RReLU", "SELU", "CELU", "GELU", "Sigmoid"),
    *("SiLU", "Mish", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Threshold"),
    *("GLU", "Softmin", "Softmax", "LogSoftmax"),
]

# A (name, arguments) pair for each class whose arguments matter, none of them a default.
PAIRS = [
    ("elu", {"alpha": 0.5}),
    ("hardshrink", {"lambd": 0.2}),
    ("hardtanh", {"min_val": -2.0, "max_val": 0.5}),
    ("leaky_relu", {"negative_slope": 0.2}),
    ("multihead_attention", {"embed_dim": 2, "num_heads": 2}),
    ("prelu", {"num_parameters": "per_unit", "init": 0.1}),
    ("rrelu", {"lower": 0.1, "upper": 0.2}),
    ("celu", {"alpha": 2.0}),
    ("gelu", {"approximate": "tanh"}),
    ("softplus", {"beta": 2.0}),
    ("softshrink", {"lambd": 0.1}),
    ("threshold", {"threshold": 0.1, "value": -1.0}),
    ("multihead_attention", {"bias": False}),
]


def relu_with_slope(slope):
    return lambda z: np.where(z > 0, z, slope * z)


def gate(z):
    left, right = np.split(z, 2, axis=-1)
    return left * special.expit(right)


# What each entry computes at its default arguments, by NumPy and SciPy.
REFERENCE = {
    "identity": lambda z: z,
    "logistic": special.expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": relu_with_slope(0.01),
    "prelu": relu_with_slope(0.25),
    "rrelu": relu_with_slope((1 / 8 + 1 / 3) / 2),
    "relu6": lambda z: np.clip(z, 0, 6),
    "elu": lambda z: np.where(z > 0, z, np.expm1(z)),
    "celu": lambda z: np.where(z > 0, z, np.expm1(z)),
    "selu": lambda z: 1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(z)),
    "gelu": lambda z: z * stats.norm.cdf(z),
    "silu": lambda z: z * special.expit(z),
    "mish": lambda z: z * np.tanh(np.logaddexp(0, z)),
    "hardswish": lambda z: z * np.clip(z + 3, 0, 6) / 6,
    "softplus": lambda z: np.logaddexp(0, z),
    "threshold": lambda z: np.where(z > 0, z, 0),
    "glu": gate,
    "hardsigmoid": lambda z: np.clip(z / 6 + 0.5, 0, 1),
    "log_sigmoid": special.log_expit,
    "hardtanh": lambda z: np.clip(z, -1, 1),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "tanhshrink": lambda z: z - np.tanh(z),
    "softshrink": lambda z: np.sign(z) * np.maximum(np.abs(z) - 0.5, 0),
    "hardshrink": lambda z: np.where(np.abs(z) > 0.5, z, 0),
    "softmax": lambda z: special.softmax(z, axis=-1),
    "softmin": lambda z: special.softmax(-z, axis=-1),
    "log_softmax": lambda z: special.log_softmax(z, axis=-1),
}

# The bound of initial weights, from the papers: (fan in, fan out) to half the width.
GLOROT = lambda fan_in, fan_out: np.sqrt(6 / (fan_in + fan_out))  # noqa: E731
SIGMOID = lambda fan_in, fan_out: np.sqrt(2 / (fan_in + fan_out))  # noqa: E731
HE = lambda fan_in, fan_out: np.sqrt(6 / fan_in)  # noqa: E731
LECUN = lambda fan_in, fan_out: np.sqrt(3 / fan_in)  # noqa: E731


def he_leaky(slope):
    return lambda fan_in, fan_out: np.sqrt(6 / ((1 + slope**2) * fan_in))


BOUNDS = {
    **dict.fromkeys(("identity", "tanh", "relu"), GLOROT),  # as scikit-learn
    **dict.fromkeys(("logistic", "hardsigmoid"), SIGMOID),
    **dict.fromkeys(("relu6", "elu", "celu", "gelu", "silu", "mish"), HE),
    **dict.fromkeys(("hardswish", "softplus", "threshold"), HE),
    "leaky_relu": he_leaky(0.01),
    "prelu": he_leaky(0.25),
    "rrelu": he_leaky((1 / 8 + 1 / 3) / 2),
    **dict.fromkeys(("selu", "glu"), LECUN),
    **dict.fromkeys(("log_sigmoid", "hardtanh", "softsign", "tanhshrink"), GLOROT),
    **dict.fromkeys(("softshrink", "hardshrink", "softmax", "softmin", "log_softmax"), GLOROT),
    "multihead_attention": GLOROT,
}


class Scaled(nn.Module):
    """A module of one's own with a parameter and a plain argument."""

    def __init__(self, power=2.0):
        super().__init__()
        self.power = power
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, z):
        return self.scale * torch.sigmoid(z) ** self.power


def cube(z):
    return z**3


def halves(z):
    return z[..., ::2]


def spellings(name):
    """A torch.nn name as people write it: LeakyReLU, leaky_relu, leakyrelu, Leaky ReLU."""
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.replace("ReLU", "Relu")).lower()
    return {name, snake, name.lower(), name.upper(), snake.replace("_", " ").title()}


def pre_activations(name, rows=7, width=8):
    """Rows to feed an activation with, on either side of every kink."""
    return np.random.default_rng(0).normal(scale=3, size=(rows, resolve_one(name).units_in(width)))


def build(activation, width=8):
    """The module of an activation, as prediction uses it."""
    return resolve_one(activation).build(width, dtype=torch.float64).eval()


def apply(activation, z, width=8):
    with torch.no_grad():
        return build(activation, width)(torch.from_numpy(z)).numpy()


# The table -------------------------------------------------------------------------------------


@pytest.mark.parametrize("torch_name", TORCH_NAMES)
def test_every_spelling_of_a_torch_name_finds_one_entry(torch_name):
    """CamelCase, snake_case, lower case, upper case and words with spaces are one name."""
    (found,) = {lookup(spelling) for spelling in spellings(torch_name)}
    assert issubclass(TABLE[found].module, getattr(nn, torch_name))


@pytest.mark.parametrize("name", ["identity", "logistic", "tanh", "relu"])
def test_scikit_learns_names_are_known(name):
    """scikit-learn's four names stand for what they stand for there."""
    ours = sklearn.neural_network._base.ACTIVATIONS[name]
    z = pre_activations(name)
    expected = z.copy()
    ours(expected)  # in place
    assert_allclose(apply(name, z), expected, rtol=1e-12)


def test_every_entry_has_a_reference_here():
    """No entry of the table escapes the comparison with NumPy and with the papers' bounds."""
    assert set(TABLE) == {*REFERENCE, "multihead_attention"} == set(BOUNDS)


@pytest.mark.parametrize("name", REFERENCE)
def test_formula(name):
    """An entry's module computes its formula."""
    z = pre_activations(name)
    assert_allclose(apply(name, z), REFERENCE[name](z), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", TABLE)
def test_derivative_against_finite_differences(name):
    """What autograd descends is the slope of what is computed."""
    z = torch.from_numpy(pre_activations(name, rows=2, width=4)).requires_grad_()
    assert torch.autograd.gradcheck(build(name, width=4), z)


@pytest.mark.parametrize(
    "name, derivative",
    [
        ("sigmoid", lambda z: special.expit(z) * (1 - special.expit(z))),
        ("tanh", lambda z: 1 - np.tanh(z) ** 2),
        ("prelu", lambda z: np.where(z > 0, 1, 0.25)),
    ],
)
def test_the_lectures_derivatives(name, derivative):
    """sigmoid' = sigmoid (1 - sigmoid), tanh' = 1 - tanh^2, pReLU' = 1 or a."""
    z = torch.from_numpy(pre_activations(name)).requires_grad_()
    (gradient,) = torch.autograd.grad(build(name)(z).sum(), z)
    assert_allclose(gradient.numpy(), derivative(z.detach().numpy()), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("slope", [-0.5, 0.0, 0.3, 2.0])
def test_the_lectures_prelu(slope):
    """pReLU(x) = max(0, x) + a min(0, x)."""
    z = pre_activations("prelu")
    expected = np.maximum(0, z) + slope * np.minimum(0, z)
    assert_allclose(apply(("prelu", {"init": slope}), z), expected)


def test_threshold_is_relu_by_default():
    """Threshold, which torch gives no defaults, has threshold 0 and value 0."""
    z = pre_activations("threshold")
    assert_array_equal(apply("Threshold", z), np.maximum(z, 0))


def test_attention_attends_between_the_tokens_of_a_row():
    """Each row is cut into tokens of embed_dim units: softmax(q k' / sqrt(d)) v, projected."""
    z = pre_activations("multihead_attention", rows=3, width=8)
    module = build("MultiheadAttention")
    state = {name: value.numpy() for name, value in module.state_dict().items()}
    tokens = z.reshape(3, 2, 4)
    projected = tokens @ state["in_proj_weight"].T + state["in_proj_bias"]
    q, k, v = np.split(projected, 3, axis=-1)
    attention = special.softmax(q @ k.swapaxes(1, 2) / 2, axis=-1)  # Vaswani et al. 2017, eq. 1
    expected = attention @ v @ state["out_proj.weight"].T + state["out_proj.bias"]
    with torch.no_grad():
        assert_allclose(module(torch.from_numpy(z)).numpy(), expected.reshape(3, 8), rtol=1e-9)


@pytest.mark.parametrize("name, arguments", PAIRS)
def test_pair_means_what_torch_means(name, arguments):
    """The arguments of a pair are those of the torch class."""
    if name == "multihead_attention":
        module = build((name, arguments))
        assert (module.embed_dim, module.num_heads) == (
            arguments.get("embed_dim", 4),
            arguments.get("num_heads", 1),
        )
        assert (module.in_proj_bias is None) == (not arguments.get("bias", True))
        return
    z = pre_activations(name)
    arguments_of_torch = {**arguments} | ({"num_parameters": 8} if name == "prelu" else {})
    torch_class = next(c for c in TABLE[name].module.__mro__ if c.__module__.startswith("torch"))
    expected = torch_class(**arguments_of_torch).double().eval()(torch.from_numpy(z))
    assert_allclose(apply((name, arguments), z), expected.detach().numpy())


@pytest.fixture
def table_put_back():
    """The table of activations as it was, after a test that adds to it."""
    tables = activations.ACTIVATIONS, activations._SPELLINGS
    before = [dict(table) for table in tables]
    yield
    for table, kept in zip(tables, before, strict=True):
        table.clear()
        table.update(kept)


def test_a_registered_activation_is_known_by_its_names(table_put_back, short_fits):
    """`register` adds an entry that estimators find by name, by alias and by class."""
    register(Activation("scaled", Scaled, "s sigmoid(z)^p", aliases=("my scale",)))
    X, y = make_table("multiclass")
    models = [make("multiclass", activation=a).fit(X, y) for a in ("scaled", "MyScale", Scaled)]
    assert {model._spec.activations[0].name for model in models} == {"scaled"}
    assert {type(model.module_.activation_0) for model in models} == {Scaled}


@pytest.mark.parametrize("name", sorted({*TABLE} - {"prelu", "rrelu"}))
def test_elementwise_is_what_the_table_says(name):
    """Each output depends on one input alone just where the table says so."""
    # parameters and random numbers, not other units, set prelu and rrelu apart
    z = torch.from_numpy(pre_activations(name, rows=1, width=4)[0])
    jacobian = torch.autograd.functional.jacobian(build(name, width=4), z[None])[0, :, 0]
    is_diagonal = jacobian.shape == (4, 4) and torch.equal(jacobian, torch.diag(jacobian.diag()))
    assert is_diagonal == TABLE[name].elementwise


# Estimators ------------------------------------------------------------------------------------


def forms(torch_name):
    """Every way to write one activation of torch.nn."""
    torch_class = getattr(nn, torch_name)
    entry = TABLE[lookup(torch_name)]
    arguments = {
        name: value
        for name, value in entry.arguments.items()
        if name in inspect.signature(torch_class).parameters
    }
    return [
        torch_name,
        entry.name,
        (torch_name, {}),
        (entry.name, arguments),
        (torch_class, {}),
        torch_class,
        [torch_name],
    ]


@pytest.mark.parametrize("torch_name", TORCH_NAMES)
def test_every_form_of_an_activation_trains_the_same(torch_name, short_fits):
    """Name, entry, pair, class and list of one are the same network."""
    X, y = make_table("multiclass")
    predictions = [
        make("multiclass", activation=form).fit(X, y).predict_proba(X) for form in forms(torch_name)
    ]
    assert np.isfinite(predictions).all()
    for prediction in predictions[1:]:
        assert_array_equal(prediction, predictions[0])


@pytest.mark.parametrize("torch_name", sorted({*TORCH_NAMES} - {"MultiheadAttention"}))
def test_an_instance_trains_as_its_class(torch_name, short_fits):
    """A torch.nn instance is its class with the arguments that it was made with."""
    entry = TABLE[lookup(torch_name)]
    X, y = make_table("regression")
    instance = getattr(nn, torch_name)(**entry.arguments)
    by_instance, by_name = (
        make("regression", activation=a).fit(X, y).predict(X) for a in (instance, torch_name)
    )
    assert_array_equal(by_instance, by_name)


def test_an_attention_instance_starts_from_its_own_weights(short_fits):
    """An instance with weights hands them on, and the fit leaves the user's object alone."""
    X, y = make_table("regression")
    attention = nn.MultiheadAttention(4, 2)
    before = {name: value.clone() for name, value in attention.state_dict().items()}
    model = make("regression", activation=attention, learning_rate_init=1e-12).fit(X, y)
    learned = model.module_.activation_0.state_dict()
    assert model.module_.activation_0.num_heads == 2
    for name, value in before.items():
        assert_allclose(learned[name].numpy(), value.numpy(), rtol=0, atol=1e-9)
        assert torch.equal(attention.state_dict()[name], value)


@pytest.mark.parametrize("torch_name", TORCH_NAMES)
def test_per_layer_beside_another(torch_name, short_fits):
    """A list gives each hidden layer its own activation, in order."""
    X, y = make_table("regressions")
    model = make("regressions", hidden_layer_sizes=(8, 4), activation=[torch_name, "tanh"])
    activations = [
        layer for name, layer in model.fit(X, y).module_.named_children() if "activation" in name
    ]
    assert isinstance(activations[0], getattr(nn, torch_name))
    assert isinstance(activations[1], nn.Tanh)
    assert np.isfinite(model.predict(X)).all()


def test_grid_search_over_all_of_them(short_fits):
    """One grid takes every name, pair, class, instance, callable and list there is."""
    X, y = make_table("binary", n_samples=40)
    candidates = [*TORCH_NAMES, *PAIRS, nn.GELU, nn.ELU(0.5), Scaled, Scaled(3.0), cube, ["mish"]]
    search = GridSearchCV(make("binary", max_iter=2), {"activation": candidates}, cv=2)
    scores = search.fit(X, y).cv_results_["mean_test_score"]
    assert len(scores) == len(candidates)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    "name, solver",
    [
        (name, solver)
        for name, entry in TABLE.items()
        for solver in ("adam", "sgd", "lbfgs")
        if not (entry.is_random and solver == "lbfgs")  # which needs a deterministic loss
    ],
)
def test_training_lowers_the_loss(name, solver, short_fits):
    """Every activation learns with every solver."""
    X, y = make_table("regression")
    model = make("regression", activation=name, solver=solver, max_iter=15, learning_rate_init=0.01)
    losses = [record["train_loss"] for record in model.fit(X, y).history_]
    assert losses[-1] < losses[0]


def test_a_callable_on_tensors(short_fits):
    """A function of tensors is an activation."""
    X, y = make_table("regression")
    model = make("regression", activation=cube).fit(X, y)
    hidden = (X @ model.coefs_[0] + model.intercepts_[0]) ** 3
    assert_allclose(model.predict(X), (hidden @ model.coefs_[1] + model.intercepts_[1]).ravel())


@pytest.mark.parametrize("own", [Scaled, Scaled(), (Scaled, {"power": 2.0})])
def test_parameters_of_an_own_module_are_learned(own, short_fits):
    """The parameters of a module of one's own are trained along, one copy a layer."""
    X, y = make_table("regression")
    model = make("regression", hidden_layer_sizes=(6, 6), activation=own, max_iter=10).fit(X, y)
    scales = [float(getattr(model.module_, f"activation_{i}").scale.detach()) for i in range(2)]
    assert all(scale != 0.5 for scale in scales)
    assert scales[0] != scales[1]
    if isinstance(own, nn.Module):
        assert float(own.scale.detach()) == 0.5


# PReLU, RReLU, GLU, attention ------------------------------------------------------------------


@pytest.mark.parametrize("num_parameters, shape", [(1, (1,)), ("per_unit", (8,)), (8, (8,))])
def test_prelus_slope_is_learned(num_parameters, shape, short_fits):
    """PReLU learns one slope, or one a unit on request."""
    X, y = make_table("regression")
    activation = ("prelu", {"num_parameters": num_parameters})
    slope = make("regression", activation=activation).fit(X, y).module_.activation_0.weight
    assert slope.shape == shape
    assert (slope != 0.25).all()


def test_prelus_slope_is_not_penalised(short_fits):
    """A step with a large alpha moves coefs_ and leaves the slope where a step without puts it."""
    X, y = make_table("regression")
    params = {"activation": "prelu", "solver": "sgd", "max_iter": 1, "learning_rate_init": 0.01}
    free, penalised = (make("regression", alpha=a, **params).fit(X, y) for a in (0, 100))
    slopes = [model.module_.activation_0.weight.detach().numpy() for model in (free, penalised)]
    assert_allclose(slopes[0], slopes[1], rtol=1e-12)
    assert np.abs(free.coefs_[0]).sum() > 1.01 * np.abs(penalised.coefs_[0]).sum()


def test_per_unit_slopes_follow_each_layers_width(short_fits):
    """One a unit means the width of the layer that it stands behind."""
    X, y = make_table("regression")
    activation = ("prelu", {"num_parameters": "per_unit"})
    model = make("regression", hidden_layer_sizes=(6, 3), activation=activation).fit(X, y)
    shapes = [getattr(model.module_, f"activation_{i}").weight.shape for i in range(2)]
    assert shapes == [(6,), (3,)]


def test_rrelu_is_random_in_training_and_fixed_in_prediction():
    """RReLU draws a slope a value in training; prediction takes the middle of the range."""
    module = build("rrelu")
    z = -torch.ones(1000, dtype=torch.float64)
    module.train()
    drawn = -module(z)
    assert drawn.min() >= 1 / 8
    assert drawn.max() <= 1 / 3
    assert len(drawn.unique()) > 900
    module.eval()
    assert_allclose(module(z).numpy(), -(1 / 8 + 1 / 3) / 2)


def test_rrelu_repeats_by_random_state(short_fits):
    """Equal seeds give equal fits, other seeds others; torch's own generator plays no part."""
    X, y = make_table("regression")
    fits = []
    for seed, torchs_seed in [(0, 1), (0, 2), (1, 1)]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(torchs_seed)
            fits.append(make("regression", activation="rrelu", random_state=seed).fit(X, y))
    assert_array_equal(fits[0].predict(X), fits[1].predict(X))
    assert_array_equal(fits[0].predict(X), fits[0].predict(X))
    assert (fits[0].predict(X) != fits[2].predict(X)).any()


@pytest.mark.parametrize("activation", ["rrelu", "multihead_attention", "prelu", Scaled])
def test_fits_leave_torchs_generator_alone(activation, short_fits):
    """Building and training draw nothing from torch's global generator."""
    X, y = make_table("regression")
    before = torch.get_rng_state()
    make("regression", activation=activation).fit(X, y)
    assert torch.equal(torch.get_rng_state(), before)


def test_glu_gives_hidden_layer_sizes(short_fits):
    """For GLU hidden_layer_sizes is what comes out: coefs_[i] is (fan in, 2 h)."""
    X, y = make_table("regression", n_features=5)
    model = make("regression", hidden_layer_sizes=(8, 3), activation=["glu", "relu"]).fit(X, y)
    assert [coef.shape for coef in model.coefs_] == [(5, 16), (8, 3), (3, 1)]
    assert [bias.shape for bias in model.intercepts_] == [(16,), (3,), (1,)]
    hidden = np.maximum(gate(X @ model.coefs_[0] + model.intercepts_[0]) @ model.coefs_[1], -np.inf)
    hidden = np.maximum(hidden + model.intercepts_[1], 0)
    assert_allclose(model.predict(X), (hidden @ model.coefs_[2]).ravel() + model.intercepts_[2])


def test_attention_weights_are_learned_and_repeat(short_fits):
    """Attention's own weights are drawn by random_state and trained."""
    X, y = make_table("regression")
    params = {"activation": "multihead_attention", "learning_rate_init": 1e-12}
    start = make("regression", **params).fit(X, y).module_.activation_0.in_proj_weight
    again = make("regression", **params).fit(X, y).module_.activation_0.in_proj_weight
    assert torch.equal(start, again)
    learned = make("regression", activation="multihead_attention", max_iter=20).fit(X, y)
    assert ((learned.module_.activation_0.in_proj_weight - start).abs() > 1e-4).any()


# Initial weights -------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [(7,), (6, 4), ()])
@pytest.mark.parametrize("name", ["identity", "logistic", "tanh", "relu"])
def test_start_is_scikit_learns(name, hidden, short_fits):
    """For scikit-learn's four, fits start from scikit-learn's weights: one epoch is the same."""
    X, y = make_table("multiclass")
    params = {
        "hidden_layer_sizes": hidden,
        "activation": name,
        "random_state": 3,
        "max_iter": 1,
        "learning_rate_init": 1e-9,
    }
    ours = MLPClassifier(**params).fit(X, y)
    theirs = sklearn.neural_network.MLPClassifier(**params).fit(X, y)
    for got, expected in zip(
        ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
    ):
        assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", TABLE)
def test_variance_of_initial_weights(name):
    """Weights in front of an activation are uniform with the variance that the papers ask for."""
    spec = Spec(300, 1, (200,), (resolve_one(name),), "squared_error")
    rng = np.random.RandomState(0)
    weights = initial_weights(spec, rng, np.dtype("float64"), resolve_one("identity"))
    fan_in, fan_out = weights.coefs[0].shape
    bound = BOUNDS[name](fan_in, fan_out)
    drawn = weights.coefs[0].ravel()
    assert_allclose(drawn.var(), bound**2 / 3, rtol=0.02)  # the variance of U(-bound, bound)
    assert np.abs(drawn).max() <= bound
    assert stats.kstest(drawn, stats.uniform(-bound, 2 * bound).cdf).pvalue > 0.01


@pytest.mark.parametrize("name", sorted(set(TABLE) - {"logistic"}))
def test_output_layer_starts_as_scikit_learns(name, short_fits):
    """The output layer is drawn by Glorot's rule whatever stands in the hidden layers."""
    X, y = make_table("regression")
    params = {"activation": name, "hidden_layer_sizes": (400,), "learning_rate_init": 1e-12}
    coef = make("regression", max_iter=1, **params).fit(X, y).coefs_[-1]
    bound = np.sqrt(6 / 401)
    assert 0.97 * bound < np.abs(coef).max() <= bound + 1e-9


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_bound_follows_the_slope(slope):
    """A leaky ReLU's bound shrinks with its slope: He et al. 2015, eq. 15."""
    bound = resolve_one(("leaky_relu", {"negative_slope": slope})).bound(50, 20)
    assert_allclose(bound, he_leaky(slope)(50, 20))


# Messages --------------------------------------------------------------------------------------


def refusal(activation, error=ValueError, hidden=(8,), estimator=MLPRegressor):
    """What a fit says of an activation that it refuses."""
    X, y = make_table("regression")
    with pytest.raises(error) as raised:
        estimator(hidden_layer_sizes=hidden, activation=activation).fit(X, y)
    return str(raised.value)


@pytest.mark.parametrize(
    "wrong, meant",
    [("rely", "relu"), ("leakyrelu2", "leaky_relu"), ("sigmoyd", "logistic"), ("Gelo", "gelu")],
)
def test_unknown_name_answers_with_the_closest(wrong, meant):
    """The error of a typing error names the value received and what was probably meant."""
    message = refusal(wrong)
    assert f"activation {wrong!r} is not known" in message
    assert repr(meant) in message.split("Known are")[0]


def test_unknown_name_lists_the_known():
    """The error of a name that is close to nothing lists all there are."""
    message = refusal("zzzzzzzz")
    assert "None is close" in message
    assert all(name in message for name in TABLE)


def test_number_of_layers_and_of_activations():
    """Two hidden layers with three activations is an error that says both numbers."""
    message = refusal(["relu", "tanh", "elu"], hidden=(8, 8))
    assert "3 entries for 2 hidden layers" in message


def test_activations_for_no_hidden_layer():
    """A list for a network without hidden layers is one too many; an empty list is right."""
    assert "1 entries for 0 hidden layers" in refusal(["relu"], hidden=())
    assert resolve([], 0) == []


def test_unknown_argument():
    """An argument that the class does not take raises an error that lists those it takes."""
    message = refusal(("leaky_relu", {"slope": 0.1}))
    assert "'leaky_relu' has no argument 'slope'; it takes 'negative_slope'" in message


def test_argument_of_wrong_value():
    """What torch says against a value is passed on, with the activation and its arguments."""
    message = refusal(("rrelu", {"lower": 2.0, "upper": 1.0}))
    assert "activation 'rrelu' cannot be built from the arguments" in message
    assert "'lower': 2.0" in message


@pytest.mark.parametrize(
    "activation",
    [
        ("gelu", {"approximate": "roughly"}),
        ("softshrink", {"lambd": -1.0}),
        ("celu", {"alpha": 0.0}),
        ("elu", {"alpha": "much"}),
    ],
)
def test_argument_that_torch_refuses_late(activation):
    """What torch only finds in computing is found before training, under the activation's name."""
    message = refusal(activation)
    assert f"activation {activation[0]!r} with the arguments {activation[1]}" in message


def test_a_callable_that_changes_the_width():
    """A callable that returns another number of units raises an error that says both shapes."""
    assert refusal(halves) == (
        "activation 'halves' returned shape (2, 4) and dtype torch.float64 for input of shape "
        "(2, 8) and dtype torch.float64; expected shape (2, 8) and dtype torch.float64. Use a "
        "function of torch tensors."
    )


def test_prelu_with_a_number_of_slopes_that_fits_no_layer():
    """A number of slopes is one or the layer's width, and the message says both."""
    message = refusal(("prelu", {"num_parameters": 3}))
    assert "num_parameters=1" in message
    assert "width of 8" in message
    assert "got 3" in message


def test_attention_on_a_width_that_does_not_divide():
    """A width that tokens do not fill is an error that says both numbers."""
    message = refusal("multihead_attention", hidden=(10,))
    assert "embed_dim=4" in message
    assert "width of 10" in message


def test_attention_heads_that_do_not_divide():
    """Heads that do not divide the token are an error that says both numbers."""
    message = refusal(("multihead_attention", {"num_heads": 3}))
    assert "num_heads=3" in message
    assert "embed_dim=4" in message


def test_attention_instance_with_dropout():
    """An instance whose dropout would be lost is refused."""
    assert "takes no dropout" in refusal(nn.MultiheadAttention(4, 1, dropout=0.5))


@pytest.mark.parametrize("wrong", [3, None, ("relu", "tanh"), ("relu",), {"relu": {}}, b"relu"])
def test_something_else_altogether(wrong):
    """What is no activation in any form raises an error with the forms there are."""
    message = refusal(wrong, TypeError)
    assert "pair" in message
    assert repr(wrong) in message


def test_a_callable_takes_no_arguments():
    """Arguments next to a callable are an error: bind them in the callable."""
    assert "arguments of an activation go with a name" in refusal((cube, {"a": 1}), TypeError)


# The page --------------------------------------------------------------------------------------


def test_the_page_shows_the_table():
    """docs/activations.md has the registry's table; `python docs/activation_table.py` writes it."""
    docs = Path(activations.__file__).parents[1] / "docs"
    script = runpy.run_path(str(docs / "activation_table.py"))
    page = (docs / "activations.md").read_text("utf-8")
    assert page == script["replaced"](page, TABLE)
    rows = script["table"](TABLE).splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(TABLE)


def test_defaults_are_torchs():
    """The table's defaults are those of the modules, other than where an entry has its own."""
    assert ACTIVATIONS["leaky_relu"].filled({})["negative_slope"] == nn.LeakyReLU().negative_slope
    assert ACTIVATIONS["softplus"].filled({"beta": 2.0})["beta"] == 2.0
    for entry in ACTIVATIONS.values():
        module = entry.module(**entry.arguments)
        for name, default in entry.defaults.items():
            if hasattr(module, name) and name not in ("device", "dtype"):
                assert getattr(module, name) == default, (entry.name, name)
