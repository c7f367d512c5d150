"""Plain language: words that no text uses, and names that no variable has. docs/glossary.md has the words to use."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
THIS = Path(__file__)

PHRASES = (
    "afresh", "alike", "anew", "aught", "befall", "befalls", "before long", "begets", "believing", "by dint of",
    "dearer", "dwells", "erstwhile", "forebode", "foretell", "foretells", "foretold", "glimpse", "goes on to",
    "hence", "hereby", "herein", "hither", "hitherto", "in vain", "lest", "lived", "mend", "mended", "mends",
    "nought", "of old", "on the way there", "promise of", "put aside", "see that", "seen to", "so many", "spoilt",
    "stretches", "strays", "the dead", "thereby", "therein", "thereof", "told", "upon", "weather", "what befalls",
    "what is left", "whence", "whereby", "whereof", "whom", "whosoever", "wont", "yonder",
)  # fmt: skip
"""Old-fashioned or literary words, and phrases that have to be read twice."""

NAMES = (
    "alike", "apart", "begun", "course", "doubts", "found", "given", "glimpse", "gone", "judge", "known", "life", "made",
    "said", "sought", "told", "wanted", "weather",
)  # fmt: skip
"""Names that do not say what a variable holds."""

_PHRASES = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, PHRASES))})(?![\w-])", re.IGNORECASE)


def sources() -> Iterator[Path]:
    for folder in ("src", "tests", "benchmarks", "examples"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def documents() -> Iterator[Path]:
    yield from sorted(ROOT.glob("*.md"))
    yield from sorted((ROOT / "docs").rglob("*.md"))


def prose_of(path: Path) -> Iterator[tuple[int, str]]:
    """Comments and strings of a Python file."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            yield token.start[0], token.string


def lines_of(document: Path) -> Iterator[tuple[int, str]]:
    """Lines of a document, without the table of the changelog that lists earlier names."""
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        if not (document.name == "CHANGELOG.md" and line.startswith("|")):
            yield number, line


def test_no_text_uses_old_fashioned_words() -> None:
    texts = {path: list(prose_of(path)) for path in sources() if path != THIS}
    texts |= {path: list(lines_of(path)) for path in documents()}
    places = [
        f"{path.relative_to(ROOT)}:{line}: {match[0]}"
        for path, parts in texts.items()
        for line, text in parts
        for match in _PHRASES.finditer(text)
    ]
    assert places == []


def test_no_name_hides_what_it_holds() -> None:
    places = []
    for path in sources():
        text = path.read_text(encoding="utf-8")
        allowed = {"given"} if "from hypothesis import" in text else set()
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NAME and token.string in NAMES and token.string not in allowed:
                places.append(f"{path.relative_to(ROOT)}:{token.start[0]}: {token.string}")
    assert places == []
