"""Jobs without PyTorch, for commands that need none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ogive.cli.main import main

CODE = """
import time

import ogive as og

space = og.Space(og.layer(dict, a=og.one_of(1, 2, 3, name="a"), b=og.integer(0, 9, name="b")))

def evaluate(architecture):
    if architecture["a"] == 3:
        raise ValueError("three is too many")
    return {"accuracy": architecture["b"] / 9, "size": architecture["a"]}

def fail(architecture):
    raise ValueError("nothing works")

def slow(architecture):
    time.sleep(0.3)
    return evaluate(architecture)

class Broken(type(og.estimate.function(evaluate))):
    def fingerprints(self):
        return 1 / 0

good = og.estimate.function(evaluate)
failing = og.estimate.function(fail)
slowly = og.estimate.function(slow)
broken = Broken(evaluate, None)
"""
JOB = """\
space: toy.py:space
train: toy.py:good
objectives: {objectives}
strategy: random
max_trials: 12
max_failed_trials: 11
executor: inline
"""

Ogive = Callable[..., "CommandResult"]


class CommandResult:
    """Output and exit code of a command."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def ogive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ogive:
    """Run the command in a folder with a job."""
    (tmp_path / "toy.py").write_text(CODE)
    (tmp_path / "job.yaml").write_text(JOB.replace("{objectives}", "accuracy"))
    (tmp_path / "two.yaml").write_text(JOB.replace("{objectives}", "[accuracy, {metric: size, goal: minimize}]"))
    (tmp_path / "failing.yaml").write_text(JOB.replace("{objectives}", "accuracy").replace("good", "failing"))
    (tmp_path / "slow.yaml").write_text(JOB.replace("{objectives}", "accuracy").replace("good", "slowly"))
    (tmp_path / "broken.yaml").write_text(JOB.replace("{objectives}", "accuracy").replace("good", "broken"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> CommandResult:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_info:
            main(arguments)
        printed = capsys.readouterr()
        code = exit_info.value.code
        return CommandResult(code if isinstance(code, int) else 0, printed.out, printed.err)

    return run
