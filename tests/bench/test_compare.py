"""Comparisons: resumable, refused where the protocols differ, the same on any number of processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ogive import strategy as strategies
from ogive.bench import Protocol, compare, write_report
from ogive.bench.comparison_results import all_results
from ogive.bench.protocol import FILE, Store
from ogive.drawing.plot import STYLE
from ogive.errors import JobError, RunError

SMALL = Protocol(trials=30)
ENTRANTS = ["regularized_evolution:population=6,sample=2", "local_search"]


def essence(episodes: dict[Any, dict[str, Any]]) -> dict[Any, Any]:
    return {place: {k: v for k, v in e.items() if k != "processor"} for place, e in episodes.items()}


def test_a_comparison_goes_on_and_grows_and_is_the_same_on_two_processes(tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    first = compare(["nk:n=5"], ENTRANTS[:1], tmp_path / "a", seeds=2, protocol=SMALL)
    grown = compare(
        ["nk:n=5", "chain:depth=3"],
        ENTRANTS,
        tmp_path / "a",
        seeds=3,
        protocol=SMALL,
        progress=lambda n, of: done.append((n, of)),
    )
    assert done[0] == (4, 18), "random search is among the entrants, and what is there is not run again"
    assert done[-1] == (18, 18)
    assert {place: grown.episodes[place] for place in first.episodes} == first.episodes
    apart = compare(["nk:n=5", "chain:depth=3"], ENTRANTS, tmp_path / "b", seeds=3, protocol=SMALL, processes=2)
    assert essence(apart.episodes) == essence(grown.episodes)


def test_unlike_protocols_are_refused(tmp_path: Path) -> None:
    compare(["nk:n=5"], [], tmp_path, seeds=1, protocol=SMALL)
    with pytest.raises(RunError, match=r"another protocol .trials 30 there, 40 here; workers 1 there, 2 here"):
        compare(["nk:n=5"], [], tmp_path, seeds=1, protocol=Protocol(trials=40, workers=2))
    with pytest.raises(RunError, match=r"another protocol .cost None there, 3\.0 here"):
        compare(["nk:n=5"], [], tmp_path, seeds=1, protocol=Protocol(trials=30, cost=3.0))
    store = Store(tmp_path, SMALL)
    with pytest.raises(RunError, match=r"fingerprint 1234 now, and had .* its table has changed"):
        store.keep_benchmark("nk:n=5", "1234", {})
    store.close()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="holds no comparison"):
        compare(["nk:n=5"], [], tmp_path / "other", seeds=1, protocol=SMALL)


@pytest.mark.parametrize(
    ("benchmark", "entrant", "message"),
    [
        ("nk:n=5", "regularized_evolution:popultion=3", "did you mean 'population'"),
        ("nk:n=5", "regularized_evolution:population=0", "regularized_evolution:population=0 on nk:n=5: .*population"),
        ("nk:n=5", "random@asha", "random@asha on nk:n=5: .*epochs"),
        ("digit", "random", "did you mean 'digits'"),
    ],
)
def test_what_is_wrong_is_told_before_anything_runs(tmp_path: Path, benchmark: str, entrant: str, message: str) -> None:
    with pytest.raises(JobError, match=message):
        compare([benchmark], [entrant], tmp_path / "c", seeds=1, protocol=SMALL)
    assert not (tmp_path / "c").exists()


def test_a_killed_comparison_loses_no_episode(tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    script = (
        "from ogive.bench import compare, Protocol\n"
        f"compare(['chain:depth=3'], ['local_search'], {str(folder)!r}, seeds=300, protocol=Protocol(trials=60), "
        "processes=2)"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    while process.poll() is None:
        if (folder / FILE).exists() and len(_kept(folder)) >= 3:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.02)
    kept = _kept(folder)
    assert 3 <= len(kept) < 600
    again = compare(["chain:depth=3"], ["local_search"], folder, seeds=5, protocol=Protocol(trials=60))
    straight = compare(["chain:depth=3"], ["local_search"], tmp_path / "b", seeds=5, protocol=Protocol(trials=60))
    assert essence(again.episodes) == essence(straight.episodes)
    assert {place: again.episodes[place] for place in kept if place in again.episodes}.items() <= kept.items()


def test_a_worker_ends_in_silence_when_nobody_waits_for_it() -> None:
    """A comparison that is killed leaves no process behind that goes on with a long episode."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "ogive.bench.episode_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin is not None
    asked = {"benchmark": "chain", "entrant": "random", "seed": 0, "protocol": {"trials": 10**7}}
    worker.stdin.write(json.dumps(asked) + "\n")
    worker.stdin.close()
    try:
        assert worker.wait(timeout=60) == 0
    finally:
        worker.kill()
    assert worker.stderr is not None
    assert worker.stderr.read() == ""


def _kept(folder: Path) -> dict[Any, dict[str, Any]]:
    try:
        store = Store(folder, Protocol(trials=60))
    except RunError:  # it is just being made
        return {}
    try:
        return store.episodes()
    finally:
        store.close()


