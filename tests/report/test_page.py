"""The HTML page is complete, self-contained, escaped and correct in every state of a run."""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import pytest
from journal_events import events_of

import ogive as og
from ogive.document import blocks
from ogive.errors import JobError, RunError
from ogive.report import BaselineComparison, ComparedNetwork, RandomReference, write_comparison, write_report
from ogive.report.checklist_answers import check_failure_share
from ogive.report.checklists import fill_in_checklists
from ogive.report.run_figures import (
    describe_omitted_outliers,
    draw_full_training,
    draw_search_curve,
    find_failing_ranges,
    group_by_rung,
)
from ogive.report.run_page import render
from ogive.report.subject import Subject
from ogive.report.summary import describe_certainty, describe_gap
from ogive.run.estimator import Estimator, Evaluation
from ogive.run.journal import Journal
from ogive.run.results import CurvePoint
from ogive.run.state import State
from ogive.schedule.base import Action

HOSTILE = "</pre><script>alert('x')</script><img src=http://evil.example/x.png>"
SPACE = og.Space(
    og.layer(dict, a=og.one_of(*range(8)), b=og.one_of(*range(8)), op=og.one_of(plain=1, **{HOSTILE: 2}, name="op"))
)
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Checks that every tag is closed, and collects what a browser would fetch or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.ids: Counter[str] = Counter()
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids[value or ""] += 1
            if name in ("src", "href", "xlink:href") and not (value or "").startswith(("#", "data:image/png;base64,")):
                self.fetched.append(f"{tag} {value}")
            if name.startswith("on"):
                self.fetched.append(f"{tag} {name}")
        if tag in ("script", "link", "iframe", "img", "object"):
            self.fetched.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def parse_and_check(text: str) -> Page:
    page = Page(text)
    assert page.fetched == []
    assert not re.search(r"url\((?!#)|@import", text)
    assert max(page.ids.values(), default=1) == 1, page.ids.most_common(3)
    assert not re.search(r"\b(NaN|None|null|inf)\b|(?<! is )\bnan\b", page.text)  # but "accuracy is nan", a reason
    assert not re.search(r'="[^"]*\bnan\b', text), "a drawing has undefined coordinates"
    return page


def evaluate(a: og.Architecture) -> dict[str, float]:
    if a["a"] == 7:
        raise ValueError(HOSTILE)
    if a["a"] == 6:
        return {"accuracy": math.nan, "parameters": 1}
    return {"accuracy": a["a"] / 8 + a["b"] / 100, "parameters": 1000 * a["a"] - a["b"]}


def run_search(folder: Path, estimator: Any = evaluate, **options: Any) -> og.Run:
    settings = {"max_trials": 30, "max_failed_trials": 30, "seed": 1, "strategy": "random", **options}
    estimator = estimator if isinstance(estimator, Estimator) else og.estimate.function(estimator)
    return og.search(SPACE, estimator, run=folder, executor="inline", cache=False, **settings)


def test_the_page_shows_the_result_and_contains_no_scripts(tmp_path: Path) -> None:
    run = run_search(tmp_path / "<b>r")
    path = run.report()
    assert path == run.folder / "report.html"
    page = parse_and_check(path.read_text())
    assert (
        f"Trial {run.best.id} is the best of {sum(bool(t.reports) and not t.status.failed for t in run.trials)}"
        in page.text
    )
    assert f"{run.best.metrics['parameters']:,.0f} parameters of the best" in page.text
    assert f"ogive finalize {shlex.quote(str(run.folder.absolute()))} --top 10" in page.text
    assert f"ogive reproduce {shlex.quote(str(run.folder.absolute()))} --trial" in page.text
    assert "The search ended: all 30 trials are done; no stop rule advises against more trials." in page.text
    assert "ValueError: </pre><script>alert('x')</script>" in page.text  # the traceback, as text
    assert re.search(r"not finite \d+ trials?", page.text)
    assert "No baseline was compared" in page.text
    assert "the expected best of as many random trials, from all" in page.text
    assert "30 random" in page.text
    assert run.state.space.fingerprint in page.text
    assert page.text.count("decisions, seed and id") == 5
    assert "<b>r" in page.text


