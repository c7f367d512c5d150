"""A run under other questions: what would have been chosen, when it would have stopped, what it would have cost.

Read from the journal; nothing is trained. The answers are about what *was* trained: under another objective a strategy would
have proposed other architectures and a schedule would have promoted others, so what is chosen here is the best of what there
is, and the search itself might have found better. Trials are compared at one fidelity, as everywhere; what violates a
constraint of the question stands behind all that satisfies them, however far it was trained.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ogive.errors import JobError, RunError
from ogive.monitor.stop_rules import RULES, StopVerdict, verdicts
from ogive.objective import Constraint, Objective, ObjectiveSpec, costs, hypervolume
from ogive.objective import constraints as parse_constraints
from ogive.objective import objectives as parse_objectives
from ogive.run.events import Event, Kind
from ogive.run.prices import find_price
from ogive.run.results import front
from ogive.run.results import top as best_of
from ogive.run.settings import Settings
from ogive.run.spending import Spending, spend
from ogive.run.state import State
from ogive.space import Space
from ogive.trial import Status, Trial, TrialId, comparable


@dataclass(frozen=True)
class Choice:
    """A trial that would have been chosen.

    Attributes:
        rank: from 1; with several objectives by front and crowding.
        was: the rank that it has under the run's own objectives and constraints; None where it has none.
        on_front: no other dominates it, and it satisfies all constraints; with one objective, it satisfies them.
    """

    trial: Trial
    rank: int
    was: int | None
    on_front: bool


@dataclass(frozen=True)
class ReplayedStop:
    """Where a stop rule would have ended the search, and what that would have changed.

    Attributes:
        rule: one of `ogive.monitor.stop_rules.RULES`.
        stops: whether it would have, before the search ended.
        reason: at the stop; where there was none, at the end.
        trials: at rest by then.
        chosen: the best by then; None with several objectives, or where no trial had a value.
        lost: with one objective, by how much `chosen` is worse than the best of the whole run, both at the step that both
            have reached, in the metric's unit, at least 0; with several, the share of the final front's hypervolume that was
            missing, in [0, 1], counted from the worst of each objective; None where nothing can be compared: no trial had a
            value by then, or none that satisfies the constraints.
        saved: what was spent after the stop.
    """

    rule: str
    stops: bool
    reason: str
    trials: int
    chosen: TrialId | None
    lost: float | None
    saved: Spending


@dataclass(frozen=True)
class Replay:
    """What `replay` found.

    Attributes:
        objectives, constraints: of the replay.
        trials: in the journal; `valued` of them can be compared under these objectives and constraints.
        chosen: the best, best first.
        front: with several objectives, all trials that no other dominates.
        was: the best under the run's own objectives and constraints.
        stops: one for each stop rule asked for.
        paid: as journalled; `would_pay`: at the replay's price.
        ended: why the search ended; "" where it goes on or was interrupted.
    """

    folder: Path
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    trials: int
    valued: int
    chosen: tuple[Choice, ...]
    front: tuple[TrialId, ...]
    was: tuple[TrialId, ...]
    stops: tuple[ReplayedStop, ...]
    paid: Spending
    would_pay: Spending
    ended: str

    def to_json(self) -> dict[str, Any]:
        """For scripts; trials by their number, with metrics and choices."""
        data = {name: getattr(self, name) for name in ("trials", "valued", "front", "was", "ended")}
        return {
            "run": str(self.folder),
            "objectives": [objective.to_json() for objective in self.objectives],
            "constraints": [str(constraint) for constraint in self.constraints],
            **data,
            "chosen": [_choice_json(choice) for choice in self.chosen],
            "stops": [asdict(stop) for stop in self.stops],
            "paid": asdict(self.paid),
            "would_pay": asdict(self.would_pay),
        }


def _choice_json(choice: Choice) -> dict[str, Any]:
    trial = choice.trial
    return {
        "rank": choice.rank,
        "was": choice.was,
        "on_front": choice.on_front,
        "trial": trial.id,
        "step": trial.step,
        "metrics": dict(trial.metrics),
        "architecture": trial.architecture.to_json(),
    }


def replay(
    folder: Path,
    events: Sequence[Event],
    space: Space | None = None,
    *,
    objectives: ObjectiveSpec | None = None,
    constraints: Constraint | Iterable[Constraint] | None = None,
    price: float | str | None = None,
    stop: str | Sequence[str] | None = None,
    criteria: Constraint | Iterable[Constraint] | None = None,
    budget: float | Mapping[str, float] | None = None,
    max_trials: int | None = None,
    top: int = 10,
) -> Replay:
    """See the module; what is None is as it was in the run.

    Args:
        folder: of the run.
        events: of the journal, from the first on.
        space: the declared space, where the trials are to be built.
        objectives: as of `ogive.search`; so are `constraints`, `price`, `criteria`, `budget` and `max_trials`.
        constraints: likewise.
        price: for an hour, in place of the one that was paid.
        stop: a stop rule or several; None for all.
        criteria: all reached by one trial means success.
        budget: of the rule "budget".
        max_trials: of the rule "budget".
        top: how many trials to choose.

    Raises:
        JobError: a metric was not recorded, or an argument is not what it should be.
        RunError: there is no readable journal.
    """
    rules = _rules(stop)
    if not isinstance(top, int) or top < 1:
        raise JobError(f"top={top!r}: a whole number, at least 1")
    changes = _changes(price, criteria, budget, max_trials)
    own = State.of(events, space)
    asked = parse_objectives(objectives) if objectives is not None else own.objectives
    within = parse_constraints(constraints) if constraints is not None else own.constraints
    check_recorded(own, "objective", [objective.metric for objective in asked])
    check_recorded(own, "constraint", [constraint.metric for constraint in within])
    check_recorded(own, "criterion", [c.metric for c in parse_constraints(criteria)] if criteria is not None else [])
    end, stopped, last = _follow(_changed(events, asked, within, changes), own.space, rules)
    end = _valued(end)
    ranks = {trial.id: place for place, trial in enumerate(_best(own), 1)}
    best = _best(end)[:top]
    on_front = tuple(trial.id for trial in front(end))
    best_front = set(on_front) if len(asked) > 1 else {trial.id for trial in best}
    return Replay(
        folder,
        asked,
        within,
        len(own.trials),
        len(end.trials),
        tuple(Choice(t, place, ranks.get(t.id), t.id in best_front) for place, t in enumerate(best, 1)),
        on_front if len(asked) > 1 else (),
        tuple(list(ranks)[:top]),
        tuple(_stop(rule, stopped.get(rule), last[rule], end) for rule in rules),
        spend(own),
        spend(end),
        own.ended,
    )


def _rules(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    given = RULES if stop is None else (stop,) if isinstance(stop, str) else tuple(stop)
    wrong = next((rule for rule in given if rule not in RULES), None)
    if wrong is not None or not given:
        raise JobError(f"stop: {wrong if given else stop!r} is no stop rule; the rules are {', '.join(RULES)}")
    return given


def _changes(
    price: float | str | None,
    criteria: Constraint | Iterable[Constraint] | None,
    budget: float | Mapping[str, float] | None,
    max_trials: int | None,
) -> dict[str, Any]:
    """The settings that the replay has in place of the journalled ones, as JSON."""
    given = {"price": price, "criteria": criteria, "budget": budget, "max_trials": max_trials}
    known: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    stored = Settings(**known).to_json()
    return {name: stored[name] for name in known}


def check_recorded(state: State, kind: str, metrics: Iterable[str]) -> None:
    """See that each of these was recorded by some trial; `kind` is what they are asked as.

    Raises:
        JobError: one was not; the message names the nearest, and all that were.
    """
    recorded = {name for trial in state.trials.values() for name in trial.metrics}
    for metric in metrics:
        if metric not in recorded:
            near = " or ".join(map(repr, difflib.get_close_matches(metric, sorted(recorded), 2)))
            what = f"what was: {', '.join(sorted(recorded))}" if recorded else "no trial has reported anything yet"
            meant = f"did you mean {near}? " if near else ""
            raise JobError(f"{kind} {metric!r} was not recorded by any trial, so it cannot be replayed; {meant}{what}")


def _best(state: State) -> list[Trial]:
    """All trials that satisfy the constraints, best first."""
    return best_of(state, len(state.trials))


def _changed(
    events: Iterable[Event],
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint],
    changes: Mapping[str, Any],
) -> Iterator[Event]:
    """The journal of the same trials under the replay's objectives, constraints, settings and price."""
    price = find_price(changes["price"]) if "price" in changes else None
    for event in events:
        data = dict(event.data)
        if event.kind is Kind.CREATED:
            data["objectives"] = [objective.to_json() for objective in objectives]
            data["constraints"] = [asdict(constraint) for constraint in constraints]
            data["settings"] = {**data["settings"], **changes}
        elif event.kind is Kind.CHANGED:
            data = {name: value for name, value in data.items() if name not in changes}
        elif event.kind is Kind.OPENED and price is not None:
            data["price"] = price.to_json()
        yield replace(event, data=data)


