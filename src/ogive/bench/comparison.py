"""Compare methods (strategies with schedules) on benchmarks: run each episode once, in parallel; resumable at any time."""

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

from ogive.bench import catalog
from ogive.bench.anytime_curve import Recorder
from ogive.bench.catalog import Method
from ogive.bench.episode import run_episode
from ogive.bench.problem import Problem
from ogive.bench.protocol import EpisodeKey, EpisodeStore, Protocol, get_environment
from ogive.bench.simulated_search import make_schedule, make_strategy
from ogive.errors import JobError, RunError
from ogive.registry import check_positive, check_whole_number

RANDOM_SEARCH = "random"
"""The name of random search, which every comparison includes."""
Progress = Callable[[int, int], None]
"""Receives the number of finished episodes and their total number."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The episodes of a comparison.

    Attributes:
        folder: the folder of the comparison.
        protocol: the settings that all episodes share.
        problems: the benchmarks by specification.
        methods: the methods in the order of the call; random search comes last if the call did not name it.
        seeds: the seeds of each method on each benchmark.
        episodes: the result of each episode, as JSON (see `episode.run_episode`).
        environments: the versions of Python and of the packages that the episodes ran with, by hash. There are several
            entries if the versions changed between episodes.
    """

    folder: Path
    protocol: Protocol
    problems: dict[str, Problem]
    methods: tuple[Method, ...]
    seeds: tuple[int, ...]
    episodes: dict[EpisodeKey, dict[str, Any]]
    environments: dict[str, dict[str, str]]


def compare(
    benchmarks: Sequence[str],
    methods: Sequence[str],
    folder: str | os.PathLike[str],
    *,
    seeds: int = 30,
    protocol: Protocol | None = None,
    processes: int = 1,
    progress: Progress = lambda done, total: None,
) -> Comparison:
    """Run each method on each benchmark with each seed. Episodes that are stored in `folder` are not run again.

    Random search is added if it is not among the methods. The call can be interrupted at any time. Another call with
    the same arguments runs the missing episodes.

    Args:
        benchmarks: specifications of benchmarks, such as "digits" or "nk:k=5" (see `og.bench.load`).
        methods: specifications of methods, such as "regularized_evolution" or "gp:draws=1@asha:eta=3" (see
            `og.bench.catalog.parse_method`).
        folder: the folder of the comparison.
        seeds: the number of seeds; they are 0, 1, ...
        protocol: the maximum number of trials, the number of workers, and the limit of the training time.
        processes: the number of episodes that run at a time. With 1 they run in this process, where benchmarks,
            strategies and schedules that were registered at run time are available.
        progress: a function that receives the number of finished episodes and their total number.

    Raises:
        JobError: an argument is not valid; raised before the first episode starts.
        RunError: the folder contains a comparison with another protocol, or an episode failed.
    """
    protocol = protocol or Protocol()
    for name, value in (("trials", protocol.trials), ("workers", protocol.workers), ("seeds", seeds)):
        check_whole_number("compare", name, value, at_least=1)
    check_whole_number("compare", "processes", processes, at_least=1)
    if protocol.cost is not None:
        check_positive("compare", "cost", protocol.cost)
    parsed_methods = _parse_methods(methods)
    problems = {spec: catalog.load(spec) for spec in dict.fromkeys(benchmarks)}
    if not problems:
        raise JobError("comparison: no benchmark is named; name at least one, such as 'digits'")
    _check_methods(problems, parsed_methods, protocol)
    store = EpisodeStore(Path(folder), protocol)
    try:
        for spec, problem in problems.items():
            store.add_benchmark(spec, problem.fingerprint, problem.describe())
        keys = [(spec, str(method), seed) for seed in range(seeds) for spec in problems for method in parsed_methods]
        stored = store.read_episodes()
        missing_keys = [key for key in keys if key not in stored]
        progress(len(keys) - len(missing_keys), len(keys))
        if processes == 1:
            _run_in_this_process(missing_keys, len(keys), store, problems, progress)
        elif missing_keys:
            _run_in_worker_processes(missing_keys, len(keys), store, processes, progress)
        stored = store.read_episodes()
        episodes = {key: stored[key] for key in keys}
        hashes = {episode["environment"] for episode in episodes.values()}
        environments = {key: versions for key, versions in store.read_environments().items() if key in hashes}
    finally:
        store.close()
    return Comparison(
        folder=Path(folder),
        protocol=protocol,
        problems=problems,
        methods=parsed_methods,
        seeds=tuple(range(seeds)),
        episodes=episodes,
        environments=environments,
    )


