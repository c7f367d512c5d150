"""`ogive top`: the best networks of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from ogive.cli.common import (
    AsJson,
    RunPath,
    network_json,
    open_run,
    print_json,
    print_networks,
    print_notes,
    print_trials,
)


def top(
    run: RunPath,
    k: Annotated[int, typer.Option("-k", min=1, help="How many.")] = 10,
    as_json: AsJson = False,
) -> None:
    """List the best networks of a run, best first; where none satisfies the constraints, those that come nearest.

    Those that were trained in full come first, by their rank there and with the metrics of full training; the others have
    those of the search. Numbers are the search's.
    """
    from ogive.run.results import nearest, why_none

    opened = open_run(run)
    networks = opened.stages.ranked(k)
    if as_json:
        print_json([network_json(network) for network in networks])
    elif networks:
        print_networks(opened.state, networks)
        print_notes(opened)
    else:
        print(why_none(opened.state))
        near = nearest(opened.state, k)
        if near:
            print_trials(opened.state, near, ranked=False)
