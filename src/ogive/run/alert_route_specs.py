"""Where alerts may go beside the journal, as a user writes it: each route is checked before a run is created."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ogive.errors import JobError
from ogive.run.alerts import SEVERITIES, Alert

RouteSpec = str | Mapping[str, Any] | Callable[[Alert], object]
KINDS = ("console", "file", "webhook")
ENV = "env:"

_ALLOWED = (
    '"console", {"file": path}, {"webhook": url}, or a function of the alert; the mappings may name the least '
    '"severity" (info, warning, critical)'
)


def check_routes(specs: RouteSpec | Iterable[RouteSpec]) -> tuple[RouteSpec, ...]:
    """Routes as they were given, each seen to be one.

    Raises:
        JobError: one is none.
    """
    single = isinstance(specs, (str, Mapping)) or callable(specs)
    if not single and not isinstance(specs, Iterable):
        raise JobError(f"alerts: found {specs!r}; allowed: {_ALLOWED}")
    given: tuple[Any, ...] = (specs,) if single else tuple(specs)  # type: ignore[arg-type]
    for spec in given:
        _check(spec)
    return tuple(dict(spec) if isinstance(spec, Mapping) else spec for spec in given)


def _check(spec: object) -> None:
    if callable(spec) or spec == "console":
        return
    if not isinstance(spec, Mapping) or len(set(spec) & set(KINDS)) != 1 or set(spec) - {*KINDS, "severity"}:
        raise JobError(f"alerts: found {spec!r}; allowed: {_ALLOWED}")
    if spec.get("severity", "info") not in SEVERITIES:
        raise JobError(f"alerts: severity {spec['severity']!r}; allowed: {', '.join(SEVERITIES)}")
    for kind in ("file", "webhook"):
        if kind in spec and (not isinstance(spec[kind], str) or not spec[kind]):
            raise JobError(f"alerts: {kind} {spec[kind]!r}; give a text")
    url = spec.get("webhook", ENV)
    if not url.startswith(ENV) and not _is_url(url):
        raise JobError(f"alerts: webhook {url!r}; give a URL that begins with http:// or https://, or env:NAME")


def _is_url(text: str) -> bool:
    parts = urllib.parse.urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def stored_routes(specs: Iterable[RouteSpec]) -> list[Any]:
    """The routes that the journal keeps. Functions and literal URLs, which may be secret, are of one session only; the
    URL of `{"webhook": "env:NAME"}` is read from the environment by each.
    """
    return [spec for spec in specs if not callable(spec) and not (isinstance(spec, Mapping) and _secret(spec))]


def check_addresses(specs: Iterable[RouteSpec]) -> None:
    """See that the environment holds a URL for each `{"webhook": "env:NAME"}`.

    Raises:
        JobError: it does not.
    """
    for spec in specs:
        if isinstance(spec, Mapping) and "webhook" in spec:
            address(spec["webhook"])


def _secret(spec: Mapping[str, Any]) -> bool:
    return not str(spec.get("webhook", ENV)).startswith(ENV)


def address(url: str) -> str:
    """The URL itself, or what the environment variable of `env:NAME` holds."""
    if not url.startswith(ENV):
        return url
    name = url.removeprefix(ENV)
    found = os.environ.get(name, "")
    if not _is_url(found):
        raise JobError(
            f"alerts: webhook {url!r}: the environment variable {name!r} holds no URL; set it to https://..."
        )
    return found
