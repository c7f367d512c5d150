"""The replay of a run under other arguments: which trials would be selected, when it would stop, what it would cost.

A replay only reads the journal and trains nothing, so it selects among the trials that *were* trained. A new search with
these arguments might find better ones, because its strategy would propose other architectures, and its schedule would
promote other trials.

As in a search, trials are compared at one fidelity. A trial that violates a constraint ranks behind all trials that satisfy
the constraints, even if it was trained further.
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
from ogive.run.results import find_best_trials, find_front
from ogive.run.settings import Settings
from ogive.run.spending import Spending, compute_spending
from ogive.run.state import State
from ogive.space import Space
from ogive.trial import Trial, TrialId


@dataclass(frozen=True, kw_only=True)
class SelectedTrial:
    """A trial that the replay selects.

    Attributes:
        trial: the record of the trial.
        rank: the rank of the trial in the replay, from 1; with several objectives by Pareto front and crowding distance.
        original_rank: the rank of the trial under the objectives and constraints of the run; None if it had no rank.
        on_front: with one objective, whether the trial is one of the selected trials; with several objectives, whether it
            is on the Pareto front.
    """

    trial: Trial
    rank: int
    original_rank: int | None
    on_front: bool


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The result of a replay.

    Attributes:
        folder: the run's folder.
        objectives: the objectives of the replay.
        constraints: the constraints of the replay.
        trials: the number of trials in the journal.
        comparable_count: the number of trials that can be compared under the objectives and constraints of the replay.
        selected: the best trials of the replay, best first.
        front: with several objectives, the trials that no other trial dominates; empty with one objective.
        original_best: the best trials under the objectives and constraints of the run, best first.
        stops: for each requested stop rule, when it would have stopped the search.
        actual_spending: the spending at the prices that are in the journal.
        replay_spending: the spending at the price of the replay.
        end_reason: the reason why the search ended; None if it is running or was interrupted.
    """

    folder: Path
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    trials: int
    comparable_count: int
    selected: tuple[SelectedTrial, ...]
    front: tuple[TrialId, ...]
    original_best: tuple[TrialId, ...]
    stops: tuple[ReplayedStop, ...]
    actual_spending: Spending
    replay_spending: Spending
    end_reason: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the replay as JSON, with the metrics and architectures of the selected trials."""
        return {
            "run": str(self.folder),
            "objectives": [objective.to_json() for objective in self.objectives],
            "constraints": [str(constraint) for constraint in self.constraints],
            "trials": self.trials,
            "valued": self.comparable_count,
            "front": self.front,
            "was": self.original_best,
            "ended": self.end_reason,
            "chosen": [_describe_selected(selected) for selected in self.selected],
            "stops": [asdict(stop) for stop in self.stops],
            "paid": asdict(self.actual_spending),
            "would_pay": asdict(self.replay_spending),
        }


def _describe_selected(selected: SelectedTrial) -> dict[str, Any]:
    """Return a selected trial as JSON."""
    trial = selected.trial
    return {
        "rank": selected.rank,
        "was": selected.original_rank,
        "on_front": selected.on_front,
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
    """Replay a run. For an argument that is None, the replay uses the value that it had in the run.

    Args:
        folder: the run's folder.
        events: all events of the journal.
        space: the space with its layers; None if the caller does not build the architectures of the trials.
        objectives: as for `ogive.search`.
        constraints: as for `ogive.search`.
        price: as for `ogive.search`: money per worker-hour, or a name in the price file.
        stop: the name of a stop rule, or several names. None requests all rules.
        criteria: the success criteria of the rule "criteria".
        budget: the budget of the rule "budget".
        max_trials: the number of trials of the rule "budget".
        top: the number of trials to select, at least 1.

    Raises:
        JobError: a metric was not recorded, or an argument is out of its range.
        RunError: the journal is empty.
    """
    rules = _parse_rules(stop)
    if not isinstance(top, int) or top < 1:
        raise JobError(f"top={top!r}: expected a whole number, at least 1")
    changes = _list_setting_changes(price, criteria, budget, max_trials)
    original = State.from_events(events, space)
    new_objectives = parse_objectives(objectives) if objectives is not None else original.objectives
    new_constraints = parse_constraints(constraints) if constraints is not None else original.constraints
    check_recorded(original, "objective", [objective.metric for objective in new_objectives])
    check_recorded(original, "constraint", [constraint.metric for constraint in new_constraints])
    if criteria is not None:
        check_recorded(original, "criterion", [criterion.metric for criterion in parse_constraints(criteria)])
    changed_events = _change_events(events, new_objectives, new_constraints, changes)
    final, stops, last_verdicts = apply_stop_rules(changed_events, original.space, rules)
    original_ranks = {trial.id: rank for rank, trial in enumerate(find_best_trials(original, len(original.trials)), 1)}
    best = find_best_trials(final, len(final.trials))[:top]
    pareto_front = tuple(trial.id for trial in find_front(final))
    has_several_objectives = len(new_objectives) > 1
    front = set(pareto_front) if has_several_objectives else {trial.id for trial in best}
    return Replay(
        folder=folder,
        objectives=new_objectives,
        constraints=new_constraints,
        trials=len(original.trials),
        comparable_count=len(final.trials),
        selected=tuple(
            SelectedTrial(
                trial=trial, rank=rank, original_rank=original_ranks.get(trial.id), on_front=trial.id in front
            )
            for rank, trial in enumerate(best, 1)
        ),
        front=pareto_front if has_several_objectives else (),
        original_best=tuple(list(original_ranks)[:top]),
        stops=tuple(compare_stop(rule, stops.get(rule), last_verdicts[rule], final) for rule in rules),
        actual_spending=compute_spending(original),
        replay_spending=compute_spending(final),
        end_reason=original.end_reason,
    )


def _parse_rules(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    rules = RULES if stop is None else (stop,) if isinstance(stop, str) else tuple(stop)
    unknown = next((rule for rule in rules if rule not in RULES), None)
    if unknown is not None or not rules:
        raise JobError(f"stop: {unknown if rules else stop!r} is not a stop rule; known rules: {', '.join(RULES)}")
    return rules


def _list_setting_changes(
    price: float | str | None,
    criteria: Constraint | Iterable[Constraint] | None,
    budget: float | Mapping[str, float] | None,
    max_trials: int | None,
) -> dict[str, Any]:
    """Return the settings of the replay that replace settings in the journal, in the form in which they are journalled.

    Raises:
        JobError: a value is out of its range.
    """
    arguments = {"price": price, "criteria": criteria, "budget": budget, "max_trials": max_trials}
    changes: dict[str, Any] = {name: value for name, value in arguments.items() if value is not None}
    # `Settings` checks the values, and its JSON has defaults for all other settings, which are left out.
    stored = Settings(**changes).to_json()
    return {name: stored[name] for name in changes}


def check_recorded(state: State, kind: str, metrics: Iterable[str]) -> None:
    """Check that each metric was recorded by at least one trial.

    Args:
        state: the state of the run.
        kind: the role of the metrics in the message, such as "objective".
        metrics: the names of the metrics.

    Raises:
        JobError: a metric was not recorded. The message names similar metrics, and all recorded ones.
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
    """Yield the events with the objectives, constraints, settings and price of the replay."""
    price = find_price(changes["price"]) if "price" in changes else None
    for event in events:
        data = dict(event.data)
        if event.kind is Kind.CREATED:
            data["objectives"] = [objective.to_json() for objective in objectives]
            data["constraints"] = [asdict(constraint) for constraint in constraints]
            data["settings"] = {**data["settings"], **changes}
        elif event.kind is Kind.CHANGED:
            # The event of a continued run that changed settings: it must not undo the changes of the replay.
            data = {name: value for name, value in data.items() if name not in changes}
        elif event.kind is Kind.OPENED and price is not None:
            data["price"] = price.to_json()
        yield replace(event, data=data)
