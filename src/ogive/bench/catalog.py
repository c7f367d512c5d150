"""Benchmarks and methods by specification, as the command line writes them: `nk:n=8,k=2`, `gp:draws=1@asha:eta=3`."""

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
from ogive.bench.simulated_search import FULL_SCHEDULE, PluginSpec
from ogive.bench.wrappers import WRAPPERS
from ogive.errors import JobError
from ogive.objective import Objective
from ogive.registry import Registry
from ogive.space import Space

_REGISTRY: Registry[Problem] = Registry(
    "benchmark",
    reserved=(),
    factories={
        "digits": "ogive.bench.digits:load",
        "curves": "ogive.bench.curve_file:load",
        "nasbench201": "ogive.bench.nasbench201:load",
        "nasbench201-pth": "ogive.bench.nasbench201_pth:load",
        "analog": "ogive.bench.nasbench201:load_analog",
        "nats": "ogive.bench.nats:load",
        "hw-nasbench": "ogive.bench.catalog:load_hw_nasbench",
        "nasbench101": "ogive.bench.nasbench101:load",
        "nasbench-graph": "ogive.bench.nasbench_graph:load",
        "table": "ogive.bench.catalog:load_table",
        "additive": "ogive.bench.synthetic:Additive",
        "nk": "ogive.bench.synthetic:nk",
        "chain": "ogive.bench.synthetic:Chain",
    },
)
DESCRIPTIONS = {
    "digits": "learning curves of 1,554 convolutional chains on digits, three seeds",
    "curves": "a file of learning curves that `ogive bench build` wrote",
    "nasbench201": "a CSV of measurements of NAS-Bench-201's 15,625 cells",
    "nasbench201-pth": "NAS-Bench-201's table, as first published (.pth)",
    "analog": "AnalogNAS-Bench: NAS-Bench-201's cells trained again (package analog-nasbench)",
    "nats": "NATS-Bench's topology table, as published",
    "hw-nasbench": "HW-NAS-Bench's latencies and energies of NAS-Bench-201's cells, with accuracies from another table",
    "nasbench101": "NAS-Bench-101's 423,624 cells, as published (TFRecord)",
    "nasbench-graph": "NAS-Bench-Graph's 26,206 graph networks (package nas-bench-graph)",
    "table": "your own CSV, with the space as `ogive space --json` prints it",
    "additive": "synthetic: the sum of one value per decision",
    "nk": "synthetic: Kauffman's NK landscape; the larger k, the more local optima",
    "chain": "synthetic: conditional depth, widths and operations, with learning curves",
}


def names() -> tuple[str, ...]:
    """Return the names of the benchmarks that `load` accepts."""
    return _REGISTRY.names()


def register(name: str, factory: str | Callable[..., Problem]) -> None:
    """Register `factory(**options)` as the benchmark `name`; the factory is a function, or the string "module:function"."""
    _REGISTRY.register(name, factory)


def list_options(name: str) -> dict[str, Any]:
    """Return the options of a benchmark with their defaults; `inspect.Parameter.empty` for a required option."""
    # Arguments that only Python code passes are not listed, unless they are required.
    parameters = _REGISTRY.options(name).items()
    return {k: v for k, v in parameters if k not in ("space", "name", "source") or v is inspect.Parameter.empty}


def load(spec: str, **more_options: Any) -> Problem:
    """Return the problem that `spec` specifies: a benchmark, in the wrappers that its options name.

    Every benchmark accepts the options noise=DEVIATION, failures=SHARE, permuted=SEED and irrelevant=DECISIONS. Each of
    these options adds a wrapper, in this order. A leading `~` of a path is expanded.

    Args:
        spec: the specification, such as "digits" or "nk:n=8,k=2,noise=0.05".
        more_options: further options; they replace options of the same name in `spec`.

    Raises:
        JobError: there is no such benchmark or option (the nearest name is suggested), or its files cannot be read.
        MissingExtra: the benchmark needs a package that is not installed.
    """
    plugin = parse_plugin(spec)
    benchmark_options = {**plugin.options, **more_options}
    wrapper_options = {name: benchmark_options.pop(name) for name in WRAPPERS if name in benchmark_options}
    _REGISTRY.check_options(plugin.name, benchmark_options)
    for name, value in benchmark_options.items():
        if name in ("path", "accuracies", "space") and isinstance(value, str):
            benchmark_options[name] = str(Path(value).expanduser())
    problem = _REGISTRY.factory(plugin.name)(**benchmark_options)
    for name, value in wrapper_options.items():
        problem = WRAPPERS[name](problem, value)
    return problem


