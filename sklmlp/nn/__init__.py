"""Networks: their plain description, their weights and their torch modules."""

from sklmlp.nn.choice import Choice, constructor_arguments, output_rule, resolve, resolve_one
from sklmlp.nn.compatibility import check_same_layers, check_trainable
from sklmlp.nn.layers import EPSILON, NORMALIZATIONS, dropout_rates
from sklmlp.nn.network import Network, is_turned
from sklmlp.nn.own import check_module_class
from sklmlp.nn.predictor import Predictor, make_predictor
from sklmlp.nn.spec import Spec, Weights, initial_weights
from sklmlp.nn.stack import assemble, learned_shapes

__all__ = [
    "EPSILON",
    "NORMALIZATIONS",
    "Choice",
    "Network",
    "Predictor",
    "Spec",
    "Weights",
    "assemble",
    "check_module_class",
    "check_same_layers",
    "check_trainable",
    "constructor_arguments",
    "dropout_rates",
    "initial_weights",
    "is_turned",
    "learned_shapes",
    "make_predictor",
    "output_rule",
    "resolve",
    "resolve_one",
]
