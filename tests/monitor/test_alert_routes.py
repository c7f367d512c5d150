"""Alerts are delivered to the console, files, webhooks and functions; their failures do not affect or delay a run."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from staged import SPACE, Staged

import ogive as og
from ogive.errors import JobError
from ogive.monitor import alert_routes
from ogive.monitor.alert_routes import AlertRoutes
from ogive.objective import Constraint
from ogive.run.alert_route_specs import check_routes, select_stored_routes
from ogive.run.alerts import Alert
from ogive.run.events import Kind
from ogive.run.journal import Journal

WARNING = Alert("warning", "budget:hours:3:80%", "2 h 24 min of 3 h are used", {"used": 2.4})
INFO = Alert("info", "diversity", "low", trial=3)


@pytest.fixture
def server() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A local server that records all posts; it answers 200 at /ok and 500 elsewhere."""
    posted: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if self.path == "/ok" else 500)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            return

    http_server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http_server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http_server.server_port}", posted
    http_server.shutdown()
    http_server.server_close()
    thread.join()


@pytest.fixture
def hanging_server() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/secret-token"


def test_each_route_receives_the_alerts_of_its_severity(
    tmp_path: Path, server: tuple[str, list[dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    url, posted = server
    received: list[Alert] = []
    specs = ["console", {"file": "alerts.jsonl"}, {"webhook": f"{url}/ok", "severity": "warning"}, received.append]
    routes = AlertRoutes(check_routes(specs), tmp_path)
    for alert in (WARNING, INFO):
        routes.send(alert)
    assert routes.close() == []
    assert received == [WARNING, INFO]
    lines = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    assert [line["cause"] for line in lines] == [WARNING.cause, INFO.cause]
    assert posted == lines[:1]
    assert posted[0]["text"] == f"[warning] {tmp_path.name}: 2 h 24 min of 3 h are used"
    assert posted[0]["numbers"] == {"used": 2.4}
    assert f"warning: {tmp_path.name}: 2 h 24 min of 3 h are used\n" in capsys.readouterr().err


def test_a_failing_route_is_reported_once_and_the_others_continue(
    tmp_path: Path, server: tuple[str, list[dict[str, Any]]]
) -> None:
    url, posted = server
    received: list[Alert] = []

    def broken(alert: Alert) -> None:
        raise ValueError("no")

    (tmp_path / "blocked").write_text("a file")
    routes = AlertRoutes(
        [{"webhook": f"{url}/gone"}, {"file": "blocked/alerts.jsonl"}, broken, received.append], tmp_path
    )
    for _ in range(3):
        routes.send(WARNING)
    failures = sorted(routes.close())
    assert len(failures) == 3
    assert failures[0].startswith(f"alerts could not be sent to the file {tmp_path / 'blocked/alerts.jsonl'}: ")
    assert failures[1].startswith("alerts could not be sent to the function broken: ValueError: no")
    assert failures[2] == (
        "alerts could not be sent to the webhook 127.0.0.1: OSError: the webhook answered 500 Internal Server Error; the "
        "alerts are in the journal"
    )
    assert len(posted) == 3, "a webhook that has failed is used again for the next alert"
    assert received == [WARNING] * 3


def test_a_webhook_that_hangs_does_not_delay_a_run_and_is_one_warning(
    tmp_path: Path, hanging_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_routes, "TIMEOUT_SECONDS", 1000.0)
    monkeypatch.setattr(alert_routes, "CLOSE_SECONDS", 0.5)
    done: list[int] = []
    run = og.search(
        SPACE,
        Staged(0.0),
        objectives="accuracy",
        epochs=5,
        max_trials=6,
        run=tmp_path / "run",
        executor="inline",
        cache=False,
        criteria=Constraint("accuracy", at_least=-1e9),
        alerts=[{"webhook": hanging_server}, {"file": "alerts.jsonl"}],
        observer=lambda state, event: done.append(state.ended_count),
    )
    assert done[-1] == 6, "the search continued while the webhook hung"
    assert [alert.cause for alert in run.state.alerts] == ["stop:criteria"]
    ((message, _),) = run.state.warnings
    assert message.startswith(
        "alerts could not be sent to the webhook 127.0.0.1: not all alerts were sent within 0.5 s"
    )
    assert json.loads((tmp_path / "run/alerts.jsonl").read_text())["cause"] == "stop:criteria"
    assert b"secret-token" not in (tmp_path / "run/journal.db").read_bytes(), "a literal URL may be a secret"


def test_secrets_and_functions_are_not_stored_and_environment_variables_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = ["console", {"file": "a"}, {"webhook": "https://example.org/x"}, {"webhook": "env:HOOK"}, print]
    assert select_stored_routes(check_routes(specs)) == ["console", {"file": "a"}, {"webhook": "env:HOOK"}]
    monkeypatch.delenv("HOOK", raising=False)
    with pytest.raises(JobError, match=r"the environment variable 'HOOK' holds no URL"):
        AlertRoutes([{"webhook": "env:HOOK"}], tmp_path)


def test_the_next_session_uses_the_stored_routes(tmp_path: Path) -> None:
    common: dict[str, Any] = {"objectives": "accuracy", "epochs": 5, "executor": "inline", "cache": False}
    first: dict[str, Any] = {"alerts": {"file": "alerts.jsonl"}, "run": tmp_path / "run"}
    og.search(SPACE, Staged(0.0), **common, **first, max_trials=3)
    second = {**common, "run": tmp_path / "run", "criteria": [Constraint("accuracy", at_least=-1e9)], "stop": "auto"}
    run = og.search(SPACE, Staged(0.0), **second, max_trials=9)
    assert len(run.trials) == 3, "an existing trial reaches the criteria"
    assert json.loads((tmp_path / "run/alerts.jsonl").read_text())["severity"] == "info"
    og.search(SPACE, Staged(0.0), **second, max_trials=9)
    assert len((tmp_path / "run/alerts.jsonl").read_text().splitlines()) == 1, "once for each cause"
    journal = Journal(tmp_path / "run/journal.db", writable=False)
    changed = [event.data for event in journal.read() if event.kind is Kind.CHANGED]
    journal.close()
    assert set(changed[0]) == {"max_trials", "criteria", "stop"}
