"""The events of seeded searches are those of a stored file, so that an unintended change of a decision is found.

The file holds strategies and schedules without fitted models, whose decisions are the same on every machine. After an
intended change, write it again with `python tests/strategy/test_golden_journals.py`, in a commit of its own that lists each
difference and its reason. `benchmarks/journals.py` compares all strategies, on one machine.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

GOLDEN = Path(__file__).parents[1] / "support" / "golden_journals.jsonl"
"""A line for each event: the name of its search, and its kind, trial, step and data."""
TRIALS = 12
FITTED = ("auto", "bananas", "bohb", "gp", "reinforce", "smac", "tpe", "curve")
"""Strategies and schedules that fit a model, whose floating point results may differ between machines."""


def load_journals() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "journals.py"
    spec = importlib.util.spec_from_file_location("journals", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["journals"] = module
    spec.loader.exec_module(module)
    return module


def golden_searches() -> dict[str, dict[str, Any]]:
    """Return the arguments of the searches whose strategy and schedule fit no model, by name."""
    searches = dict(load_journals().searches())
    return {
        name: {**arguments, "max_trials": TRIALS}
        for name, arguments in searches.items()
        if not set(FITTED) & {*name.replace(",", "").split(" ")}
    }


def events_of(name: str, arguments: dict[str, Any], folder: Path) -> list[Any]:
    return json.loads(json.dumps(load_journals().collect_events(arguments, folder)))


def flatten(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each number, text or None inside a JSON value, with its place."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield place, value
        return
    for key, item in items:
        yield from flatten(item, f"{place}/{key}")


def read_golden() -> dict[str, list[Any]]:
    journals: dict[str, list[Any]] = {}
    for line in GOLDEN.read_text(encoding="utf-8").splitlines():
        name, event = json.loads(line)
        journals.setdefault(name, []).append(event)
    return journals


STORED = read_golden() if GOLDEN.exists() else {}


def test_the_file_has_every_strategy_and_schedule_without_a_fitted_model() -> None:
    assert sorted(STORED) == sorted(golden_searches())
    assert len(STORED) >= 20


@pytest.mark.parametrize("name", STORED)
def test_decisions_are_those_of_the_file(name: str, tmp_path: Path) -> None:
    events = events_of(name, golden_searches()[name], tmp_path / "run")
    stored = STORED[name]
    for number, (before, now) in enumerate(zip(stored, events, strict=False)):
        old, new = dict(flatten(before)), dict(flatten(now))
        assert old.keys() == new.keys(), f"event {number}"
        for place, value in old.items():
            expected = pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
            assert new[place] == expected, f"event {number}, {place}"
    assert len(events) == len(stored)


if __name__ == "__main__":
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, arguments) in enumerate(golden_searches().items()):
            lines += [json.dumps([name, event]) for event in events_of(name, arguments, Path(folder) / str(number))]
    GOLDEN.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} events were written to {GOLDEN}")
