"""Random numbers derived from (seed, counters), never carried as state.

A generator is rebuilt from the run's seed and what it is for, so a resumed run draws what an uninterrupted one
would have drawn. Derivation is stable across processes and machines.
"""

from __future__ import annotations

import hashlib

import numpy as np


def _words(seed: int, key: tuple[int | str, ...]) -> bytes:
    return hashlib.sha256(repr((int(seed), *key)).encode()).digest()


def derive(seed: int, *key: int | str) -> int:
    """A seed in [0, 2**63) that is a function of `seed` and `key` alone."""
    return int.from_bytes(_words(seed, key)[:8], "little") >> 1


def generator(seed: int, *key: int | str) -> np.random.Generator:
    """A NumPy generator that is a function of `seed` and `key` alone."""
    return np.random.Generator(np.random.PCG64(np.frombuffer(_words(seed, key), dtype=np.uint32)))
