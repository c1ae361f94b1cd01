"""The layers of an estimator's network as a table in scikit-learn's diagrams, for notebooks."""

import html

from sklmlp.nn.activation_spec import resolve
from sklmlp.nn.builder import children_by_layer

COLUMNS = ("layer", "kind", "shape", "parameters")


def rows(estimator, networks):
    """Return the layers of an estimator's network, of a fitted one with what the fit has learned.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    networks : list of FittedNetwork
        Its networks, of which the first is shown; empty before a fit.

    Returns
    -------
    rows : list of tuple of str
        The words of `COLUMNS` for each layer; what is not known yet is "?".
    """
    module = networks[0].module if networks else None
    spec = networks[0].spec if networks else None
    own = getattr(spec or estimator, "module", None)
    if own is not None:
        return _rows_of_own_module(own, module)
    widths, kinds = _hidden(estimator, spec)
    ins = [str(spec.width_in) if spec else "?", *widths]
    outs = [*widths, str(spec.n_outputs) if spec else "?"]
    names = [*(f"hidden {i}" for i in range(len(widths))), "output"]
    kinds.append(f"linear, {spec.out_activation}" if spec else "linear")
    counts = ["?"] * len(names)
    if spec:
        counts = [f"{sum(map(count, c.values())):,}" for c in children_by_layer(module)]
    shapes = [f"{i} → {o}" for i, o in zip(ins, outs, strict=True)]
    return list(zip(names, kinds, shapes, counts, strict=True))


def _hidden(estimator, spec):
    """Return the hidden layers' widths and kinds, as far as the parameters make sense."""
    told = spec or estimator
    if spec:
        widths, choices = spec.hidden, spec.activations
    else:
        sizes = estimator.hidden_layer_sizes
        widths = sizes if hasattr(sizes, "__iter__") else [sizes]
        choices = _choices(estimator.activation, len(widths))
    rates, normalization = getattr(told, "dropout", ()), getattr(told, "normalization", None)
    rates = list(rates) if hasattr(rates, "__iter__") else [rates] * len(widths)
    kinds = []
    for i, choice in enumerate(choices):
        parts = ["linear"]
        if normalization is not None:
            parts.append(f"{normalization} normalization")
        parts.append(repr(estimator.activation) if choice is None else describe(choice))
        if i < len(rates) and rates[i]:
            parts.append(f"dropout {rates[i]}")
        kinds.append(", ".join(parts) + (" + skip" if getattr(told, "residual", False) else ""))
    return list(map(str, widths)), kinds


def _choices(activation, n_layers):
    try:
        return resolve(activation, n_layers)
    except (TypeError, ValueError):  # `fit` will say what is wrong
        return [None] * n_layers


def describe(choice):
    """Return an activation in words: its name and the arguments that were given."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in choice.arguments.items())
    return f"{choice.name}({arguments})" if arguments else choice.name


def count(module):
    """Return how many numbers a module learns."""
    return sum(p.numel() for p in module.parameters())


def _rows_of_own_module(module_class, module):
    if module is None:
        return [("module", module_class.__name__, "?", "?")]
    return [
        (name, repr(child), "", f"{count(child):,}") for name, child in module.named_children()
    ] or [("module", repr(module), "", f"{count(module):,}")]


def layers_as_html(estimator, networks):
    """Return the layers of an estimator's network as a table of HTML, see `table_as_html`.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    networks : list of FittedNetwork
        See `rows`.
    """
    return table_as_html(rows(estimator, networks), _caption(estimator, networks))


def table_as_html(layers, caption):
    """Return a table of layers as HTML.

    The diagrams of scikit-learn ask each estimator in them for its parameters, under which this
    table is shown, also inside a Pipeline or a search.

    Parameters
    ----------
    layers : list of tuple of str
        The words of `COLUMNS` for each layer.
    caption : str

    Returns
    -------
    html : str
        Colors are those of the text around it, in light and in dark themes.
    """
    cell = "padding: 0.2em 0.8em; border: 0; text-align: {}; color: inherit; background: none;"
    left, right = cell.format("left"), cell.format("right")
    styles = left, left, right, right
    lines = []
    for layer, *facts in layers:
        cells = [f'<th scope="row" style="{left}">{html.escape(layer)}</th>']
        for style, fact in zip(styles[1:], facts, strict=True):
            cells.append(f'<td style="{style}">{html.escape(fact)}</td>')
        lines.append(f'<tr style="background: none;">{"".join(cells)}</tr>')
    head = "".join(
        f'<th scope="col" style="{style} border-bottom: 1px solid currentColor;">{name}</th>'
        for name, style in zip(COLUMNS, styles, strict=True)
    )
    return (
        '<table class="sklmlp-architecture" style="border-collapse: collapse; color: inherit; '
        'background: none; font-size: 0.9em;">'
        f'<caption style="caption-side: top; text-align: left; padding: 0.2em 0.8em; '
        f'color: inherit;">{html.escape(caption)}</caption>'
        f'<thead><tr style="background: none;">{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _caption(estimator, networks):
    """Return how many networks, numbers and where."""
    if not networks:
        n_networks, state = estimator.n_estimators, f"not fitted, device={str(estimator.device)!r}"
    else:
        n_numbers = sum(count(network.module) for network in networks)
        n_networks, state = len(networks), f"{n_numbers:,} parameters, on {networks[0].device}"
    return state if n_networks == 1 else f"{n_networks} networks, {state}"
