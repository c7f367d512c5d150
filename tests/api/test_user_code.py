"""Exceptions of user functions in the controller's process: one error, and the same call continues after a fix."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ogive as og
from ogive.errors import JobError, UserCodeError
from ogive.run.events import Kind
from ogive.run.journal import Journal
from ogive.schedule.base import Action, Resume, Start
from ogive.schedule.full import Full
from ogive.space import Architecture, Space
from ogive.space.probe import probe_functions
from ogive.strategy.base import Strategy
from ogive.trial import Pending, Proposal, Report, Status, Trial

HERE = Path(__file__)
BROKEN = 12


def make_expression() -> Any:
    return og.layer(dict, a=og.integer(0, 30, name="a"), b=og.integer(0, 3, name="b"))


def evaluate(architecture: Architecture) -> dict[str, float]:
    return {"accuracy": float(architecture["a"])}


def train(model: Any, trial: Any) -> None:
    for _ in trial.epochs():
        time.sleep(0.05)
        trial.report(accuracy=model["a"])


def raise_error(architecture: Architecture) -> None:
    if architecture["a"] == BROKEN:
        raise ValueError("twelve\nis too much")  # line of raise_error


def exit_process(architecture: Architecture) -> None:
    if architecture["a"] == BROKEN:
        sys.exit(4)  # line of exit_process


class NoException(BaseException):
    """An exception that `except Exception` does not catch."""


def raise_base_exception(architecture: Architecture) -> None:
    if architecture["a"] == BROKEN:
        raise NoException("let me out")  # line of raise_base_exception


def recurse(architecture: Architecture) -> None:
    if architecture["a"] == BROKEN:
        recurse(architecture)


def line_of(text: str) -> str:
    number = next(n for n, line in enumerate(HERE.read_text().splitlines(), 1) if line.endswith(f"# line of {text}"))
    return f"{HERE}:{number}"


def search(folder: Path, space: Space, **options: Any) -> og.Run:
    options = {"strategy": "random", "max_trials": 124, "executor": "inline", **options}
    return og.search(space, options.pop("estimator", og.estimate.function(evaluate)), run=folder, **options)


@pytest.mark.parametrize(
    ("function", "event"),
    [
        (raise_error, "raised ValueError: twelve,"),
        (exit_process, "called sys.exit(4),"),
        (raise_base_exception, "raised NoException: let me out,"),
        (recurse, "raised RecursionError: maximum recursion depth exceeded"),
    ],
)
@pytest.mark.parametrize("role", ["constraint", "canonical"])
def test_the_error_names_function_line_and_architecture(tmp_path: Path, function: Any, event: str, role: str) -> None:
    def canonical(architecture: Architecture) -> Any:
        function(architecture)
        return architecture

    broken = {"constraint": function, "canonical": canonical}[role]
    with pytest.raises(UserCodeError) as raised:
        search(tmp_path / "run", og.Space(make_expression(), **{role: broken}))
    text = str(raised.value)
    assert f"{broken.__name__}() {event}" in text
    assert f"at {HERE}:" in text if function is recurse else f"at {line_of(function.__name__)}: " in text
    assert f"for the architecture a={BROKEN}, b=" in text
    interrupted = og.open_run(tmp_path / "run")
    assert 0 < len(interrupted.trials) < 124
    assert all(trial.status is Status.FINISHED for trial in interrupted.trials)
    assert interrupted.state.error == f"UserCodeError: {text}"
    done = search(tmp_path / "run", og.Space(make_expression()))
    assert len(done.trials) == 124
    assert done.ended
    assert done.state.error is None


class FixableStrategy(Strategy):
    """Fails if two trials are pending, until it is fixed."""

    broken = True

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Any) -> Proposal:
        if self.broken and len(pending.proposals) == 2:
            raise LookupError("nothing to propose")  # line of ask
        return Proposal(self.space.sample(rng))

    def tell(self, trial: Trial) -> None:
        return


def test_running_trials_are_put_back_when_a_strategy_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = og.Space(make_expression())

    def run_search() -> og.Run:
        strategy = FixableStrategy(space, (og.Objective("accuracy"),))
        options: dict[str, Any] = {"executor": "processes", "workers": 3, "epochs": 20, "max_trials": 4}
        return search(tmp_path / "run", space, estimator=train, strategy=strategy, **options)

    with pytest.raises(
        UserCodeError, match="strategy FixableStrategy raised LookupError: nothing to propose"
    ) as raised:
        run_search()
    assert f"at {line_of('ask')}" in str(raised.value)
    journal = Journal(tmp_path / "run" / "journal.db", writable=False)
    kinds = [event.kind for event in journal.read()]
    journal.close()
    assert kinds.count(Kind.PUT_BACK) == 2
    assert kinds[-1] is Kind.CLOSED
    monkeypatch.setattr(FixableStrategy, "broken", False)
    done = run_search()
    assert [trial.status for trial in done.trials] == [Status.FINISHED] * 4


class FixableSchedule(Full):
    """Fails in one of its methods at the third trial, until it is fixed."""

    broken = ""

    def on_job(self, trial: Trial, job: Start | Resume) -> None:
        self.fail("on_job", trial)

    def on_report(self, trial: Trial, report: Report) -> Action:
        self.fail("on_report", trial)
        return Action.CONTINUE

    def on_end(self, trial: Trial) -> None:
        self.fail("on_end", trial)

    def fail(self, method: str, trial: Trial) -> None:
        if self.broken == method and trial.id == 2:
            raise LookupError(f"no such trial in {method}")  # line of fail


@pytest.mark.parametrize("method", ["on_job", "on_report", "on_end"])
def test_a_schedule_that_raises_is_named_and_continues_after_a_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def run_search() -> og.Run:
        schedule = FixableSchedule((og.Objective("accuracy"),))
        return search(tmp_path / "run", og.Space(make_expression()), schedule=schedule, max_trials=4)

    monkeypatch.setattr(FixableSchedule, "broken", method)
    for _ in range(2):  # the second call reads the journal
        with pytest.raises(
            UserCodeError, match=f"schedule FixableSchedule raised LookupError: no such .* {method}"
        ) as raised:
            run_search()
        assert f"at {line_of('fail')}" in str(raised.value)
    monkeypatch.setattr(FixableSchedule, "broken", "")
    done = run_search()
    assert [trial.status for trial in done.trials] == [Status.FINISHED] * 4


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ({"constraint": lambda a: np.bool_(True)}, r"constraint <lambda>\(\) returned (np\.)?True"),
        ({"constraint": lambda a: math.nan}, r"constraint <lambda>\(\) returned nan"),
        ({"canonical": lambda a: None}, r"canonical form <lambda>\(\) returned None"),
        ({"canonical": lambda a: {1, 2}}, r"canonical form <lambda>\(\) returned \{1, 2\}"),
        ({"canonical": lambda a: math.nan}, r"canonical form <lambda>\(\) returned nan"),
        ({"graph": lambda a: 1 / 0}, r"graph <lambda>\(\) raised ZeroDivisionError"),
        ({"graph": lambda a: ["in", "out"]}, r"graph <lambda>\(\) returned .* which has"),
        ({"graph": lambda a: (["in", "out"], [(0, 2)])}, r"which has the edge \(0, 2\), although its nodes are 0 to 1"),
        ({"graph": lambda a: (["in", "out"], [(0, 1), (1, 0)])}, "which has a cycle"),
        (
            {"graph": lambda a: ([["in"], "out"], [(0, 1)])},
            r"which has the label \['in'\], a list: labels are strings or",
        ),
    ],
)
def test_wrong_return_values_are_errors_with_the_architecture(functions: Any, message: str) -> None:
    space = og.Space(make_expression(), **functions)
    with pytest.raises(UserCodeError, match=message) as raised:
        probe_functions(space)
    assert "for the architecture a=0, b=0" in str(raised.value)


def test_a_small_space_is_probed_completely_and_a_large_one_by_a_sample() -> None:
    probed: list[Architecture] = []
    assert probe_functions(og.Space(make_expression())) == 0, "no function to call"
    assert probe_functions(og.Space(make_expression(), constraint=probed.append)) == 124
    assert len(set(probed)) == 124
    large = og.Space(og.layer(dict, *(og.integer(0, 99) for _ in range(5))), constraint=lambda a: None)
    assert 300 <= probe_functions(large, samples=300) <= 2000


def test_ctrl_c_inside_a_function_is_not_an_error_of_the_function(tmp_path: Path) -> None:
    def interrupt(architecture: Architecture) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "run", og.Space(make_expression(), constraint=interrupt))


def test_a_layer_that_exits_while_it_is_screened_is_a_failed_trial(tmp_path: Path) -> None:
    class Screening(type(og.estimate.function(evaluate))):  # type: ignore[misc]
        def screen(self, architecture: Architecture) -> dict[str, float]:
            exit_process(architecture)
            return {}

    run = search(tmp_path / "run", og.Space(make_expression()), estimator=Screening(evaluate, None))
    assert [t.architecture["a"] for t in run.trials if t.status is Status.EXITED] == [BROKEN] * 4


def test_a_baseline_that_fails_is_refused_before_full_training(tmp_path: Path) -> None:
    def baseline() -> None:
        sys.exit("no network")  # line of baseline

    run = search(tmp_path / "run", og.Space(make_expression()), max_trials=2)
    with pytest.raises(UserCodeError, match=r"baseline .*baseline\(\) called sys.exit\('no network'\)") as raised:
        run.finalize(top=1, baseline=baseline, executor="inline")
    assert f"at {line_of('baseline')}" in str(raised.value)
    assert not (tmp_path / "run" / "final").exists()


@pytest.mark.parametrize("answer", [None, "a", {"a": 1}])
def test_a_strategy_that_returns_no_proposal_is_named(tmp_path: Path, answer: Any) -> None:
    class Odd(Strategy):
        def ask(self, rng: Any, pending: Any, fidelity: Any) -> Any:
            return answer

        def tell(self, trial: Any) -> None:
            pass

    space = og.Space(make_expression())
    strategy = Odd(space, (og.Objective("accuracy"),), ())
    estimator = og.estimate.function(lambda a: {"accuracy": 0.5})
    with pytest.raises(JobError, match=r"strategy Odd returned .* from ask\(\); it must return a Proposal"):
        og.search(space, estimator, strategy=strategy, executor="inline", run=tmp_path / "run")
