"""`search`: the search of `ogive.session.start`, which returns a `Run` with all that can be done with it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from ogive.api.run import Run
from ogive.session import start
from ogive.session.stored_run import StoredRun

P = ParamSpec("P")


def _returning_run(begin: Callable[P, StoredRun]) -> Callable[P, Run]:
    @functools.wraps(begin)
    def search(*args: P.args, **kwargs: P.kwargs) -> Run:
        run = begin(*args, **kwargs)
        return Run(run.folder, run.space, run.estimator, trust=True)

    return search


search = _returning_run(start.search)
