"""The sections about the best networks with their drawings, the comparison with a baseline, and the schedule's rungs."""

from __future__ import annotations

from pathlib import Path

from ogive.document.blocks import Block, Card, Cards, Drawing, Fold, NamedValues, Section, Table, Text
from ogive.drawing.architecture_drawing import draw_svg
from ogive.drawing.layer_tree import format_value
from ogive.formatting import as_sentence, duration, plural
from ogive.report.facts import format_plugin
from ogive.report.subject import Subject, format_metric
from ogive.report.summary import describe_gap, describe_value_epoch
from ogive.run.results import explain_no_best, summarize_rungs
from ogive.run.trial_folder import get_trial_folder
from ogive.stages.comparison_text import make_comparison_tables
from ogive.stages.delivery import FULL_TRAINING, SEARCH, Delivery
from ogive.stages.full_training_result import FULL_TRAINING_FOLDER
from ogive.trial import Status

_NO_LAYERS = (
    "Layers are not drawn, because the journal has none: `ogive report --trust` loads them with the user's code."
)
BASELINE_TITLE = "Comparison with a baseline"
RUNGS_TITLE = "Rungs of the schedule"
MAX_RUNGS = 12
"""The table has at most this many rungs."""


def build_best(subject: Subject) -> Section:
    """Return the section with a card for each of the best networks."""
    networks = subject.drawn_networks
    if not networks:
        return Section("best", "The best architectures", [Text(as_sentence(explain_no_best(subject.state)))])
    title = "The best architecture" if len(networks) == 1 else f"The best {len(networks)} architectures"
    cards = Cards([_make_card(subject, rank, network) for rank, network in enumerate(networks, 1)])
    notes = [
        text
        for text in (_describe_comparability(networks), describe_gap(subject), describe_value_epoch(subject))
        if text is not None
    ]
    blocks: list[Block] = [Text(text) for text in notes]
    if subject.state.space.tree is None:
        blocks.insert(0, Text(_NO_LAYERS, soft=True))
    return Section("best", title, [*blocks, cards])


def _describe_comparability(networks: list[Delivery]) -> str | None:
    """Return a sentence about networks whose values cannot be compared with the others; None if all can be compared."""
    if networks[0].stage != networks[-1].stage:
        return "Networks that were trained in full come first; the values of the others are from the search."
    highest_step = max(network.trial.step for network in networks)
    shorter = [network for network in networks if not network.trial.has_reached(highest_step)]
    if shorter and networks[0].stage == SEARCH:
        was, is_listed = ("was", "is listed") if len(shorter) == 1 else ("were", "are listed")
        return (
            f"{len(shorter)} of these {was} trained for less than {plural(highest_step, 'epoch')} and {is_listed} last, "
            "because values at different numbers of epochs cannot be compared."
        )
    return None


def _make_card(subject: Subject, rank: int, network: Delivery) -> Card:
    """Return the card of a network: its metrics, its drawing, and its decisions, seed and identity."""
    trial, training = network.trial, network.training
    rows = [
        *((name, format_value(label)) for name, label in trial.architecture.items()),
        ("seed", network.seed),
        ("architecture id", trial.architecture.id),
        ("all metrics", ", ".join(f"{name} {format_metric(value)}" for name, value in network.mean_metrics.items())),
        (
            "folder",
            str(get_trial_folder(Path(FULL_TRAINING_FOLDER if network.stage == FULL_TRAINING else ""), training)),
        ),
    ]
    if network.stage == FULL_TRAINING:
        in_search = ", ".join(f"{name} {format_metric(value)}" for name, value in trial.metrics.items())
        rows.append(("in the search", f"{in_search} ({plural(trial.step, 'epoch')})"))
    drawing = Drawing(f"best{rank}", draw_svg(trial.architecture), f"the architecture of trial {trial.id}")
    fold = Fold("decisions, seed and id", [NamedValues(rows)])
    winner = ", the winner" if network.is_winner and network.stage == FULL_TRAINING else ""
    title = f"{rank}. trial {trial.id}{winner}"
    return Card(title, subject.metric_texts(network), _describe_training(subject, network), [drawing, fold])


def _describe_training(subject: Subject, network: Delivery) -> str:
    """Return how a network was trained, such as `full training, mean over 3 seeds, 9 epochs, 12 min`."""
    trial = network.training
    seeds = f", mean over {plural(len(network.seeds), 'seed')}" if len(network.seeds) > 1 else ""
    parts = [f"{network.stage}{seeds}"] if subject.full_training is not None else []
    parts += [plural(trial.step, "epoch")] if network.state.declaration["epochs"] else []
    parts += [trial.status.value] if trial.status is not Status.FINISHED else []
    parts += ["from the cache" if trial.cached else duration(trial.seconds)]
    return ", ".join(parts)


def build_baseline(subject: Subject) -> Section:
    """Return the comparison of the winner with a hand-drawn baseline."""
    if subject.comparison is None:
        text = (
            "No baseline was compared: full training compares the winner with the `baseline` of the job, or with the one "
            "that is passed to `run.finalize`."
        )
        return Section("baseline", BASELINE_TITLE, [Text(text)])
    tables = make_comparison_tables(subject.comparison, subject.state.objectives)
    seeds = Fold("values of each seed", [Table(tables["seeds_head"], tables["seeds_rows"])])
    verdicts = [Text(line) for line in tables["verdicts"]]
    blocks: list[Block] = [Text(tables["lead"]), Table(tables["head"], tables["rows"]), *verdicts, seeds]
    return Section("baseline", BASELINE_TITLE, blocks)


def build_rungs(subject: Subject) -> Section | None:
    """Return the section with the number of trials on each rung; None if the schedule trains every trial in full."""
    state = subject.state
    if state.declaration["schedule"]["name"] == "full":
        return None
    trials = [t for t in subject.trials_with_value if t.status.ended or t.status is Status.PAUSED]
    rung_steps = sorted({trial.step for trial in trials})
    if not rung_steps:
        return Section("rungs", RUNGS_TITLE, [Text("No trial has reached a rung yet.")])
    listed = rung_steps if len(rung_steps) <= MAX_RUNGS else [*rung_steps[: MAX_RUNGS - 1], rung_steps[-1]]
    metrics = [objective.metric for objective in state.objectives]
    rows = []
    for rung_step, reached, continued, best in summarize_rungs(state, listed):
        value = ", ".join(format_metric(best.metrics_at(rung_step).get(name)) for name in metrics) if best else ""
        continued_text = "" if rung_step == rung_steps[-1] else f"{continued:,}"
        best_text = f"trial {best.id}" if best else ""
        rows.append((plural(rung_step, "epoch"), f"{reached:,}", continued_text, value, best_text))
    note = (
        f"Schedule {format_plugin(state.declaration['schedule'])}: each row is a number of epochs after which trials were "
        "paused or ended, with the numbers of trials that reached it and that continued. The metrics are those at "
        "this epoch."
    )
    head = ["rung", "reached", "continued", ", ".join(metrics), "best trial"]
    hidden = len(rung_steps) - len(listed)
    is_hidden = "is" if hidden == 1 else "are"
    more: list[Block] = (
        [Text(f"{plural(hidden, 'rung')} before the last one {is_hidden} not listed.", soft=True)] if hidden else []
    )
    return Section("rungs", RUNGS_TITLE, [Text(note, soft=True), Table(head, rows), *more])
