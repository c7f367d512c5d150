"""The controller: asks the schedule and the strategy, gives work to the executor, and has written down what happens.

It decides nothing by itself and remembers nothing that is not in the journal: what happens becomes an event, and
`ogive.run.fold` makes the next state of everything of it, exactly as of the events that a resumed run reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ogive import formatting
from ogive.errors import RunError, SpaceExhausted, UserCodeError
from ogive.run import checkpoint_retention, spending
from ogive.run.cache import Cache
from ogive.run.clock import Clock, WallClock
from ogive.run.decide import answer, assignment, checked, decided, failed, missing_metrics, taken_over, valueless
from ogive.run.events import Event, Kind, promoted, proposed
from ogive.run.executor import Executor, Outcome
from ogive.run.fold import Fold, Log
from ogive.run.observers import Monitor, Observer, Subscriber
from ogive.run.outcome import classify
from ogive.run.repeated_failure import repeated_failure, same_failure_text
from ogive.run.settings import Settings
from ogive.run.state import REPEATS, State, reported
from ogive.run.trial_folder import drop_checkpoints, trial_folder
from ogive.schedule.base import Action, Done, Drop, Resume, Schedule, Start, Wait
from ogive.seeds import derive, generator
from ogive.space import Architecture
from ogive.strategy.base import Strategy
from ogive.strategy.fallback import NOTE
from ogive.trial import RETRIED, Pending, Proposal, Report, Status, Step, Trial, TrialId
from ogive.user_code import RAISED, blaming_class

LOOK_SECONDS = 5.0
"""The shortest time between two looks for alerts that depend on time."""

LATE = (
    "is not reported yet where the schedule first compares trials: each trial goes on until it reports a value, and is "
    "compared then; report it earlier, or raise the schedule's min_epochs"
)

NO_PLACE = (
    "not repeated, since the schedule has given the places of what failed to other trials; evaluate the architecture in "
    "another run (initial=)"
)
TAKEN_OVER = (
    "was not reported after the trial went on from another one's weights, up to its last epoch: the value of those weights "
    "counts as its own; report it in the last epoch, too"
)
GRACE_SECONDS = 30.0
"""How long running trials may take to reach their next report after an error of the user's code."""
FELL_BACK = "the numbers of the strategy's model failed for a proposal"

Screen = Callable[[Architecture], Mapping[str, float]]


