"""The journal: an append-only table of events in an SQL database, and the lease that says who may append.

Every transaction that appends first renews the lease under its fencing token; a controller that has lost the lease
cannot write a line, however late it wakes up.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import DatabaseError, IntegrityError

from ogive.errors import RunError
from ogive.run.clock import Clock, WallClock
from ogive.run.database import DAMAGED, cause, engine, explain, is_draft, publish
from ogive.run.events import Event, Kind
from ogive.run.folder_identity import FolderIdentity
from ogive.run.lease import LeaseHolder, holder_alive

SCHEMA = 1
JOURNAL = "journal.db"
"""The name of the journal in a run's folder."""

BEAT_SECONDS = 5.0
STALE_SECONDS = 3600.0
"""After so long a journal in the making belongs to a controller that was killed, not to one that is just starting."""

_tables = sql.MetaData()
_meta = sql.Table("meta", _tables, sql.Column("schema", sql.Integer, nullable=False))
_lease = sql.Table(
    "lease",
    _tables,
    sql.Column("token", sql.Integer, nullable=False),
    sql.Column("beat", sql.Integer, nullable=False),
    sql.Column("holder", sql.Text, nullable=False),
)
_events = sql.Table(
    "events",
    _tables,
    sql.Column("seq", sql.Integer, primary_key=True),
    sql.Column("time", sql.Float, nullable=False),
    sql.Column("kind", sql.String(16), nullable=False),
    sql.Column("trial", sql.Integer),
    sql.Column("step", sql.Integer),
    sql.Column("data", sql.Text, nullable=False),
    sql.UniqueConstraint("trial", "step"),
)
_insert = _events.insert()
_renew = _lease.update().where(_lease.c.token == sql.bindparam("mine")).values(beat=_lease.c.beat + 1)

_held: set[Path] = set()
"""The journals whose lease this process holds."""


class LeaseLost(RunError):
    """Another controller has taken the run over."""


