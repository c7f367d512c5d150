"""The warnings of a run about weights that its train function does not save."""

from __future__ import annotations

from collections.abc import Iterable

UNSAVED_PREFIX = "no weights are kept"
"""The beginning of these warnings. The trials may follow (" of paused trials"), and then a colon and the reason."""


def find_unsaved_reason(messages: Iterable[str]) -> str | None:
    """Return the reason why no weights are kept, from the warnings of a run; None if there is no such warning.

    A warning about all trials takes precedence over one about some trials, such as paused ones.
    """
    parts = [message.partition(": ") for message in messages if message.startswith(UNSAVED_PREFIX)]
    parts.sort(key=lambda part: part[0] != UNSAVED_PREFIX)  # the prefix alone, without trials, is about all of them
    return parts[0][2] if parts else None
