"""The time to sample, mutate and encode architectures of NAS-Bench-201 and of a space with 60 conditional decisions.

python benchmarks/spaces.py
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np
from overhead import space as decisions_space

import ogive as og


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architectures", type=int, default=100_000)
    n = parser.parse_args().architectures
    print(f"microseconds per architecture, over {n:,}     sample   mutate   encode   decode       id")
    spaces = {"NAS-Bench-201": og.zoo.nasbench201(), "60 conditional decisions": decisions_space(60)}
    for name, space in spaces.items():
        rng = np.random.default_rng(0)
        times = [time.process_time()]
        sampled = [space.sample(rng) for _ in range(n)]
        times.append(time.process_time())
        mutated = [space.mutate(architecture, rng) for architecture in sampled]
        times.append(time.process_time())
        encoded = space.encode(mutated)
        times.append(time.process_time())
        decoded = space.decode(encoded)
        times.append(time.process_time())
        assert decoded == mutated
        ids = {architecture.id for architecture in sampled}
        times.append(time.process_time())
        durations = [(b - a) / n * 1e6 for a, b in itertools.pairwise(times)]
        print(f"{name:<38}", "  ".join(f"{t:7.1f}" for t in durations), f"  ({len(ids):,} different)")


if __name__ == "__main__":
    main()