def test_the_same_journal_gives_the_same_page(tmp_path: Path) -> None:
    run = run_search(tmp_path / "r")
    first = render(run.state, "r")
    again = og.open_run(tmp_path / "r", trust=True)
    assert render(again.state, "r") == first


def fail(a: og.Architecture) -> dict[str, float]:
    raise RuntimeError("always")


def violating(a: og.Architecture) -> dict[str, float]:
    return {"accuracy": 0.5, "parameters": 10 + a["a"]}


@pytest.mark.parametrize(
    ("estimator", "options", "text"),
    [
        (fail, {}, "no trial has a value, and 3 of 3 trials failed."),
        (evaluate, {"max_trials": 1, "seed": 4}, "The best architecture"),
        (violating, {"constraints": [og.Constraint("parameters", at_most=5)]}, "No trial satisfies the constraints"),
        (evaluate, {"objectives": ["accuracy", og.Objective("parameters", "minimize")]}, "on the Pareto front"),
        (fail, {"objectives": ["accuracy", og.Objective("parameters", "minimize")]}, "no trial has a value"),
        (
            lambda a: {"$loss_{x": 1e300 * a["a"] + 1},
            {"objectives": og.Objective("$loss_{x", "minimize")},
            "lowest $loss_{x",
        ),
        (lambda a: {"accuracy": 0.25}, {}, "accuracy 0.25"),
    ],
)
def test_every_kind_of_run_has_a_page(tmp_path: Path, estimator: Any, options: dict[str, Any], text: str) -> None:
    page = parse_and_check(run_search(tmp_path / "r", estimator, **options).report().read_text())
    assert text in page.text


def test_a_run_without_trials_has_a_page() -> None:
    named = {"name": "random", "options": {}}
    created = {"strategy": named, "schedule": {"name": "full", "options": {}}, "epochs": None, "seed": 0}
    created |= {"estimator": "x:Y", "fingerprints": {}, "recipe": None}
    page = parse_and_check(render(State(SPACE, created, {"max_trials": 5}, (og.Objective("accuracy"),), ()), "new"))
    assert "no trial was started." in page.text
    assert "the search has not ended" in page.text


class Halving(Estimator):
    """Accuracy grows with epochs."""

    def evaluate(self, evaluation: Evaluation) -> None:
        for step in range(evaluation.last_reported_step + 1, evaluation.until + 1):
            value = evaluation.architecture["a"] / 8 * (1 - 0.5**step)
            if evaluation.report(step, {"accuracy": value}) is not Action.CONTINUE:
                return


SEVERAL = {"objectives": ["accuracy", og.Objective("parameters", "minimize")]}


class Growing(Halving):
    """The same with a second metric, and a failure now and then."""

    def evaluate(self, evaluation: Evaluation) -> None:
        if evaluation.architecture["a"] == 7:
            raise ValueError("no")
        for step in range(evaluation.last_reported_step + 1, evaluation.until + 1):
            value = evaluation.architecture["a"] / 8 * (1 - 0.5**step)
            metrics = {"accuracy": value, "parameters": 10.0 + evaluation.architecture["b"]}
            if evaluation.report(step, metrics) is not Action.CONTINUE:
                return


@pytest.mark.parametrize(
    "options",
    [
        {"strategy": "regularized_evolution"},
        {"schedule": "asha", "epochs": 9, **SEVERAL},
        {"schedule": "asha", "epochs": 9, "constraints": [og.Constraint("parameters", at_most=12)]},
        {"epochs": 2, "constraints": [og.Constraint("parameters", at_most=1)], **SEVERAL},
    ],
)
def test_a_page_can_be_written_at_every_moment_of_a_run(tmp_path: Path, options: dict[str, Any]) -> None:
    run = run_search(tmp_path / "r", Growing(), **{"price": 2.0, **options})
    journal = Journal(run.folder / "journal.db", writable=False)
    events = list(journal.read())
    journal.close()
    state = State.from_events(events[:1], SPACE)
    for number, event in enumerate(events[1:]):
        state.apply(event)
        if number < 12 or number % 37 == 0:
            parse_and_check(render(state, "r"))
    parse_and_check(render(state, "r", folder=run.folder))


