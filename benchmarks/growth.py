"""Seconds for each row and epoch as a memory-mapped table grows; prints a table."""

import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import sklmlp

SIZES, FEATURES = [10_000, 100_000, 1_000_000, 10_000_000], 20


def main():
    warnings.filterwarnings("ignore")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "X.npy"
        file = np.lib.format.open_memmap(path, "w+", np.float32, (SIZES[-1], FEATURES))
        rng = np.random.default_rng(0)
        for start in range(0, SIZES[-1], 10**6):
            file[start : start + 10**6] = rng.standard_normal((10**6, FEATURES), dtype=np.float32)
        file.flush()
        X = np.load(path, mmap_mode="r")
        for n in [SIZES[2], *SIZES]:  # the first warms up
            y = np.asarray(X[:n, 0]) > 0
            row = [f"{n:,}"]
            for shuffle in (False, True):
                model = sklmlp.MLPClassifier((32,), max_iter=max(3, 10**6 // n), shuffle=shuffle)
                model.set_params(tol=0, n_iter_no_change=10**9)
                start = time.perf_counter()
                model.fit(X[:n], y)
                once = time.perf_counter() - start
                epochs = [epoch["seconds"] for epoch in model.history_]
                row.append(f"{statistics.median(epochs) / n * 1e6:.3f}")
            row.append(f"{(once - sum(epochs)) / n * 1e6:.3f}")
            rows.append("| " + " | ".join(row) + " |")
    print("| rows | an epoch in place, us a row | shuffled | once a fit |\n|---|---|---|---|")
    print("\n".join(rows[1:]))


if __name__ == "__main__":
    main()