class Journal:
    """The events of one run. Open it to read; `acquire` the lease to append.

    With `writable=False` it can only be read: `acquire` is refused, and no file is created or changed. (Where a log was
    copied without its index, SQLite makes the index again, if it may.)

    Attributes:
        writing: a transaction is under way, which no KeyboardInterrupt should end.
    """

    def __init__(self, path: Path, *, synchronous: str = "NORMAL", writable: bool = True, clock: Clock | None = None):
        self.path = path
        self.writing = False
        self._writable = writable
        self._place: FolderIdentity | None = None
        self._clock = clock or WallClock()
        self._token: int | None = None
        self._last: int | None = None
        self._beating = threading.Event()
        self._heart: threading.Thread | None = None
        if not path.is_file():
            raise RunError(f"there is no journal at {path}; give the folder of a run")
        try:
            self._engine = engine(path, synchronous, writable, path.resolve() in _held)
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error}") from error
        try:
            with self._errors():
                self._connection = self._engine.connect()
                self._check_schema()
        except BaseException:
            self._dispose()
            raise

    @staticmethod
    def create(path: Path, first: Sequence[Event], *, clock: Clock | None = None) -> None:
        """Make a journal that begins with `first`; it appears whole or not at all.

        Raises:
            RunError: the place cannot be written, or something is there already.
        """
        now = (clock or WallClock()).now()
        draft = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.draft")
        drafted = sql.create_engine(sql.URL.create("sqlite", database=str(draft)))
        try:
            with drafted.begin() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                _tables.create_all(connection)
                connection.execute(_meta.insert(), {"schema": SCHEMA})
                connection.execute(_lease.insert(), {"token": 0, "beat": 0, "holder": ""})
                connection.execute(_insert, [_row(event.at(now), i + 1) for i, event in enumerate(first)])
            drafted.dispose()
            publish(draft, path)
        except FileExistsError as error:
            raise RunError(f"{path} exists already; another controller has just begun this run") from error
        except (OSError, DatabaseError) as error:
            raise RunError(f"cannot write a journal at {path}: {explain(error)}") from error
        finally:
            drafted.dispose()
            for file in path.parent.iterdir():
                with suppress(OSError):  # on a read-only disk, where there is none to remove
                    if file.name.startswith(draft.name) or (
                        is_draft(file) and now - file.stat().st_mtime > STALE_SECONDS
                    ):
                        file.unlink()

    # -- reading -------------------------------------------------------------------------------------------------

    def read(self, after: int = 0) -> Iterator[Event]:
        """The events after the one numbered `after`, in order."""
        query = sql.select(_events).where(_events.c.seq > after).order_by(_events.c.seq)
        with self._errors():
            rows = self._connection.execute(query).all()
            self._connection.rollback()
        try:  # all at once: half the time
            found = json.loads(f"[{','.join(row.data for row in rows)}]")
        except ValueError:
            found = []
        for row, data in zip_longest(rows, found if len(found) == len(rows) else ()):
            seq, time, kind, trial, step, text = row
            try:
                yield Event(Kind(kind), trial, step, json.loads(text) if data is None else data, time, seq)
            except ValueError as error:
                raise RunError(
                    f"{self.path}: event {seq} cannot be read ({error}); the file is damaged; {DAMAGED}"
                ) from error

    def _check_schema(self) -> None:
        if self.path.stat().st_size == 0 or not sql.inspect(self._connection).has_table("lease"):
            raise RunError(
                f"{self.path} is no journal of Ogive's: it is empty, or a database of something else; give the folder of a "
                "run, or restore the journal from a backup"
            )
        found = self._connection.execute(sql.select(_meta.c.schema)).scalar()
        self._connection.rollback()
        if found != SCHEMA:
            raise RunError(
                f"{self.path} has schema version {found}, and this Ogive reads version {SCHEMA}; use the Ogive that wrote it"
            )

    # -- the lease -----------------------------------------------------------------------------------------------

    def acquire(self, patience: float = 3 * BEAT_SECONDS) -> None:
        """Take the lease, so that this process alone may append.

        A holder on this machine is alive if its process is; one elsewhere if its heartbeat moves within `patience`
        seconds. A holder that is not alive is taken over, and the fencing token makes its late writes fail.

        Raises:
            RunError: another controller holds the lease, or the journal is damaged.
        """
        if not self._writable:
            raise RunError(f"{self.path} was opened to read it, so nothing can be appended; open it with writable=True")
        with self._errors():
            self._prepare()
            self.check_idle(patience)
            token, beat, _ = self._lease_row()
            take = _lease.update().where(_lease.c.token == token)
            values = {"token": token + 1, "holder": LeaseHolder.mine().text(), "beat": beat + 1}
            taken = self._connection.execute(take.values(**values)).rowcount
            self._connection.commit()
            if taken != 1:
                raise RunError("another controller has just taken the run; wait until it ends")
            self._token = token + 1
            self._place = FolderIdentity(self.path, BEAT_SECONDS)
            self._held_as = self.path.resolve()
            _held.add(self._held_as)
        self._heart = threading.Thread(target=self._beat, name="ogive-heartbeat", daemon=True)
        self._heart.start()

    def check_idle(self, patience: float = 3 * BEAT_SECONDS) -> None:
        """Check that no controller that is alive holds the lease; `patience` as for `acquire`.

        Raises:
            RunError: one does.
        """
        with self._errors():
            _, beat, text = self._lease_row()
            if text and self._alive(LeaseHolder.parse(text), beat, patience):
                raise RunError(
                    f"another controller ({LeaseHolder.parse(text)}) holds the run; wait until it ends, or stop it first"
                )

    def check_place(self) -> None:
        """Check that the journal and its folder are where they were when the lease was acquired.

        Raises:
            RunError: they were moved, deleted or replaced. What is still appended goes to the files that were moved.
        """
        if self._place is not None:
            self._place.check()

    def place_problem(self) -> str | None:
        """What `check_place` would say, without patience for files that may come back; None where all is in place."""
        return None if self._place is None else self._place.problem()

    def holder(self) -> tuple[LeaseHolder | None, int]:
        """Who holds the lease, None where nobody does, and how often it was renewed: a heartbeat that moves is alive."""
        with self._errors():
            _, beat, text = self._lease_row()
        return (LeaseHolder.parse(text) if text else None), beat

    def _prepare(self) -> None:
        """See that the file is whole before anything is written to it, and that it has a write-ahead log."""
        if self._engine.dialect.name != "sqlite":
            return
        found = self._connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if found != "ok":
            raise RunError(f"{self.path} is damaged ({found}); {DAMAGED}")
        self._connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        self._connection.rollback()

    def _alive(self, holder: LeaseHolder, beat: int, patience: float) -> bool:
        if holder == LeaseHolder.mine():  # a session of this very process that could not give the lease back
            return self.path.resolve() in _held
        return holder_alive(holder, lambda: self._lease_row()[1], beat, patience)

    def _lease_row(self) -> tuple[int, int, str]:
        row = self._connection.execute(sql.select(_lease)).one()
        self._connection.rollback()
        return row.token, row.beat, row.holder

    def _beat(self) -> None:
        """Renew the lease while nothing is appended, so that others see that this controller lives."""
        while not self._beating.wait(BEAT_SECONDS):
            if self._place is not None and not self._place.unchanged:
                continue  # a new connection might be to the journal of another run
            try:
                with self._engine.begin() as connection:
                    connection.execute(_renew, {"mine": self._token})
            except DatabaseError:
                continue  # a full or vanished disk shows at the next append, which reports it

    def append(self, events: Sequence[Event]) -> list[Event]:
        """Append events in one transaction; they come back with their number, and with the time where they had none.

        Raises:
            LeaseLost: another controller has taken over; nothing was written.
            RunError: the database cannot be written; nothing was written.
        """
        assert self._token is not None, "append needs the lease"
        now = self._clock.now()
        events = [event if event.time else event.at(now) for event in events]
        self.writing = True
        try:
            with self._errors():
                if self._last is None:
                    self._last = self._connection.execute(sql.select(sql.func.max(_events.c.seq))).scalar() or 0
                    self._connection.rollback()
                rows = [_row(event, self._last + 1 + i) for i, event in enumerate(events)]
                if self._connection.execute(_renew, {"mine": self._token}).rowcount != 1:
                    raise LeaseLost(f"{self.path}: another controller has taken this run over; this one stops")
                if rows:
                    self._connection.execute(_insert, rows)
                self._connection.commit()
            self._last += len(rows)
        finally:
            self.writing = False
        return [event.at(event.time, row["seq"]) for event, row in zip(events, rows, strict=True)]

    def close(self) -> None:
        """Give the lease back and close the database; nothing happens the second time."""
        self._beating.set()
        if self._heart is not None:
            self._heart.join()
            self._heart = None
        try:
            if self._token is not None:
                free = _lease.update().where(_lease.c.token == self._token).values(holder="")
                with self._errors():
                    self._connection.execute(free)
                    self._connection.commit()
        finally:
            if self._token is not None:
                _held.discard(self._held_as)
            self._token = None
            self._dispose()

    def _dispose(self) -> None:
        if hasattr(self, "_connection"):
            self._connection.close()
        self._engine.dispose()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the database's errors into ones that say which file, what, and what to do; nothing is half-written."""
        try:
            yield
        except BaseException as error:
            if hasattr(self, "_connection"):
                with suppress(DatabaseError):  # what went wrong before is what counts
                    self._connection.rollback()
            if isinstance(error, IntegrityError):
                raise RunError(f"{self.path}: the journal holds this event already: {cause(error)}") from error
            if isinstance(error, DatabaseError):
                raise RunError(f"{self.path}: {explain(error)}") from error
            raise


def _row(event: Event, seq: int) -> dict[str, Any]:
    data = json.dumps(dict(event.data), separators=(",", ":"))
    return {
        "seq": seq,
        "time": event.time,
        "kind": event.kind.value,
        "trial": event.trial,
        "step": event.step,
        "data": data,
    }
