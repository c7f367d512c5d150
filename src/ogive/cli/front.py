"""`ogive front`: the trials of a run that no other dominates."""

from __future__ import annotations

from ogive.cli.common import AsJson, RunPath, open_run, print_json, print_trials, trial_json


def front(run: RunPath, as_json: AsJson = False) -> None:
    """List the trials that no other dominates in all objectives, by the first objective."""
    opened = open_run(run)
    trials = opened.front()
    if as_json:
        print_json([trial_json(trial) for trial in trials])
    elif trials:
        print_trials(opened.state, trials)
    else:
        print(f"no trial satisfies all constraints yet; {opened.state.failed} have failed")
