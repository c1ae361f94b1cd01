"""The parts of a tabular estimator's network as a table in scikit-learn's diagrams."""

from itertools import pairwise

from sklmlp.fitted_network import fitted_networks
from sklmlp.nn import count, table_as_html


def rows(estimator, network):
    """Return the parts of a tabular estimator's network, of a fitted one with shapes and counts.

    Parameters
    ----------
    estimator : TabularMLPClassifier or TabularMLPRegressor
    network : FittedNetwork or None
        None before a fit.

    Returns
    -------
    rows : list of tuple of str
        Name, kind, shape and number of parameters; what is not known yet is "?".
    """
    if network is None:
        sizes = estimator.hidden_layer_sizes
        widths = list(map(str, sizes if hasattr(sizes, "__iter__") else [sizes]))
        told, columns, n_inputs, n_outputs, link = vars(estimator), "?", "?", "?", "linear"
        embeds = told["numeric_embedding"] is not None, told["category_embedding"]
        counts = ["?"] * (len(widths) + 2)
    else:
        module, told = network.module, network.spec.module_params
        widths = list(map(str, told["hidden_layer_sizes"]))
        head_in = module.head.shape[1]
        n_inputs = str(module.layers[0].weight.shape[0] if widths else head_in)
        embeds = module.front is not None, module.levels is not None
        columns, n_outputs = str(network.spec.width_in), str(network.spec.n_outputs)
        link = f"linear, {network.spec.out_activation}"
        layers = [count(layer) for layer in module.layers]
        head = module.head.numel() + module.head_bias.numel()
        counts = [f"{n:,}" for n in (count(module) - sum(layers) - head, *layers, head)]
    embedded = [f"{told['numeric_embedding']} embeddings", "vectors of levels"]
    embedded = [kind for kind, is_there in zip(embedded, embeds, strict=True) if is_there]
    kind = f"linear, relu, dropout {told['dropout']}"
    kinds = [", ".join(embedded), *[kind] * len(widths), link]
    names = ["input", *(f"hidden {i}" for i in range(len(widths))), "output"]
    ends = [columns, n_inputs, *widths, n_outputs]
    shapes = [f"{i} → {o}" for i, o in pairwise(ends)]
    every = list(zip(names, kinds, shapes, counts, strict=True))
    return every if embedded else every[1:]


def layers_as_html(estimator):
    """Return a table of HTML, see `sklmlp.nn.table_as_html`.

    Parameters
    ----------
    estimator : TabularMLPClassifier or TabularMLPRegressor
    """
    fitted = vars(estimator).get("network_")
    if fitted is None:
        n_members, state = estimator.n_estimators, f"not fitted, device={str(estimator.device)!r}"
        return table_as_html(rows(estimator, None), f"{n_members} members, {state}")
    network = fitted_networks(fitted)[0]
    n_members, n_numbers = network.module.n_members, count(network.module)
    caption = f"{n_members} members, {n_numbers:,} parameters, on {network.device}"
    return table_as_html(rows(estimator, network), caption)