@dataclass(frozen=True)
class _Moment:
    """What was known when a rule said stop."""

    verdict: StopVerdict
    trials: int
    chosen: tuple[TrialId, ...]
    spent: Spending


def _follow(
    events: Iterable[Event], space: Space, rules: Sequence[str]
) -> tuple[State, dict[str, _Moment], dict[str, StopVerdict]]:
    """Fold the events and ask the stop rules whenever a trial comes to rest, as the controller does: the last state, the
    first moment at which each rule says stop, and the last verdicts."""
    stream = iter(events)
    first = next(stream, None)
    if first is None:
        raise RunError("the journal is empty")
    state = State.of([first], space)
    stopped: dict[str, _Moment] = {}
    said: list[StopVerdict] = verdicts(state)
    for event in stream:
        trial = state.apply(event)
        if trial is None or not (trial.status.ended or trial.status is Status.PAUSED):
            continue
        said = verdicts(state, former=said, ended=trial)
        for verdict in said:
            if verdict.stop and verdict.rule in rules and verdict.rule not in stopped:
                now = _valued(state)
                best = front(now) if len(state.objectives) > 1 else _best(now)[:1]
                rest = state.done + state.count[Status.PAUSED]
                stopped[verdict.rule] = _Moment(verdict, rest, tuple(t.id for t in best), spend(state))
    return state, stopped, {verdict.rule: verdict for verdict in said}


