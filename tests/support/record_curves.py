"""Record the curves of recorded_curves.json from four searches: the accuracy of each trial, None for a failed trial.

- rising then flat: regularized evolution on the NAS-Bench-201 table.
- noisy: the same, with each accuracy as it would be measured on 200 images.
- failing: random search on the table, where networks with two or more 3x3 convolutions do not fit in memory.
- flat: regularized evolution over chains of convolutions, trained on scikit-learn's digits with shuffled labels, so that
  nothing can be learned.

    python tests/support/record_curves.py
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import nasbench201_regret
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy

import ogive as og

torch.set_num_threads(1)
images, labels = load_digits(return_X_y=True)
X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
y = torch.tensor(np.random.default_rng(0).permutation(labels))


def of_table(architecture: og.Architecture) -> dict[str, float]:
    return {"accuracy": nasbench201_regret.accuracy(architecture) / 100}


def on_200_images(architecture: og.Architecture) -> dict[str, float]:
    rng = np.random.default_rng(_number(architecture))
    return {"accuracy": rng.binomial(200, nasbench201_regret.accuracy(architecture) / 100) / 200}


def in_little_memory(architecture: og.Architecture) -> dict[str, float]:
    if list(architecture.values()).count("nor_conv_3x3") >= 2:
        raise MemoryError("too large for the device")
    return of_table(architecture)


def on_shuffled_labels(architecture: og.Architecture) -> dict[str, float]:
    torch.manual_seed(_number(architecture))
    model = architecture.build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for start in range(0, 768, 64):
        optimizer.zero_grad()
        cross_entropy(model(X[start : start + 64]), y[start : start + 64]).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        return {"accuracy": float((model(X[1000:1500]).argmax(1) == y[1000:1500]).float().mean())}


def _number(architecture: og.Architecture) -> int:
    return int(hashlib.sha256(repr(sorted(architecture.items())).encode()).hexdigest()[:8], 16)


def record(
    space: og.Space, evaluate: Callable[[og.Architecture], dict[str, float]], strategy: str, n: int
) -> list[float | None]:
    """Return the accuracies of a search of n trials, in order."""
    with tempfile.TemporaryDirectory() as folder:
        run = og.search(
            space,
            og.estimate.function(evaluate),
            strategy=strategy,
            max_trials=n,
            max_failed_trials=n,
            seed=1,
            run=Path(folder) / "run",
            executor="inline",
            cache=False,
        )
        return [None if trial.status.failed else round(trial.metrics["accuracy"], 5) for trial in run.trials]


if __name__ == "__main__":
    table, evolution = nasbench201_regret.SPACE, "regularized_evolution"
    chains = og.zoo.chain(channels=(4, 6, 8), kernels=(1, 3), depth=(1, 4))
    curves = {
        "rising then flat": record(table, of_table, evolution, 300),
        "noisy": record(table, on_200_images, evolution, 400),
        "failing": record(table, in_little_memory, "random", 150),
        "flat": record(chains, on_shuffled_labels, evolution, 700),
    }
    (Path(__file__).parent / "recorded_curves.json").write_text(json.dumps(curves) + "\n")
