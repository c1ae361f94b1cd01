"""Peak memory that a fit and a prediction add to their data, each in a process of its own.

python benchmarks/memory.py            # prints tables: rows of numbers, and a raw table
"""

import resource
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd

import sklmlp

ROWS, FEATURES = 4_000_000, 100  # 1.6 GB of float32
TABLE = (500_000, 40, (2, 3, 5, 8, 12, 20, 50, 100, 300, 1000))  # rows, numbers, levels


def peak():
    """Bytes this process has had in memory at the most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def measure(what):
    """Print the bytes of the data, and those added to it; outputs do not count."""
    warnings.filterwarnings("ignore")
    rng = np.random.default_rng(0)
    warm = rng.standard_normal((1000, FEATURES), dtype=np.float32)
    model = sklmlp.MLPClassifier((32,), max_iter=1, random_state=0).fit(warm, warm[:, 0] > 0)
    X = rng.standard_normal((ROWS, FEATURES), dtype=np.float32)
    y = X[:, 0] > 0
    before = peak()
    output = model.fit(X, y).coefs_[0] if what == "fit" else model.predict_proba(X)
    print(X.nbytes, max(0, peak() - before - output.nbytes))


def measure_table():
    """Print the bytes of a table and those that a fit of one epoch adds."""
    warnings.filterwarnings("ignore")
    rng = np.random.default_rng(0)
    n, n_numbers, levels = TABLE
    X = pd.DataFrame(rng.standard_normal((n, n_numbers)), columns=[f"x{i}" for i in range(40)])
    for k in levels:
        codes = rng.integers(0, k, n)
        X[f"of {k}"] = pd.Categorical.from_codes(codes, [f"level {i}" for i in range(k)])
    y = X["x0"].to_numpy() + (X["of 8"].cat.codes.to_numpy() > 3) > 0
    model = sklmlp.TabularMLPClassifier(max_iter=1, refit=False, random_state=0)
    model.fit(X[:2000], y[:2000])
    before = peak()
    model.fit(X, y)
    print(int(X.memory_usage(deep=True).sum()), max(0, peak() - before))


def main():
    if len(sys.argv) > 1:
        measure_table() if sys.argv[1] == "table" else measure(sys.argv[1])
        return
    print("| 1.6 GB of float32 | added at the peak, MB | of the data |\n|---|---|---|")
    for what in ("fit", "predict_proba"):
        command = [sys.executable, __file__, what]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        data, added = map(int, printed.split())
        print(f"| {what} | {added / 1e6:.0f} | {added / data:.1%} |")
    command = [sys.executable, __file__, "table"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    data, added = map(int, printed.split())
    print(
        f"\n500,000 rows of 40 numbers and 10 categories ({data / 1e6:.0f} MB), a fit of one epoch "
    )
    print(
        f"of `TabularMLPClassifier`: {added / 1e6:.0f} MB more, {added / data:.1f} times the table"
    )


if __name__ == "__main__":
    main()
