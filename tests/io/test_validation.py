"""What `__setstate__` refuses: states that no fit leaves behind."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.io.integrity import checksum, is_learned
from tests.tables import make, make_table


@pytest.fixture(scope="module")
def state():
    """The state of a classifier that goes on learning, with a learned slope."""
    X, y = make_table("multiclass")
    model = make("multiclass", hidden_layer_sizes=(8, 4), activation=["prelu", "elu"])
    return model.partial_fit(X, y, classes=[0, 1, 2]).__getstate__()


def load(state, of=MLPClassifier, **changes):
    """A model of a state with some entries changed, signed again."""
    state = {name: value for name, value in (state | changes).items() if value is not DROPPED}
    state["_checksum"] = checksum(state)
    twin = of.__new__(of)
    twin.__setstate__(state)
    return twin


class DROPPED:
    """Stands for an entry that is not there."""


def changed(value, *path, to):
    """A copy of a nested value with the part at `path` replaced."""
    value = copy.deepcopy(value)
    part = value
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = to
    return value


def test_the_state_as_it_is_loads(state):
    """Nothing of what the others change is at fault by itself."""
    X, _ = make_table("multiclass")
    assert load(state).predict(X).shape == (60,)


def test_format_1_has_no_checksum(state):
    """Models that were written before there was a checksum are read."""
    old = {name: value for name, value in state.items() if name != "_checksum"}
    twin = MLPClassifier.__new__(MLPClassifier)
    twin.__setstate__(old | {"_format": 1})
    assert_array_equal(twin.coefs_[0], state["coefs_"][0])


def test_parameters_that_the_writer_did_not_know_have_their_defaults(state):
    """A model of an earlier version has the parameters of this one."""
    twin = load(state, checkpoint_every=DROPPED, dropout=DROPPED)
    assert twin.get_params() == load(state).get_params()
    assert twin.checkpoint_every == 10


NAN = np.full((5, 8), np.nan)
SLOPE = "activation_0.weight"


@pytest.mark.parametrize(
    "part, message",
    [
        ({"coefs_": DROPPED}, "coefs_ is no list"),
        ({"coefs_": [np.zeros((5, 8))]}, "coefs_ has 1 arrays, not 3"),
        (
            {"coefs_": [np.zeros((8, 5)), np.zeros((8, 4)), np.zeros((4, 3))]},
            r"coefs_\[0\] has the shape \(8, 5\), and its network asks for \(5, 8\)\.$",
        ),
        (
            {"coefs_": [np.zeros((5, 8), int), np.zeros((8, 4)), np.zeros((4, 3))]},
            "coefs_ and intercepts_ have the dtypes float64, int64; one of float32 and float64",
        ),
        ({"coefs_": [[1.0], [2.0], [3.0]]}, r"coefs_\[0\] is list, no array\.$"),
        (
            {"_spec": DROPPED},
            r"it has _optimizer, _state, coefs_, history_, intercepts_ and no _spec",
        ),
        ({"estimators_": []}, r"it has both a network and estimators_\.$"),
        ({"n_outputs_": 4}, r"n_outputs_ is 4, and its network has 3\.$"),
        (
            {"out_activation_": "identity"},
            "out_activation_ is 'identity', and its loss has 'softmax'",
        ),
        ({"loss_": "low"}, r"loss_ is 'low'\.$"),
        ({"_partly_fitted": DROPPED}, r"_partly_fitted is False\.$"),
        ({"_no_improvement_count": -1}, r"_no_improvement_count is -1\.$"),
        ({"_targets": DROPPED}, r"_targets is None\.$"),
        ({"coefs_": [NAN, np.zeros((8, 4)), np.zeros((4, 3))]}, r"coefs_\[0\] has values that"),
        ({"coefs_": [NAN.astype(object)] * 3}, "dtype object"),
        ({"coefs_": [NAN.astype(str)] * 3}, "dtype <U"),
        ({"intercepts_": [np.zeros(8), np.zeros(4), np.zeros(4)]}, r"intercepts_\[2\]"),
        ({"_state": {}}, r"_state lacks 'activation_0.weight', which its network learns\.$"),
        (
            {"_state": {SLOPE: np.zeros(2)}},
            r"_state\['activation_0.weight'\] has the shape \(2,\), and its network learns \(1,",
        ),
        (
            {"_state": {SLOPE: np.zeros(1), "activation_1.weight": np.zeros(1)}},
            r"_state has 'activation_1.weight', which its network does not learn\.$",
        ),
        (
            {"_state": {SLOPE: np.array([np.inf])}},
            r"_state\['activation_0.weight'\] has values that",
        ),
        ({"_state": {SLOPE: 0.25}}, r"_state\['activation_0.weight'\] is float, no array\.$"),
        ({"_state": [{}]}, "_state is no dict of arrays by name but list"),
        ({"_state": {0: np.zeros(1)}}, "_state is no dict of arrays by name but dict"),
        ({"_state": DROPPED}, "_state is no dict of arrays by name but NoneType"),
        ({"_spec": []}, "_spec is no dict"),
        ({"n_features_in_": 6}, "n_features_in_ is 6"),
        ({"n_features_in_": True}, "n_features_in_ is True"),
        ({"classes_": np.array([0, 1])}, "classes_ has 2 labels"),
        ({"classes_": None}, "classes_ is no array"),
        ({"_targets": ("ordinal", False)}, "_targets is"),
        ({"history_": {"epoch": [1, 2], "train_loss": [0.5]}}, "several lengths"),
        ({"history_": [1]}, "history_ is no dict"),
        ({"loss_curve_": ["a", object]}, r"loss_curve_ is \['a', <class 'object'>\]\.$"),
        ({"n_layers_": "3"}, "n_layers_ is '3'"),
        ({"n_outputs_": -1}, "n_outputs_ is -1"),
        ({"t_": 0.5}, "t_ is 0.5"),
        ({"_device": "abacus"}, "_device is 'abacus'"),
        ({"_device": 3.5}, "_device is 3.5"),
        ({"matmul_precision": "none"}, "matmul_precision is 'none'"),
        ({"feature_names_in_": np.array(["a", "b"], object)}, "feature_names_in_"),
        ({"feature_names_in_": np.arange(5)}, "feature_names_in_"),
        ({"predict": 1}, "'predict' would shadow"),
        ({"module_": 1}, "'module_' would shadow"),
        ({"_optimizer": 3}, "_optimizer is int"),
        ({"_optimizer": {"a": object}}, "The _optimizer of this state has other entries: a."),
        ({"_optimizer": {"solver": "adam"}}, "of this state has other entries: solver."),
    ],
    ids=str,
)
def test_what_a_fit_does_not_leave_is_refused(state, part, message):
    """Types, shapes, values and names that are not a fit's are a ValueError that says which."""
    with pytest.raises(ValueError, match=message):
        load(state, **part)


