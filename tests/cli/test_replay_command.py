"""The command `ogive replay`."""

from __future__ import annotations

from typing import Any


def test_replay_of_a_search(ogive: Any) -> None:
    ogive("search", "job.yaml")
    done = ogive("replay", "job.yaml", "--objective", "size:minimize", "--criterion", "accuracy>=0.5", "--price", "2")
    assert done.code == 0
    assert "they were proposed to maximize accuracy" in done.out
    assert "reaches all success criteria" in done.out
    assert "at this price; the run had no price" in done.out
    answer = ogive("replay", "job.yaml", "--objective", "size:minimize", "--stop", "budget", "--json").json
    assert answer["chosen"][0]["metrics"]["size"] == 1
    assert [stop["rule"] for stop in answer["stops"]] == ["budget"]


def test_errors_are_one_line(ogive: Any) -> None:
    ogive("search", "job.yaml")
    for arguments, message in (
        (("--objective", "energy"), "objective 'energy' was not recorded by any trial"),
        (("--objective", "accurcy"), "cannot be replayed; did you mean 'accuracy'? recorded metrics: accuracy, size"),
        (("--objective", "size"), "--objective size:maximize or size:minimize"),
        (("--objective", "size:most"), "goal 'most' is not 'maximize' or 'minimize'"),
        (
            ("--constraint", "size<2"),
            "--constraint 'size<2'; allowed: a metric, <= or >=, and a number, such as 'latency<=5'",
        ),
        (("--criterion", "size<=x"), "--criterion 'size<=x'"),
        (("--stop", "boredom"), "'boredom' is not a stop rule; known rules:"),
        (("--hours", "-1"), "budget={'hours': -1.0}"),
    ):
        done = ogive("replay", "job.yaml", *arguments)
        assert done.code == 2
        assert message in done.err
        assert done.err.count("\n") == 1, done.err