def test_rungs_count_the_trials_that_reached_them_and_that_continued(tmp_path: Path) -> None:
    run = run_search(tmp_path / "r", Halving(), schedule="asha", epochs=9)
    page = parse_and_check(run.report().read_text())
    reached = [sum(t.step >= level for t in run.trials) for level in (1, 3, 9)]
    assert reached[0] == 30 > reached[1] > reached[2] > 0
    assert f"1 epoch {reached[0]} {reached[1]} " in page.text
    assert f"3 epochs {reached[1]} {reached[2]} " in page.text
    assert f"9 epochs {reached[2]} " in page.text
    assert "not all random trials were trained as far as the best" in page.text


def test_a_comparison_in_the_folder_is_shown(tmp_path: Path) -> None:
    run = run_search(tmp_path / "r")
    network = ComparedNetwork(f"trial {HOSTILE}", {"accuracy": [0.98, 0.97, 0.99]}, 1000)
    baseline = ComparedNetwork("hand-drawn", {"accuracy": [0.91, 0.91, 0.92]}, 2000)
    reference = RandomReference("accuracy", [0.1, 0.2, 0.3], "Same recipe.")
    write_comparison(BaselineComparison.of(network, baseline, [0, 1, 2], "test", reference), run.folder)
    page = parse_and_check(run.report().read_text())
    assert "The network of the search is better." in page.text
    assert "0.50 times" in page.text
    assert "3 trials of a separate random search. Same recipe." in page.text
    (run.folder / "comparison.json").write_text("{")
    with pytest.raises(RunError, match=r"comparison.json cannot be read"):
        run.report()


def test_a_space_without_layers_is_shown_as_decisions(tmp_path: Path) -> None:
    run_search(tmp_path / "r")
    state = og.open_run(tmp_path / "r").state
    page = parse_and_check(write_report(state, tmp_path / "r", tmp_path / "new" / "page.html").read_text())
    assert "Layers are not drawn, because the journal has none" in page.text


def point(position: int, value: float, **changes: Any) -> CurvePoint:
    options: dict[str, Any] = {"step": 1, "is_full": math.isfinite(value), "is_feasible": True}
    return CurvePoint(position=position, trial=position, value=value, **options | changes)


def test_many_points_are_drawn_as_one_path() -> None:
    few = [point(i, 0.1 + i / 1e3) for i in range(1, 101)]
    many = [
        point(i, (i * 7919 % 10007) / 10007, step=1 + (i % 3 > 0), is_full=i % 3 > 0, origin="mutation")
        for i in range(1, 10_001)
    ]
    objective = og.Objective("accuracy")
    assert draw_search_curve(few, objective).count("<circle") >= 100  # each has a tooltip
    figure = draw_search_curve(many, objective)
    assert figure.count("<circle") < 10
    assert len(figure) < 200_000
    parse_and_check(f"<html><body>{figure}</body></html>")


def test_a_far_outlier_does_not_flatten_the_curve() -> None:
    points = [*(point(i, 1 + i / 100) for i in range(1, 31)), point(31, 1e6)]
    objective = og.Objective("loss")
    assert describe_omitted_outliers(points, objective) == "1 trial outside the figure, the worst with 1,000,000"
    assert describe_omitted_outliers(points[:-1], objective) is None
    heights = {round(float(y)) for y in re.findall(r'cy="([\d.]+)"', draw_search_curve(points, objective))}
    assert len(heights) > 20


def test_ranges_of_failures_are_shaded() -> None:
    points = [point(i, math.nan if 20 < i <= 40 else 0.5 + i / 1e3) for i in range(1, 61)]
    assert find_failing_ranges([math.isnan(point.value) for point in points]) == [(21, 40)]
    assert "half or more failed" in draw_search_curve(points, og.Objective("accuracy"))
    assert "half or more failed" not in draw_search_curve(points[:20], og.Objective("accuracy"))


