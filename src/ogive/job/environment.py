"""Check that a job fits its environment: cores, executor, prices, routes of alerts; and that its phases are valid."""

from __future__ import annotations

from pathlib import Path

from ogive.api.funnel import Phase
from ogive.errors import JobError
from ogive.formatting import plural
from ogive.job.key_types import AUTO
from ogive.job.keys import JobKeys
from ogive.job.yaml_source import Source, locate_errors
from ogive.run import alert_route_specs
from ogive.run.executor import STARTUP_SECONDS
from ogive.run.manifest import count_cores
from ogive.run.prices import find_price
from ogive.session.executor_config import parse_executor_config

OPTIONS_WITHOUT_PHASES = ("max_trials", "budget")
"""Options of the command line that only a job without phases may use, because each phase has its own value."""


def check_machine(source: Source, keys: JobKeys) -> None:
    """Raise JobError if the machine has too few cores, if the executor does not support a key, or if two keys conflict."""
    with locate_errors(source, "executor"):
        is_simulated = parse_executor_config(keys.executor).is_simulated
    if isinstance(keys.parallel_trials, int) and keys.parallel_trials > count_cores() and not is_simulated:
        raise source.error(
            ("parallel_trials",),
            f"found {keys.parallel_trials} trials at a time for {plural(count_cores(), 'core')}; give at most "
            f"{count_cores()}, because each trial needs a core",
        )
    if keys.parallel_trials == AUTO and keys.workers_per_trial > 1:
        raise source.error(
            ("workers_per_trial",),
            f"found {keys.workers_per_trial} beside `parallel_trials: auto`, with which a plan decides the workers of each "
            "trial; leave this key out, or give `parallel_trials` a number",
        )
    if keys.executor == "inline":
        _check_inline(source, keys)
    if is_simulated:
        _check_simulated(source, keys)


def _check_inline(source: Source, keys: JobKeys) -> None:
    """Raise JobError if a key is set that the inline executor does not support."""
    for name, default in (
        ("parallel_trials", 1),
        ("workers_per_trial", 1),
        ("time_limit", None),
        ("memory_limit", None),
        ("startup_limit", STARTUP_SECONDS),
    ):
        if getattr(keys, name) not in (default, None):
            raise source.error(
                (name,),
                "`executor: inline` has one worker and no limits; leave this key out, or use `executor: processes`",
            )


def _check_simulated(source: Source, keys: JobKeys) -> None:
    """Raise JobError if a key is set that the simulated executor does not support."""
    if keys.parallel_trials == AUTO:
        raise source.error(("parallel_trials",), "`executor: simulated` has no cores to divide; give a number")
    for name in ("time_limit", "memory_limit", "startup_limit", "finalize"):
        default = STARTUP_SECONDS if name == "startup_limit" else None
        if getattr(keys, name) not in (None, default):
            raise source.error((name,), "`executor: simulated` trains nothing; leave this key out")


def check_routes(source: Source, keys: JobKeys) -> None:
    """Raise JobError if an alert route or a sink is unknown, or has wrong options."""
    from ogive import sinks

    for index, route in enumerate(keys.alerts):
        with locate_errors(source, "alerts", index):
            try:
                alert_route_specs.check_webhook_urls(alert_route_specs.check_routes([route]))
            except JobError as error:
                raise JobError(str(error).removeprefix("alerts: ")) from error
    for index, sink in enumerate(keys.sinks):
        with locate_errors(source, "sinks", index):
            try:
                sinks.check_specs([sink])
            except JobError as error:
                raise JobError(str(error).removeprefix("sinks: ")) from error


def resolve_price(source: Source, keys: JobKeys) -> float | str | None:
    """Return the price in the form of `Settings.price`. The path of a price file is relative to the job file.

    Raises:
        JobError: there is no such price, or the job limits money without a price.
    """
    price = keys.price
    if isinstance(price, str) and ":" in price:
        file, _, name = price.rpartition(":")
        price = f"{source.path.resolve().parent / Path(file).expanduser()}:{name}"
    with locate_errors(source, "price"):
        find_price(price)
    if price is None:
        if keys.budget is not None and keys.budget.money is not None:
            raise source.error(("budget", "money"), "money is limited, but the job has no price; give `price` as well")
        if keys.confirm_above is not None:
            raise source.error(
                ("confirm_above",), "is an amount of money, but the job has no price; give `price` as well"
            )
    return price


def check_phases(source: Source, keys: JobKeys) -> None:
    """Raise JobError if the phases cannot follow each other in this order."""
    assert keys.phases is not None
    if not keys.phases:
        raise source.error(("phases",), "found no phase; give at least one, or leave `phases` out")
    for name in OPTIONS_WITHOUT_PHASES:
        if name in source.options:
            raise source.error((name,), "the job has phases, each with its own value; change it in the job file")
    if keys.finalize is not None:
        raise source.error(
            ("finalize",), "the job has phases; make it the last one: `full: {finalize: {...}}` under `phases`"
        )
    for index, (name, phase) in enumerate(keys.phases.items()):
        with locate_errors(source, "phases", name):
            Phase(name)  # checks the name
        if phase.finalize is None:
            continue
        if index == 0:
            raise source.error(
                ("phases", name, "finalize"), "there is no phase before it whose best trials could be trained"
            )
        if parse_executor_config(keys.executor).is_simulated:
            raise source.error(("phases", name, "finalize"), "`executor: simulated` trains nothing; leave this key out")
        if index < len(keys.phases) - 1:
            raise source.error(("phases", name, "finalize"), "full training of the best comes last; move it to the end")
        others = sorted(phase.model_fields_set - {"finalize", "go"})
        if others:
            raise source.error(
                ("phases", name, others[0]), "this phase does full training and no search; leave this key out"
            )
