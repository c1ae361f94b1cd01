"""What a fitted estimator is in a file: plain Python and NumPy arrays, the same everywhere."""

import collections
import copy
import functools
import io
import json
import os
import pickle
import pickletools
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import sklearn
import skops.io
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, InconsistentVersionWarning
from torch import nn

import sklmlp
from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.activations import ACTIVATIONS
from sklmlp.io import load_skops
from tests.tables import KINDS, make, make_table

TABLE = list(ACTIVATIONS)
ROOT = Path(sklmlp.__file__).parents[1]


class Power(nn.Module):
    """A module of one's own, at the top of a module, with an argument and a parameter."""

    def __init__(self, exponent=2):
        super().__init__()
        self.exponent = exponent
        self.scale = nn.Parameter(torch.tensor(0.5))

    def forward(self, z):
        return self.scale * z**self.exponent


class Forgetful(nn.Module):
    """A module that does not keep its argument."""

    def __init__(self, exponent):
        super().__init__()
        self.power = exponent

    def forward(self, z):
        return z**self.power


def cube(z):
    return z**3


def through_pickle(model):
    return pickle.loads(pickle.dumps(model))


def through_joblib(model):
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


ROUND_TRIPS = [through_pickle, through_joblib, copy.deepcopy]


def predictions(model, X):
    """All that a model says of rows."""
    methods = ("predict", "predict_proba", "predict_log_proba")
    return [getattr(model, method)(X) for method in methods if hasattr(model, method)]


def assert_same_answers(one, other, X):
    for first, second in zip(predictions(one, X), predictions(other, X), strict=True):
        assert_array_equal(first, second)


# There and back --------------------------------------------------------------------------------


@pytest.mark.parametrize("round_trip", ROUND_TRIPS)
@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(kind, round_trip, short_fits):
    """A model that was stored predicts as it did, and has learned what it had learned."""
    X, y = make_table(kind)
    model = make(kind, early_stopping=kind != "many_counts").fit(X, y)
    twin = round_trip(model)
    assert_same_answers(model, twin, X)
    assert twin.history_ == model.history_
    assert twin.loss_curve_ == model.loss_curve_
    assert {name for name in vars(twin) if name.endswith("_")} == {
        name for name in vars(model) if name.endswith("_")
    }


@pytest.mark.parametrize("round_trip", ROUND_TRIPS)
@pytest.mark.parametrize("name", TABLE)
def test_round_trip_of_every_activation(name, round_trip, short_fits):
    """Every entry of the table is saved, with what it has learned."""
    X, y = make_table("regression")
    model = make("regression", activation=name).fit(X, y)
    assert_same_answers(model, round_trip(model), X)


@pytest.mark.parametrize("round_trip", ROUND_TRIPS)
@pytest.mark.parametrize("kind", KINDS)
def test_round_trip_of_an_ensemble(kind, round_trip, short_fits):
    """An ensemble is saved whole: it predicts as it did, and so does each of its networks."""
    X, y = make_table(kind)
    model = make(kind, n_estimators=3).fit(X, y)
    twin = round_trip(model)
    assert_same_answers(model, twin, X)
    for network, copied in zip(model.estimators_, twin.estimators_, strict=True):
        assert_same_answers(network, copied, X)


OWN = {
    "function": cube,
    "own class": Power,
    "own class with arguments": (Power, {"exponent": 3}),
    "own instance": Power(3),
    "instance": nn.ELU(0.5),
    "instance with numbers": nn.PReLU(8),
    "class": nn.GELU,
    "list": [nn.Hardtanh(-2.0, 2.0)],
    "pair": ("prelu", {"num_parameters": "per_unit"}),
}


@pytest.mark.parametrize("activation", OWN.values(), ids=OWN)
@pytest.mark.parametrize("round_trip", ROUND_TRIPS)
def test_round_trip_of_every_form(activation, round_trip, short_fits):
    """Instances, classes and functions of a module are saved; refits go on as before."""
    X, y = make_table("regression")
    model = make("regression", activation=activation).fit(X, y)
    twin = round_trip(model)
    assert_same_answers(model, twin, X)
    assert_same_answers(clone(model).fit(X, y), clone(twin).fit(X, y), X)


@pytest.mark.parametrize("round_trip", [*ROUND_TRIPS, clone])
def test_an_unfitted_estimator_travels(round_trip):
    """Without a fit there are parameters alone."""
    model = MLPClassifier((3, 4), activation=["glu", nn.ELU(0.5)], alpha=0.1)
    twin = round_trip(model)
    assert twin.get_params().keys() == model.get_params().keys()
    assert twin.alpha == 0.1
    assert not hasattr(twin, "coefs_")


