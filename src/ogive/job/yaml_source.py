"""A job's file as data, with the line of every key, so that every error can name its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from ogive.errors import JobError, OgiveError

At = tuple[str | int, ...]
"""The way to a value: keys and positions in lists, from the top."""


@dataclass(frozen=True)
class Source:
    """What a job's file says.

    Attributes:
        path: of the file, as the user wrote it.
        data: its content, with the command line's overrides.
        lines: the line of every key and list item, from 1.
        options: the keys that the command line has overridden.
        within: the section that overrides keys of the whole job, such as a phase; () for none.
        moved: the keys that it overrides: errors about them are errors there.
    """

    path: Path
    data: Mapping[str, Any]
    lines: Mapping[At, int]
    options: frozenset[str] = frozenset()
    within: At = ()
    moved: frozenset[str] = frozenset()

    def error(self, at: At, message: str) -> JobError:
        """An error at a key: file, line, key, then `message` (what was found, what is allowed)."""
        return JobError(self.place(at) + " ".join(message.split()))

    def place(self, at: At) -> str:
        """Where `at` is, for the beginning of an error; the nearest key above it where the file does not hold it."""
        if at and at[0] in self.moved:
            at = (*self.within, *at)
        elif at and at[0] in self.options:
            return f"--{str(at[0]).replace('_', '-')}: "
        known = next((at[:n] for n in range(len(at), 0, -1) if at[:n] in self.lines), ())
        line = f":{self.lines[known]}" if known else ""
        return f"{self.path}{line}: {f'{dotted(at)}: ' if at else ''}"

    def with_options(self, options: Mapping[str, Any]) -> Source:
        """The same job with keys overridden from the command line."""
        return Source(self.path, {**self.data, **options}, self.lines, frozenset(options))

    def inside(self, within: At, moved: Iterable[str]) -> Source:
        """The same job as the section `within` sees it, which overrides the keys `moved`."""
        return replace(self, within=within, moved=frozenset(moved))


def dotted(at: At) -> str:
    """`constraints[0].metric`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at)
    return text.removeprefix(".")


def found(value: Any) -> str:
    """A value and its kind, as the beginning of an error."""
    kinds = {
        dict: "a mapping",
        list: "a list",
        str: "text",
        int: "a whole number",
        float: "a number",
        bool: "a truth value",
    }
    if value is None:
        return "found nothing"
    text = repr(value)
    return f"found {text if len(text) <= 60 else text[:57] + '...'} ({kinds.get(type(value), type(value).__name__)})"


def read(path: Path) -> Source:
    """Read a job's file.

    Raises:
        JobError: there is no such file, it is not YAML, not a mapping, or a key is there twice.
    """
    text = _text(path)
    lines: dict[At, int] = {}
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise JobError(f"{path}: the file is empty; `ogive init DIR` writes a job to start from")
        data = _Reader(path, loader, lines).value(node, (), ())
    except yaml.MarkedYAMLError as error:
        raise JobError(_syntax(path, error)) from error
    except yaml.YAMLError as error:
        raise JobError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise JobError(f"{path}:1: {found(data)}; a job is a mapping of keys, such as `space: space.py:space`")
    return Source(path, data, lines)


class _Loader(yaml.SafeLoader):
    """YAML with the numbers of YAML 1.2: `1e-3` is a number too, not a text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+"), list("-+0123456789")
)


@dataclass(frozen=True)
class _Reader:
    """Turns nodes into values, and notes their lines."""

    path: Path
    loader: _Loader
    lines: dict[At, int]

    def value(self, node: yaml.Node, at: At, inside: tuple[int, ...]) -> Any:
        if id(node) in inside:
            raise JobError(f"{self.path}:{_line(node)}: {dotted(at)}: an alias (*) to what it stands in; write it out")
        inside = (*inside, id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self._item(child, (*at, index), inside) for index, child in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return self.loader.construct_object(node)
        result: dict[str, Any] = {}
        for key_node, child in node.value:
            key = key_node.value
            line = _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise JobError(f"{self.path}:{line}: {dotted(at)}: a key that is no plain text; keys are words")
            if key in result:
                first = self.lines[*at, key]
                raise JobError(
                    f"{self.path}:{line}: {dotted((*at, key))}: stands here and in line {first}; keep one of them"
                )
            self.lines[*at, key] = line
            result[key] = self.value(child, (*at, key), inside)
        return result

    def _item(self, node: yaml.Node, at: At, inside: tuple[int, ...]) -> Any:
        self.lines[at] = _line(node)
        return self.value(node, at, inside)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise JobError(f"{path}: there is no such file; `ogive init DIR` writes a job to start from") from error
    except IsADirectoryError as error:
        raise JobError(f"{path}: is a folder; give the job's YAML file, such as {path / 'job.yaml'}") from error
    except OSError as error:
        raise JobError(f"{path}: cannot be read: {error.strerror}; check its permissions") from error
    except UnicodeDecodeError as error:
        raise JobError(
            f"{path}: is not text in UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error


@contextmanager
def blamed(source: Source, *at: str | int) -> Iterator[None]:
    """Errors that are meant for the user get the place `at` of the job in front."""
    try:
        yield
    except OgiveError as error:
        message = str(error)
        for part in at:  # some messages begin with the key, which the place names already
            message = message.removeprefix(f"{part}: ")
        raise source.error(at, message) from error


def _syntax(path: Path, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    line = f":{mark.line + 1}" if mark else ""
    what = " ".join(filter(None, (error.context, error.problem)))
    tab = "indent with spaces, not tabs" if "\\t" in what else None
    return f"{path}{line}: not YAML: {what}; {tab or 'look for a missing quote, colon or bracket here or just above'}"
