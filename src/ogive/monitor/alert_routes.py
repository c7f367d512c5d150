"""Delivery of alerts to the console, a file, a webhook or a function.

Each route has a queue and a thread that sends the queued alerts. So neither an error nor a webhook that does not respond
affects the run or the other routes. Only the first failure of a route is reported.
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

from ogive.run.alert_route_specs import ENV_PREFIX, RouteSpec, resolve_webhook_url
from ogive.run.alerts import SEVERITIES, Alert
from ogive.run.events import Event, Kind

if TYPE_CHECKING:
    from ogive.run.state import State

AlertSender = Callable[[Alert], object]
"""A function that sends an alert by one route. It may raise any exception."""

TIMEOUT_SECONDS = 10.0
"""The time within which a webhook must answer."""

CLOSE_SECONDS = 5.0
"""The time that `AlertRoutes.close` waits for all routes together to send the alerts that are still queued."""


class AlertRoutes:
    """The routes of one session or of a watcher; a subscriber of the controller.

    Args:
        specs: the declarations of the routes, as `check_routes` returns them. The path in `{"file": path}` is relative to
            the run's folder.
        run: the run's folder, which every message names.

    Raises:
        JobError: the environment variable of a webhook is not set.
    """

    def __init__(self, specs: Iterable[RouteSpec], run: Path) -> None:
        self._failures: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._threads = [_RouteThread(*_create_sender(spec, run), failures=self._failures) for spec in specs]
        for thread in self._threads:
            thread.start()

    def __call__(self, state: State, event: Event | None) -> None:
        """Queue the alert of an alert event for the routes; ignore all other events."""
        if event is not None and event.kind is Kind.ALERT:
            self.send(Alert.from_event(event))

    def send(self, alert: Alert) -> None:
        """Queue an alert for all routes that accept its severity."""
        for thread in self._threads:
            thread.enqueue(alert)

    def collect_failures(self) -> list[str]:
        """Return the messages on failures since the last call. Each route has at most one message in total."""
        messages = []
        while not self._failures.empty():
            messages.append(self._failures.get())
        return messages

    def close(self) -> list[str]:
        """Wait up to `CLOSE_SECONDS` for the queued alerts to be sent, and end the threads.

        Returns:
            The messages on failures that `collect_failures` has not returned yet.
        """
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            thread.end()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                thread.report_failure(f"not all alerts were sent within {CLOSE_SECONDS:g} s of the end")
        self._threads = []
        return self.collect_failures()


class _RouteThread(threading.Thread):
    """Sends alerts one after another. It continues after a failure, and reports the first one."""

    def __init__(self, name: str, severity: str, send: AlertSender, failures: queue.SimpleQueue[str]) -> None:
        # A daemon thread, because a route that hangs must not keep the program alive.
        super().__init__(name=f"ogive-alerts-{name}", daemon=True)
        self._min_severity = SEVERITIES.index(severity)
        self._queue: queue.SimpleQueue[Alert | None] = queue.SimpleQueue()
        self._route, self._send, self._failures = name, send, failures
        self._first_failure = threading.Lock()  # acquired by the first failure and never released

    def enqueue(self, alert: Alert) -> None:
        """Queue an alert if its severity is at least the lowest severity of the route."""
        if SEVERITIES.index(alert.severity) >= self._min_severity:
            self._queue.put(alert)

    def end(self) -> None:
        """End the thread after it has sent the queued alerts."""
        self._queue.put(None)

    def report_failure(self, reason: str) -> None:
        """Report a failure, unless one was reported before."""
        if self._first_failure.acquire(blocking=False):
            self._failures.put(f"alerts could not be sent to {self._route}: {reason}; the alerts are in the journal")

    def run(self) -> None:
        """Send alerts until the thread is ended."""
        while (alert := self._queue.get()) is not None:
            try:
                self._send(alert)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - user code or network; reported to the controller
                self.report_failure(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _create_sender(spec: RouteSpec, run: Path) -> tuple[str, str, AlertSender]:
    """Return the name of a route, the lowest severity that the route accepts, and the function that sends an alert."""
    if callable(spec):
        return f"the function {getattr(spec, '__name__', type(spec).__name__)}", "info", spec
    options: Mapping[str, Any] = {"console": True} if isinstance(spec, str) else spec
    severity = options.get("severity", "info")
    if "console" in options:
        return "the console", severity, lambda alert: _print_alert(alert, run)
    if "file" in options:
        path = run / Path(options["file"]).expanduser()
        return f"the file {path}", severity, lambda alert: _append_to_file(path, alert, run)
    url = resolve_webhook_url(options["webhook"])
    # Messages name the variable or the host, because the URL may contain a secret.
    public_name = (
        options["webhook"] if options["webhook"].startswith(ENV_PREFIX) else urllib.parse.urlsplit(url).hostname
    )
    return f"the webhook {public_name}", severity, lambda alert: _post_to_webhook(url, alert, run)


def _make_alert_json(alert: Alert, run: Path) -> dict[str, Any]:
    """Return the JSON object that files and webhooks receive. Chat services show its field `text`."""
    text = f"[{alert.severity}] {run.name}: {alert.message}"
    return {"text": text, "run": str(run), "host": socket.gethostname(), **alert.to_json()}


def _print_alert(alert: Alert, run: Path) -> None:
    print(f"{alert.severity}: {run.name}: {alert.message}", file=sys.stderr, flush=True)


def _append_to_file(path: Path, alert: Alert, run: Path) -> None:
    if not run.is_dir():
        raise FileNotFoundError(f"the run's folder {run} does not exist")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(_make_alert_json(alert, run)) + "\n")


def _post_to_webhook(url: str, alert: Alert, run: Path) -> None:
    """Post an alert; raise OSError if the webhook does not accept it."""
    # Imported here, because these two imports take longer than the import of `ogive.run`.
    import urllib.error
    import urllib.request

    body = json.dumps(_make_alert_json(alert, run)).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "ogive"}
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
            return
    except urllib.error.HTTPError as error:
        error.close()
        # `from None` drops the original error, because its text contains the URL, which may be secret.
        raise OSError(f"the webhook answered {error.code} {error.reason}") from None
