"""`ogive front`: list the Pareto front of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ogive.cli.common import AsJson, RunPath, open_run, print_networks, print_trials, print_warnings, trial_json
from ogive.cli.terminal import print_json, print_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ogive.report.frontier import Knee
    from ogive.trial import Trial


def front(run: RunPath, as_json: AsJson = False) -> None:
    """List the Pareto front of a run.

    The front has the trials that no other trial dominates, sorted by the first
    objective. Its knee is the trial furthest from the plane through the ends of
    the front: there a small loss in one objective gains most in the others.
    After full training, the front of full training is listed below.

    Example: ogive front runs/digits
    """
    from ogive.formatting import plural
    from ogive.report.subject import Subject

    opened = open_run(run)
    trials = opened.front()
    knee = Subject(opened.state, None, "").knee
    stages = opened.stages
    winners = stages.winners if stages.full_training_result is not None else []
    if as_json:
        results = {winner.trial.id: winner.to_json() for winner in winners}
        print_json([_row_json(trial, knee, results) for trial in trials])
    elif trials:
        print_trials(opened.state, trials)
        if knee is not None:
            print_text(f"knee: trial {knee.trial}")
        if winners:
            print_text("\nwinners of full training:")
            print_networks(opened.state, winners)
        print_warnings(opened)
    else:
        missing = "satisfies all constraints" if opened.state.constraints else "has a value of every objective"
        print_text(
            f"no trial {missing} yet; {opened.state.failed_count:,} of {plural(len(opened.state.trials), 'trial')} failed"
        )


def _row_json(trial: Trial, knee: Knee | None, full_training: Mapping[int, Any]) -> dict[str, Any]:
    """Return a trial of the front as JSON; `full_training` has the results of winners, by the id of their trial."""
    return {
        **trial_json(trial),
        "knee": knee is not None and knee.trial == trial.id,
        "full_training": full_training.get(trial.id),
    }
