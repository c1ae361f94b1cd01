"""The configuration of a fit: every parameter once, plain and frozen."""

import inspect
from dataclasses import MISSING, FrozenInstanceError, fields

import numpy as np
import pytest

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.config import TrainingConfig

SIGNATURES = [inspect.signature(cls).parameters for cls in (MLPClassifier, MLPRegressor)]


def test_fields_are_the_parameters_of_both_estimators():
    """Each parameter of either estimator is a field, and there are no others."""
    names = {name for signature in SIGNATURES for name in signature}
    assert {field.name for field in fields(TrainingConfig)} == names


def test_fields_with_a_default_are_one_estimators_alone():
    """Only fields that one estimator lacks have a default, which is the other estimator's."""
    with_default = {f.name: f.default for f in fields(TrainingConfig) if f.default is not MISSING}
    for signature, other in (SIGNATURES, SIGNATURES[::-1]):
        for name in signature:
            assert (name in with_default) == (name not in other)
            if name in with_default and name != "normalize_y":
                assert with_default[name] == signature[name].default


def test_values_are_plain_python():
    """NumPy's scalars, also nested ones, become Python's; real numbers floats; widths a tuple."""
    model = MLPClassifier(
        hidden_layer_sizes=np.array([3, 2]),
        alpha=np.int64(1),
        max_iter=np.int32(7),
        residual=np.bool_(True),
        activation=("leaky_relu", {"negative_slope": np.float32(0.5)}),
    )
    config = TrainingConfig.from_estimator(model)
    values = config.hidden_layer_sizes, config.alpha, config.max_iter, config.residual
    assert values == ((3, 2), 1.0, 7, True)
    assert list(map(type, values)) == [tuple, float, int, bool]
    assert type(config.activation[1]["negative_slope"]) is float


def test_nothing_is_written_into_a_configuration():
    """A parameter that is set on the estimator in a fit has no part in that fit."""
    model = MLPRegressor()
    config = TrainingConfig.from_estimator(model)
    model.set_params(alpha=3)
    assert config.alpha == 1e-4
    with pytest.raises(FrozenInstanceError):
        config.alpha = 3
