"""Comparisons of methods: resumable, of one protocol, and the same for any number of processes."""

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
from ogive.bench.comparison_results import collect_results
from ogive.bench.protocol import FILE, EpisodeStore
from ogive.drawing.plot import STYLE
from ogive.errors import JobError, RunError

SMALL = Protocol(trials=30)
METHODS = ["regularized_evolution:population=6,sample=2", "local_search"]


def without_time(episodes: dict[Any, dict[str, Any]]) -> dict[Any, Any]:
    return {key: {k: v for k, v in e.items() if k != "processor"} for key, e in episodes.items()}


def test_a_comparison_can_be_extended_and_is_the_same_on_two_processes(tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    first = compare(["nk:n=5"], METHODS[:1], tmp_path / "a", seeds=2, protocol=SMALL)
    grown = compare(
        ["nk:n=5", "chain:depth=3"],
        METHODS,
        tmp_path / "a",
        seeds=3,
        protocol=SMALL,
        progress=lambda n, of: done.append((n, of)),
    )
    assert done[0] == (4, 18), "random search is added, and stored episodes are not run again"
    assert done[-1] == (18, 18)
    assert {key: grown.episodes[key] for key in first.episodes} == first.episodes
    parallel = compare(["nk:n=5", "chain:depth=3"], METHODS, tmp_path / "b", seeds=3, protocol=SMALL, processes=2)
    assert without_time(parallel.episodes) == without_time(grown.episodes)


def test_a_folder_accepts_one_protocol_and_one_fingerprint_only(tmp_path: Path) -> None:
    compare(["nk:n=5"], [], tmp_path, seeds=1, protocol=SMALL)
    with pytest.raises(
        RunError, match=r"another protocol .trials: 30 stored, 40 requested; workers: 1 stored, 2 requested"
    ):
        compare(["nk:n=5"], [], tmp_path, seeds=1, protocol=Protocol(trials=40, workers=2))
    with pytest.raises(RunError, match=r"another protocol .cost: None stored, 3\.0 requested"):
        compare(["nk:n=5"], [], tmp_path, seeds=1, protocol=Protocol(trials=30, cost=3.0))
    store = EpisodeStore(tmp_path, SMALL)
    with pytest.raises(RunError, match=r"has the fingerprint 1234, but .* its data have changed"):
        store.add_benchmark("nk:n=5", "1234", {})
    store.close()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="contains no comparison"):
        compare(["nk:n=5"], [], tmp_path / "other", seeds=1, protocol=SMALL)


@pytest.mark.parametrize(
    ("benchmark", "method", "message"),
    [
        ("nk:n=5", "regularized_evolution:popultion=3", "did you mean 'population'"),
        ("nk:n=5", "regularized_evolution:population=0", "regularized_evolution:population=0 on nk:n=5: .*population"),
        ("nk:n=5", "random@asha", "random@asha on nk:n=5: .*epochs"),
        ("digit", "random", "did you mean 'digits'"),
    ],
)
def test_invalid_arguments_raise_before_anything_runs(
    tmp_path: Path, benchmark: str, method: str, message: str
) -> None:
    with pytest.raises(JobError, match=message):
        compare([benchmark], [method], tmp_path / "c", seeds=1, protocol=SMALL)
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
        if (folder / FILE).exists() and len(_stored_episodes(folder)) >= 3:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.02)
    stored = _stored_episodes(folder)
    assert 3 <= len(stored) < 600
    continued = compare(["chain:depth=3"], ["local_search"], folder, seeds=5, protocol=Protocol(trials=60))
    uninterrupted = compare(["chain:depth=3"], ["local_search"], tmp_path / "b", seeds=5, protocol=Protocol(trials=60))
    assert without_time(continued.episodes) == without_time(uninterrupted.episodes)
    assert {key: continued.episodes[key] for key in stored if key in continued.episodes}.items() <= stored.items()


