"""A look inside fitted networks: facts, pictures, and hidden layers as features."""

from sklmlp.inspection.activation_display import ActivationDisplay
from sklmlp.inspection.diagnosis import diagnose, linear_equivalent
from sklmlp.inspection.gradient_flow import GradientFlowDisplay
from sklmlp.inspection.hidden_features import HiddenFeatures
from sklmlp.inspection.hidden_units import HiddenUnitsDisplay
from sklmlp.inspection.loss_curve_display import LossCurveDisplay

__all__ = [
    "ActivationDisplay",
    "GradientFlowDisplay",
    "HiddenFeatures",
    "HiddenUnitsDisplay",
    "LossCurveDisplay",
    "diagnose",
    "linear_equivalent",
]
