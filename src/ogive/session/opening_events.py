"""The first events of a session. They record the changes of the settings, the environment, and the repeated trials.

This module also checks that a call of `search` may continue the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ogive import formatting
from ogive.run.estimator import Estimator
from ogive.run.events import Event, Kind
from ogive.run.journal import Journal
from ogive.run.manifest import collect_manifest
from ogive.run.settings import Settings
from ogive.run.state import State
from ogive.session.controller_session import collect_setting_changes
from ogive.session.declaration_changes import check_unchanged
from ogive.session.executor_config import ExecutorConfig, check_same_kind_of_time, list_executor_warnings
from ogive.session.run_declaration import RunSpec
from ogive.session.search_checks import (
    TEST_WAS_READ,
    check_executor,
    find_current_price,
    list_continued_run_warnings,
    list_example_input_warnings,
    list_new_run_warnings,
)
from ogive.session.search_code import SOURCES, SearchCode
from ogive.trial import Status

NOT_REPEATABLE = (
    "not repeated, because the failed trials continued from the weights of other trials, and these weights have been "
    "deleted; the schedule starts new trials instead (increase max_trials to allow more trials)"
)
"""The end of the warning about failed trials that are not repeated. It follows the numbers of the trials."""


def prepare_session_events(
    journal: Journal,
    folder: Path,
    run_spec: RunSpec,
    estimator: Estimator,
    *,
    fixed: Mapping[str, Any],
    changeable: Mapping[str, Any],
    config: ExecutorConfig,
) -> list[Event]:
    """Return the events of the journal, followed by the events that open a new session.

    The events that open the session are not yet appended to the journal.

    Args:
        journal: the run's journal.
        folder: the run's folder.
        run_spec: the declaration of the search by this call.
        estimator: the estimator of this call.
        fixed: the arguments of this call that must be equal to the stored ones.
        changeable: the arguments of this call that may differ from the stored settings.
        config: the configuration of the executor.

    Raises:
        JobError: the settings do not fit the executor or the estimator.
        RunError: this call may not continue the run.
    """
    first, *events = journal.read()
    data = run_spec.to_json()
    checked = {name: data[name] for name in (*fixed, "estimator", "fingerprints")}
    check_unchanged(
        State.from_events([first]).declaration, run_spec.space, checked, folder=folder, recipe=data["recipe"]
    )
    stored = {**first.data["settings"], **collect_setting_changes(events)}
    previous = Settings.from_json(stored)
    if changeable.get("workers", previous.workers) != previous.workers:
        # The threads of each trial were chosen, by a plan, for another number of parallel trials. With None,
        # each trial gets an equal share of the cores.
        changeable = {**changeable, "threads": None}
    changes = previous.find_changes(changeable)
    settings = Settings.from_json({**stored, **changes})
    check_executor(config, settings, estimator)
    check_same_kind_of_time(config, events, folder)
    price = find_current_price(settings)
    opening = [Event(Kind.CHANGED, data=changes)] if changes else []
    search_code = SearchCode.of(run_spec.space, estimator)
    session_record = {
        **collect_manifest(settings.workers, settings.workers_per_trial, settings.threads),
        # The key "code" has a hash of the estimator's code only; `SOURCES` has all parts of the search's code.
        "code": estimator.code_hash(),
        SOURCES: search_code.to_json(),
        "trains_models": estimator.trains_models,
        **config.make_session_fields(),
    }
    opening.append(Event(Kind.OPENED, data={**session_record, **({"price": price.to_json()} if price else {})}))
    if any(event.kind is Kind.OPENED for event in events):
        messages = list_continued_run_warnings(events, estimator, search_code, previous=previous, settings=settings)
        messages += list_example_input_warnings(first.data["space"], run_spec.space, events)
    else:
        messages = list_new_run_warnings(run_spec, estimator)
        messages += list_executor_warnings(config, settings.workers)
        messages += list_example_input_warnings(first.data["space"], run_spec.space, events)
        if "warm_start" in first.data:
            # "said" holds the messages of `prepare_warm_start`.
            warm_start = first.data["warm_start"]
            messages.append(f"warm start from {warm_start['run']}: {'; '.join(warm_start['said'])}")
    opening += [Event(Kind.WARNING, data={"message": message}) for message in messages]
    return [first, *events, *opening]


def find_end_reason(events: Sequence[Event]) -> str | None:
    """Return the reason why the search ended; None if it has not ended, or if this call continues it.

    A call continues an ended search if it changes settings, such as the number of trials, repeats failed trials, or has a
    warning, which it then records. The warning `TEST_WAS_READ` alone does not continue the search: every call after the test
    split was read has it. A search that was ended by failures is always continued.

    Args:
        events: the events of the journal, followed by the events that open this session.
    """
    # Events that are in the journal have a sequence number.
    stored = [event for event in events if event.seq]
    last_open_or_end = next((event for event in reversed(stored) if event.kind in (Kind.OPENED, Kind.ENDED)), None)
    if last_open_or_end is None or last_open_or_end.kind is not Kind.ENDED or last_open_or_end.data.get("failures"):
        return None
    new_events = [event for event in events[len(stored) :] if event.kind is not Kind.OPENED]
    if all(event.kind is Kind.WARNING and event.data["message"] == TEST_WAS_READ for event in new_events):
        return str(last_open_or_end.data["why"])
    return None


def repeat_failed_trials(events: Sequence[Event]) -> list[Event]:
    """Return the events that make the controller propose the architectures of failed trials again.

    A trial that continued from the weights of another trial cannot be repeated, because weights are deleted when they are no
    longer needed. A warning names these trials, unless the journal has this warning already.

    Args:
        events: the events of the journal, followed by the events that open this session.
    """
    state = State.from_events(events)
    # An infeasible architecture would be infeasible again, because its screened metrics violate a hard constraint.
    failures = [t for t in state.trials.values() if t.status.failed and t.status is not Status.INFEASIBLE]
    repeated = [trial.id for trial in failures if trial.id not in state.repeated_by and not trial.continues_training]
    not_repeatable = [trial.id for trial in failures if trial.continues_training]
    message = f"{formatting.trials(not_repeatable)}: {NOT_REPEATABLE}"
    is_new = bool(not_repeatable) and all(warning != message for warning, _ in state.warnings)
    return [
        *([Event(Kind.REPEATING, data={"trials": repeated})] if repeated else []),
        *([Event(Kind.WARNING, data={"message": message})] if is_new else []),
    ]