@pytest.mark.parametrize("activation", OWN.values(), ids=OWN)
def test_clone_forgets(activation, short_fits):
    """A clone has the parameters and nothing that was learned."""
    X, y = make_table("regression")
    twin = clone(make("regression", activation=activation).fit(X, y))
    assert set(vars(twin)) == set(twin.get_params(deep=False))


def test_storing_changes_nothing(short_fits):
    """A model that is stored is the same afterwards, whatever was asked of it before."""
    X, y = make_table("regression")
    model = make("regression", activation=nn.PReLU(8)).fit(X, y)
    before, state = pickle.dumps(model), {k: id(v) for k, v in vars(model).items()}
    model.predict(X)
    assert model.module_ is model.module_
    assert pickle.dumps(model) == before
    assert {k: id(v) for k, v in vars(model).items()} == state


# Across processes and machines -----------------------------------------------------------------


def test_device_of_a_model_from_a_card(short_fits):
    """Without a GPU `device_` is the CPU; the model remembers where it came from."""
    X, y = make_table("regression")
    model = make("regression").fit(X, y)
    model._device = "cuda:0"
    twin = through_pickle(model)
    assert twin.device_ == torch.device("cpu")
    assert twin._device == "cuda:0"
    assert next(twin.module_.parameters()).device == torch.device("cpu")


class Bound:
    """A callable object, with a set among what it keeps."""

    def __init__(self, low):
        self.low, self.words = low, {"one", "two", "three", "four"}

    def __call__(self, z):
        return z.clamp(min=self.low)

    def clamp(self, z):
        return z.clamp(min=self.low)


class Net(nn.Module):
    """A user's module that takes anything besides the numbers of its units."""

    def __init__(self, n_features_in, n_outputs, **anything):
        super().__init__()
        self.layer = nn.Linear(n_features_in, n_outputs)

    def forward(self, x):
        return self.layer(x)


STABLE = {
    "partial": {"activation": functools.partial(nn.functional.leaky_relu, negative_slope=0.3)},
    "callable object": {"activation": Bound(-0.5)},
    "bound method": {"activation": Bound(-0.5).clamp},
    "builtin": {"activation": torch.sin},
    "set": {"module": Net, "module_params": {"names": {"a", "b", "c", "d", "e"}}},
    "object": {"module": Net, "module_params": {"bound": Bound(1.0)}},
    "path": {"module": Net, "module_params": {"path": Path("a"), "kind": torch.float32}},
    "tensor": {"module": Net, "module_params": {"start": torch.ones(3)}},
    "partial of partial": {
        "activation": functools.partial(
            functools.partial(nn.functional.leaky_relu), negative_slope=0.2
        )
    },
}


PREDICT = """
import json, sys
import joblib, numpy as np
folder = sys.argv[1]
X = np.load(f"{folder}/X.npy")
for name in json.load(open(f"{folder}/names.json")):
    np.save(f"{folder}/{name} prediction.npy", joblib.load(f"{folder}/{name}.joblib").predict(X))
"""


@pytest.fixture(scope="module")
def answers_elsewhere(tmp_path_factory):
    """Models of every form, and what a process of other hashes without a GPU predicts with them."""
    folder = tmp_path_factory.mktemp("models")
    X, y = make_table("regression")
    models = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for name, activation in ({name: name for name in TABLE} | OWN).items():
            models[name] = make("regression", activation=activation).fit(X, y)
        for name, params in STABLE.items():
            params = params if "activation" in params else {**params, "hidden_layer_sizes": (100,)}
            models[name] = make("regression", **params).fit(X, y)
            models[f"two by {name}"] = make("regression", n_estimators=2, **params).fit(X, y)
    models["cuda"] = copy.deepcopy(models["gelu"])
    models["cuda"]._device = "cuda:0"  # as a fit on a GPU leaves it
    np.save(folder / "X.npy", X)
    (folder / "names.json").write_text(json.dumps(list(models)))
    for name, model in models.items():
        joblib.dump(model, folder / f"{name}.joblib")
    elsewhere = {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "PYTHONHASHSEED": "1"}
    subprocess.run(
        [sys.executable, "-W", "error", "-c", PREDICT, folder],
        check=True,
        cwd=ROOT,
        env={**os.environ, **elsewhere},
    )
    elsewhere = {name: np.load(folder / f"{name} prediction.npy") for name in models}
    return {name: (model.predict(X), elsewhere[name]) for name, model in models.items()}


