"""What the displays share: axes and colours."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222")
"""Okabe & Ito's (2008), which everyone can tell apart."""


def axes_for(display, ax=None):
    """The axes to draw on: those given, or new ones.

    Parameters
    ----------
    display : object
        Named in the error where matplotlib is not installed.
    ax : matplotlib.axes.Axes or None

    Returns
    -------
    ax : matplotlib.axes.Axes
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{type(display).__name__} needs matplotlib: pip install 'sklmlp[plot]'"
        ) from error
    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    return ax


def legend_below(ax, handles, lines=4):
    """A legend under the axes, where it hides nothing, so many lines of text below them."""
    handles = [handle for handle in handles if not handle.get_label().startswith("_")]  # unnamed
    ax.legend(
        handles=handles, frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 0),
        borderaxespad=lines,
    )  # fmt: skip
