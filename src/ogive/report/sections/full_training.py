"""Full training: its winner, and how well the search predicted its results."""

from __future__ import annotations

from ogive.document.blocks import Block, Drawing, Fold, Items, Section, Table, Text
from ogive.report import run_figures
from ogive.report.subject import Subject
from ogive.report.summary import describe_winner_in_search
from ogive.stages import full_training_text
from ogive.stages.full_training_result import FULL_TRAINING_FOLDER, FullTrainingResult

TITLE = "Full training"


def build_section(subject: Subject) -> Section:
    result = subject.full_training
    if result is None:
        if subject.folder is not None and (subject.folder / FULL_TRAINING_FOLDER).is_dir():
            text = "Full training has begun and has not ended; `ogive finalize` continues it."
        else:
            text = "The best were not trained in full yet; `ogive finalize` trains them and compares the results."
        return Section("stages", TITLE, [Text(text)])
    head, rows = full_training_text.make_table(result)
    lead, *details = full_training_text.list_conclusions(result)
    winner_in_search = describe_winner_in_search(subject)
    items = details if winner_in_search is None else [winner_in_search, *details]
    blocks: list[Block] = [Text(lead), *_scatter_plots(result), Table(head, rows), Items(items)]
    failures = [f"{network.name}: {text}" for network in result.networks for text in network.failures]
    blocks += [Fold("trainings that failed", [Text(text) for text in failures])] if failures else []
    winner = subject.stages.winners[0]
    files = "The winner's weights and its model card are in final/ of the run's folder."
    if winner.missing_weights_reason is not None:
        reason = winner.missing_weights_reason
        files = f"The winner's model card is in final/ of the run's folder. There are no weights: {reason}."
    blocks += [Text(files, soft=True)]
    return Section("stages", TITLE, blocks)


def _scatter_plots(result: FullTrainingResult) -> list[Block]:
    """Return a figure for each objective that two finalists or more have in the search and after full training."""
    blocks: list[Block] = []
    for metric, goal in result.objectives:
        pairs = [(n.name, n.searched.get(metric), n.mean(metric)) for n in result.finalists]
        complete = [(name, before, after) for name, before, after in pairs if before is not None and after is not None]
        if len(complete) > 1:
            about = f"{metric} in the search and after full training"
            seed_values = {n.name: n.values.get(metric, ()) for n in result.finalists}
            svg = run_figures.draw_full_training(
                complete, metric, goal, winners=result.winners, seed_values=seed_values
            )
            blocks.append(Drawing(f"stages-{len(blocks)}", svg, about))
    return blocks