@pytest.mark.parametrize("name", [*TABLE, *OWN])
def test_across_processes(name, answers_elsewhere):
    """Another process loads a model and predicts the same."""
    here, there = answers_elsewhere[name]
    assert_allclose(there, here, rtol=1e-12)


def test_a_model_from_a_card_predicts_without_one(answers_elsewhere):
    """What was fitted on "cuda:0" is loaded and asked where there is no CUDA."""
    here, there = answers_elsewhere["cuda"]
    assert_allclose(there, here, rtol=1e-12)


@pytest.mark.parametrize("name", [*STABLE, *(f"two by {name}" for name in STABLE)])
def test_what_has_an_address_loads_elsewhere(name, answers_elsewhere):
    """Objects, partials and sets are described alike where hashes and addresses are others."""
    here, there = answers_elsewhere[name]
    assert_allclose(there, here, rtol=1e-12)


class Restless:
    """What pickle cannot take apart."""

    def __reduce_ex__(self, protocol):
        raise TypeError("not to be saved")


def test_what_cannot_be_described_is_refused_when_it_is_saved(short_fits):
    """There is no file that could not be loaded: saving says what is in its way."""
    X, y = make_table("regression")
    model = make("regression", hidden_layer_sizes=(100,), module=Net,
                 module_params={"restless": Restless()}).fit(X, y)  # fmt: skip
    with pytest.raises(pickle.PicklingError, match=r"Restless object.* cannot be saved: not to be"):
        pickle.dumps(model)


PLAIN = {
    "range": ({"hidden_layer_sizes": range(3, 5)}, [3, 4]),
    "array": ({"hidden_layer_sizes": np.array([3, 4])}, None),
    "numbers of NumPy": ({"hidden_layer_sizes": (np.int64(3), np.int32(4))}, (3, 4)),
    "one number of NumPy": ({"hidden_layer_sizes": np.int64(3)}, 3),
    "view of keys": ({"hidden_layer_sizes": {3: 0, 4: 0}.keys()}, [3, 4]),
    "view of values": ({"hidden_layer_sizes": {0: 3, 1: 4}.values()}, [3, 4]),
    "deque": ({"hidden_layer_sizes": collections.deque([3])}, [3]),
    "device": ({"device": torch.device("cpu")}, "cpu"),
    "text of NumPy": ({"solver": np.str_("adam")}, "adam"),
    "float32": ({"alpha": np.float32(0.5)}, 0.5),
    "float64": ({"learning_rate_init": np.float64(0.01)}, 0.01),
    "bool of NumPy": ({"shuffle": np.bool_(True)}, True),
    "seed of NumPy": ({"random_state": np.int64(3)}, 3),
    "path": ({"checkpoint": Path("fit.npz")}, "fit.npz"),
    "mapping": (
        {"solver": "adamw", "solver_params": collections.OrderedDict(weight_decay=np.float64(0.1))},
        {"weight_decay": 0.1},
    ),
    "rates": ({"dropout": np.array([0.1]), "hidden_layer_sizes": (3,)}, None),
    "list of rates": ({"dropout": [np.float32(0.5)], "hidden_layer_sizes": (3,)}, [0.5]),
}  # fmt: skip


@pytest.mark.parametrize("params, expected", PLAIN.values(), ids=PLAIN)
def test_parameters_are_saved_as_plain_python(params, expected, short_fits, monkeypatch, tmp_path):
    """Whatever value `fit` takes is kept as plain Python; skops reads it, and it fits again."""
    monkeypatch.chdir(tmp_path)
    X, y = make_table("regression")
    model = make("regression", **params).fit(X, y)
    state = model.__getstate__()
    assert list(strangers(state)) == []
    name = next(iter(params)) if "solver_params" not in params else "solver_params"
    if expected is not None:
        assert state[name] == expected
        assert type(state[name]) is type(expected)
    for twin in (through_pickle(model), load_skops(io.BytesIO(skops.io.dumps(model)))):
        assert_same_answers(model, twin, X)
        clone(twin).fit(X, y)


# What is in the file ---------------------------------------------------------------------------


def strangers(value, where="state"):
    """Where in a state something other than plain Python and NumPy arrays is."""
    if isinstance(value, dict):
        for key, each in value.items():
            assert isinstance(key, str), where
            yield from strangers(each, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for i, each in enumerate(value):
            yield from strangers(each, f"{where}[{i}]")
    elif isinstance(value, np.ndarray):
        if value.dtype == object:
            yield where
    elif type(value) not in (str, int, float, bool, type(None)):
        yield f"{where}: {type(value)}"


@pytest.mark.parametrize("activation", [*TABLE, nn.ELU(0.5), nn.PReLU(8), nn.GELU, [nn.Tanh()]])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_state_is_plain(activation, early_stopping, short_fits):
    """A fitted model's state is built of plain Python and NumPy arrays throughout."""
    X, y = make_table("multiclass")
    model = make("multiclass", activation=activation, early_stopping=early_stopping).fit(X, y)
    assert list(strangers(model.__getstate__())) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "nadam", "muon"])
