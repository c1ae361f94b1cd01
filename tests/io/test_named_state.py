"""What is learned besides coefs and intercepts, by its name in the module; once it was a list."""

import copy

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

from sklmlp import MLPRegressor
from sklmlp.activations import ACTIVATIONS
from sklmlp.io.integrity import checksum
from sklmlp.nn.layers import NORMALIZATIONS
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Tricky(nn.Module):
    """An activation with a buffer, and with parts that are called as parts of the network are."""

    def __init__(self):
        super().__init__()
        self.linear_0, self.activation_1 = nn.Linear(1, 1), nn.PReLU()
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, z):
        return self.activation_1(z) * self.scale + self.linear_0.bias


class Own(nn.Module):
    """A module with a buffer and with tied weights."""

    def __init__(self, n_features_in, n_outputs, width=8):
        super().__init__()
        self.hidden, self.tied = nn.Linear(n_features_in, width), nn.Linear(n_features_in, width)
        self.tied.weight = self.hidden.weight
        self.norm, self.linear_0 = nn.BatchNorm1d(width), nn.Linear(width, n_outputs)
        self.shift = torch.randn(width)  # neither a parameter nor a buffer

    def forward(self, x):
        h = torch.relu(self.hidden(x)) - self.tied(x) + self.shift.to(x.dtype)
        return self.linear_0(self.norm(h))


STACKS = {
    f"{'-'.join(str(getattr(a, '__name__', a)) for a in activations)} {normalization} {residual}": {
        "hidden_layer_sizes": (8, 8),  # the first skip is a projection, the second the identity
        "activation": activations,
        "normalization": normalization,
        "residual": residual,
        "dropout": 0.1,
    }
    for activations in (["relu", "glu"], ["prelu", "multihead_attention"], [Tricky, Tricky])
    for normalization in (None, *NORMALIZATIONS)
    for residual in (False, True)
}
NETWORKS = {
    **STACKS,
    **{name: {"activation": name} for name in ACTIVATIONS},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "module": {"module": Own},
}


def fitted(name):
    X, y = make_table("regression")
    return make("regression", max_iter=2, **NETWORKS[name]).fit(X, y), X


def affine_names(name, module):
    """The names of coefs and intercepts in a module, which has them as `linear_i`."""
    if name == "module":
        return {"tied.weight"}  # it is hidden.weight
    linears = {f"linear_{i}" for i in range(3)}
    linears |= {f"residual_{i}.layer.linear_{i}" for i in range(2)}
    return {key for key in module.state_dict() if key.rpartition(".")[0] in linears}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_state_has_the_names_and_numbers_of_the_module(name):
    """A saved state holds `module_.state_dict()`, in which affine maps are coefs and intercepts."""
    model, _ = fitted(name)
    expected = model.module_.state_dict()
    for key in affine_names(name, model.module_):
        del expected[key]
    learned = model.__getstate__()["_state"]
    assert set(learned) == set(expected)
    for key, array in learned.items():
        assert_array_equal(array, expected[key].numpy())


def old_list(model):
    """What is learned besides coefs and intercepts as formats 1 to 3 had it."""

    def arrays(module):
        return {name: tensor.numpy() for name, tensor in module.state_dict().items()}

    module = model.module_
    if isinstance(module, Own):
        learned = arrays(module)
        del learned["tied.weight"]
        return [learned, {"seed": np.array(model.__getstate__()["_module_seed"])}]
    layers = [getattr(module, f"residual_{i}", None) for i in range(len(model.coefs_) - 1)]
    within = [module if layer is None else layer.layer for layer in layers]
    entries = [arrays(getattr(part, f"activation_{i}")) for i, part in enumerate(within)]
    if model.normalization is not None:
        entries += [arrays(getattr(part, f"normalization_{i}")) for i, part in enumerate(within)]
    return entries + [arrays(layer.projection) for layer in layers if layer is not None]


def as_format_3(model, **changes):
    state = copy.deepcopy(model.__getstate__())
    state = {k: v for k, v in state.items() if k not in ("_state", "_module_seed", "_checksum")}
    state |= {"_extras": old_list(model), "_format": 3} | changes
    return state | {"_checksum": checksum(state, 3)}


def load(state):
    twin = MLPRegressor.__new__(MLPRegressor)
    twin.__setstate__(state)
    return twin


@pytest.mark.parametrize("name", NETWORKS)
def test_format_3_is_read(name):
    """A state with the list of an old format is the model that it was, renamed."""
    model, X = fitted(name)
    twin = load(as_format_3(model))
    assert_array_equal(twin.predict(X), model.predict(X))
    state, expected = twin.__getstate__(), model.__getstate__()
    assert set(state) == set(expected)
    assert state["_checksum"] == expected["_checksum"]


@pytest.mark.parametrize(
    "entries, message",
    [
        (None, "_state is no dict of arrays by name but NoneType"),
        ({"weight": np.ones(1)}, "_state lacks .activation_0.weight., which its"),
        ([], "_state is no dict of arrays by name but list"),
        ([{"weight": np.ones(1)}], "_state is no dict of arrays by name but list"),
        ([{"weight": np.ones(1)}] * 3, "_state is no dict of arrays by name but list"),
        ([{"weight": np.ones(1)}, 0.5], "_state is no dict of arrays by name but list"),
        (
            [{"weight": np.ones(2)}, {"weight": np.ones(1)}],
            r"_state\['activation_0.weight'\] has the shape \(2,\), and its network learns \(1,\)",
        ),
        ([{"weight": 0.5}, {}], r"_state\['activation_0.weight'\] is float, no array"),
        ([{3: np.ones(1)}, {}], "_state has 'activation_0.3', which its network does not learn"),
    ],
    ids=str,
)
def test_a_list_that_no_fit_left_is_refused(entries, message):
    """Another list than a fit of an old format left behind is a ValueError that says so."""
    X, y = make_table("regression")
    model = make("regression", hidden_layer_sizes=(6, 6), activation="prelu").fit(X, y)
    with pytest.raises(ValueError, match=message):
        load(as_format_3(model, _extras=entries))


@pytest.mark.parametrize("spec", [None, [], {}, {"hidden": 3}, {"hidden": [8], "residual": 2}])
def test_a_list_of_no_network_is_refused(spec):
    """Where the old list has no network that it could be of, the state is refused."""
    model, _ = fitted("prelu")
    with pytest.raises(ValueError, match="This state of MLPRegressor cannot be loaded: "):
        load(as_format_3(model, _spec=spec))


@pytest.mark.parametrize("seed", [None, -1, 0.5, "7", [1, 2], np.array([[1]]), 2**63])
def test_the_seed_of_a_module_is_a_number(seed):
    """A module whose seed is none that torch takes is refused, in the old format and in this."""
    model, _ = fitted("module")
    entries = [old_list(model)[0], {"seed": seed}]
    with pytest.raises(ValueError, match=r"cannot be loaded: _module_seed is "):
        load(as_format_3(model, _extras=entries))
    state = model.__getstate__() | {"_module_seed": seed}
    with pytest.raises(ValueError, match=r"cannot be loaded: _module_seed is "):
        load(state | {"_checksum": checksum(state)})


def test_only_a_module_has_a_seed():
    """A refit with a stack of layers leaves no seed of the module before it in the state."""
    model, X = fitted("module")
    assert isinstance(model.__getstate__()["_module_seed"], int)
    model.set_params(module=None).fit(X, X[:, 0])
    assert "_module_seed" not in model.__getstate__()
