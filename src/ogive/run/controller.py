"""The controller asks the schedule for jobs and the strategy for proposals, gives them to the executor, and journals events.

Everything that happens becomes an event. `ogive.run.fold` computes the next state from the event, in the same way as a
continued run does from the events that it reads. So the controller has no memory outside the journal. `ogive.run.attempts`
records reports and ends of attempts; `ogive.run.decide` has the decisions as pure functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ogive import formatting
from ogive.errors import RunError, SpaceExhausted, UserCodeError
from ogive.run import checkpoint_retention
from ogive.run.attempts import AttemptRecorder
from ogive.run.cache import Cache
from ogive.run.clock import Clock, WallClock
from ogive.run.decide import check_proposal, make_assignment, make_failed_event, make_repetition, make_trial
from ogive.run.events import Event, Kind, make_promoted_event, make_proposed_event
from ogive.run.executor import Executor
from ogive.run.fold import Fold, Log
from ogive.run.observers import Monitor, Observer, Subscriber
from ogive.run.outcome import classify
from ogive.run.search_limits import find_exceeded_limit
from ogive.run.settings import Settings
from ogive.run.state import REPEATS_NOTE, State
from ogive.run.stop_signals import GRACE_SECONDS
from ogive.run.trial_folder import delete_checkpoint_files, get_trial_folder
from ogive.schedule.base import Done, Drop, Resume, Schedule, Start, Wait
from ogive.seeds import generator
from ogive.space import Architecture
from ogive.strategy.base import Strategy
from ogive.strategy.fallback import FALLBACK_KEY
from ogive.trial import Pending, Proposal, Status, Step, Trial, TrialId
from ogive.user_code import USER_EXCEPTIONS, convert_plugin_errors

ALERT_SECONDS = 5.0
"""The minimum time between two checks for alerts that depend on time, in seconds."""

NOT_REPEATED = (
    "not repeated, because the schedule has replaced the failed trials by others; evaluate the architecture in another run "
    "(initial=)"
)
FELL_BACK = "the model of the strategy had a numerical failure for a proposal"

Screen = Callable[[Architecture], Mapping[str, float]]


class Controller:
    """One session of a run.

    Args:
        log: the journal to which new events are appended.
        events: the events of the journal after the first one.
        state: the state after the first event of the journal.
        strategy: a new strategy, which first receives `events`.
        schedule: a new schedule, which first receives `events`.
        executor: runs the trials; closed at the end of `run`.
        folder: the folder of the run.
        screen: a function that returns the metrics of an architecture that are known before training.
        cache: the evaluation cache, in which results are shared with other runs; None for no cache.
        clock: the source of time; by default the wall clock.
        observer: an observer that is called after every event, and with None about every `tick` seconds.
        subscribers: observers with threads of their own.
        monitor: stop rules and alerts; None for none.
        tick: the longest time to wait for reports, in seconds.
    """

    def __init__(
        self,
        log: Log,
        events: Iterable[Event],
        state: State,
        *,
        strategy: Strategy,
        schedule: Schedule,
        executor: Executor,
        folder: Path,
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
        self.seed = int(state.declaration["seed"])
        self.pending = Pending(state.pending, id_counts=state.pending_architecture_counts)
        self.end_reason = ""  # why the session ends; it counts only if `is_stopping`, or when no work is left
        self.is_stopping = False
        self._unused_rng = generator(self.seed, "job")  # the argument for schedules that use no random numbers
        self._exhausted: str | None = None  # the reason why the strategy cannot propose any more; None while it can
        self.fold = Fold(
            log,
            clock=self.clock,
            state=state,
            strategy=strategy,
            schedule=schedule,
            monitor=monitor,
            observers=[observer, *subscribers],
            on_inactive=self._follow_advice,
        )
        self.fold.read(events)
        self.settings = Settings.from_json(state.settings)
        self.attempts = AttemptRecorder(
            self.fold,
            self.clock,
            folder,
            retries=self.settings.retries,
            cache=cache,
            is_stopping=lambda: self.is_stopping,
        )
        self._next_alerts = self.clock.monotonic()

    # -- the loop ------------------------------------------------------------------------------------------------

    def run(self) -> str:
        """Search until the end; return the reason why it ended. A signal handler may call `stop` while this runs."""
        self.attempts.put_back_orphans()
        if self.monitor:
            self.monitor.begin()
            self._follow_advice()  # a session that was killed may not have followed the advice after its last event
        try:
            while self._assign_work_or_stop() or self.attempts.running:
                self.executor.poll(self.attempts, self.tick)
                self._check_limits()
                if self.clock.monotonic() >= self._next_alerts:
                    self._write_timed_alerts()
                self.observer(self.state, None)
            self._write_timed_alerts(is_last=True)
            # If the session is stopping but the journal has no reason for the end, the search was only interrupted.
            if self.monitor and (self.state.end_reason or not self.is_stopping):
                self.fold.write(*self.monitor.finish())
            not_repeated = [failed for failed, repetition in self.state.repeated_by.items() if repetition is None]
            if not self.is_stopping and not_repeated:
                self.attempts.warn_once(f"{formatting.trials(not_repeated)}: {NOT_REPEATED}")
        finally:
            self.executor.close()
        if not self.is_stopping:
            checkpoint_retention.delete_kept(self.folder)
            exhausted = {"exhausted": True} if self.end_reason == self._exhausted else {}
            self.fold.write(Event(Kind.ENDED, data={"why": self.end_reason, **exhausted}))
        return self.end_reason

    def stop(self, reason: str) -> None:
        """Start no more trials, and ask running ones to write a checkpoint and end. The run can be continued later."""
        if not self.is_stopping:
            self.is_stopping, self.end_reason = True, reason
            self.executor.recall()

    def _check_limits(self) -> None:
        """End the search if it has reached a limit."""
        end = find_exceeded_limit(self.state, self.settings, self.fold.now, self.executor.is_virtual)
        if end is not None:
            self._end_search(end.reason, by_failures=end.by_failures)

    def _end_search(self, reason: str, by_failures: bool = False) -> None:
        """End the search, and journal the reason. `by_failures`: whether it ends because trials failed."""
        if not self.is_stopping:
            self.stop(reason)
            self.fold.write(Event(Kind.ENDED, data={"why": reason, **({"failures": True} if by_failures else {})}))

    # -- the monitor ---------------------------------------------------------------------------------------------

    def _write_timed_alerts(self, is_last: bool = False) -> None:
        """Journal the alerts that depend on time, and the failures of subscribers. `is_last`: whether the session ends."""
        if self.monitor:
            self.fold.write(*self.monitor.find_timed_alerts(self.fold.now, is_last))
        for subscriber in self.subscribers:
            for message in subscriber.collect_failures():
                self.attempts.on_warning(message)
        self._next_alerts = self.clock.monotonic() + ALERT_SECONDS

    def _follow_advice(self) -> None:
        """Journal the monitor's advice about the trials; end the search if the monitor advises to end it."""
        if self.monitor is None:
            return
        advice = self.monitor.advise()
        for message in advice.warnings:
            self.attempts.on_warning(message)
        self.fold.write(*advice.alerts)
        if advice.stop_reason is not None:
            self._end_search(advice.stop_reason, by_failures=advice.by_failures)
        if advice.projection is not None and not self.is_stopping:
            self.fold.write(advice.projection)

    # -- giving work to the executor -----------------------------------------------------------------------------

    def _assign_work_or_stop(self) -> bool:
        """Call `_assign_work`. If user code fails in it, let running trials reach their next report, and raise the error."""
        try:
            return self._assign_work()
        except UserCodeError:
            self.stop("an error of the user's code")
            deadline = self.clock.monotonic() + GRACE_SECONDS
            while self.attempts.running and self.clock.monotonic() < deadline:
                self.executor.poll(self.attempts, self.tick)
            raise

    def _assign_work(self) -> bool:
        """Start attempts until no worker is idle; return False if there is nothing to start, or the session is stopping."""
        self._check_limits()
        while self.executor.idle_count and not self.is_stopping:
            # A worker may still be busy with a waiting trial: see `_resume`.
            number = next((number for number in self.state.waiting if number not in self.attempts.running), None)
            if number is not None:
                trial = self.state.trials[number]
                if not self.attempts.write_pending_decision(trial):
                    self._start_attempt(trial, [])
            elif not self._carry_out_next_job():
                return False
        return not self.is_stopping

    def _carry_out_next_job(self) -> bool:
        """Ask the schedule for a job and carry it out; return False if there is none that can be carried out now."""
        may_start = self._may_start()
        rng = generator(self.seed, "job", self.state.job_count) if self.schedule.uses_rng else self._unused_rng
        with convert_plugin_errors("schedule", self.schedule):
            job = self.schedule.next_job(rng, may_start)
        match job:
            case Start():
                return self._propose(job)
            case Resume():
                self._resume(job)
            case Drop(trial, reason):
                self.fold.write(Event(Kind.STOPPED, self._get_paused_trial(trial).id, data={"reason": reason}))
                self.attempts.delete_checkpoints(trial)
            case Wait() | Done():
                if may_start:
                    reason = "is done" if isinstance(job, Done) else "waits, but no trial is running"
                    self.end_reason = f"the schedule {reason}"
                return False
        return True

    def _may_start(self) -> bool:
        """Return whether another trial may be proposed; if not, set the reason for the end of the search."""
        if (trial_count := len(self.state.trials)) >= self.state.total_trials:
            self.end_reason = f"all {trial_count:,} trials are done"
        elif self._exhausted is not None:
            self.end_reason = self._exhausted
        else:
            return True
        return False

    def _get_paused_trial(self, number: TrialId) -> Trial:
        trial = self.state.trials[number]
        if trial.status is not Status.PAUSED:
            message = f"the schedule resumes or drops trial {number}, which is {trial.status}, not paused"
            raise RunError(message)
        return trial

    def _resume(self, job: Resume) -> None:
        """Resume a paused trial, from the cache or on a worker. The trial waits while its previous worker is still busy."""
        paused = self._get_paused_trial(job.trial)
        trial = paused.with_changes(fidelity=job.until, step_offset=job.step_offset)
        if job.step_offset != paused.step_offset:  # its training starts from scratch, so it needs no earlier checkpoint
            delete_checkpoint_files(get_trial_folder(self.folder, paused))
        cached = self.cache.find(trial) if self.cache else []
        if cached:
            new_reports = [report for report in cached if report.step > paused.step]
            self.attempts.record_cached(make_promoted_event(trial), new_reports)
        elif trial.step >= trial.target_step:  # the trial was already trained up to this step, or beyond
            self.fold.write(make_promoted_event(trial))
            self.attempts.write_pending_decision(self.state.trials[trial.id])
        elif trial.id in self.attempts.running:  # the trial waits, since its worker may still be writing the checkpoint
            self.fold.write(make_promoted_event(trial))
        else:
            self._start_attempt(trial, [make_promoted_event(trial)])

    def _propose(self, job: Start) -> bool:
        """Create a trial and start it; return False if none can be started now: the search ends, or a donor is busy."""
        number = len(self.state.trials)
        if not self._may_start():
            return False
        try:
            proposal = self._get_next_proposal(job, number)
        except SpaceExhausted as error:
            self._exhausted = str(error) or "every architecture of the space has been proposed"
            self._may_start()  # called for its effect: it sets the reason for the end of the search
            return False
        if job.settings and REPEATS_NOTE not in proposal.note:  # a repetition has the settings of the failed trial
            proposal = replace(proposal, settings={**proposal.settings, **job.settings})
        proposal = check_proposal(proposal, job.note, self.state, type(self.strategy).__name__)
        trial = make_trial(number, proposal, job, self.state)
        try:
            screened = self.screen(trial.architecture)
        except USER_EXCEPTIONS as error:  # if an architecture cannot be screened, its trial fails
            self.fold.write(make_proposed_event(trial), make_failed_event(number, classify(error)))
            return True
        if screened:
            trial = trial.with_changes(screened={name: float(value) for name, value in screened.items()})
        cached = self.cache.find(trial) if self.cache else []
        if cached:
            self.attempts.record_cached(make_proposed_event(trial.with_changes(cached=True)), cached)
        elif proposal.inherit is not None and not self._link_inherited_checkpoint(number, *proposal.inherit):
            return False
        else:
            self._start_attempt(trial, [make_proposed_event(trial)])
        if FALLBACK_KEY in proposal.note:
            message = (
                f"{FELL_BACK}: {proposal.note[FALLBACK_KEY]}; further such failures are only noted in the proposals"
            )
            self.attempts.warn_once_per_topic(FELL_BACK, message, number)
        return True

    def _get_next_proposal(self, job: Start, number: TrialId) -> Proposal:
        """Return the schedule's proposal, if any; else the next repetition of a failed trial; else the strategy's."""
        proposal = job.proposal or make_repetition(self.state)
        if proposal is not None:
            return proposal
        with convert_plugin_errors("strategy", self.strategy):
            return self.strategy.ask(
                generator(self.seed, "ask", number), self.pending.with_job_note(job.note), job.fidelity
            )

    def _link_inherited_checkpoint(self, number: TrialId, source: TrialId, step: Step) -> bool:
        """Link the checkpoint that a new trial inherits; return False if the donor's worker has not written it yet."""
        donor = self.state.trials[source]
        is_linked = checkpoint_retention.inherit_checkpoint(self.folder, donor, step, number)
        # Waiting helps only while a worker is still busy with the paused donor. Otherwise the new trial starts anyway.
        return is_linked or donor.status is not Status.PAUSED or source not in self.attempts.running

    def _start_attempt(self, trial: Trial, job_events: list[Event]) -> None:
        """Submit the next attempt of `trial`. Write `job_events` and the event of its start in one transaction."""
        if self.schedule.inherits_weights:
            with convert_plugin_errors("schedule", self.schedule):
                step = self.schedule.inheritable_checkpoints().get(trial.id)
            if step is not None:  # other trials may inherit these weights while this trial is trained further
                checkpoint_retention.keep_checkpoint(self.folder, trial, step)
        assignment = make_assignment(trial, self.state, self.folder)
        worker = self.executor.submit(assignment)
        self.attempts.running.add(trial.id)
        data = {"worker": worker, "attempt": assignment.attempt}
        self.fold.write(*job_events, Event(Kind.STARTED, trial.id, None, data, self.clock.now()))