def test_state_is_plain_for_every_solver(kind, solver, short_fits):
    """So it is for every kind of target and solver, an incremental learner's moments included."""
    X, y = make_table(kind)
    model = make(kind, solver=solver).fit(X, y)
    if solver != "lbfgs":
        model.partial_fit(X, y)
        assert "_optimizer" in model.__getstate__()
    assert list(strangers(model.__getstate__())) == []


def test_file_names_no_torch_object(short_fits):
    """Unpickling calls on sklmlp and NumPy alone: nothing of torch is rebuilt."""
    X, y = make_table("multiclass")
    model = make("multiclass", activation=["multihead_attention"]).fit(X, y).partial_fit(X, y)
    strings, modules = [], set()
    for opcode, argument, _ in pickletools.genops(pickle.dumps(model)):
        if "UNICODE" in opcode.name:
            strings.append(argument)
        elif opcode.name == "STACK_GLOBAL":
            modules.add(next(s for s in reversed(strings[:-1]) if "." in s or s == "numpy"))
    assert modules
    assert {module.split(".")[0] for module in modules} <= {"sklmlp", "numpy", "_codecs"}


def size_of_weights(model):
    return sum(array.nbytes for array in model.coefs_ + model.intercepts_)


@pytest.mark.parametrize("dump", [pickle.dump, joblib.dump])
@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_size(dump, estimator, early_stopping):
    """After 200 epochs a file is at most 1.1 times the weights plus 20 kB."""
    X, y = make_table("binary", n_samples=100, n_features=20)
    model = estimator(random_state=0, early_stopping=early_stopping, n_iter_no_change=np.inf)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    assert len(model.history_) == 200
    file = io.BytesIO()
    dump(model, file)
    assert len(file.getvalue()) <= 1.1 * size_of_weights(model) + 20_000


# The optimizer's moments -----------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_moments_are_left_out_after_fit(solver, short_fits):
    """`fit` keeps the moments in memory, and a file has them not."""
    X, y = make_table("multiclass")
    model = make("multiclass", solver=solver, hidden_layer_sizes=(100,)).fit(X, y)
    assert len(pickle.dumps(model)) < 2 * size_of_weights(model)
    assert "_optimizer" not in model.__getstate__()
    assert hasattr(model, "_optimizer")


