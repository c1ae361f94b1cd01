"""A custom module in place of the built-in layers."""

import pickle
from unittest import mock

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

from sklmlp import MLPRegressor
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Stack(nn.Module):
    """The stack of one hidden layer with tanh, as torch starts it or from given numbers."""

    def __init__(self, n_features_in, n_outputs, width=8, coefs=(), intercepts=()):
        super().__init__()
        self.hidden, self.out = nn.Linear(n_features_in, width), nn.Linear(width, n_outputs)
        with torch.no_grad():
            for layer, coef, intercept in zip(
                (self.hidden, self.out), coefs, intercepts, strict=False
            ):
                layer.weight.copy_(torch.from_numpy(coef.T))
                layer.bias.copy_(torch.from_numpy(intercept))

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))


class Everything(nn.Module):
    """What modules of torch may have: ties, buffers, dropout, lazy and frozen parameters."""

    def __init__(self, n_features_in, n_outputs, width=8, dropout=0.2):
        super().__init__()
        self.first, self.norm = nn.Linear(n_features_in, width), nn.BatchNorm1d(width)
        self.drop, self.frozen = nn.Dropout(dropout), nn.Linear(width, width)
        self.again, self.tied = nn.Linear(width, width), nn.Linear(width, width)
        self.tied.weight = self.again.weight
        self.frozen.requires_grad_(False)
        self.order = torch.randperm(width)  # neither a parameter nor a buffer
        self.register_buffer("bias", torch.randn(width), persistent=False)
        self.register_buffer("never", torch.tensor(-torch.inf))
        self.out = nn.LazyLinear(n_outputs)

    def forward(self, x):
        h = self.drop(torch.relu(self.norm(self.first(x))))[:, self.order] + self.bias
        h = self.tied(torch.tanh(self.again(self.frozen(h))))
        return self.out(h + torch.exp(self.never))


class Flat(Stack):
    def forward(self, x):
        return super().forward(x)[:, 0]


class Pair(Stack):
    def forward(self, x):
        return super().forward(x), x


class Fails(Stack):
    def forward(self, x):
        return x @ torch.ones(99, 1, dtype=x.dtype)


class Single(Stack):
    def forward(self, x):
        return super().forward(x) @ torch.ones(1, 1)


class Rounded(Stack):
    def forward(self, x):
        return super().forward(x).float()


class Greedy(nn.Module):
    def __init__(self, n_features_in, n_outputs, width):
        super().__init__()


class Lazy(nn.Module):
    """A constructor that is told nothing: its layers have fixed widths, or look at the rows."""

    def __init__(self, width=4):
        super().__init__()
        self.hidden, self.out = nn.LazyLinear(width), nn.Linear(width, 1)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))


class OnlyOutputs(Lazy):
    def __init__(self, n_outputs, **others):
        super().__init__()
        self.out, self.others = nn.Linear(4, n_outputs), others


