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
from ogive.testing.rules import assert_equal, assert_that, rule, same_elsewhere
from ogive.testing.spaces import tiny
from ogive.testing.workers import WORLDS, Log, Workers, World, call, describe, epochs, stormy
from ogive.trial import Status

MakeSchedule = Callable[[tuple[Objective, ...], tuple[Constraint, ...]], Schedule]
New = Callable[[], Schedule]

TRIALS = 40
POLLS = 3


def check_schedule(make: MakeSchedule, another_process: bool = True) -> None:
    """See that a schedule keeps the contract of `ogive.schedule.base`.

    Args:
        make: `make(objectives, constraints)` gives a new instance; its trials take some ten epochs at most.
        another_process: also compare with a process of another hash seed; `make` travels there by cloudpickle.

    Raises:
        AssertionError: names the rule that was broken, and the problem.
    """
    for name, problem in PROBLEMS.items():

        def new(problem: EpisodeProblem = problem) -> Schedule:
            return make(problem.objectives, problem.constraints)

        for check in (_legal, _survives, _determined, _pure, _rebuilt, _repeats):
            with rule(check, name):
                check(new)
    if another_process:
        with rule(same_elsewhere, "one objective"):
            same_elsewhere(_jobs, make)


def _run(schedule: Schedule, world: World = stormy, workers: int = 5, **options: Callable[[Schedule], None]) -> Log:
    return Workers(schedule, world, tiny(), TRIALS, workers, **options).run()


def _legal(new: New) -> None:
    """Only paused trials are resumed, further than they are; what is started is JSON and takes at least one epoch."""
    for world in WORLDS.values():
        for workers in (1, 5):
            for _, job in _run(new(), world, workers).jobs:
                describe(job)
                assert_that(
                    not isinstance(job, Start) or epochs(job.fidelity) >= 1, f"{describe(job)}: less than 1 epoch"
                )


def _survives(new: New) -> None:
    """Whatever fails, all trials are started, unless it is Done, and in the end each has ended or is paused."""
    for name, world in WORLDS.items():
        for workers in (1, 5):
            log = _run(new(), world, workers)
            where = f"world {name!r}, {workers} workers"
            enough = len(log.trials) == TRIALS or isinstance(log.jobs[-1][1], Done)
            assert_that(
                enough, f"{where}: {len(log.trials)} of {TRIALS} trials were started, and nothing runs any more"
            )
            for trial in log.trials.values():
                over = trial.status.ended or trial.status is Status.PAUSED
                assert_that(over, f"{where}: trial {trial.id} is left {trial.status}")


def _determined(new: New) -> None:
    """After the same events, with the same random numbers, two instances give equal jobs."""
    assert_equal(_run(new()).text(), _run(new()).text(), "job")


def _pure(new: New) -> None:
    """`next_job` changes no later answer, its own included; it draws only where the schedule says so."""

    def poll(schedule: Schedule) -> None:
        for seed in range(POLLS):
            rng = generator(seed, "poll")
            before = rng.bit_generator.state
            schedule.next_job(rng)
            drawn = rng.bit_generator.state != before
            assert_that(schedule.draws or not drawn, "next_job draws from its generator, and `draws` is False")

    assert_equal(_run(new()).text(), _run(new(), before_job=poll).text(), "with questions in between, job")


def _rebuilt(new: New) -> None:
    """A new instance for which only the `on_` methods were called again gives the jobs of the one that lived through it."""
    log = _run(new())
    asked = [(called, job, may_start) for (called, job), may_start in zip(log.jobs, log.may_start, strict=True)]
    for called, job, may_start in asked[:: max(1, len(asked) // 12)]:
        schedule = new()
        for method, trial, argument in log.calls[:called]:
            call(schedule, method, trial, argument)
        found = describe(schedule.next_job(generator(0, "job", called), may_start))
        assert_equal([describe(job)], [found], f"rebuilt from {called} events, job")


def _repeats(new: New) -> None:
    """In a later session failed trials are repeated where it starts trials; all goes on, and is rebuilt, as before."""
    for name in ("stormy", "sparse"):
        work = Workers(new(), WORLDS[name], tiny(), TRIALS, workers=5)
        work.run()
        log = work.go_on(new())
        enough = not work.repeats or isinstance(log.jobs[-1][1], Done)
        assert_that(enough, f"world {name!r}: {len(work.repeats)} trials were not repeated, and nothing runs any more")
        for trial in log.trials.values():
            over = trial.status.ended or trial.status is Status.PAUSED
            assert_that(over, f"world {name!r}: trial {trial.id} is left {trial.status}")
        again = new()
        for method, trial, argument in log.calls:
            call(again, method, trial, argument)
        jobs = [describe(schedule.next_job(generator(0, "job"), False)) for schedule in (work.schedule, again)]
        assert_equal(jobs[:1], jobs[1:], f"world {name!r}: rebuilt with what was repeated, job")


def _jobs(make: MakeSchedule) -> list[str]:
    problem = PROBLEMS["one objective"]
    return _run(make(problem.objectives, problem.constraints)).text()
