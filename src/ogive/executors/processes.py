"""Evaluations in warm worker processes on this machine."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.executors.channel import ProtocolError
from ogive.executors.messages import outcome_of
from ogive.executors.orphans import kill_marked
from ogive.executors.worker_client import LEFT, WorkerClient
from ogive.run.executor import STARTUP_SECONDS, Assignment, Executor, Listener, Outcome
from ogive.run.manifest import cores
from ogive.trial import Status

LOOK_SECONDS = 0.5
"""How often limits are checked."""
MAX_STILLBORN = 5
"""Workers in a row that may be killed while they start."""
GUARDIAN_SECONDS = 30.0
"""How long the guardian may take to end."""


class Processes(Executor):
    """`workers` warm processes, each with its share of the cores.

    Args:
        payload: the file with the space and the estimator; see `worker.load`.
        folder: of the run; the workers' own output goes to `worker-*.log` in it.
        workers: how many evaluations at a time.
        ranks: processes of each evaluation (`workers_per_trial`), which the estimator must be `parallel` for.
        time_limit: compute seconds of one trial, all attempts together.
        memory_limit: gigabytes that one trial may take beyond what its worker had before.
        startup_limit: seconds that a worker may take to be ready for its first trial.
        threads: of each process; its share of the cores where None.
    """

    def __init__(
        self,
        payload: Path,
        folder: Path,
        workers: int,
        *,
        ranks: int = 1,
        time_limit: float | None = None,
        memory_limit: float | None = None,
        startup_limit: float | None = STARTUP_SECONDS,
        threads: int | None = None,
    ) -> None:
        self._folder = folder
        self._time_limit = time_limit
        self._memory_limit = memory_limit
        self._startup_limit = startup_limit
        self._threads = threads or max(1, cores() // (workers * ranks))
        self._start: dict[str, Any] = {
            "path": [str(entry) for entry in sys.path],
            "cwd": os.getcwd(),
            "payload": str(payload.resolve()),
            "ranks": ranks,
            "startup_limit": startup_limit,
        }
        self._mark = f"{run_mark(folder)}/{uuid.uuid4().hex[:8]}"
        self._recalled = False
        self._looked = time.monotonic()
        self._stillborn = 0
        self._any_ready = False  # so far
        self._workers: list[WorkerClient] = []
        kill_marked(run_mark(folder))  # what a killed controller's workers may have left running
        self._guardian = subprocess.Popen(
            [sys.executable, "-P", "-m", "ogive.executors.watchdog", self._mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # not the controller's, which somebody may read to its end
            start_new_session=True,
        )
        try:
            for number in range(workers):
                self._workers.append(self._launch(f"worker-{number}"))
        except BaseException:
            self.close()
            raise

    def _launch(self, name: str) -> WorkerClient:
        start = {**self._start, "place": int(name.rpartition("-")[2]) * self._start["ranks"]}
        return WorkerClient(name, self._mark, self._threads, start, self._folder / f"{name}.log")

    @property
    def idle(self) -> int:
        return sum(worker.idle for worker in self._workers)

    def submit(self, assignment: Assignment) -> str:
        worker = next(worker for worker in self._workers if worker.idle)
        worker.begin(assignment, self._memory_limit)
        return worker.name

    def poll(self, listener: Listener, timeout: float) -> None:
        for worker in self._with_messages(timeout):
            try:
                message = worker.receive()
                if message is not None:
                    self._handle(worker, message, listener)
            except ProtocolError as error:
                worker.reject(error)
                if worker.assignment is None and worker.ready:
                    listener.on_warning(f"{worker.name} is replaced: {error}")
            if worker.channel.closed:
                worker.wait_a_moment()
                if worker.over:
                    self._died(worker, listener)
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._look(listener)
            self._looked = time.monotonic()

    def _with_messages(self, timeout: float) -> list[WorkerClient]:
        """The workers whose channels can be read now; each gets its turn, however much another one sends."""
        open_channels = [worker for worker in self._workers if not worker.channel.closed]
        with selectors.PollSelector() as selector:
            for worker in open_channels:
                selector.register(worker.channel, worker.channel.interest, worker)
            pending = [worker for worker in open_channels if worker.channel.pending]
            events = selector.select(0 if pending else timeout)
        for key, event in events:
            if event & selectors.EVENT_WRITE:
                key.data.channel.flush()
        readable = {key.data.name for key, event in events if event & selectors.EVENT_READ}
        return [worker for worker in open_channels if worker in pending or worker.name in readable]

    def _look(self, listener: Listener) -> None:
        for worker in list(self._workers):
            if worker.over:
                self._died(worker, listener)
            else:
                worker.enforce(self._time_limit, self._memory_limit, self._startup_limit)

    def _handle(self, worker: WorkerClient, message: Mapping[str, Any], listener: Listener) -> None:
        match message["is"]:
            case "ready":
                worker.ready, self._stillborn, self._any_ready = True, 0, True
            case "broken":
                raise RunError(
                    f"the workers cannot start: {message['reason']}\n{message['traceback']}\nsee also {worker.log}"
                )
            case "fault":
                raise RunError(message["reason"])
            case "report":
                assert worker.assignment is not None
                trial = worker.assignment.trial
                action = listener.on_report(trial, message["step"], message["metrics"], message["seconds"])
                worker.channel.send({"action": action.value, "recalled": self._recalled})
            case "end":
                worker.leaving = bool(message.get("leaving"))
                listener.on_end(worker.finish().trial, outcome_of(message))

    def _died(self, worker: WorkerClient, listener: Listener) -> None:
        """Replace a worker that has ended, and say what became of its trial."""
        code, outcome = worker.bury()
        place = self._workers.index(worker)
        if self._recalled:
            del self._workers[place]
        else:
            self._check_birth(worker, outcome)
            self._workers[place] = self._launch(worker.name)
        if worker.assignment is not None:
            listener.on_end(worker.finish().trial, outcome)
        elif code != LEFT and worker.killed_for is None:
            listener.on_warning(f"{worker.name} ended while it was idle ({outcome.reason}) and was replaced")

    def _check_birth(self, worker: WorkerClient, outcome: Outcome) -> None:
        """See that workers can start at all."""
        if worker.ready:
            return
        self._stillborn += 1
        never = outcome.status is Status.EXITED or (outcome.status is Status.TIME_LIMIT and not self._any_ready)
        if never or self._stillborn >= MAX_STILLBORN:
            words = worker.log.read_text(errors="replace")[-2000:].strip()
            raise RunError(f"a worker ended while it was starting ({outcome.reason}); {worker.log} ends with:\n{words}")

    def recall(self) -> None:
        self._recalled = True

    def close(self) -> None:
        if self._guardian.returncode is not None:
            return  # a second time
        kill_marked(self._mark)  # once for all, since it looks at every process of the machine
        for worker in self._workers:
            worker.end()
        self._workers = []
        assert self._guardian.stdin is not None
        self._guardian.stdin.close()
        try:
            self._guardian.wait(timeout=GUARDIAN_SECONDS)
        except subprocess.TimeoutExpired:
            self._guardian.kill()


def run_mark(folder: Path) -> str:
    """The mark of every process that works for the run in `folder`."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(folder.resolve())))[:18]
