"""The same network on the same data, by sklmlp and by its peers."""

import itertools
import math
import time

import numpy as np
import sklearn.neural_network
import torch
from sklearn.datasets import make_classification, make_regression
from skorch import NeuralNetClassifier, NeuralNetRegressor
from torch import nn

import sklmlp

CASES = [  # rows, features, hidden widths, classes (1 is regression), epochs
    (1797, 64, (100,), 10, 50),
    (150, 4, (50,), 3, 200),
    (20_000, 50, (256, 128), 5, 5),
    (20_000, 784, (512, 256), 10, 2),
    (20_000, 30, (64, 64, 64), 1, 5),
    (100_000, 20, (32,), 2, 3),
]


def make_data(n, d, classes, dtype=np.float32):
    """Random rows and targets of a case."""
    if classes == 1:
        X, y = make_regression(n, d, n_informative=max(2, d // 2), noise=1.0, random_state=0)
        return X.astype(dtype), ((y - y.mean()) / y.std()).astype(dtype)
    X, y = make_classification(
        n,
        d,
        n_informative=max(4, d // 2),
        n_redundant=0,
        n_classes=classes,
        n_clusters_per_class=1,
        random_state=0,
    )
    return X.astype(dtype), y


def mlp(library, hidden, classes, epochs, **more):
    """An estimator of `library`, sklmlp or sklearn.neural_network, that never stops early."""
    kind = library.MLPRegressor if classes == 1 else library.MLPClassifier
    return kind(
        hidden_layer_sizes=hidden,
        max_iter=epochs,
        tol=0,
        n_iter_no_change=10**9,
        random_state=0,
        **more,
    )


class SkorchModule(nn.Module):
    """The network of a case, for skorch."""

    def __init__(self, d, hidden, n_outputs):
        super().__init__()
        widths, layers = [d, *hidden], []
        for fan_in, fan_out in itertools.pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs))

    def forward(self, X):
        return self.layers(X)


def skorch_net(d, hidden, classes, epochs, **more):
    """A skorch net of the same architecture, with its usual callbacks silenced."""
    kind = NeuralNetRegressor if classes == 1 else NeuralNetClassifier
    return kind(
        SkorchModule(d, hidden, classes),
        criterion=nn.MSELoss if classes == 1 else nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=200,
        max_epochs=epochs,
        train_split=None,
        verbose=0,
        iterator_train__shuffle=True,
        **more,
    )


def estimators(d, hidden, classes, epochs):
    """(name, fit and predict) of every peer; skorch wants two-dimensional targets."""
    return {
        "sklmlp": mlp(sklmlp, hidden, classes, epochs),
        "scikit-learn": mlp(sklearn.neural_network, hidden, classes, epochs),
        "skorch": skorch_net(d, hidden, classes, epochs),
    }


SECONDS_OF_SPINNING = 0.2
"""For so long threads of OpenBLAS and OpenMP may look for more work, and keep a core from the next
candidate, which is to have idle ones."""


def take_turns(runs, repeats):
    """Seconds of each run: the candidates take turns, the first round warms up.

    Parameters
    ----------
    runs : dict of str to callable
    repeats : int

    Returns
    -------
    seconds : dict of str to list of float
    """
    seconds = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            time.sleep(SECONDS_OF_SPINNING)
            start = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def geometric_mean(values):
    """The mean of ratios."""
    return math.exp(sum(map(math.log, values)) / len(values))
