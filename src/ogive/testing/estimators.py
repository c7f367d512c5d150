"""The conformance suite of estimators. It checks the guarantees of `ogive.run.estimator` for any implementation."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cloudpickle

from ogive.formatting import plural
from ogive.run.estimator import Estimator, Evaluation
from ogive.schedule.base import Action
from ogive.seeds import generator
from ogive.space import Architecture, Space
from ogive.testing.rules import assert_that
from ogive.trial import Step

MakeEstimator = Callable[[], Estimator]
Reports = dict[Step, dict[str, float]]
"""The metrics of each reported step."""


def check_estimator(make_estimator: MakeEstimator, space: Space, *, epochs: int = 3, seed: int = 0) -> None:
    """Check that an estimator fulfils its contract, with about 30 short trainings of two architectures of `space`.

    Metrics whose names end in `seconds` are measured times and are not compared.

    Args:
        make_estimator: a function that returns a new estimator, as a new worker would receive it.
        space: a space whose architectures the estimator can evaluate.
        epochs: the number of epochs of each training, at least 2.
        seed: the seed from which the two architectures are sampled; also the seed of the trials.

    Raises:
        AssertionError: a guarantee is broken. The message names the guarantee.
    """
    assert_that(
        epochs >= 2, f"check_estimator: epochs is {epochs}, but must be at least 2, so that a trial can be paused"
    )
    rng = generator(seed, "check_estimator")
    bench = _TestBench(
        make_estimator=make_estimator,
        architecture=space.sample(rng),
        other_architecture=space.sample(rng),
        epochs=epochs,
        seed=seed,
    )
    _check_description(bench)
    expected = _run_without_interruption(bench)
    _check_isolation(bench, expected)
    _check_stop(bench, expected)
    _check_pause(bench, expected)
    _check_crash(bench, expected)


class _Crash(BaseException):
    """Simulates that the process dies during a report. An estimator must not catch it, so it is no `Exception`."""


@dataclass
class _Journal:
    """The reports of one trial that a controller has stored, from all attempts."""

    reports: Reports = field(default_factory=dict)

    @property
    def last_step(self) -> Step:
        return max(self.reports, default=0)

    def add(self, step: Step, metrics: Mapping[str, float], max_step: Step) -> None:
        """Add a report, after checking that it is valid. Measured times are left out."""
        assert_that(bool(metrics), f"step {step} was reported without metrics")
        assert_that(step > self.last_step, f"step {step} was reported after step {self.last_step}; steps must increase")
        assert_that(step <= max_step, f"step {step} was reported, but the trial must end at step {max_step}")
        self.reports[step] = {name: value for name, value in metrics.items() if not name.endswith("seconds")}


@dataclass(frozen=True, kw_only=True)
class _TestBench:
    """The estimator under test, and the two architectures with which its trials are run."""

    make_estimator: MakeEstimator
    architecture: Architecture
    other_architecture: Architecture
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
        get_answer: Callable[[Step], Action] = lambda step: Action.CONTINUE,
    ) -> Reports:
        """Run one attempt; return all reports in the journal, also those of earlier attempts.

        Args:
            estimator: the estimator that evaluates the trial.
            journal: the reports of earlier attempts. The new ones are added to it.
            folder: the folder of the trial.
            until: the last step of the attempt; None for all epochs.
            architecture: the architecture; None for `self.architecture`.
            get_answer: a function that returns the answer to the report of a step.
        """
        last_step = self.epochs if until is None else until

        def send(step: Step, metrics: Mapping[str, float]) -> Action:
            journal.add(step, metrics, last_step)
            return get_answer(step)

        evaluation = Evaluation(
            trial=0,
            architecture=architecture or self.architecture,
            fidelity={"epochs": last_step},
            seed=self.seed,
            folder=folder,
            send=send,
            last_reported_step=journal.last_step,
        )
        estimator.evaluate(evaluation)
        return journal.reports

    def make_worker(self) -> Estimator:
        """Return an estimator as in a new worker: pickled, unpickled and prepared."""
        estimator: Estimator = cloudpickle.loads(cloudpickle.dumps(self.make_estimator()))
        estimator.prepare()
        return estimator


def _check_description(bench: _TestBench) -> None:
    """`recipe`, `fingerprints` and `screen` always return the same valid values."""
    estimator = bench.make_estimator()
    recipe, fingerprints = estimator.recipe(), estimator.fingerprints()
    assert_that(
        json.dumps(recipe) == json.dumps(bench.make_estimator().recipe()),
        "recipe() differs between two equal estimators",
    )
    assert_that(
        all(isinstance(name, str) and isinstance(value, str) for name, value in fingerprints.items()),
        f"fingerprints() must map names to strings, but returned {dict(fingerprints)}",
    )
    assert_that(dict(fingerprints) == dict(bench.make_worker().fingerprints()), "fingerprints() differ in a worker")
    screened = dict(estimator.screen(bench.architecture))
    assert_that(
        all(math.isfinite(value) for value in screened.values()),
        f"screen() returned {screened}; all values must be finite",
    )
    assert_that(
        screened == dict(estimator.screen(bench.architecture)),
        "screen() returned different values for the same architecture",
    )


def _run_without_interruption(bench: _TestBench) -> Reports:
    """Return the reports of a trial without interruption. Check that there is one, and that the steps increase."""
    with _trial_folder() as folder:
        reports = bench.run(bench.make_worker(), _Journal(), folder)
    assert_that(bool(reports), "evaluate() returned without a report")
    return reports


def _check_isolation(bench: _TestBench, expected: Reports) -> None:
    """An evaluation does not affect the next one in the same worker."""
    estimator = bench.make_worker()
    with _trial_folder() as folder:
        bench.run(estimator, _Journal(), folder, architecture=bench.other_architecture)
    with _trial_folder() as folder:
        reports = bench.run(estimator, _Journal(), folder)
    _assert_same_reports(reports, expected, "after another evaluation in the same worker")


def _check_stop(bench: _TestBench, expected: Reports) -> None:
    """After the answer STOP, no further step is reported."""
    first_step = min(expected)
    with _trial_folder() as folder:
        reports = bench.run(bench.make_worker(), _Journal(), folder, get_answer=lambda step: Action.STOP)
    assert_that(
        list(reports) == [first_step],
        f"the answer to step {first_step} was STOP, but the reported steps are {list(reports)}",
    )


def _check_pause(bench: _TestBench, expected: Reports) -> None:
    """A trial that is continued after an early end or a pause has the same reports as one without interruption."""
    for step in list(expected)[:-1]:
        with _trial_folder() as folder:
            journal = _Journal()
            bench.run(bench.make_worker(), journal, folder, until=step)
            reports = bench.run(bench.make_worker(), journal, folder)
        _assert_same_reports(reports, expected, f"when it was continued after {plural(step, 'epoch')}")
        with _trial_folder() as folder:
            journal = _Journal()
            bench.run(bench.make_worker(), journal, folder, get_answer=_pause_at(step))
            assert_that(
                journal.last_step == step,
                f"the answer to step {step} was PAUSE, but step {journal.last_step} was reported",
            )
            reports = bench.run(bench.make_worker(), journal, folder)
        _assert_same_reports(reports, expected, f"when it was paused at step {step} and resumed")


def _check_crash(bench: _TestBench, expected: Reports) -> None:
    """A trial that is continued after its process died during a report has the same reports as one without interruption."""
    for step in expected:
        for is_stored in (False, True):
            with _trial_folder() as folder:
                journal = _Journal()
                _run_until_crash(bench, journal, folder, step, is_stored=is_stored)
                reports = bench.run(bench.make_worker(), journal, folder)
            moment = "after" if is_stored else "before"
            _assert_same_reports(
                reports, expected, f"when its process died {moment} the report of step {step} was stored"
            )


def _run_until_crash(bench: _TestBench, journal: _Journal, folder: Path, crash_step: Step, *, is_stored: bool) -> None:
    """Run an attempt whose process dies during a report, before or after the journal has stored the report."""

    def get_answer(step: Step) -> Action:
        if step == crash_step:
            if not is_stored:  # `_TestBench.run` stores each report before it asks for the answer
                del journal.reports[step]
            raise _Crash
        return Action.CONTINUE

    try:
        bench.run(bench.make_worker(), journal, folder, get_answer=get_answer)
    except _Crash:
        return
    raise AssertionError("evaluate() suppressed an exception that was raised during a report; it must not catch it")


def _pause_at(pause_step: Step) -> Callable[[Step], Action]:
    return lambda step: Action.PAUSE if step >= pause_step else Action.CONTINUE


@contextmanager
def _trial_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _assert_same_reports(reports: Reports, expected: Reports, moment: str) -> None:
    """Check that two trials reported the same metrics at the same steps; NaN equals NaN. `moment` is for the message."""
    assert_that(
        list(reports) == list(expected), f"{moment}, steps {list(reports)} were reported instead of {list(expected)}"
    )
    for step, metrics in expected.items():
        is_same = reports[step].keys() == metrics.keys() and all(
            value == reports[step][name] or (math.isnan(value) and math.isnan(reports[step][name]))
            for name, value in metrics.items()
        )
        assert_that(is_same, f"{moment}, step {step} reported {reports[step]} instead of {metrics}")