def test_a_worker_ends_silently_when_its_parent_is_gone() -> None:
    """A killed comparison leaves no process that continues with a long episode."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "ogive.bench.episode_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin is not None
    request = {"benchmark": "chain", "method": "random", "seed": 0, "protocol": {"trials": 10**7}}
    worker.stdin.write(json.dumps(request) + "\n")
    worker.stdin.close()
    try:
        assert worker.wait(timeout=60) == 0
    finally:
        worker.kill()
    assert worker.stderr is not None
    assert worker.stderr.read() == ""


def _stored_episodes(folder: Path) -> dict[Any, dict[str, Any]]:
    try:
        store = EpisodeStore(folder, Protocol(trials=60))
    except RunError:  # the folder is just being created
        return {}
    try:
        return store.read_episodes()
    finally:
        store.close()


def test_the_report_has_regrets_tests_and_the_protocol(tmp_path: Path) -> None:
    specs = ["chain:depth=3,noise=0.02", "additive:decisions=3,alternatives=2"]
    done = compare(specs, METHODS, tmp_path, seeds=4, protocol=SMALL)
    page = write_report(done, "local_search").read_text()
    text = (tmp_path / "report.md").read_text()
    chain, small = collect_results(done)
    assert chain.final_regrets.shape == (3, 4)
    mean = chain.final_regrets[1].mean()
    assert f"{mean:.2g}" in re.search(r"\| local_search \|.*", text)[0]  # type: ignore[index]
    assert "Against local_search" in page
    assert "Against random" in page
    assert "Searches that ended early, because every architecture that the space allows was proposed" in text
    assert "The table has" not in text, "these benchmarks are formulas"
    assert small.count_optimal_seeds("random") == 4
    assert done.protocol.hash in text
    assert "seeds | 0, 1, 2, 3" in text
    figures = sorted((tmp_path / "figures").glob("*.svg"))
    assert len(figures) == 5
    for figure in figures:
        ElementTree.fromstring(figure.read_text())
    assert STYLE in page, "the page has the fonts and colours of the figures"
    with pytest.raises(RunError, match="no method 'gp'"):
        write_report(done, "gp")


def test_of_many_methods_only_the_intervals_of_the_reference_and_of_random_search_are_drawn(tmp_path: Path) -> None:
    def draw(methods: list[str]) -> tuple[int, int, list[int], str]:
        done = compare(["additive:decisions=3"], methods, tmp_path, seeds=3, protocol=SMALL)
        write_report(done, "local_search")
        svg = (tmp_path / "figures" / "additive-decisions-3-0.svg").read_text()
        areas = [match.start() for match in re.finditer("<polygon", svg)]
        lines = [match.start() for match in re.finditer("<polyline", svg)]
        assert max(areas) < min(lines), "areas do not cover lines"
        return len(areas), len(lines), lines, svg

    text = tmp_path / "report.md"
    few = ["local_search", *(f"genetic:sample={n}" for n in (1, 2))]
    assert draw(few)[:2] == (4, 4)
    assert "show the intervals of" not in text.read_text()
    n_areas, n_lines, lines, svg = draw([*few, *(f"genetic:sample={n}" for n in range(3, 11))])
    assert (n_areas, n_lines) == (2, 12)
    assert "The figures show the intervals of local_search and random; the tables" in text.read_text()
    styles = [svg[start : svg.index("points", start)] for start in lines]
    assert len(set(styles)) == 12, "all lines look different"


def test_the_report_says_if_a_table_has_a_single_split(tmp_path: Path) -> None:
    rows = "\n".join(f"{x},{(x * 7) % 11 / 10}" for x in range(11))
    (tmp_path / "t.csv").write_text(f"x,accuracy\n{rows}\n")
    space = {"decisions": [{"name": "x", "kind": "one_of", "labels": list(range(11))}], "fingerprint": "f"}
    (tmp_path / "space.json").write_text(json.dumps(space))
    spec = f"table:path={tmp_path}/t.csv,space={tmp_path}/space.json"
    write_report(compare([spec], [], tmp_path / "c", seeds=3, protocol=Protocol(trials=5)))
    assert "The table has validation values only: the search optimizes" in (tmp_path / "c" / "report.md").read_text()


def test_schedules_are_compared_at_equal_cost(tmp_path: Path) -> None:
    protocol = Protocol(trials=200, cost=10.0)
    done = compare(["chain:depth=3"], ["random@asha:eta=3"], tmp_path, seeds=5, protocol=protocol)
    (item,) = collect_results(done)
    assert item.axis.unit_name == "full trainings"
    assert item.end_position == pytest.approx(10.0, abs=1.0)
    asha, plain = (item.compute_regrets(name, item.axis, [item.end_position])[:, 0, 0].mean() for name in item.names)
    assert asha < plain, "early stopping helps where short trainings predict full ones"


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
    summary = json.loads(first.stdout)
    assert list(summary["benchmarks"]["nk:n=5"]["regret"]) == ["local_search", "random"]
    assert (tmp_path / "comparison" / "report.html").exists()
    unknown = ogive(*words, "--against", "gp")
    assert unknown.returncode == 2
    assert unknown.stderr == ("error: --against: found 'gp'; allowed are the compared methods: local_search, random\n")
    for option, value in (("--cost", "0"), ("--cost", "-1")):
        wrong = ogive(*words, option, value, "--out", "new")
        assert wrong.stderr == f"error: compare: cost is {float(value)!r}, but must be a number above 0\n"
    assert not (tmp_path / "new").exists()
    refused = ogive(*words, "--trials", "25")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: comparison contains a comparison with another protocol")


def test_by_default_all_strategies_that_fit_the_benchmarks_are_compared(tmp_path: Path) -> None:
    """On `chain` that is every strategy but the grid, which is too large to be shuffled."""
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
    methods = set(json.loads(done.stdout)["benchmarks"]["chain"]["regret"])
    assert methods == {*strategies.names()} - {"grid", "listed", "bohb", "dehb"}
