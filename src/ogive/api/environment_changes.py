"""The comparison of the present environment with the environment of a trial: host, versions, code, data and threads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ogive.api.trial_history import TrialHistory
from ogive.run.manifest import collect_manifest, count_cores
from ogive.session.search_code import SearchCode
from ogive.space import Space

if TYPE_CHECKING:
    from ogive.api.run import Run


def list_environment_changes(run: Run, history: TrialHistory) -> Iterator[str]:
    """Yield a sentence for each difference between the present environment and the environment in which a trial ran.

    Further sentences name what prevents a comparison: an unknown number of threads, or a device without exact results.

    Args:
        run: the run of the trial.
        history: the trial with the session in which it ran and the threads of its attempts.
    """
    space, estimator = run.space, run.estimator
    declaration, session = run.state.declaration, history.session
    # The argument is the number of workers, which is not compared.
    present = collect_manifest(1)
    yield from _list_change("host", session.get("host"), present["host"])
    yield from _list_change("machine", session.get("machine"), present["machine"])
    yield from _list_change("Python", session.get("python"), present["python"])
    versions = session.get("versions", {})
    for package in sorted({*versions, *present["versions"]}):
        yield from _list_change(package, versions.get(package), present["versions"].get(package))
    yield from SearchCode.of(space, estimator).describe_changes(session)
    yield from (f"space: {line}" for line in Space.from_json(declaration["space"]).differences(space))
    stored_fingerprints, fingerprints = declaration["fingerprints"], estimator.fingerprints()
    for part in sorted({*stored_fingerprints, *fingerprints}):
        yield from _list_change(f"fingerprint of the {part}", stored_fingerprints.get(part), fingerprints.get(part))
    if len(history.all_threads) > 1:
        yield (
            f"threads: the trial's attempts had {', '.join(map(str, history.all_threads))}; the trial is repeated with "
            f"{history.threads}"
        )
    if history.threads is None:
        yield f"threads: not recorded; the trial is repeated with {count_cores()}"
    elif history.is_inline:
        yield (
            "threads: the trial ran inline, in the search's own process, whose number of threads is not recorded; the trial "
            f"is repeated with {history.threads}"
        )
    device = (declaration.get("recipe") or {}).get("device", "cpu")
    if device != "cpu":
        yield f"device: {device}, on which equal numbers are not guaranteed"


def _list_change(name: str, before: Any, now: Any) -> Iterator[str]:
    """Yield one sentence if a value has changed, otherwise nothing."""
    if before != now:
        yield f"{name}: {_format_value(before)} then, {_format_value(now)} now"


def _format_value(value: Any) -> str:
    # In journals, a value may be missing or empty if it was not known.
    return "unknown" if value in (None, "") else str(value)
