"""The evaluation cache: results shared between runs, by architecture, code, recipe, seed and fidelity."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import platformdirs
import sqlalchemy as sql
from sqlalchemy.exc import DatabaseError

from ogive.errors import RunError
from ogive.hashing import ALL_DIGITS, hash_json
from ogive.space import Space
from ogive.trial import Report, Trial

_tables = sql.MetaData()
_results = sql.Table(
    "results",
    _tables,
    sql.Column("key", sql.String(64), primary_key=True),
    sql.Column("step", sql.Integer, nullable=False),
    sql.Column("reports", sql.Text, nullable=False),
)


def default_path() -> Path:
    """Where results are kept unless `OGIVE_CACHE` names another folder."""
    return Path(os.environ.get("OGIVE_CACHE") or platformdirs.user_cache_dir("ogive")) / "evaluations-1.db"


class Cache:
    """Reports of earlier evaluations. Only estimators that can tell their whole recipe use it.

    Args:
        code: identifies the code of layers and estimator: results of other code are others.
        ranks: how many processes train a trial together, where their number changes what is reported; else 1.
        edited: says why results are not those of `code` any more; None as long as they are.
    """

    def __init__(
        self,
        space: Space,
        recipe: Mapping[str, Any],
        code: str,
        continuable: bool = False,
        path: Path | None = None,
        ranks: int = 1,
        edited: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.path = path or default_path()
        self.edited = edited
        rest = [
            code,
            dict(recipe),
            *([space.scaling] if space.scaling else []),
            *([{"ranks": ranks}] if ranks > 1 else []),
        ]
        # results from before the space was given an example input are results of the same networks
        self._bases = [[fingerprint, *rest] for fingerprint in (space.fingerprint, *space.former)]
        self._continuable = continuable
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            url = sql.URL.create("sqlite", database=str(self.path))
            self._engine = sql.create_engine(url, connect_args={"timeout": 30})
            _tables.create_all(self._engine)
        except (OSError, DatabaseError) as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> RunError:
        return RunError(
            f"the evaluation cache {self.path} cannot be used: {error}; delete it, name another folder in OGIVE_CACHE, "
            "or search with cache=False"
        )

    def _keys(self, trial: Trial) -> list[str]:
        """Of the trial's result, to store it by the first and find it by any.

        They hold no canonical identity, since equal networks may start from other weights. A continuable estimator's
        results serve any number of epochs up to those that were reported.
        """
        ignored = ("epochs",) if self._continuable else ()
        fidelity = {name: value for name, value in trial.fidelity.items() if name not in ignored}
        own = [trial.architecture.to_json(), dict(trial.proposal.settings), trial.seed, fidelity]
        return [hash_json([*base, *own], digits=ALL_DIGITS) for base in self._bases]

    def find(self, trial: Trial) -> list[Report]:
        """The reports up to the trial's fidelity; empty where they are not all known.

        A trial that inherits weights has results of its own, which no key tells.
        """
        if trial.proposal.inherit is not None or self.edited() is not None:
            return []
        end = trial.until - trial.began
        query = sql.select(_results.c.reports).where(_results.c.key.in_(self._keys(trial)), _results.c.step >= end)
        try:
            with self._engine.connect() as connection:
                text = connection.execute(query).scalar()
        except DatabaseError as error:
            raise self._broken(error) from error
        try:
            known = json.loads(text or "[]")
            reports = [Report(trial.began + step, metrics, seconds) for step, metrics, seconds in known]
        except (ValueError, TypeError) as error:
            raise self._broken(error) from error
        return [report for report in reports if report.step <= trial.until]

    def store(self, trial: Trial) -> None:
        """Keep the reports of a trial that has reached its fidelity."""
        if trial.proposal.inherit is not None or trial.step < trial.until or self.edited() is not None:
            return
        key, end = self._keys(trial)[0], trial.step - trial.began
        own = [report for report in trial.reports if report.step > trial.began]
        reports = json.dumps([[r.step - trial.began, dict(r.metrics), r.seconds] for r in own])
        try:
            with self._engine.begin() as connection:
                connection.execute(_results.delete().where(_results.c.key == key, _results.c.step < end))
                known = connection.execute(sql.select(_results.c.step).where(_results.c.key == key)).first()
                if known is None:
                    connection.execute(_results.insert(), {"key": key, "step": end, "reports": reports})
        except DatabaseError as error:
            raise self._broken(error) from error

    def close(self) -> None:
        self._engine.dispose()
