"""What the displays draw of a fit is what the fit's numbers are."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, VotingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.inspection import (
    ActivationDisplay,
    GradientFlowDisplay,
    HiddenUnitsDisplay,
    LossCurveDisplay,
    diagnose,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def fitted(digits):
    """A network with early stopping."""
    return MLPClassifier((12, 6), early_stopping=True, max_iter=5, random_state=0).fit(*digits)


def displays(fitted, X, y, **kwargs):
    return [
        ActivationDisplay.from_names(["relu"], **kwargs),
        LossCurveDisplay.from_estimator(fitted, **kwargs),
        GradientFlowDisplay.from_estimator(fitted, X, y, **kwargs),
        HiddenUnitsDisplay.from_estimator(fitted, X, **kwargs),
    ]


def test_axes_and_figure_are_kept(fitted, digits):
    """A display draws on its own figure or on given axes, returns itself and keeps both."""
    for display in displays(fitted, *digits):
        _, ax = plt.subplots()
        first = display.ax_
        assert display.figure_ is first.figure
        assert display.plot(ax=ax) is display
        assert display.ax_ is ax
        assert display.figure_ is ax.figure
        assert first is not ax
    _, ax = plt.subplots()
    assert all(display.ax_ is ax for display in displays(fitted, *digits, ax=ax))


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch, fitted, digits):
    """Numbers need no matplotlib; pictures say which extra brings it."""
    made = displays(fitted, *digits)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for display in made:
        with pytest.raises(ImportError, match=r"Display needs matplotlib: pip install 'sklmlp\["):
            display.plot()


def test_loss_curves_are_the_history(fitted):
    """The lines are the losses and scores of each epoch."""
    display = LossCurveDisplay.from_estimator(fitted)
    lines = display.lines_
    np.testing.assert_array_equal(lines["train_loss"].get_ydata(), fitted.loss_curve_)
    np.testing.assert_array_equal(lines["train_loss"].get_xdata(), [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(lines["valid_score"].get_ydata(), fitted.validation_scores_)
    valid_loss = [record["valid_loss"] for record in fitted.history_]
    np.testing.assert_array_equal(lines["valid_loss"].get_ydata(), valid_loss)
    assert lines["valid_score"].axes is display.score_ax_ is not display.ax_


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_fit_without_validation_has_one_curve(digits, solver):
    """Without early stopping there is the training loss alone, also of L-BFGS."""
    mlp = MLPRegressor(hidden_layer_sizes=(4,), solver=solver, max_iter=4, random_state=0)
    mlp.fit(digits[0], digits[0][:, :2])
    display = LossCurveDisplay.from_estimator(mlp)
    assert list(display.lines_) == ["train_loss"]
    assert display.score_ax_ is None
    losses = [record["train_loss"] for record in mlp.history_]
    np.testing.assert_array_equal(display.lines_["train_loss"].get_ydata(), losses)


def test_fits_on_the_same_axes_are_told_apart(digits):
    """Several fits share axes, scores included, each in its own colour and by its name."""
    fits = [
        MLPClassifier((w,), early_stopping=True, max_iter=3, random_state=0).fit(*digits)
        for w in (4, 8)
    ]
    _, ax = plt.subplots()
    pictures = [
        LossCurveDisplay.from_estimator(fit, name=f"{fit.hidden_layer_sizes[0]} units", ax=ax)
        for fit in fits
    ]
    assert pictures[0].score_ax_ is pictures[1].score_ax_
    first, second = ({line.get_color() for line in p.lines_.values()} for p in pictures)
    assert len(first) == len(second) == 1
    assert first != second
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert "4 units: training loss" in labels
    assert "8 units: validation score" in labels


def test_gradient_flow_draws_its_norms(fitted, digits):
    """The lines are the norms at the start and at the end; the end's are those of diagnose."""
    display = GradientFlowDisplay.from_estimator(fitted, *digits, name="mine")
    np.testing.assert_array_equal(display.start_line_.get_ydata(), display.start)
    np.testing.assert_array_equal(display.end_line_.get_ydata(), display.end)
    np.testing.assert_array_equal(display.end, diagnose(fitted, *digits)["gradient_norm"])
    assert display.ax_.get_yscale() == "log"
    ticks = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert ticks == ["hidden 0", "hidden 1", "output"]
    assert display.end_line_.get_label() == "mine, at the end"


