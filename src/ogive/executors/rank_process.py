"""The process of a rank other than 0: `python -m ogive.executors.rank_process FD`, started by its worker.

It receives every assignment of the worker, and carries it out as its rank. It reports only how the assignment ended, since
the worker, rank 0, reports the metrics of all ranks. After a failure the process exits, so that ranks that wait for it lose
the connection.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ogive.errors import JobError, RunError
from ogive.executors.channel import BlockingChannel, Disconnected
from ogive.executors.evaluate import evaluate
from ogive.executors.messages import make_outcome_fields
from ogive.executors.orphans import find_descendants, kill_strays
from ogive.executors.rank_group import reset_signals, use_loopback
from ogive.executors.worker import apply_memory_limit, redirect_output, unpickle_payload
from ogive.run.estimator import Estimator, Team
from ogive.run.executor import Assignment, Outcome
from ogive.run.outcome import classify
from ogive.schedule.base import Action
from ogive.space import Space
from ogive.trial import Step


def main() -> None:
    """Serve the worker until the socket is closed. Its file descriptor is the first argument of the command line."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    reset_signals()
    use_loopback()
    try:
        _serve(BlockingChannel(descriptor))
    except Disconnected:  # the worker has ended
        kill_strays(set())
    os._exit(0)


def _serve(channel: BlockingChannel) -> None:
    start = channel.receive()
    sys.path[:] = start["path"]
    os.chdir(start["cwd"])
    try:
        space, estimator = unpickle_payload(Path(start["payload"]))
        estimator.prepare()
    except BaseException as error:  # noqa: BLE001 - the worker passes it on to the controller
        channel.send({"is": "broken", **make_outcome_fields(classify(error))})
        return
    estimator_processes = find_descendants()
    channel.send({"is": "ready"})
    while True:
        message = channel.receive()
        team = Team(
            rank=start["rank"],
            size=start["ranks"],
            process_index=start["process_index"] + start["rank"],
            rendezvous=Path(message["rendezvous"]),
        )
        outcome = _carry_out(space, estimator, message, team)
        channel.send({"is": "end", **make_outcome_fields(outcome)})
        if outcome.status.failed:
            os._exit(0)
        kill_strays(estimator_processes)
        os.chdir(start["cwd"])


def _carry_out(space: Space, estimator: Estimator, message: Mapping[str, Any], team: Team) -> Outcome:
    """Carry out the assignment in a message; return its outcome."""
    assignment = Assignment(**message["assignment"])

    def deliver(step: Step, metrics: Mapping[str, float], seconds: float) -> Action:
        raise JobError(f"rank {team.rank} of {team.size} reported step {step}; only rank 0 reports")

    try:
        with redirect_output(Path(assignment.folder)), apply_memory_limit(message["memory_limit"]):
            return evaluate(space, estimator, assignment, deliver, is_leaving=lambda: False, team=team)
    except (RunError, OSError, KeyboardInterrupt) as error:
        return classify(error)


if __name__ == "__main__":
    main()
