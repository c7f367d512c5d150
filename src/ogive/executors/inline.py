"""An executor that evaluates in the controller's process and thread, for debugging, tests and benchmarks."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ogive.executors.evaluate import create_trial_folder, evaluate
from ogive.run import signal_handlers
from ogive.run.estimator import Estimator
from ogive.run.executor import Assignment, Executor, Listener
from ogive.schedule.base import Action
from ogive.space import Space
from ogive.trial import Step


class InlineExecutor(Executor):
    """Runs one evaluation at a time, during `poll`. It can neither capture the output of an evaluation nor kill it."""

    def __init__(self, space: Space, estimator: Estimator) -> None:
        self._space = space
        self._estimator = estimator
        self._assignment: Assignment | None = None
        self._is_prepared = False
        self._is_recalled = False

    @property
    def idle_count(self) -> int:
        return 0 if self._assignment else 1

    def submit(self, assignment: Assignment) -> str:
        self._assignment = assignment
        return "inline"

    def poll(self, listener: Listener, timeout: float) -> None:
        assignment = self._assignment
        if assignment is None:
            return
        if not self._is_prepared:
            self._estimator.prepare()
            self._is_prepared = True

        controller_errors: list[BaseException] = []
        process = os.getpid()

        def deliver(step: Step, metrics: Mapping[str, float], seconds: float) -> Action:
            if os.getpid() != process:  # a process that the evaluation has forked must not report
                os._exit(0)
            try:
                return listener.on_report(assignment.trial, step, metrics, seconds)
            except BaseException as error:
                # Raised in the evaluation, the error would become a failure of the trial. So it is raised again below.
                controller_errors.append(error)
                raise

        create_trial_folder(assignment)
        try:
            outcome = evaluate(self._space, self._estimator, assignment, deliver, is_leaving=lambda: self._is_recalled)
        finally:
            if os.getpid() != process:  # a forked process must not run the rest of the search
                os._exit(0)
            signal_handlers.reinstall()  # the evaluation may have replaced them
        if controller_errors:
            raise controller_errors[0]
        self._assignment = None
        listener.on_end(assignment.trial, outcome)

    def recall(self) -> None:
        self._is_recalled = True

    def close(self) -> None:
        self._assignment = None
