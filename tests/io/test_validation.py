"""What `__setstate__` refuses: states that no fit leaves behind."""

import copy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.io.checksum import checksum
from tests.tables import make, make_table


@pytest.fixture(scope="module")
def state():
    """The state of a classifier that goes on learning, with a learned slope."""
    X, y = make_table("multiclass")
    model = make("multiclass", hidden_layer_sizes=(8, 4), activation=["prelu", "elu"])
    return model.partial_fit(X, y, classes=[0, 1, 2]).__getstate__()


def load(state, of=MLPClassifier, **changes):
    """A model of a state with some entries changed, signed anew."""
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


@pytest.mark.parametrize(
    "part, message",
    [
        ({"coefs_": DROPPED}, "coefs_ is no list"),
        ({"coefs_": [np.zeros((5, 8))]}, "coefs_ has 1 arrays, not 3"),
        ({"coefs_": [np.zeros((8, 5)), np.zeros((8, 4)), np.zeros((4, 3))]}, "shape"),
        ({"coefs_": [NAN, np.zeros((8, 4)), np.zeros((4, 3))]}, r"coefs_\[0\] has values that"),
        ({"coefs_": [NAN.astype(object)] * 3}, "dtype object"),
        ({"coefs_": [NAN.astype(str)] * 3}, "dtype <U"),
        ({"intercepts_": [np.zeros(8), np.zeros(4), np.zeros(4)]}, r"intercepts_\[2\]"),
        ({"_extras": [{}, {}]}, r"_extras\[0\] has the shapes"),
        ({"_extras": [{"weight": np.zeros(2)}, {}]}, r"_extras\[0\] has the shapes"),
        ({"_extras": [{"weight": np.array([np.inf])}, {}]}, "not finite"),
        ({"_extras": [{}]}, "_extras has 1 entries"),
        ({"_extras": None}, "_extras is no list"),
        ({"_spec": []}, "_spec is no dict"),
        ({"n_features_in_": 6}, "n_features_in_ is 6"),
        ({"n_features_in_": True}, "n_features_in_ is True"),
        ({"classes_": np.array([0, 1])}, "classes_ has 2 labels"),
        ({"classes_": None}, "classes_ is no array"),
        ({"_targets": ("ordinal", False)}, "_targets is"),
        ({"history_": {"epoch": [1, 2], "train_loss": [0.5]}}, "several lengths"),
        ({"history_": [1]}, "history_ is no dict"),
        ({"loss_curve_": ["a", object]}, "loss_curve_"),
        ({"n_layers_": "3"}, "n_layers_ is '3'"),
        ({"n_outputs_": -1}, "n_outputs_ is -1"),
        ({"t_": 0.5}, "t_ is 0.5"),
        ({"_device": "abacus"}, "_device is 'abacus'"),
        ({"_device": 3.5}, "_device is 3.5"),
        ({"matmul_precision": "none"}, "matmul_precision is 'none'"),
        ({"feature_names_in_": np.array(["a", "b"], object)}, "feature_names_in_"),
        ({"feature_names_in_": np.arange(5)}, "feature_names_in_"),
        ({"predict": 1}, "'predict' would hide"),
        ({"module_": 1}, "'module_' would hide"),
        ({"_optimizer": 3}, "_optimizer is int"),
        ({"_optimizer": {"a": object}}, "_optimizer"),
        ({"_optimizer": {"solver": "adam"}}, "_optimizer of this state has other entries"),
        ({"_optimizer": {"solver": "adam", "moments": {"a": np.ones(3)}}}, "3,"),
    ],
    ids=str,
)
def test_what_a_fit_does_not_leave_is_refused(state, part, message):
    """Types, shapes, values and names that are not a fit's are a ValueError that says which."""
    with pytest.raises(ValueError, match=message):
        load(state, **part)


@pytest.mark.parametrize(
    "name, value",
    [
        ("n_features", 0),
        ("n_features", "5"),
        ("n_outputs", True),
        ("hidden", 8),
        ("hidden", [8]),
        ("hidden", [8, -4]),
        ("hidden", [8, 10**15]),
        ("activations", ["prelu"]),
        ("activations", ["prelu", "no such"]),
        ("activations", ["prelu", ("elu", {"slope": 1})]),
        ("activations", ["prelu", 7]),
        ("activations", [("prelu", {"num_parameters": 10**15}), "elu"]),
        ("activations", [("multihead_attention", {"embed_dim": 0}), "elu"]),
        ("loss", "no such"),
        ("loss", ["log_loss"]),
        ("surprise", 1),
    ],
)
def test_a_spec_of_no_network_is_refused(state, name, value):
    """A description that cannot be built, or not in the memory of the weights, is a ValueError."""
    with pytest.raises(ValueError, match=r"state of MLPClassifier cannot be loaded"):
        load(state, _spec=state["_spec"] | {name: value})


def test_attention_that_asks_for_terabytes_is_refused(state):
    """Activations are compared with what they have learnt before they get memory."""
    spec = state["_spec"] | {
        "n_features": 1,
        "n_outputs": 3,
        "hidden": [2**20],
        "activations": [("multihead_attention", {"embed_dim": 2**20})],
    }
    with pytest.raises(ValueError, match="cannot be loaded"):
        load(
            state,
            _spec=spec,
            n_features_in_=1,
            coefs_=[np.zeros((1, 2**20), np.float32), np.zeros((2**20, 3), np.float32)],
            intercepts_=[np.zeros(2**20, np.float32), np.zeros(3, np.float32)],
            _extras=[{}],
        )


@pytest.mark.parametrize("entry", ["coefs_", "intercepts_", "_extras", "_spec", "classes_"])
def test_the_checksum_covers(state, entry):
    """A change of what a model answers with is found without being understood."""
    value = {
        "coefs_": lambda: changed(state["coefs_"], 0, to=state["coefs_"][0] + 1e-9),
        "intercepts_": lambda: changed(state["intercepts_"], 1, to=-state["intercepts_"][1]),
        "_extras": lambda: [{"weight": np.array([0.3])}, {}],
        "_spec": lambda: state["_spec"] | {"activations": ["prelu", ("elu", {"alpha": 2.0})]},
        "classes_": lambda: state["classes_"][::-1],
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


@pytest.mark.parametrize("members", [[], [None], "ab", [MLPRegressor()], [MLPClassifier()]])
def test_an_ensemble_of_something_else_is_refused(ensemble, members):
    """An ensemble has fitted networks of its own class."""
    with pytest.raises(ValueError, match="estimators_"):
        load(ensemble, MLPRegressor, estimators_=members)


def test_an_ensemble_of_several_forms_is_refused(ensemble):
    """The networks of an ensemble take the same features."""
    X, y = make_table("regression", n_features=3)
    stranger = make("regression", solver="lbfgs", max_iter=500, tol=0.1).fit(X, y)
    with pytest.raises(ValueError, match="several forms"):
        load(ensemble, MLPRegressor, estimators_=[*ensemble["estimators_"], stranger])
    with pytest.raises(ValueError, match="n_features_in_ is 5"):
        load(ensemble, MLPRegressor, estimators_=[stranger])
