"""The structure of the code: sizes of packages and files, import cycles, file names, duplicated lines, comments."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import networkx
import pytest

SOURCE = Path(__file__).parents[2] / "src"
PACKAGE = SOURCE / "ogive"
FILES = sorted(PACKAGE.rglob("*.py"))

LARGEST_PACKAGE = 0.10
"""Of all lines."""

SAME_NAME = {
    "cost.py",
    "dehb.py",
    "finalize.py",
    "full_training.py",
    "plan.py",
    "replay.py",
    "reproduce.py",
    "space.py",
}
"""Pairs of files that are the same thing in two packages: a function and its command, a computation and its section."""

ALGORITHMS = ("strategy", "schedule", "supernet", "estimate", "stats")
COMMENTS_PER_THOUSAND = 15

LONGEST_FILE = 350
RUN_OF_LINES = 6
DUPLICATED = 0.02
"""The largest share of lines in runs of `RUN_OF_LINES` that stand in two places."""


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


@cache
def lines_of(path: Path) -> tuple[str, ...]:
    return tuple(path.read_text(encoding="utf-8").splitlines())


def test_no_package_holds_more_than_a_tenth_of_the_code() -> None:
    sizes = Counter[str]()
    for path in FILES:
        sizes[path.relative_to(PACKAGE).parts[0]] += len(lines_of(path))
    limit = LARGEST_PACKAGE * sum(sizes.values())
    assert {name: size for name, size in sizes.items() if size > limit} == {}


class _Imports(ast.NodeVisitor):
    """The modules that a module imports, inside functions too; `TYPE_CHECKING` blocks do not count."""

    def __init__(self, path: Path) -> None:
        self.names: set[str] = set()
        self.visit(ast.parse(path.read_text(encoding="utf-8")))

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.orelse:
                self.visit(statement)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.names |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, "absolute imports only"
        for alias in node.names:
            name = f"{node.module}.{alias.name}"
            self.names.add(name if name in MODULES else str(node.module))


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = networkx.DiGraph()
    for module, path in MODULES.items():
        graph.add_edges_from((module, name) for name in _Imports(path).names if name in MODULES and name != module)
    cycles = [sorted(part) for part in networkx.strongly_connected_components(graph) if len(part) > 1]
    assert cycles == []


def test_file_names_are_unique() -> None:
    counts = Counter(path.name for path in FILES if path.name not in ("base.py", "__init__.py"))
    assert {name for name, count in counts.items() if count == 2} == SAME_NAME
    assert len(SAME_NAME) <= 10
    assert max(counts.values()) == 2


def test_files_are_short() -> None:
    long = {str(path.relative_to(PACKAGE)) for path in FILES if len(lines_of(path)) > LONGEST_FILE}
    assert long == set()


def own_line_comments(path: Path) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return sum(token.type == tokenize.COMMENT and token.line.lstrip().startswith("#") for token in tokens)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_algorithms_are_commented(name: str) -> None:
    files = list((PACKAGE / name).rglob("*.py"))
    lines = sum(len(lines_of(path)) for path in files)
    comments = sum(map(own_line_comments, files))
    assert 1000 * comments / lines >= COMMENTS_PER_THOUSAND


def code_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line of code: no blank lines, comments, imports or lone brackets."""
    for number, line in enumerate(lines_of(path)):
        text = line.strip()
        if text.strip("()[]{},:") and not text.startswith(("#", "from ", "import ", '"""')):
            yield number, text


def test_few_lines_are_duplicated() -> None:
    places: dict[tuple[str, ...], list[list[tuple[Path, int]]]] = defaultdict(list)
    for path in FILES:
        rows = list(code_lines(path))
        for first in range(len(rows) - RUN_OF_LINES + 1):
            run = rows[first : first + RUN_OF_LINES]
            places[tuple(text for _, text in run)].append([(path, number) for number, _ in run])
    repeated = {line for runs in places.values() if len(runs) > 1 for run in runs[1:] for line in run}
    assert len(repeated) / sum(len(lines_of(path)) for path in FILES) < DUPLICATED