def _valued(state: State) -> State:
    """The state with those trials only that have a value under its objectives and constraints."""
    names = state.metrics_needed
    kept = {
        number: trial
        for number, trial in state.trials.items()
        if trial.reports and not trial.status.failed and all(np.isfinite(trial.metrics.get(n, np.nan)) for n in names)
    }
    return replace(state, trials=kept)


def _stop(rule: str, moment: _Moment | None, last: StopVerdict, end: State) -> ReplayedStop:
    total = spend(end)
    if moment is None:
        nothing = replace(
            total, hours=0.0, worker_hours=0.0, compute_hours=0.0, money=None if total.money is None else 0.0
        )
        return ReplayedStop(rule, False, last.reason, end.done + end.count[Status.PAUSED], None, None, nothing)
    single = len(end.objectives) == 1
    lost = _lost(moment.chosen, end) if single else _missing(moment.chosen, end)
    chosen = moment.chosen[0] if single and moment.chosen else None
    return ReplayedStop(rule, True, moment.verdict.reason, moment.trials, chosen, lost, _less(total, moment.spent))


def _less(total: Spending, then: Spending) -> Spending:
    return replace(
        total,
        hours=total.hours - then.hours,
        worker_hours=total.worker_hours - then.worker_hours,
        compute_hours=total.compute_hours - then.compute_hours,
        money=None if total.money is None else total.money - (then.money or 0.0),
    )


def _lost(chosen: Sequence[TrialId], end: State) -> float | None:
    best = _best(end)
    if not chosen or not best or chosen[0] not in end.trials:
        return None
    then = end.trials[chosen[0]]
    step, _ = comparable([then, best[0]])
    objective = end.objectives[0]
    return max(0.0, objective.cost(then.at(step)) - objective.cost(best[0].at(step)))


def _missing(chosen: Sequence[TrialId], end: State) -> float | None:
    _, trials = comparable(list(end.trials.values()), at_least=1)
    points = np.array([costs(trial.metrics, end.objectives) for trial in trials])
    final = [trial.id for trial in front(end)]
    if not final or len(points) == 0:
        return None
    worst = [float(value) for value in points.max(axis=0)]

    def volume(numbers: Iterable[TrialId]) -> float:
        rows = [costs(end.trials[number].metrics, end.objectives) for number in numbers if number in end.trials]
        return hypervolume(np.array(rows).reshape(len(rows), -1), worst) if rows else 0.0

    whole = volume(final)
    return max(0.0, 1 - volume(chosen) / whole) if whole > 0 else None
