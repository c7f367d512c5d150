"""The creation of a run: its arguments are checked, then its folder and the first events of its journal are written."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.run.database import is_draft
from ogive.run.estimator import Estimator
from ogive.run.events import Event, Kind
from ogive.run.journal import JOURNAL, Journal
from ogive.run.settings import Settings
from ogive.session.controller_session import make_plugins
from ogive.session.executor_config import ExecutorConfig
from ogive.session.planned_search import apply_plan, check_plan
from ogive.session.run_declaration import RunSpec
from ogive.session.search_checks import check_executor, check_fidelities, check_hard_constraints, find_current_price


def create_run(
    folder: Path | None,
    run_spec: RunSpec,
    estimator: Estimator,
    settings: Settings,
    *,
    config: ExecutorConfig,
    plan: Any,
    arguments: Mapping[str, Any],
) -> Path:
    """Create a run and return its folder.

    Args:
        folder: the run's folder; None for a new folder in `runs/`.
        run_spec: the declaration of the search.
        estimator: the estimator of the search.
        settings: the settings of the run.
        config: the configuration of the executor.
        plan: a `Plan`, "auto", or None for a search without a plan.
        arguments: the arguments of the search. Strategy and schedule may be names or objects.

    Raises:
        JobError: the arguments do not fit together.
        RunError: the folder cannot be created, or holds other files.
    """
    check_executor(config, settings, estimator)
    if plan is not None:
        check_plan(plan, run_spec, settings, config.name)
    # Only a check: an error is raised if the price cannot be found, or a budget of money has no price.
    find_current_price(settings)
    check_hard_constraints(run_spec.space, estimator, run_spec.constraints, run_spec.seed)
    # Create the strategy and the schedule once before anything is written, so that errors in their options are found.
    _, schedule = make_plugins(run_spec, arguments, run_spec.to_json(), estimator.screen)
    check_fidelities(schedule, estimator, run_spec.space)
    folder = folder or make_fresh_folder(Path("runs").absolute())
    _prepare_folder(folder)
    forecast: list[Event] = []
    if plan is not None:
        settings, forecast = apply_plan(plan, run_spec, estimator, settings)
    created = Event(Kind.CREATED, data={**run_spec.to_json(), "settings": settings.to_json()})
    Journal.create(folder / JOURNAL, [created, *forecast])
    return folder


def make_fresh_folder(parent: Path) -> Path:
    """Create a folder in `parent` that is named after the current time, and return it.

    The folder is created at once, so that two searches that start in the same second get different folders.

    Raises:
        RunError: the folder cannot be created.
    """
    name = time.strftime("%Y%m%d-%H%M%S")
    for number in itertools.count(1):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunError(
                f"the run's folder {folder} cannot be created: {error}; give another folder with run=..."
            ) from error
        return folder
    raise AssertionError("unreachable")


def _prepare_folder(folder: Path) -> None:
    """Create the folder of a new run.

    Raises:
        RunError: the folder holds other files, or cannot be created.
    """
    if folder.exists() and (not folder.is_dir() or any(not is_draft(path) for path in folder.iterdir())):
        raise RunError(f"{folder} exists already and holds no run; choose a folder that is new or empty")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"the run's folder {folder} cannot be created: {error}; choose another folder") from error
