"""What a job asks of the world around it: cores, prices, addresses for alerts, folders of phases."""

from __future__ import annotations

from pathlib import Path

from ogive.api.funnel import Phase
from ogive.errors import JobError
from ogive.job.keys import AUTO, JobKeys
from ogive.job.yaml_source import Source, blamed
from ogive.run import alert_route_specs
from ogive.run.executor import STARTUP_SECONDS
from ogive.run.manifest import cores
from ogive.run.prices import find_price
from ogive.session.executor_config import executor_config

OVERRIDDEN = ("max_trials", "budget")
"""Options of the command line that mean one search."""


def check_machine(source: Source, keys: JobKeys) -> None:
    """See that the machine and the executor can give what is asked for."""
    with blamed(source, "executor"):
        simulated = executor_config(keys.executor).simulated
    if isinstance(keys.parallel_trials, int) and keys.parallel_trials > cores() and not simulated:
        raise source.error(
            ("parallel_trials",),
            f"found {keys.parallel_trials} trials at a time for {cores()} cores; give at most {cores()}, each needs one",
        )
    if keys.parallel_trials == AUTO and keys.workers_per_trial > 1:
        raise source.error(
            ("workers_per_trial",),
            f"found {keys.workers_per_trial} beside `parallel_trials: auto`: a plan decides what each trial is given; leave "
            "it out, or give `parallel_trials` a number",
        )
    if keys.executor == "inline":
        for name, off in (
            ("parallel_trials", 1),
            ("workers_per_trial", 1),
            ("time_limit", None),
            ("memory_limit", None),
            ("startup_limit", STARTUP_SECONDS),
        ):
            if getattr(keys, name) not in (off, None):
                raise source.error(
                    (name,), "`executor: inline` has one worker and no limits; use `executor: processes`"
                )
    if simulated:
        if keys.parallel_trials == AUTO:
            raise source.error(("parallel_trials",), "`executor: simulated` has no cores to share out; give a number")
        for name in ("time_limit", "memory_limit", "startup_limit", "finalize"):
            if getattr(keys, name) not in (None, STARTUP_SECONDS if name == "startup_limit" else None):
                raise source.error((name,), "`executor: simulated` trains nothing; leave it out")


def check_routes(source: Source, keys: JobKeys) -> None:
    """See that alerts and sinks have somewhere to go."""
    from ogive import sinks

    for index, route in enumerate(keys.alerts):
        with blamed(source, "alerts", index):
            try:
                alert_route_specs.check_addresses(alert_route_specs.check_routes([route]))
            except JobError as error:
                raise JobError(str(error).removeprefix("alerts: ")) from error
    for index, sink in enumerate(keys.sinks):
        with blamed(source, "sinks", index):
            try:
                sinks.check_specs([sink])
            except JobError as error:
                raise JobError(str(error).removeprefix("sinks: ")) from error


def price_of(source: Source, keys: JobKeys) -> float | str | None:
    """The price as a run's settings take it; a file of prices is found relative to the job's.

    Raises:
        JobError: there is no such price, or money is limited and nothing has a price.
    """
    price = keys.price
    if isinstance(price, str) and ":" in price:
        where, _, name = price.rpartition(":")
        price = f"{source.path.resolve().parent / Path(where).expanduser()}:{name}"
    with blamed(source, "price"):
        find_price(price)
    if price is None:
        if keys.budget is not None and keys.budget.money is not None:
            raise source.error(("budget", "money"), "money is limited, but nothing has a price; give `price` as well")
        if keys.confirm_above is not None:
            raise source.error(
                ("confirm_above",), "is an amount of money, but nothing has a price; give `price` as well"
            )
    return price


def check_phases(source: Source, keys: JobKeys) -> None:
    """See that the phases can follow each other."""
    assert keys.phases is not None
    if not keys.phases:
        raise source.error(("phases",), "found no phase; give at least one, or leave `phases` out")
    for name in OVERRIDDEN:
        if name in source.options:
            raise source.error((name,), "the job has phases, each with its own; change it in the job's file")
    if keys.finalize is not None:
        raise source.error(
            ("finalize",), "the job has phases; make it the last one: `full: {finalize: {...}}` under `phases`"
        )
    for index, (name, phase) in enumerate(keys.phases.items()):
        with blamed(source, "phases", name):
            Phase(name)
        if phase.finalize is None:
            continue
        if index == 0:
            raise source.error(("phases", name, "finalize"), "there is no phase before it whose best could be trained")
        if executor_config(keys.executor).simulated:
            raise source.error(("phases", name, "finalize"), "`executor: simulated` trains nothing; leave it out")
        if index < len(keys.phases) - 1:
            raise source.error(("phases", name, "finalize"), "full training of the best comes last; move it to the end")
        others = sorted(phase.model_fields_set - {"finalize", "go"})
        if others:
            raise source.error(
                ("phases", name, others[0]), "this phase trains the best in full and searches nothing; leave it out"
            )
