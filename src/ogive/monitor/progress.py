"""What a live view shows, kept up event by event: the best so far, the pace, the time left."""

from __future__ import annotations

import time
from collections.abc import Callable

from ogive.formatting import amount, counts, duration, number, of_limit, plural
from ogive.monitor import cost
from ogive.monitor.plan_comparison import forecast_of
from ogive.objective import violation
from ogive.run import spending
from ogive.run.events import Event, Kind
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.run.trial_labels import shown_metrics, trial_name
from ogive.run.unsaved_weights import UNSAVED
from ogive.trial import Status, Trial, finite

_RANKED = (Kind.FINISHED, Kind.STOPPED, Kind.PAUSED)
ENOUGH = 3
"""Trials that this session must have brought to rest before a time left is estimated."""


class Progress:
    """Follows a run. `note` costs little: it looks at one trial, and at those that were best before.

    Attributes:
        best: the best trials so far: one, or those that no other dominates; the first come of equals.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._state: State | None = None
        self._began = 0.0  # by the clock
        self._elapsed_before = 0.0
        self._rest_before = 0
        self._cached = 0
        self._step = 0
        self._projected_at = -1
        self._projected: cost.Projection | None = None
        self.best: list[Trial] = []

    def note(self, state: State, event: Event | None) -> None:
        """Take note of an event that `state` has applied; None is the passing of time."""
        if self._state is None:
            self._begin(state, event)
        elif event is not None and event.trial is not None:
            trial = state.trials[event.trial] if event.kind in (*_RANKED, Kind.FAILED, Kind.PROPOSED) else None
            if trial is not None and event.kind in _RANKED:
                self._consider(trial)
            elif trial is not None and event.kind is Kind.PROPOSED:
                self._cached += trial.cached
            elif trial is not None and any(best.id == trial.id for best in self.best):
                self._recount()  # the best has failed when it was resumed

    @property
    def seen(self) -> bool:
        """Whether anything was noted."""
        return self._state is not None

    @property
    def state(self) -> State:
        assert self._state is not None, "note() comes first"
        return self._state

    def _begin(self, state: State, event: Event | None) -> None:
        self._state = state
        self._began, self._elapsed_before = self._clock(), state.elapsed
        self._rest_before = self.at_rest - (event is not None and event.kind in _RANKED)
        self._recount()

    def _recount(self) -> None:
        self._step = 0
        self._compare_again()

    def _compare_again(self) -> None:
        """Compare all trials at rest; those that ended by themselves have a value at any step."""
        self.best = []
        for trial in self.state.trials.values():
            if trial.status is Status.PAUSED or (trial.status.ended and not trial.status.failed):
                self._consider(trial)

    def _consider(self, trial: Trial) -> None:
        """Values at unequal steps are not compared: who came furthest counts."""
        if not trial.reaches(self._step) or not finite(trial.metrics, (o.metric for o in self.state.objectives)):
            return
        if violation(trial.metrics, self.state.constraints) > 0:
            return
        if trial.step > self._step:
            self._step = trial.step
            self._compare_again()
        if not any(self._dominates(best, trial, ties=True) for best in self.best):
            self.best = [best for best in self.best if not self._dominates(trial, best, ties=False)] + [trial]

    def _dominates(self, a: Trial, b: Trial, ties: bool) -> bool:
        """Whether `a` is better than `b` in no objective worse; of equals `ties` says."""
        costs = [(objective.cost(a.metrics), objective.cost(b.metrics)) for objective in self.state.objectives]
        return all(x <= y for x, y in costs) and (ties or any(x < y for x, y in costs))

    # -- what is shown -------------------------------------------------------------------------------------------

    @property
    def total(self) -> int:
        return self.state.total

    @property
    def at_rest(self) -> int:
        """Trials that ended or are paused."""
        return self.state.done + self.state.count[Status.PAUSED]

    @property
    def elapsed(self) -> float:
        """Seconds that all sessions took until now."""
        return max(self.state.elapsed, self._elapsed_before + self._clock() - self._began)

    @property
    def left(self) -> float | None:
        """Seconds to the end at this session's pace, or to the budget's; None while nothing can be said.

        A trial that is promoted later costs more than it seems to now, and `max_failed_trials` may end the run before.
        """
        if self.state.ended:
            return None
        rested = self.at_rest - self._rest_before - self._cached
        estimates = []
        if rested >= ENOUGH:
            estimates.append((self.total - self.at_rest) * (self._clock() - self._began) / rested)
        hours = Settings.from_json(self.state.settings).hours
        if hours is not None:
            estimates.append(max(0.0, hours * 3600 - self.elapsed))
        return min(estimates, default=None)

    def progress(self) -> str:
        """`57/100 trials, 2 running, 3 paused`."""
        parts = [f"{self.at_rest:,}/{self.total:,} trials"]
        for status in (Status.RUNNING, Status.WAITING, Status.PAUSED):
            if self.state.count[status]:
                parts.append(f"{self.state.count[status]:,} {status.value}")
        return ", ".join(parts)

    def best_so_far(self, details: bool = True) -> str:
        """`trial 41, accuracy 0.957, parameters 45,210 ...`, or the front and its ends."""
        if not self.best:
            valued = self.state.constraints and self.at_rest > self.state.failed
            return "none satisfies the constraints yet" if valued else "none yet"
        state = self.state
        if len(state.objectives) == 1:
            best = self.best[0]
            values = shown_metrics(best.metrics, state.metrics_needed if details else [state.objectives[0].metric])
            shown = ", ".join(f"{name} {number(value)}" for name, value in values.items())
            epochs = f", after {plural(self._step, 'epoch')}" if details and state.created.get("epochs") else ""
            return f"{trial_name(best)}, {shown}{epochs}"
        ends = []
        for objective in state.objectives:
            end = min(self.best, key=lambda trial: objective.cost(trial.metrics))
            ends.append(f"{objective.metric} {number(end.metrics[objective.metric])} ({trial_name(end)})")
        return f"front of {plural(len(self.best), 'trial')}, {', '.join(ends)}"

    def failures(self) -> str:
        """`3: 2 error, 1 time limit`, or "" where there are none."""
        failed = {status: n for status, n in self.state.count.items() if status.failed}
        return f"{self.state.failed:,}: {counts(failed)}" if self.state.failed else ""

    def times(self) -> str:
        """`1 min 20 s, about 40 s left`, and what the plan foretold where there is one."""
        left = f", about {duration(self.left)} left" if self.left else ""
        plan = forecast_of(self.state)
        foretold = f"; {duration(plan.seconds.expected)} foretold in all" if plan else ""
        return duration(self.elapsed) + left + foretold

    @property
    def spent(self) -> str:
        """`6.43 of 50 USD (13%), 17.10 to 22.40 in the end`; "" where there is no price."""
        settings = Settings.from_json(self.state.settings)
        found = spending.spend(self.state, self.state.time + self.elapsed - self.state.elapsed)
        if found.money is None:
            return ""
        paid = amount(found.money, found.currency)
        if settings.money is not None:
            paid = f"{of_limit(found.money, settings.money, found.currency)} ({found.money / settings.money:.0%})"
        if self.state.done != self._projected_at:  # costs a look at every trial
            self._projected_at, self._projected = self.state.done, cost.projection(self.state)
        expected = self._projected.money if self._projected else None
        return paid + (f", {amount(expected.low)} to {amount(expected.high)} in the end" if expected else "")

    def summary(self) -> str:
        """One line at the end of the session."""
        failed = f", {self.state.failed:,} failed" if self.state.failed else ""
        by = "by failures: " if self.state.ended_by_failures else ""
        why = f"ended: {by}{self.state.ended}" if self.state.ended else "not ended, can be continued"
        unsaved = next((f"; {m}" for m, _ in self.state.warnings if m.startswith(UNSAVED)), "")
        return (
            f"{self.progress()}{failed}, in {duration(self.elapsed)}; best: {self.best_so_far(False)}; {why}{unsaved}"
        )
