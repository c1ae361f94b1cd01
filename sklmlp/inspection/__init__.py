"""A look inside fitted networks: facts, pictures, and hidden layers as features."""

from sklmlp.inspection.diagnosis import GradientFlowDisplay, diagnose, linear_equivalent
from sklmlp.inspection.displays import ActivationDisplay, LossCurveDisplay
from sklmlp.inspection.hidden_features import HiddenFeatures
from sklmlp.inspection.hidden_units import HiddenUnitsDisplay
from sklmlp.inspection.method_comparison import MethodComparisonDisplay
from sklmlp.inspection.search_displays import (
    ParameterImportanceDisplay,
    ParetoDisplay,
    SearchHistoryDisplay,
)

__all__ = [
    "ActivationDisplay",
    "GradientFlowDisplay",
    "HiddenFeatures",
    "HiddenUnitsDisplay",
    "LossCurveDisplay",
    "MethodComparisonDisplay",
    "ParameterImportanceDisplay",
    "ParetoDisplay",
    "SearchHistoryDisplay",
    "diagnose",
    "linear_equivalent",
]
