"""A process that runs episodes: one JSON line in, one JSON line out. Started as `python -m ogive.bench.episode_worker`."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from typing import Any

from ogive.bench import catalog, episode
from ogive.bench.problem import Problem
from ogive.bench.protocol import Protocol
from ogive.errors import OgiveError


def main() -> None:
    """Answer until the input ends. What is printed meanwhile goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    loaded: dict[str, Problem] = {}
    while True:
        answers.write(json.dumps(_answer(json.loads(asked.get()), loaded)) + "\n")
        answers.flush()


def _listen(asked: queue.SimpleQueue[str]) -> None:
    """Take what is asked; who asks no more is dead, and nobody waits for the episode that is running."""
    for line in sys.stdin:
        asked.put(line)
    os._exit(0)


def _answer(asked: dict[str, Any], loaded: dict[str, Problem]) -> dict[str, Any]:
    try:
        spec = asked["benchmark"]
        if spec not in loaded:
            loaded[spec] = catalog.load(spec)
        return episode.run(
            loaded[spec], catalog.entrant(asked["entrant"]), asked["seed"], Protocol(**asked["protocol"])
        )
    except OgiveError as error:
        return {"error": str(error)}
    except Exception:  # noqa: BLE001 - whatever a strategy raises is told by the parent
        return {"error": traceback.format_exc()}


if __name__ == "__main__":
    main()
