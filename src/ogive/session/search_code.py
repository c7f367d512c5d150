"""The user's code in a search: its identity, and its changes since an earlier session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ogive.hashing import hash_json
from ogive.run.estimator import Estimator
from ogive.source import CodeIdentity, find_differences
from ogive.space import Space

SOURCES = "sources"
"""The key of a session's record that holds the parts of its code."""
LAYERS_PART, RULES_PART, ESTIMATOR_PART = "layers", "rules", "judge"
"""The names of the parts of the code in journals. Journals call the estimator "judge"."""
_PHRASES = {
    LAYERS_PART: ("layers", "built from"),
    RULES_PART: ("space's constraint, canonical form or graph", "proposed under"),
    ESTIMATOR_PART: ("train function", "evaluated by"),
}
"""For messages: the name of each part, and a phrase for what trials have to do with it ("trials were built from ...")."""
PARTS = tuple(_PHRASES)
"""The names of all parts of the code."""


@dataclass(frozen=True)
class SearchCode:
    """The identity of the code of a search.

    Attributes:
        layers: the code that models are built from.
        rules: the space's constraint, canonical form and graph.
        estimator: the train function, or the estimator's class.
    """

    layers: CodeIdentity
    rules: CodeIdentity
    estimator: CodeIdentity

    @staticmethod
    def of(space: Space, estimator: Estimator) -> SearchCode:
        """Return the identity of the code that this process has loaded."""
        return SearchCode(space.code_identity(), space.rules_identity(), estimator.identity())

    @property
    def result_hash(self) -> str:
        """A hash of the code that determines the result of a trial."""
        return hash_json([self.layers.hash, self.estimator.hash])

    @property
    def unidentified_reason(self) -> str | None:
        """A message if part of the code cannot be identified, so that no results are shared with other runs; else None."""
        missing = [*self.layers.missing, *self.estimator.missing]
        if not missing:
            return None
        more = f"; and {len(missing) - 1} more" if len(missing) > 1 else ""
        return (
            f"the evaluation cache is off, because not all code of the search can be identified: {missing[0]}{more}. Define "
            "functions and classes in a file that is imported without changes"
        )

    def describe_edited_file(self) -> str | None:
        """Return a message that names a source file which was edited during the session; None if no file was edited.

        Workers that start after the edit import the new version of the file, so their results do not belong to this code.
        """
        files = [*self.layers.find_edited_files(), *self.estimator.find_edited_files()]
        if not files:
            return None
        return f"{files[0]} was edited during the search: this session no longer uses the evaluation cache"

    def to_json(self) -> dict[str, Any]:
        """Return the parts of the code in the form in which the record of a session stores them."""
        return {part: dict(identity.parts) for part, identity in self._identities.items()}

    def find_changes(self, session: Mapping[str, Any], parts: tuple[str, ...] = PARTS) -> dict[str, list[str]]:
        """Return the names of functions, classes and data that have changed since a session, by part of the code.

        Args:
            session: the record of the session. The result is empty if the record has no code.
            parts: the parts to compare.
        """
        stored = session.get(SOURCES, {})
        changes = {
            part: find_differences(stored[part], self._identities[part].parts) for part in parts if part in stored
        }
        return {part: names for part, names in changes.items() if names}

    def describe_changes(self, session: Mapping[str, Any], parts: tuple[str, ...] = PARTS) -> list[str]:
        """Return a sentence for each part that has changed, such as "the code of the layers has changed (layer a.Block)"."""
        changes = self.find_changes(session, parts)
        return [f"{_format_change(part, names)} ({', '.join(names)})" for part, names in changes.items()]

    def list_warnings(self, session: Mapping[str, Any], previous_trials: int) -> list[str]:
        """Return a warning for each part that has changed since a session.

        Args:
            session: the record of the session.
            previous_trials: the number of trials that were proposed with the previous code.
        """
        return [
            f"{_format_change(part, names)}: trials before {previous_trials} were {_PHRASES[part][1]} the previous version "
            f"({', '.join(names)})"
            for part, names in self.find_changes(session).items()
        ]

    @property
    def _identities(self) -> dict[str, CodeIdentity]:
        return {LAYERS_PART: self.layers, RULES_PART: self.rules, ESTIMATOR_PART: self.estimator}


def _format_change(part: str, names: Sequence[str]) -> str:
    """Return "the code of the layers has changed", or "the data used by ..." if no code has changed."""
    # The names of lists and dicts start with "data ".
    kind = "data used by" if all(name.startswith("data ") for name in names) else "code of"
    return f"the {kind} the {_PHRASES[part][0]} has changed"
