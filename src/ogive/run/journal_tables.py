"""The tables of a journal: its schema version, its lease, and its events."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sql

from ogive.run.events import Event

SCHEMA = 1
"""The version of the tables."""

TABLES = sql.MetaData()
META = sql.Table("meta", TABLES, sql.Column("schema", sql.Integer, nullable=False))
LEASE = sql.Table(
    "lease",
    TABLES,
    sql.Column("token", sql.Integer, nullable=False),  # the fencing token, one higher for each new holder
    sql.Column("beat", sql.Integer, nullable=False),  # the number of renewals
    sql.Column("holder", sql.Text, nullable=False),  # a `LeaseHolder` as JSON; "" if the lease is free
)
"""One row: the process that may append events."""
EVENTS = sql.Table(
    "events",
    TABLES,
    sql.Column("seq", sql.Integer, primary_key=True),
    sql.Column("time", sql.Float, nullable=False),
    sql.Column("kind", sql.String(16), nullable=False),
    sql.Column("trial", sql.Integer),
    sql.Column("step", sql.Integer),
    sql.Column("data", sql.Text, nullable=False),
    sql.UniqueConstraint("trial", "step"),
)
INSERT_EVENTS = EVENTS.insert()
RENEW_LEASE = LEASE.update().where(LEASE.c.token == sql.bindparam("held_token")).values(beat=LEASE.c.beat + 1)


def make_event_row(event: Event, seq: int) -> dict[str, Any]:
    """Return the row of an event, with the number `seq`."""
    data = json.dumps(dict(event.data), separators=(",", ":"))
    return {
        "seq": seq,
        "time": event.time,
        "kind": event.kind.value,
        "trial": event.trial,
        "step": event.step,
        "data": data,
    }
