"""Where alerts go beside the journal: the console, a file, a webhook, any function. None of them can hurt the run.

Each route has a thread of its own that takes alerts from a queue, so a webhook that hangs delays nothing. What goes wrong
is told once for each route.
"""

from __future__ import annotations

import json
import queue
import socket
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ogive.run.alert_route_specs import ENV, RouteSpec, address
from ogive.run.alerts import SEVERITIES, Alert
from ogive.run.events import Event, Kind

if TYPE_CHECKING:
    from ogive.run.state import State

Send = Callable[[Alert], object]
TIMEOUT_SECONDS = 10.0
"""How long a webhook may take to answer."""

CLOSE_SECONDS = 5.0
"""How long all routes together may take at the end for what they have not sent yet."""


class AlertRoutes:
    """The routes of one session, or of a watcher. It is an observer of the controller.

    Args:
        specs: as `check_routes` returns them; the file of `{"file": path}` is relative to the run's folder.
        run: the run's folder, named in every message.

    Raises:
        JobError: the environment variable of a webhook is missing.
    """

    def __init__(self, specs: Iterable[RouteSpec], run: Path) -> None:
        self._failed: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._threads = [_Route(*_sender(spec, run), failed=self._failed) for spec in specs]
        for thread in self._threads:
            thread.start()

    def __call__(self, state: State, event: Event | None) -> None:
        """Send an alert that was journalled; never waits."""
        if event is not None and event.kind is Kind.ALERT:
            self.send(Alert.of(event))

    def send(self, alert: Alert) -> None:
        """Send an alert by every route that wants its severity; never waits."""
        for thread in self._threads:
            thread.offer(alert)

    def failures(self) -> list[str]:
        """What has gone wrong since this was last asked, at most one message for each route in all."""
        found = []
        while not self._failed.empty():
            found.append(self._failed.get())
        return found

    def close(self) -> list[str]:
        """Send what has not been sent yet, as far as `CLOSE_SECONDS` allow; what went wrong, as `failures` tells it."""
        until = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            thread.end()
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                thread.fail(f"not all alerts were sent within {CLOSE_SECONDS:g} s of the end")
        self._threads = []
        return self.failures()


class _Route(threading.Thread):
    """Sends alerts one after the other; goes on after a failure, which is told the first time."""

    def __init__(self, name: str, severity: str, send: Send, failed: queue.SimpleQueue[str]) -> None:
        super().__init__(name=f"ogive-alerts-{name}", daemon=True)  # one that hangs must not keep the program alive
        self._least = SEVERITIES.index(severity)
        self._waiting: queue.SimpleQueue[Alert | None] = queue.SimpleQueue()
        self._route, self._send, self._failed = name, send, failed
        self._told = threading.Lock()

    def offer(self, alert: Alert) -> None:
        if SEVERITIES.index(alert.severity) >= self._least:
            self._waiting.put(alert)

    def end(self) -> None:
        self._waiting.put(None)

    def fail(self, why: str) -> None:
        """Tell that something went wrong, unless it was told before."""
        if self._told.acquire(blocking=False):
            self._failed.put(f"alerts could not be sent to {self._route}: {why}; the journal has them")

    def run(self) -> None:
        while (alert := self._waiting.get()) is not None:
            try:
                self._send(alert)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - of anybody's code or network; told to the controller
                self.fail(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _sender(spec: RouteSpec, run: Path) -> tuple[str, str, Send]:
    """The name of a route, the least severity it wants, and what sends an alert."""
    if callable(spec):
        return f"the function {getattr(spec, '__name__', type(spec).__name__)}", "info", spec
    given: Mapping[str, Any] = {"console": True} if isinstance(spec, str) else spec
    severity = given.get("severity", "info")
    if "console" in given:
        return "the console", severity, lambda alert: _print(alert, run)
    if "file" in given:
        path = run / Path(given["file"]).expanduser()
        return f"the file {path}", severity, lambda alert: _append(path, alert, run)
    url = address(given["webhook"])
    shown = given["webhook"] if given["webhook"].startswith(ENV) else urllib.parse.urlsplit(url).hostname
    return f"the webhook {shown}", severity, lambda alert: _post(url, alert, run)


def message(alert: Alert, run: Path) -> dict[str, Any]:
    """What files and webhooks get. `text` is what chat services show."""
    text = f"[{alert.severity}] {run.name}: {alert.message}"
    return {"text": text, "run": str(run), "host": socket.gethostname(), **alert.to_json()}


def _print(alert: Alert, run: Path) -> None:
    print(f"{alert.severity}: {run.name}: {alert.message}", file=sys.stderr, flush=True)


def _append(path: Path, alert: Alert, run: Path) -> None:
    if not run.is_dir():
        raise FileNotFoundError(f"the run's folder {run} is not there")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(message(alert, run)) + "\n")


def _post(url: str, alert: Alert, run: Path) -> None:
    import urllib.error  # these two take longer to import than all of `ogive.run`
    import urllib.request

    body = json.dumps(message(alert, run)).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "ogive"}
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
            return
    except urllib.error.HTTPError as error:
        error.close()
        raise OSError(f"it answered {error.code} {error.reason}") from None  # not the URL, which may be secret
