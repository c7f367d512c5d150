"""Benchmarks, strategies and schedules by name, as the command line writes them: `nk:n=8,k=2`, `gp:draws=1@asha:eta=3`."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ogive import schedule as schedules
from ogive import strategy as strategies
from ogive.bench.problem import Problem
from ogive.bench.simulated_search import FULL, PluginSpec
from ogive.bench.wrappers import WRAPPERS
from ogive.errors import JobError
from ogive.objective import Objective
from ogive.registry import Registry
from ogive.space import Space

_REGISTRY: Registry[Problem] = Registry(
    "benchmark",
    given=(),
    factories={
        "digits": "ogive.bench.digits:load",
        "curves": "ogive.bench.curve_file:load",
        "nasbench201": "ogive.bench.nasbench201:load",
        "nasbench201-pth": "ogive.bench.nasbench201_pth:load",
        "analog": "ogive.bench.nasbench201:analog",
        "nats": "ogive.bench.nats:load",
        "hw-nasbench": "ogive.bench.catalog:hardware",
        "nasbench101": "ogive.bench.nasbench101:load",
        "nasbench-graph": "ogive.bench.nasbench_graph:load",
        "table": "ogive.bench.catalog:table",
        "additive": "ogive.bench.synthetic:Additive",
        "nk": "ogive.bench.synthetic:nk",
        "chain": "ogive.bench.synthetic:Chain",
    },
)
ABOUT = {
    "digits": "learning curves of 1,554 convolutional chains on digits, three seeds",
    "curves": "a file of learning curves that `ogive bench build` wrote",
    "nasbench201": "a CSV of measurements of NAS-Bench-201's 15,625 cells",
    "nasbench201-pth": "NAS-Bench-201's table, as first published (.pth)",
    "analog": "AnalogNAS-Bench: NAS-Bench-201's cells trained anew (package analog-nasbench)",
    "nats": "NATS-Bench's topology table, as published",
    "hw-nasbench": "HW-NAS-Bench's latencies and energies beside the accuracies of NAS-Bench-201's cells",
    "nasbench101": "NAS-Bench-101's 423,624 cells, as published (TFRecord)",
    "nasbench-graph": "NAS-Bench-Graph's 26,206 graph networks (package nas-bench-graph)",
    "table": "your own CSV, with the space as `ogive space --json` prints it",
    "additive": "synthetic: each decision adds its part",
    "nk": "synthetic: Kauffman's NK landscape, as rugged as k says",
    "chain": "synthetic: conditional depth, widths and operations, with learning curves",
}


def names() -> tuple[str, ...]:
    """The benchmarks that `load` knows."""
    return _REGISTRY.names()


def register(name: str, factory: str | Callable[..., Problem]) -> None:
    """Make `factory(**options)`, or "module:name" of one, known as `name`."""
    _REGISTRY.register(name, factory)


def options(name: str) -> dict[str, Any]:
    """The options of the benchmark called `name` with their defaults; `inspect.Parameter.empty` where there is none."""
    found = _REGISTRY.options(name).items()
    return {k: v for k, v in found if k not in ("space", "name", "source") or v is inspect.Parameter.empty}


def load(spec: str, **given: Any) -> Problem:
    """The problem that `spec` names: a benchmark with its options, and with wrappers around it.

    The options noise=DEVIATION, failures=SHARE, permuted=SEED and irrelevant=DECISIONS fit every benchmark and wrap it in
    that order. A path's `~` is expanded.

    Raises:
        JobError: there is no such benchmark or option (the nearest is suggested), or it cannot be read.
        MissingExtra: it needs a package that is not installed.
    """
    named = parse(spec)
    chosen = {**named.options, **given}
    wrapped = {name: chosen.pop(name) for name in WRAPPERS if name in chosen}
    _REGISTRY.check_options(named.name, chosen)
    for name, value in chosen.items():
        if name in ("path", "accuracies", "space") and isinstance(value, str):
            chosen[name] = str(Path(value).expanduser())
    problem = _REGISTRY.factory(named.name)(**chosen)
    for name, value in wrapped.items():
        problem = WRAPPERS[name](problem, value)
    return problem


@dataclass(frozen=True)
class Entrant:
    """One side of a comparison: a strategy, and a schedule beside it."""

    strategy: PluginSpec
    schedule: PluginSpec = FULL

    def __str__(self) -> str:
        alone = self.schedule == (brought(self.strategy) or FULL)
        return str(self.strategy) if alone else f"{self.strategy}@{self.schedule}"


def entrant(spec: str) -> Entrant:
    """`strategy[:option=value,...][@schedule[:option=value,...]]`, seen to exist with these options.

    Raises:
        JobError: there is no such strategy, schedule or option; the nearest name is suggested.
    """
    first, at, second = spec.partition("@")
    strategy, schedule = parse(first), parse(second) if at else FULL
    strategies.check_options(strategy.name, strategy.options)
    schedules.check_options(schedule.name, schedule.options)
    own = brought(strategy)
    if own is not None and at:
        raise JobError(
            f"{spec!r}: strategy {strategy.name!r} brings its own schedule, {own.name!r}; leave @{second} out"
        )
    return Entrant(strategy, own or schedule)


def brought(strategy: PluginSpec) -> PluginSpec | None:
    """The schedule that a strategy brings along, as BOHB and DEHB do, with those of its options that are the schedule's."""
    own = strategies.brought(strategy.name, strategy.options)
    return None if own is None else next(PluginSpec(name, options) for name, options in own.items())


