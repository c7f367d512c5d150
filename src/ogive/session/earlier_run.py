"""The warm start of a search: the best architectures of an earlier run are stored with the new run, which proposes them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ogive.errors import JobError
from ogive.objective import Constraint, ObjectiveSpec, parse_constraints, parse_objectives
from ogive.registry import check_whole_number
from ogive.run.journal import JOURNAL
from ogive.session.stored_run import StoredRun
from ogive.space import Space
from ogive.strategy.warm_start import DEFAULT_TRIALS, transfer_best

WarmStartSpec = StoredRun | str | os.PathLike[str] | Mapping[str, Any] | None
"""An earlier run, the folder of an earlier run, or {"run": one of these, "trials": the number of architectures to use}."""


def find_earlier_run(spec: WarmStartSpec) -> tuple[Path, int]:
    """Return the folder of the earlier run, and the number of architectures to use.

    Raises:
        JobError: `spec` has another form, or there is no run in the folder.
    """
    options: Mapping[str, Any] = spec if isinstance(spec, Mapping) else {"run": spec}
    run = options.get("run")
    if set(options) - {"run", "trials"} or not isinstance(run, (StoredRun, str, os.PathLike)):
        raise JobError(
            f"warm_start={spec!r}: expected an earlier run, its folder, or {{'run': folder, 'trials': number}}"
        )
    folder = run.folder if isinstance(run, StoredRun) else Path(run)
    if not (folder / JOURNAL).is_file():
        raise JobError(f"warm_start: there is no run in {folder} (no {JOURNAL}); give the folder of an earlier search")
    return folder.absolute(), check_whole_number(
        "warm_start", "trials", options.get("trials", DEFAULT_TRIALS), at_least=1
    )


def prepare_warm_start(
    spec: WarmStartSpec, space: Space, objectives: ObjectiveSpec, constraints: Constraint | Iterable[Constraint]
) -> dict[str, Any]:
    """Select the architectures of a warm start, and return the record for the journal.

    The earlier trials are ranked by the objectives and constraints of the new search. If no earlier trial has
    the metrics of the new objectives, the trials are ranked by the objectives and constraints of the earlier run.

    Args:
        spec: the earlier run and the number of architectures.
        space: the space of the new search.
        objectives: the objectives of the new search.
        constraints: the constraints of the new search.

    Returns:
        The record. Its keys are `run` (the folder of the earlier run), `architectures`, `trials` (the number of each
        architecture's trial in the earlier run), and `said` (messages on how the two spaces match).

    Raises:
        JobError: there is no earlier run, or none of its architectures can be used in `space`.
    """
    folder, count = find_earlier_run(spec)
    state = StoredRun(folder).state
    ranking_objectives, ranking_constraints = parse_objectives(objectives), parse_constraints(constraints)
    trials = list(state.trials.values())
    names = [objective.metric for objective in ranking_objectives]
    is_measured = any(all(name in trial.metrics for name in names) for trial in trials)
    messages = []
    if not is_measured:
        messages = [f"the earlier run did not measure {', '.join(names)}: its trials are ranked by its own objectives"]
        ranking_objectives, ranking_constraints = state.objectives, state.constraints
    result = transfer_best(space, state.space, trials, ranking_objectives, constraints=ranking_constraints, count=count)
    return {
        "run": str(folder),
        "architectures": [dict(labels) for labels in result.architectures],
        "trials": list(result.trials),
        "said": [*messages, *result.messages],
    }
