"""The engine's mathematics, activations and losses: each by itself, on every instruction set."""

import inspect
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from sklmlp import native
from sklmlp.activations import ACTIVATIONS
from sklmlp.losses import LOSSES

pytestmark = pytest.mark.skipif(not native.is_available(), reason="the engine is not built")

BEST = native.instruction_set()


def _instruction_sets():
    if not native.is_available():
        return [None]
    names = ["baseline", "avx2", "avx512"]
    there = [name for name in names if native._engine.use_instruction_set(name) == name]
    native._engine.use_instruction_set(BEST)
    return there


@pytest.fixture(params=_instruction_sets())
def engine(request):
    native._engine.use_instruction_set(request.param)
    yield native._engine
    native._engine.use_instruction_set(BEST)


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def same_infinity_or_nan(got, expected):
    return (got == expected) | (np.isnan(got) & np.isnan(expected))


def assert_near(got, expected, rtol, atol=0.0):
    """Values are equal up to the tolerances; NaN, infinities and the signs of zeros are equal."""
    expected = np.asarray(expected)
    with np.errstate(all="ignore"):
        near = np.abs(got - expected) <= rtol * np.abs(expected) + atol
    wrong = ~(near | same_infinity_or_nan(got, expected))
    pairs = list(zip(np.where(wrong)[0][:5], got[wrong][:5], expected[wrong][:5], strict=True))
    assert not wrong.any(), f"{wrong.sum()} differ (place, got, expected): {pairs}"


# Functions


def _erf_tail(x):
    """erfc(x) for x >= 2: Abramowitz & Stegun 1964, 7.1.14, from the 400th denominator back."""
    fraction = np.zeros_like(x)
    for n in range(400, 0, -1):
        fraction = (n / x.dtype.type(2)) / (x + fraction)
    return np.exp(-x * x) / ((x + fraction) * np.sqrt(np.arccos(x.dtype.type(-1))))


def _erf_series(x):
    """erf(x) for |x| < 2: Abramowitz & Stegun 1964, 7.1.6, whose terms have one sign."""
    term = total = x.copy()
    for n in range(1, 100):
        term = term * 2 * x * x / (2 * n + 1)
        total = total + term
    return 2 * np.exp(-x * x) * total / np.sqrt(np.arccos(x.dtype.type(-1)))


def erf(x):
    near = np.abs(x) < 2
    return np.where(
        near,
        _erf_series(np.where(near, x, 0)),
        np.copysign(1 - _erf_tail(np.where(near, 2, np.abs(x))), x),
    )


def normal_cdf(x):
    t = x / np.sqrt(x.dtype.type(2))
    near = t > -2
    tail = _erf_tail(np.where(near, 2, -t))
    return np.where(near, 1 + erf(np.where(near, t, 0)), tail) / 2


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


FUNCTIONS = {  # reference, and units in the last place that the engine may be wrong by
    "exp": (np.exp, 1.5),
    "log": (np.log, 1.0),
    "log1p": (np.log1p, 2),
    "expm1": (np.expm1, 4),
    "tanh": (np.tanh, 3),
    "erf": (erf, 3),
    "sigmoid": (sigmoid, 2.5),
    "softplus": (softplus, 3),
    "log_sigmoid": (lambda x: -softplus(-x), 3),
    "normal_cdf": (normal_cdf, 5),
}


def call_function(engine, name, x):
    y = np.full_like(x, 7)
    engine.kernel("function", name, len(x), 1, x, y)
    return y


@cache
def inputs(dtype, n=20_000):
    """Values of all magnitudes, and many of those where functions bend."""
    rng = np.random.default_rng(0)
    integer = np.uint32 if dtype == np.float32 else np.uint64
    any_bits = rng.integers(0, np.iinfo(integer).max, size=n, dtype=integer).view(dtype)
    parts = [
        any_bits,
        rng.normal(size=n),
        rng.uniform(-1, 1, n),
        rng.uniform(0, 3, n),
        rng.uniform(-30, 30, n),
        rng.uniform(-110, 110, n),
        rng.uniform(-760, 760, n),
        1 + 1e-3 * rng.normal(size=n),
        10 ** rng.uniform(-12, 1, n) * rng.choice([-1, 1], n),
    ]
    with np.errstate(over="ignore", invalid="ignore"):
        return np.concatenate([np.asarray(part).astype(dtype) for part in parts])


@cache
def exact_values(name, dtype):
    with np.errstate(all="ignore"):
        precise = inputs(dtype).astype(np.float64 if dtype == np.float32 else np.longdouble)
        return FUNCTIONS[name][0](precise)


