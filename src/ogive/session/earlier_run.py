"""`warm_start=`: what a search takes over from an earlier run, decided once and journalled with the run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ogive.errors import JobError
from ogive.objective import Constraint, ObjectiveSpec
from ogive.objective import constraints as parse_constraints
from ogive.objective import objectives as parse_objectives
from ogive.registry import whole
from ogive.run.journal import JOURNAL
from ogive.session.stored_run import StoredRun
from ogive.space import Space
from ogive.strategy.warm_start import TRIALS, transfer

WarmStartSpec = StoredRun | str | os.PathLike[str] | Mapping[str, Any] | None
"""An earlier run, its folder, or {"run": either, "trials": how many architectures to take over}."""


def earlier_run(spec: WarmStartSpec) -> tuple[Path, int]:
    """The folder of the earlier run, and how many of its architectures are wanted.

    Raises:
        JobError: `spec` is none of what is allowed, or there is no run.
    """
    given: Mapping[str, Any] = spec if isinstance(spec, Mapping) else {"run": spec}
    run = given.get("run")
    if set(given) - {"run", "trials"} or not isinstance(run, (StoredRun, str, os.PathLike)):
        raise JobError(f"warm_start={spec!r}: an earlier run, its folder, or {{'run': folder, 'trials': number}}")
    folder = run.folder if isinstance(run, StoredRun) else Path(run)
    if not (folder / JOURNAL).is_file():
        raise JobError(f"warm_start: there is no run in {folder} (no {JOURNAL}); give the folder of an earlier search")
    return folder.absolute(), whole("warm_start", "trials", given.get("trials", TRIALS), at_least=1)


def transferred(
    spec: WarmStartSpec, space: Space, objectives: ObjectiveSpec, constraints: Constraint | Iterable[Constraint]
) -> dict[str, Any]:
    """What is journalled: which run, how the spaces match, and the architectures that are proposed first.

    The earlier trials are ordered by what this search is after; where the earlier one did not measure that, by what it was
    after itself.

    Raises:
        JobError: as `earlier_run` and `ogive.strategy.warm_start.transfer`.
    """
    folder, count = earlier_run(spec)
    state = StoredRun(folder).state
    sought, limits = parse_objectives(objectives), parse_constraints(constraints)
    trials = list(state.trials.values())
    needed = [objective.metric for objective in sought]
    measured = any(all(name in trial.metrics for name in needed) for trial in trials)
    said = []
    if not measured:
        said = [f"the earlier run did not measure {', '.join(needed)}: its trials are ordered as they were there"]
        sought, limits = state.objectives, state.constraints
    found = transfer(space, state.space, trials, sought, limits, count)
    return {
        "run": str(folder),
        "architectures": [dict(choices) for choices in found.architectures],
        "trials": list(found.trials),
        "said": [*said, *found.said],
    }
