"""`ogive watch`: look after runs from another process, and tell when a controller has died."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.common import AsJson, print_json, shown

if TYPE_CHECKING:
    from ogive.monitor.run_watcher import RunWatcher
    from ogive.run.alerts import Alert


def watch(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs' folders, or the jobs' files.")],
    once: Annotated[
        bool, typer.Option("--once", help="Look once and leave, for cron: exit code 1 if one died.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 5.0,
    webhook: Annotated[list[str] | None, typer.Option(help="Post alerts to this URL, or env:NAME. Repeatable.")] = None,
    file: Annotated[Path | None, typer.Option(help="Append alerts to this file, as JSON lines.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell when a controller has died while its search had not ended: on the console, and by the routes of the run.

    Of each death there is one alert, in the run's journal too. Without --once, ends when all the runs have ended.
    """
    from ogive.job import run_folder
    from ogive.monitor.run_watcher import RunWatcher
    from ogive.run.journal import JOURNAL

    watched = {folder: RunWatcher(folder / JOURNAL) for folder in map(run_folder, runs)}
    extra: list[Any] = [{"webhook": url} for url in webhook or []]
    extra += [{"file": str(file.absolute())}] if file else []
    told: list[tuple[Path, Alert]] = []
    while True:
        for folder, run in watched.items():
            alert = run.look()
            if alert is not None:
                told.append((folder, alert))
                if not as_json:
                    print(f"{alert.severity}: {shown(folder)}: {alert.message}", flush=True)
                _send(folder, run, alert, extra)
        if all(run.over for run in watched.values()) or (once and all(run.sure for run in watched.values())):
            break
        time.sleep(min(every, 1.0) if once else every)
    if as_json:
        print_json([{"run": str(shown(folder)), **alert.to_json()} for folder, alert in told])
    if told:
        raise typer.Exit(1)


def _send(folder: Path, run: RunWatcher, alert: Alert, extra: list[Any]) -> None:
    """By the routes that the run stored and those of this command; journalled first, so that it is told once."""
    from ogive.monitor.alert_routes import AlertRoutes
    from ogive.run.alert_route_specs import check_routes

    trouble = run.keep(alert)
    if trouble:
        print(f"warning: the alert could not be journalled and will be told again: {trouble}", file=sys.stderr)
    stored = [spec for spec in run.settings.alerts if spec != "console"]
    routes = AlertRoutes([*stored, *check_routes(extra)], folder)
    routes.send(alert)
    for message in routes.close():
        print(f"warning: {message}", file=sys.stderr)
