"""Peak memory that a fit and a prediction add to their data; prints a table."""

import resource
import sys
import warnings

import numpy as np

import sklmlp

ROWS, FEATURES = 4_000_000, 100  # 1.6 GB of float32


def peak():
    """Bytes this process has had in memory at the most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def main():
    warnings.filterwarnings("ignore")
    rng = np.random.default_rng(0)
    warm = rng.standard_normal((1000, FEATURES), dtype=np.float32)
    model = sklmlp.MLPClassifier((32,), max_iter=1, random_state=0).fit(warm, warm[:, 0] > 0)
    X = rng.standard_normal((ROWS, FEATURES), dtype=np.float32)
    y = X[:, 0] > 0
    before = peak()
    model.fit(X, y)
    fitted = peak()
    answer = model.predict_proba(X)
    predicted = peak()
    print("| 1.6 GB of float32 | added at the peak, MB | of the data |\n|---|---|---|")
    print(f"| fit | {(fitted - before) / 1e6:.0f} | {(fitted - before) / X.nbytes:.1%} |")
    beyond = max(0, predicted - fitted - answer.nbytes)
    print(f"| predict_proba, beyond its output and the fit's peak | {beyond / 1e6:.0f} | |")


if __name__ == "__main__":
    main()
