"""Python's search for garbage, and where it only costs time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for garbage meanwhile: where a million objects are made that all stay, it takes a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # else the program has frozen objects of its own, which would thaw
            gc.freeze()
            gc.unfreeze()  # the two count what was made among the old; else the search is only put off
        if was:
            gc.enable()
