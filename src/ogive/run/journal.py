"""The journal: an append-only table of events in an SQLite file, and the lease with which one controller may append.

Every transaction that appends first renews the lease, under the fencing token of its controller. A controller that has lost
the lease therefore cannot append, even if it was suspended for a long time.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import zip_longest
from pathlib import Path

import sqlalchemy as sql
from sqlalchemy.exc import DatabaseError, IntegrityError

from ogive.errors import RunError
from ogive.run.clock import Clock, WallClock
from ogive.run.database import DAMAGE_REMEDY, create_engine, explain, get_message, is_draft, publish
from ogive.run.events import Event, Kind
from ogive.run.folder_identity import FolderIdentity
from ogive.run.journal_tables import EVENTS, INSERT_EVENTS, LEASE, META, RENEW_LEASE, SCHEMA, TABLES, make_event_row
from ogive.run.lease import LeaseHolder, is_alive

JOURNAL = "journal.db"
"""The name of the journal in a run's folder."""

BEAT_SECONDS = 5.0
"""The time between two renewals of a lease."""

STALE_SECONDS = 3600.0
"""The age, in seconds, from which a draft counts as left behind by a killed controller."""

_leased_paths: set[Path] = set()
"""The journals whose lease this process holds."""


class LeaseLost(RunError):
    """The error of a controller whose run another controller has taken over."""


