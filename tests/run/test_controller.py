"""The controller: its events, its end reasons, and runs that are continued from any prefix of their journals."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from history import History
from memory import SPACE, Curve, ListLog, StoppedClock, declare, session

from ogive.errors import Infeasible, JobError, RunError
from ogive.executors.evaluate import evaluate
from ogive.objective import Constraint, Objective
from ogive.run.controller import Controller
from ogive.run.estimator import Evaluation
from ogive.run.events import Event, Kind
from ogive.run.executor import Assignment, Executor, Listener, Outcome
from ogive.run.repeated_failure import find_repeated_failure
from ogive.run.state import State
from ogive.schedule.base import Resume, Start
from ogive.space import Space, layer, one_of
from ogive.strategy.base import Strategy
from ogive.testing.journals import comparable_events
from ogive.trial import Fidelity, Pending, Proposal, Status, Trial

ASHA = {"asha": {"eta": 3, "min_epochs": 1}}


def run(folder: Path, estimator: Curve | None = None, **settings: object) -> tuple[ListLog, State, str]:
    log = ListLog([declare(**settings)])
    controller = session(log, estimator or Curve(), folder)
    return log, controller.state, controller.run()


@pytest.mark.parametrize("schedule", [None, ASHA])
def test_a_run_continued_from_any_prefix_of_its_journal_is_the_same_run(tmp_path: Path, schedule: object) -> None:
    log, _, _ = run(tmp_path, schedule=schedule, max_trials=25)
    uninterrupted = comparable_events(log.events)
    assert len(uninterrupted) > 50
    for cut in range(1, len(log.events), 3):
        continued = ListLog(log.events[:cut])
        session(continued, Curve(), tmp_path).run()
        ended = [event for event in continued.events if event.kind is Kind.ENDED]
        continued.events = [e for e in continued.events if e.kind is not Kind.ENDED] + ended[-1:]
        assert comparable_events(continued.events) == uninterrupted, f"differs when cut after event {cut}"


def test_asha_pauses_trials_and_resumes_them_where_they_paused(tmp_path: Path) -> None:
    estimator = Curve()
    _, state, _ = run(tmp_path, estimator, schedule=ASHA, max_trials=30)
    steps = {trial.step for trial in state.trials.values()}
    assert steps == {1, 3, 9}
    promoted = [trial for trial in state.trials.values() if trial.step == 9]
    assert all(trial.status is Status.FINISHED and len(trial.reports) == 9 for trial in promoted)
    assert {reported for _, reported in estimator.attempts} == {0, 1, 3}, "each attempt continues after the last report"


def test_the_state_read_from_the_journal_equals_the_state_in_memory(tmp_path: Path) -> None:
    log, state, _ = run(tmp_path, schedule=ASHA, max_trials=12)
    stored = State.from_events(log.events)  # without the declared space, as `ogive status` does
    assert stored.trials == state.trials
    assert [t.architecture.id for t in stored.trials.values()] == [t.architecture.id for t in state.trials.values()]
    assert (stored.status_counts, stored.end_reason, stored.compute_seconds) == (
        state.status_counts,
        state.end_reason,
        state.compute_seconds,
    )


def make_failing_estimator(**faults: object) -> Curve:
    """Return an estimator whose trials 0, 1, 2, ... have these faults, in order: exceptions, or wrong metrics."""
    fault_list = list(faults.values())

    def fail(trial: int, step: int) -> dict[str, float] | None:
        fault = fault_list[trial] if trial < len(fault_list) else None
        if isinstance(fault, BaseException):
            raise fault
        return fault  # type: ignore[return-value]

    return Curve(fail)


def test_each_kind_of_failure_has_its_own_status_and_the_search_continues(tmp_path: Path) -> None:
    estimator = make_failing_estimator(
        error=ValueError("no"),
        memory=RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        numpy=MemoryError(),
        nan={"accuracy": math.nan},
        infinite={"accuracy": math.inf},
        other={"loss": 1.0},
        silent={},
        infeasible=Infeasible("too deep"),
        exits=SystemExit(3),
    )
    _, state, reason = run(tmp_path, estimator, max_trials=30, max_failed_trials=20)
    expected = ["error", "out_of_memory", "out_of_memory", "not_finite", "not_finite"]
    expected += ["missing_metric", "missing_metric", "infeasible", "exited"]
    assert [trial.status.value for trial in state.trials.values()][:9] == expected
    assert state.failed_count == 9
    assert state.status_counts[Status.FINISHED] == 21
    assert reason == "all 30 trials are done"
    assert "ValueError: no" in state.trials[0].traceback
    assert state.trials[6].reason == (
        "accuracy was never reported, nor was any other metric; call trial.report(accuracy=...) in each epoch of the train "
        "function (in this trial: up to epoch 9)"
    )


def test_the_search_ends_at_max_failed_trials_with_the_reason(tmp_path: Path) -> None:
    kinds = (ValueError, KeyError, TypeError)
    log, state, reason = run(
        tmp_path, make_failing_estimator(**{f"trial{n}": kinds[n % 3]("no") for n in range(30)}), max_trials=30
    )
    assert (len(state.trials), state.failed_count) == (10, 10)
    assert reason == state.end_reason == "10 trials have failed, and max_failed_trials is 10"
    assert state.ended_by_failures
    assert log.events[-1].kind is Kind.ENDED
    log.events = [event for event in log.events if event.kind is not Kind.CLOSED]
    continued = session(log, Curve(), tmp_path)  # with a repaired estimator; the earlier failures do not end it again
    assert continued.run() == "all 30 trials are done"
    assert continued.state.failed_count == 10


@pytest.mark.parametrize(("workers", "trials"), [(1, 3), (2, 4), (8, 10)])
def test_the_same_failure_of_the_first_trials_ends_the_search(tmp_path: Path, workers: int, trials: int) -> None:
    _, state, reason = run(tmp_path, Curve(lambda trial, step: 1 / 0), max_trials=300, workers=workers)  # type: ignore[arg-type, return-value]
    assert reason.startswith(f"the first {trials} trials all ended with the same failure: error: ZeroDivisionError: ")
    assert (len(state.trials), state.ended_by_failures) == (trials, True)


def test_repeated_failures_are_those_of_the_session_even_if_the_clock_is_set_back() -> None:
    history = History(max_trials=30)
    history.time = 9000.0
    history.runs([1.0] * 3, [None] * 3)
    assert find_repeated_failure(history.state) is not None
    history.time = 0.0  # the clock was set back, and the cause fixed
    history.tell(Kind.OPENED, data=history.opened)
    assert find_repeated_failure(history.state) is None
    history.runs([1.0] * 3, [None] * 3)
    assert find_repeated_failure(history.state) is not None


def test_a_report_of_a_running_trial_counts_as_a_value() -> None:
    history = History(max_trials=30, workers=2)
    healthy = history.start(epochs=9)
    history.runs([1.0] * 4, [None] * 4)
    assert find_repeated_failure(history.state) is not None
    history.report(healthy, 0.5, 1.0)
    assert find_repeated_failure(history.state) is None


def test_the_search_continues_if_one_of_the_first_trials_has_a_value(tmp_path: Path) -> None:
    _, _, reason = run(tmp_path, Curve(lambda trial, step: None if trial == 2 else {"accuracy": 1 / 0}), max_trials=30)
    assert reason.startswith(
        "10 trials have failed, and max_failed_trials is 10, all with the same failure: error: ZeroDiv"
    )


def test_a_finite_space_is_searched_to_its_end(tmp_path: Path) -> None:
    space = Space(layer(dict, width=one_of(1, 2, 3, name="width"), depth=one_of(1, 2, name="depth")))
    log = ListLog([declare(space, max_trials=50)])
    controller = session(log, Curve(), tmp_path, space=space)
    reason = controller.run()
    assert len({trial.architecture.id for trial in controller.state.trials.values()}) == 6
    assert "6" in reason or "space" in reason


def test_the_budget_counts_all_sessions_but_not_the_time_between_them(tmp_path: Path) -> None:
    clock = StoppedClock()

    def train_an_hour(trial: int, step: int) -> None:
        clock.seconds += 1800 if step in (1, 9) else 0

    class TimedLog(ListLog):
        def append(self, events: list[Event]) -> list[Event]:  # type: ignore[override]
            self.events += (added := [Event(e.kind, e.trial, e.step, e.data, clock.now(), 0) for e in events])
            return added

    log = TimedLog([declare(budget=3.0, max_trials=100)])
    controller = session(log, Curve(train_an_hour), tmp_path, clock)
    controller.run()
    assert controller.state.end_reason == "the budget of 3 h is used up"
    assert 3 <= len(controller.state.trials) <= 4
    clock.seconds += 1e6
    continued = session(TimedLog(log.events), Curve(train_an_hour), tmp_path, clock)
    continued.run()
    assert len(continued.state.trials) == len(controller.state.trials), "a continued run has no budget left"


def test_architectures_that_violate_a_hard_constraint_are_not_trained(tmp_path: Path) -> None:
    hard = (Constraint("parameters", at_most=6, hard=True),)
    _, state, _ = run(tmp_path, constraints=hard, max_trials=20)
    assert all(trial.screened["parameters"] <= 6 for trial in state.trials.values())
    assert all(trial.status is Status.FINISHED for trial in state.trials.values())
    impossible = (Constraint("parameters", at_most=-1, hard=True),)
    with pytest.raises(JobError, match=r"parameters <= -1"):
        run(tmp_path, constraints=impossible)


def test_an_exception_after_the_last_report_is_a_warning_and_changes_no_result(tmp_path: Path) -> None:
    class FailsAfterLastReport(Curve):
        def evaluate(self, evaluation):  # type: ignore[no-untyped-def]
            super().evaluate(evaluation)
            raise OSError("the disk went away")

    _, state, _ = run(tmp_path, FailsAfterLastReport(), max_trials=2)
    assert [trial.status for trial in state.trials.values()] == [Status.FINISHED] * 2
    assert "the disk went away" in state.warnings[0][0]


def test_a_criterion_that_no_trial_reports_is_one_warning(tmp_path: Path) -> None:
    log = ListLog([declare(max_trials=3, criteria=[{"metric": "acuracy", "at_least": 0.5}])])
    session(log, Curve(), tmp_path).run()
    session(log := ListLog(log.events[:-3]), Curve(), tmp_path).run()
    messages = [event.data["message"] for event in log.events if event.kind is Kind.WARNING]
    assert len(messages) == 1
    assert messages[0].startswith(
        "criterion on 'acuracy': the first trial did not report this metric; reported metrics: "
    )
    assert messages[0].endswith("did you mean 'accuracy'?")


def test_a_trial_that_returns_early_is_finished_with_its_last_report(tmp_path: Path) -> None:
    _, state, _ = run(tmp_path, Curve(lambda trial, step: {} if step > 4 else None), max_trials=3)
    assert [(trial.status, trial.step) for trial in state.trials.values()] == [(Status.FINISHED, 4)] * 3


def test_trials_of_one_seed_share_their_random_numbers_across_runs(tmp_path: Path) -> None:
    _, first, _ = run(tmp_path, max_trials=30, strategy="random")
    _, second, _ = run(tmp_path, max_trials=30, strategy={"regularized_evolution": {"population": 30, "sample": 5}})
    seeds = {trial.architecture.id: trial.seed for trial in first.trials.values()}
    common = [trial for trial in second.trials.values() if trial.architecture.id in seeds]
    assert common
    assert all(seeds[trial.architecture.id] == trial.seed for trial in common)
    assert len(set(seeds.values())) == 30


def test_stop_puts_the_running_trial_back_at_its_next_report(tmp_path: Path) -> None:
    log = ListLog([declare(max_trials=10)])
    controller = session(
        log, Curve(lambda trial, step: controller.stop("interrupted") if (trial, step) == (2, 4) else None), tmp_path
    )
    assert controller.run() == "interrupted"
    assert log.events[-1].kind is Kind.PUT_BACK
    assert controller.state.trials[2].step == 4
    assert controller.state.end_reason is None
    session(log, Curve(), tmp_path).run()
    steps = [(e.trial, e.step) for e in log.events if e.kind is Kind.REPORTED]
    assert len(steps) == len(set(steps)) == 90


class LateEnds(Executor):
    """An executor with two workers that calls `on_end` one poll after the last report. The other worker may be idle then."""

    def __init__(self, estimator: Curve) -> None:
        self.estimator = estimator
        self.jobs: list[Assignment] = []
        self.ending: list[tuple[int, Outcome]] = []

    @property
    def idle_count(self) -> int:
        return 2 - len(self.jobs) - len(self.ending)

    def submit(self, assignment: Assignment) -> str:
        assert assignment.trial not in [job.trial for job in self.jobs] + [trial for trial, _ in self.ending]
        self.jobs.append(assignment)
        return "late"

    def poll(self, listener: Listener, timeout: float) -> None:
        ended, jobs = self.ending, self.jobs[:1]
        self.jobs = self.jobs[1:]
        self.ending = []
        for job in jobs:
            outcome = evaluate(
                SPACE, self.estimator, job, partial(listener.on_report, job.trial), is_leaving=lambda: False
            )
            self.ending.append((job.trial, outcome))
        for trial, outcome in ended:
            listener.on_end(trial, outcome)

    def recall(self) -> None:
        raise AssertionError("this run is not stopped")

    def close(self) -> None:
        return


def test_a_promoted_trial_waits_until_its_previous_worker_is_idle(tmp_path: Path) -> None:
    log = ListLog([declare(max_trials=40, workers=2, schedule=ASHA)])
    controller = session(log, Curve(), tmp_path)
    controller.executor = LateEnds(Curve())
    controller.run()
    finished = [trial for trial in controller.state.trials.values() if trial.status is Status.FINISHED]
    assert finished
    assert all(trial.step == 9 for trial in finished)
    assert {trial.step for trial in controller.state.trials.values()} == {1, 3, 9}


def test_a_journal_can_be_read_without_the_layers_of_the_space() -> None:
    assert State.from_events([declare()]).space.fingerprint == SPACE.fingerprint


def test_time_in_which_no_controller_ran_is_not_counted() -> None:
    def make_event(time: float, kind: Kind, **data: object) -> Event:
        return Event(kind, data=data, time=time)

    events = [
        declare(),
        make_event(100, Kind.OPENED),
        make_event(130, Kind.WARNING, message="text"),
    ]  # then the controller is killed
    later = [
        make_event(9000, Kind.CHANGED, max_trials=50),
        make_event(9000, Kind.OPENED),
        make_event(9020, Kind.CLOSED),
        make_event(20_000, Kind.TEST_READ),
    ]
    assert State.from_events([*events, *later]).elapsed_seconds == 50


class FixedProposals(Strategy):
    """Returns fixed proposals, in order."""

    def __init__(self, *proposals: Proposal) -> None:
        super().__init__(SPACE, (Objective("accuracy"),))
        self.proposals = list(proposals)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        return self.proposals[0] if len(self.proposals) == 1 else self.proposals.pop(0)

    def tell(self, trial: Trial) -> None:
        return


def make_proposing_controller(folder: Path, *proposals: Proposal) -> tuple[ListLog, Controller]:
    log = ListLog([declare(max_trials=2)])
    controller = session(log, Curve(), folder)
    controller.strategy = FixedProposals(*proposals)
    return log, controller


def test_a_proposal_that_the_journal_cannot_store_is_refused(tmp_path: Path) -> None:
    good = SPACE.architecture({"width": 3, "depth": 2})
    other_space_architecture = Space(layer(dict, a=one_of(1, 2, name="a"))).architecture({"a": 1})
    for proposal, message in [
        (Proposal(other_space_architecture), "of another space"),
        (Proposal(good, inherit=(7, 1)), "the run has no such trial"),
        (Proposal(good, settings={"rate": {1, 2}}), "must be JSON"),
        (Proposal(good, note={"score": math.nan}), "must be JSON"),
    ]:
        log, controller = make_proposing_controller(tmp_path, proposal)
        with pytest.raises(RunError, match=message):
            controller.run()
        assert not [event for event in log.events if event.kind is Kind.PROPOSED]


def test_a_note_is_the_same_in_memory_and_when_it_is_read_back(tmp_path: Path) -> None:
    good = SPACE.architecture({"width": 3, "depth": 2})
    log, controller = make_proposing_controller(
        tmp_path, Proposal(good, note={"parents": (1, 2)}), Proposal(good, settings={"rate": 0.1})
    )
    controller.run()
    stored = State.from_events(log.events)
    assert [t.proposal for t in controller.state.trials.values()] == [t.proposal for t in stored.trials.values()]


def test_an_architecture_that_cannot_be_screened_is_a_failed_trial(tmp_path: Path) -> None:
    class EvenWidthsOnly(Curve):
        def screen(self, architecture: object) -> dict[str, float]:
            if architecture["width"] % 2:  # type: ignore[index]
                raise Infeasible("odd widths cannot be built")
            return super().screen(architecture)

    for constraints in ((), (Constraint("parameters", at_most=15, hard=True),)):
        log = ListLog([declare(max_trials=12, max_failed_trials=12, strategy="random", constraints=constraints)])
        controller = session(log, EvenWidthsOnly(), tmp_path)
        controller.run()
        statuses = {t.status for t in controller.state.trials.values() if t.architecture["width"] % 2}
        assert statuses == {Status.INFEASIBLE}
        assert controller.state.status_counts[Status.FINISHED] == 12 - controller.state.failed_count > 0


@pytest.mark.parametrize("steps", [(1, 1), (2, 1), (0,), (10,), (1.5,)])
def test_steps_out_of_order_or_range_are_an_error_of_the_estimator(tmp_path: Path, steps: tuple[float, ...]) -> None:
    class ReportsGivenSteps(Curve):
        def evaluate(self, evaluation: Evaluation) -> None:
            for step in steps:
                evaluation.report(step, {"accuracy": 1.0})  # type: ignore[arg-type]

    _, state, _ = run(tmp_path, ReportsGivenSteps(), max_trials=1)
    assert state.trials[0].status is Status.ERROR
    assert "expected a whole number above" in state.trials[0].reason


def test_a_first_attempt_finds_its_folder_empty(tmp_path: Path) -> None:
    class ChecksFolder(Curve):
        def evaluate(self, evaluation: Evaluation) -> None:
            assert not list(evaluation.folder.iterdir()), "the files of a trial that never reached the journal"
            super().evaluate(evaluation)

    stale = tmp_path / "trials" / "000000"
    stale.mkdir(parents=True)
    (stale / "checkpoint-3.pt").write_text("of another architecture")
    _, state, _ = run(tmp_path, ChecksFolder(), max_trials=1)
    assert state.trials[0].status is Status.FINISHED


def test_a_schedule_can_resume_only_paused_trials(tmp_path: Path) -> None:
    log = ListLog([declare(max_trials=3)])
    controller = session(log, Curve(), tmp_path)
    jobs = [Start({"epochs": 9}), Resume(0, {"epochs": 9})]
    controller.schedule.next_job = lambda rng, may_start: jobs.pop(0)  # type: ignore[method-assign]
    with pytest.raises(RunError, match="resumes or drops trial 0, which is finished"):
        controller.run()


def test_a_trial_that_inherits_receives_the_folder_and_the_step_of_its_donor(tmp_path: Path) -> None:
    inherited: list[object] = []

    class Recorder(Curve):
        def evaluate(self, evaluation: Evaluation) -> None:
            inherited.append(evaluation.inherit_from)
            super().evaluate(evaluation)

    good = SPACE.architecture({"width": 3, "depth": 2})
    log = ListLog([declare(max_trials=2)])
    controller = session(log, Recorder(), tmp_path)
    controller.strategy = FixedProposals(Proposal(good), Proposal(good, inherit=(0, 9)))
    controller.run()
    assert inherited == [None, (tmp_path / "trials" / "000000", 9)]
    assert controller.state.trials[1].proposal.inherit == (0, 9)
