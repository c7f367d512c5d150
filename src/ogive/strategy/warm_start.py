"""A warm start: begin a search with the best architectures of an earlier run.

The earlier run may have the same space or a space with common decisions, and another data set. Its best architectures are
evaluated first, and the strategy learns from their new values as from those of other trials (Feurer, Springenberg and
Hutter, "Initializing Bayesian hyperparameter optimization via meta-learning", AAAI 2015). Values of the earlier run are not
used, since values of another data set or another training are not comparable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ogive.errors import JobError
from ogive.objective import Constraint, Objective
from ogive.seeds import derive, generator
from ogive.space import Architecture, Space
from ogive.space.domain import Domain, Label
from ogive.strategy.base import Strategy
from ogive.strategy.listed import INDEX_KEY, Initial, Labels
from ogive.strategy.observations import collect_observations
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

DEFAULT_TRIALS = 10
"""The default number of architectures of the earlier run that are evaluated first."""


@dataclass(frozen=True)
class Transfer:
    """The architectures of an earlier run that can be used in another space.

    Attributes:
        architectures: the best architectures as {decision: label} of the new space, best first.
        trials: the id of the earlier trial of each architecture.
        messages: messages to the user about the decisions that the two spaces have in common.
    """

    architectures: tuple[Labels, ...]
    trials: tuple[TrialId, ...]
    messages: tuple[str, ...]


class WarmStart(Initial):
    """Proposes the architectures of a `Transfer` first, then those of `strategy`, which receives the trials of both.

    `Deduplicated` and `Constrained` are wrapped around this strategy; architectures that they reject are skipped.

    Args:
        strategy: the strategy that is asked after the list.
        architectures: `Transfer.architectures`.
        trials: `Transfer.trials`; empty if the earlier trials are not noted.
    """

    origin = "warm_start"

    def __init__(self, strategy: Strategy, architectures: Sequence[Labels], trials: Sequence[TrialId] = ()) -> None:
        super().__init__(strategy, architectures)
        self._earlier_trials = tuple(trials)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        proposal = self._list.next(pending)
        if proposal is None:
            return self.strategy.ask(rng, pending, fidelity)
        source = {"earlier_trial": self._earlier_trials[proposal.note[INDEX_KEY]]} if self._earlier_trials else {}
        return Proposal(proposal.architecture, note={**proposal.note, **source})


def transfer_best(
    space: Space,
    earlier: Space,
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint] = (),
    count: int = DEFAULT_TRIALS,
) -> Transfer:
    """Return the best `count` trials of an earlier run as architectures of `space`.

    A decision keeps its label if `space` has a decision of the same name with that label. Other decisions are drawn at
    random; the same architecture always gets the same labels. Architectures that become equal count once. Architectures that
    the space's constraint does not allow are skipped.

    Args:
        space: the space of the new search.
        earlier: the space of the earlier run.
        trials: the trials of the earlier run.
        objectives: the objectives by which the trials are ordered, at the highest step that `count` of them have reached.
        constraints: the constraints of the new search; infeasible trials come last.
        count: the number of architectures; fewer are returned if the earlier run has fewer.

    Raises:
        JobError: the spaces have no decision in common, no trial has a value, or `space` allows none of the architectures.
    """
    common, messages = _match_decisions(space, earlier)
    if not common:
        raise JobError(f"warm_start: the earlier run and this space have no decision in common: {'; '.join(messages)}")
    observations = collect_observations(trials, objectives, constraints, at_least=count)
    if not observations.trials:
        metrics = ", ".join(o.metric for o in objectives)
        raise JobError(f"warm_start: none of the {len(trials)} earlier trials has a value of {metrics}")
    # Go through the earlier trials, best first, until there are `count` different architectures that the space allows.
    # For each id: the architecture in the new space, the id of the earlier trial, and the number of random decisions.
    by_id: dict[str, tuple[Architecture, TrialId, int]] = {}
    for row in np.argsort(observations.ranks(), kind="stable"):
        trial = observations.trials[row]
        architecture, random_count = _adapt(space, common, trial.architecture)
        if space.violation(architecture) is None:
            by_id.setdefault(architecture.id, (architecture, trial.id, random_count))
        if len(by_id) == count:
            break
    if not by_id:
        raise JobError(
            f"warm_start: the space's constraint allows none of the {len(observations.trials)} earlier architectures"
        )
    complete_count = sum(random_count == 0 for _, _, random_count in by_id.values())
    messages.append(f"{len(by_id)} architectures are taken over, {complete_count} of them without random decisions")
    return Transfer(
        architectures=tuple(architecture.to_json() for architecture, _, _ in by_id.values()),
        trials=tuple(trial_id for _, trial_id, _ in by_id.values()),
        messages=tuple(messages),
    )


def _match_decisions(space: Space, earlier: Space) -> tuple[frozenset[str], list[str]]:
    """Return the names of the decisions that have a common label in both spaces, and messages about all decisions."""
    old: Mapping[str, Domain] = {decision.name: decision.domain for decision in earlier.decisions}
    new: Mapping[str, Domain] = {decision.name: decision.domain for decision in space.decisions}
    common = [name for name in new if name in old and _has_common_label(new[name], old[name])]
    changed = [name for name in common if new[name] != old[name]]
    added, removed = ([name for name in names if name not in common] for names in (new, old))
    messages = [f"{len(common) - len(changed)} of {len(new)} decisions are those of the earlier run"]
    for description, names in (("with other alternatives", changed), ("new", added), ("removed", removed)):
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            messages.append(f"{description}: {', '.join(names[:5])}{more}")
    return frozenset(common), messages


def _has_common_label(new: Domain, old: Domain) -> bool:
    """Return whether a label of `old` is valid in `new`; of a real decision, 100 values are tested."""
    return new == old or any(_has_label(new, label) for label in old.enumerate_labels(100))


def _has_label(domain: Domain, label: Label) -> bool:
    """Return whether `label` is valid in `domain`."""
    try:
        domain.parse(label)
    except ValueError:
        return False
    return True


def _adapt(space: Space, common: frozenset[str], earlier: Architecture) -> tuple[Architecture, int]:
    """Return the architecture of `space` with the labels of an earlier one, and the number of decisions drawn at random."""
    u = generator(derive(0, "warm start", earlier.id)).random(len(space.decisions))
    labels: dict[str, Label] = {}
    random_count = 0
    for decision, x in zip(space.decisions, u, strict=True):
        if not decision.is_active(labels):
            continue
        name, domain = decision.name, decision.domain
        # The spaces may share a decision but not all of its labels. It may also be inactive in the earlier architecture.
        if name in common and name in earlier and _has_label(domain, earlier[name]):
            labels[name] = domain.parse(earlier[name])
        else:
            labels[name] = domain.pick(float(x))
            random_count += 1
    return Architecture(space, labels), random_count
