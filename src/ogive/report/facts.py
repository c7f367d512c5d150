"""The facts that are needed to reproduce a run, as rows of names and values."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from ogive.formatting import plural
from ogive.hashing import hash_json
from ogive.run.state import State
from ogive.session.search_code import ESTIMATOR_PART, SOURCES
from ogive.space import SizeBounds

MAX_SESSIONS = 10
"""At most this many sessions are listed: the last ones."""


def collect_reproduction_facts(state: State) -> dict[str, Any]:
    """Return the run's declaration, its sessions and its decisions.

    Returns:
        A dict with these keys. `manifest` and `decisions`: pairs of names and values. `sessions`: for each session, its
        number and its rows of names and values. `earlier_sessions`: a text about sessions that are not listed, or None.
    """
    declaration = state.declaration
    manifest = [
        ("run seed", declaration["seed"]),
        ("strategy", format_plugin(declaration["strategy"])),
        ("schedule", format_plugin(declaration["schedule"])),
        ("epochs", declaration["epochs"] or "none: the estimator reports no epochs"),
        ("objectives", ", ".join(f"{o.goal} {o.metric}" for o in state.objectives)),
        ("constraints", ", ".join(f"{c} ({'hard' if c.hard else 'soft'})" for c in state.constraints) or "none"),
        ("estimator", declaration["estimator"]),
        ("space", f"{format_size(state)}; fingerprint {state.space.fingerprint}"),
        *((f"fingerprint of the {name}", value) for name, value in declaration["fingerprints"].items()),
        ("recipe", _format_pairs(declaration["recipe"]) if declaration["recipe"] is not None else "not declared"),
        ("settings", _format_pairs({name: value for name, value in state.settings.items() if value is not None})),
        ("reads of the test split", state.test_reads),
    ]
    first = max(0, len(state.sessions) - MAX_SESSIONS)
    sessions = [
        {"number": number, "rows": [(name, _format_pairs(value)) for name, value in _hash_sources(session).items()]}
        for number, session in enumerate(state.sessions[first:], first + 1)
    ]
    decisions = [
        (d.name, _format_pairs({k: v for k, v in d.describe().items() if k != "name"})) for d in state.space.decisions
    ]
    earlier = f"{plural(first, 'earlier session')} not listed" if first else None
    return {"manifest": manifest, "sessions": sessions, "earlier_sessions": earlier, "decisions": decisions}


def _hash_sources(session: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a session's record in which each part of the code (such as the layers) is one hash."""
    if SOURCES not in session:
        return session
    hashes = {
        "estimator" if part == ESTIMATOR_PART else part: hash_json(code) for part, code in session[SOURCES].items()
    }
    return {**session, SOURCES: hashes}


def format_size(state: State) -> str:
    """Return the number of architectures of the space, in words."""
    size = state.space.size()
    if isinstance(size, SizeBounds):
        return f"{size} architectures"
    # The only float is infinity.
    if isinstance(size, float):
        return "infinitely many architectures"
    return f"{size:,} architectures" if size < 10**15 else f"about 10^{math.log10(size):.0f} architectures"


def format_plugin(item: Mapping[str, Any]) -> str:
    """Return the name of a strategy or a schedule, with its options in parentheses."""
    options = f" ({_format_pairs(item['options'])})" if item["options"] else ""
    return f"{item['name']}{options}"


def _format_pairs(value: Any) -> str:
    """Return a mapping as `name value, name value`, and anything else as text."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item if isinstance(item, str) else _json(item)}" for name, item in value.items())
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return "none" if value is None else json.dumps(value)
