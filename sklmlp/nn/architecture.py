"""The layers of an estimator's network as a table in scikit-learn's diagrams, for notebooks."""

import html
from dataclasses import dataclass

from sklmlp.compat import extend_html
from sklmlp.nn import resolve


@dataclass
class Row:
    """One layer, in words; what is not known yet is "?".

    Parameters
    ----------
    layer, kind, shape, parameters : str
    """

    layer: str
    kind: str
    shape: str
    parameters: str


def rows(estimator):
    """The layers of an estimator's network, of a fitted one with what the fit has learnt.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        With `n_estimators` greater than one, the layers of one of its networks.

    Returns
    -------
    rows : list of Row
    """
    estimator = estimator._snapshot()
    fitted, network = estimator.__sklearn_is_fitted__(), estimator._networks[0]
    module = network.module_ if fitted else None
    own = getattr(network._spec if fitted else network, "module", None)
    if own is not None:
        return _rows_of_own_module(own, module)
    widths, kinds = _hidden(network)
    ins = [str(network.n_features_in_) if fitted else "?", *widths]
    outs = [*widths, str(network.n_outputs_) if fitted else "?"]
    names = [*(f"hidden {i}" for i in range(len(widths))), "output"]
    kinds.append(f"linear, {network.out_activation_}" if fitted else "linear")
    counts = _counts(module, len(names)) if fitted else ["?"] * len(names)
    shapes = [f"{i} → {o}" for i, o in zip(ins, outs, strict=True)]
    return [Row(*parts) for parts in zip(names, kinds, shapes, counts, strict=True)]


def _hidden(estimator):
    """The hidden layers' widths and kinds, as far as the parameters make sense."""
    told = estimator
    if estimator.__sklearn_is_fitted__():
        told = estimator._spec
        widths, choices = told.hidden, told.activations
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
    """An activation in words: its name and the arguments that were given."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in choice.arguments.items())
    return f"{choice.name}({arguments})" if arguments else choice.name


def _counts(module, n_layers):
    """Learned numbers by layer; children are named after their layer: linear_0, activation_0."""
    counts = [0] * n_layers
    for name, child in module.named_children():
        number = name.rpartition("_")[2]
        counts[int(number) if number.isdigit() else -1] += _count(child)
    return [f"{count:,}" for count in counts]


def _count(module):
    return sum(p.numel() for p in module.parameters())


def _rows_of_own_module(module_class, module):
    if module is None:
        return [Row("module", module_class.__name__, "?", "?")]
    return [
        Row(name, repr(child), "", f"{_count(child):,}") for name, child in module.named_children()
    ] or [Row("module", repr(module), "", f"{_count(module):,}")]


def with_layers(parameters, estimator):
    """scikit-learn's table of an estimator's parameters, with that of its layers under it.

    The diagrams of scikit-learn ask each estimator in them for its parameters, so that the layers
    are shown inside a Pipeline or a search too.

    Parameters
    ----------
    parameters : ParamsDict
        What scikit-learn would show; it is changed.
    estimator : MLPClassifier or MLPRegressor

    Returns
    -------
    parameters : ParamsDict
    """
    return extend_html(parameters, lambda: layers_as_html(estimator))


def layers_as_html(estimator):
    """The layers of an estimator's network as a table of HTML.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor

    Returns
    -------
    html : str
        Colours are those of the text around it, in light and in dark themes.
    """
    cell = "padding: 0.2em 0.8em; border: 0; text-align: {}; color: inherit; background: none;"
    left, right = cell.format("left"), cell.format("right")
    lines = [
        f'<tr style="background: none;"><th scope="row" style="{left}">{html.escape(row.layer)}'
        f'</th><td style="{left}">{html.escape(row.kind)}</td>'
        f'<td style="{right}">{html.escape(row.shape)}</td>'
        f'<td style="{right}">{html.escape(row.parameters)}</td></tr>'
        for row in rows(estimator)
    ]
    head = "".join(
        f'<th scope="col" style="{style} border-bottom: 1px solid currentColor;">{name}</th>'
        for name, style in zip(
            ("layer", "kind", "shape", "parameters"), (left, left, right, right), strict=True
        )
    )
    caption = html.escape(_caption(estimator))
    return (
        '<table class="sklmlp-architecture" style="border-collapse: collapse; color: inherit; '
        'background: none; font-size: 0.9em;">'
        f'<caption style="caption-side: top; text-align: left; padding: 0.2em 0.8em; '
        f'color: inherit;">{caption}</caption>'
        f'<thead><tr style="background: none;">{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _caption(estimator):
    """How many networks, numbers and where."""
    if not estimator.__sklearn_is_fitted__():
        n_networks, state = estimator.n_estimators, f"not fitted, device={str(estimator.device)!r}"
    else:
        members = estimator._snapshot()._networks
        n_numbers = sum(_count(member.module_) for member in members)
        n_networks, state = len(members), f"{n_numbers:,} parameters, on {members[0].device_}"
    return state if n_networks == 1 else f"{n_networks} networks, {state}"
