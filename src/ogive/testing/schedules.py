"""The conformance suite of schedules: `check_schedule`.

def test_conformance():
    og.testing.check_schedule(lambda objectives, constraints: Mine(objectives, constraints, epochs=9))
"""

from __future__ import annotations

from collections.abc import Callable

from ogive.objective import Constraint, Objective
from ogive.schedule.base import Done, Schedule, Start
from ogive.seeds import generator
from ogive.testing.episodes import PROBLEMS, EpisodeProblem
from ogive.testing.rules import assert_equal, assert_that, check_another_process_agrees, rule
from ogive.testing.spaces import tiny
from ogive.testing.workers import (
    SCENARIOS,
    ControllerLog,
    Scenario,
    SimulatedController,
    call,
    describe,
    epochs,
    faulty,
)
from ogive.trial import Status

MakeSchedule = Callable[[tuple[Objective, ...], tuple[Constraint, ...]], Schedule]
MakeInstance = Callable[[], Schedule]
"""A function that returns a new instance of the schedule, for one problem."""

TRIALS = 40
EXTRA_CALLS = 3
"""The number of additional calls of `next_job` before each job, for the rule that they have no side effects."""
RESTORED_POINTS = 12
"""The approximate number of points of a search at which a schedule is restored."""


def check_schedule(make: MakeSchedule, another_process: bool = True) -> None:
    """Check that a schedule fulfils the contract of `ogive.schedule.base`.

    Args:
        make: a function; `make(objectives, constraints)` returns a new instance. Its trials should take at most about ten
            epochs.
        another_process: whether to compare the jobs with those of a process that has another hash seed. `make` is sent to
            that process by cloudpickle.

    Raises:
        AssertionError: the schedule breaks a rule. The message names the rule and the problem.
    """
    for name, problem in PROBLEMS.items():

        def make_instance(problem: EpisodeProblem = problem) -> Schedule:
            return make(problem.objectives, problem.constraints)

        for check in (
            _check_jobs_are_valid,
            _check_failures_block_nothing,
            _check_next_job_is_deterministic,
            _check_next_job_has_no_side_effects,
            _check_events_restore_the_state,
            _check_failed_trials_are_repeated,
        ):
            with rule(check, name):
                check(make_instance)
    if another_process:
        with rule(check_another_process_agrees, "one objective"):
            check_another_process_agrees(_jobs_for_one_objective, make)


def _run(
    schedule: Schedule, scenario: Scenario = faulty, workers: int = 5, **options: Callable[[Schedule], None]
) -> ControllerLog:
    return SimulatedController(schedule, scenario, tiny(), TRIALS, workers, **options).run()


def _check_jobs_are_valid(make_instance: MakeInstance) -> None:
    """Jobs are JSON, each trial takes at least one epoch, and only paused trials are resumed, at a higher fidelity."""
    for scenario in SCENARIOS.values():
        for workers in (1, 5):
            for _, job in _run(make_instance(), scenario, workers).jobs:
                text = describe(job)  # also raises an exception if the job is not JSON
                assert_that(
                    not isinstance(job, Start) or epochs(job.fidelity) >= 1,
                    f"{text}: the trial takes less than 1 epoch",
                )


def _check_failures_block_nothing(make_instance: MakeInstance) -> None:
    """Whichever trials fail, all trials are started unless the schedule is Done. At the end, each is paused or has ended."""
    for name, scenario in SCENARIOS.items():
        for workers in (1, 5):
            log = _run(make_instance(), scenario, workers)
            case = f"scenario {name!r}, {workers} workers"
            is_complete = len(log.trials) == TRIALS or isinstance(log.jobs[-1][1], Done)
            assert_that(
                is_complete, f"{case}: {len(log.trials)} of {TRIALS} trials were started, and no trial is running"
            )
            _assert_inactive(log, case)


def _assert_inactive(log: ControllerLog, case: str) -> None:
    for trial in log.trials.values():
        is_inactive = trial.status.ended or trial.status is Status.PAUSED
        assert_that(is_inactive, f"{case}: at the end, trial {trial.id} is {trial.status}, not paused or ended")


def _check_next_job_is_deterministic(make_instance: MakeInstance) -> None:
    """Two instances that received the same events and the same random numbers return the same jobs."""
    assert_equal(_run(make_instance()).text(), _run(make_instance()).text(), "job")


def _check_next_job_has_no_side_effects(make_instance: MakeInstance) -> None:
    """A call of `next_job` does not change any later job, and draws random numbers only if `uses_rng` is True."""

    def call_next_job(schedule: Schedule) -> None:
        for seed in range(EXTRA_CALLS):
            rng = generator(seed, "poll")
            state_before = rng.bit_generator.state
            schedule.next_job(rng)
            has_drawn = rng.bit_generator.state != state_before
            assert_that(schedule.uses_rng or not has_drawn, "next_job draws random numbers, but `uses_rng` is False")

    with_extra_calls = _run(make_instance(), before_job=call_next_job).text()
    assert_equal(_run(make_instance()).text(), with_extra_calls, "with further calls of next_job in between, job")


def _check_events_restore_the_state(make_instance: MakeInstance) -> None:
    """A new instance that receives all earlier events returns the same job as the original instance."""
    log = _run(make_instance())
    # Each job, with the number of earlier calls of `on_...`, and with the argument `may_start` of its request.
    jobs = [(call_count, job, may_start) for (call_count, job), may_start in zip(log.jobs, log.may_start, strict=True)]
    for call_count, job, may_start in jobs[:: max(1, len(jobs) // RESTORED_POINTS)]:
        schedule = make_instance()
        for method, trial, argument in log.calls[:call_count]:
            call(schedule, method, trial, argument)
        expected = describe(job)
        actual = describe(schedule.next_job(generator(0, "job", call_count), may_start))
        assert_that(
            actual == expected, f"after {call_count} restored events, the job is {actual}, but should be {expected}"
        )


def _check_failed_trials_are_repeated(make_instance: MakeInstance) -> None:
    """In a later session, failed trials are repeated, all trials end or are paused, and events restore the state."""
    for name in ("faulty", "sparse"):
        case = f"scenario {name!r}"
        controller = SimulatedController(make_instance(), SCENARIOS[name], tiny(), TRIALS, workers=5)
        controller.run()
        log = controller.continue_in_new_session(make_instance())
        is_complete = not controller.repeats or isinstance(log.jobs[-1][1], Done)
        assert_that(is_complete, f"{case}: {len(controller.repeats)} trials were not repeated, and no trial is running")
        _assert_inactive(log, case)
        restored = make_instance()
        for method, trial, argument in log.calls:
            call(restored, method, trial, argument)
        original_job, restored_job = (
            describe(schedule.next_job(generator(0, "job"), False)) for schedule in (controller.schedule, restored)
        )
        assert_that(
            restored_job == original_job,
            f"{case}: restored with repeated trials, the job is {restored_job}, but should be {original_job}",
        )


def _jobs_for_one_objective(make: MakeSchedule) -> list[str]:
    problem = PROBLEMS["one objective"]
    return _run(make(problem.objectives, problem.constraints)).text()
