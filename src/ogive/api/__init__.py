"""The place where the rooms meet: start a search, continue it, read what it found."""

from ogive.api.result import Run, open_run
from ogive.api.start import search

__all__ = ["Run", "open_run", "search"]