@pytest.mark.parametrize(
    "path, value, reason",
    [
        (("solver",), 3, "_optimizer['solver'] is 3."),
        (("t",), -1, "_optimizer['t'] is -1."),
        (("options",), [], "_optimizer['options'] is list, no dict."),
        (("moments",), 0.5, "_optimizer['moments'] is float, no dict."),
        (("options", "lr"), np.nan, "the learning rate of _optimizer is nan."),
        (("options", "betas"), (0.9, 1.0), "_optimizer['options']['betas'] is (0.9, 1.0)."),
        (("options", "eps"), "adam", "_optimizer['options']['eps'] is 'adam'."),
        (("moments", "exp_avg"), [0.5], "_optimizer['moments']['exp_avg'] is list, no array."),
        (("moments", "a"), np.ones(3), "the moments of _optimizer are exp_avg, exp_avg_sq, a."),
        (
            ("moments", "exp_avg"),
            np.ones(3),
            "the moment 'exp_avg' of _optimizer is float64 of the shape (3,), and there are 100 "
            "weights of float64.",
        ),
        (
            ("moments", "exp_avg_sq"),
            -np.ones(100),
            "the moment 'exp_avg_sq' of _optimizer has negative values.",
        ),
    ],
)
def test_an_optimizer_that_cannot_go_on_is_refused(state, path, value, reason):
    """What would fail in the next `partial_fit` is refused when it is loaded."""
    with pytest.raises(ValueError) as error:
        load(state, _optimizer=changed(state["_optimizer"], *path, to=value))
    assert str(error.value) == f"This state of MLPClassifier cannot be loaded: {reason}"


