"""Compare sklmlp with scikit-learn and skorch in one run, and write docs/performance.md's tables.

python benchmarks/compare.py                 # everything, about ten minutes on an idle machine
python benchmarks/compare.py fit row         # some of it, printed only
"""

import argparse
import platform
import subprocess
import sys
import threading
import time
import warnings
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import sklearn.neural_network
import torch
from peers import CASES, estimators, geometric_mean, make_data, mlp, skorch_net, take_turns
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

import sklmlp

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
HERE = Path(__file__).parent


def name_of(case):
    n, d, hidden, classes, _ = case
    return f"{n:,} rows, {'-'.join(map(str, (d, *hidden, classes)))}"


def table(columns, rows):
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def ratios(seconds, name):
    """The best time of a peer over ours, and how far ours spread."""
    return min(seconds[name]) / min(seconds["sklmlp"])


def compare_fits(dtype=np.float32):
    """Microseconds for one training step."""
    rows, against = [], {"scikit-learn": [], "skorch": []}
    for case in CASES:
        n, d, hidden, classes, epochs = case
        X, y = make_data(n, d, classes, dtype)
        runs = {
            name: partial(model.fit, X, _target(name, y, classes))
            for name, model in estimators(d, hidden, classes, epochs).items()
            if dtype == np.float32 or name != "skorch"
        }
        seconds = take_turns(runs, 5)
        steps = epochs * -(-n // 200)
        row = [name_of(case)]
        row += [
            f"{min(s) / steps * 1e6:.0f} to {max(s) / steps * 1e6:.0f}" for s in seconds.values()
        ]
        for name in against:
            if name in seconds:
                against[name].append(ratios(seconds, name))
                row.append(f"{against[name][-1]:.2f}")
        rows.append(row)
        print(row, flush=True)
    names = [name for name in against if against[name]]
    columns = ["case", "sklmlp", *names, *(f"times {name}" for name in names)]
    means = [f"{geometric_mean(against[name]):.2f}" for name in names]
    rows.append(["geometric mean", *[""] * (len(names) + 1), *means])
    return table(columns, rows)


def _target(name, y, classes):
    if name != "skorch":
        return y
    return y.reshape(-1, 1) if classes == 1 else y.astype(np.int64)


def compare_predictions(n_rows):
    """Microseconds for `predict_proba` (`predict` in regression) of one row, or of many."""
    rows = []
    for case in CASES:
        n, d, hidden, classes, _ = case
        X, y = make_data(n, d, classes)
        queries = X[:1] if n_rows == 1 else np.resize(X, (n_rows, d))
        calls, runs = 300 if n_rows == 1 else 1, {}
        for name, model in estimators(d, hidden, classes, 1).items():
            model.fit(X[:2000], _target(name, y, classes)[:2000])
            predict = model.predict if classes == 1 else model.predict_proba
            runs[name] = partial(_repeat, predict, queries, calls)
        seconds = take_turns(runs, 5)
        rows.append(
            [name_of(case)]
            + [f"{min(s) / calls * 1e6:,.0f}" for s in seconds.values()]
            + [f"{ratios(seconds, name):.2f}" for name in ("scikit-learn", "skorch")]
        )
        print(rows[-1], flush=True)
    return table(
        ["case", "sklmlp", "scikit-learn", "skorch", "times scikit-learn", "times skorch"], rows
    )


def _repeat(predict, queries, calls):
    for _ in range(calls):
        predict(queries)


def compare_matmuls():
    """Time a training step on one thread, and the five products in it alone."""
    X, y = make_data(1797, 64, 10)
    x, hidden, logits = torch.randn(200, 64), torch.randn(200, 100), torch.randn(10, 200).mT
    first, second = torch.randn(64, 100), torch.randn(10, 100).mT
    outputs = [torch.empty_like(t) for t in (hidden, logits, second, hidden, first)]

    @torch.inference_mode()
    def products():
        for _ in range(450):
            torch.mm(x, first, out=outputs[0])
            torch.mm(hidden, second, out=outputs[1])
            torch.mm(hidden.mT, logits, out=outputs[2])
            torch.mm(logits, second.mT, out=outputs[3])
            torch.mm(x.mT, hidden, out=outputs[4])

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        runs = {"fit": lambda: mlp(sklmlp, (100,), 10, 50).fit(X, y), "products": products}
        fit, bare = (min(s) / 450 * 1e6 for s in take_turns(runs, 5).values())
    finally:
        torch.set_num_threads(n_threads)
    rows = [["its products alone", f"{bare:.0f}", 1], ["a step", f"{fit:.0f}", f"{fit / bare:.2f}"]]
    return table(["64-100-10, batch of 200, one thread", "microseconds", "times"], rows)


def compare_ensemble():
    """Sixteen networks against one."""
    X, y = make_data(1797, 64, 10)
    runs = {
        f"n_estimators={k}": lambda k=k: mlp(sklmlp, (100,), 10, 20, n_estimators=k).fit(X, y)
        for k in (1, 16)
    }
    one, many = (min(s) for s in take_turns(runs, 5).values())
    return table(
        ["1,797 rows, 64-100-10, 20 epochs", "seconds", "of one fit"],
        [
            ["n_estimators=1", f"{one:.3f}", 1],
            ["n_estimators=16", f"{many:.3f}", f"{many / one:.1f}"],
        ],
    )


def compare_search():
    """Ten candidates in five folds on digits, two workers."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    alphas = np.logspace(-6, -2, 10).tolist()
    nets = {
        "sklmlp": (mlp(sklmlp, (100,), 10, 50), {"alpha": alphas}),
        "scikit-learn": (mlp(sklearn.neural_network, (100,), 10, 50), {"alpha": alphas}),
        "skorch": (
            skorch_net(64, (100,), 10, 50),
            {"optimizer__weight_decay": alphas},
        ),
    }
    runs = {
        name: lambda e=net, g=grid: GridSearchCV(e, g, cv=5, n_jobs=2, refit=False).fit(X, y)
        for name, (net, grid) in nets.items()
    }
    seconds = take_turns(runs, 2)
    rows = [
        [n, f"{min(s):.1f}", f"{min(s) / min(seconds['sklmlp']):.2f}"] for n, s in seconds.items()
    ]
    return table(["digits, 64-100-10, 50 epochs, 50 fits", "seconds", "times sklmlp"], rows)


def measure(script, *arguments):
    """What a script in a fresh process prints."""
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def measure_during_fit():
    """Milliseconds for a prediction of one row, alone and while another thread fits."""
    X, y = make_data(30_000, 256, 10)
    model, done, rows = mlp(sklmlp, (8,), 10, 1).fit(X[:2000], y[:2000]), threading.Event(), []

    def fit():
        while not done.is_set():
            mlp(sklmlp, (256,), 10, 5).fit(X, y)

    for name in ("alone", "during a fit of 30,000 rows, 256-256-10"):
        thread = threading.Thread(target=fit)
        if name != "alone":
            thread.start()
            time.sleep(1)
        seconds = []
        for _ in range(300):
            started = time.perf_counter()
            model.predict(X[:1])
            seconds.append(time.perf_counter() - started)
        rows.append([name, f"{np.median(seconds) * 1e3:.2f}", f"{max(seconds) * 1e3:.1f}"])
    done.set()
    thread.join()
    return table(["one row", "median, ms", "largest, ms"], rows)


def compare_memory():
    """Peak memory beyond the data."""
    return measure("memory.py")


def compare_growth():
    """Seconds for each row and epoch, from ten thousand rows to ten million."""
    return measure("growth.py")


PARTS = {
    "fit": compare_fits,
    "fit64": lambda: compare_fits(np.float64),
    "row": lambda: compare_predictions(1),
    "rows": lambda: compare_predictions(200_000),
    "matmuls": compare_matmuls,
    "ensemble": compare_ensemble,
    "search": compare_search,
    "during": measure_during_fit,
    "memory": compare_memory,
    "growth": compare_growth,
}


def machine():
    """What all this ran on."""
    packages = ["torch", "scikit-learn", "skorch", "numpy"]
    versions = f"sklmlp {sklmlp.__version__}, "
    versions += ", ".join(f"{package} {version(package)}" for package in packages)
    processor = f"{platform.machine()} with {torch.backends.cpu.get_cpu_capability()}"
    python = platform.python_version()
    return f"{processor}, {torch.get_num_threads()} threads; Python {python}, {versions}."


def write(results):
    """Put the tables between their markers in the page."""
    page = PAGE.read_text()
    for name, text in {**results, "machine": machine()}.items():
        begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
        before, rest = page.split(begin)
        page = before + begin + "\n\n" + text + "\n\n" + end + rest.split(end)[1]
    PAGE.write_text(page)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    parts = parser.parse_args().parts
    warnings.filterwarnings("ignore")
    results = {}
    for name in parts or PARTS:
        results[name] = PARTS[name]()
        print(f"\n{name}\n\n{results[name]}\n", flush=True)
    if not parts:
        write({name: text for name, text in results.items() if name != "during"})


if __name__ == "__main__":
    main()