def ulps(got, exact, dtype):
    """Distance in units in the last place of the result; zero where both are infinite or NaN."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(dtype)
        unit = np.spacing(np.minimum(np.abs(rounded), np.finfo(dtype).max)).astype(exact.dtype)
        distance = np.abs(got.astype(exact.dtype) - exact) / unit
    return np.where(~np.isfinite(rounded) & same_infinity_or_nan(got, rounded), 0, distance)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_accurate_to_a_few_units_in_the_last_place(engine, name, dtype):
    """A function of the engine is right to its bound over the whole range, denormals included."""
    x, exact, bound = inputs(dtype), exact_values(name, dtype), FUNCTIONS[name][1]
    if dtype == np.float64 and np.finfo(np.longdouble).nmant == 52:
        bound += 2  # the reference is no better than what it judges
    off = ulps(call_function(engine, name, x), exact, dtype)
    worst = np.argmax(np.where(np.isnan(off), np.inf, off))
    assert off[worst] <= bound, f"{name}({x[worst]!r}) is {off[worst]} ulp off"


INF, NAN = np.inf, np.nan
SPECIAL = {  # at 0, -0, inf, -inf, NaN
    "exp": (1.0, 1.0, INF, 0.0, NAN),
    "log": (-INF, -INF, INF, NAN, NAN),
    "log1p": (0.0, -0.0, INF, NAN, NAN),
    "expm1": (0.0, -0.0, INF, -1.0, NAN),
    "tanh": (0.0, -0.0, 1.0, -1.0, NAN),
    "erf": (0.0, -0.0, 1.0, -1.0, NAN),
    "sigmoid": (0.5, 0.5, 1.0, 0.0, NAN),
    "softplus": (np.log(2), np.log(2), INF, 0.0, NAN),
    "log_sigmoid": (-np.log(2), -np.log(2), 0.0, -INF, NAN),
    "normal_cdf": (0.5, 0.5, 1.0, 0.0, NAN),
}


@pytest.mark.parametrize("name", SPECIAL)
def test_functions_at_zeros_and_beyond_numbers(engine, name, dtype):
    """Zeros with their signs, infinities and NaN give what the C library gives."""
    x = np.array([0.0, -0.0, INF, -INF, NAN] * 7, dtype)  # whole vectors, and what is left of them
    expected = np.array(SPECIAL[name] * 7, dtype)
    got = call_function(engine, name, x)
    np.testing.assert_array_equal(got, expected)
    if name in ("log1p", "expm1", "tanh", "erf"):
        np.testing.assert_array_equal(np.signbit(got)[x == 0], np.signbit(x)[x == 0])


def test_logarithms_end_where_their_arguments_do(engine, dtype):
    """log is NaN below zero; log1p is -inf at -1 and NaN below."""
    below = np.array([-1e-30, -1.0, -5.0], dtype)
    assert np.isnan(call_function(engine, "log", below)).all()
    np.testing.assert_array_equal(
        call_function(engine, "log1p", np.array([-1.0, -2.0, -1e30], dtype)), [-INF, NAN, NAN]
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_instruction_sets_agree(name, dtype):
    """What instruction sets give lies within a few units in the last place of each other."""
    x = inputs(dtype)
    results = []
    for instruction_set in _instruction_sets():
        native._engine.use_instruction_set(instruction_set)
        results.append(call_function(native._engine, name, x))
    native._engine.use_instruction_set(BEST)
    with np.errstate(invalid="ignore"):
        first = results[0].astype(np.longdouble)
    for other in results[1:]:
        assert ulps(other, first, dtype).max() <= (4 if name == "normal_cdf" else 3)


# Activations


ARGUMENTS = [  # beside the defaults
    ("leaky_relu", {"negative_slope": -0.2}),
    ("leaky_relu", {"negative_slope": 0.0}),
    ("elu", {"alpha": 0.4}),
    ("celu", {"alpha": 2.5}),
    ("softplus", {"beta": 2.0, "threshold": 2.0}),
    ("threshold", {"threshold": 0.3, "value": -1.0}),
    ("hardtanh", {"min_val": -2.0, "max_val": 0.5}),
    ("softshrink", {"lambd": 0.2}),
    ("hardshrink", {"lambd": 0.2}),
    ("hardshrink", {"lambd": 0.0}),
]


def _tables():
    return (
        (native._engine.ACTIVATIONS, native._engine.LOSSES) if native.is_available() else ((), ())
    )


def _defaults(arguments):
    pairs = (argument.split("=") for argument in arguments.split(",") if argument)
    return {key: float(value) for key, value in pairs}


NAMES = {name: (keeps_input, _defaults(text)) for name, keeps_input, text in _tables()[0]}


def module_of(name, arguments):
    if name == "gelu_tanh":
        return nn.GELU(approximate="tanh")
    return ACTIVATIONS[name].module(**ACTIVATIONS[name].arguments | arguments)


def call_activation(engine, name, arguments, z, g):
    values = np.array([*(NAMES[name][1] | arguments).values(), 0.0], z.dtype)
    g = g.copy()
    a = np.full_like(z, 7) if NAMES[name][0] else z.copy()
    engine.kernel("activation", name, len(z), 1, values, z if NAMES[name][0] else a, a, g)
    return a, g


def with_autograd(module, *inputs, gradient):
    leaves = [torch.tensor(each, requires_grad=True) for each in inputs]
    a = module(*leaves)
    return a.detach().numpy(), [
        each.numpy() for each in torch.autograd.grad(a, leaves, torch.tensor(gradient))
    ]


def points(dtype):
    """Where activations have kinks, what is beside them, values between and far out."""
    kinks = np.array([0.0, -0.0, 0.2, 0.3, 0.5, 1, 2, 3, 6, 20], dtype)
    kinks = np.concatenate([kinks, -kinks])
    rng = np.random.default_rng(0)
    parts = [
        kinks,
        np.nextafter(kinks, dtype(INF)),
        np.nextafter(kinks, dtype(-INF)),
        rng.normal(size=3000) * 3,
        rng.uniform(-50, 50, size=3000),
        10 ** rng.uniform(-9, 0, size=1000),
        [100.0, -100.0, 800.0, -800.0, 1e30, -1e30, INF, -INF, NAN],
    ]
    return np.concatenate([np.asarray(part).astype(dtype) for part in parts])


def test_every_elementwise_activation_has_a_kernel_with_torch_defaults():
    """The engine's table has each elementwise activation, and the defaults of its arguments."""
    ours = {name: defaults for name, (_, defaults) in NAMES.items() if name != "gelu_tanh"}
    assert set(ours) == {name for name, each in ACTIVATIONS.items() if each.elementwise}
    for name, defaults in ours.items():
        entry = ACTIVATIONS[name]
        parameters = inspect.signature(entry.module).parameters
        for key, value in defaults.items():
            assert value == entry.arguments.get(key, parameters[key].default), (name, key)