def test_the_curve_shows_how_far_each_trial_was_trained() -> None:
    """A better value after fewer epochs does not lower the line, so the legend must say what the line is the best of."""
    steps = [1, 3, 9, 27]
    points = [point(i, 0.9 - i / 100, step=steps[i % 4], is_full=i % 4 == 3) for i in range(1, 41)]
    figure = draw_search_curve(points, og.Objective("accuracy"))
    for text in ("1 epoch", "3 epochs", "9 epochs", "27 epochs", "best so far, of those with 27 epochs"):
        assert f">{text}</text>" in figure
    assert [css for css, _, _ in group_by_rung(points[:3], "epoch")] == ["r1", "r2", "r3"]
    many = group_by_rung([point(i, 0.5, step=i) for i in range(1, 51)], "step")
    assert [label for _, label, _ in many] == ["1 to 13 steps", "14 to 26 steps", "27 to 38 steps", "39 to 50 steps"]
    assert sum(len(group) for _, _, group in many) == 50
    equal = draw_search_curve([point(i, 0.5 + i / 100) for i in range(1, 9)], og.Objective("accuracy"))
    assert "epoch" not in equal


def test_a_loss_that_falls_to_a_tenth_has_a_logarithmic_axis() -> None:
    losses = [point(i, 2.0 / i) for i in range(1, 41)]
    assert "log scale" in draw_search_curve(losses, og.Objective("loss"))
    assert "log scale" not in draw_search_curve(losses[:5], og.Objective("loss"))
    assert "log scale" not in draw_search_curve(losses, og.Objective("score", "maximize"))


def test_labels_of_finalists_do_not_overlap() -> None:
    rows = [(f"trial {i}", 0.9 + i / 1e4, 0.9 + i / 1e4) for i in range(12)]
    figure = draw_full_training(rows, "accuracy", "maximize", winners=["trial 11"], seed_values={})
    labels = re.findall(r'class="strong" x="([\d.]+)" y="([\d.]+)">([^<]+)<', figure)
    boxes = [(float(x), float(y), float(x) + 6.6 * len(text)) for x, y, text in labels]
    assert "trial 11" in [text for _, _, text in labels]
    for i, (left, y, right) in enumerate(boxes):
        assert all(other[0] >= right or other[2] <= left or abs(other[1] - y) >= 14 for other in boxes[:i])


def test_a_section_without_content_is_one_line(tmp_path: Path) -> None:
    page = run_search(tmp_path / "r", max_trials=4).report().read_text()
    line = '<section class="line"><h2 id="failures">Failures</h2><p>No trial has failed.</p></section>'
    assert line in page
    assert 'href="#failures"' not in page


def test_a_page_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    run = run_search(tmp_path / "r", max_trials=2)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match=r"the report .* cannot be written"):
        run.report(tmp_path / "file" / "page.html")
    assert (tmp_path / "file").read_text() == "x"


