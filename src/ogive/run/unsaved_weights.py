"""The warnings of a run that say that no weights are kept."""

from __future__ import annotations

from collections.abc import Iterable

UNSAVED = "no weights are kept"
"""How the notes on a train function that saves no weights begin; the reason follows a colon."""


def why_unsaved(notes: Iterable[str]) -> str | None:
    """Why no weights are kept, by the first of a run's notes that says so; None where none does."""
    reasons = [note.partition(": ") for note in notes if note.startswith(UNSAVED)]
    reasons.sort(key=lambda parts: parts[0] != UNSAVED)  # what holds of all trials first
    return reasons[0][2] if reasons else None
