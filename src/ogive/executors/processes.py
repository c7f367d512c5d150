"""The executor that runs worker processes on this machine. Each worker process is used for many trials."""

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
from ogive.executors.messages import parse_outcome
from ogive.executors.orphans import kill_marked
from ogive.executors.worker_client import LEFT_EXIT_CODE, WorkerClient
from ogive.run.executor import STARTUP_SECONDS, Assignment, Executor, Listener, Outcome
from ogive.run.manifest import count_cores
from ogive.trial import Status

CHECK_SECONDS = 0.5
"""The time between two checks of the limits."""
MAX_FAILED_STARTS = 5
"""If this many workers in a row are killed while they start, the search ends with an error."""
MARK_CHARACTERS = 18
"""The number of characters of the mark of a run."""
WATCHDOG_SECONDS = 30.0
"""The time that the watchdog may take to end before it is killed."""


class ProcessExecutor(Executor):
    """Runs trials in a fixed number of worker processes, each with its share of the cores.

    Args:
        payload: the file with the space and the estimator; see `worker.unpickle_payload`.
        folder: the folder of the run; the output of the workers outside trials goes to `worker-*.log` in this folder.
        workers: the number of evaluations at a time.
        ranks: the number of processes of each evaluation (`workers_per_trial`); above 1, the estimator must be `parallel`.
        time_limit: the compute time of a trial, all attempts together, in seconds; None for no limit.
        memory_limit: the memory that a trial may use in addition to the memory of its worker before the trial, in gigabytes;
            None for no limit.
        startup_limit: the time that a worker may take to be ready for its first trial, in seconds; None for no limit.
        threads: the number of threads of each process; None for an equal share of the cores.

    Raises:
        OSError: a process cannot be started.
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
        self._threads = threads or max(1, count_cores() // (workers * ranks))
        # The fields that the first messages to all workers have in common.
        self._start_message: dict[str, Any] = {
            "path": [str(entry) for entry in sys.path],
            "cwd": os.getcwd(),
            "payload": str(payload.resolve()),
            "ranks": ranks,
            "startup_limit": startup_limit,
        }
        self._mark = f"{compute_run_mark(folder)}/{uuid.uuid4().hex[:8]}"
        self._is_recalled = False
        self._last_check = time.monotonic()
        self._failed_starts = 0  # since the last worker that became ready
        self._has_had_ready_worker = False
        self._workers: list[WorkerClient] = []
        kill_marked(compute_run_mark(folder))  # processes of an earlier controller that was killed
        self._watchdog = subprocess.Popen(
            [sys.executable, "-P", "-m", "ogive.executors.watchdog", self._mark],
            stdin=subprocess.PIPE,
            # If the watchdog inherited the output, a program that reads the controller's output would wait for the watchdog
            # to end.
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            for number in range(workers):
                self._workers.append(self._launch(f"worker-{number}"))
        except BaseException:
            self.close()
            raise

    def _launch(self, name: str) -> WorkerClient:
        """Start the worker with this name, `worker-<number>`; its number gives the index of its first process (rank 0)."""
        process_index = int(name.rpartition("-")[2]) * self._start_message["ranks"]
        start = {**self._start_message, "process_index": process_index}
        return WorkerClient(name, mark=self._mark, threads=self._threads, start=start, log=self._folder / f"{name}.log")

    @property
    def idle_count(self) -> int:
        return sum(worker.is_idle for worker in self._workers)

    def submit(self, assignment: Assignment) -> str:
        worker = next(worker for worker in self._workers if worker.is_idle)
        worker.begin(assignment, self._memory_limit)
        return worker.name

    def poll(self, listener: Listener, timeout: float) -> None:
        for worker in self._find_readable_workers(timeout):
            try:
                message = worker.receive()
                if message is not None:
                    self._handle(worker, message, listener)
            except ProtocolError as error:
                worker.reject(error)
                if worker.assignment is None and worker.is_ready:
                    listener.on_warning(f"{worker.name} is replaced: {error}")
            if worker.channel.is_closed:
                # The process usually ends at the same moment. A short wait avoids a delay until the next check.
                worker.wait_briefly()
                if worker.has_ended:
                    self._replace(worker, listener)
        if time.monotonic() - self._last_check >= CHECK_SECONDS:
            self._check_workers(listener)
            self._last_check = time.monotonic()

    def _find_readable_workers(self, timeout: float) -> list[WorkerClient]:
        """Return the workers whose channels can be read now; wait at most `timeout` seconds for the first one."""
        connected = [worker for worker in self._workers if not worker.channel.is_closed]
        with selectors.PollSelector() as selector:
            for worker in connected:
                selector.register(worker.channel, worker.channel.interest, worker)
            with_message = [worker for worker in connected if worker.channel.has_message]
            events = selector.select(0 if with_message else timeout)
        for key, event in events:
            if event & selectors.EVENT_WRITE:
                key.data.channel.flush()
        readable = {key.data.name for key, event in events if event & selectors.EVENT_READ}
        return [worker for worker in connected if worker in with_message or worker.name in readable]

    def _check_workers(self, listener: Listener) -> None:
        """Replace workers that have ended, and kill those that exceed a limit."""
        for worker in list(self._workers):
            if worker.has_ended:
                self._replace(worker, listener)
            else:
                worker.enforce_limits(self._time_limit, self._memory_limit, self._startup_limit)

    def _handle(self, worker: WorkerClient, message: Mapping[str, Any], listener: Listener) -> None:
        """Pass a message of a worker to the listener, and answer a report.

        Raises:
            RunError: a worker cannot load its code, or cannot write files.
        """
        match message["is"]:
            case "ready":
                worker.is_ready, self._failed_starts, self._has_had_ready_worker = True, 0, True
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
                worker.channel.send({"action": action.value, "recalled": self._is_recalled})
            case "end":
                worker.is_leaving = bool(message.get("leaving"))
                listener.on_end(worker.finish().trial, parse_outcome(message))

    def _replace(self, worker: WorkerClient, listener: Listener) -> None:
        """Replace a worker that has ended, unless the session is about to end. Report the end of its attempt, if any."""
        exit_code, outcome = worker.clean_up()
        index = self._workers.index(worker)
        if self._is_recalled:
            del self._workers[index]
        else:
            self._check_start(worker, outcome)
            self._workers[index] = self._launch(worker.name)
        if worker.assignment is not None:
            listener.on_end(worker.finish().trial, outcome)
        elif exit_code != LEFT_EXIT_CODE and worker.kill_outcome is None:
            listener.on_warning(f"{worker.name} ended while it was idle ({outcome.reason}) and was replaced")

    def _check_start(self, worker: WorkerClient, outcome: Outcome) -> None:
        """Raise a RunError if workers cannot start. `worker` has ended; do nothing if it had become ready before."""
        if worker.is_ready:
            return
        self._failed_starts += 1
        # A worker that exits by itself would do so again. If no worker has ever been ready, all would reach the limit.
        never_starts = outcome.status is Status.EXITED or (
            outcome.status is Status.TIME_LIMIT and not self._has_had_ready_worker
        )
        if never_starts or self._failed_starts >= MAX_FAILED_STARTS:
            last_lines = worker.log.read_text(errors="replace")[-2000:].strip()
            raise RunError(
                f"a worker ended while it was starting ({outcome.reason}); {worker.log} ends with:\n{last_lines}"
            )

    def recall(self) -> None:
        self._is_recalled = True

    def close(self) -> None:
        if self._watchdog.returncode is not None:
            return  # closed already
        kill_marked(self._mark)  # once for all workers, since this searches all processes of the machine
        for worker in self._workers:
            worker.kill_worker()
        self._workers = []
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.close()
        try:
            self._watchdog.wait(timeout=WATCHDOG_SECONDS)
        except subprocess.TimeoutExpired:
            self._watchdog.kill()


def compute_run_mark(folder: Path) -> str:
    """Return the mark of every process that works for the run in `folder`."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, str(folder.resolve())))[:MARK_CHARACTERS]
