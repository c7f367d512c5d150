"""The structure of the code: sizes of packages and files, import cycles, file names, duplicated lines, comments."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from importlib import import_module
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
"""The largest share of lines of code in runs of `RUN_OF_LINES` that stand in two places."""
LONGEST_COPY = 20
"""The longest run of lines of code that stands in two places."""


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


COMPUTED_IMPORTS = {
    "__init__.py",
    "export/class_source.py",
    "job/user_modules.py",
    "lazy_imports.py",
    "registry.py",
    "surrogates/graph_features.py",
}
"""Files that import modules by names that they are given: by a registry, a table of lazy names, or a user."""


class _Imports(ast.NodeVisitor):
    """The modules that a module imports, inside functions too; `TYPE_CHECKING` blocks do not count."""

    def __init__(self, path: Path) -> None:
        self.names: set[str] = set()
        self.path = path
        self.visit(ast.parse(path.read_text(encoding="utf-8")))

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.orelse:
                self.visit(statement)
        else:
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        # Registries name a callable as "ogive.module:name".
        if isinstance(node.value, str) and re.fullmatch(r"ogive[.\w]+:\w+", node.value):
            self.names.add(node.value.partition(":")[0])

    def visit_Call(self, node: ast.Call) -> None:
        # `import_module` with a name that is computed would hide an import from this test.
        if ast.unparse(node.func).endswith("import_module"):
            assert self.path.relative_to(PACKAGE).as_posix() in COMPUTED_IMPORTS, self.path
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
    without = {
        path.name
        for path in files
        if path.name not in ("base.py", "__init__.py") and len(lines_of(path)) > 100 and own_line_comments(path) < 2
    }
    assert without == set()


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
    repeated = {line for runs in places.values() if len(runs) > 1 for run in runs for line in run}
    assert len(repeated) / sum(len(list(code_lines(path))) for path in FILES) < DUPLICATED
    copies = Counter(path for path, _ in repeated)
    assert {path.name: count for path, count in copies.items() if count > LONGEST_COPY} == {}


def read_design() -> str:
    return (PACKAGE.parents[1] / "docs" / "design.md").read_text(encoding="utf-8")


def test_the_design_page_lists_the_packages_and_layers() -> None:
    tree, layers = read_design().split("src/ogive/\n")[1].split("```")[0], read_design().split("```\n__main__")[1]
    listed = {name.strip("/,") for line in tree.splitlines() for name in line.split("  ")[1].split() if name != "``"}
    actual = {path.name for path in PACKAGE.iterdir() if path.name not in ("__pycache__", "py.typed")}
    assert listed == actual - {"__init__.py", "__main__.py"}
    config = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    contract = config["tool"]["importlinter"]["contracts"][0]
    assert ["__main__", *layers.split("```")[0].split("\n")[1:-1]] == contract["layers"]


def test_the_changelog_names_what_exists() -> None:
    text = (PACKAGE.parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
    rows = [line.split("|")[2] for line in text.splitlines() if line.startswith("| `")]
    names = [name for row in rows for name in re.findall(r"`(og(?:ive)?(?:\.\w+)+)`", row)]
    assert len(names) > 10
    missing = []
    for name in (f"ogive.{name.partition('.')[2]}" for name in names):
        module, _, attribute = name.rpartition(".")
        if name not in MODULES and not hasattr(import_module(module), attribute):
            missing.append(name)
    assert missing == []
