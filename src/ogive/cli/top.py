"""`ogive top`: the best trials of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from ogive.cli.common import AsJson, RunPath, open_run, print_json, print_trials, trial_json


def top(
    run: RunPath,
    k: Annotated[int, typer.Option("-k", min=1, help="How many.")] = 10,
    as_json: AsJson = False,
) -> None:
    """List the best trials of a run, best first; where none satisfies the constraints, those that come nearest."""
    from ogive.report.results import nearest, why_none

    opened = open_run(run)
    trials = opened.top(k)
    if as_json:
        print_json([trial_json(trial) for trial in trials])
    elif trials:
        print_trials(opened.state, trials)
    else:
        print(why_none(opened.state))
        near = nearest(opened.state, k)
        if near:
            print_trials(opened.state, near, ranked=False)