def test_markdown_has_the_same_content(tmp_path: Path) -> None:
    run = run_search(tmp_path / "r", **SEVERAL)
    html = parse_and_check(run.report().read_text())
    text = run.report(tmp_path / "out" / "page.md").read_text()
    outside = re.sub(r"^(`{3,})text\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert not re.search(r"(?<!\\)<", outside)  # nothing of a user's text is markup
    for line in re.findall(r"^## (.+)$", text, re.MULTILINE):
        assert line in html.text
    links = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert len(links) == len(set(links)) == run.report().read_text().count("<svg")
    for link in links:
        assert "prefers-color-scheme" in (tmp_path / "out" / link).read_text()
        parse_and_check((tmp_path / "out" / link).read_text())
    front = re.findall(r"^\| trial (\d+)", text, re.MULTILINE)
    assert [int(number) for number in front] == [trial.id for trial in run.front()]
    with pytest.raises(JobError, match=r"its name ends in '.pdf'; allowed: .html or .md"):
        run.report(tmp_path / "page.pdf")


def test_a_front_has_its_knee_and_its_volume(tmp_path: Path) -> None:
    def error_and_cost(a: og.Architecture) -> dict[str, float]:
        return {"error": (8 - a["a"]) ** 2 + a["b"], "cost": 1 + a["a"] ** 2}

    objectives = [og.Objective("error"), og.Objective("cost")]
    run = run_search(tmp_path / "r", error_and_cost, objectives=objectives, max_trials=60)
    text = run.report().read_text()
    page = parse_and_check(text)
    assert "its knee is trial" in page.text.lower()
    assert "Hypervolume: the front dominates" in page.text
    assert 'class="shade f c0"' in text


def test_a_front_of_one_is_named_with_its_values(tmp_path: Path) -> None:
    def best(a: og.Architecture) -> dict[str, float]:
        return {"accuracy": a["a"] + a["b"] / 10, "latency": -a["a"] - a["b"] / 10}

    objectives = ["accuracy", og.Objective("latency", "minimize")]
    run = run_search(tmp_path / "r", best, objectives=objectives, max_trials=12)
    (trial,) = run.front()
    text = f"Trial {trial.id} is the best of 12 trials with a value in all objectives: accuracy "
    assert text in parse_and_check(run.report().read_text()).text


def test_paused_trials_count_in_the_share_of_failures() -> None:
    """Three paused, one finished, one failed: a fifth failed, by the stop rule and by the checklist."""
    paused, finished = [{"accuracy": 0.5}], [{"accuracy": 0.1}, {"accuracy": 0.2}]
    state = State.from_events(events_of([paused, None, finished, paused, paused]))
    answer = check_failure_share(Subject(state, None, "r"))
    assert (answer.verdict, answer.evidence) == ("yes", "1 of 5 trials (20%)")


def test_the_checklists_agree_with_the_journal(tmp_path: Path) -> None:
    careful = {"budget": 2, "price": 1.5, "criteria": [og.Constraint("accuracy", at_least=0.5)]}
    for folder, options, verdict in (("a", {}, "no"), ("b", careful, "yes")):
        state = run_search(tmp_path / folder, **options).state
        answers = {
            text: answer for items in fill_in_checklists(Subject(state, None, "r")).values() for text, answer in items
        }
        assert {answer.verdict for answer in answers.values()} <= {"yes", "no", "not applicable"}
        assert all(answer.evidence for answer in answers.values())
        for text in ("The search has a budget", "Success criteria were set", "The price of an hour is known"):
            assert answers[text].verdict == verdict, text
        assert answers["The search has ended"].verdict == "yes"
        assert answers["No alternative makes trials fail more often"].verdict == "no"
        assert answers["There is a comparison with random search"].verdict == "yes"


def test_an_interrupted_full_training_is_shown(tmp_path: Path) -> None:
    run = run_search(tmp_path / "r")
    (run.folder / "final").mkdir()
    assert "Full training has begun and has not ended" in parse_and_check(run.report().read_text()).text


def test_only_trials_with_the_same_number_of_epochs_are_called_close(tmp_path: Path) -> None:
    run = run_search(tmp_path / "r", Halving(), schedule="asha", epochs=9)
    subject = Subject(run.state, run.folder, "r")
    steps = [trial.step for trial in subject.best_trials]
    reached = steps.count(9)
    assert 1 < reached < 5
    gap = describe_gap(subject)
    assert gap is not None
    assert gap.startswith(f"The {reached} best trials that reached 9 epochs differ by at most")
    page = parse_and_check(run.report().read_text())
    assert gap in page.text
    assert re.search(rf"{5 - reached} of these (was|were) trained for less than 9 epochs", page.text)


@pytest.mark.parametrize(("seed", "at_random"), [(0, True), (2, False)])
def test_a_random_trial_that_is_the_best_is_not_compared_with_random_trials(
    tmp_path: Path, seed: int, at_random: bool
) -> None:
    evolution = {"regularized_evolution": {"population": 10, "sample": 3}}
    run = run_search(tmp_path / "r", Halving(), epochs=1, max_trials=20, strategy=evolution, seed=seed)
    subject = Subject(run.state, run.folder, "r")
    origin = next(point.origin for point in subject.curve_points if point.trial == run.best.id)
    assert (origin == "random") is at_random
    assert ("The best trial is itself a random one" in describe_certainty(subject)) is at_random
    assert ("the expected best of" in describe_certainty(subject)) is not at_random


def test_every_kind_of_block_is_rendered() -> None:
    template = (files("ogive.document") / "templates" / "page.html").read_text(encoding="utf-8")
    assert set(re.findall(r"kind == '(\w+)'", template)) == {block.__name__ for block in get_args(blocks.Block)}