class Empty(nn.Module):
    def __init__(self, n_features_in, n_outputs):
        super().__init__()

    def forward(self, x):
        return x[:, :1]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_module_learns_what_the_stack_learns(solver, kind):
    """A module that starts from a stack's numbers takes its course, penalty included."""
    X, y = make_table(kind)
    params = {"solver": solver, "alpha": 0.5, "shuffle": False, "max_iter": 4}
    n_outputs, rng = make(kind, max_iter=1).fit(X, y).n_outputs_, np.random.RandomState(0)
    shapes = [(5, 8), (8, n_outputs)]
    # in float32, as torch starts modules
    numbers = {
        "coefs": [rng.normal(size=shape).astype(np.float32) for shape in shapes],
        "intercepts": [rng.normal(size=shape[1]).astype(np.float32) for shape in shapes],
    }
    own = make(kind, module=Stack, module_params=numbers, **params).fit(X, y)
    stack = make(kind, activation="tanh", **params)
    with mock.patch("sklmlp.nn.spec._by_rule") as by_rule:
        by_rule.return_value = [[a.astype(float) for a in arrays] for arrays in numbers.values()]
        stack.fit(X, y)
    assert_allclose(own.loss_, stack.loss_, rtol=1e-7)
    assert_allclose(own.module_.hidden.weight.detach().numpy(), stack.coefs_[0].T, rtol=1e-6)
    assert_allclose(own.module_.out.bias.detach().numpy(), stack.intercepts_[1], rtol=1e-6)
    assert_allclose(own.predict(X), stack.predict(X), rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [{}, {"early_stopping": True}, {"n_estimators": 2}, {"dtype": "float32"}, {"batch_size": 59}],
    ids=str,
)
def test_everything_works_with_a_module(kind, options):
    """Fits repeat, clones and pickles predict alike, one row at a time as all at once."""
    X, y = make_table(kind)
    model = make(kind, module=Everything, **options).fit(X, y)
    predicted = getattr(model, "predict_proba", model.predict)(X)
    twins = clone(model).fit(X, y), pickle.loads(pickle.dumps(model))
    for twin in twins:
        assert_array_equal(getattr(twin, "predict_proba", twin.predict)(X), predicted)
    each = [getattr(model, "predict_proba", model.predict)(x[None]) for x in X]
    rtol = 1e-4 if "dtype" in options else 1e-10
    assert_allclose(np.concatenate(each), predicted, rtol=rtol, atol=rtol)


def test_torchs_generator_stands():
    """Neither constructing, nor dropout in training, nor predicting draws a global number."""
    X, y = make_table("regression")
    state = torch.get_rng_state()
    make("regression", module=Everything).fit(X, y).predict(X)
    assert_array_equal(torch.get_rng_state().numpy(), state.numpy())


def test_ties_hold_and_frozen_parameters_stay():
    """Parameters that are one stay one; those without a gradient are not trained."""
    X, y = make_table("regression")
    one = make("regression", module=Everything, max_iter=1).fit(X, y)
    more = make("regression", module=Everything, max_iter=9).fit(X, y)
    assert more.module_.tied.weight is more.module_.again.weight
    assert_array_equal(
        one.module_.frozen.weight.detach().numpy(), more.module_.frozen.weight.detach().numpy()
    )
    assert not np.allclose(
        one.module_.first.weight.detach().numpy(), more.module_.first.weight.detach().numpy()
    )


def test_calls_of_partial_fit_draw_other_masks():
    """A unit that one call dropped is not dropped by all."""
    X, y = make_table("regression", n_samples=8)
    params = {"solver": "sgd", "learning_rate_init": 1e-300, "dropout": 0.5, "batch_size": 8}
    model = make("regression", **params)
    losses = [model.partial_fit(X, y).loss_ for _ in range(3)]
    assert len(set(losses)) == 3


def test_training_goes_on_from_the_weights():
    """partial_fit and warm starts go on; one row at a time is trained by running statistics."""
    X, y = make_table("regression")
    model = make("regression", module=Everything).partial_fit(X, y)
    before = model.module_.norm.running_mean.numpy().copy()
    model.partial_fit(X[:1], y[:1])
    assert_array_equal(model.module_.norm.running_mean.numpy(), before)
    assert int(model.module_.norm.num_batches_tracked) == 1
    model.set_params(warm_start=True, module_params={"dropout": 0.5}).fit(X, y)
    assert int(model.module_.norm.num_batches_tracked) == 1 + 5


@pytest.mark.parametrize(
    "change",
    [{"module_params": {"width": 5}}, {"module": Stack}, {"module": None}],
    ids=str,
)
def test_training_does_not_go_on_with_another_module(change):
    """Another module, or one of other shapes, is refused, and the model stays as it was."""
    X, y = make_table("regression")
    model = make("regression", module=Everything, warm_start=True).fit(X, y)
    predicted = model.predict(X)
    with pytest.raises(ValueError, match=r"Training cannot go on: .*warm_start=False"):
        model.set_params(**change).fit(X, y)
    assert_array_equal(model.predict(X), predicted)


