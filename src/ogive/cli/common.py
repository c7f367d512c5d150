"""Functions that several commands share. Modules that take long to import are imported inside the functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.terminal import fits_terminal, print_table, print_text

if TYPE_CHECKING:
    from rich.table import Table

    from ogive.api import Run
    from ogive.run.observers import Observer
    from ogive.run.state import State
    from ogive.stages.delivery import Delivery
    from ogive.trial import Trial

JobFile = Annotated[Path, typer.Argument(metavar="JOB", help="The YAML file of a job.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or the file of its job.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts. Default: text.")]


def open_run(run_or_job: Path, trust: bool = False) -> Run:
    """Return the run in a folder, or of a job.

    Only the journal is read. PyTorch is not loaded; the code of the run is loaded only with `trust`.
    """
    from ogive import api
    from ogive.job import add_code_folders, find_run_folder

    folder = find_run_folder(run_or_job)
    if trust:
        add_code_folders(folder)
    return api.open_run(folder, trust=trust)


@contextmanager
def live_observer(quiet: bool) -> Iterator[Observer]:
    """Yield an observer that shows the search in a live view; if `quiet`, an observer that does nothing."""
    if quiet:
        yield lambda state, event: None
        return
    from ogive.report import show_live_view

    with show_live_view() as view:
        yield view


def relative_path(path: Path) -> Path:
    """Return a path relative to the working directory if it is inside this directory, otherwise the path unchanged."""
    current = Path.cwd()
    return path.relative_to(current) if path.is_relative_to(current) else path


def format_decisions(trial: Trial) -> str:
    """Return the active decisions of a trial on one line, or "hand-drawn baseline" for the baseline of full training."""
    from ogive.estimate.full_training import BASELINE
    from ogive.run.trial_labels import FULL_TRAINING_SETTING

    if trial.proposal.settings.get(FULL_TRAINING_SETTING, {}).get("network") == BASELINE:
        return "hand-drawn baseline"
    return ", ".join(f"{name}={_format_label(label)}" for name, label in trial.architecture.items())


def _format_label(label: Any) -> str:
    return "+".join(map(str, label)) if isinstance(label, tuple) else str(label)


def select_metric_columns(state: State, trials: Iterable[Trial]) -> list[str]:
    """Return the metrics that get a column: those of objectives and constraints, and accuracy, log loss and parameters."""
    reported = {name for trial in trials for name in trial.metrics}
    extra = [name for name in ("accuracy", "log_loss", "parameters") if name in reported]
    return list(dict.fromkeys([*state.compared_metrics, *extra]))


def print_trials(state: State, trials: Sequence[Trial], ranked: bool = True) -> None:
    """Print a table of trials of the search. If they are `ranked` (best first), the table has a column with the rank."""
    _print_trial_table(
        [(trial, trial.metrics, trial.step, trial.status.value) for trial in trials],
        select_metric_columns(state, trials),
        ranked,
    )


def print_networks(state: State, networks: Sequence[Delivery]) -> None:
    """Print a table of networks, best first. Metrics, epochs and status are from the last stage that trained a network."""
    from ogive.stages.delivery import SEARCH

    rows = []
    for network in networks:
        status = network.training.status.value
        if network.stage != SEARCH:
            status = f"{'winner, ' if network.is_winner else ''}{network.stage}"
        rows.append((network.trial, network.mean_metrics, network.training.step, status))
    metrics = select_metric_columns(state, [network.trial for network in networks])
    _print_trial_table(rows, metrics)
    seeds = sorted({len(network.seeds) for network in networks if network.stage != SEARCH})
    if seeds and seeds[-1] > 1:
        print(f"values of full training are means over {' or '.join(map(str, seeds))} seeds")


def _print_trial_table(
    rows: Sequence[tuple[Trial, Mapping[str, float], int, str]],
    metrics: Sequence[str],
    ranked: bool = True,
) -> None:
    """Print a table of `rows` (trial, metrics, epochs, status).

    The last column has the decisions. If the terminal is too narrow for it, they follow below the table, one line for each
    trial. If the rows are `ranked` (best first), the first column has the rank.
    """
    from ogive.run.trial_labels import format_trial_name

    table = _make_trial_table(rows, metrics, ranked, has_decisions=True)
    if fits_terminal(table):
        print_table(table)
        return
    print_table(_make_trial_table(rows, metrics, ranked, has_decisions=False))
    for trial, *_ in rows:
        print_text(f"{format_trial_name(trial)}: {format_decisions(trial)}")


def _make_trial_table(
    rows: Sequence[tuple[Trial, Mapping[str, float], int, str]],
    metrics: Sequence[str],
    ranked: bool,
    has_decisions: bool,
) -> Table:
    """Return the table for `rows`, as in `_print_trial_table`, with or without the column of decisions."""
    from rich.table import Table

    from ogive.formatting import number
    from ogive.run.trial_labels import format_trial_name

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (*(["rank"] if ranked else []), "trial", *metrics, "epochs"):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("status", overflow="fold")
    if has_decisions:
        table.add_column("architecture", overflow="fold")
    for rank, (trial, measured, step, status) in enumerate(rows, 1):
        values = [number(measured[name]) if name in measured else "-" for name in metrics]
        cells = [str(rank)] if ranked else []
        cells += [format_trial_name(trial).removeprefix("trial "), *values, str(step), status]
        table.add_row(*cells, *([format_decisions(trial)] if has_decisions else []))
    return table


def print_line(label: str, text: object, width: int = 9) -> None:
    """Print a label and a text. Where the terminal wraps the text, the further lines are indented below it."""
    print_text(f"{label:<{width}} {text}", indent=width + 1)


def print_summary(run: Run) -> None:
    """Print the answers that the report begins with: the result, how certain it is, its cost, and what to do next."""
    import shlex

    from ogive.report.subject import Subject
    from ogive.report.summary import collect_summary
    from ogive.stages.baseline_comparison import read_comparison

    argument = shlex.quote(str(relative_path(run.folder)))
    subject = Subject(run.state, run.folder, run.folder.name, read_comparison(run.folder), run_argument=argument)
    print_text()
    for question, answer in collect_summary(subject):
        print_line(question.lower(), answer.replace("`", ""))
    print_text()


def print_warnings(run: Run) -> None:
    """Print the warnings about the winners, among them the reasons for missing weights."""
    for warning in run.stages.warnings:
        print_text(f"warning: {warning}")
    for winner in run.stages.winners:
        if winner.state.trains_models and winner.missing_weights_reason is not None:
            print_text(f"warning: trial {winner.trial.id} has no weights: {winner.missing_weights_reason}")


def list_missing_weights_reasons(run: Run) -> list[str]:
    """Return the reasons why winners have no weights; empty if all have weights, or if the estimator trains no models."""
    stages = run.stages
    missing = [winner.missing_weights_reason for winner in stages.winners if winner.state.trains_models]
    return list(dict.fromkeys(text for text in missing if text is not None))


def trial_json(trial: Trial) -> dict[str, Any]:
    """Return a trial as JSON, for scripts."""
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
    """Return a network as JSON, for scripts: its trial and architecture, and results of the last stage that trained it.

    `metrics` are means over seeds; `seconds`, `attempts` and `cached` are of the training that the weights belong to.
    """
    training = trial_json(network.training)
    training_facts = {name: training[name] for name in ("seconds", "attempts", "cached")}
    return {**trial_json(network.trial), **training_facts, **network.to_json()}


def summarize_failures(state: State) -> list[dict[str, Any]]:
    """Return an item for each status of failed trials, the most frequent status first, for scripts.

    An item has the number of trials with this status, and the first of these trials with its reason.
    """
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
    """Print a line for each status of failed trials, with the output file of the first trial with this status."""
    for item in summarize_failures(state):
        output = run / "trials" / f"{item['trial']:06d}" / "output.txt"
        line = f"{item['count']} x {item['status']}, first trial {item['trial']}: {first_line(item['reason'] or '')}"
        print(f"failed: {line}{f' (its output: {relative_path(output)})' if output.is_file() else ''}")


def first_line(text: str) -> str:
    """Return the first line of a reason, at most 160 characters."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= 160 else f"{line[:157]}..."
