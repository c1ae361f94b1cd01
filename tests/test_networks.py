"""Dropout, normalization, residual layers and weight_init in the estimators."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

import sklmlp
from sklmlp.nn import Spec, initial_weights, resolve
from tests.tables import KINDS, make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ALONE = [
    {"dropout": 0.3},
    {"dropout": [0.0, 0.5]},
    {"normalization": "batch"},
    {"normalization": "layer"},
    {"normalization": "rms"},
    {"residual": True},
    {"weight_init": "orthogonal"},
]


def random_combinations(n, seed=0):
    """Sets of options, drawn from all."""
    rng = np.random.default_rng(seed)
    welcome = {
        "dropout": [0.0, 0.2, [0.5, 0.0]],
        "normalization": [None, "batch", "layer", "rms"],
        "residual": [False, True],
        "weight_init": ["auto", "xavier_normal", ("trunc_normal", {"std": 0.3})],
        "hidden_layer_sizes": [(8, 6), (5, 5), (12, 5)],
        "activation": ["relu", "glu", "rrelu", ["prelu", "identity"], "multihead_attention"],
        "solver": ["adam", "sgd"],
        "early_stopping": [False, True],
        "batch_size": ["auto", 53, 7],  # 53 leaves a batch of one row with early stopping
        "dtype": ["auto", "float32"],
        "n_estimators": [1, 2],
    }
    for _ in range(n):
        drawn = {name: values[rng.integers(len(values))] for name, values in welcome.items()}
        if drawn["activation"] == "multihead_attention":
            drawn["hidden_layer_sizes"] = (8, 4)
        yield drawn


def predictions(model, X):
    return getattr(model, "predict_proba", model.predict)(X)


# Against plain torch ---------------------------------------------------------------------------


def trained_by_torch(X, y, start, momentum, alpha, batch_size, n_epochs):
    """Linear, batch normalization, tanh, linear: trained by torch's own SGD in float64."""
    module = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1)).double()
    linears = module[0], module[3]
    with torch.no_grad():
        for linear, coef, intercept in zip(linears, start.coefs, start.intercepts, strict=True):
            linear.weight.copy_(torch.from_numpy(coef.T))
            linear.bias.copy_(torch.from_numpy(intercept))
    nesterov = {"momentum": momentum, "nesterov": True}
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05, **nesterov)
    X, y = torch.from_numpy(X), torch.from_numpy(y)[:, None]
    for _ in range(n_epochs):
        for x, target in zip(X.split(batch_size), y.split(batch_size), strict=True):
            optimizer.zero_grad()
            penalty = sum(linear.weight.square().sum() for linear in linears)
            loss = (module(x) - target).square().mean() / 2 + alpha / 2 / len(x) * penalty
            loss.backward()
            optimizer.step()
    return module.eval()


def test_batch_normalization_trains_as_in_torch():
    """Weights, running statistics and predictions are those of a loop in plain torch."""
    X, y = make_table("regression")
    params = {"activation": "tanh", "normalization": "batch", "alpha": 0.3, "batch_size": 20}
    spec = Spec(5, 1, (8,), tuple(resolve("tanh", 1)), "squared_error", normalization="batch")
    rule = resolve("identity", 1)[0]
    start = initial_weights(spec, np.random.RandomState(0), np.dtype("float64"), rule)
    model = make(
        "regression", solver="sgd", learning_rate_init=0.05, shuffle=False, max_iter=4, **params
    ).fit(X, y)
    expected = trained_by_torch(X, y, start, 0.9, 0.3, 20, 4)
    pairs = zip(model.module_.state_dict().values(), expected.state_dict().values(), strict=True)
    for got, value in pairs:
        assert_allclose(got.numpy(), value.numpy(), rtol=1e-10, atol=1e-12)
    predicted = expected(torch.from_numpy(X))[:, 0].detach().numpy()
    assert_allclose(model.predict(X), predicted, rtol=1e-10)
    assert_allclose(model.predict(X[:3]), predicted[:3], rtol=1e-10)