@pytest.mark.parametrize("solver", ["adamw", "rmsprop"])
@pytest.mark.parametrize(
    "path, value",
    [
        (("options", "param_groups"), []),
        (("options", "param_groups", 0), {"params": [0]}),
        (("options", "param_groups", 0, "params"), [7]),
        (("moments",), {"a": np.ones(3)}),
        (("moments",), {"0.step": np.array(1.0)}),
    ],
    ids=str,
)
def test_an_optimizer_of_torch_that_cannot_go_on_is_refused(solver, path, value):
    """The state of a solver of torch.optim is tried when it is loaded."""
    X, y = make_table("multiclass")
    model = make("multiclass", solver=solver).partial_fit(X, y, classes=[0, 1, 2])
    state = model.__getstate__()
    load(state).partial_fit(X, y)
    with pytest.raises(ValueError, match="of MLPClassifier cannot be loaded: the _optimizer of "):
        load(state, _optimizer=changed(state["_optimizer"], *path, to=value))


@pytest.mark.parametrize(
    "name, value, reason",
    [
        ("n_features", 0, "_spec['n_features'] is 0."),
        ("n_features", "5", "_spec['n_features'] is '5'."),
        ("n_outputs", True, "_spec['n_outputs'] is True."),
        ("hidden", 8, "_spec['hidden'] is 8."),
        ("hidden", [8], "_spec has 1 hidden layers and 2 activations."),
        ("hidden", [8, -4], "_spec['hidden'] is [8, -4]."),
        ("hidden", [8, 10**15], "coefs_[1] has the shape (8, 4), and its network asks for "),
        ("activations", ["prelu"], "_spec has 2 hidden layers and 1 activations."),
        (
            "activations",
            ["prelu", "no such"],
            "its _spec describes no network: activation 'no such'",
        ),
        (
            "activations",
            ["prelu", ("elu", {"slope": 1})],
            "its _spec describes no network: activation 'elu' has no argument 'slope'",
        ),
        ("activations", ["prelu", 7], "its _spec describes no network: activation takes a name"),
        (
            "activations",
            [("prelu", {"num_parameters": 10**15}), "elu"],
            "its _spec describes no network: activation 'prelu' takes num_parameters=1 or one a",
        ),
        (
            "activations",
            [("multihead_attention", {"embed_dim": 0}), "elu"],
            "its _spec describes no network: ",
        ),
        ("loss", "no such", "_spec['loss'] is 'no such'."),
        ("loss", ["log_loss"], "_spec['loss'] is ['log_loss']."),
        ("loss_params", [], "_spec['loss_params'] is []."),
        ("loss_params", {"surprise": 1}, "its _spec describes no network: "),
        ("module", 5, "_spec['module'] is 5."),
        ("module_params", {1: 2}, "_spec['module_params'] is {1: 2}."),
        ("dropout", (0.5, 1.0), "_spec['dropout'] is (0.5, 1.0)."),
        ("normalization", "no such", "_spec['normalization'] is 'no such'."),
        ("residual", "yes", "_spec['residual'] is 'yes'."),
        ("surprise", 1, "its _spec describes no network: "),
    ],
)
def test_a_spec_of_no_network_is_refused(state, name, value, reason):
    """A description that cannot be built, or not in the memory of the weights, is a ValueError."""
    with pytest.raises(ValueError) as error:
        load(state, _spec=state["_spec"] | {name: value})
    start = f"This state of MLPClassifier cannot be loaded: {reason}"
    assert str(error.value).startswith(start)


