"""The best architectures, drawn; what they are against a baseline, and on the rungs of the schedule."""

from __future__ import annotations

from pathlib import Path

from ogive.document.blocks import Block, Card, Cards, Drawing, Fold, Keys, Section, Table, Text
from ogive.drawing.architecture_drawing import draw_svg
from ogive.drawing.layer_tree import NO_LAYERS, plain
from ogive.formatting import capitalized, duration, plural
from ogive.report.facts import named
from ogive.report.subject import Subject, shown
from ogive.run.results import by_rung, why_none
from ogive.run.trial_folder import trial_folder
from ogive.stages.comparison_text import comparison_tables
from ogive.stages.delivery import FULL, SEARCH, Delivery
from ogive.stages.full_training_result import FOLDER
from ogive.trial import Status

RUNGS = "Rungs of the schedule"
MOST_RUNGS = 12


def section(subject: Subject) -> Section:
    best = subject.drawn
    if not best:
        return Section("best", "The best architectures", [Text(capitalized(why_none(subject.state)))])
    title = "The best architecture" if len(best) == 1 else f"The best {len(best)} architectures"
    furthest = max(network.trial.step for network in best)
    blocks: list[Block] = [Cards([_card(subject, place, trial) for place, trial in enumerate(best, 1)])]
    behind = [network for network in best if not network.trial.reaches(furthest)]
    if best[0].stage != best[-1].stage:
        text = (
            "Networks that were trained in full come first; values of the others are the search's, and not comparable."
        )
        blocks.insert(0, Text(text))
    elif behind and best[0].stage == SEARCH:
        text = (
            f"Not all were trained alike: {plural(len(behind), 'trial')} came less far than {plural(furthest, 'epoch')} "
            "and stand behind, whatever their values; compare values only at the same number of epochs."
        )
        blocks.insert(0, Text(text))
    if subject.state.space.tree is None:
        blocks.insert(0, Text(f"Not drawn: {NO_LAYERS}.", soft=True))
    return Section("best", title, blocks)


def _card(subject: Subject, place: int, network: Delivery) -> Card:
    trial, training = network.trial, network.training
    rows = [
        *((name, plain(label)) for name, label in trial.architecture.items()),
        ("seed", network.seed),
        ("identity", trial.architecture.id),
        ("all metrics", ", ".join(f"{name} {shown(value)}" for name, value in network.mean.items())),
        ("folder", str(trial_folder(Path(FOLDER if network.stage == FULL else ""), training))),
    ]
    if network.stage == FULL:
        searched = ", ".join(f"{name} {shown(value)}" for name, value in trial.metrics.items())
        rows.append(("in the search", f"{searched} ({plural(trial.step, 'epoch')})"))
    drawing = Drawing(f"best{place}", draw_svg(trial.architecture), f"the architecture of trial {trial.id}")
    fold = Fold("decisions, seed and identity", [Keys(rows)])
    winner = ", the winner" if network.is_winner and network.stage == FULL else ""
    title = f"{place}. trial {trial.id}{winner}"
    return Card(title, subject.metrics(network), _note(subject, network), [drawing, fold])


def _note(subject: Subject, network: Delivery) -> str:
    trial = network.training
    seeds = f", mean over {plural(len(network.seeds), 'seed')}" if len(network.seeds) > 1 else ""
    parts = [f"{network.stage}{seeds}"] if subject.stage is not None else []
    parts += [plural(trial.step, "epoch")] if network.state.created["epochs"] else []
    parts += [trial.status.value] if trial.status is not Status.FINISHED else []
    parts += ["from the cache" if trial.cached else duration(trial.seconds)]
    return ", ".join(parts)


def baseline(subject: Subject) -> Section:
    """What was found against a network drawn by hand."""
    title = "Against a hand-drawn baseline"
    if subject.comparison is None:
        text = (
            "This run holds no comparison with a baseline. Without one, nothing here says that the search was worth its "
            "time. Name a `baseline` in the job, or give one to `run.finalize`."
        )
        return Section("baseline", title, [Text(text)])
    found = comparison_tables(subject.comparison, subject.state.objectives)
    seeds = Fold("values of each seed", [Table(found["seeds_head"], found["seeds_rows"])])
    verdicts = [Text(line) for line in found["verdicts"]]
    return Section("baseline", title, [Text(found["lead"]), Table(found["head"], found["rows"]), *verdicts, seeds])


def rungs(subject: Subject) -> Section | None:
    """Who came how far; None where the schedule trains every trial alike."""
    state = subject.state
    if state.created["schedule"]["name"] == "full":
        return None
    levels = sorted({trial.step for trial in subject.valued if trial.status.ended or trial.status is Status.PAUSED})
    if not levels:
        return Section("rungs", RUNGS, [Text("No trial has come to a rung yet.")])
    shown_levels = levels if len(levels) <= MOST_RUNGS else [*levels[: MOST_RUNGS - 1], levels[-1]]
    metrics = [objective.metric for objective in state.objectives]
    rows = []
    for level, reached, beyond, best in by_rung(state, shown_levels):
        value = ", ".join(shown(best.at(level).get(name)) for name in metrics) if best else ""
        went = "" if level == levels[-1] else f"{beyond:,}"
        rows.append((plural(level, "epoch"), f"{reached:,}", went, value, f"trial {best.id}" if best else ""))
    note = (
        f"Schedule {named(state.created['schedule'])}: the steps at which trials were paused or ended, and how many of them "
        "went on. Values are those at the rung."
    )
    head = ["rung", "reached", "went on", ", ".join(metrics), "best there"]
    left = len(levels) - len(shown_levels)
    more: list[Block] = [Text(f"{plural(left, 'rung')} between the last two are left out.", soft=True)] if left else []
    return Section("rungs", RUNGS, [Text(note, soft=True), Table(head, rows), *more])