def test_bars_are_the_units_activity(digits):
    """A bar's height is the mean absolute activity; dead units have a mark, saturated a colour."""
    X, y = digits
    mlp = MLPClassifier((9, 5), activation=["relu", "tanh"], max_iter=3, random_state=0).fit(X, y)
    mlp.intercepts_[0][2] = -1e3  # never on
    mlp.intercepts_[1][4] = 1e3  # always at the bound
    display = HiddenUnitsDisplay.from_estimator(mlp, X)
    first = np.maximum(X @ mlp.coefs_[0] + mlp.intercepts_[0], 0)
    second = np.tanh(first @ mlp.coefs_[1] + mlp.intercepts_[1])
    for bars, activity in zip(display.bars_, (first, second), strict=True):
        heights = [bar.get_height() for bar in bars]
        np.testing.assert_allclose(heights, np.abs(activity).mean(0), atol=1e-12)
    np.testing.assert_array_equal(display.dead[0], (first == 0).all(0))
    assert display.dead[0][2]
    np.testing.assert_array_equal(display.saturated[1], (1 - second**2 < 0.05).mean(0) >= 0.9)
    assert display.saturated[1][4]
    marks = [line for line in display.ax_.lines if line.get_marker() == "x"]
    where = [bar.get_x() + bar.get_width() / 2 for bar in display.bars_[0]]
    np.testing.assert_allclose(marks[0].get_xdata(), np.array(where)[display.dead[0]])
    colours = [bar.get_facecolor() for bar in display.bars_[1]]
    assert [c == colours[4] for c in colours] == list(display.saturated[1])
    n_dead, n_saturated = (sum(map(np.sum, part)) for part in (display.dead, display.saturated))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    counts = 14 - n_dead - n_saturated, n_saturated, n_dead
    assert labels == [f"active ({counts[0]})", f"saturated ({counts[1]})", f"dead ({counts[2]})"]


def test_no_hidden_units_no_picture(digits):
    """An affine map alone has no hidden units, and the error says so."""
    mlp = MLPClassifier((), max_iter=2).fit(*digits)
    with pytest.raises(ValueError, match=r"no hidden units: hidden_layer_sizes=\(\)"):
        HiddenUnitsDisplay.from_estimator(mlp, digits[0])


def test_an_ensemble_points_to_its_networks(digits):
    """One network is looked at at a time."""
    ensemble = MLPClassifier((4,), n_estimators=2, max_iter=2, random_state=0).fit(*digits)
    for look in (
        lambda e: GradientFlowDisplay.from_estimator(e, *digits),
        lambda e: HiddenUnitsDisplay.from_estimator(e, digits[0]),
        lambda e: diagnose(e, *digits),
    ):
        with pytest.raises(ValueError, match=r"has 2 networks.*estimators_\[0\]"):
            look(ensemble)
        look(ensemble.estimators_[0])


def test_loss_curves_of_an_ensemble_are_those_of_all_networks(digits):
    """Each network has its lines, and the legend counts them."""
    ensemble = MLPClassifier((4,), n_estimators=3, early_stopping=True, max_iter=3, random_state=0)
    display = LossCurveDisplay.from_estimator(ensemble.fit(*digits))
    for network, line in zip(ensemble.estimators_, display.lines_["train_loss"], strict=True):
        np.testing.assert_array_equal(line.get_ydata(), network.loss_curve_)
    for network, line in zip(ensemble.estimators_, display.lines_["valid_score"], strict=True):
        np.testing.assert_array_equal(line.get_ydata(), network.validation_scores_)
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == [
        "training loss of 3 networks",
        "validation loss of 3 networks",
        "validation score of 3 networks",
    ]


