"""`ogive front`: the trials of a run that no other dominates."""

from __future__ import annotations

from ogive.cli.common import AsJson, RunPath, open_run, print_json, print_trials, trial_json


def front(run: RunPath, as_json: AsJson = False) -> None:
    """List the trials that no other dominates in all objectives, by the first objective, and name the knee.

    The knee is the trial that lies furthest before the plane through the front's ends: there, giving up a little of one
    objective gains most of the others.
    """
    from ogive.report.subject import Subject
    from ogive.report.words import plural

    opened = open_run(run)
    trials = opened.front()
    knee = Subject(opened.state, None, "").knee
    if as_json:
        print_json([{**trial_json(trial), "knee": knee is not None and knee.trial == trial.id} for trial in trials])
    elif trials:
        print_trials(opened.state, trials)
        if knee is not None:
            print(f"knee: trial {knee.trial}")
    else:
        what = "satisfies all constraints" if opened.state.constraints else "has a value of every objective"
        print(f"no trial {what} yet; {opened.state.failed:,} of {plural(len(opened.state.trials), 'trial')} failed")
