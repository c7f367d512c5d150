"""Random numbers derived from a seed and a key, so that no random state has to be stored.

A new generator is created for each use, from the run's seed and a key that names the use. A continued run therefore draws
the same numbers as an uninterrupted one. The derivation is the same in all processes and on all machines.
"""

from __future__ import annotations

import hashlib

import numpy as np


def _digest(seed: int, key: tuple[int | str, ...]) -> bytes:
    return hashlib.sha256(repr((int(seed), *key)).encode()).digest()


def derive(seed: int, *key: int | str) -> int:
    """Return a seed in [0, 2**63) that depends on `seed` and `key` alone."""
    return int.from_bytes(_digest(seed, key)[:8], "little") >> 1


def generator(seed: int, *key: int | str) -> np.random.Generator:
    """Return a NumPy generator that depends on `seed` and `key` alone."""
    return np.random.Generator(np.random.PCG64(np.frombuffer(_digest(seed, key), dtype=np.uint32)))