def test_a_module_after_a_stack_and_before_it():
    """A refit with a module leaves no coefs of the stack, and the other way round."""
    X, y = make_table("regression")
    model = make("regression").fit(X, y).set_params(module=Stack).fit(X, y)
    assert not any(hasattr(model, name) for name in ("coefs_", "intercepts_", "n_layers_"))
    assert isinstance(model.module_, Stack)
    model.set_params(module=None).fit(X, y)
    assert [coef.shape for coef in model.coefs_] == [(5, 8), (8, 1)]


@pytest.mark.parametrize("n_estimators", [1, 2])
@pytest.mark.parametrize("name", ["coefs_", "intercepts_", "n_layers_"])
def test_a_module_has_no_coefs_and_says_so(name, n_estimators):
    """What belongs to a stack is an AttributeError that points to `module_`."""
    X, y = make_table("regression")
    model = make("regression", module=Stack, n_estimators=n_estimators).fit(X, y)
    with pytest.raises(
        AttributeError, match=f"{name} belongs to a stack .* module=Stack .*module_"
    ):
        getattr(model, name)


def test_module_is_the_users_in_prediction_mode():
    """`module_` is of the user's class, predicts, and shares its numbers with the estimator."""
    X, y = make_table("regression")
    model = make("regression", module=Everything).fit(X, y)
    module = model.module_
    assert type(module) is Everything
    assert not module.training
    logits = module(torch.from_numpy(X))[:, 0]
    assert_allclose(logits.detach().numpy(), model.predict(X), rtol=1e-12)
    module.train()  # is the user's to do, and changes no prediction
    assert_allclose(model.predict(X), logits.detach().numpy(), rtol=1e-12)
    with torch.no_grad():
        module.out.bias += 1
    assert_allclose(model.predict(X), logits.detach().numpy() + 1, rtol=1e-12)