def test_the_report_says_what_was_measured(tmp_path: Path) -> None:
    specs = ["chain:depth=3,noise=0.02", "additive:decisions=3,alternatives=2"]
    done = compare(specs, ENTRANTS, tmp_path, seeds=4, protocol=SMALL)
    page = write_report(done, "local_search").read_text()
    text = (tmp_path / "report.md").read_text()
    chain, small = all_results(done)
    assert chain.final.shape == (3, 4)
    mean = chain.final[1].mean()
    assert f"{mean:.2g}" in re.search(r"\| local_search \|.*", text)[0]  # type: ignore[index]
    assert "Against local_search" in page
    assert "Against random" in page
    assert "Ended early, because every architecture that the space allows was proposed" in text
    assert "one column" not in text, "these are formulas"
    assert small.at_optimum("random") == 4
    assert done.protocol.hash in text
    assert "seeds | 0, 1, 2, 3" in text
    drawn = sorted((tmp_path / "figures").glob("*.svg"))
    assert len(drawn) == 5
    for figure in drawn:
        ElementTree.fromstring(figure.read_text())
    assert STYLE in page, "fonts and colours as the figures were made for"
    with pytest.raises(RunError, match="no entrant 'gp'"):
        write_report(done, "gp")


def test_of_many_entrants_only_the_reference_and_random_search_are_shaded(tmp_path: Path) -> None:
    def drawing(entrants: list[str]) -> tuple[int, int, list[int], str]:
        done = compare(["additive:decisions=3"], entrants, tmp_path, seeds=3, protocol=SMALL)
        write_report(done, "local_search")
        svg = (tmp_path / "figures" / "additive-decisions-3-0.svg").read_text()
        shades = [found.start() for found in re.finditer("<polygon", svg)]
        lines = [found.start() for found in re.finditer("<polyline", svg)]
        assert max(shades) < min(lines), "shades do not cover lines"
        return len(shades), len(lines), lines, svg

    text = tmp_path / "report.md"
    few = ["local_search", *(f"genetic:sample={n}" for n in (1, 2))]
    assert drawing(few)[:2] == (4, 4)
    assert "Shaded" not in text.read_text()
    shades, drawn, lines, svg = drawing([*few, *(f"genetic:sample={n}" for n in range(3, 11))])
    assert (shades, drawn) == (2, 12)
    assert "Shaded in the figures are the intervals of local_search and random; the tables" in text.read_text()
    styles = [svg[at : svg.index("points", at)] for at in lines]
    assert len(set(styles)) == 12, "none of the lines looks like another"


def test_a_table_with_one_column_is_said_to_have_one(tmp_path: Path) -> None:
    rows = "\n".join(f"{x},{(x * 7) % 11 / 10}" for x in range(11))
    (tmp_path / "t.csv").write_text(f"x,accuracy\n{rows}\n")
    space = {"decisions": [{"name": "x", "kind": "one_of", "labels": list(range(11))}], "fingerprint": "f"}
    (tmp_path / "space.json").write_text(json.dumps(space))
    spec = f"table:path={tmp_path}/t.csv,space={tmp_path}/space.json"
    write_report(compare([spec], [], tmp_path / "c", seeds=3, protocol=Protocol(trials=5)))
    assert (
        "This table has one column: what a search sees is what the report judges by"
        in (tmp_path / "c" / "report.md").read_text()
    )


def test_schedules_are_compared_at_equal_cost(tmp_path: Path) -> None:
    protocol = Protocol(trials=200, cost=10.0)
    done = compare(["chain:depth=3"], ["random@asha:eta=3"], tmp_path, seeds=5, protocol=protocol)
    (item,) = all_results(done)
    assert item.axis.units == "full trainings"
    assert item.end == pytest.approx(10.0, abs=1.0)
    asha, plain = (item.values(name, item.axis, [item.end])[:, 0, 0].mean() for name in item.names)
    assert asha < plain, "on a chain whose short trainings tell much, stopping early pays"


def test_the_command_line(tmp_path: Path) -> None:
    def ogive(*arguments: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "ogive", "bench", *arguments]
        return subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=os.environ, check=False)

    listed = ogive("list")
    assert listed.returncode == 0
    assert "nasbench-graph" in listed.stdout
    shown = json.loads(ogive("show", "nk:n=5", "--json").stdout)
    assert shown["architectures"] == 243
    assert shown["best and worst"] == {"accuracy": [1.0, 0.0]}
    words = ["compare", "--benchmark", "nk:n=5", "--strategies", "local_search", "--seeds", "3", "--trials", "20"]
    first = ogive(*words, "--json")
    assert first.returncode == 0, first.stderr
    found = json.loads(first.stdout)
    assert list(found["benchmarks"]["nk:n=5"]["regret"]) == ["local_search", "random"]
    assert (tmp_path / "comparison" / "report.html").exists()
    nobody = ogive(*words, "--against", "gp")
    assert nobody.returncode == 2
    assert nobody.stderr == ("error: --against: found 'gp'; allowed are the compared methods: local_search, random\n")
    for option, value in (("--cost", "0"), ("--cost", "-1")):
        wrong = ogive(*words, option, value, "--out", "new")
        assert wrong.stderr == f"error: compare: cost is {float(value)!r}, but must be a number above 0\n"
    assert not (tmp_path / "new").exists()
    refused = ogive(*words, "--trials", "25")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: comparison holds a comparison of another protocol")


def test_all_strategies_are_those_that_fit_the_benchmarks(tmp_path: Path) -> None:
    """The default of the command: every strategy; on `chain` without the grid, which is too large to be shuffled."""
    words = [
        sys.executable,
        "-m",
        "ogive",
        "bench",
        "compare",
        "--benchmark",
        "chain",
        "--seeds",
        "1",
        "--trials",
        "2",
        "--processes",
        "1",
        "--json",
    ]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("without grid, which does not fit chain: strategy 'grid': the grid has more than")
    entrants = set(json.loads(done.stdout)["benchmarks"]["chain"]["regret"])
    assert entrants == {*strategies.names()} - {"grid", "listed", "bohb", "dehb"}
