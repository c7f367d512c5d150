"""One self-contained HTML page that tells what was searched, what was found, and what is needed to repeat it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from ogive import schedule as schedules
from ogive.errors import RunError
from ogive.objective import violation
from ogive.report import facts, figures
from ogive.report.comparison import Comparison, read_comparison
from ogive.report.drawing import draw_svg
from ogive.report.results import by_rung, curve, front, random_values, top
from ogive.report.sketch import NO_LAYERS, plain
from ogive.report.versus import against
from ogive.report.words import counts, duration, number, plural, shown_metrics
from ogive.run.state import State
from ogive.schedule.asha import ASHA
from ogive.trial import Status, Trial, comparable

DRAWN = 5
"""How many architectures are drawn."""
LISTED = 40
"""The most rows of a list that may be long; what is left out is counted."""

Context = dict[str, Any]


def write_report(state: State, folder: Path, target: Path, comparison: Comparison | None = None) -> Path:
    """Write the page of a run to `target`.

    Args:
        state: with the layers of its space; a space that was read from a journal is drawn as a table of decisions.
        folder: of the run; `comparison.json` is read from it where `comparison` is not given.
        target: replaced where it exists.
        comparison: with a hand-drawn baseline, and with a random search.

    Raises:
        RunError: the comparison cannot be read, or `target` cannot be written.
    """
    text = render(state, folder.resolve().name, comparison or read_comparison(folder))
    draft = target.with_name(target.name + ".draft")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8", errors="replace")
        os.replace(draft, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise RunError(f"the report {target} cannot be written: {error}") from error
    return target


def render(state: State, name: str, comparison: Comparison | None = None) -> str:
    """The page as text: a function of the state, the run's name and the comparison alone."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ogive.report"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    best = top(state, DRAWN)
    context: Context = {
        "title": name,
        **_headline(state, best),
        **_curves(state, comparison),
        **_best(state, best),
        **_failures(state),
        **facts.manifest(state),
        "front": _front(state) if len(state.objectives) > 1 else None,
        "comparison": against(comparison, state.objectives) if comparison else None,
        "rungs": _rungs(state),
        "warnings": _warnings(state),
    }
    return environment.get_template("page.html").render(context)


# -- the parts of the page -------------------------------------------------------------------------------------------


def _headline(state: State, best: Sequence[Trial]) -> Context:
    created = state.created
    sought = " and ".join(f"{'highest' if o.goal == 'maximize' else 'lowest'} {o.metric}" for o in state.objectives)
    under = f", under {', '.join(map(str, state.constraints))}" if state.constraints else ""
    schedule = "" if created["schedule"]["name"] == "full" else f" and schedule {facts.named(created['schedule'])}"
    epochs = f", up to {plural(created['epochs'], 'epoch')} each" if created["epochs"] else ""
    searched = (
        f"Searched {facts.size(state)} ({plural(len(state.space.decisions), 'decision')}) for the {sought}{under}, with "
        f"strategy {facts.named(created['strategy'])}{schedule}{epochs}."
    )
    ended = f"The search ended: {state.ended}." if state.ended else "The search has not ended; it can be continued."
    tiles = [(number(value), label) for label, value in _best_values(state, best)]
    done = state.done + state.count[Status.PAUSED]
    tiles += [
        (f"{done:,} of {state.settings['max_trials']:,}", "trials at rest"),
        (f"{state.failed:,}", f"failed ({counts(_failed_counts(state))})" if state.failed else "failed"),
        (duration(state.elapsed), "elapsed"),
        (duration(state.seconds), "compute time of all trials"),
    ]
    return {"searched": searched, "result": _result(state, best), "ended": ended, "tiles": tiles}


def _best_values(state: State, best: Sequence[Trial]) -> list[tuple[str, float]]:
    if not best or len(state.objectives) > 1:
        return []
    shown = shown_metrics(best[0], [state.objectives[0].metric])
    return [
        (f"best {name}" if i == 0 else f"{name} of the best", value) for i, (name, value) in enumerate(shown.items())
    ]


def _result(state: State, best: Sequence[Trial]) -> str:
    if not state.trials:
        return "No trial was started."
    if not best:
        return f"No trial has a value; {state.failed:,} of {plural(len(state.trials), 'trial')} failed."
    if violation(best[0].metrics, state.constraints) > 0:
        return f"No trial satisfies all constraints; trial {best[0].id} comes nearest to it."
    valued = sum(bool(t.reports) and not t.status.failed for t in state.trials.values())
    if len(state.objectives) > 1:
        return f"{plural(len(front(state)), 'trial')} on the Pareto front, of {plural(valued, 'trial')} with a value."
    values = ", ".join(f"{name} {number(value)}" for name, value in _metrics(state, best[0]))
    return f"Trial {best[0].id} is the best of {plural(valued, 'trial')} with a value: {values}."


def _curves(state: State, comparison: Comparison | None) -> Context:
    own, note = random_values(state)
    given = comparison.random_reference if comparison else None
    drawn: list[Markup] = []
    notes: list[str] = []
    for objective in state.objectives:
        points = curve(state, objective)
        separate = given if given is not None and given.metric == objective.metric else None
        if points:
            drawn.append(
                Markup(
                    figures.search_curve(points, objective, separate.values if separate else own, f"curve{len(drawn)}")
                )
            )
        if separate:
            notes.append(f"{len(separate.values)} trials of a separate random search. {separate.note}".strip(" ."))
    notes = notes or [note]
    if given or own:
        notes = [f"Random reference, the expected best of as many random trials: {'; '.join(notes)}."]
    step, full = comparable(list(state.trials.values()), at_least=1)
    about = "The best is chosen by these values, so they flatter it: how good it is shows on data that it was not chosen on."
    if len(full) < sum(bool(t.reports) and not t.status.failed for t in state.trials.values()):
        about = f"The best is sought among the {plural(len(full), 'trial')} that came to step {step}. {about}"
    return {"curves": drawn, "curve_note": about if full else "", "random_note": notes[0]}