def test_a_module_in_searches():
    """Classes and arguments of modules are searched over as anything else."""
    X, y = make_table("multiclass")
    grid = [
        {"module": [Stack, Everything], "module_params": [{"width": 4}, {"width": 6}]},
        {"module": [None]},
    ]
    search = GridSearchCV(make("multiclass"), grid, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert np.isfinite(cross_val_score(make("regression", module=Stack), X, y, cv=2)).all()


@pytest.mark.parametrize(
    "module, message",
    [
        (
            Flat,
            "module=Flat returned shape (2,) for input of shape (2, 5); expected logits of shape "
            "(2, 1), (n_samples, n_outputs).",
        ),
        (
            Pair,
            "module=Pair returned tuple for input of shape (2, 5); expected logits of shape "
            "(2, 1), (n_samples, n_outputs).",
        ),
        (
            Fails,
            "module=Fails fails on input of shape (2, 5) and dtype torch.float64: mat1 and mat2 "
            "shapes cannot be multiplied (2x5 and 99x1)",
        ),
        (
            Single,
            "module=Single fails on input of shape (2, 5) and dtype torch.float64: expected m1 and "
            "m2 to have the same dtype, but got: double != float. The fit computes in float64, and "
            "the module has been converted to it: create tensors in forward with dtype=x.dtype, "
            "or use dtype='float32'.",
        ),
        (
            Rounded,
            "module=Rounded returned torch.float32 for input of torch.float64. The fit computes in "
            "float64, and the module has been converted to it: create tensors in forward with "
            "dtype=x.dtype, or use dtype='float32'.",
        ),
        (Empty, "module=Empty has no parameter to train."),
        (
            nn.Linear,
            "module=Linear cannot be constructed without arguments: Linear.__init__() missing 2 "
            "required positional arguments: 'in_features' and 'out_features'. Its constructor gets "
            "n_features_in and n_outputs where it has parameters of these names; give all others "
            "by module_params.",
        ),
        (
            Greedy,
            "module=Greedy cannot be constructed with n_features_in=5, n_outputs=1: "
            "Greedy.__init__() missing 1 required positional argument: 'width'. Its constructor "
            "gets n_features_in and n_outputs where it has parameters of these names; give all "
            "others by module_params.",
        ),
    ],
)
def test_a_module_that_does_not_fit_is_an_error(module, message):
    """What a module does with two rows is looked at before training."""
    X, y = make_table("regression")
    with pytest.raises(ValueError) as caught:
        make("regression", module=module).fit(X, y)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "params, message",
    [
        ({"dropout": 0.1}, "dropout=0.1 has no effect with module=Stack. "
         "Use module=None, or dropout=0.0."),
        ({"dropout": [0.1]}, "dropout=[0.1] has no effect with module=Stack. "
         "Use module=None, or dropout=0.0."),
        ({"normalization": "rms"}, "normalization='rms' has no effect with module=Stack. "
         "Use module=None, or normalization=None."),
        ({"residual": True}, "residual=True has no effect with module=Stack. "
         "Use module=None, or residual=False."),
        ({"weight_init": "zeros"}, "weight_init='zeros' has no effect with module=Stack. "
         "Use module=None, or weight_init='auto'."),
        ({"module": None, "module_params": {"width": 3}},
         "module_params={'width': 3} has no effect with module=None. "
         "Use a class as module, or module_params=None."),
    ],
)  # fmt: skip
def test_parameters_that_contradict_a_module_are_errors(params, message):
    """What has no meaning with a module is refused, not ignored."""
    X, y = make_table("regression")
    with pytest.raises(ValueError) as caught:
        make("regression", **{"module": Stack, **params}).fit(X, y)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "module, message",
    [
        (
            Lazy(),
            "module takes a class, got an instance of Lazy: every fit, clone and fold of a search "
            "starts from new weights, which an instance cannot give. Use module=Lazy, with its "
            "arguments in module_params.",
        ),
        (
            nn.Sequential(nn.Linear(5, 1)),
            "module takes a class, got an instance of Sequential: every fit, clone and fold of a "
            "search starts from new weights, which an instance cannot give. Write a class that "
            "makes its layers in the constructor.",
        ),
        (
            dict,
            "module takes a subclass of torch.nn.Module or None, got <class 'dict'>. Write a class "
            "whose constructor takes n_features_in and n_outputs, or neither.",
        ),
    ],
)
def test_a_module_is_a_class_of_torchs(module, message):
    """Instances and other classes are refused with the reason."""
    X, y = make_table("regression")
    with pytest.raises(TypeError) as caught:
        make("regression", module=module).fit(X, y)
    assert str(caught.value) == message


@pytest.mark.parametrize("module", [Lazy, OnlyOutputs])
def test_a_constructor_is_told_what_it_asks_for(module):
    """Of n_features_in and n_outputs a constructor gets those that it has parameters for."""
    X, y = make_table("regression")
    model = make("regression", module=module).fit(X, y)
    assert model.module_.hidden.in_features == 5
    assert getattr(model.module_, "others", {"n_features_in": 5}) == {"n_features_in": 5}


def test_arguments_go_by_their_names_too():
    """`module__name` and `solver__name` stand for entries of the dicts, which stay as they were."""
    given = {"width": 4}
    model = MLPRegressor(module=Stack, module_params=given, solver="adamw")
    assert model.get_params()["module__width"] == 4
    assert "module__width" not in model.get_params(deep=False)
    model.set_params(module__width=6, solver__weight_decay=0.1)
    assert (model.module_params, given) == ({"width": 6}, {"width": 4})
    assert model.solver_params == {"weight_decay": 0.1}
    twin = clone(model)
    assert twin.get_params() == model.get_params()
    assert twin.set_params(**model.get_params()).get_params() == model.get_params()
    model.set_params(module__width=9, module_params={"width": 8})
    assert model.module_params == {"width": 9}  # whatever the order


