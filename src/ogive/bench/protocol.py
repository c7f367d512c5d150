"""The protocol of a comparison, and the file that keeps its episodes.

An episode is one search: (benchmark, entrant, seed). What makes episodes comparable is the protocol: how many trials and
workers, the limit of cost, and each benchmark's fingerprint. Benchmarks, entrants and seeds may be added to a comparison at
any time; its protocol cannot change.
"""

from __future__ import annotations

import json
import platform
import sqlite3
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.hashing import hash_json

VERSION = 1
"""Raised whenever an episode of the same protocol would be another one."""
FILE = "episodes.db"
PACKAGES = ("ogive", "numpy", "scipy", "scikit-learn")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS protocol (text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS benchmarks (spec TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, about TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS environments (id TEXT PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS episodes (
    benchmark TEXT NOT NULL, entrant TEXT NOT NULL, seed INTEGER NOT NULL, environment TEXT NOT NULL, result TEXT NOT NULL,
    PRIMARY KEY (benchmark, entrant, seed)
);
"""

Place = tuple[str, str, int]
"""Benchmark, entrant, seed."""


@dataclass(frozen=True)
class Protocol:
    """What all episodes of a comparison share.

    Attributes:
        trials: at most so many are begun in an episode.
        workers: evaluations at a time.
        cost: ends an episode, in full trainings; None for no limit.
    """

    trials: int = 300
    workers: int = 1
    cost: float | None = None
    version: int = VERSION

    @property
    def hash(self) -> str:
        """Eight hexadecimal digits."""
        return hash_json(asdict(self), digits=8)


def environment() -> dict[str, str]:
    """The versions that a result may depend on."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {"python": platform.python_version(), "machine": platform.machine(), **versions}


def environment_hash(found: Mapping[str, str]) -> str:
    """Eight hexadecimal digits."""
    return hash_json(dict(found), digits=8)


class Store:
    """The episodes of one comparison, in `episodes.db` of its folder; each is stored the moment it ends.

    Raises:
        RunError: the folder holds a comparison of another protocol, or something else, or cannot be written.
    """

    def __init__(self, folder: Path, protocol: Protocol) -> None:
        self.folder, self.protocol = folder, protocol
        path = folder / FILE
        if folder.exists() and not path.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunError(f"{folder} is there already and holds no comparison; choose another folder, or an empty one")
        with self._errors():
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None)
            self._connection.executescript(_SCHEMA)
            self._keep_protocol()

    def _keep_protocol(self) -> None:
        row = self._connection.execute("SELECT text FROM protocol").fetchone()
        mine = asdict(self.protocol)
        if row is None:
            self._connection.execute("INSERT INTO protocol VALUES (?)", (json.dumps(mine),))
            return
        stored = json.loads(row[0])
        other = [f"{key} {stored.get(key)} there, {mine.get(key)} here" for key in mine if stored.get(key) != mine[key]]
        if other:
            raise RunError(
                f"{self.folder} holds a comparison of another protocol ({'; '.join(other)}); results of unlike protocols "
                "are not compared: ask for the same, or choose another folder"
            )

    def keep_benchmark(self, spec: str, fingerprint: str, about: Mapping[str, Any]) -> None:
        """Note a benchmark, or see that it is the one that was noted before.

        Raises:
            RunError: its table or its options are others now.
        """
        with self._errors():
            row = self._connection.execute("SELECT fingerprint FROM benchmarks WHERE spec = ?", (spec,)).fetchone()
            if row is not None and row[0] != fingerprint:
                raise RunError(
                    f"benchmark {spec!r} has fingerprint {fingerprint} now, and had {row[0]} when the episodes in "
                    f"{self.folder} were made; its table has changed: compare in another folder"
                )
            if row is None:
                values = spec, fingerprint, json.dumps(dict(about))
                self._connection.execute("INSERT INTO benchmarks VALUES (?, ?, ?)", values)

    def add(self, place: Place, environment: Mapping[str, str], result: Mapping[str, Any]) -> None:
        """Store an episode; one that is there already stays."""
        code = environment_hash(environment)
        with self._errors():
            self._connection.execute(
                "INSERT OR IGNORE INTO environments VALUES (?, ?)", (code, json.dumps(dict(environment)))
            )
            self._connection.execute(
                "INSERT OR IGNORE INTO episodes VALUES (?, ?, ?, ?, ?)", (*place, code, json.dumps(dict(result)))
            )

    def episodes(self) -> dict[Place, dict[str, Any]]:
        """All episodes, each with its `environment`."""
        query = "SELECT benchmark, entrant, seed, environment, result FROM episodes"
        with self._errors():
            rows = self._connection.execute(query).fetchall()
        return {(b, e, seed): {**json.loads(text), "environment": code} for b, e, seed, code, text in rows}

    def environments(self) -> dict[str, dict[str, str]]:
        """By hash."""
        with self._errors():
            rows = self._connection.execute("SELECT id, text FROM environments").fetchall()
        return {code: json.loads(text) for code, text in rows}

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _errors(self) -> Any:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise RunError(f"{self.folder / FILE} cannot be used: {error}; choose another folder") from error
