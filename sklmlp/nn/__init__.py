"""Networks: their plain description, their weights and their torch modules."""

from sklmlp.nn.activation_spec import (
    ActivationSpec,
    constructor_arguments,
    output_rule,
    resolve,
    resolve_one,
)
from sklmlp.nn.architecture import count, describe, layers_as_html, table_as_html
from sklmlp.nn.builder import (
    build_module,
    children_by_layer,
    learned_shapes,
    part_name,
    part_state,
)
from sklmlp.nn.compiled import can_compile, make_model, make_plan, running_statistics
from sklmlp.nn.custom_module import check_module_class
from sklmlp.nn.embeddings import bin_edges, pad_edges
from sklmlp.nn.layers import EPSILON, NORMALIZATIONS, check_trainable, dropout_rates
from sklmlp.nn.network import Network, build_network, is_stored_transposed
from sklmlp.nn.spec import Spec, Weights, check_same_layers, initial_weights
from sklmlp.nn.tied import TiedNetwork

__all__ = [
    "EPSILON",
    "NORMALIZATIONS",
    "ActivationSpec",
    "Network",
    "Spec",
    "TiedNetwork",
    "Weights",
    "bin_edges",
    "build_module",
    "build_network",
    "can_compile",
    "check_module_class",
    "check_same_layers",
    "check_trainable",
    "children_by_layer",
    "constructor_arguments",
    "count",
    "describe",
    "dropout_rates",
    "initial_weights",
    "is_stored_transposed",
    "layers_as_html",
    "learned_shapes",
    "make_model",
    "make_plan",
    "output_rule",
    "pad_edges",
    "part_name",
    "part_state",
    "resolve",
    "resolve_one",
    "running_statistics",
    "table_as_html",
]
