"""What several commands share. Whatever takes time to import is imported inside the functions."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ogive.api import Run
    from ogive.run.observers import Observer
    from ogive.run.state import State
    from ogive.stages.delivery import Delivery
    from ogive.trial import Trial

JobFile = Annotated[Path, typer.Argument(metavar="JOB", help="The job's YAML file.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or the job's file that it belongs to.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def open_run(run_or_job: Path, trust: bool = False) -> Run:
    """The run in a folder, or of a job. Reads the journal; loads no PyTorch, and the user's code only with `trust`."""
    from ogive import api
    from ogive.job import add_code_folders, run_folder

    folder = run_folder(run_or_job)
    if trust:
        add_code_folders(folder)
    return api.open_run(folder, trust=trust)


@contextmanager
def watching(quiet: bool) -> Iterator[Observer]:
    """What watches a search: a live view, or nothing."""
    if quiet:
        yield lambda state, event: None
        return
    from ogive.report import live_view

    with live_view() as view:
        yield view


def shown(path: Path) -> Path:
    """`path` as its user would type it: relative to the working directory where it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def console() -> Console:
    """Standard output; never narrower than a table needs where it is not a terminal."""
    from rich.console import Console

    return Console(soft_wrap=True) if sys.stdout.isatty() else Console(width=200, soft_wrap=True)


def print_table(table: Table) -> None:
    """A table: as wide as the terminal, whose columns that may fold do so; as wide as it needs elsewhere."""
    console().print(table, markup=False, soft_wrap=not sys.stdout.isatty())


def print_json(value: Any) -> None:
    """`value` as JSON on standard output; what JSON cannot hold as a number (NaN, infinity) becomes a text."""
    print(json.dumps(_plain(value), indent=2))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def choices(trial: Trial) -> str:
    """The active decisions of a trial's architecture, in one line; of a baseline in the second stage, that it is one."""
    from ogive.estimate.full_training import BASELINE
    from ogive.run.trial_labels import STAGE

    if trial.proposal.settings.get(STAGE, {}).get("network") == BASELINE:
        return "drawn by hand"
    return ", ".join(f"{name}={_label(label)}" for name, label in trial.architecture.items())


def _label(label: Any) -> str:
    return "+".join(map(str, label)) if isinstance(label, tuple) else str(label)


def shown_metrics(state: State, trials: Iterable[Trial]) -> list[str]:
    """The metrics worth a column: objectives, constraints, and the cost that most want to see."""
    there = {name for trial in trials for name in trial.metrics}
    extra = [name for name in ("accuracy", "log_loss", "parameters") if name in there]
    return list(dict.fromkeys([*state.metrics_needed, *extra]))


def print_trials(state: State, trials: Sequence[Trial], ranked: bool = True) -> None:
    """A table of trials of the search, best first where they are `ranked`."""
    _print_ranking(
        state,
        [(trial, trial.metrics, trial.step, trial.status.value) for trial in trials],
        shown_metrics(state, trials),
        ranked,
    )


def print_networks(state: State, networks: Sequence[Delivery]) -> None:
    """A table of networks, best first: metrics, epochs and status are those of the stage that trained them last."""
    from ogive.stages.delivery import SEARCH

    rows = []
    for network in networks:
        status = network.training.status.value
        if network.stage != SEARCH:
            status = f"{'winner, ' if network.is_winner else ''}{network.stage}"
        rows.append((network.trial, network.mean, network.training.step, status))
    _print_ranking(state, rows, shown_metrics(state, [network.trial for network in networks]))
    seeds = sorted({len(network.seeds) for network in networks if network.stage != SEARCH})
    if seeds and seeds[-1] > 1:
        print(f"values after full training are means over {' or '.join(map(str, seeds))} seeds")


def _print_ranking(
    state: State,
    rows: Sequence[tuple[Trial, Mapping[str, float], int, str]],
    metrics: Sequence[str],
    ranked: bool = True,
) -> None:
    from rich.table import Table

    from ogive.formatting import number
    from ogive.run.trial_labels import trial_name

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (*(["rank"] if ranked else []), "trial", *metrics, "epochs"):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("status", overflow="fold")
    table.add_column("architecture", overflow="fold")
    for rank, (trial, own, step, status) in enumerate(rows, 1):
        values = [number(own[name]) if name in own else "-" for name in metrics]
        place = [str(rank)] if ranked else []
        table.add_row(*place, trial_name(trial).removeprefix("trial "), *values, str(step), status, choices(trial))
    print_table(table)


def print_notes(run: Run) -> None:
    """What to know before the winner is used, and why it has no weights where it has none."""
    for note in run.stages.notes:
        console().print(f"note: {note}", markup=False, highlight=False)
    for line in unsaved(run):
        console().print(f"no weights: {line}", markup=False, highlight=False)


def unsaved(run: Run) -> list[str]:
    """Why winners have no weights, where they should have; empty where they have them, or train no models."""
    stages = run.stages
    missing = [winner.missing for winner in stages.winners if winner.state.trains_models]
    return list(dict.fromkeys(text for text in missing if text is not None))


def trial_json(trial: Trial) -> dict[str, Any]:
    """A trial for scripts."""
    return {
        "trial": trial.id,
        "status": trial.status.value,
        "step": trial.step,
        "metrics": dict(trial.metrics),
        "seconds": trial.seconds,
        "attempts": trial.attempts,
        "cached": trial.cached,
        "id": trial.architecture.id,
        "architecture": trial.architecture.to_json(),
    }


def network_json(network: Delivery) -> dict[str, Any]:
    """A network for scripts: number and architecture of its trial, and what the stage that trained it last tells of it.

    Of several seeds `metrics` are the means; `seconds`, `attempts` and `cached` are of the training that left the weights.
    """
    training = trial_json(network.training)
    own = {name: training[name] for name in ("seconds", "attempts", "cached")}
    return {**trial_json(network.trial), **own, **network.to_json()}


def failures(state: State) -> list[dict[str, Any]]:
    """How trials failed, the most frequent first: status, how many, and the first one with its reason."""
    groups: dict[str, list[Trial]] = {}
    for trial in state.trials.values():
        if trial.status.failed:
            groups.setdefault(trial.status.value, []).append(trial)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return [
        {"status": status, "count": len(trials), "trial": trials[0].id, "reason": trials[0].reason}
        for status, trials in ordered
    ]


def print_failures(state: State, run: Path) -> None:
    """A digest of what failed, and where its output is."""
    for item in failures(state):
        output = run / "trials" / f"{item['trial']:06d}" / "output.txt"
        line = f"{item['count']} x {item['status']}, first trial {item['trial']}: {first_line(item['reason'])}"
        print(f"failed: {line}{f' (its output: {shown(output)})' if output.is_file() else ''}")


def first_line(text: str) -> str:
    """The first line of a reason, cut to what fits."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= 160 else f"{line[:157]}..."