class Journal:
    """The events of one run. A journal that is open can be read; to append to it, `acquire` its lease.

    Args:
        path: the file of the journal, which has to exist; see `create`.
        synchronous: SQLite's setting of this name.
        writable: if false, `acquire` raises an error, and no file is created or changed. (If a write-ahead log was copied
            without its index file, SQLite creates the index file if it can.)
        clock: the clock that sets the time of each event.

    Attributes:
        is_writing: whether a transaction is being written, which should not be ended by a KeyboardInterrupt.

    Raises:
        RunError: there is no journal at `path`, or it cannot be read.
    """

    def __init__(self, path: Path, *, synchronous: str = "NORMAL", writable: bool = True, clock: Clock | None = None):
        self.path = path
        self.is_writing = False
        self._writable = writable
        self._folder_identity: FolderIdentity | None = None
        self._clock = clock or WallClock()
        self._token: int | None = None
        self._last_seq: int | None = None
        self._end_heartbeat = threading.Event()
        self._heartbeat: threading.Thread | None = None
        if not path.is_file():
            raise RunError(f"there is no journal at {path}; give the folder of a run")
        try:
            self._engine = create_engine(path, synchronous, writable, in_use=path.resolve() in _leased_paths)
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error}") from error
        try:
            with self._convert_errors():
                self._connection = self._engine.connect()
                self._check_schema()
        except BaseException:
            self._dispose()
            raise

    @staticmethod
    def create(path: Path, first: Sequence[Event], *, clock: Clock | None = None) -> None:
        """Create a journal with the events `first`. The file appears at `path` only when it is complete.

        Raises:
            RunError: the file cannot be written, or exists already.
        """
        now = (clock or WallClock()).now()
        draft = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.draft")
        engine = sql.create_engine(sql.URL.create("sqlite", database=str(draft)))
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                TABLES.create_all(connection)
                connection.execute(META.insert(), {"schema": SCHEMA})
                connection.execute(LEASE.insert(), {"token": 0, "beat": 0, "holder": ""})
                connection.execute(
                    INSERT_EVENTS, [make_event_row(event.with_time(now), i + 1) for i, event in enumerate(first)]
                )
            engine.dispose()
            publish(draft, path)
        except FileExistsError as error:
            raise RunError(f"{path} exists already: another controller has just started this run") from error
        except (OSError, DatabaseError) as error:
            raise RunError(f"cannot write a journal at {path}: {explain(error)}") from error
        finally:
            engine.dispose()
            _delete_drafts(draft, now)

    # -- reading -------------------------------------------------------------------------------------------------

    def read(self, after: int = 0) -> Iterator[Event]:
        """Yield the events with numbers above `after`, in order.

        Raises:
            RunError: the database cannot be read, or an event is damaged.
        """
        query = sql.select(EVENTS).where(EVENTS.c.seq > after).order_by(EVENTS.c.seq)
        with self._convert_errors():
            rows = self._connection.execute(query).all()
            self._connection.rollback()
        try:  # to parse the data of all events at once takes half the time
            items = json.loads(f"[{','.join(row.data for row in rows)}]")
        except ValueError:
            items = []
        # If the data of some events are damaged, `items` is empty. Then each event is parsed on its own, to find the first
        # damaged one.
        for row, data in zip_longest(rows, items if len(items) == len(rows) else ()):
            seq, time, kind, trial, step, text = row
            try:
                yield Event(Kind(kind), trial, step, json.loads(text) if data is None else data, time, seq)
            except ValueError as error:
                raise RunError(
                    f"{self.path}: event {seq} cannot be read ({error}); the file is damaged; {DAMAGE_REMEDY}"
                ) from error

    def _check_schema(self) -> None:
        if self.path.stat().st_size == 0 or not sql.inspect(self._connection).has_table("lease"):
            raise RunError(
                f"{self.path} is not an Ogive journal: it is empty, or a database of another program; give the folder of a "
                "run, or restore the journal from a backup"
            )
        version = self._connection.execute(sql.select(META.c.schema)).scalar()
        self._connection.rollback()
        if version != SCHEMA:
            raise RunError(
                f"{self.path} has schema version {version}, but this version of Ogive reads version {SCHEMA}; use the "
                "version of Ogive that wrote it"
            )

    # -- the lease -----------------------------------------------------------------------------------------------

    def acquire(self, patience: float = 3 * BEAT_SECONDS) -> None:
        """Take the lease, so that only this process may append.

        A lease whose holder is dead is taken over; the fencing token makes late writes of that holder fail. A holder on this
        machine is alive if its process is alive. A holder on another machine is alive if it renews the lease within
        `patience` seconds.

        Raises:
            RunError: another controller holds the lease, or the journal is damaged.
        """
        if not self._writable:
            raise RunError(f"{self.path} was opened for reading; open it with writable=True to append to it")
        with self._convert_errors():
            self._prepare_file()
            self.check_idle(patience)
            # Several controllers may get here at the same time. Only the first one changes the row with this token.
            token, beat, _ = self._read_lease()
            update_with_token = LEASE.update().where(LEASE.c.token == token)
            values = {"token": token + 1, "holder": LeaseHolder.this_process().to_json(), "beat": beat + 1}
            changed_rows = self._connection.execute(update_with_token.values(**values)).rowcount
            self._connection.commit()
            if changed_rows != 1:
                raise RunError("another controller has just started to continue this run; wait until it ends")
            self._token = token + 1
            self._folder_identity = FolderIdentity(self.path, BEAT_SECONDS)
            self._leased_path = self.path.resolve()
            _leased_paths.add(self._leased_path)
        self._heartbeat = threading.Thread(target=self._renew_lease_until_closed, name="ogive-heartbeat", daemon=True)
        self._heartbeat.start()

    def check_idle(self, patience: float = 3 * BEAT_SECONDS) -> None:
        """Check that no living controller holds the lease; `patience` has the same meaning as in `acquire`.

        Raises:
            RunError: a living controller holds the lease.
        """
        with self._convert_errors():
            _, beat, text = self._read_lease()
            if text and self._is_alive(LeaseHolder.from_json(text), beat, patience):
                raise RunError(
                    f"another controller ({LeaseHolder.from_json(text)}) is executing this run; wait until it ends, "
                    "or stop it first"
                )

    def check_files(self) -> None:
        """Check that the journal and its folder are still at the paths at which the lease was acquired.

        Raises:
            RunError: the journal or the folder was moved, deleted or replaced. Later events go to the moved files.
        """
        if self._folder_identity is not None:
            self._folder_identity.check()

    def find_file_problem(self) -> str | None:
        """Return the message of `check_files` even if a file has only just gone missing; None if all files are in place."""
        return None if self._folder_identity is None else self._folder_identity.find_problem()

    def find_holder(self) -> tuple[LeaseHolder | None, int]:
        """Return the holder of the lease (None if it is free), and the number of renewals, which grows while it is held."""
        with self._convert_errors():
            _, beat, text = self._read_lease()
        return (LeaseHolder.from_json(text) if text else None), beat

    def _prepare_file(self) -> None:
        """Check that the file is not damaged before anything is written to it, and give it a write-ahead log."""
        result = self._connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if result != "ok":
            raise RunError(f"{self.path} is damaged ({result}); {DAMAGE_REMEDY}")
        self._connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        self._connection.rollback()

    def _is_alive(self, holder: LeaseHolder, beat: int, patience: float) -> bool:
        if holder == LeaseHolder.this_process():  # an earlier session of this process may not have given it back
            return self.path.resolve() in _leased_paths
        return is_alive(holder, lambda: self._read_lease()[1], beat, patience)

    def _read_lease(self) -> tuple[int, int, str]:
        row = self._connection.execute(sql.select(LEASE)).one()
        self._connection.rollback()
        return row.token, row.beat, row.holder

    def _renew_lease_until_closed(self) -> None:
        """Renew the lease regularly, also while no events are appended, to show other controllers that this one is alive."""
        while not self._end_heartbeat.wait(BEAT_SECONDS):
            if self._folder_identity is not None and not self._folder_identity.is_unchanged:
                continue  # a new connection might open the journal of another run
            try:
                with self._engine.begin() as connection:
                    connection.execute(RENEW_LEASE, {"held_token": self._token})
            except DatabaseError:
                continue  # the next append reports the problem

    # -- appending -----------------------------------------------------------------------------------------------

    def append(self, events: Sequence[Event]) -> list[Event]:
        """Append events in one transaction; return them with their numbers. Events without a time get the present time.

        Raises:
            LeaseLost: another controller has taken over; nothing was written.
            RunError: the database cannot be written; nothing was written.
        """
        assert self._token is not None, "append needs the lease"
        now = self._clock.now()
        events = [event if event.time else event.with_time(now) for event in events]
        self.is_writing = True
        try:
            with self._convert_errors():
                if self._last_seq is None:
                    self._last_seq = self._connection.execute(sql.select(sql.func.max(EVENTS.c.seq))).scalar() or 0
                    self._connection.rollback()
                rows = [make_event_row(event, self._last_seq + 1 + i) for i, event in enumerate(events)]
                # In the same transaction: if another controller has taken the lease, no row has this token any more.
                if self._connection.execute(RENEW_LEASE, {"held_token": self._token}).rowcount != 1:
                    raise LeaseLost(f"{self.path}: another controller has taken over this run, so this one stops")
                if rows:
                    self._connection.execute(INSERT_EVENTS, rows)
                self._connection.commit()
            self._last_seq += len(rows)
        finally:
            self.is_writing = False
        return [event.with_time(event.time, row["seq"]) for event, row in zip(events, rows, strict=True)]

    def close(self) -> None:
        """Give the lease back and close the database. Further calls do nothing."""
        self._end_heartbeat.set()
        if self._heartbeat is not None:
            self._heartbeat.join()
            self._heartbeat = None
        try:
            if self._token is not None:
                give_back = LEASE.update().where(LEASE.c.token == self._token).values(holder="")
                with self._convert_errors():
                    self._connection.execute(give_back)
                    self._connection.commit()
        finally:
            if self._token is not None:
                _leased_paths.discard(self._leased_path)
            self._token = None
            self._dispose()

    def _dispose(self) -> None:
        if hasattr(self, "_connection"):
            self._connection.close()
        self._engine.dispose()

    @contextmanager
    def _convert_errors(self) -> Iterator[None]:
        """Roll back after an error. Convert database errors to RunErrors that name the file, the cause and a remedy."""
        try:
            yield
        except BaseException as error:
            if hasattr(self, "_connection"):
                with suppress(DatabaseError):  # the first error is the one to report
                    self._connection.rollback()
            if isinstance(error, IntegrityError):
                raise RunError(f"{self.path}: the journal has this event already: {get_message(error)}") from error
            if isinstance(error, DatabaseError):
                raise RunError(f"{self.path}: {explain(error)}") from error
            raise


def _delete_drafts(draft: Path, now: float) -> None:
    """Delete the draft of this process, and drafts that killed controllers left."""
    for file in draft.parent.iterdir():
        with suppress(OSError):  # on a read-only disk no draft was written
            if file.name.startswith(draft.name) or (is_draft(file) and now - file.stat().st_mtime > STALE_SECONDS):
                file.unlink()
