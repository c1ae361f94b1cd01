"""Notebooks show an estimator's layers beside scikit-learn's diagram."""

import re
from html.parser import HTMLParser

import pytest
import sklearn
import sklearn.neural_network
from sklearn.datasets import load_iris
from sklearn.utils import estimator_html_repr

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.architecture import rows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IDS = re.compile(r"(sk-container-id|sk-estimator-id)-\d+")


class Table(HTMLParser):
    """The texts of the cells of our table, row by row; fails at tags that do not match."""

    def __init__(self, html):
        super().__init__()
        self.open, self.rows, self.caption, self.inside = [], [], "", False
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.inside |= ("class", "sklmlp-architecture") in attributes
        if self.inside:
            self.open.append(tag)
        if tag == "tr" and self.inside:
            self.rows.append([])

    def handle_endtag(self, tag):
        if self.inside:
            assert self.open.pop() == tag
        self.inside &= tag != "table"

    def handle_data(self, data):
        if self.inside and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)
        elif self.inside and self.open[-1] == "caption":
            self.caption += data


@pytest.fixture(scope="module")
def iris():
    """Three classes, four features."""
    return load_iris(return_X_y=True)


def test_a_fitted_network(iris):
    """Layers, kinds, shapes and counts are those of coefs_ and intercepts_."""
    mlp = MLPClassifier((8, 3), ["glu", ("elu", {"alpha": 0.5})], max_iter=2).fit(*iris)
    shown = Table(mlp._repr_html_())
    sizes = [W.size + b.size for W, b in zip(mlp.coefs_, mlp.intercepts_, strict=True)]
    assert shown.rows == [
        ["layer", "kind", "shape", "parameters"],
        ["hidden 0", "linear, glu", "4 → 8", str(sizes[0])],
        ["hidden 1", "linear, elu(alpha=0.5)", "8 → 3", str(sizes[1])],
        ["output", "linear, softmax", "3 → 3", str(sizes[2])],
    ]
    assert shown.caption == f"{sum(sizes)} parameters, on cpu"


def test_before_a_fit():
    """What the parameters say is shown, and what they cannot say is a question mark."""
    mlp = MLPRegressor(
        hidden_layer_sizes=[20, 10], activation="relu", dropout=0.1, normalization="layer",
        residual=True, device="cpu", n_estimators=3,
    )  # fmt: skip
    shown = Table(mlp._repr_html_())
    hidden = "linear, layer normalization, relu, dropout 0.1 + skip"
    assert shown.rows[1:] == [
        ["hidden 0", hidden, "? → 20", "?"],
        ["hidden 1", hidden, "20 → 10", "?"],
        ["output", "linear", "10 → ?", "?"],
    ]
    assert shown.caption == "3 networks, not fitted, device='cpu'"


def test_an_ensemble(iris):
    """The layers of one network, and the numbers of all."""
    mlp = MLPClassifier((5,), n_estimators=3, max_iter=2, random_state=0).fit(*iris)
    shown = Table(mlp._repr_html_())
    assert [row[3] for row in shown.rows[1:]] == ["25", "18"]
    assert shown.caption == "3 networks, 129 parameters, on cpu"


def test_a_changed_parameter_does_not_change_what_was_fitted(iris):
    """After a fit it is the network that is shown, not the parameters of the next one."""
    mlp = MLPClassifier((5,), "tanh", max_iter=2).fit(*iris)
    before = rows(mlp)
    assert rows(mlp.set_params(hidden_layer_sizes=(7, 7), activation="relu")) == before


@pytest.mark.parametrize("activation", ["<b>&", ["relu"], ("relu", 3), 7, None])
@pytest.mark.parametrize("sizes", [-3, (), None, ("<i>", "&"), [3, "4"]])
def test_parameters_that_make_no_sense_are_shown_as_they_are(sizes, activation):
    """Showing never fails, and what users wrote is no HTML."""
    shown = Table(MLPClassifier(sizes, activation)._repr_html_())
    assert shown.rows[-1][0] == "output"


def test_scikit_learns_diagram_is_whole(iris):
    """The diagram comes first, as scikit-learn draws it; the colours are those of the theme."""
    mlp = MLPClassifier((5,), max_iter=2)
    for estimator in (mlp, mlp.fit(*iris)):
        html = IDS.sub(r"\1", estimator._repr_html_())
        diagram = IDS.sub(r"\1", estimator_html_repr(estimator))
        assert diagram in html
        ours = html.replace(diagram, "")
        assert not re.search(r"#[0-9a-f]{3}|rgb|white|black", ours)
        assert "currentColor" in ours


def test_plain_text_is_scikit_learns(iris):
    """`repr` says what scikit-learn's own estimator says, and `display="text"` has no HTML."""
    params = {"hidden_layer_sizes": (5,), "alpha": 0.1}
    ours, theirs = MLPClassifier(**params), sklearn.neural_network.MLPClassifier(**params)
    assert repr(ours) == repr(theirs)
    assert ours._repr_mimebundle_()["text/plain"] == repr(theirs)
    assert ours._repr_mimebundle_()["text/html"].count("sklmlp-architecture") == 1
    with sklearn.config_context(display="text"):
        assert not hasattr(ours, "_repr_html_")
        assert "text/html" not in ours._repr_mimebundle_()