class Controller:
    """One session of a run. `observer` is called after every event, and with None at least every `tick` seconds.

    Without a `monitor` there are neither stop rules nor alerts.
    """

    def __init__(
        self,
        log: Log,
        events: Iterable[Event],
        state: State,
        strategy: Strategy,
        schedule: Schedule,
        executor: Executor,
        folder: Path,
        *,
        screen: Screen = lambda architecture: {},
        cache: Cache | None = None,
        clock: Clock | None = None,
        observer: Observer = lambda state, event: None,
        subscribers: Sequence[Subscriber] = (),
        monitor: Monitor | None = None,
        tick: float = 0.5,
    ) -> None:
        self.state = state
        self.strategy = strategy
        self.schedule = schedule
        self.executor = executor
        self.folder = folder
        self.screen = screen
        self.cache = cache
        self.clock = clock or WallClock()
        self.observer = observer
        self.subscribers = subscribers
        self.monitor = monitor
        self.tick = tick
        self.seed = int(state.created["seed"])
        self._epochs: int | None = state.created["epochs"]
        self.pending = Pending(state.in_flight, ids=state.flying)
        self.running: set[TrialId] = set()
        self.why = ""
        self.stopping = False
        self._any_rng = generator(self.seed, "job")  # for schedules that do not draw
        self._used_up = ""  # why nothing more can be proposed
        observers: list[Observer] = [observer, *subscribers]
        self.fold = Fold(log, self.clock, state, strategy, schedule, monitor, observers, self._advise)
        self.fold.read(events)
        self.settings = Settings.from_json(state.settings)
        self._next_look = self.clock.monotonic()

    # -- the loop ------------------------------------------------------------------------------------------------

    def run(self) -> str:
        """Search until the end; returns why it ended. `stop` may be called meanwhile, also from a signal handler."""
        self._put_back_orphans()
        if self.monitor:
            self.monitor.begin()
            self._advise()  # what the last session may not have come to
        try:
            while self._fill_or_leave() or self.running:
                self.executor.poll(self, self.tick)
                self._check_limits()
                if self.clock.monotonic() >= self._next_look:
                    self._look()
                self.observer(self.state, None)
            self._look(last=True)
            if self.monitor and (self.state.ended or not self.stopping):
                self._write_alerts(self.monitor.finish())
            if not self.stopping and (left := [failed for failed, by in self.state.repeats.items() if by is None]):
                self.warn_once(f"{formatting.trials(left)}: {NO_PLACE}")
        finally:
            self.executor.close()
        if not self.stopping:
            checkpoint_retention.forget_all_kept(self.folder)
            used_up = {"exhausted": True} if self._used_up and self.why == self._used_up else {}
            self.fold.write(Event(Kind.ENDED, data={"why": self.why, **used_up}))
        return self.why

    def stop(self, why: str) -> None:
        """Start nothing more; ask the running trials to checkpoint and put themselves back. The run can be continued."""
        if not self.stopping:
            self.stopping, self.why = True, why
            self.executor.recall()

    def _put_back_orphans(self) -> None:
        """Trials that ran when the last session died wait for another attempt, from their last checkpoint; those checkpoints
        that it had no time to delete go now.
        """
        orphans = [t for t in self.state.trials.values() if t.status is Status.RUNNING]
        for trial in orphans:
            if not self._settle(trial):
                self.fold.write(Event(Kind.PUT_BACK, trial.id, data={"reason": "the controller ended"}))
        checkpoint_retention.tidy(self.folder, self.state.trials.values())

    def _settle(self, trial: Trial) -> bool:
        """Write what follows from the schedule's answer to the trial's last report; False where nothing does."""
        action = self.fold.undecided.get(trial.id)
        event = None if action is None else decided(trial, action, self.state.metrics_needed, self._epochs)
        if event is None:
            return False
        self.fold.write(event)
        self._forget(trial.id)
        return True

    def _check_limits(self) -> None:
        settings, state = self.settings, self.state
        if not self.executor.virtual and (reason := repeated_failure(state)) is not None:
            self._end(reason, failures=True)
        failed = state.failed - state.forgiven
        if failed >= settings.failures_allowed:
            why = f"{failed} trials have failed, and max_failed_trials is {settings.failures_allowed}"
            self._end(f"{why}{same_failure_text(state)}", failures=True)
        if settings.hours is None and settings.money is None:
            return
        spent = spending.spend(state, self.fold.now)
        if settings.hours is not None and spent.hours >= settings.hours:
            self._end(f"the budget of {formatting.number(settings.hours)} hours is used up")
        if settings.money is not None and spent.money is not None and spent.money >= settings.money:
            self._end(f"the budget of {formatting.number(settings.money)} {spent.currency or 'of money'} is used up")

    def _look(self, last: bool = False) -> None:
        """Journal the alerts that depend on time, and the failures of subscribers."""
        if self.monitor:
            self._write_alerts(self.monitor.look(self.fold.now, last))
        for subscriber in self.subscribers:
            for message in subscriber.failures():
                self.on_warning(message)
        self._next_look = self.clock.monotonic() + LOOK_SECONDS

    def _advise(self) -> None:
        """Journal what the monitor says about the trials; end the search where it says so."""
        if self.monitor is None:
            return
        advice = self.monitor.advise()
        for message in advice.warnings:
            self.on_warning(message)
        self._write_alerts(advice.alerts)
        if advice.stop is not None:
            self._end(advice.stop, failures=advice.failures)
        if advice.projection is not None and not self.stopping:
            self.fold.write(advice.projection)

    def _write_alerts(self, alerts: Sequence[Event]) -> None:
        if alerts:
            self.fold.write(*alerts)

    def _end(self, why: str, failures: bool = False) -> None:
        """End the search, with `failures` because of failed trials."""
        if not self.stopping:
            self.stop(why)
            self.fold.write(Event(Kind.ENDED, data={"why": why, **({"failures": True} if failures else {})}))

    # -- giving work ---------------------------------------------------------------------------------------------

    def _fill(self) -> bool:
        """Give work to every idle place; False where there is none to give."""
        self._check_limits()
        while self.executor.idle and not self.stopping:
            waiting = next((trial for trial in self.state.waiting if trial not in self.running), None)
            if waiting is not None:
                if not self._settle(self.state.trials[waiting]):
                    self._start(self.state.trials[waiting], [])
                continue
            may_start = self._may_start()
            rng = generator(self.seed, "job", self.state.jobs) if self.schedule.draws else self._any_rng
            with blaming_class("schedule", self.schedule):
                next_job = self.schedule.next_job(rng, may_start)
            match next_job:
                case Resume() as job:
                    self._promote(job)
                case Drop(trial, reason):
                    self.fold.write(Event(Kind.STOPPED, self._paused(trial).id, data={"reason": reason}))
                    self._forget(trial)
                case Start() as job:
                    if not self._propose(job):
                        return False
                case Wait() | Done() as job:
                    if may_start:
                        waits = isinstance(job, Wait)
                        self.why = f"the schedule {'waits for trials that will not come' if waits else 'is done'}"
                    return False
        return not self.stopping

    def _fill_or_leave(self) -> bool:
        """`_fill`; where the user's code fails, running trials are put back at their next report before that is raised."""
        try:
            return self._fill()
        except UserCodeError:
            self.stop("an error of the user's code")
            end = self.clock.monotonic() + GRACE_SECONDS
            while self.running and self.clock.monotonic() < end:
                self.executor.poll(self, self.tick)
            raise

    def _may_start(self) -> bool:
        """Whether another trial may be proposed; else `why` says why the search will end."""
        number = len(self.state.trials)
        if number >= self.state.total:
            self.why = f"all {number:,} trials are done"
        elif self._used_up:
            self.why = self._used_up
        else:
            return True
        return False

    def _paused(self, number: TrialId) -> Trial:
        trial = self.state.trials[number]
        if trial.status is not Status.PAUSED:
            raise RunError(f"the schedule resumes trial {number}, which is {trial.status}; only paused ones can go on")
        return trial

    def _promote(self, job: Resume) -> None:
        """Let a paused trial go on: from the cache, or on a worker as soon as its former one has left it."""
        paused = self._paused(job.trial)
        trial = paused.changed(fidelity=job.until, began=job.began)
        if job.began != paused.began:
            drop_checkpoints(trial_folder(self.folder, paused))
        known = self.cache.find(trial) if self.cache else []
        if known:
            self._replay(promoted(trial), [report for report in known if report.step > paused.step])
        elif trial.step >= trial.until:  # it has passed that step: nothing has to be trained
            self.fold.write(promoted(trial))
            self._settle(self.state.trials[trial.id])
        elif trial.id in self.running:
            self.fold.write(promoted(trial))
        else:
            self._start(trial, [promoted(trial)])

    def _propose(self, job: Start) -> bool:
        """Ask the strategy and start what it proposes; False where no trial may be started any more, or not yet."""
        number = len(self.state.trials)
        if not self._may_start():
            return False
        try:
            with blaming_class("strategy", self.strategy):
                proposal = (
                    job.proposal
                    or self._repeat()
                    or self.strategy.ask(
                        generator(self.seed, "ask", number), self.pending.about(job.note), job.fidelity
                    )
                )
        except SpaceExhausted as error:
            self._used_up = str(error) or "every architecture of the space has been proposed"
            self._may_start()
            return False
        if job.settings and REPEATS not in proposal.note:  # what is repeated has settings
            proposal = replace(proposal, settings={**proposal.settings, **job.settings})
        trial = self._trial(number, checked(proposal, job.note, self.state, type(self.strategy).__name__), job)
        try:
            screened = self.screen(trial.architecture)
        except RAISED as error:  # failure is an input: what cannot be screened is a failed trial
            self.fold.write(proposed(trial), failed(number, classify(error)))
            return True
        if screened:
            trial = trial.changed(screened={name: float(value) for name, value in screened.items()})
        known = self.cache.find(trial) if self.cache else []
        if known:
            self._replay(proposed(trial.changed(cached=True)), known)
        elif proposal.inherit is not None and not self._inherit(number, *proposal.inherit):
            return False
        else:
            self._start(trial, [proposed(trial)])
        if NOTE in proposal.note:
            self._warn_of_fallback(number, str(proposal.note[NOTE]))
        return True

    def _repeat(self) -> Proposal | None:
        """The proposal of the next failed trial that is to be repeated; None where there is none."""
        failed = self.state.next_repeat
        if failed is None:
            return None
        proposal = self.state.trials[failed].proposal
        note = {name: value for name, value in proposal.note.items() if name != "schedule"}
        return replace(proposal, note={**note, REPEATS: failed})

    def _warn_of_fallback(self, number: TrialId, reason: str) -> None:
        if all(FELL_BACK not in message for message, _ in self.state.warnings):
            self.on_warning(f"{FELL_BACK}: {reason}; later such proposals say so in their note only", number)

    def _inherit(self, number: TrialId, source: TrialId, step: Step) -> bool:
        """Give a new trial the checkpoint that it inherits; False where its donor's worker has yet to write it."""
        donor = self.state.trials[source]
        there = checkpoint_retention.inherit(self.folder, donor, step, number)
        return there or donor.status is not Status.PAUSED or source not in self.running

    def _trial(self, number: TrialId, proposal: Proposal, job: Start) -> Trial:
        """The new trial. Its seed depends on the architecture, not on the number: runs of one seed share results."""
        identity = proposal.architecture.id
        repeated = proposal.note.get(REPEATS)
        if repeated is None:
            seed = derive(self.seed, "trial", identity, self.state.seen[identity])
        else:
            seed = self.state.trials[repeated].seed
        return Trial(number, proposal, job.fidelity, seed, began=job.began, best_epoch_of=self.state.best_epoch_of)

    def _start(self, trial: Trial, before: list[Event]) -> None:
        """Hand `trial` to a worker, and record `before` and the start in one transaction."""
        with blaming_class("schedule", self.schedule):
            kept = self.schedule.handed_on().get(trial.id) if self.schedule.hands_on else None
        if kept is not None:
            checkpoint_retention.keep(self.folder, trial, kept)
        given = assignment(trial, self.state, self.folder)
        worker = self.executor.submit(given)
        self.running.add(trial.id)
        data = {"worker": worker, "attempt": given.attempt}
        self.fold.write(*before, Event(Kind.STARTED, trial.id, None, data, self.clock.now()))

    def _replay(self, first: Event, known: Sequence[Report]) -> None:
        """Record a trial, or the next stretch of one, whose reports are in the cache and cost no time now."""
        self.fold.write(first)
        for report in known:
            answer = self._report(first.trial or 0, report.step, report.metrics, 0.0, saved=report.seconds)
            if answer is not Action.CONTINUE:
                break

    # -- being told (Listener) -----------------------------------------------------------------------------------

    def on_report(self, trial: TrialId, step: Step, metrics: Mapping[str, float], seconds: float) -> Action:
        """Record a report and what it decides; a step that the journal has already is answered and not repeated."""
        record = self.state.trials[trial]
        step += record.began
        if record.status is not Status.RUNNING:
            return Action.STOP if record.status.ended else Action.PAUSE
        if step <= record.step:
            return Action.CONTINUE
        return self._report(trial, step, metrics, seconds)

    def _report(
        self, number: TrialId, step: Step, metrics: Mapping[str, float], seconds: float, saved: float = 0.0
    ) -> Action:
        before = self.state.trials[number]
        data = {"metrics": dict(metrics), "seconds": round(seconds, 6)}
        if saved:
            data["saved"] = round(saved, 6)
        event = Event(Kind.REPORTED, number, step, data, self.clock.now())
        if others := taken_over(reported(before, event), self.state, step):
            self.warn_once(f"{', '.join(others)} {TAKEN_OVER}", number)
            event = replace(event, data={**data, "metrics": {**metrics, **others}})
        trial = reported(before, event)  # what the schedule sees now is what a resumed run will read
        found = decided(trial, self.fold.ask(trial), self.state.metrics_needed, self._epochs)
        self.fold.write_report(event, found)
        if found is None and trial.step >= trial.until:
            missing = ", ".join(missing_metrics(trial, self.state.metrics_needed))
            self.warn_once(f"{missing} {LATE}", number)
        if self.cache and found is not None and found.kind is not Kind.FAILED and number in self.running:
            self.cache.store(self.state.trials[number])
            if (reason := self.cache.edited()) is not None:
                self.warn_once(reason)
        return answer(found)

    def on_end(self, trial: TrialId, outcome: Outcome) -> None:
        """Record how an attempt ended, and free its place."""
        self.running.discard(trial)
        self._end_attempt(trial, outcome)
        self._forget(trial)

    def _forget(self, trial: TrialId) -> None:
        """Delete what nothing goes on from, once a trial has ended and left its worker."""
        record = self.state.trials[trial]
        if record.status.ended and trial not in self.running:
            checkpoint_retention.forget(self.folder, record)

    def _end_attempt(self, trial: TrialId, outcome: Outcome) -> None:
        record = self.state.trials[trial]
        if outcome.status is Status.FINISHED and outcome.reason:
            self.warn_once(outcome.reason, trial)
        if record.status is not Status.RUNNING:  # its last report decided already
            if outcome.status.failed:
                self.on_warning(f"after its last report, trial {trial} ended with: {outcome.reason}", trial)
            return
        if outcome.status is Status.FINISHED:
            self._end_early(record, outcome.seconds)
        elif outcome.status is Status.WAITING or self._retry(record, outcome):
            data = {"reason": outcome.reason, "seconds": round(outcome.seconds, 6)}
            if outcome.status in RETRIED and not self.stopping:
                data["status"] = outcome.status.value
            self.fold.write(Event(Kind.PUT_BACK, trial, data=data))
        else:
            self.fold.write(failed(trial, outcome))

    def _end_early(self, trial: Trial, seconds: float) -> None:
        """The train function returned before the end of its job: what it reported last (or best) is its value."""
        lack = valueless(trial, self.state.metrics_needed)
        if lack is not None and trial.step < trial.until and taken_over(trial, self.state, trial.until):
            self._report(trial.id, trial.until, {}, seconds)
            return
        if lack is not None:
            self.fold.write(failed(trial.id, lack))
            return
        if any(share < 1 for name, share in trial.fidelity.items() if name != "epochs"):
            # A cheaper job is over, not the trial: its value is that at the end of the job, and the schedule decides.
            self._report(trial.id, trial.until, trial.reports[-1].metrics, seconds)
            return
        early = f"it ended by itself after step {trial.step} of {trial.until}"
        self.fold.write(Event(Kind.FINISHED, trial.id, data={"seconds": round(seconds, 6), "reason": early}))
        if not any("ended by itself" in message for message, _ in self.state.warnings):
            which = "last" if self.state.best_epoch_of is None else "best"
            self.on_warning(f"trial {trial.id}: {early}; its {which} value counts as its value", trial.id)

    def _retry(self, trial: Trial, outcome: Outcome) -> bool:
        return outcome.status in RETRIED and (self.stopping or self.state.lost[trial.id] < self.settings.retries)

    def warn_once(self, message: str, trial: TrialId | None = None) -> None:
        """Record something that a user should know, unless the journal has it already."""
        if all(message != known for known, _ in self.state.warnings):
            self.on_warning(message, trial)

    def on_warning(self, message: str, trial: TrialId | None = None) -> None:
        """Record something that a user should know."""
        self.fold.write(Event(Kind.WARNING, trial, data={"message": message}))
