"""`ogive watch`: watch runs from another process, and send an alert when a controller has died or does not respond."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ogive.cli.common import AsJson, relative_path
from ogive.cli.terminal import print_json, print_text

if TYPE_CHECKING:
    from ogive.monitor.run_watcher import RunWatcher
    from ogive.run.alerts import Alert


def watch(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of runs, or files of their jobs.")],
    once: Annotated[
        bool, typer.Option("--once", help="Check once, for cron. Default: check until all runs have ended.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two checks.")] = 5.0,
    webhook: Annotated[
        list[str] | None, typer.Option(help="Post alerts to this URL, or env:NAME. May be repeated. Default: none.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Append alerts to this file, as JSON lines. Default: none.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send an alert if the controller of a run has died.

    A controller has died if its process is gone and the search has not ended.
    There is one alert for each death: on the console, by the routes of the run
    and of this command, and in the run's journal. An alert is also sent, but not
    written to the journal, if a controller exists and does not respond.

    Example: ogive watch runs/digits --webhook env:ALERT_URL

    Exit codes: 0 - there was no alert. 1 - a controller has died or does not
    respond.
    """
    from ogive.job import find_run_folder
    from ogive.monitor.run_watcher import RunWatcher
    from ogive.run.journal import JOURNAL

    watchers = {folder: RunWatcher(folder / JOURNAL) for folder in map(find_run_folder, runs)}
    command_routes: list[Any] = [{"webhook": url} for url in webhook or []]
    command_routes += [{"file": str(file.absolute())}] if file else []
    alerts: list[tuple[Path, Alert]] = []
    while True:
        for folder, watcher in watchers.items():
            alert = watcher.look()
            if alert is not None:
                alerts.append((folder, alert))
                if not as_json:
                    print_text(f"{alert.severity}: {relative_path(folder)}: {alert.message}")
                _send(folder, watcher, alert, command_routes)
        # With --once, several looks may be needed until it is certain whether a controller is alive.
        if all(watcher.is_over for watcher in watchers.values()) or (
            once and all(watcher.is_certain for watcher in watchers.values())
        ):
            break
        time.sleep(min(every, 1.0) if once else every)
    if as_json:
        print_json([{"run": str(relative_path(folder)), **alert.to_json()} for folder, alert in alerts])
    if alerts:
        raise typer.Exit(1)


def _send(folder: Path, watcher: RunWatcher, alert: Alert, command_routes: list[Any]) -> None:
    """Send an alert by the routes of the run and of this command. The alert is journalled first, so that it is sent once."""
    from ogive.monitor.alert_routes import AlertRoutes
    from ogive.run.alert_route_specs import check_routes

    error = watcher.journal_alert(alert)
    if error:
        print_text(
            f"warning: the alert could not be journalled, so the next check sends it again: {error}", file=sys.stderr
        )
    # `watch` has already printed the alert on the console.
    run_routes = [spec for spec in watcher.settings.alerts if spec != "console"]
    routes = AlertRoutes([*run_routes, *check_routes(command_routes)], folder)
    routes.send(alert)
    for message in routes.close():
        print_text(f"warning: {message}", file=sys.stderr)
