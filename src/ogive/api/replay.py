"""The replay of a run under other arguments: which trials would be selected, when it would stop, what it would cost.

It is read from the journal; nothing is trained. The answers concern the trials that *were* trained. Under another objective,
the strategy would have proposed other architectures and the schedule would have promoted other trials, so the search itself
might have found better ones. Trials are compared at one fidelity, as everywhere. A trial that violates a constraint of the
replay ranks behind all that satisfy them, however far it was trained.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ogive.api.replayed_stops import ReplayedStop, apply_stop_rules, compare_stop
from ogive.errors import JobError
from ogive.monitor.stop_rules import RULES
from ogive.objective import Constraint, Objective, ObjectiveSpec
from ogive.objective import parse_constraints as parse_constraints
from ogive.objective import parse_objectives as parse_objectives
from ogive.run.events import Event, Kind
from ogive.run.prices import find_price
from ogive.run.results import find_best_trials as best_of
from ogive.run.results import find_front
from ogive.run.settings import Settings
from ogive.run.spending import Spending, compute_spending
from ogive.run.state import State
from ogive.space import Space
from ogive.trial import Trial, TrialId


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A trial that would be selected.

    Attributes:
        trial: the trial.
        rank: from 1; with several objectives by Pareto front and crowding distance.
        was: its rank under the run's own objectives and constraints; None if it has none.
        on_front: whether it satisfies all constraints and, with several objectives, no other trial dominates it.
    """

    trial: Trial
    rank: int
    was: int | None
    on_front: bool


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The result of a replay.

    Attributes:
        folder: of the run.
        objectives: of the replay.
        constraints: of the replay.
        trials: the number of trials in the journal.
        valued: the number of trials that can be compared under these objectives and constraints.
        chosen: the best trials, best first.
        front: with several objectives, all trials that no other dominates.
        was: the best trials under the run's own objectives and constraints.
        stops: one for each requested stop rule.
        paid: the spending as journalled.
        would_pay: the spending at the price of the replay.
        ended: why the search ended; "" if it is running or was interrupted.
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
        """Return the replay as JSON; trials as numbers, the selected ones with metrics and architecture."""
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
    """Replay a run; an argument that is None has the value that it had in the run.

    Args:
        folder: of the run.
        events: of the journal, from the first one.
        space: with its layers, if the trials' architectures are to be built; else None.
        objectives: as for `ogive.search`.
        constraints: as for `ogive.search`.
        price: of an hour, as for `ogive.search`.
        stop: a stop rule or several; None for all.
        criteria: of the rule "criteria".
        budget: of the rule "budget".
        max_trials: of the rule "budget".
        top: the number of trials to select, at least 1.

    Raises:
        JobError: a metric was not recorded, or an argument is out of its range.
        RunError: the journal is empty.
    """
    rules = _parse_rules(stop)
    if not isinstance(top, int) or top < 1:
        raise JobError(f"top={top!r}: expected a whole number, at least 1")
    changes = _changed_settings(price, criteria, budget, max_trials)
    original = State.from_events(events, space)
    goals = parse_objectives(objectives) if objectives is not None else original.objectives
    bounds = parse_constraints(constraints) if constraints is not None else original.constraints
    check_recorded(original, "objective", [objective.metric for objective in goals])
    check_recorded(original, "constraint", [constraint.metric for constraint in bounds])
    if criteria is not None:
        check_recorded(original, "criterion", [criterion.metric for criterion in parse_constraints(criteria)])
    final, stops, last_verdicts = apply_stop_rules(
        _change_events(events, goals, bounds, changes), original.space, rules
    )
    ranks = {trial.id: rank for rank, trial in enumerate(best_of(original, len(original.trials)), 1)}
    best = best_of(final, len(final.trials))[:top]
    pareto_front = tuple(trial.id for trial in find_front(final))
    has_several = len(goals) > 1
    selected = set(pareto_front) if has_several else {trial.id for trial in best}
    return Replay(
        folder=folder,
        objectives=goals,
        constraints=bounds,
        trials=len(original.trials),
        valued=len(final.trials),
        chosen=tuple(
            Choice(trial=trial, rank=rank, was=ranks.get(trial.id), on_front=trial.id in selected)
            for rank, trial in enumerate(best, 1)
        ),
        front=pareto_front if has_several else (),
        was=tuple(list(ranks)[:top]),
        stops=tuple(compare_stop(rule, stops.get(rule), last_verdicts[rule], final) for rule in rules),
        paid=compute_spending(original),
        would_pay=compute_spending(final),
        ended=original.end_reason,
    )


def _parse_rules(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    rules = RULES if stop is None else (stop,) if isinstance(stop, str) else tuple(stop)
    unknown = next((rule for rule in rules if rule not in RULES), None)
    if unknown is not None or not rules:
        raise JobError(f"stop: {unknown if rules else stop!r} is no stop rule; the rules are {', '.join(RULES)}")
    return rules


def _changed_settings(
    price: float | str | None,
    criteria: Constraint | Iterable[Constraint] | None,
    budget: float | Mapping[str, float] | None,
    max_trials: int | None,
) -> dict[str, Any]:
    """Return the settings that replace journalled ones, as JSON.

    Raises:
        JobError: a value is out of its range.
    """
    arguments = {"price": price, "criteria": criteria, "budget": budget, "max_trials": max_trials}
    changes: dict[str, Any] = {name: value for name, value in arguments.items() if value is not None}
    stored = Settings(**changes).to_json()
    return {name: stored[name] for name in changes}


def check_recorded(state: State, kind: str, metrics: Iterable[str]) -> None:
    """Check that some trial recorded each metric.

    Args:
        state: of the run.
        kind: of the metrics, such as "objective", for the message.
        metrics: names.

    Raises:
        JobError: one was not recorded; the message names the most similar ones, and all that were.
    """
    recorded = {name for trial in state.trials.values() for name in trial.metrics}
    for metric in metrics:
        if metric not in recorded:
            similar = " or ".join(map(repr, difflib.get_close_matches(metric, sorted(recorded), 2)))
            suggestion = f"did you mean {similar}? " if similar else ""
            available = (
                f"recorded metrics: {', '.join(sorted(recorded))}" if recorded else "no trial has reported anything yet"
            )
            raise JobError(
                f"{kind} {metric!r} was not recorded by any trial, so it cannot be replayed; {suggestion}{available}"
            )


def _change_events(
    events: Iterable[Event],
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint],
    changes: Mapping[str, Any],
) -> Iterator[Event]:
    """Yield the journal of the same trials with the objectives, constraints, settings and price of the replay."""
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
