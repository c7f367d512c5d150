"""One episode of a comparison: a search in memory, and its any-time curve as JSON."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from ogive.bench.anytime_curve import IncumbentPoint, Recorder
from ogive.bench.catalog import Entrant
from ogive.bench.problem import Problem
from ogive.bench.protocol import Protocol
from ogive.bench.simulated_search import simulate


def run(problem: Problem, entrant: Entrant, seed: int, protocol: Protocol) -> dict[str, Any]:
    """Search `problem` under `protocol`; what to keep of it.

    Returns:
        `points`: the any-time curve; `evaluations`, `trials`, `failed`, `ended`: how far it went and why it ended;
        `seconds` (virtual clock), `cost` (training seconds of all workers) and `processor` (seconds of this process).
    """
    recorder = Recorder(problem)
    began = time.process_time()
    limit = None if protocol.cost is None else protocol.cost * problem.full_seconds
    state = simulate(
        problem,
        entrant.strategy,
        entrant.schedule,
        trials=protocol.trials,
        workers=protocol.workers,
        seed=seed,
        cost=limit,
        observer=recorder,
    )
    return {
        "points": [list(asdict(point).values()) for point in recorder.points],
        "evaluations": recorder.evaluations,
        "trials": len(state.trials),
        "failed": state.failed,
        "ended": state.ended,
        "seconds": state.elapsed,
        "cost": state.seconds,
        "processor": round(time.process_time() - began, 3),
    }


def points(result: dict[str, Any]) -> list[IncumbentPoint]:
    """The any-time curve of a stored episode."""
    return [IncumbentPoint(e, s, c, tuple(values)) for e, s, c, values in result["points"]]
