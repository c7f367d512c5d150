"""Begin with what an earlier run found best: of the same space or of one that overlaps, also on another data set.

The simple way to transfer between searches: the best architectures of the earlier one are evaluated first, and the strategy
learns from their new values like from any other (Feurer, Springenberg and Hutter, "Initializing Bayesian hyperparameter
optimization via meta-learning", AAAI 2015). Values of the earlier run, which may be of another data set or another training,
are never mixed with new ones.
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
from ogive.strategy.listed import PLACE, Choices, Initial
from ogive.strategy.observations import collect_observations
from ogive.trial import Fidelity, Pending, Proposal, Trial, TrialId

TRIALS = 10
"""How many architectures of the earlier run are tried first."""


@dataclass(frozen=True)
class Transfer:
    """What of an earlier run can be used in a space.

    Attributes:
        architectures: its best, the best first, as architectures of the new space.
        trials: the earlier trial that each comes from.
        said: how the spaces match, for the user.
    """

    architectures: tuple[Choices, ...]
    trials: tuple[TrialId, ...]
    said: tuple[str, ...]


class WarmStart(Initial):
    """`strategy`, after the architectures of a `transfer`; it is told about those, too.

    Put `Deduplicated` and `Constrained` around it: what of the earlier run they turn down is passed over.
    """

    origin = "warm_start"

    def __init__(self, strategy: Strategy, architectures: Sequence[Choices], trials: Sequence[TrialId] = ()) -> None:
        super().__init__(strategy, architectures)
        self._trials = tuple(trials)

    def ask(self, rng: np.random.Generator, pending: Pending, fidelity: Fidelity) -> Proposal:
        proposal = self._list.next(pending)
        if proposal is None:
            return self.strategy.ask(rng, pending, fidelity)
        earlier = {"earlier_trial": self._trials[proposal.note[PLACE]]} if self._trials else {}
        return Proposal(proposal.architecture, note={**proposal.note, **earlier})


def transfer(
    space: Space,
    earlier: Space,
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint] = (),
    count: int = TRIALS,
) -> Transfer:
    """The best `count` of an earlier run's trials as architectures of `space`.

    A decision keeps its label where `space` has a decision of that name with that label; what is new there, or has lost the
    label, is drawn at random, always the same for the same architecture. Architectures that become equal count once, and
    those that the space's constraint does not allow are passed over.

    Args:
        space: of the new search.
        earlier: the space of the earlier run.
        trials: of the earlier run.
        objectives: by which they are ordered, at the highest step that `count` of them have reached.
        constraints: likewise.
        count: how many are wanted.

    Raises:
        JobError: the spaces have no decision in common, or no trial has a value, or none is allowed here.
    """
    matching, said = _match(space, earlier)
    if not matching:
        raise JobError(f"warm_start: no decision of the earlier run is one of this space: {'; '.join(said)}")
    known = collect_observations(trials, objectives, constraints, at_least=count)
    if not known.trials:
        sought = ", ".join(o.metric for o in objectives)
        raise JobError(f"warm_start: none of the {len(trials)} earlier trials has a value of {sought}")
    found: dict[str, tuple[Architecture, TrialId, int]] = {}
    for row in np.argsort(known.ranks(), kind="stable"):
        trial = known.trials[row]
        architecture, drawn = _adopt(space, matching, trial.architecture)
        if space.violation(architecture) is None:
            found.setdefault(architecture.id, (architecture, trial.id, drawn))
        if len(found) == count:
            break
    if not found:
        raise JobError(
            f"warm_start: the space's constraint allows none of the {len(known.trials)} earlier architectures"
        )
    whole = sum(drawn == 0 for _, _, drawn in found.values())
    said.append(f"{len(found)} architectures are taken over, {whole} of them with every decision")
    architectures = tuple(architecture.to_json() for architecture, _, _ in found.values())
    return Transfer(architectures, tuple(number for _, number, _ in found.values()), tuple(said))


def _match(space: Space, earlier: Space) -> tuple[frozenset[str], list[str]]:
    """Names of decisions that can take over a label, and what is to be said of the others."""
    there: Mapping[str, Domain] = {decision.name: decision.domain for decision in earlier.decisions}
    here: Mapping[str, Domain] = {decision.name: decision.domain for decision in space.decisions}
    common = [name for name in here if name in there and _share(here[name], there[name])]
    changed = [name for name in common if here[name] != there[name]]
    new, gone = ([name for name in one if name not in common] for one in (here, there))
    said = [f"{len(common) - len(changed)} of {len(here)} decisions are those of the earlier run"]
    for what, names in (("with other alternatives", changed), ("new", new), ("gone", gone)):
        if names:
            said.append(f"{what}: {', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}")
    return frozenset(common), said


def _share(here: Domain, there: Domain) -> bool:
    """Whether some label is in both."""
    return here == there or any(_has(here, label) for label in there.all(100))


def _has(domain: Domain, label: Label) -> bool:
    try:
        domain.parse(label)
    except ValueError:
        return False
    return True


def _adopt(space: Space, matching: frozenset[str], earlier: Architecture) -> tuple[Architecture, int]:
    """The architecture of `space` that is most like an earlier one, and how many of its decisions were drawn."""
    u = generator(derive(0, "warm start", earlier.id)).random(len(space.decisions))
    choices: dict[str, Label] = {}
    drawn = 0
    for decision, x in zip(space.decisions, u, strict=True):
        if not decision.active(choices):
            continue
        name, domain = decision.name, decision.domain
        if name in matching and name in earlier and _has(domain, earlier[name]):
            choices[name] = domain.parse(earlier[name])
        else:
            choices[name] = domain.pick(float(x))
            drawn += 1
    return Architecture(space, choices), drawn
