"""Training on a CUDA GPU: first that it is right, then how fast it is next to its peers.

    python benchmarks/gpu.py

Prints steps a second of sklmlp, of eager torch with fused Adam and of skorch, on the same GPU.
"""

import itertools
import time
import warnings

import numpy as np
import torch
from peers import SkorchModule, make_data, mlp, skorch_net
from torch import nn

import sklmlp

CASES = [
    (1797, 64, (100,), 10, 50),
    (20_000, 784, (512, 256), 10, 10),
    (100_000, 784, (1024, 1024), 10, 3),
]


def check():
    """A fit on the GPU ends where a fit on the CPU ends, to float32's rounding."""
    X, y = make_data(2000, 20, 3)
    for options in [{}, {"solver": "sgd"}, {"n_estimators": 4}, {"early_stopping": True}]:
        fits = [
            mlp(sklmlp, (32, 16), 3, 5, dtype="float32", device=device, **options).fit(X, y)
            for device in ("cpu", "cuda")
        ]
        difference = np.abs(np.subtract(*(fit.predict_proba(X) for fit in fits))).max()
        print(f"{options or 'defaults'}: probabilities differ by {difference:.1e} at most")
        assert difference < 1e-3, "the GPU computes something else than the CPU"


def eager(X, y, d, hidden, classes, epochs):
    """The usual loop of torch: data on the GPU, one gather and one fused Adam step a batch."""
    module = SkorchModule(d, hidden, classes).cuda()
    optimizer = torch.optim.Adam(module.parameters(), fused=True)
    X, y = torch.from_numpy(X).cuda(), torch.from_numpy(y).cuda()
    for _ in range(epochs):
        for batch in torch.randperm(len(X), device="cuda").split(200):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(X[batch]), y[batch]).backward()
            optimizer.step()


def main():
    warnings.filterwarnings("ignore")
    if not torch.cuda.is_available():
        raise SystemExit("There is no CUDA GPU here.")
    print(torch.cuda.get_device_name(), "torch", torch.__version__)
    check()
    for n, d, hidden, classes, epochs in CASES:
        X, y = make_data(n, d, classes)
        y = y.astype(np.int64)
        model = mlp(sklmlp, hidden, classes, epochs, device="cuda")
        net = skorch_net(d, hidden, classes, epochs, device="cuda")
        runs = {
            "sklmlp": lambda m=model, X=X, y=y: m.fit(X, y),
            "eager torch": lambda case=(X, y, d, hidden, classes, epochs): eager(*case),
            "skorch": lambda m=net, X=X, y=y: m.fit(X, y),
        }
        steps, shown = epochs * -(-n // 200), []
        for (name, run), _ in itertools.product(runs.items(), range(2)):  # the first run warms up
            torch.cuda.synchronize()
            start = time.perf_counter()
            run()
            torch.cuda.synchronize()
            shown.append((name, steps / (time.perf_counter() - start)))
        line = ", ".join(f"{name} {rate:,.0f}" for name, rate in shown[1::2])
        print(f"{n:,} rows, {d}-{'-'.join(map(str, hidden))}-{classes}: steps a second: {line}")


if __name__ == "__main__":
    main()
