"""What is needed to repeat a run, as rows of names and values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from ogive.formatting import plural
from ogive.hashing import hash_json
from ogive.run.state import State
from ogive.space import SizeBounds

SESSIONS = 10
"""How many sessions are listed, the last ones."""


def reproduction_facts(state: State) -> dict[str, Any]:
    """The run's declaration, its sessions and its decisions."""
    created = state.created
    rows = [
        ("run seed", created["seed"]),
        ("strategy", named(created["strategy"])),
        ("schedule", named(created["schedule"])),
        ("epochs", created["epochs"] or "the estimator has none"),
        ("objectives", ", ".join(f"{o.goal} {o.metric}" for o in state.objectives)),
        ("constraints", ", ".join(f"{c} ({'hard' if c.hard else 'soft'})" for c in state.constraints) or "none"),
        ("estimator", created["estimator"]),
        ("space", f"{size(state)}; fingerprint {state.space.fingerprint}"),
        *((f"fingerprint of the {name}", value) for name, value in created["fingerprints"].items()),
        ("recipe", _pairs(created["recipe"]) if created["recipe"] is not None else "not declared"),
        ("settings", _pairs({name: value for name, value in state.settings.items() if value is not None})),
        ("reads of the test split", state.test_reads),
    ]
    first = max(0, len(state.sessions) - SESSIONS)
    sessions = [
        {"number": number, "rows": [(name, _pairs(value)) for name, value in _shortened(session).items()]}
        for number, session in enumerate(state.sessions[first:], first + 1)
    ]
    decisions = [
        (d.name, _pairs({k: v for k, v in d.describe().items() if k != "name"})) for d in state.space.decisions
    ]
    earlier = f"{plural(first, 'earlier session')} left out" if first else ""
    return {"manifest": rows, "sessions": sessions, "earlier_sessions": earlier, "decisions": decisions}


def _shortened(session: Mapping[str, Any]) -> Mapping[str, Any]:
    """A session's record with one hash for all sources of a kind."""
    if "sources" not in session:
        return session
    return {**session, "sources": {kind: hash_json(parts) for kind, parts in session["sources"].items()}}


def size(state: State) -> str:
    """How many architectures the space holds."""
    found = state.space.size()
    if isinstance(found, SizeBounds):
        return f"{found} architectures"
    if isinstance(found, float):
        return "infinitely many architectures"
    return f"{found:,} architectures" if found < 10**15 else f"about 10^{math.log10(found):.0f} architectures"


def named(item: Mapping[str, Any]) -> str:
    """A strategy or a schedule with its options."""
    options = f" ({_pairs(item['options'])})" if item["options"] else ""
    return f"{item['name']}{options}"


def _pairs(value: Any) -> str:
    """A mapping as `name value, name value`; anything else as text."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item if isinstance(item, str) else _json(item)}" for name, item in value.items())
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return "none" if value is None else json.dumps(value)
