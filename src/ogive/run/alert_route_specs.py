"""The alert routes that a user specifies: checks of them, and the selection of those that the journal stores."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ogive.errors import JobError
from ogive.run.alerts import SEVERITIES, Alert

RouteSpec = str | Mapping[str, Any] | Callable[[Alert], object]
ROUTE_KINDS = ("console", "file", "webhook")
"""The keys of mappings that specify a route. A mapping has one of them; {"console": true} is "console" with a severity."""
ENV_PREFIX = "env:"
"""The prefix of a webhook whose URL is in an environment variable."""

_ALLOWED_ROUTES = (
    '"console", {"file": path}, {"webhook": url}, or a function of the alert; the mappings may name the lowest '
    '"severity" (info, warning, critical)'
)


def check_routes(specs: RouteSpec | Iterable[RouteSpec]) -> tuple[RouteSpec, ...]:
    """Return the routes as a tuple, after checking each.

    Raises:
        JobError: one of them is not a route. The message lists the allowed forms.
    """
    is_single = isinstance(specs, (str, Mapping)) or callable(specs)
    if not is_single and not isinstance(specs, Iterable):
        raise JobError(f"alerts: found {specs!r}; allowed: {_ALLOWED_ROUTES}")
    routes: tuple[Any, ...] = (specs,) if is_single else tuple(specs)  # type: ignore[arg-type]
    for spec in routes:
        _check_route(spec)
    return tuple(dict(spec) if isinstance(spec, Mapping) else spec for spec in routes)


def _check_route(spec: object) -> None:
    if callable(spec) or spec == "console":
        return
    if (
        not isinstance(spec, Mapping)
        or len(set(spec) & set(ROUTE_KINDS)) != 1
        or set(spec) - {*ROUTE_KINDS, "severity"}
    ):
        raise JobError(f"alerts: found {spec!r}; allowed: {_ALLOWED_ROUTES}")
    if spec.get("severity", "info") not in SEVERITIES:
        raise JobError(f"alerts: severity: found {spec['severity']!r}; allowed: {', '.join(SEVERITIES)}")
    for kind in ("file", "webhook"):
        if kind in spec and (not isinstance(spec[kind], str) or not spec[kind]):
            raise JobError(f"alerts: {kind}: found {spec[kind]!r}; allowed: a text that is not empty")
    if _has_literal_url(spec) and not _is_url(spec["webhook"]):
        raise JobError(
            f"alerts: webhook: found {spec['webhook']!r}; allowed: a URL that begins with http:// or https://, or env:NAME"
        )


def _is_url(text: str) -> bool:
    parts = urllib.parse.urlsplit(text)
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def select_stored_routes(specs: Iterable[RouteSpec]) -> list[Any]:
    """Return the routes that the journal stores.

    A function cannot be stored, and a literal URL may be secret, so these routes are used in the current session only. Each
    session reads the URL of `{"webhook": "env:NAME"}` from the environment, so this route is stored.
    """
    return [spec for spec in specs if not callable(spec) and not (isinstance(spec, Mapping) and _has_literal_url(spec))]


def check_webhook_urls(specs: Iterable[RouteSpec]) -> None:
    """Check that the environment holds a URL for each `{"webhook": "env:NAME"}`.

    Raises:
        JobError: a variable is not set, or holds no URL.
    """
    for spec in specs:
        if isinstance(spec, Mapping) and "webhook" in spec:
            resolve_webhook_url(spec["webhook"])


def _has_literal_url(spec: Mapping[str, Any]) -> bool:
    """Return whether a route is a webhook with its URL, and not with the name of an environment variable."""
    return "webhook" in spec and not str(spec["webhook"]).startswith(ENV_PREFIX)


def resolve_webhook_url(url: str) -> str:
    """Return `url`, or the value of the environment variable NAME for `env:NAME`.

    Raises:
        JobError: the environment variable is not set, or holds no URL.
    """
    if not url.startswith(ENV_PREFIX):
        return url
    name = url.removeprefix(ENV_PREFIX)
    value = os.environ.get(name, "")
    if not _is_url(value):
        raise JobError(
            f"alerts: webhook {url!r}: the environment variable {name!r} holds no URL; set it to https://..."
        )
    return value
