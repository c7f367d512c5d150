"""A further process of a data-parallel trial: `python -m ogive.run.executors.rank FD`, fed by its worker.

It is given every assignment that the worker gets, and carries it out as its rank. It reports nothing but how it ended: the
estimator's rank 0, in the worker, reports for all. After a failure it ends, so that whoever waits for it notices.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ogive.errors import JobError, RunError
from ogive.run.estimator import Estimator, Team
from ogive.run.executors.base import Assignment, Outcome
from ogive.run.executors.evaluate import evaluate
from ogive.run.executors.ranks import plain_signals, use_loopback
from ogive.run.executors.strays import descendants, end_strays
from ogive.run.executors.worker import described, load, memory_limited, output_to
from ogive.run.outcome import classify
from ogive.schedule.base import Action
from ogive.space import Space
from ogive.trial import Step


def main() -> None:
    """Serve the worker whose connection is the file descriptor in the first argument, until it is closed."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    plain_signals()
    use_loopback()
    connection = Connection(descriptor)
    try:
        _serve(connection)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        end_strays(set())  # the worker is gone
    os._exit(0)


def _serve(connection: Connection) -> None:
    start = json.loads(connection.recv_bytes())
    sys.path[:] = start["path"]
    os.chdir(start["cwd"])
    try:
        space, estimator = load(Path(start["payload"]))
        estimator.prepare()
    except BaseException as error:  # noqa: BLE001 - told to the worker, which tells the controller
        _send(connection, {"is": "broken", **described(classify(error))})
        return
    own = descendants()
    _send(connection, {"is": "ready"})
    while True:
        message = json.loads(connection.recv_bytes())
        team = Team(start["rank"], start["ranks"], start["place"] + start["rank"], Path(message["rendezvous"]))
        outcome = _one(space, estimator, message, team)
        _send(connection, {"is": "end", **described(outcome)})
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


def _send(connection: Connection, message: Mapping[str, Any]) -> None:
    connection.send_bytes(json.dumps(message).encode())


if __name__ == "__main__":
    main()
