"""Evaluations in the controller's process and thread, one at a time: for debugging, tests and benchmarks."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ogive.executors.evaluate import evaluate, make_folder
from ogive.run import signal_handlers
from ogive.run.estimator import Estimator
from ogive.run.executor import Assignment, Executor, Listener
from ogive.schedule.base import Action
from ogive.space import Space
from ogive.trial import Step


class InlineExecutor(Executor):
    """Runs each evaluation during `poll`. The output of an evaluation is not captured, and it cannot be killed."""

    def __init__(self, space: Space, estimator: Estimator) -> None:
        self._space = space
        self._estimator = estimator
        self._assignment: Assignment | None = None
        self._prepared = False
        self._recalled = False

    @property
    def idle(self) -> int:
        return 0 if self._assignment else 1

    def submit(self, assignment: Assignment) -> str:
        self._assignment = assignment
        return "inline"

    def poll(self, listener: Listener, timeout: float) -> None:
        assignment = self._assignment
        if assignment is None:
            return
        if not self._prepared:
            self._estimator.prepare()
            self._prepared = True

        controller_errors: list[BaseException] = []
        process = os.getpid()

        def deliver(step: Step, metrics: Mapping[str, float], seconds: float) -> Action:
            if os.getpid() != process:  # a process that the evaluation has forked reports, too
                os._exit(0)
            try:
                return listener.on_report(assignment.trial, step, metrics, seconds)
            except BaseException as error:
                # Otherwise the exception would end the evaluation, and the trial would fail because of it.
                controller_errors.append(error)
                raise

        make_folder(assignment)
        try:
            outcome = evaluate(self._space, self._estimator, assignment, deliver, is_leaving=lambda: self._recalled)
        finally:
            if os.getpid() != process:
                os._exit(0)
            signal_handlers.reinstall()  # the evaluation may have replaced them
        if controller_errors:
            raise controller_errors[0]
        self._assignment = None
        listener.on_end(assignment.trial, outcome)

    def recall(self) -> None:
        self._recalled = True

    def close(self) -> None:
        self._assignment = None