def test_arrays_of_the_other_byte_order_are_converted(state):
    """What a machine with another order of bytes wrote predicts the same, in this one's order."""
    X, _ = make_table("multiclass")

    def swapped(value):
        if isinstance(value, list):
            return [swapped(part) for part in value]
        return value.astype(value.dtype.newbyteorder())

    swapped = {name: swapped(state[name]) for name in ("coefs_", "intercepts_", "classes_")}
    twin = load(state, **swapped)
    assert all(array.dtype.isnative for array in [*twin.coefs_, *twin.intercepts_, twin.classes_])
    assert_array_equal(twin.predict_proba(X), load(state).predict_proba(X))


@pytest.mark.parametrize("depth", [40, 5000])
def test_a_curve_without_end_is_refused(state, depth):
    """Lists that hold one another twice, and lists within lists, are refused at once."""
    inner, copies = 0.5, 2 if depth == 40 else 1
    for _ in range(depth):
        inner = [inner] * copies
    message = "shares its parts too often" if depth == 40 else "nested too deeply"
    twin = MLPClassifier.__new__(MLPClassifier)
    with pytest.raises(ValueError, match=message):
        twin.__setstate__(state | {"loss_curve_": inner})


def test_format_2_is_read_by_its_own_checksum(state):
    """A state of the format before is checked for what that one covered."""
    old = state | {"_format": 2, "_checksum": checksum(state, 2)}
    twin = MLPClassifier.__new__(MLPClassifier)
    twin.__setstate__(old)
    assert_array_equal(twin.coefs_[0], state["coefs_"][0])
    with pytest.raises(ValueError, match="is damaged: its checksum is "):
        twin.__setstate__(old | {"n_features_in_": 6})


def test_random_changes_are_refused_or_harmless(state):
    """A state with any entry replaced or dropped, and signed, is a ValueError or predicts."""
    X, _ = make_table("multiclass")
    rng, n_refused = np.random.default_rng(0), 0
    values = [None, 0, -1, 10**15, True, 0.5, np.nan, "x", [], [1], {}, (), np.zeros(0), object]
    names = sorted(name for name in state if is_learned(name))
    for _ in range(300):
        path = [str(rng.choice(names))]
        while isinstance(part := at(state, path), dict | list) and part and rng.random() < 0.7:
            keys = list(part) if isinstance(part, dict) else range(len(part))
            path.append(keys[rng.integers(len(keys))])
        value = values[rng.integers(len(values))]
        try:
            twin = load(changed({**state}, *path, to=value))
        except ValueError:
            n_refused += 1
        else:
            assert twin.predict(X).shape == (60,)
    assert n_refused > 150


def at(value, path):
    for key in path:
        value = value[key]
    return value


def test_attention_that_asks_for_terabytes_is_refused(state):
    """Activations are compared with what they have learned before they get memory."""
    spec = state["_spec"] | {
        "n_features": 1,
        "n_outputs": 3,
        "hidden": [2**20],
        "activations": [("multihead_attention", {"embed_dim": 2**20})],
        "dropout": (),
    }
    with pytest.raises(ValueError, match=r"_state lacks 'activation_0\.in_proj_bias', which its"):
        load(
            state,
            _spec=spec,
            n_features_in_=1,
            coefs_=[np.zeros((1, 2**20), np.float32), np.zeros((2**20, 3), np.float32)],
            intercepts_=[np.zeros(2**20, np.float32), np.zeros(3, np.float32)],
            _state={},
        )


