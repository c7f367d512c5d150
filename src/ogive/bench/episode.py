"""One episode of a comparison: a simulated search, and its result as JSON."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from ogive.bench.anytime_curve import IncumbentPoint, Recorder
from ogive.bench.catalog import Method
from ogive.bench.problem import Problem
from ogive.bench.protocol import Protocol
from ogive.bench.simulated_search import simulate


def run_episode(problem: Problem, method: Method, seed: int, protocol: Protocol) -> dict[str, Any]:
    """Search `problem` with `method` under `protocol`, and return the result as JSON.

    Returns:
        A dict with the keys `points` (the any-time curve, each point as a list of the fields of `IncumbentPoint`),
        `evaluations`, `trials` and `failed` (numbers of trials), `ended` (why the search ended), `seconds` (the virtual time
        of the search), `cost` (the training time of all trials together, in seconds) and `processor` (the CPU time of this
        process, in seconds).
    """
    recorder = Recorder(problem)
    start = time.process_time()
    limit = None if protocol.cost is None else protocol.cost * problem.full_seconds
    state = simulate(
        problem,
        method.strategy,
        method.schedule,
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
        "failed": state.failed_count,
        "ended": state.end_reason,
        "seconds": state.elapsed_seconds,
        "cost": state.compute_seconds,
        "processor": round(time.process_time() - start, 3),
    }


def read_points(result: dict[str, Any]) -> list[IncumbentPoint]:
    """Return the any-time curve of a stored episode."""
    return [
        IncumbentPoint(evaluations, seconds, cost, tuple(values))
        for evaluations, seconds, cost, values in result["points"]
    ]