def test_a_search_over_arguments_of_a_module():
    """In a grid, in a pipeline and in both, they are parameters like any other."""
    X, y = make_table("regression")
    mlp = make("regression", module=Stack, solver="adamw")
    grid = {"mlp__module__width": [3, 5], "mlp__solver__weight_decay": [0.0, 0.5]}
    search = GridSearchCV(Pipeline([("mlp", mlp)]), grid, cv=2, error_score="raise").fit(X, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    best = search.best_estimator_[0]
    assert best.module_.hidden.out_features == search.best_params_["mlp__module__width"]


class Recurrent(nn.Module):
    def __init__(self, dropout=0.0, num_layers=2):
        super().__init__()
        self.rows = nn.GRU(1, 4, num_layers, batch_first=True, dropout=dropout)
        self.out = nn.Linear(4, 1)

    def forward(self, x):
        return self.out(self.rows(x.unsqueeze(-1))[0][:, -1])


class Attending(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.attend = nn.MultiheadAttention(1, 1, dropout=dropout, batch_first=True)
        self.out = nn.Linear(5, 1)

    def forward(self, x):
        x = x.unsqueeze(-1)
        return self.out(self.attend(x, x, x)[0].flatten(1))


class Functional(Lazy):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.share = dropout

    def forward(self, x):
        return super().forward(nn.functional.dropout(x, self.share, self.training))


class Centred(Lazy):
    """By the batch in training, and not at all in prediction."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.share = dropout

    def forward(self, x):
        return super().forward(x - self.share * x.mean(0) if self.training else x)


@pytest.mark.parametrize(
    "module, what",
    [
        (Recurrent, "GRU with dropout=0.3 in module=Recurrent"),
        (Attending, "MultiheadAttention with dropout=0.3 in module=Attending"),
        (Everything, "BatchNorm1d in module=Everything"),
        (Functional, "random numbers drawn in module=Functional"),
        (Centred, "a module that computes otherwise in training than in evaluation in "
         "module=Centred"),
    ],
)  # fmt: skip
def test_lbfgs_refuses_what_it_would_leave_out(module, what):
    """Whatever a module computes otherwise in training is refused; without it all is well."""
    X, y = make_table("regression")
    model = make("regression", module=module, module_params={"dropout": 0.3}, solver="lbfgs")
    with pytest.raises(ValueError) as caught:
        model.fit(X, y)
    assert str(caught.value) == (
        f"solver='lbfgs' needs a deterministic objective and does not support {what}. Use "
        "solver='adam' or another stochastic solver."
    )
    if module is not Everything:
        model.set_params(module_params={"dropout": 0.0}).fit(X, y)


def test_lbfgs_leaves_a_module_as_it_was_tried():
    """The trial in training mode moves no buffer: running means are those of the constructor."""

    class Counting(Lazy):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += self.training
            return super().forward(x)

    X, y = make_table("regression")
    assert make("regression", module=Counting, solver="lbfgs").fit(X, y).module_.calls == 0


def test_a_module_of_a_function_cannot_be_saved():
    """A class that no other process can import is refused when it is saved."""

    class Local(Stack):
        pass

    X, y = make_table("regression")
    model = make("regression", module=Local).fit(X, y)
    with pytest.raises(pickle.PicklingError, match=r"module .*Local cannot be saved"):
        pickle.dumps(model)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_check_of_scikit_learn_fails():
    """An estimator with a module keeps scikit-learn's contract."""
    estimator = MLPRegressor(module=Stack, module_params={"width": 50}, max_iter=100)
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    failed = [(r["check_name"], str(r["exception"])) for r in results if r["status"] == "failed"]
    assert failed == []