def parse(spec: str) -> PluginSpec:
    """`name[:option=value,...]`; values as YAML writes them, commas within brackets are part of them.

    Raises:
        JobError: an option has no value, or stands there twice.
    """
    name, colon, rest = spec.partition(":")
    found: dict[str, Any] = {}
    for part in re.split(r",(?![^\[{]*[\]}])", rest) if colon and rest else ():
        option, equals, text = part.partition("=")
        if not equals or not option.strip() or option.strip() in found:
            raise JobError(f"{spec!r}: {part!r} is no option; write name:option=value,option=value, each option once")
        try:
            found[option.strip()] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise JobError(f"{spec!r}: the value of {option!r} cannot be read: {error}") from error
    return PluginSpec(name.strip(), found)


def needs(name: str) -> list[str]:
    """The options that a benchmark cannot do without."""
    return [key for key, value in options(name).items() if value is inspect.Parameter.empty]


# -- benchmarks whose Python functions take objects, from what a command line can write ---------------------------


def table(
    path: str,
    space: str,
    objective: str = "accuracy",
    goal: str = "",
    test: str = "",
    continuable: bool = True,
    split: str = "validation",
) -> Problem:
    """Your own CSV (see `og.bench.columns.load`), with the space as JSON: `ogive space JOB --json > space.json`.

    Args:
        path: of the CSV.
        space: the JSON file.
        objective: a column.
        goal: "maximize" or "minimize", where its name does not tell.
        test: the column that a report judges the objective by.
        continuable: the rows of one architecture are epochs of one training.
        split: what the objective was measured on.
    """
    from ogive.bench import columns

    try:
        declared = Space.from_json(json.loads(Path(space).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobError(
            f"{space}: is no space ({type(error).__name__}: {error}); write one with: ogive space JOB --json > space.json"
        ) from error
    tested: Mapping[str, str] = {objective: test} if test else {}
    return columns.load(path, declared, Objective(objective, goal), test=tested, continuable=continuable, split=split)


def hardware(path: str, accuracies: str = "", metric: str = "edgegpu_latency", data: str = "cifar10") -> Problem:
    """HW-NAS-Bench's pickle, beside accuracies from a CSV of NAS-Bench-201, or from the package analog-nasbench."""
    from ogive.bench import hw_nasbench, nasbench201

    table = nasbench201.load(accuracies) if accuracies else nasbench201.analog()
    return hw_nasbench.beside(table, path, metric, data)
