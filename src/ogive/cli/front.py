"""`ogive front`: the trials of a run that no other dominates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ogive.cli.common import (
    AsJson,
    RunPath,
    open_run,
    print_json,
    print_networks,
    print_notes,
    print_trials,
    trial_json,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ogive.report.frontier import Knee
    from ogive.trial import Trial


def front(run: RunPath, as_json: AsJson = False) -> None:
    """List the trials that no other dominates in all objectives, by the first objective, and name the knee.

    Where the best were trained in full, those that no other dominates after it are listed below: the winners.

    The knee is the trial that lies furthest before the plane through the front's ends: there, giving up a little of one
    objective gains most of the others.
    """
    from ogive.formatting import plural
    from ogive.report.subject import Subject

    opened = open_run(run)
    trials = opened.front()
    knee = Subject(opened.state, None, "").knee
    stages = opened.stages
    winners = stages.winners if stages.result is not None else []
    won = {winner.trial.id: winner.to_json() for winner in winners}
    if as_json:
        print_json([_row(trial, knee, won) for trial in trials])
    elif trials:
        print_trials(opened.state, trials)
        if knee is not None:
            print(f"knee: trial {knee.trial}")
        if winners:
            print("\nwinners of full training:")
            print_networks(opened.state, winners)
        print_notes(opened)
    else:
        what = "satisfies all constraints" if opened.state.constraints else "has a value of every objective"
        print(f"no trial {what} yet; {opened.state.failed:,} of {plural(len(opened.state.trials), 'trial')} failed")


def _row(trial: Trial, knee: Knee | None, won: Mapping[int, Any]) -> dict[str, Any]:
    """A trial of the front for scripts; `full_training` is what the second stage made of a winner, else null."""
    return {
        **trial_json(trial),
        "knee": knee is not None and knee.trial == trial.id,
        "full_training": won.get(trial.id),
    }