@dataclass(frozen=True)
class Method:
    """A strategy with a schedule. The tables of a comparison have one row for each method."""

    strategy: PluginSpec
    schedule: PluginSpec = FULL_SCHEDULE

    def __str__(self) -> str:
        default = get_bundled_schedule(self.strategy) or FULL_SCHEDULE
        return str(self.strategy) if self.schedule == default else f"{self.strategy}@{self.schedule}"


def parse_method(spec: str) -> Method:
    """Parse `strategy[:option=value,...][@schedule[:option=value,...]]`.

    Raises:
        JobError: there is no such strategy, schedule or option (the nearest name is suggested), or `spec` has a schedule for
            a strategy that has its own.
    """
    strategy_spec, separator, schedule_spec = spec.partition("@")
    strategy, schedule = parse_plugin(strategy_spec), parse_plugin(schedule_spec) if separator else FULL_SCHEDULE
    strategies.check_options(strategy.name, strategy.options)
    schedules.check_options(schedule.name, schedule.options)
    bundled = get_bundled_schedule(strategy)
    if bundled is not None and separator:
        raise JobError(
            f"{spec!r}: strategy {strategy.name!r} brings its own schedule, {bundled.name!r}; remove @{schedule_spec}"
        )
    return Method(strategy, bundled or schedule)


def get_bundled_schedule(strategy: PluginSpec) -> PluginSpec | None:
    """Return the schedule that is part of a strategy such as BOHB or DEHB, with its options; None for other strategies."""
    schedule = strategies.paired_schedule(strategy.name, strategy.options)
    # The mapping has one entry: the name of the schedule, with its options.
    return None if schedule is None else next(PluginSpec(name, options) for name, options in schedule.items())


def parse_plugin(spec: str) -> PluginSpec:
    """Parse `name[:option=value,...]`. Values are YAML; commas within brackets do not separate options.

    Raises:
        JobError: an option has no value, appears twice, or has a value that is not valid YAML.
    """
    name, _, option_text = spec.partition(":")
    parsed: dict[str, Any] = {}
    # Split at commas outside of brackets: a comma is inside if a closing bracket follows before any opening one.
    for part in re.split(r",(?![^\[{]*[\]}])", option_text) if option_text else ():
        option, separator, text = part.partition("=")
        if not separator or not option.strip() or option.strip() in parsed:
            raise JobError(
                f"{spec!r}: {part!r} is not a valid option; write name:option=value,option=value, each option once"
            )
        try:
            parsed[option.strip()] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise JobError(f"{spec!r}: the value of {option!r} cannot be read: {error}") from error
    return PluginSpec(name.strip(), parsed)


def get_required_options(name: str) -> list[str]:
    """Return the options of a benchmark that have no default."""
    return [key for key, value in list_options(name).items() if value is inspect.Parameter.empty]


# -- factories of benchmarks that build Python objects from the strings of a command line -------------------------


def load_table(
    path: str,
    space: str,
    objective: str = "accuracy",
    goal: str = "",
    test: str = "",
    continuable: bool = True,
    split: str = "validation",
) -> Problem:
    """Load a CSV file (see `og.bench.columns.load`) with the space as JSON: `ogive space JOB --json > space.json`.

    Args:
        path: the CSV file.
        space: the JSON file of the space.
        objective: the column to optimize.
        goal: "maximize" or "minimize"; "" if the name of the column implies the goal.
        test: the column with the objective on the test split, for the report; "" if there is none.
        continuable: whether the rows of one architecture are epochs of one training.
        split: the split that the objective was measured on.
    """
    from ogive.bench import columns

    try:
        declared_space = Space.from_json(json.loads(Path(space).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobError(
            f"{space}: is not the JSON of a space ({type(error).__name__}: {error}); write it with: "
            "ogive space JOB --json > space.json"
        ) from error
    test_columns: Mapping[str, str] = {objective: test} if test else {}
    return columns.load(
        path, declared_space, Objective(objective, goal), test=test_columns, continuable=continuable, split=split
    )


def load_hw_nasbench(
    path: str, accuracies: str = "", metric: str = "edgegpu_latency", data: str = "cifar10"
) -> Problem:
    """Load HW-NAS-Bench's pickle, and accuracies of the same cells from another table.

    Args:
        path: the pickle of HW-NAS-Bench.
        accuracies: the path of a CSV file of NAS-Bench-201; by default the package analog-nasbench.
        metric: the second objective, one of `hw_nasbench.HARDWARE_METRICS`.
        data: the data set of the networks whose hardware metrics were measured.
    """
    from ogive.bench import hw_nasbench, nasbench201

    table = nasbench201.load(accuracies) if accuracies else nasbench201.load_analog()
    return hw_nasbench.add_hardware_metric(table, path, metric, data)
