"""The public function `search`. It calls `ogive.session.start.search` and returns a `Run` instead of a `StoredRun`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

from ogive.api.run import Run
from ogive.session import start
from ogive.session.stored_run import StoredRun

P = ParamSpec("P")


def _return_run(search_function: Callable[P, StoredRun]) -> Callable[P, Run]:
    """Return a function with the signature and docstring of `search_function` that returns a `Run`."""

    @functools.wraps(search_function)
    def search(*args: P.args, **kwargs: P.kwargs) -> Run:
        run = search_function(*args, **kwargs)
        return Run(run.folder, run.space, run.estimator, trust=True)

    return search


search = _return_run(start.search)
