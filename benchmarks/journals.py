"""Check whether a change of the code changes a decision: compare the journals of forty seeded searches.

    python benchmarks/journals.py write before.json      # with the old code
    python benchmarks/journals.py compare before.json    # with the new code, on the same machine

The searches use each strategy with one objective, and with two objectives and a constraint, and each schedule, on a
conditional space with a constraint function. All events are compared, except those whose content depends on time
(`TIMED`). Messages, times, versions and fingerprints of the code are not compared (`IGNORED_FIELDS`). The exit code is 1 if
a journal differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import ogive as og

TIMED = frozenset({"projected", "alert", "opened"})
"""The kinds of events that depend on the time that trials take."""
IGNORED_FIELDS = frozenset(
    {"why", "reason", "message", "traceback", "seconds", "versions", "environment", "code", "estimator"}
)
"""Fields that contain messages, or depend on time, the machine, or names and text of the code."""
SCHEDULES: dict[str, dict[str, Any]] = {
    "pbt": {"settings": {"learning_rate": [0.001, 0.1]}, "population": 4, "interval": 3},
    "progressive_dynamic_hurdles": {"models": 5},
}
PAIRED = {"bohb": "hyperband", "dehb": "dehb"}
"""Strategies that need a certain schedule."""


def not_both(architecture: Any) -> str | None:
    wide = architecture["kind"] == "wide" and architecture["wide width"] > 6 and architecture["wide depth"] > 3
    return "too wide and too deep" if wide else None


SPACE = og.Space(
    og.one_of(
        narrow=og.layer(dict, width=og.integer(1, 4, name="width"), depth=og.integer(1, 4, name="depth")),
        wide=og.layer(
            dict,
            width=og.integer(3, 8, name="wide width"),
            depth=og.integer(1, 4, name="wide depth"),
            kernel=og.one_of(3, 5, 7, name="kernel"),
        ),
        name="kind",
    ),
    constraint=not_both,
)


def train(model: dict[str, int], trial: Any) -> None:
    """Report metrics that depend only on the architecture, the settings and the epoch."""
    text = json.dumps([sorted(model.items()), sorted(trial.settings.items())])
    noise = int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 16**8
    best = 1 - abs(model["width"] - 5) / 10 - abs(model["depth"] - 3) / 20 + model.get("kernel", 3) / 100
    state = trial.restore() or trial.inherited() or {"trained": 0}
    for _ in trial.epochs():
        state = {"trained": state["trained"] + 1}
        trial.checkpoint(model=state, **state)
        accuracy = (best + 0.02 * noise) * (1 - 0.6 ** state["trained"])
        trial.report(accuracy=accuracy, latency=float(model["width"] * model["depth"]))


def searches() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the arguments of each search."""
    strategies = [name for name in og.strategy.names() if name not in {"listed", *PAIRED}]
    two_objectives = {
        "objectives": ["accuracy", og.Objective("latency", "minimize")],
        "constraints": [og.Constraint("latency", at_most=20)],
    }
    for name in strategies:
        yield name, {"strategy": name, "max_trials": 40}
        yield f"{name}, two objectives", {"strategy": name, "max_trials": 40, **two_objectives}
    for name, schedule in PAIRED.items():
        yield f"{name} with {schedule}", {"strategy": name, "schedule": schedule, "max_trials": 40, "epochs": 9}
    for name in og.schedule.names():
        if name not in PAIRED.values() or name == "hyperband":
            schedule = {name: SCHEDULES.get(name, {})}
            yield f"random with {name}", {"strategy": "random", "schedule": schedule, "max_trials": 40, "epochs": 9}
    for name, schedule in {"regularized_evolution": "asha", "gp": "asha", "auto": "curve"}.items():
        yield (
            f"{name} with {schedule}",
            {"strategy": name, "schedule": schedule, "max_trials": 60, "epochs": 9, **two_objectives},
        )


def collect_events(arguments: dict[str, Any], folder: Path) -> list[Any]:
    """Run a search, and return the events of its journal that do not depend on time."""
    search = partial(og.search, SPACE, og.estimate.train(train), executor="inline", seed=7, run=folder, cache=False)
    run = search(**{"objectives": "accuracy", "epochs": 1, **arguments})
    lines = Path(run.log("jsonl")).read_text().splitlines()
    events = [event for event in map(json.loads, lines) if event["kind"] not in TIMED]
    return [[event["kind"], event["trial"], event["step"], _remove_ignored(event["data"])] for event in events]


def _remove_ignored(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _remove_ignored(item) for key, item in sorted(value.items()) if key not in IGNORED_FIELDS}
    return [_remove_ignored(item) for item in value] if isinstance(value, list) else value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("write", "compare"))
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    journals = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, arguments) in enumerate(searches()):
            journals[name] = collect_events(arguments, Path(folder) / str(number))
            print(f"{name}: {len(journals[name]):,} events", file=sys.stderr, flush=True)
    if options.what == "write":
        options.file.write_text(json.dumps(journals))
        print(f"{len(journals)} journals were written to {options.file}")
        return 0
    stored = json.loads(options.file.read_text())
    different = 0
    for name in sorted(stored.keys() | journals.keys()):
        before, after = stored.get(name), json.loads(json.dumps(journals.get(name)))
        if before == after:
            continue
        different += 1
        index = next(
            (i for i, pair in enumerate(zip(before or [], after or [], strict=False)) if pair[0] != pair[1]), None
        )
        old, new = (before or [None])[index or 0], (after or [None])[index or 0]
        print(f"{name}: differs from event {index}: {old} -> {new}")
    print(f"{len(stored) - different} of {len(stored)} journals are the same")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
