"""The commands on a small search without PyTorch: what they print, and how they exit."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import ogive as og
from ogive.api import open_run
from ogive.errors import UserCodeError
from ogive.run.journal import Journal

HEAVY = ("torch", "numpy", "sqlalchemy", "matplotlib")


SCRIPT = """
import sys
from ogive.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print(*sys.modules)
"""


def loaded(folder: Path, *arguments: str) -> set[str]:
    """Return the heavy packages that a process has loaded after a command."""
    command = [sys.executable, "-c", SCRIPT, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return {*HEAVY} & {*done.stdout.splitlines()[-1].split()}


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    assert loaded(tmp_path, "--help") == set()
    assert loaded(tmp_path, "search", "--help") == set()


def test_reading_a_run_loads_no_torch(ogive, tmp_path: Path) -> None:
    ogive("search", "job.yaml", "--quiet")
    for command in ("status", "top", "front"):
        assert "torch" not in loaded(tmp_path, command, "runs/job")


def test_a_search_prints_its_result_and_how_to_continue(ogive) -> None:
    done = ogive("search", "job.yaml", "--quiet", "--seed", "1")
    assert done.code == 0
    assert "12 trials in" in done.out
    assert "the search ended: all 12 trials are done" in done.out
    assert "ValueError: three is too many" in done.out
    assert "ogive report runs/job" in done.out
    assert "continue: ogive search job.yaml --seed 1 --max-trials 24" in done.out.replace("  --", " --")


def test_a_search_whose_budget_is_used_up_continues_with_a_larger_one(ogive, tmp_path: Path) -> None:
    done = ogive("search", "slow.yaml", "--quiet", "--budget", "0.0001")
    assert "the budget of 0.4 s is used up" in done.out
    assert "continue: ogive search slow.yaml --budget 0.0002" in done.out
    before = len(open_run(tmp_path / "runs" / "slow").trials)
    assert ogive("search", "slow.yaml", "--quiet", "--json", "--budget", "1").json["trials"] == 12 > before
    priced = (tmp_path / "slow.yaml").read_text() + "price: 1\nbudget: {money: 0.0001}\nrun: other\n"
    (tmp_path / "slow.yaml").write_text(priced)
    assert "continue: raise `budget` in slow.yaml, then ogive search" in ogive("search", "slow.yaml", "--quiet").out


def test_a_search_that_has_proposed_every_architecture_ends(ogive, tmp_path: Path) -> None:
    space = """og.Space(og.layer(dict, og.one_of(1, 2, 3, name="b"), og.one_of(0, name="a")))"""
    (tmp_path / "few.py").write_text((tmp_path / "toy.py").read_text() + f"\nspace = {space}\n")
    (tmp_path / "few.yaml").write_text((tmp_path / "job.yaml").read_text().replace("toy.py", "few.py"))
    for options in ([], ["--max-trials", "20"]):  # more trials change nothing
        done = ogive("search", "few.yaml", "--quiet", *options)
        assert done.code == 0
        assert "the search ended: every architecture that the space allows was proposed: 3 were evaluated" in done.out
        assert "continue: not possible: there are no architectures left to propose" in done.out
        assert "--max-trials" not in done.out
    assert open_run(tmp_path / "runs" / "few").state.is_exhausted
    (tmp_path / "all.yaml").write_text((tmp_path / "few.yaml").read_text().replace("max_trials: 12", "max_trials: 3"))
    assert "continue: not possible: every architecture was tried" in ogive("search", "all.yaml", "--quiet").out


def test_a_search_continues_with_more_trials(ogive) -> None:
    assert ogive("search", "job.yaml", "--quiet", "--json").json["trials"] == 12
    more = ogive("search", "job.yaml", "--quiet", "--json", "--max-trials", "15")
    assert (more.code, more.json["trials"], more.json["run"]) == (0, 15, "runs/job")


def test_a_search_without_a_result_fails(ogive) -> None:
    done = ogive("search", "failing.yaml", "--json")
    assert done.code == 1
    assert done.json["top"] == []
    assert done.json["failures"] == [
        {"status": "error", "count": 3, "trial": 0, "reason": "ValueError: nothing works"},
    ]


def test_a_search_that_always_fails_stops_and_continues_after_the_error_is_fixed(ogive, tmp_path: Path) -> None:
    stopped = ogive("search", "failing.yaml", "--quiet")
    assert stopped.code == 1
    assert "the first 3 trials all ended with the same failure: error: ValueError: nothing works" in stopped.out
    assert f"({tmp_path / 'toy.py'}:" in stopped.out
    code = (tmp_path / "toy.py").read_text()
    (tmp_path / "toy.py").write_text(
        code.replace('raise ValueError("nothing works")', "return evaluate({**architecture, 'a': 1})")
    )
    done = ogive("search", "failing.yaml", "--quiet", "--retry-failed")
    assert done.code == 0, done.err
    trials = open_run(tmp_path / "runs" / "failing").trials
    assert [trial.status.failed for trial in trials] == [True] * 3 + [False] * 12
    assert [t.architecture for t in trials[3:6]] == [t.architecture for t in trials[:3]]
    assert "15 of 15 (3 of them repeat failed trials)" in ogive("status", "failing.yaml").out


def test_a_search_that_was_ended_by_an_error_shows_it(ogive, tmp_path: Path) -> None:
    def never(architecture: Any) -> None:
        raise ValueError("too wide")

    space = og.Space(og.layer(dict, a=og.integer(0, 9, name="a")), constraint=never)
    with pytest.raises(UserCodeError):
        og.search(space, og.estimate.function(len), objectives="accuracy", run=tmp_path / "odd", executor="inline")
    status = ogive("status", "odd").out
    assert "state     ended by an error: UserCodeError: the constraint" in status
    assert "raised ValueError: too wide" in status
    assert "advice    fix the error, then continue with the same call" in status
    assert "no trial has a value yet; the last session ended with UserCodeError: " in ogive("top", "odd").out


def test_status_top_and_front_agree_with_the_run(ogive, tmp_path: Path) -> None:
    ogive("search", "two.yaml", "--quiet")
    run = open_run(tmp_path / "runs" / "two")
    status = ogive("status", "runs/two", "--json").json
    assert status["state"] == "ended"
    assert sum(status["trials"].values()) == status["max_trials"] == 12
    assert status["trials"]["error"] == run.state.failed_count == status["failures"][0]["count"]
    top = ogive("top", "two.yaml", "-k", "3", "--json").json  # a job means its run
    assert [row["trial"] for row in top] == [trial.id for trial in run.top(3)]
    front = ogive("front", "runs/two", "--json").json
    assert [row["metrics"] for row in front] == [dict(trial.metrics) for trial in run.front()]
    for command in ("status", "top", "front"):
        assert ogive(command, "runs/two").code == 0
    assert (
        f"trial {run.top(1)[0].id}" not in ogive("status", "runs/two").out
    )  # with two objectives there is no single best


def test_the_table_shows_objectives_and_choices(ogive, tmp_path: Path) -> None:
    ogive("search", "job.yaml", "--quiet")
    best = open_run(tmp_path / "runs" / "job").best
    lines = ogive("top", "runs/job", "-k", "2").out.splitlines()
    assert len(lines) == 3
    assert lines[1].split()[:2] == ["1", str(best.id)]
    assert f"a={best.architecture['a']}, b={best.architecture['b']}" in lines[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("status", "nowhere"), "error: there is no nowhere; give the folder of a run"),
        (("status", "."), "error: . holds no run; give the folder of a run, or a job file"),
        (("top", "job.yaml"), "error: job.yaml has no run in runs/job yet; start it: ogive search job.yaml"),
        (("search", "jobs.yaml"), "error: jobs.yaml: there is no such file"),
        (("search", "job.yaml", "--workers", "999"), "error: --parallel-trials: found 999 trials at a time"),
        (("space", "toy.py:spaces"), "error: toy.py: space: toy.py: there is no name 'spaces'; did you mean 'space'?"),
    ],
)
def test_errors_are_one_clear_line(ogive, arguments: tuple[str, ...], message: str) -> None:
    done = ogive(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith(message)
    assert len(done.err.splitlines()) == 1


def test_an_unexpected_error_keeps_its_traceback(ogive, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ogive", "search", "broken.yaml", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.rstrip().endswith("ZeroDivisionError: division by zero")


def test_a_space_is_counted_and_sampled(ogive) -> None:
    shown = ogive("space", "toy.py:space", "--sample", "2")
    assert shown.out.startswith("30 architectures in 2 decisions")
    assert shown.out.count("sample: a=") == 2
    as_json = ogive("space", "job.yaml", "--sample", "2", "--json").json
    assert as_json["size"] == 30
    assert [d["name"] for d in as_json["decisions"]] == ["a", "b"]
    assert shown.out.splitlines()[-1] == "sample: a={a}, b={b}".format(**as_json["samples"][-1]["architecture"])


def test_trials_that_saved_no_weights_are_not_exported(ogive) -> None:
    ogive("search", "job.yaml", "--quiet")
    done = ogive("export", "runs/job", "--to", "torch")
    assert done.code == 2
    assert "there are no weights: the estimator reports metrics and keeps no model" in done.err
    assert "--to torch" not in ogive("search", "job.yaml", "--quiet").out
    assert "allowed: winner, best, or a number from 0 to 11" in ogive("export", "runs/job", "--trial", "99").err


def test_json_is_printed_or_written_to_a_file_or_into_a_folder(ogive, tmp_path: Path) -> None:
    ogive("search", "job.yaml", "--quiet")
    printed = ogive("export", "runs/job", "--to", "json").out
    assert ogive("export", "runs/job", "-o", "new/out.json").out == "new/out.json\n"
    assert ogive("export", "runs/job", "-o", "out").out == "out/architecture.json\n"
    for path in ("new/out.json", "out/architecture.json"):
        assert (tmp_path / path).read_text() == printed


def test_printed_paths_are_relative_to_the_working_directory(ogive, tmp_path: Path) -> None:
    search = ogive("search", "job.yaml", "--quiet", "--run", str(tmp_path / "a run"))
    status = ogive("status", "a run")
    assert "ogive report 'a run'" in search.out
    assert "run       a run" in status.out
    assert "ogive export 'a run'" in search.out
    assert str(tmp_path) not in status.out


def test_a_table_fits_the_terminal(ogive) -> None:
    """Long cells are folded, not truncated."""
    ogive("search", "job.yaml", "--quiet")
    command = f"TERM=xterm COLUMNS=40 {sys.executable} -m ogive top runs/job -k 2"
    script = ["-c", f"import pty; pty.spawn(['sh', '-c', {command!r}])"]
    lines = subprocess.run([sys.executable, *script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) > 3
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    assert max(map(len, plain)) <= 40
    assert "…" not in "".join(plain)


def test_an_interrupted_search_prints_how_to_continue_and_can_be_continued(ogive, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ogive", "search", "slow.yaml", "--quiet"]
    journal = tmp_path / "runs" / "slow" / "journal.db"
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as search:
        while not journal.exists() or not any(e.kind == "finished" for e in Journal(journal, writable=False).read()):
            assert search.poll() is None
            time.sleep(0.05)
        search.send_signal(signal.SIGINT)
        assert search.stderr is not None
        output = search.stderr.read()
    assert search.returncode == 130
    assert output.rstrip().endswith("Continue with: ogive search slow.yaml")
    assert ogive("status", "slow.yaml", "--json").json["state"] == "interrupted"
    assert ogive("search", "slow.yaml", "--json").json["trials"] == 12


def test_status_and_report_of_a_run_that_ended_agree_on_its_budget(ogive, tmp_path: Path) -> None:
    ogive("search", "job.yaml", "--quiet")
    status = ogive("status", "job.yaml").out
    assert "advice    none, because the search has ended; the stop rules advised at its end:" in status
    assert "  STOP     budget: used up: 12 of 12 trials" in status
    ogive("report", "job.yaml", "--to", "md")
    page = (tmp_path / "runs" / "job" / "report.md").read_text()
    assert "The search has ended. The advice of each stop rule at its end" in page
    assert "| budget | stop | used up: 12 of 12 trials |" in page


def test_no_single_best_is_exported_of_several_objectives(ogive) -> None:
    ogive("search", "two.yaml", "--quiet")
    done = ogive("export", "two.yaml")
    assert done.code == 2
    numbers = ", ".join(str(trial["trial"]) for trial in ogive("front", "two.yaml", "--json").json)
    assert (
        f"search selects trials {numbers}, of which none is better in all objectives; give the number of one"
        in done.err
    )
