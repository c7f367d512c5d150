"""The code of a search: what identifies it, what of it has changed, and whether results may be shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ogive.hashing import hash_json
from ogive.run.estimator import Estimator
from ogive.source import CodeIdentity, differences
from ogive.space import Space

SOURCES = "sources"
"""The key of a session's record that holds the parts of its code."""
LAYERS, RULES, JUDGE = "layers", "rules", "judge"
_WORDS = {
    LAYERS: ("layers", "built from"),
    RULES: ("space's constraint, canonical form or graph", "proposed under"),
    JUDGE: ("train function", "judged by"),
}
PARTS = tuple(_WORDS)


@dataclass(frozen=True)
class SearchCode:
    """What identifies the code of a search.

    Attributes:
        layers: what models are built from.
        rules: constraint, canonical form and graph.
        judge: the train function, or the estimator's class.
    """

    layers: CodeIdentity
    rules: CodeIdentity
    judge: CodeIdentity

    @staticmethod
    def of(space: Space, estimator: Estimator) -> SearchCode:
        """As it is loaded now."""
        return SearchCode(space.code(), space.rules(), estimator.identity())

    @property
    def result(self) -> str:
        """A hash of the code that determines the result of a trial."""
        return hash_json([self.layers.hash, self.judge.hash])

    @property
    def unidentified(self) -> str | None:
        """Why results of this code cannot be shared with other runs; None where they can."""
        missing = [*self.layers.missing, *self.judge.missing]
        if not missing:
            return None
        more = f"; and {len(missing) - 1} more" if len(missing) > 1 else ""
        return (
            f"the evaluation cache is off, since not all code of the search can be identified: {missing[0]}{more}. "
            "Define functions and classes in a file that is imported as it is"
        )

    def edited(self) -> str | None:
        """Why results are not shared any more: a file was edited, and workers that start from now on import it anew."""
        files = [*self.layers.edited(), *self.judge.edited()]
        if not files:
            return None
        return f"{files[0]} was edited during the search: this session uses the evaluation cache no more"

    def to_json(self) -> dict[str, Any]:
        """The parts, for the record of a session."""
        return {part: dict(self._part(part).parts) for part in PARTS}

    def changes(self, session: Mapping[str, Any], which: tuple[str, ...] = PARTS) -> dict[str, list[str]]:
        """What has changed since a session: the names of functions and classes, by part.

        Of sessions that recorded no parts nothing is known, and nothing is returned.
        """
        stored = session.get(SOURCES, {})
        named = {part: differences(stored[part], self._part(part).parts) for part in which if part in stored}
        return {part: names for part, names in named.items() if names}

    def sentences(self, session: Mapping[str, Any], which: tuple[str, ...] = PARTS) -> list[str]:
        """`changes`, a sentence each: "the code of the layers has changed (layer space.Block)"."""
        changes = self.changes(session, which)
        return [f"{_changed(part, names)} ({', '.join(names)})" for part, names in changes.items()]

    def warnings(self, session: Mapping[str, Any], trials: int) -> list[str]:
        """What a user who continues after `session`, which left so many trials, should know."""
        return [
            f"{_changed(part, names)}: trials before {trials} were {_WORDS[part][1]} the former ({', '.join(names)})"
            for part, names in self.changes(session).items()
        ]

    def _part(self, name: str) -> CodeIdentity:
        identity: CodeIdentity = getattr(self, name)
        return identity


def _changed(part: str, names: Sequence[str]) -> str:
    """What has changed; a list or dict that code fills while it runs is not its code."""
    what = "data used by" if all(name.startswith("data ") for name in names) else "code of"
    return f"the {what} the {_WORDS[part][0]} has changed"
