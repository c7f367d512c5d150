"""The evaluation cache: an SQLite file in which runs share results, by architecture, code, recipe, seed and fidelity."""

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
    sql.Column("key", sql.String(64), primary_key=True),  # a hash; see `Cache._compute_keys`
    sql.Column("step", sql.Integer, nullable=False),  # the number of steps that were trained
    sql.Column("reports", sql.Text, nullable=False),  # JSON: [[step, metrics, seconds], ...]; steps count from 1
)


def get_default_path() -> Path:
    """Return the path of the cache: in the folder that `OGIVE_CACHE` names, or in the user's cache folder."""
    return Path(os.environ.get("OGIVE_CACHE") or platformdirs.user_cache_dir("ogive")) / "evaluations-1.db"


class Cache:
    """Reports of earlier evaluations, for estimators that know their recipe.

    Args:
        space: the space of the run.
        recipe: the recipe of the estimator (`Estimator.recipe`).
        code_hash: a hash of the code of layers and estimator, so that the results of different code have different keys.
        continuable: whether the reports of a longer job are valid for a shorter one (`Estimator.continuable`).
        path: the file of the cache; by default `get_default_path()`.
        ranks: the number of processes that train a trial together, if the results depend on it; else 1.
        find_edit: a function that returns why `code_hash` no longer identifies the code, such as an edited file; None if it
            still does. After an edit the keys would be wrong, so the cache no longer finds or stores anything.

    Raises:
        RunError: the file cannot be opened or created.
    """

    def __init__(
        self,
        space: Space,
        recipe: Mapping[str, Any],
        code_hash: str,
        continuable: bool = False,
        *,
        path: Path | None = None,
        ranks: int = 1,
        find_edit: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.path = path or get_default_path()
        self.find_edit = find_edit
        # Parts that do not apply are left out, so that the keys of results without them stay the same.
        key_parts = [
            code_hash,
            dict(recipe),
            *([space.scaling_hash] if space.scaling_hash else []),
            *([{"ranks": ranks}] if ranks > 1 else []),
        ]
        # The fingerprint of a space changes when it gets an example input. The networks stay the same, so results that were
        # stored with the earlier fingerprint are still valid.
        self._key_prefixes = [
            [fingerprint, *key_parts] for fingerprint in (space.fingerprint, *space.fingerprints_without_example)
        ]
        self._continuable = continuable
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            url = sql.URL.create("sqlite", database=str(self.path))
            self._engine = sql.create_engine(url, connect_args={"timeout": 30})
            _tables.create_all(self._engine)
        except (OSError, DatabaseError) as error:
            raise self._make_error(error) from error

    def _make_error(self, error: Exception) -> RunError:
        return RunError(
            f"the evaluation cache {self.path} cannot be used: {error}; delete it, name another folder in OGIVE_CACHE, "
            "or search with cache=False"
        )

    def _compute_keys(self, trial: Trial) -> list[str]:
        """Return the keys of a trial's result. It is stored with the first key, and may be found with any of them.

        The keys use the labels of the architecture and not its id, since equal networks may start from different weights.
        For a continuable estimator, the keys leave out the number of epochs.
        """
        ignored = ("epochs",) if self._continuable else ()
        fidelity = {name: value for name, value in trial.fidelity.items() if name not in ignored}
        trial_parts = [trial.architecture.to_json(), dict(trial.proposal.settings), trial.seed, fidelity]
        return [hash_json([*prefix, *trial_parts], digits=ALL_DIGITS) for prefix in self._key_prefixes]

    def find(self, trial: Trial) -> list[Report]:
        """Return the reports of a trial up to its fidelity; empty if the cache does not have them all.

        The result of a trial that inherits weights depends on these weights, but the keys do not. So nothing is returned for
        such a trial.

        Raises:
            RunError: the file cannot be read, or is damaged.
        """
        if trial.proposal.inherit is not None or self.find_edit() is not None:
            return []
        steps = trial.target_step - trial.step_offset
        query = sql.select(_results.c.reports).where(
            _results.c.key.in_(self._compute_keys(trial)), _results.c.step >= steps
        )
        try:
            with self._engine.connect() as connection:
                text = connection.execute(query).scalar()
        except DatabaseError as error:
            raise self._make_error(error) from error
        try:
            rows = json.loads(text or "[]")
            reports = [Report(trial.step_offset + step, metrics, seconds) for step, metrics, seconds in rows]
        except (ValueError, TypeError) as error:
            raise self._make_error(error) from error
        return [report for report in reports if report.step <= trial.target_step]

    def store(self, trial: Trial) -> None:
        """Store the reports of a trial that has reached its fidelity, unless the cache has at least as many of them.

        Raises:
            RunError: the file cannot be written.
        """
        if trial.proposal.inherit is not None or trial.step < trial.target_step or self.find_edit() is not None:
            return
        key, steps = self._compute_keys(trial)[0], trial.step - trial.step_offset
        reports = [report for report in trial.reports if report.step > trial.step_offset]
        text = json.dumps([[r.step - trial.step_offset, dict(r.metrics), r.seconds] for r in reports])
        try:
            with self._engine.begin() as connection:
                connection.execute(_results.delete().where(_results.c.key == key, _results.c.step < steps))
                existing = connection.execute(sql.select(_results.c.step).where(_results.c.key == key)).first()
                if existing is None:
                    connection.execute(_results.insert(), {"key": key, "step": steps, "reports": text})
        except DatabaseError as error:
            raise self._make_error(error) from error

    def close(self) -> None:
        self._engine.dispose()
