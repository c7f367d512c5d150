"""The check that a call of `search` declares the same search as the run that it continues."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ogive.errors import RunError
from ogive.space import Space


def check_unchanged(
    stored: Mapping[str, Any],
    space: Space,
    arguments: Mapping[str, Any],
    *,
    folder: Path,
    recipe: Mapping[str, Any] | None = None,
) -> None:
    """Check that a call of `search` declares the same search as a stored run.

    Args:
        stored: the data of the journal's first event.
        space: the space of this call.
        arguments: the arguments of this call that must be equal to the stored ones, as JSON, by name.
        folder: the run's folder, for the message.
        recipe: the recipe of this call, as JSON. If it differs, the message names the keys that differ.

    Raises:
        RunError: the space or an argument differs.
    """
    lines = [f"the space: {line}" for line in Space.from_json(stored["space"]).differences(space)]
    for name, value in arguments.items():
        if name == "fingerprints":
            for part in {**stored[name], **value}:
                if stored[name].get(part) != value.get(part):
                    details = _describe_differences(stored.get("recipe"), recipe) if part == "recipe" else None
                    hashes = f"its fingerprint was {stored[name].get(part)}, and is {value.get(part)}"
                    lines.append(f"the {part}: {details or hashes}")
        # Journals of earlier versions have no key "initial", of which the default is [].
        elif stored.get(name, []) != value:
            lines.append(f"{name}: was {stored.get(name, [])!r}, and is {value!r}")
    if lines:
        raise RunError(
            f"the run in {folder} cannot be continued, because this has changed:\n  "
            + "\n  ".join(lines)
            + "\nundo these changes, or start a new run in another folder"
        )


def _describe_differences(stored: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> str | None:
    """Return the differences of two recipes as `epochs: was 9, and is 8; ...`.

    The result is None if there are no differences, or if one of the recipes is unknown.
    """
    if not stored or not now:
        return None
    missing = "left out"
    pairs = ((key, stored.get(key, missing), now.get(key, missing)) for key in {**stored, **now})
    return "; ".join(f"{key}: was {before}, and is {after}" for key, before, after in pairs if before != after) or None
