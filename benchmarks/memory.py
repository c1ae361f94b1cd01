"""Peak memory that a fit and a prediction add to their data, each in a process of its own.

python benchmarks/memory.py            # prints a table
"""

import resource
import subprocess
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


def main():
    if len(sys.argv) > 1:
        measure(sys.argv[1])
        return
    print("| 1.6 GB of float32 | added at the peak, MB | of the data |\n|---|---|---|")
    for what in ("fit", "predict_proba"):
        command = [sys.executable, __file__, what]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        data, added = map(int, printed.split())
        print(f"| {what} | {added / 1e6:.0f} | {added / data:.1%} |")


if __name__ == "__main__":
    main()
