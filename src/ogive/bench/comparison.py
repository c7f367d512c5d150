"""Strategies and schedules compared on benchmarks: every episode once, in parallel, resumable at any moment."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ogive.bench import catalog, episode
from ogive.bench.anytime_curve import Recorder
from ogive.bench.catalog import Entrant
from ogive.bench.problem import Problem
from ogive.bench.protocol import Place, Protocol, Store, environment
from ogive.bench.simulated_search import make_schedule, make_strategy
from ogive.errors import JobError, RunError
from ogive.registry import positive, whole

RANDOM = "random"
"""Always among the entrants."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Comparison:
    """What was asked for, and the episodes that answer it.

    Attributes:
        problems: by specification.
        entrants: in the order in which they were named; random search last where it was not.
        seeds: of every entrant on every benchmark.
        episodes: one for each of them.
        environments: by hash; more than one where versions changed between episodes.
    """

    folder: Path
    protocol: Protocol
    problems: dict[str, Problem]
    entrants: tuple[Entrant, ...]
    seeds: tuple[int, ...]
    episodes: dict[Place, dict[str, Any]]
    environments: dict[str, dict[str, str]]


def compare(
    benchmarks: Sequence[str],
    entrants: Sequence[str],
    folder: str | os.PathLike[str],
    *,
    seeds: int = 30,
    protocol: Protocol | None = None,
    processes: int = 1,
    progress: Progress = lambda done, all_: None,
) -> Comparison:
    """Run every entrant on every benchmark from each seed; episodes that `folder` has are not run again.

    Random search is always among the entrants. Stop it at any moment: the same call goes on where it was.

    Args:
        benchmarks: such as "digits" or "nk:k=5" (`og.bench.load`).
        entrants: such as "regularized_evolution" or "gp:draws=1@asha:eta=3" (`og.bench.catalog.entrant`).
        folder: of the comparison.
        seeds: how many, from 0.
        protocol: trials, workers and the limit of cost.
        processes: episodes at a time; 1 runs them in this process, which knows what you have registered.
        progress: called with how many episodes are done, and of how many.

    Raises:
        JobError: an argument is wrong; told before anything runs.
        RunError: the folder holds another protocol, or an episode failed.
    """
    protocol = protocol or Protocol()
    for name, value in (("trials", protocol.trials), ("workers", protocol.workers), ("seeds", seeds)):
        whole("compare", name, value, at_least=1)
    whole("compare", "processes", processes, at_least=1)
    if protocol.cost is not None:
        positive("compare", "cost", protocol.cost)
    chosen = _entrants(entrants)
    problems = {spec: catalog.load(spec) for spec in dict.fromkeys(benchmarks)}
    if not problems:
        raise JobError("comparison: no benchmark is named; name at least one, such as 'digits'")
    _try(problems, chosen, protocol)
    store = Store(Path(folder), protocol)
    try:
        for spec, problem in problems.items():
            store.keep_benchmark(spec, problem.fingerprint, problem.describe())
        wanted = [(spec, str(e), seed) for seed in range(seeds) for spec in problems for e in chosen]
        there = store.episodes()
        todo = [place for place in wanted if place not in there]
        progress(len(wanted) - len(todo), len(wanted))
        if processes == 1:
            _run_here(todo, len(wanted), store, problems, progress)
        elif todo:
            _run_apart(todo, len(wanted), store, processes, progress)
        found = store.episodes()
        episodes = {place: found[place] for place in wanted}
        used = {episode["environment"] for episode in episodes.values()}
        kept = {code: text for code, text in store.environments().items() if code in used}
    finally:
        store.close()
    return Comparison(Path(folder), protocol, problems, chosen, tuple(range(seeds)), episodes, kept)


def _entrants(specs: Sequence[str]) -> tuple[Entrant, ...]:
    chosen = {str(e): e for e in map(catalog.entrant, specs)}
    chosen.setdefault(RANDOM, catalog.entrant(RANDOM))
    return tuple(chosen.values())


def _try(problems: dict[str, Problem], entrants: Sequence[Entrant], protocol: Protocol) -> None:
    """Make each strategy and schedule once, so that what does not fit a problem is told before anything runs; likewise
    what judges them.
    """
    for spec, problem in problems.items():
        Recorder(problem)
        for e in entrants:
            try:
                make_strategy(e.strategy, problem, protocol.trials)
                make_schedule(e.schedule, problem)
            except JobError as error:
                raise JobError(f"{e} on {spec}: {error}") from error


def _run_here(
    todo: Sequence[Place], total: int, store: Store, problems: dict[str, Problem], progress: Progress
) -> None:
    here = environment()
    for done, place in enumerate(todo, total - len(todo) + 1):
        spec, name, seed = place
        store.add(place, here, episode.run(problems[spec], catalog.entrant(name), seed, store.protocol))
        progress(done, total)


def _run_apart(todo: Sequence[Place], total: int, store: Store, processes: int, progress: Progress) -> None:
    done = total - len(todo)
    waiting: queue.SimpleQueue[Place] = queue.SimpleQueue()
    for place in todo:
        waiting.put(place)
    answers: queue.SimpleQueue[tuple[Place | None, dict[str, Any]]] = queue.SimpleQueue()
    workers = [_start() for _ in range(min(processes, len(todo)))]
    threads = [
        threading.Thread(target=_feed, args=(worker, waiting, answers, store.protocol), daemon=True)
        for worker in workers
    ]
    here = environment()
    try:
        for thread in threads:
            thread.start()
        while done < total:
            answered, result = answers.get()
            if "error" in result or answered is None:
                what = f"{answered[1]} on {answered[0]}, seed {answered[2]}" if answered else "an episode"
                raise RunError(
                    f"{what} failed: {result['error']}\nepisodes that are done are kept; the same call goes on"
                )
            store.add(answered, here, result)
            done += 1
            progress(done, total)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def _start() -> subprocess.Popen[str]:
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return subprocess.Popen(
        [sys.executable, "-m", "ogive.bench.episode_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **one},
        start_new_session=True,  # Ctrl-C is for this process, which then ends them
    )


def _feed(
    worker: subprocess.Popen[str],
    waiting: queue.SimpleQueue[Place],
    answers: queue.SimpleQueue[tuple[Place | None, dict[str, Any]]],
    protocol: Protocol,
) -> None:
    """Give one worker one episode after another."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    place: Place | None = None
    try:
        while True:
            try:
                place = waiting.get_nowait()
            except queue.Empty:
                return
            asked = {"benchmark": place[0], "entrant": place[1], "seed": place[2], "protocol": asdict(protocol)}
            worker.stdin.write(json.dumps(asked) + "\n")
            worker.stdin.flush()
            line = worker.stdout.readline()
            if not line:
                answers.put((place, {"error": f"its process ended with exit code {worker.wait()}"}))
                return
            answers.put((place, json.loads(line)))
    except (OSError, ValueError) as error:
        answers.put((place, {"error": f"its process cannot be reached: {error}"}))