@pytest.mark.parametrize(
    "entry",
    [
        *("coefs_", "intercepts_", "_state", "_spec", "classes_", "n_outputs_", "loss_curve_"),
        *("out_activation_", "matmul_precision", "estimators_", "history_", "more_"),
    ],
)
def test_the_checksum_covers(state, entry):
    """A change of what a model predicts with is found without being understood."""
    value = {
        "coefs_": lambda: changed(state["coefs_"], 0, to=state["coefs_"][0] + 1e-9),
        "intercepts_": lambda: changed(state["intercepts_"], 1, to=-state["intercepts_"][1]),
        "_state": lambda: {SLOPE: np.array([0.3])},
        "_spec": lambda: state["_spec"] | {"activations": ["prelu", ("elu", {"alpha": 2.0})]},
        "classes_": lambda: state["classes_"][::-1],
        "n_outputs_": lambda: 4,
        "loss_curve_": lambda: [0.5],
        "out_activation_": lambda: "identity",
        "matmul_precision": lambda: "medium",
        "estimators_": lambda: [],
        "history_": lambda: {},
        "more_": lambda: 1,  # what a later version may learn
    }[entry]()
    twin = MLPClassifier.__new__(MLPClassifier)
    with pytest.raises(ValueError, match="MLPClassifier is damaged: its checksum"):
        twin.__setstate__(state | {entry: value})


@pytest.mark.parametrize("garbage", [None, 7, [], {3: 4}, {"_format": True}, {"_format": "2"}])
def test_garbage_is_refused(garbage):
    """What is no state at all is a ValueError."""
    with pytest.raises(ValueError, match="no state of MLPRegressor"):
        MLPRegressor().__setstate__(garbage)


def test_a_state_without_end_is_refused(state):
    """Nesting beyond Python's stack is a ValueError."""
    deep = []
    for _ in range(100_000):
        deep = [deep]
    twin = MLPClassifier.__new__(MLPClassifier)
    with pytest.raises(ValueError, match="nested too deeply"):
        twin.__setstate__(state | {"_targets": deep})


@pytest.fixture(scope="module")
def ensemble():
    X, y = make_table("regression")
    model = make("regression", n_estimators=2, solver="lbfgs", max_iter=500, tol=0.1)
    return model.fit(X, y).__getstate__()


@pytest.mark.parametrize("change", [lambda m: m.pop(), lambda m: m.append(m[0])])
def test_the_checksum_covers_the_members(ensemble, change):
    """An ensemble with fewer or more networks than it was saved with is damaged."""
    members = [*ensemble["estimators_"]]
    change(members)
    with pytest.raises(ValueError, match="MLPRegressor is damaged: its checksum"):
        MLPRegressor().__setstate__(ensemble | {"estimators_": members})


@pytest.mark.parametrize(
    "members, message",
    [
        *((members, "is no list of MLPRegressor") for members in ([], [None], "ab")),
        ([MLPClassifier()], "is no list of MLPRegressor"),
        ([MLPRegressor()], "has members that are not fitted"),
    ],
)
def test_an_ensemble_of_something_else_is_refused(ensemble, members, message):
    """An ensemble has fitted networks of its own class."""
    with pytest.raises(ValueError, match=f"cannot be loaded: estimators_ {message}\\.$"):
        load(ensemble, MLPRegressor, estimators_=members)


def test_an_ensemble_of_several_forms_is_refused(ensemble):
    """The networks of an ensemble take the same features."""
    X, y = make_table("regression", n_features=3)
    stranger = make("regression", solver="lbfgs", max_iter=500, tol=0.1).fit(X, y)
    with pytest.raises(ValueError, match="several forms"):
        load(ensemble, MLPRegressor, estimators_=[*ensemble["estimators_"], stranger])
    with pytest.raises(ValueError, match="n_features_in_ is 5"):
        load(ensemble, MLPRegressor, estimators_=[stranger])
