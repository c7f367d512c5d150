"""Plain language: words that no text uses, and names that no variable has. docs/glossary.md has the words to use."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

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

NAMES = frozenset(
    (
        "alike", "apart", "begun", "course", "declared", "described", "died", "doubts", "earned", "found", "given",
        "glimpse", "gone", "judge", "kept", "known", "life", "made", "said", "sought", "taken", "told", "wanted",
        "weather", "when", "which", "whom", "whose",
    )
)  # fmt: skip
"""Names that do not say what a variable holds."""

ALLOWED = {"when": "the activation condition of a decision, in space"}
"""Names that are allowed where they are terms of a contract."""

TEXT_FILES = (".md", ".yaml", ".yml", ".toml", ".txt", ".html")

_PHRASES = re.compile(
    rf"(?<![\w-])({'|'.join(re.escape(phrase).replace(chr(92) + ' ', chr(92) + 's+') for phrase in PHRASES)})(?![\w-])",
    re.IGNORECASE,
)


def python_files() -> Iterator[Path]:
    for folder in ("src", "tests", "benchmarks", "examples"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def text_files() -> Iterator[Path]:
    yield from (path for path in sorted(ROOT.iterdir()) if path.suffix in TEXT_FILES or path.name == "Makefile")
    for folder in ("src", "docs", "examples", "benchmarks"):
        yield from (path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in TEXT_FILES)


def prose_of(source: str) -> Iterator[tuple[int, str]]:
    """The strings of a Python file, and its blocks of comments, each with its line."""
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type != tokenize.NL]
    for kind, group in groupby(tokens, key=lambda token: token.type):
        block = list(group)
        if kind in (tokenize.COMMENT, tokenize.STRING):
            yield block[0].start[0], "\n".join(token.string.lstrip("# ") for token in block)


def find_phrases(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    if path.name == "CHANGELOG.md":  # its table lists earlier names
        text = "\n".join("" if line.startswith("|") else line for line in text.splitlines())
    parts = prose_of(text) if path.suffix == ".py" else [(1, text)]
    return [
        f"{path}:{line + part.count(chr(10), 0, match.start())}: {match[0]!r}"
        for line, part in parts
        for match in _PHRASES.finditer(part)
    ]


def defined_names(source: str) -> Iterator[tuple[int, str]]:
    """The names that a Python file defines: variables, parameters, attributes, functions and classes."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(name, ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(name):
                yield node.lineno, name
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
                yield node.lineno, name


def find_names(path: Path) -> list[str]:
    allowed = ALLOWED if "space" in path.parts else {}
    return [
        f"{path}:{line}: {name}"
        for line, name in defined_names(path.read_text(encoding="utf-8"))
        if name.strip("_").lower() in NAMES - allowed.keys()
    ]


def test_no_text_uses_old_fashioned_words() -> None:
    files = [path for path in (*python_files(), *text_files()) if path != THIS]
    assert [line for path in files for line in find_phrases(path)] == []


def test_no_name_hides_what_it_holds() -> None:
    assert [line for path in python_files() for line in find_names(path)] == []


@pytest.mark.parametrize(
    "text",
    [
        '"""Return it so\nmany times."""',
        "# what is\n# left of it\n",
        "x = f'see  that {x} rests'",
    ],
)
def test_phrases_are_found_across_lines(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(text)
    assert len(find_phrases(tmp_path / "a.py")) == 1


@pytest.mark.parametrize("text", ["found = 1", "def f(*, told): ...", "self._given = 2", "class Judge: ..."])
def test_names_are_found_wherever_they_are_defined(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(text)
    assert len(find_names(tmp_path / "a.py")) == 1