@pytest.mark.parametrize("activation", ["tanh", "identity", "glu"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("normalization", [None, "batch", "layer", "rms"])
def test_predictions_are_those_of_the_module(normalization, residual, activation):
    """Folded, in place or by the module: few rows and many get what `module_` says."""
    X, y = make_table("regressions")
    options = {"normalization": normalization, "residual": residual, "dropout": 0.2}
    sizes = {"hidden_layer_sizes": (7, 7), "activation": activation}
    model = make("regressions", **sizes, **options).fit(X, y)
    expected = model.module_(torch.from_numpy(X)).detach().numpy()
    for n in (1, 6, 60):
        assert_allclose(model.predict(X[:n]), expected[:n], rtol=1e-9, atol=1e-12)


def test_alpha_sees_matrices_alone():
    """After one step of plain SGD, alpha has moved coefs and projections, each by its share."""
    X, y = make_table("regression")
    params = {"solver": "sgd", "momentum": 0, "max_iter": 1, "learning_rate_init": 0.1}
    params |= {"normalization": "layer", "residual": True, "activation": "prelu"}
    # a rate that moves nothing shows the start
    rates = {"start": {"learning_rate_init": 1e-300}, "free": {"alpha": 0}, "held": {"alpha": 6.0}}
    states = {
        name: make("regression", **{**params, **each}).fit(X, y).module_.state_dict()
        for name, each in rates.items()
    }
    for name, start in states["start"].items():
        moved = (states["held"][name] - states["free"][name]).numpy()
        share = 0.1 * 6.0 / len(X) if start.ndim == 2 else 0
        assert_allclose(moved, -share * start.numpy(), rtol=1e-9, atol=1e-13)


# In the estimators -----------------------------------------------------------------------------


@pytest.mark.parametrize("options", ALONE, ids=str)
def test_options_work_alone(options, kind):
    """Each option keeps what is promised of estimators, for every kind of target."""
    check_promises(kind, options)


@pytest.mark.parametrize("number, options", list(enumerate(random_combinations(20))))
def test_options_work_together(number, options):
    """Random combinations keep what is promised of estimators."""
    check_promises(KINDS[number % len(KINDS)], options)


def check_promises(kind, options):
    """Fits repeat; clones, pickles and rows one at a time predict alike; partial_fit goes on."""
    X, y = make_table(kind)
    model = make(kind, **{"hidden_layer_sizes": (8, 6), "max_iter": 3, **options}).fit(X, y)
    prediction = predictions(model, X)
    assert np.isfinite(prediction).all()
    for twin in (clone(model).fit(X, y), pickle.loads(pickle.dumps(model))):
        assert_array_equal(predictions(twin, X), prediction)
    each = np.concatenate([predictions(model, x[None]) for x in X[:5]])
    rtol = 1e-4 if options.get("dtype") == "float32" else 1e-9
    assert_allclose(each, prediction[:5], rtol=rtol, atol=rtol)
    model.set_params(early_stopping=False).partial_fit(X, y)
    twin = pickle.loads(pickle.dumps(model))
    assert not np.array_equal(predictions(model, X), prediction)
    assert_array_equal(
        predictions(model.partial_fit(X, y), X), predictions(twin.partial_fit(X, y), X)
    )


@pytest.mark.parametrize("options", ALONE, ids=str)
def test_options_change_what_is_learned(options):
    """Each option matters, and its default is scikit-learn's network."""
    X, y = make_table("regression")
    plain = make("regression", hidden_layer_sizes=(8, 6)).fit(X, y)
    model = clone(plain).set_params(**options).fit(X, y)
    assert not np.allclose(model.predict(X), plain.predict(X))


@pytest.mark.parametrize("options", [{"dropout": 0.5}, {"residual": True}, {"dropout": [0.3]}])
def test_without_hidden_layers_there_is_nothing_to_change(options):
    """The affine map alone is the same with and without options of hidden layers."""
    X, y = make_table("regression")
    options = {"dropout": []} if options == {"dropout": [0.3]} else options
    plain = make("regression", hidden_layer_sizes=()).fit(X, y)
    assert_array_equal(clone(plain).set_params(**options).fit(X, y).coefs_[0], plain.coefs_[0])


def test_options_in_a_search():
    """All of them go into a grid."""
    X, y = make_table("multiclass")
    grid = {"normalization": [None, "batch", "rms"], "residual": [False, True], "dropout": [0, 0.5]}
    search = GridSearchCV(make("multiclass", max_iter=2), grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_early_stopping_keeps_running_statistics_of_the_best_epoch():
    """The weights of the best score are kept with the statistics that they had."""
    X, y = make_table("regression")
    params = {"normalization": "batch", "early_stopping": True, "learning_rate_init": 0.3}
    params |= {"solver": "sgd", "validation_fraction": 0.3, "n_iter_no_change": 30}
    model = make("regression", **params, max_iter=30).fit(X, y)
    best = int(np.argmax(model.validation_scores_)) + 1
    assert best < len(model.validation_scores_)
    then = clone(model).set_params(max_iter=best).fit(X, y)
    for name, value in then.module_.state_dict().items():
        assert_array_equal(model.module_.state_dict()[name].numpy(), value.numpy())


def test_networks_of_an_ensemble_are_those_of_single_fits():
    """Each of an ensemble's networks is as if fitted alone with its seed."""
    X, y = make_table("regression")
    params = {"normalization": "batch", "dropout": 0.2, "residual": True}
    ensemble = make("regression", n_estimators=3, **params).fit(X, y)
    for network in ensemble.estimators_:
        assert_array_equal(clone(network).fit(X, y).predict(X), network.predict(X))


def test_sparse_rows():
    """Sparse rows train and predict as dense ones, with every kind of layer."""
    import scipy.sparse as sp

    X = sp.random(50, 40, density=0.05, random_state=0, format="csr")
    y = np.asarray(X.sum(1)).ravel()
    for options in ({"normalization": "batch"}, {"normalization": "rms"}, {"residual": True}):
        sizes = {"hidden_layer_sizes": (40,)}
        sparse, dense = (make("regression", **sizes, **options) for _ in range(2))
        expected = dense.fit(X.toarray(), y).predict(X.toarray())
        assert_allclose(sparse.fit(X, y).predict(X), expected, rtol=1e-8, atol=1e-12)


class Noise(nn.Module):
    def forward(self, z):
        return z + torch.randn_like(z) if self.training else z


@pytest.mark.parametrize(
    "options, what",
    [
        ({"dropout": 0.1}, "Dropout with dropout=0.1"),
        ({"dropout": [0.0, 0.2]}, "Dropout with dropout=0.2"),
        ({"normalization": "batch"}, "BatchNorm1d"),
        ({"activation": "rrelu"}, "RReLU"),
        ({"activation": ["tanh", nn.Dropout(0.3)]}, "Dropout with dropout=0.3"),
        ({"activation": [nn.Tanh, Noise]}, "random numbers drawn in an activation"),
    ],
)
def test_lbfgs_descends_a_fixed_function(options, what):
    """What changes from step to step is refused by its name."""
    X, y = make_table("regression")
    model = make("regression", solver="lbfgs", hidden_layer_sizes=(8, 8), **options)
    with pytest.raises(ValueError) as caught:
        model.fit(X, y)
    assert str(caught.value) == (
        f"solver='lbfgs' needs a deterministic objective and does not support {what}. Use "
        "solver='adam' or another stochastic solver."
    )


@pytest.mark.parametrize("normalization", [None, "layer", "rms"])
def test_lbfgs_reaches_a_minimum(normalization):
    """With what is the same in training and prediction, L-BFGS descends to where it is flat.

    A layer in front of a normalization may shrink for ever: its penalty has no minimum.
    """
    X, y = make_table("regression")
    options = {"normalization": normalization, "residual": True, "activation": "tanh"}
    model = make("regression", solver="lbfgs", alpha=1, max_iter=500, tol=1e-6, **options)
    module = model.fit(X, y).module_
    loss = (module(torch.from_numpy(X))[:, 0] - torch.from_numpy(y)).square().mean() / 2
    matrices = [p for p in module.parameters() if p.ndim == 2]
    loss = loss + sum(p.square().sum() for p in matrices) / 2 / len(X)
    assert_allclose(loss.item(), model.loss_, rtol=1e-10)
    gradients = torch.autograd.grad(loss, list(module.parameters()))
    steepest = max(gradient.abs().max().item() for gradient in gradients)  # at the start 0.3 to 1
    assert steepest < (1e-4 if normalization is None else 0.02)


def test_dropout_may_change_where_training_goes_on():
    """A warm start with another rate goes on."""
    X, y = make_table("regression")
    model = make("regression", warm_start=True, dropout=0.5).fit(X, y)
    assert len(model.set_params(dropout=0.1).fit(X, y).loss_curve_) == 10


@pytest.mark.parametrize("change", [{"normalization": "layer"}, {"residual": True}], ids=str)
def test_layers_may_not_change_where_training_goes_on(change):
    """A warm start with other layers is refused, and the model stays as it was."""
    X, y = make_table("regression")
    model = make("regression", warm_start=True, normalization="batch").fit(X, y)
    prediction = model.predict(X)
    with pytest.raises(ValueError, match=r"Training cannot go on: it began with .* got "):
        model.set_params(**change).fit(X, y)
    assert_array_equal(model.predict(X), prediction)


@pytest.mark.parametrize("n_estimators", [1, 3])
def test_another_number_of_networks_is_refused(n_estimators):
    """Training of an ensemble of two goes on with two."""
    X, y = make_table("regression")
    model = make("regression", n_estimators=2, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="it began with n_estimators=2, got n_estimators="):
        model.set_params(n_estimators=n_estimators).fit(X, y)


def test_a_state_of_format_1_is_read():
    """A state that knows none of this predicts and goes on, with the defaults."""
    X, y = make_table("multiclass")
    model = make("multiclass").partial_fit(X, y, classes=[0, 1, 2])
    state = model.__getstate__() | {"_format": 1}
    known = ("n_features", "n_outputs", "hidden", "activations", "loss")
    state["_spec"] = {name: state["_spec"][name] for name in known}
    for name in ("dropout", "normalization", "residual", "weight_init", "module", "module_params"):
        del state[name]
    twin = type(model).__new__(type(model))
    twin.__setstate__(state)
    assert twin.get_params() == model.get_params()
    assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
    assert_array_equal(twin.partial_fit(X, y).coefs_[0], model.partial_fit(X, y).coefs_[0])


# scikit-learn's checks -------------------------------------------------------------------------

# Masks are drawn for rows, and batches are normalized by the rows that they hold: a row of weight
# two is not that row twice, and a row of weight zero still counts for the others' mean.
WEIGHTS_ARE_NO_REPETITIONS = {
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
}


def failed_checks(name, **options):
    estimator = getattr(sklmlp, name)(max_iter=30, learning_rate_init=0.01, **options)
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    return {r["check_name"]: str(r["exception"]) for r in results if r["status"] == "failed"}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_only_checks_of_weights_fail_where_rows_depend_on_each_other(name):
    """With random masks and batch statistics, weights are no repetitions; all else holds."""
    failed = failed_checks(name, normalization="batch", dropout=0.1, residual=True)
    assert set(failed) <= WEIGHTS_ARE_NO_REPETITIONS, failed


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_check_fails_where_rows_do_not_depend_on_each_other():
    """Layer normalization and residual layers keep the whole contract."""
    options = {"normalization": "layer", "residual": True, "weight_init": "kaiming_uniform"}
    assert failed_checks("MLPClassifier", **options) == {}