def _best(state: State, best: Sequence[Trial]) -> Context:
    cards = [
        {
            "trial": trial.id,
            "metrics": [(name, number(value)) for name, value in _metrics(state, trial)],
            "note": _trial_note(state, trial),
            "drawing": Markup(draw_svg(trial.architecture)),
            "rows": [
                *((name, plain(label)) for name, label in trial.architecture.items()),
                ("seed", trial.seed),
                ("identity", trial.architecture.id),
                ("all metrics", ", ".join(f"{name} {number(value)}" for name, value in trial.metrics.items())),
                ("folder", f"trials/{trial.id:06d}"),
            ],
        }
        for trial in best
    ]
    title = "The best architecture" if len(cards) == 1 else f"The best {len(cards)} architectures"
    fallback = "" if state.space.tree is not None else f"Not drawn: {NO_LAYERS}."
    return {"best": cards, "best_title": title if cards else "The best architectures", "fallback": fallback}


def _trial_note(state: State, trial: Trial) -> str:
    parts = [f"{plural(trial.step, 'epoch')}"] if state.created["epochs"] else []
    parts += [trial.status.value] if trial.status is not Status.FINISHED else []
    parts += ["from the cache" if trial.cached else duration(trial.seconds)]
    parts += ["violates a constraint"] if violation(trial.metrics, state.constraints) > 0 else []
    return ", ".join(parts)


def _front(state: State) -> Context | None:
    trials = [t for t in state.trials.values() if t.reports and not t.status.failed]
    if not trials:
        return None
    on_front = front(state)
    members = {trial.id for trial in on_front}
    step, _ = comparable(trials, at_least=1)
    values = np.array([[t.metrics.get(o.metric, np.nan) for o in state.objectives] for t in trials])
    hollow = [t.step < step or violation(t.metrics, state.constraints) > 0 for t in trials]
    figure = figures.pareto_plot(values, [t.id in members for t in trials], state.objectives, hollow)
    names = [name for name, _ in _metrics(state, on_front[0])] if on_front else []
    note = f"{plural(len(on_front), 'trial')} that no other trial beats in one objective without losing in another."
    if any(hollow):
        note += " Hollow points were not trained as far, or violate a constraint."
    rows = [(f"trial {t.id}", *(number(t.metrics[n]) if n in t.metrics else "" for n in names)) for t in on_front]
    left_out = f"... and {len(rows) - LISTED:,} more" if len(rows) > LISTED else ""
    return {"note": note, "figure": Markup(figure), "head": ["", *names], "rows": rows[:LISTED], "left_out": left_out}


def _rungs(state: State) -> Context | None:
    created = state.created
    if created["schedule"]["name"] != "asha":
        return None
    options = created["schedule"]["options"]
    schedule = schedules.create(
        "asha", objectives=state.objectives, constraints=state.constraints, epochs=created["epochs"], **options
    )
    assert isinstance(schedule, ASHA)
    metrics = [objective.metric for objective in state.objectives]
    rows = []
    for level, reached, beyond, best in by_rung(state, schedule.levels):
        value = ", ".join(number(best.at(level)[name]) for name in metrics) if best else ""
        last = level == schedule.levels[-1]
        rows.append(
            (plural(level, "epoch"), reached, "" if last else beyond, value, f"trial {best.id}" if best else "")
        )
    note = f"A trial goes on when it is in the top 1/{schedule.eta} of its rung at that time. Values are those at the rung."
    return {"note": note, "head": ["rung", "reached", "went on", ", ".join(metrics), "best there"], "rows": rows}


def _failures(state: State) -> Context:
    kinds: dict[Status, list[Trial]] = {}
    for trial in state.trials.values():
        if trial.status.failed:
            kinds.setdefault(trial.status, []).append(trial)
    listed = sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0].value))
    rows = [_kind(status, trials) for status, trials in listed]
    note = f"{state.failed:,} of {plural(len(state.trials), 'trial')} failed."
    return {"failures": rows, "failure_note": note}


def _kind(status: Status, trials: Sequence[Trial]) -> Context:
    example = next((trial for trial in trials if trial.traceback), trials[0])
    ids = ", ".join(str(trial.id) for trial in trials[:LISTED])
    more = f" and {len(trials) - LISTED:,} more" if len(trials) > LISTED else ""
    return {
        "name": status.value.replace("_", " "),
        "count": plural(len(trials), "trial"),
        "reason": f"Trial {example.id}: {example.reason or 'no reason was recorded'}",
        "trials": f"All: {ids}{more}" if len(trials) > 1 else "",
        "example": example.id,
        "traceback": example.traceback,
    }


def _warnings(state: State) -> list[str]:
    texts = [message if trial is None else f"trial {trial}: {message}" for message, trial in state.warnings]
    if state.test_reads > 1:
        texts.insert(
            0, f"the test split was read {state.test_reads} times; from the second time on it is no longer unseen"
        )
    return [*texts[:LISTED], f"... and {len(texts) - LISTED:,} more"] if len(texts) > LISTED else texts


def _metrics(state: State, trial: Trial) -> list[tuple[str, float]]:
    """What was sought, with the number of parameters."""
    return list(shown_metrics(trial, state.metrics_needed).items())


def _failed_counts(state: State) -> Mapping[Status, int]:
    return {status: n for status, n in state.count.items() if status.failed}
