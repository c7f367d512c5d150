"""Read a job file with the line number of every key, so that each error message can name its location."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from ogive.errors import JobError, OgiveError

KeyPath = tuple[str | int, ...]
"""The location of a value in a job: the keys and list indices that lead to it, from the top level."""


@dataclass(frozen=True)
class Source:
    """The content of a job file, with the line numbers that errors need.

    Attributes:
        path: the path of the file, as the user wrote it.
        data: the content of the file, with the overrides from the command line.
        lines: the line number of every key and list item; the first line is 1.
        options: the top-level keys that the command line overrides.
        section: the location of a section that overrides top-level keys, such as a phase; () for none.
        section_keys: the keys that the section overrides. Errors about them are located in the section.
    """

    path: Path
    data: Mapping[str, Any]
    lines: Mapping[KeyPath, int]
    options: frozenset[str] = frozenset()
    section: KeyPath = ()
    section_keys: frozenset[str] = frozenset()

    def error(self, key: KeyPath, message: str) -> JobError:
        """Return the error for a key. Its message is one line: file, line number and key, followed by `message`."""
        return JobError(self.location(key) + " ".join(message.split()))

    def location(self, key: KeyPath) -> str:
        """Return the beginning of an error message: `job.yaml:4: constraints[0].metric: `.

        If the file does not contain `key`, the line is that of the nearest enclosing key.
        """
        if key and key[0] in self.section_keys:
            key = (*self.section, *key)
        elif key and key[0] in self.options:
            return f"--{str(key[0]).replace('_', '-')}: "
        nearest = next((key[:length] for length in range(len(key), 0, -1) if key[:length] in self.lines), ())
        line = f":{self.lines[nearest]}" if nearest else ""
        return f"{self.path}{line}: {f'{format_key_path(key)}: ' if key else ''}"

    def with_options(self, options: Mapping[str, Any]) -> Source:
        """Return the same job, with the top-level keys in `options` overridden by the command line."""
        return Source(self.path, {**self.data, **options}, self.lines, frozenset(options))

    def in_section(self, section: KeyPath, keys: Iterable[str]) -> Source:
        """Return the same job, with errors about `keys` located in `section`, which overrides these keys."""
        return replace(self, section=section, section_keys=frozenset(keys))


def format_key_path(key: KeyPath) -> str:
    """Return a key path as text, such as `constraints[0].metric`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return text.removeprefix(".")


def describe_value(value: Any) -> str:
    """Return the beginning of an error message: "found 'max' (text)". A long value is shortened."""
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


def read_job_file(path: Path) -> Source:
    """Read a job file.

    Raises:
        JobError: the file does not exist, is not YAML, is not a mapping, or has the same key twice.
    """
    text = _read_text(path)
    lines: dict[KeyPath, int] = {}
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise JobError(f"{path}: the file is empty; `ogive init DIR` writes a job to start from")
        data = _NodeConverter(path, loader, lines).convert(node, (), ())
    except yaml.MarkedYAMLError as error:
        raise JobError(_format_syntax_error(path, error)) from error
    except yaml.YAMLError as error:
        raise JobError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise JobError(f"{path}:1: {describe_value(data)}; a job is a mapping of keys, such as `space: space.py:space`")
    return Source(path, data, lines)


class _Loader(yaml.SafeLoader):
    """A YAML loader that accepts the numbers of YAML 1.2. PyYAML would read `1e-3` as text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+"), list("-+0123456789")
)


@dataclass(frozen=True)
class _NodeConverter:
    """Converts YAML nodes into values, and records the line of each key and list item in `lines`."""

    path: Path
    loader: _Loader
    lines: dict[KeyPath, int]

    def convert(self, node: yaml.Node, key: KeyPath, ancestors: tuple[int, ...]) -> Any:
        """Return the value of the node at `key`. `ancestors`: the ids of the nodes that contain this node."""
        if id(node) in ancestors:
            raise JobError(
                f"{self.path}:{_get_line(node)}: {format_key_path(key)}: found an alias (*) to a value that contains it; "
                "write the value out"
            )
        ancestors = (*ancestors, id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self._convert_item(item, (*key, index), ancestors) for index, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return self.loader.construct_object(node)
        result: dict[str, Any] = {}
        for name_node, value_node in node.value:
            name = name_node.value
            line = _get_line(name_node)
            if not isinstance(name_node, yaml.ScalarNode):
                raise JobError(
                    f"{self.path}:{line}: {format_key_path(key)}: found a key that is not plain text; a key is a word"
                )
            if name in result:
                first = self.lines[*key, name]
                raise JobError(
                    f"{self.path}:{line}: {format_key_path((*key, name))}: the key is given here and in line {first}; "
                    "keep one of them"
                )
            self.lines[*key, name] = line
            result[name] = self.convert(value_node, (*key, name), ancestors)
        return result

    def _convert_item(self, node: yaml.Node, key: KeyPath, ancestors: tuple[int, ...]) -> Any:
        self.lines[key] = _get_line(node)
        return self.convert(node, key, ancestors)


def _get_line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _read_text(path: Path) -> str:
    """Return the text of a job file; raise JobError if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise JobError(f"{path}: there is no such file; `ogive init DIR` writes a job to start from") from error
    except IsADirectoryError as error:
        raise JobError(f"{path}: this is a folder; give the job's YAML file, such as {path / 'job.yaml'}") from error
    except OSError as error:
        raise JobError(f"{path}: cannot be read: {error.strerror}; check its permissions") from error
    except UnicodeDecodeError as error:
        raise JobError(
            f"{path}: is not text in UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from error


@contextmanager
def locate_errors(source: Source, *key: str | int) -> Iterator[None]:
    """Convert each OgiveError in the block to a JobError whose message begins with the location of `key`."""
    try:
        yield
    except OgiveError as error:
        message = str(error)
        for part in key:  # some messages begin with the key, which the location already names
            message = message.removeprefix(f"{part}: ")
        raise source.error(key, message) from error


def _format_syntax_error(path: Path, error: yaml.MarkedYAMLError) -> str:
    """Return the message for a file that is not YAML, with the line and a remedy."""
    mark = error.problem_mark or error.context_mark
    line = f":{mark.line + 1}" if mark else ""
    problem = " ".join(filter(None, (error.context, error.problem)))
    if "\\t" in problem:
        remedy = "indent with spaces, not tabs"
    else:
        remedy = "look for a missing quote, colon or bracket here or just above"
    return f"{path}{line}: not YAML: {problem}; {remedy}"
