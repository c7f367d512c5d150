"""The protocol of a comparison, and the database that stores its episodes.

An episode is one search: (benchmark, method, seed). Episodes are comparable if they share the protocol (the number of trials
and workers, and the limit of the training time) and the fingerprint of the benchmark. Benchmarks, methods and seeds can be
added to a comparison at any time; its protocol cannot change.
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
"""The version of the protocol. It is increased with every change of the code that changes the results of an episode."""
FILE = "episodes.db"
PACKAGES = ("ogive", "numpy", "scipy", "scikit-learn")
# A method was called "entrant" when this schema was defined: the column keeps that name, so that old files can be read.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS protocol (text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS benchmarks (spec TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, about TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS environments (id TEXT PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS episodes (
    benchmark TEXT NOT NULL, entrant TEXT NOT NULL, seed INTEGER NOT NULL, environment TEXT NOT NULL, result TEXT NOT NULL,
    PRIMARY KEY (benchmark, entrant, seed)
);
"""

EpisodeKey = tuple[str, str, int]
"""(benchmark, method, seed), the first two as specifications: ("nk:k=5", "gp:draws=1", 0)."""


@dataclass(frozen=True)
class Protocol:
    """The settings that all episodes of a comparison share.

    Attributes:
        trials: the maximum number of trials of an episode.
        workers: the number of simulated workers.
        cost: the limit of the training time of an episode, as a number of trainings at full fidelity; None for no limit.
        version: the version of the protocol.
    """

    trials: int = 300
    workers: int = 1
    cost: float | None = None
    version: int = VERSION

    @property
    def hash(self) -> str:
        """A hash of the settings, eight hexadecimal digits."""
        return hash_json(asdict(self), digits=8)


def get_environment() -> dict[str, str]:
    """Return the versions of Python and of the packages that a result may depend on."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {"python": platform.python_version(), "machine": platform.machine(), **versions}


def hash_environment(environment: Mapping[str, str]) -> str:
    """Return a hash of an environment, eight hexadecimal digits."""
    return hash_json(dict(environment), digits=8)


class EpisodeStore:
    """The episodes of one comparison, in `episodes.db` of its folder. Each episode is stored as soon as it ends.

    Raises:
        RunError: the folder belongs to a comparison with another protocol, contains files but no comparison, or cannot be
            written.
    """

    def __init__(self, folder: Path, protocol: Protocol) -> None:
        self.folder, self.protocol = folder, protocol
        path = folder / FILE
        if folder.exists() and not path.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RunError(f"{folder} exists and contains no comparison; choose another folder, or an empty one")
        with self._convert_errors():
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None)
            self._connection.executescript(_SCHEMA)
            self._check_protocol()

    def _check_protocol(self) -> None:
        """Store the protocol in a new file; compare it with the stored one in an existing file."""
        row = self._connection.execute("SELECT text FROM protocol").fetchone()
        requested = asdict(self.protocol)
        if row is None:
            self._connection.execute("INSERT INTO protocol VALUES (?)", (json.dumps(requested),))
            return
        stored = json.loads(row[0])
        differences = [
            f"{key}: {stored.get(key)} stored, {value} requested"
            for key, value in requested.items()
            if stored.get(key) != value
        ]
        if differences:
            raise RunError(
                f"{self.folder} contains a comparison with another protocol ({'; '.join(differences)}); results of "
                "different protocols are not comparable: use the same protocol, or choose another folder"
            )

    def add_benchmark(self, spec: str, fingerprint: str, description: Mapping[str, Any]) -> None:
        """Store a benchmark, or check that its fingerprint is the stored one.

        Raises:
            RunError: the benchmark has changed since it was stored.
        """
        with self._convert_errors():
            row = self._connection.execute("SELECT fingerprint FROM benchmarks WHERE spec = ?", (spec,)).fetchone()
            if row is not None and row[0] != fingerprint:
                raise RunError(
                    f"benchmark {spec!r} has the fingerprint {fingerprint}, but the episodes in {self.folder} were run "
                    f"with {row[0]}: its data have changed; choose another folder"
                )
            if row is None:
                values = spec, fingerprint, json.dumps(dict(description))
                self._connection.execute("INSERT INTO benchmarks VALUES (?, ?, ?)", values)

    def add_episode(self, key: EpisodeKey, environment: Mapping[str, str], result: Mapping[str, Any]) -> None:
        """Store an episode; an episode that is already stored is not replaced."""
        environment_hash = hash_environment(environment)
        with self._convert_errors():
            self._connection.execute(
                "INSERT OR IGNORE INTO environments VALUES (?, ?)", (environment_hash, json.dumps(dict(environment)))
            )
            self._connection.execute(
                "INSERT OR IGNORE INTO episodes VALUES (?, ?, ?, ?, ?)",
                (*key, environment_hash, json.dumps(dict(result))),
            )

    def read_episodes(self) -> dict[EpisodeKey, dict[str, Any]]:
        """Return the results of all stored episodes, each with the hash of its `environment`."""
        query = "SELECT benchmark, entrant, seed, environment, result FROM episodes"
        with self._convert_errors():
            rows = self._connection.execute(query).fetchall()
        return {
            (benchmark, method, seed): {**json.loads(text), "environment": environment_hash}
            for benchmark, method, seed, environment_hash, text in rows
        }

    def read_environments(self) -> dict[str, dict[str, str]]:
        """Return the environments of all episodes, by hash."""
        with self._convert_errors():
            rows = self._connection.execute("SELECT id, text FROM environments").fetchall()
        return {environment_hash: json.loads(text) for environment_hash, text in rows}

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    @contextmanager
    def _convert_errors(self) -> Any:
        """Convert errors of the database and of the file system, and invalid JSON, to RunError."""
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as error:
            raise RunError(f"{self.folder / FILE} cannot be read or written: {error}; choose another folder") from error