SMALL = {"max_iter": 3, "random_state": 0}
ENDING_IN_A_NETWORK = {
    "a pipeline": lambda mlp: make_pipeline(StandardScaler(), mlp),
    "a pipeline in a pipeline": lambda mlp: make_pipeline(make_pipeline(StandardScaler(), mlp)),
    "a search": lambda mlp: GridSearchCV(mlp, {"alpha": [0.1]}, cv=2),
    "a search of pipelines": lambda mlp: GridSearchCV(
        make_pipeline(StandardScaler(), mlp), {"mlpregressor__alpha": [0.1]}, cv=2
    ),
    "scaled targets": lambda mlp: TransformedTargetRegressor(mlp, transformer=StandardScaler()),
    "a vote": lambda mlp: VotingRegressor([("a", mlp), ("b", make_pipeline(clone(mlp)))]),
    "bagging": lambda mlp: BaggingRegressor(mlp, 2, random_state=0),
}


@pytest.mark.parametrize("make", ENDING_IN_A_NETWORK.values(), ids=ENDING_IN_A_NETWORK)
def test_loss_curves_of_what_ends_in_a_network(make, digits):
    """Pipelines, searches and ensembles show the curves of the networks that they have fitted."""
    X, _ = digits
    outer = make(MLPRegressor(hidden_layer_sizes=(4,), **SMALL))
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(outer)
    display = LossCurveDisplay.from_estimator(outer.fit(X, X[:, 20]))
    lines = np.ravel(display.lines_["train_loss"])
    assert len(lines) == (2 if hasattr(outer, "estimators_") else 1)
    curves = [part.loss_curve_ for part in networks_in(outer)]
    for line, curve in zip(lines, curves, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), curve)


def networks_in(outer):
    """The networks in an estimator, one attribute after the other."""
    if isinstance(outer, MLPRegressor):
        return [outer]
    if isinstance(outer, Pipeline):
        return networks_in(outer.steps[-1][1])
    if hasattr(outer, "best_estimator_"):
        return networks_in(outer.best_estimator_)
    if hasattr(outer, "regressor_"):
        return networks_in(outer.regressor_)
    return [network for part in outer.estimators_ for network in networks_in(part)]


def wide(name):
    """Axes, and how many fits of a name are drawn in them."""
    return {
        "a figure of its own": lambda: (None, 1),
        "given axes": lambda: (plt.subplots()[1], 1),
        "given axes with a layout": lambda: (plt.subplots(layout="constrained")[1], 1),
        "one of three axes": lambda: (plt.subplots(1, 3, layout="constrained")[1][1], 1),
        "a small figure": lambda: (plt.subplots(figsize=(3, 3), layout="constrained")[1], 1),
        "four fits": lambda: (plt.subplots(layout="constrained")[1], 4),
    }[name]()


@pytest.mark.parametrize(
    "place, name",
    [
        ("a figure of its own", None),
        *((place, "twenty units, adam") for place in (
            "a figure of its own", "given axes", "given axes with a layout", "one of three axes",
            "a small figure", "four fits",
        )),
    ],
)  # fmt: skip
def test_the_legend_is_in_the_picture(place, name, fitted):
    """No part of the legend is cut off, and it hides no labels of the axes."""
    ax, n_fits = wide(place)
    for _ in range(n_fits):
        display = LossCurveDisplay.from_estimator(fitted, name=name, ax=ax)
        ax = display.ax_
    display.figure_.draw_without_rendering()
    legend, picture = ax.get_legend().get_window_extent(), display.figure_.bbox
    assert picture.x0 <= legend.x0 and legend.x1 <= picture.x1
    assert picture.y0 <= legend.y0 and legend.y1 <= picture.y1
    assert not legend.overlaps(ax.xaxis.label.get_window_extent())


@pytest.mark.parametrize("estimator", [3, "mlp", LossCurveDisplay])
def test_other_objects_are_refused(estimator):
    """What is no estimator of ours is named in the error."""
    with pytest.raises(TypeError, match="estimator must be a MLPClassifier or MLPRegressor"):
        LossCurveDisplay.from_estimator(estimator)
