"""`search` as users call it: the search of `ogive.session.start`, which returns a `Run` with all its methods."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from ogive.api.run import Run
from ogive.session import start
from ogive.session.stored_run import StoredRun

P = ParamSpec("P")


def _return_run(search_function: Callable[P, StoredRun]) -> Callable[P, Run]:
    """Return `search_function` with its result as a `Run`."""

    @functools.wraps(search_function)
    def search(*args: P.args, **kwargs: P.kwargs) -> Run:
        run = search_function(*args, **kwargs)
        return Run(run.folder, run.space, run.estimator, trust=True)

    return search


search = _return_run(start.search)
