"""Networks: their plain description, their weights and their torch modules."""

from sklmlp.nn.choice import Choice, constructor_arguments, output_rule, resolve, resolve_one
from sklmlp.nn.network import Network, is_turned
from sklmlp.nn.predictor import Predictor
from sklmlp.nn.spec import Spec, Weights, assemble, initial_weights, learned_shapes

__all__ = [
    "Choice",
    "Network",
    "Predictor",
    "Spec",
    "Weights",
    "assemble",
    "constructor_arguments",
    "initial_weights",
    "is_turned",
    "learned_shapes",
    "output_rule",
    "resolve",
    "resolve_one",
]