@pytest.mark.parametrize("params", [
    {"solver": "adam"},
    {"solver": "sgd"},
    {"solver": "sgd", "momentum": 0},
    {"solver": "sgd", "learning_rate": "invscaling"},
    {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 1.0},
    {"solver": "adam", "activation": "prelu"},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("round_trip", ROUND_TRIPS)
@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_incremental_learning_goes_on(kind, round_trip, params):
    """Stored after each batch, `partial_fit` ends where it ends in one process."""
    X, y = make_table(kind)
    first = {"classes": np.unique(y)} if kind == "multiclass" else {}
    straight, stored = make(kind, **params), make(kind, **params)
    for i in range(6):
        more = first if i == 0 else {}
        straight.partial_fit(X[10 * i :], y[10 * i :], **more)
        stored = round_trip(stored.partial_fit(X[10 * i :], y[10 * i :], **more))
    assert_same_answers(straight, stored, X)
    assert straight.loss_curve_ == stored.loss_curve_


def test_deepcopy_keeps_the_moments_of_a_fit(short_fits):
    """A copy in memory is a whole one: `partial_fit` goes on in both alike."""
    X, y = make_table("regression")
    model = make("regression").fit(X, y)
    twin = copy.deepcopy(model)
    assert_same_answers(model.partial_fit(X, y), twin.partial_fit(X, y), X)


@pytest.mark.parametrize("round_trip", ROUND_TRIPS)
def test_warm_start_goes_on(round_trip, short_fits):
    """A stored model is a warm start as good as the one in memory."""
    X, y = make_table("regression")
    model = make("regression", warm_start=True).fit(X, y)
    twin = round_trip(model)
    assert_same_answers(model.fit(X, y), twin.fit(X, y), X)
    assert twin.history_ != []
    assert len(twin.loss_curve_) == 10


# Stamps ----------------------------------------------------------------------------------------


@pytest.fixture
def model(short_fits):
    X, y = make_table("regression")
    return make("regression").fit(X, y)


def test_stamp(model):
    """A state says which versions wrote it, and its format."""
    state = model.__getstate__()
    assert state["_sklmlp_version"] == sklmlp.__version__
    assert state["_sklearn_version"] == sklearn.__version__
    assert state["_torch_version"] == str(torch.__version__)
    assert isinstance(state["_format"], int)
    assert not any(name.endswith("_version") or name == "_format" for name in vars(model))


def loaded(model, **stamp):
    """A model as it is loaded when its state has another stamp."""
    twin = type(model).__new__(type(model))
    twin.__setstate__(model.__getstate__() | stamp)
    return twin


def test_another_sklmlp_warns(model):
    """A model of another minor version of sklmlp warns on load, with both versions."""
    with pytest.warns(UserWarning, match=f"sklmlp 0.0.99 when using {sklmlp.__version__}"):
        twin = loaded(model, _sklmlp_version="0.0.99")
    assert_array_equal(twin.coefs_[0], model.coefs_[0])


def test_another_scikit_learn_warns(model):
    """A model of another minor version of scikit-learn warns as scikit-learn's own do."""
    with pytest.warns(InconsistentVersionWarning, match=r"0\.24\.2") as caught:
        loaded(model, _sklearn_version="0.24.2")
    assert caught[0].message.estimator_name == "MLPRegressor"


def test_the_warning_of_an_unpickled_file(model, monkeypatch):
    """The warning also comes out of pickle itself."""
    monkeypatch.setattr("sklmlp.io.state.__version__", "0.0.99")
    file = pickle.dumps(model)
    monkeypatch.undo()
    with pytest.warns(UserWarning, match=r"MLPRegressor from sklmlp 0\.0\.99"):
        pickle.loads(file)


def patch_of(version):
    major, minor, *_ = version.split(".")
    return f"{major}.{minor}.99"


def test_another_patch_is_silent(model):
    """Patch versions and torch's version make no noise."""
    twin = loaded(
        model,
        _sklmlp_version=patch_of(sklmlp.__version__),
        _sklearn_version=patch_of(sklearn.__version__),
        _torch_version="9.9.9",
    )
    assert_array_equal(twin.coefs_[0], model.coefs_[0])


def test_newer_format_is_an_error(model):
    """A format that this version does not know is an error that says what to install."""
    newer = model.__getstate__()["_format"] + 1
    with pytest.raises(
        ValueError, match=r"written by sklmlp 7\.1 in format .* Install sklmlp 7\.1"
    ):
        loaded(model, _format=newer, _sklmlp_version="7.1")


def test_a_state_without_a_format_is_an_error(model):
    """What was not written by sklmlp is not taken for it."""
    with pytest.raises(ValueError, match="no state of MLPRegressor"):
        MLPRegressor().__setstate__({"alpha": 1.0})


# What cannot be saved -------------------------------------------------------------------------


def inner_function():
    def squared(z):
        return z**2

    return squared


def inner_class():
    class Inner(nn.Module):
        def forward(self, z):
            return z**2

    return Inner


@pytest.mark.parametrize(
    "activation, name",
    [
        (lambda z: z**2, "lambda"),
        (inner_function(), "squared"),
        (inner_class(), "Inner"),
        (inner_class()(), "Inner"),
        ([lambda z: z], "lambda"),
    ],
)
@pytest.mark.parametrize("dump", [pickle.dump, joblib.dump])
def test_what_no_process_could_import_is_refused(activation, name, dump, short_fits):
    """A fitted model with a lambda or with something local is refused at dump, by name."""
    X, y = make_table("regression")
    model = make("regression", activation=activation).fit(X, y)
    with pytest.raises(pickle.PicklingError, match=f"{name}.* cannot be saved"):
        dump(model, io.BytesIO())


def test_a_module_that_forgets_its_arguments_is_refused(short_fits):
    """A module that could not be made again is refused at dump, with what to do instead."""
    X, y = make_table("regression")
    model = make("regression", activation=Forgetful(2)).fit(X, y)
    with pytest.raises(pickle.PicklingError, match="does not keep its argument 'exponent'"):
        pickle.dumps(model)


def test_a_lambda_can_be_copied(short_fits):
    """In memory a lambda is no obstacle: `deepcopy` and `clone` take it."""
    X, y = make_table("regression")
    model = make("regression", activation=lambda z: z**2).fit(X, y)
    assert_same_answers(model, copy.deepcopy(model), X)
    assert_same_answers(model, clone(model).fit(X, y), X)
