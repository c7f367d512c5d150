"""`ogive top`: list the best networks of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from ogive.cli.common import AsJson, RunPath, network_json, open_run, print_networks, print_trials, print_warnings
from ogive.cli.terminal import print_json, print_text


def top(
    run: RunPath,
    k: Annotated[int, typer.Option("-k", min=1, help="Number of networks.")] = 10,
    as_json: AsJson = False,
) -> None:
    """List the best networks of a run.

    Networks that were trained in full come first, with the ranks and metrics of
    full training; the others have the metrics of the search. If no trial
    satisfies the constraints, those that come nearest are listed.

    Example: ogive top runs/digits -k 3
    """
    from ogive.run.results import explain_no_best, find_least_violating

    opened = open_run(run)
    networks = opened.stages.rank_networks(k)
    if as_json:
        print_json([network_json(network) for network in networks])
    elif networks:
        print_networks(opened.state, networks)
        print_warnings(opened)
    else:
        print_text(explain_no_best(opened.state))
        trials = find_least_violating(opened.state, k)
        if trials:
            print_trials(opened.state, trials, ranked=False)