def _parse_methods(specs: Sequence[str]) -> tuple[Method, ...]:
    methods = {str(method): method for method in map(catalog.parse_method, specs)}
    methods.setdefault(RANDOM_SEARCH, catalog.parse_method(RANDOM_SEARCH))
    return tuple(methods.values())


def _check_methods(problems: dict[str, Problem], methods: Sequence[Method], protocol: Protocol) -> None:
    """Raise JobError if a strategy or a schedule does not fit a benchmark, or if the regret cannot be computed."""
    for spec, problem in problems.items():
        # The objects are created only for the errors that their constructors raise.
        Recorder(problem)
        for method in methods:
            try:
                make_strategy(method.strategy, problem, protocol.trials)
                make_schedule(method.schedule, problem)
            except JobError as error:
                raise JobError(f"{method} on {spec}: {error}") from error


def _run_in_this_process(
    keys: Sequence[EpisodeKey], total: int, store: EpisodeStore, problems: dict[str, Problem], progress: Progress
) -> None:
    """Run and store episodes one after the other in this process."""
    environment = get_environment()
    stored_count = total - len(keys)
    for done, key in enumerate(keys, stored_count + 1):
        spec, name, seed = key
        store.add_episode(
            key, environment, run_episode(problems[spec], catalog.parse_method(name), seed, store.protocol)
        )
        progress(done, total)


def _run_in_worker_processes(
    keys: Sequence[EpisodeKey], total: int, store: EpisodeStore, processes: int, progress: Progress
) -> None:
    """Run episodes in worker processes, and store each as soon as it ends."""
    done = total - len(keys)
    queued_keys: queue.SimpleQueue[EpisodeKey] = queue.SimpleQueue()
    for key in keys:
        queued_keys.put(key)
    results: queue.SimpleQueue[tuple[EpisodeKey | None, dict[str, Any]]] = queue.SimpleQueue()
    workers = [_start_worker() for _ in range(min(processes, len(keys)))]
    threads = [
        threading.Thread(target=_send_episodes, args=(worker, queued_keys, results, store.protocol), daemon=True)
        for worker in workers
    ]
    environment = get_environment()
    try:
        for thread in threads:
            thread.start()
        while done < total:
            finished_key, result = results.get()
            # The key is None if a worker failed before it took an episode from the queue.
            if finished_key is None or "error" in result:
                episode = "an episode"
                if finished_key is not None:
                    benchmark, method, seed = finished_key
                    episode = f"{method} on {benchmark}, seed {seed}"
                raise RunError(
                    f"{episode} failed: {result['error']}\n"
                    "the finished episodes are stored; repeat the same call to run the others"
                )
            store.add_episode(finished_key, environment, result)
            done += 1
            progress(done, total)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def _start_worker() -> subprocess.Popen[str]:
    """Start a process that runs episodes, with one thread for linear algebra."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return subprocess.Popen(
        [sys.executable, "-m", "ogive.bench.episode_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **one_thread},
        start_new_session=True,  # Ctrl-C interrupts this process only, which then kills the workers
    )


def _send_episodes(
    worker: subprocess.Popen[str],
    queued_keys: queue.SimpleQueue[EpisodeKey],
    results: queue.SimpleQueue[tuple[EpisodeKey | None, dict[str, Any]]],
    protocol: Protocol,
) -> None:
    """Send queued episodes to one worker, one at a time, until the queue is empty.

    A failure of the worker is a result with the key `error`.
    """
    assert worker.stdin is not None
    assert worker.stdout is not None
    key: EpisodeKey | None = None
    try:
        while True:
            try:
                key = queued_keys.get_nowait()
            except queue.Empty:
                return
            benchmark, method, seed = key
            request = {"benchmark": benchmark, "method": method, "seed": seed, "protocol": asdict(protocol)}
            worker.stdin.write(json.dumps(request) + "\n")
            worker.stdin.flush()
            line = worker.stdout.readline()
            if not line:
                results.put((key, {"error": f"the worker process ended with exit code {worker.wait()}"}))
                return
            results.put((key, json.loads(line)))
    except (OSError, ValueError) as error:
        results.put((key, {"error": f"the connection to the worker process failed: {error}"}))
