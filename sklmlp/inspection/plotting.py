"""Axes and colours, shared by the displays."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222")
"""Okabe & Ito's (2008), which everyone can tell apart."""


def axes_for(display, ax=None):
    """Return the axes to draw on: those given, or new ones.

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
    """Draw a legend: under the axes where a layout makes room for it, else in them.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    handles : list of artists
    lines : int, default=4
        How many lines of text there are between the axes and the legend.
    """
    handles = [handle for handle in handles if not handle.get_label().startswith("_")]  # unnamed
    figure, place = ax.figure, ax.get_subplotspec()
    if figure.get_layout_engine() is None:  # nothing would make room below the axes
        ax.legend(handles=handles, framealpha=0.8)
        return
    room = 0.95 * figure.bbox.width / (1 if place is None else place.get_gridspec().ncols)
    for n_columns in (3, 2, 1):
        legend = ax.legend(
            handles=handles, frameon=False, ncols=n_columns, loc="upper center",
            bbox_to_anchor=(0.5, 0), borderaxespad=lines,
        )  # fmt: skip
        legend.set_in_layout(False)  # a legend that is too wide would leave no room for the axes
        figure.draw_without_rendering()  # it learns its width
        width = legend.get_window_extent().width
        if width <= room:
            break
    for text in legend.get_texts():
        text.set_fontsize(text.get_fontsize() * min(1, room / width))
    legend.set_in_layout(True)