@pytest.mark.parametrize(
    "name, arguments", [(name, {}) for name in NAMES] + ARGUMENTS, ids=lambda x: str(x)
)
def test_activations_and_derivatives_are_those_of_autograd(engine, name, arguments, dtype):
    """Value and derivative are autograd's in float64, at the kinks too; NaN stays NaN."""
    z = points(dtype)
    g = np.random.default_rng(1).normal(size=len(z)).astype(dtype)
    arguments32 = {key: float(dtype(value)) for key, value in arguments.items()}
    got = call_activation(engine, name, arguments, z, g)
    a, (expected,) = with_autograd(
        module_of(name, arguments32), z.astype(np.float64), gradient=g.astype(np.float64)
    )
    with np.errstate(over="ignore"):
        a, expected = a.astype(dtype), expected.astype(dtype)
    eps = np.finfo(dtype).eps
    rtol = 1e-12 if dtype == np.float64 else 12 * eps
    size = np.where(np.isfinite(z), np.minimum(np.abs(z), 100), 0)
    least = np.finfo(dtype).smallest_subnormal
    assert_near(got[0], a, rtol, atol=2 * eps * size + least)
    is_finite = np.isfinite(z)  # beyond, torch itself gives one or the other
    atol = (4 * eps * (1 + size) * np.abs(g))[is_finite]
    assert_near(got[1][is_finite], expected[is_finite], rtol, atol=atol)


@pytest.mark.parametrize("name", NAMES)
def test_activations_of_any_number_of_values(engine, name, dtype):
    """Each length, whole vectors or not, gives the values of a longer one and writes no further."""
    z = np.random.default_rng(0).normal(size=70).astype(dtype)
    g = np.ones_like(z)
    a, derivative = call_activation(engine, name, {}, z, g)
    arguments = np.array([*NAMES[name][1].values(), 0.0], dtype)
    for n in range(len(z)):
        part, part_g = np.full_like(z, 7), g.copy()
        if not NAMES[name][0]:
            part[:n] = z[:n]
        source = z if NAMES[name][0] else part
        engine.kernel("activation", name, n, 1, arguments, source, part, part_g)
        assert_near(part[:n], a[:n], 8 * np.finfo(dtype).eps)
        assert_near(part_g[:n], derivative[:n], 64 * np.finfo(dtype).eps)
        assert (part[n:] == 7).all()
        assert (part_g[n:] == 1).all()


