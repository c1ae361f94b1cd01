"""Notebooks show an estimator's layers within scikit-learn's diagrams."""

import re
from html.parser import HTMLParser

import pytest
import sklearn
import sklearn.neural_network
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.fitted_network import fitted_networks
from sklmlp.inspection import HiddenFeatures
from sklmlp.nn import layers_as_html

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IDS = re.compile(r"(sk-container-id|sk-estimator-id)-\d+")


class Dataset(HTMLParser):
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
    shown = Dataset(mlp._repr_html_())
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
    shown = Dataset(mlp._repr_html_())
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
    shown = Dataset(mlp._repr_html_())
    assert [row[3] for row in shown.rows[1:]] == ["25", "18"]
    assert shown.caption == "3 networks, 129 parameters, on cpu"


def test_a_changed_parameter_does_not_change_what_was_fitted(iris):
    """After a fit it is the network that is shown, not the parameters of the next one."""
    mlp = MLPClassifier((5,), "tanh", max_iter=2).fit(*iris)
    before = Dataset(mlp._repr_html_()).rows
    mlp.set_params(hidden_layer_sizes=(7, 7), activation="relu")
    assert Dataset(mlp._repr_html_()).rows == before


@pytest.mark.parametrize("activation", ["<b>&", ["relu"], ("relu", 3), 7, None])
@pytest.mark.parametrize("sizes", [-3, (), None, ("<i>", "&"), [3, "4"]])
def test_parameters_that_make_no_sense_are_shown_as_they_are(sizes, activation):
    """Showing never fails, and what users wrote is no HTML."""
    shown = Dataset(MLPClassifier(sizes, activation)._repr_html_())
    assert shown.rows[-1][0] == "output"


def test_scikit_learns_diagram_is_whole(iris, monkeypatch):
    """The diagram is scikit-learn's but for the table; the colours are those of the theme."""
    mlp = MLPClassifier((5,), max_iter=2)
    for estimator in (mlp, mlp.fit(*iris)):
        networks = fitted_networks(mlp) if hasattr(mlp, "coefs_") else []
        ours = layers_as_html(mlp, networks)
        html = IDS.sub(r"\1", mlp._repr_html_())
        with monkeypatch.context() as without:
            without.delattr("sklmlp.prediction.PredictionMixin._get_params_html")
            diagram = IDS.sub(r"\1", estimator._repr_html_())
        assert html.replace(ours, "") == diagram
        assert not re.search(r"#[0-9a-f]{3}|rgb|white|black", ours)
        assert "currentColor" in ours


INSIDE = {
    "a pipeline": lambda mlp: make_pipeline(StandardScaler(), mlp),
    "a search": lambda mlp: GridSearchCV(mlp, {"alpha": [0.1]}, cv=2),
    "a search of pipelines": lambda mlp: GridSearchCV(
        make_pipeline(StandardScaler(), mlp), {"mlpclassifier__alpha": [0.1]}, cv=2
    ),
    "a vote": lambda mlp: VotingClassifier([("one", mlp), ("other", LogisticRegression())]),
    "a transformer of columns": lambda mlp: make_column_transformer((HiddenFeatures(mlp), [0, 1])),
}


@pytest.mark.parametrize("holder", INSIDE.values(), ids=INSIDE)
def test_inside_other_estimators(holder, iris):
    """The layers are shown wherever scikit-learn draws an estimator of ours, before and after."""
    outer = holder(MLPClassifier((5,), "relu", max_iter=2, random_state=0))
    before = Dataset(outer._repr_html_())
    assert before.rows[1:] == [
        ["hidden 0", "linear, relu", "? → 5", "?"],
        ["output", "linear", "5 → ?", "?"],
    ]
    assert before.caption == "not fitted, device='auto'"


def test_the_fitted_one_inside_is_shown(iris):
    """After a fit, a pipeline's step and a search's best estimator show what they have learned."""
    for holder in (INSIDE["a pipeline"], INSIDE["a search"], INSIDE["a search of pipelines"]):
        outer = holder(MLPClassifier((5,), "relu", max_iter=2, random_state=0)).fit(*iris)
        shown = Dataset(outer._repr_html_())
        assert shown.rows[1:] == [
            ["hidden 0", "linear, relu", "4 → 5", "25"],
            ["output", "linear, softmax", "5 → 3", "18"],
        ]
        assert shown.caption == "43 parameters, on cpu"


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
