"""The place where the rooms meet: start a search, continue it, read what it found."""

from ogive.api.funnel import Funnel, Go, Phase, funnel, open_funnel
from ogive.api.result import Run, open_run
from ogive.api.start import search

__all__ = ["Funnel", "Go", "Phase", "Run", "funnel", "open_funnel", "open_run", "search"]
