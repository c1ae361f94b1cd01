"""Compare sklmlp with scikit-learn and skorch in one run, and write docs/performance.md's tables.

python benchmarks/compare.py                 # everything, about ten minutes on an idle machine
python benchmarks/compare.py fit row         # some of it, printed only
"""

import argparse
import itertools
import platform
import subprocess
import sys
import threading
import time
import warnings
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import sklearn.neural_network
import threadpoolctl
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


def compare_steps(n_times=4):
    """Microseconds a step of a small network, without what a fit costs once."""
    rows = []
    for case in CASES[:2]:
        n, d, hidden, classes, epochs = case
        X, y = make_data(n, d, classes)
        runs = {}
        for times in (1, n_times):
            for name, model in estimators(d, hidden, classes, times * epochs).items():
                if name != "skorch":
                    runs[name, times] = partial(model.fit, X, y)
        best = {key: min(seconds) for key, seconds in take_turns(runs, 5).items()}
        steps = (n_times - 1) * epochs * -(-n // 200)
        ours, theirs = (
            (best[name, n_times] - best[name, 1]) / steps * 1e6
            for name in ("sklmlp", "scikit-learn")
        )
        rows.append([name_of(case), f"{ours:.1f}", f"{theirs:.0f}", f"{theirs / ours:.1f}"])
        print(rows[-1], flush=True)
    return table(["case", "sklmlp", "scikit-learn", "times scikit-learn"], rows)


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
    """Training steps on one thread beside the products in them, by the faster of two BLAS."""
    rows = []
    for case in (CASES[0], CASES[3]):
        n, d, hidden, classes, epochs = case
        X, y = make_data(n, d, classes)
        steps, widths = epochs * -(-n // 200), (d, *hidden, classes)
        shapes = [(200, i, o) for i, o in itertools.pairwise(widths)]  # forward
        shapes += [(i, 200, o) for i, o in itertools.pairwise(widths)]  # gradients of coefs
        shapes += [(200, o, i) for i, o in itertools.pairwise(widths[1:])]  # of activations
        products = []
        for m, k, n in shapes:
            left, right = np.random.rand(m, k).astype("f"), np.random.rand(k, n).astype("f")
            products.append((left, right, np.empty((m, n), "f")))
        tensors = [tuple(map(torch.from_numpy, each)) for each in products]

        def by_openblas(products=products, steps=steps):
            for _ in range(steps):
                for left, right, out in products:
                    np.matmul(left, right, out=out)

        @torch.inference_mode()
        def by_torch(tensors=tensors, steps=steps):
            for _ in range(steps):
                for left, right, out in tensors:
                    torch.mm(left, right, out=out)

        fit = partial(mlp(sklmlp, hidden, classes, epochs).fit, X, y)
        with on_one_thread():
            seconds = take_turns({"fit": fit, "OpenBLAS": by_openblas, "torch": by_torch}, 5)
        fit, *bare = (min(s) / steps * 1e6 for s in seconds.values())
        name = "-".join(map(str, widths))
        each = [f"{microseconds:.0f}" for microseconds in (fit, *bare)]
        rows.append([name, *each, f"{fit / min(bare):.2f}"])
    columns = ["batches of 200", "a step, us", "products by OpenBLAS, us", "by torch, us", "times"]
    return table(columns, rows)


@contextmanager
def on_one_thread():
    """Keep torch and BLAS to one thread."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpoolctl.threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(n_threads)


def compare_busy():
    """Fits beside a process that keeps one core busy, and with one thread on idle cores."""
    rows = []
    for case in CASES:
        n, d, hidden, classes, epochs = case
        X, y = make_data(n, d, classes)
        fit = partial(mlp(sklmlp, hidden, classes, epochs).fit, X, y)
        with on_one_thread():
            (alone,) = take_turns({"fit": fit}, 5).values()
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            (beside,) = take_turns({"fit": fit}, 5).values()
        finally:
            busy.kill()
            busy.wait()
        alone, beside = np.median(alone), np.median(beside)
        row = [f"{alone * 1e3:.1f}", f"{beside * 1e3:.1f}", f"{beside / alone:.2f}"]
        rows.append([name_of(case), *row])
        print(rows[-1], flush=True)
    return table(["case", "one thread, idle, ms", "a core busy, ms", "times"], rows)


def compare_grids():
    """A grid over activations, dropout and widths beside one over penalties of equal size."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    grids = {
        "12 penalties, 64 units": {"alpha": np.logspace(-6, -1, 12).tolist()},
        "6 activations x 2 rates of dropout, 64 units": {
            "activation": ["relu", "tanh", "logistic", "elu", "silu", "gelu"],
            "dropout": [0.0, 0.2],
        },
        "12 widths, 64 units on average": {
            "hidden_layer_sizes": [(64 + 4 * k,) for k in (*range(-6, 0), *range(1, 7))]
        },
    }

    def search(grid):
        with joblib.parallel_config(backend="sklmlp"):
            GridSearchCV(mlp(sklmlp, (64,), 10, 50), grid, cv=3, refit=False).fit(X, y)

    seconds = take_turns({name: partial(search, grid) for name, grid in grids.items()}, 3)
    best = [min(s) for s in seconds.values()]
    rows = [[n, f"{s:.2f}", f"{s / best[0]:.2f}"] for n, s in zip(grids, best, strict=True)]
    return table(["digits, 50 epochs, 36 fits", "seconds", "times the first"], rows)


def compare_imports():
    """Seconds of `import sklmlp` beside those of what it requires, each in a fresh process."""
    programs = {
        "torch, sklearn.neural_network, skorch": "import torch, sklearn.neural_network, skorch",
        "sklmlp": "import sklmlp",
    }
    runs = {
        name: partial(subprocess.run, [sys.executable, "-c", program], check=True, cwd=HERE.parent)
        for name, program in programs.items()
    }
    best = {name: min(seconds) for name, seconds in take_turns(runs, 5).items()}
    first = next(iter(best.values()))
    rows = [[f"import {name}", f"{s:.2f}", f"{s / first:.2f}"] for name, s in best.items()]
    return table(["a process", "seconds", "times"], rows)


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
    "step": compare_steps,
    "fit64": lambda: compare_fits(np.float64),
    "row": lambda: compare_predictions(1),
    "rows": lambda: compare_predictions(200_000),
    "matmuls": compare_matmuls,
    "busy": compare_busy,
    "ensemble": compare_ensemble,
    "search": compare_search,
    "grids": compare_grids,
    "during": measure_during_fit,
    "memory": compare_memory,
    "growth": compare_growth,
    "imports": compare_imports,
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
