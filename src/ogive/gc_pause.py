"""Pauses of Python's garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def pause_gc() -> Iterator[None]:
    """Disable the garbage collector within the `with` block.

    Code that creates a million objects and keeps all of them takes a third of the time inside such a block.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        # Freezing and unfreezing moves the new objects to the oldest generation. Otherwise the collector would go through
        # them right after it is enabled. If the program has frozen objects itself, do not do this, because `unfreeze` would
        # unfreeze them too.
        if not gc.get_freeze_count():
            gc.freeze()
            gc.unfreeze()
        if was_enabled:
            gc.enable()
