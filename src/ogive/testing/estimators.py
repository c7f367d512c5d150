"""The conformance suite of estimators: what `ogive.run.estimator` guarantees, checked on any implementation."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cloudpickle

from ogive.run.estimator import Estimator, Evaluation
from ogive.schedule.base import Action
from ogive.seeds import generator
from ogive.space import Architecture, Space
from ogive.testing.rules import assert_that
from ogive.trial import Step

Make = Callable[[], Estimator]


def check_estimator(make_estimator: Make, space: Space, *, epochs: int = 3, seed: int = 0) -> None:
    """Check that an estimator keeps its contract on two architectures of `space`; takes about 30 short trainings.

    Metrics whose names end in `seconds` are taken for the clock's and not compared.

    Args:
        make_estimator: makes a fresh estimator, as a new worker would get.
        space: whose architectures it can evaluate.
        epochs: how far to train, at least 2.
        seed: chooses the architectures and seeds the trials.

    Raises:
        AssertionError: a guarantee is broken; the message says which.
    """
    assert_that(
        epochs >= 2, f"check_estimator: epochs is {epochs}, but must be at least 2 for pausing to mean anything"
    )
    rng = generator(seed, "check_estimator")
    bench = _TestBench(make_estimator, space.sample(rng), space.sample(rng), epochs, seed)
    _check_description(bench)
    straight = _check_steps(bench)
    _check_isolation(bench, straight)
    _check_stop(bench, straight)
    _check_pause(bench, straight)
    _check_death(bench, straight)


class _Dead(BaseException):
    """Stands for a process that dies while it reports."""


@dataclass
class _Journal:
    """What a controller would have, over all attempts at one trial."""

    reports: dict[Step, dict[str, float]] = field(default_factory=dict)

    @property
    def last(self) -> Step:
        return max(self.reports, default=0)

    def add(self, step: Step, metrics: Mapping[str, float], until: Step) -> None:
        assert_that(bool(metrics), f"step {step} was reported without metrics")
        assert_that(step > self.last, f"step {step} was reported after step {self.last}; steps must increase")
        assert_that(step <= until, f"step {step} was reported, beyond the {until} asked for")
        self.reports[step] = {name: v for name, v in metrics.items() if not name.endswith("seconds")}


@dataclass(frozen=True)
class _TestBench:
    make: Make
    architecture: Architecture
    other: Architecture
    epochs: int
    seed: int

    def run(
        self,
        estimator: Estimator,
        journal: _Journal,
        folder: Path,
        *,
        until: Step | None = None,
        architecture: Architecture | None = None,
        answer: Callable[[Step], Action] = lambda step: Action.CONTINUE,
    ) -> dict[Step, dict[str, float]]:
        """One attempt, up to `until`; what the journal has after it."""
        last = self.epochs if until is None else until

        def send(step: Step, metrics: Mapping[str, float]) -> Action:
            journal.add(step, metrics, last)
            return answer(step)

        evaluation = Evaluation(
            trial=0,
            architecture=architecture or self.architecture,
            fidelity={"epochs": last},
            seed=self.seed,
            folder=folder,
            send=send,
            reported=journal.last,
        )
        estimator.evaluate(evaluation)
        return journal.reports

    def worker(self) -> Estimator:
        """An estimator as a fresh worker has it."""
        estimator: Estimator = cloudpickle.loads(cloudpickle.dumps(self.make()))
        estimator.prepare()
        return estimator


def _check_description(bench: _TestBench) -> None:
    estimator = bench.make()
    recipe, fingerprints = estimator.recipe(), estimator.fingerprints()
    assert_that(
        json.dumps(recipe) == json.dumps(bench.make().recipe()), "recipe() differs between two equal estimators"
    )
    assert_that(
        all(isinstance(name, str) and isinstance(value, str) for name, value in fingerprints.items()),
        f"fingerprints() must map names to strings, but gave {dict(fingerprints)}",
    )
    assert_that(dict(fingerprints) == dict(bench.worker().fingerprints()), "fingerprints() differ in a worker")
    screened = dict(estimator.screen(bench.architecture))
    assert_that(
        all(math.isfinite(value) for value in screened.values()), f"screen() gave {screened}; it must be finite"
    )
    assert_that(screened == dict(estimator.screen(bench.architecture)), "screen() gave two answers to one question")


def _check_steps(bench: _TestBench) -> dict[Step, dict[str, float]]:
    with _folder() as folder:
        straight = bench.run(bench.worker(), _Journal(), folder)
    assert_that(bool(straight), "evaluate() returned without a report")
    return straight


def _check_isolation(bench: _TestBench, straight: dict[Step, dict[str, float]]) -> None:
    estimator = bench.worker()
    with _folder() as folder:
        bench.run(estimator, _Journal(), folder, architecture=bench.other)
    with _folder() as folder:
        again = bench.run(estimator, _Journal(), folder)
    _require_equal(again, straight, "after another evaluation in the same worker")


def _check_stop(bench: _TestBench, straight: dict[Step, dict[str, float]]) -> None:
    first = min(straight)
    with _folder() as folder:
        stopped = bench.run(bench.worker(), _Journal(), folder, answer=lambda step: Action.STOP)
    assert_that(list(stopped) == [first], f"told to stop at step {first}, it reported {list(stopped)}")


def _check_pause(bench: _TestBench, straight: dict[Step, dict[str, float]]) -> None:
    for cut in list(straight)[:-1]:
        with _folder() as folder:
            journal = _Journal()
            bench.run(bench.worker(), journal, folder, until=cut)
            resumed = bench.run(bench.worker(), journal, folder)
        _require_equal(resumed, straight, f"when it went on after {cut} epochs")
        with _folder() as folder:
            journal = _Journal()
            bench.run(bench.worker(), journal, folder, answer=_pause_at(cut))
            assert_that(journal.last == cut, f"told to pause at step {cut}, it went on to step {journal.last}")
            resumed = bench.run(bench.worker(), journal, folder)
        _require_equal(resumed, straight, f"when it was paused at step {cut} and resumed")


def _check_death(bench: _TestBench, straight: dict[Step, dict[str, float]]) -> None:
    for step in straight:
        for journalled in (False, True):
            with _folder() as folder:
                journal = _Journal()
                _die(bench, journal, folder, step, journalled)
                resumed = bench.run(bench.worker(), journal, folder)
            when = "after" if journalled else "before"
            _require_equal(resumed, straight, f"when it died right {when} the report of step {step} was stored")


def _die(bench: _TestBench, journal: _Journal, folder: Path, at: Step, journalled: bool) -> None:
    def answer(step: Step) -> Action:
        if step == at:
            if not journalled:
                del journal.reports[step]
            raise _Dead
        return Action.CONTINUE

    try:
        bench.run(bench.worker(), journal, folder, answer=answer)
    except _Dead:
        return
    raise AssertionError("what went wrong while it reported was swallowed; let it through")


def _pause_at(cut: Step) -> Callable[[Step], Action]:
    return lambda step: Action.PAUSE if step >= cut else Action.CONTINUE


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _require_equal(found: dict[Step, dict[str, float]], straight: dict[Step, dict[str, float]], when: str) -> None:
    assert_that(list(found) == list(straight), f"{when}, steps {list(found)} were reported instead of {list(straight)}")
    for step, metrics in straight.items():
        same = found[step].keys() == metrics.keys() and all(
            value == found[step][name] or (math.isnan(value) and math.isnan(found[step][name]))
            for name, value in metrics.items()
        )
        assert_that(same, f"{when}, step {step} gave {found[step]} instead of {metrics}")
