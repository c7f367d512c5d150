"""A further process of a data-parallel trial: `python -m ogive.executors.rank_process FD`, fed by its worker.

It is given every assignment that the worker gets, and carries it out as its rank. It reports nothing but how it ended: the
estimator's rank 0, in the worker, reports for all. After a failure it ends, so that whoever waits for it notices.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ogive.errors import JobError, RunError
from ogive.executors.channel import Disconnected, Line
from ogive.executors.evaluate import evaluate
from ogive.executors.messages import outcome_fields
from ogive.executors.orphans import descendants, end_strays
from ogive.executors.rank_group import plain_signals, use_loopback
from ogive.executors.worker import load, memory_limited, output_to
from ogive.run.estimator import Estimator, Team
from ogive.run.executor import Assignment, Outcome
from ogive.run.outcome import classify
from ogive.schedule.base import Action
from ogive.space import Space
from ogive.trial import Step


def main() -> None:
    """Serve the worker at the socket whose file descriptor is the first argument, until it is closed."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    plain_signals()
    use_loopback()
    try:
        _serve(Line(descriptor))
    except Disconnected:
        end_strays(set())  # the worker is gone
    os._exit(0)


def _serve(line: Line) -> None:
    start = line.receive()
    sys.path[:] = start["path"]
    os.chdir(start["cwd"])
    try:
        space, estimator = load(Path(start["payload"]))
        estimator.prepare()
    except BaseException as error:  # noqa: BLE001 - told to the worker, which tells the controller
        line.send({"is": "broken", **outcome_fields(classify(error))})
        return
    own = descendants()
    line.send({"is": "ready"})
    while True:
        message = line.receive()
        team = Team(start["rank"], start["ranks"], start["place"] + start["rank"], Path(message["rendezvous"]))
        outcome = _one(space, estimator, message, team)
        line.send({"is": "end", **outcome_fields(outcome)})
        if outcome.status.failed:
            os._exit(0)
        end_strays(own)
        os.chdir(start["cwd"])


def _one(space: Space, estimator: Estimator, message: Mapping[str, Any], team: Team) -> Outcome:
    assignment = Assignment(**message["assignment"])

    def deliver(step: Step, metrics: Mapping[str, float], seconds: float) -> Action:
        raise JobError(f"rank {team.rank} of {team.size} reported step {step}; rank 0 alone reports")

    try:
        with output_to(Path(assignment.folder)), memory_limited(message["memory_limit"]):
            return evaluate(space, estimator, assignment, deliver, lambda: False, team)
    except (RunError, OSError, KeyboardInterrupt) as error:
        return classify(error)


if __name__ == "__main__":
    main()