@pytest.mark.parametrize("width", [1, 5, 40])
def test_glu_is_that_of_autograd(engine, width, dtype):
    """The gated linear unit and its gradient are autograd's."""
    rng = np.random.default_rng(0)
    z, g = rng.normal(size=(9, 2 * width)).astype(dtype), rng.normal(size=(9, width)).astype(dtype)
    a, g_in = np.empty_like(g), np.empty_like(z)
    engine.kernel("glu", "", 9, width, z, a, g, g_in)
    expected, (gradient,) = with_autograd(nn.GLU(), z.astype(float), gradient=g.astype(float))
    eps = np.finfo(dtype).eps
    assert_near(a, expected, 8 * eps)
    assert_near(g_in, gradient, 8 * eps, atol=8 * eps)


@pytest.mark.parametrize("n_slopes", ["one", "each"])
@pytest.mark.parametrize("width", [1, 5, 40])
def test_prelu_is_that_of_autograd(engine, n_slopes, width, dtype):
    """PReLU and its gradients are autograd's; those of the slopes add to what is there."""
    rng = np.random.default_rng(0)
    z, g = rng.normal(size=(2, 9, width)).astype(dtype)
    z[0, 0] = 0
    slopes = rng.normal(size=1 if n_slopes == "one" else width).astype(dtype)
    a, g_in, g_slopes = np.empty_like(z), g.copy(), np.full_like(slopes, 3)
    engine.kernel("prelu", str(len(slopes)), 9, width, slopes, z, a, g_in, g_slopes)
    expected, gradients = with_autograd(
        nn.functional.prelu, z.astype(float), slopes.astype(float), gradient=g.astype(float)
    )
    eps = np.finfo(dtype).eps
    assert_near(a, expected, eps)
    assert_near(g_in, gradients[0], eps)
    assert_near(g_slopes, 3 + gradients[1], 0, atol=200 * eps)


# Losses


LOSS_CASES = [
    ("log_loss", {"label_smoothing": 0.0}),
    ("log_loss", {"label_smoothing": 0.1}),
    ("binary_log_loss", {"label_smoothing": 0.0}),
    ("binary_log_loss", {"label_smoothing": 0.1}),
    ("focal", {"focal_gamma": 2.0}),
    ("focal", {"focal_gamma": 0.0}),
    ("focal", {"focal_gamma": 0.7}),
    ("binary_focal", {"focal_gamma": 2.0}),
    ("binary_focal", {"focal_gamma": 0.0}),
    ("hinge", {}),
    ("binary_hinge", {}),
    ("squared_error", {}),
    ("absolute_error", {}),
    ("huber", {"huber_delta": None}),
    ("poisson", {}),
    ("gamma", {}),
    ("quantile", {"quantile": 0.2}),
    ("quantiles", {"quantile": None}),
    ("gaussian", {}),
]


