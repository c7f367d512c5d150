"""The progress of a running search for the live view: the best trial so far, the remaining time, and the spending."""

from __future__ import annotations

import time
from collections.abc import Callable

from ogive.formatting import amount, duration, nonzero_counts, number, plural
from ogive.monitor import cost
from ogive.monitor.cost_text import format_money_spent
from ogive.monitor.plan_comparison import read_plan_forecast
from ogive.monitor.rewards import count_inactive
from ogive.objective import total_violation
from ogive.run import spending
from ogive.run.events import Event, Kind
from ogive.run.settings import Settings
from ogive.run.spending import SECONDS_PER_HOUR
from ogive.run.state import State
from ogive.run.trial_labels import format_trial_name, select_shown_metrics
from ogive.run.unsaved_weights import UNSAVED_PREFIX
from ogive.trial import Status, Trial, are_finite

_VALUE_EVENTS = (Kind.FINISHED, Kind.STOPPED, Kind.PAUSED)
"""The kinds of events after which a trial is compared with the best trials."""
MIN_TRIALS_FOR_PACE = 3
"""The remaining time is estimated from the pace once this many trials have become inactive in the present session."""


class Progress:
    """The progress of a run, updated with every event.

    `record_event` is fast: it compares only the trial of the event with the best trials so far.

    Attributes:
        best: the best trial so far or, with several objectives, the trials that no other trial dominates. If trials are
            equal, only the first that reported is one of them.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._state: State | None = None
        self._start_time = 0.0  # the time of the first event of this session, by the clock
        self._elapsed_before = 0.0  # seconds of earlier sessions
        self._inactive_before = 0  # trials that were inactive when this session began
        self._cached_count = 0  # trials of this session whose results came from the evaluation cache
        self._step = 0  # the step at which the best trials are compared
        self._ended_at_projection = -1  # the number of ended trials when the spending was last projected
        self._projection: cost.Projection | None = None
        self.best: list[Trial] = []

    def record_event(self, state: State, event: Event | None) -> None:
        """Record an event that `state` has applied. `event` is None if only time has passed."""
        if self._state is None:
            self._begin(state, event)
        elif event is not None and event.trial is not None:
            trial = state.trials[event.trial] if event.kind in (*_VALUE_EVENTS, Kind.FAILED, Kind.PROPOSED) else None
            if trial is not None and event.kind in _VALUE_EVENTS:
                self._add_if_best(trial)
            elif trial is not None and event.kind is Kind.PROPOSED:
                self._cached_count += trial.cached
            elif trial is not None and any(best.id == trial.id for best in self.best):
                # One of the best trials, which had been paused, was resumed and has failed.
                self._reset_best()

    @property
    def has_started(self) -> bool:
        """Whether the search has started, so that there is something to show."""
        return self._state is not None

    @property
    def state(self) -> State:
        """The state of the run."""
        assert self._state is not None, "record_event() comes first"
        return self._state

    def _begin(self, state: State, event: Event | None) -> None:
        """Begin with the first event of this session."""
        self._state = state
        self._start_time, self._elapsed_before = self._clock(), state.elapsed_seconds
        # The first event may have made a trial inactive, which then belongs to this session.
        self._inactive_before = self.inactive - (event is not None and event.kind in _VALUE_EVENTS)
        self._reset_best()

    def _reset_best(self) -> None:
        """Compute `best` from all trials. The highest step is determined again."""
        self._step = 0
        self._collect_best_at_step()

    def _collect_best_at_step(self) -> None:
        """Compute `best` from all inactive trials that have not failed, at the present `_step`."""
        self.best = []
        for trial in self.state.trials.values():
            if trial.status is Status.PAUSED or (trial.status.ended and not trial.status.failed):
                self._add_if_best(trial)

    def _add_if_best(self, trial: Trial) -> None:
        """Add a trial to `best` if no trial of `best` is better. Only trials at the highest step are compared."""
        if not trial.has_reached(self._step) or not are_finite(
            trial.metrics, (o.metric for o in self.state.objectives)
        ):
            return
        if total_violation(trial.metrics, self.state.constraints) > 0:
            return
        if trial.step > self._step:
            self._step = trial.step
            self._collect_best_at_step()
        # If `trial` is in `best` already, it ties with itself, and is not added again.
        if not any(self._dominates(best, trial, ties=True) for best in self.best):
            self.best = [best for best in self.best if not self._dominates(trial, best, ties=False)] + [trial]

    def _dominates(self, a: Trial, b: Trial, ties: bool) -> bool:
        """Return whether `a` is not worse than `b` in any objective, and better in one.

        If both are equal in all objectives, return `ties`.
        """
        costs = [(objective.cost(a.metrics), objective.cost(b.metrics)) for objective in self.state.objectives]
        return all(x <= y for x, y in costs) and (ties or any(x < y for x, y in costs))

    # -- texts ---------------------------------------------------------------------------------------------------

    @property
    def total(self) -> int:
        """The number of trials of the search."""
        return self.state.total_trials

    @property
    def inactive(self) -> int:
        """The number of trials that are paused or have ended."""
        return count_inactive(self.state)

    @property
    def elapsed(self) -> float:
        """The seconds of all sessions up to now."""
        return max(self.state.elapsed_seconds, self._elapsed_before + self._clock() - self._start_time)

    @property
    def remaining(self) -> float | None:
        """The estimated seconds to the end of the search; None if there is no estimate.

        The estimate is based on the pace of this session and on the budget of hours. It does not account for paused trials
        that are promoted later, or for an end by `max_failed_trials`.
        """
        if self.state.end_reason:
            return None
        computed = self.inactive - self._inactive_before - self._cached_count
        estimates = []
        if computed >= MIN_TRIALS_FOR_PACE:
            estimates.append((self.total - self.inactive) * (self._clock() - self._start_time) / computed)
        hours = Settings.from_json(self.state.settings).hours
        if hours is not None:
            estimates.append(max(0.0, hours * SECONDS_PER_HOUR - self.elapsed))
        return min(estimates, default=None)

    def format_counts(self) -> str:
        """Return the numbers of trials by status, such as `57/100 trials, 2 running, 3 paused`."""
        parts = [f"{self.inactive:,}/{self.total:,} trials"]
        for status in (Status.RUNNING, Status.WAITING, Status.PAUSED):
            if self.state.status_counts[status]:
                parts.append(f"{self.state.status_counts[status]:,} {status.value}")
        return ", ".join(parts)

    def format_best(self, details: bool = True) -> str:
        """Return a text on the best trial, such as `trial 41, accuracy 0.957, parameters 45,210 ...`.

        With several objectives, return the size of the front and the best trial in each objective.

        Args:
            details: whether to show other metrics besides the objective, and the number of epochs.
        """
        if not self.best:
            has_valid_trials = self.state.constraints and self.inactive > self.state.failed_count
            return "none satisfies the constraints yet" if has_valid_trials else "none yet"
        state = self.state
        if len(state.objectives) == 1:
            best = self.best[0]
            metrics = select_shown_metrics(
                best.metrics, state.compared_metrics if details else [state.objectives[0].metric]
            )
            values = ", ".join(f"{name} {number(value)}" for name, value in metrics.items())
            epochs = f", after {plural(self._step, 'epoch')}" if details and state.declaration.get("epochs") else ""
            return f"{format_trial_name(best)}, {values}{epochs}"
        extremes = []
        for objective in state.objectives:
            trial = min(self.best, key=lambda trial: objective.cost(trial.metrics))
            extremes.append(
                f"{objective.metric} {number(trial.metrics[objective.metric])} ({format_trial_name(trial)})"
            )
        return f"front of {plural(len(self.best), 'trial')}, {', '.join(extremes)}"

    def format_failures(self) -> str | None:
        """Return the number of failed trials by cause, such as `3: 2 error, 1 time limit`; None if there are none."""
        failed = {status: n for status, n in self.state.status_counts.items() if status.failed}
        return f"{self.state.failed_count:,}: {nonzero_counts(failed)}" if self.state.failed_count else None

    def format_times(self) -> str:
        """Return the elapsed and the remaining time, such as `1 min 20 s, about 40 s left`, and the plan's forecast."""
        remaining = f", about {duration(self.remaining)} left" if self.remaining else ""
        plan = read_plan_forecast(self.state)
        forecast = f"; the plan's forecast was {duration(plan.seconds.expected)} in total" if plan else ""
        return duration(self.elapsed) + remaining + forecast

    @property
    def spent(self) -> str | None:
        """The money spent so far and its projection; None if there is no price.

        For example: `6.43 of 50 USD (13%), 17.10 to 22.40 at the end`.
        """
        settings = Settings.from_json(self.state.settings)
        now = self.state.time + self.elapsed - self.state.elapsed_seconds  # by the clock of the journal
        spent = spending.compute_spending(self.state, now)
        if spent.money is None:
            return None
        money_text = format_money_spent(spent, settings)
        # A projection goes through all trials, so it is only computed again after a trial has ended.
        if self.state.ended_count != self._ended_at_projection:
            self._ended_at_projection, self._projection = self.state.ended_count, cost.project_cost(self.state)
        expected = self._projection.money if self._projection else None
        return money_text + (f", {amount(expected.low)} to {amount(expected.high)} at the end" if expected else "")

    def format_summary(self) -> str:
        """Return a line that summarizes the search, for the end of the session."""
        failed = f", {self.state.failed_count:,} failed" if self.state.failed_count else ""
        by = "by failures: " if self.state.ended_by_failures else ""
        end = f"ended: {by}{self.state.end_reason}" if self.state.end_reason else "not ended, can be continued"
        unsaved = next((f"; {m}" for m, _ in self.state.warnings if m.startswith(UNSAVED_PREFIX)), "")
        counts, best = f"{self.format_counts()}{failed}", self.format_best(False)
        return f"{counts}, in {duration(self.elapsed)}; best: {best}; {end}{unsaved}"
