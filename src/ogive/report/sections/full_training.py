"""The search's order against that of full training."""

from __future__ import annotations

from ogive.document.blocks import Block, Drawing, Fold, Items, Section, Table, Text
from ogive.report import run_figures
from ogive.report.subject import Subject
from ogive.stages import full_training_text
from ogive.stages.full_training_result import FOLDER, FullTrainingResult

TITLE = "Search against full training"


def section(subject: Subject) -> Section:
    found = subject.stage
    if found is None:
        begun = subject.folder is not None and (subject.folder / FOLDER).is_dir()
        text = (
            "A second stage was begun and has not come to its end; `ogive finalize` goes on where it stopped."
            if begun
            else "There is no second stage yet: nothing shows how well the search's cheap values predict full training. "
            "`ogive finalize` trains the best from scratch on the full training split and compares."
        )
        return Section("stages", TITLE, [Text(text)])
    head, rows = full_training_text.rows(found)
    lead, *others = full_training_text.sentences(found)
    blocks: list[Block] = [Text(lead), *_scatters(found), Table(head, rows), Items(others)]
    failures = [f"{network.name}: {text}" for network in found.networks for text in network.failures]
    blocks += [Fold("trainings that failed", [Text(text) for text in failures])] if failures else []
    first = subject.stages.winners[0]
    weights = "The winner's weights and its model card are in final/ of the run's folder."
    if first.missing is not None:
        weights = f"The winner's model card is in final/ of the run's folder. There are no weights: {first.missing}."
    blocks += [Text(weights, soft=True)]
    return Section("stages", TITLE, blocks)


def _scatters(found: FullTrainingResult) -> list[Block]:
    blocks: list[Block] = []
    for metric, goal in found.objectives:
        pairs = [(n.name, n.searched.get(metric), n.mean(metric)) for n in found.finalists]
        known = [(name, a, b) for name, a, b in pairs if a is not None and b is not None]
        if len(known) > 1:
            about = f"{metric} in the search and after full training"
            seeds = {n.name: n.values.get(metric, ()) for n in found.finalists}
            svg = run_figures.stage_scatter(known, metric, goal, found.winners, seeds)
            blocks.append(Drawing(f"stages-{len(blocks)}", svg, about))
    return blocks