def loss_case(name, parameters, k, dtype, rng, n=37):
    """The loss by torch, its arguments for the engine, logits and targets."""
    z = 3 * rng.normal(size=(n, k))
    if dict((entry[0], entry[1]) for entry in native._engine.LOSSES)[name]:
        y = rng.integers(k, size=n)
    elif name.startswith("binary"):
        y = rng.integers(2, size=(n, k)).astype(dtype)
    else:
        y = rng.gamma(1.0, size=(n, k)).astype(dtype)
    parameters = dict(parameters)
    if name == "huber":
        parameters["huber_delta"] = rng.uniform(0.1, 2, k).astype(dtype).tolist()
    if name == "quantiles":
        parameters["quantile"] = np.linspace(0.05, 0.9, k).astype(dtype).tolist()
        y = np.ascontiguousarray(y[:, :1])
    if name == "gaussian":
        y = np.ascontiguousarray(y[:, : k // 2])
    if name == "poisson":
        y[::3] = 0
    loss = LOSSES["quantile" if name == "quantiles" else name].make(**parameters)
    return loss, np.hstack([0, *parameters.values(), 0])[1:].astype(dtype), z.astype(dtype), y


def call_loss(engine, name, arguments, z, y, kind="loss"):
    rows, delta = np.full(len(z), 7, z.dtype), np.full_like(z, 7)
    engine.kernel(kind, name, *z.shape, arguments, z, y, rows, delta)
    return rows, delta


def test_every_loss_has_a_kernel():
    """The engine's table has each loss of the estimators, with the names of its parameters."""
    ours = {name: _defaults(text) for name, _, text in _tables()[1]}
    assert ours.pop("quantiles") == ours["quantile"]
    assert set(ours) == set(LOSSES)
    for name, defaults in ours.items():
        parameters = inspect.signature(LOSSES[name].make).parameters
        assert defaults == {key: each.default for key, each in parameters.items()}


@pytest.mark.parametrize("name, parameters", LOSS_CASES)
def test_losses_and_gradients_are_those_of_the_table(engine, name, parameters, dtype):
    """Losses of rows and gradients are those that sklmlp.losses writes out by torch."""
    for k in (2, 4, 10, 64, 66, 1300) if name == "gaussian" else (1, 2, 3, 10, 64, 65, 1300):
        compare_with_table(engine, name, parameters, k, dtype)


def compare_with_table(engine, name, parameters, k, dtype):
    rng = np.random.default_rng(k)
    loss, arguments, z, y = loss_case(name, parameters, k, dtype, rng)
    rows, delta = call_loss(engine, name, arguments, z, y)
    exact_y = torch.tensor(y if y.dtype == np.int64 else y.astype(float))
    expected = loss.value(torch.tensor(z.astype(float)), exact_y).numpy()
    gradient = loss.gradient(torch.tensor(z.astype(float)), exact_y).numpy()
    if dtype == np.float32:  # probabilities are clipped nearer to 0 in float64
        expected = loss.value(torch.tensor(z), torch.tensor(y)).numpy()
    rtol = 1e-12 if dtype == np.float64 else 3e-5
    size = max(1.0, np.abs(expected).max())
    assert_near(rows, expected, rtol, atol=rtol * size * (0.01 if dtype == np.float64 else 0.1))
    eps = np.finfo(dtype).eps
    scale = np.maximum(np.abs(gradient).max(axis=1, keepdims=True), 1)
    assert_near(delta, gradient, rtol, atol=8 * eps * scale)


@pytest.mark.parametrize("name, parameters", LOSS_CASES)
def test_losses_of_extreme_logits(engine, name, parameters, dtype):
    """Losses of logits that are large, infinite or NaN are those of torch in the same precision."""
    k = 2 if name == "gaussian" else 3
    extremes = [0.0, 1.0, -1.0, 30.0, -30.0, 200.0, -200.0, 1000.0, -1000.0, INF, -INF, NAN]
    rng = np.random.default_rng(0)
    loss, arguments, z, y = loss_case(name, parameters, k, dtype, rng, n=12**k)
    z = np.stack(np.meshgrid(*[extremes] * k), -1).reshape(-1, k).astype(dtype)
    rows, delta = call_loss(engine, name, arguments, z, y)
    expected = loss.value(torch.tensor(z), torch.tensor(y)).numpy()
    gradient = loss.gradient(torch.tensor(z), torch.tensor(y)).numpy()
    rtol = 1e-12 if dtype == np.float64 else 3e-5
    assert_near(rows, expected, rtol, atol=rtol)
    assert_near(delta, gradient, rtol, atol=rtol)


@pytest.mark.parametrize("name, parameters", LOSS_CASES)
def test_loss_and_gradient_at_once(engine, name, parameters, dtype):
    """Both in one call are the same bits as each by itself."""
    for n, k in ((1, 4), (16, 4), (50, 4), (5, 1300)):
        _, arguments, z, y = loss_case(name, parameters, k, dtype, np.random.default_rng(0), n)
        one = call_loss(engine, name, arguments, z, y)
        both = call_loss(engine, name, arguments, z, y, "both_at_once")
        np.testing.assert_array_equal(one[0], both[0])
        np.testing.assert_array_equal(one[1], both[1])


@pytest.mark.parametrize("name, parameters", LOSS_CASES)
def test_links_are_those_of_the_table(engine, name, parameters, dtype):
    """Predictions of logits are those of sklmlp.losses, also when written over the logits."""
    for k in (2, 10, 100):
        loss, _, z, _ = loss_case(name, parameters, k, dtype, np.random.default_rng(k))
        expected = loss.link(torch.tensor(z.astype(float))).numpy()
        out = np.full(expected.shape, 7, dtype)
        engine.kernel("link", name, len(z), k, z, out)
        rtol = 100 * np.finfo(dtype).eps
        assert_near(out, expected, rtol, atol=rtol * (name == "quantiles"))
        engine.kernel("link", name, len(z), k, z, z)
        np.testing.assert_array_equal(z.ravel()[: out.size], out.ravel())
