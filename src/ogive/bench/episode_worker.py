"""A process that runs episodes; started as `python -m ogive.bench.episode_worker`.

It reads one request per line from standard input, as JSON, and writes one result per line to standard output.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from typing import Any

from ogive.bench import catalog
from ogive.bench.episode import run_episode
from ogive.bench.problem import Problem
from ogive.bench.protocol import Protocol
from ogive.errors import OgiveError


def main() -> None:
    """Run the requested episodes, one after the other, until standard input is closed."""
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # From here on, standard output is redirected to standard error, so that a library that prints does not write into the
    # results.
    os.dup2(2, 1)
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()
    problems: dict[str, Problem] = {}
    while True:
        results.write(json.dumps(_run_request(json.loads(requests.get()), problems)) + "\n")
        results.flush()


def _read_requests(requests: queue.SimpleQueue[str]) -> None:
    """Queue the requests. When standard input is closed, end the process at once, even if an episode is running."""
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


def _run_request(request: dict[str, Any], problems: dict[str, Problem]) -> dict[str, Any]:
    """Run an episode, and return its result; if the episode fails, return a dict with the key `error`."""
    try:
        spec = request["benchmark"]
        if spec not in problems:
            problems[spec] = catalog.load(spec)
        method = catalog.parse_method(request["method"])
        return run_episode(problems[spec], method, request["seed"], Protocol(**request["protocol"]))
    except OgiveError as error:
        return {"error": str(error)}
    except Exception:  # noqa: BLE001 - a strategy may raise anything; the parent reports it
        return {"error": traceback.format_exc()}


if __name__ == "__main__":
    main()
