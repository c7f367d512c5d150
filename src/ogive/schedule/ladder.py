"""The ladder of fidelities that the rungs of successive halving stand on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ogive.errors import JobError
from ogive.registry import whole
from ogive.trial import EMPTY, Fidelity, Step, until


@dataclass(frozen=True)
class Ladder:
    """Fidelities from the cheapest to the full one, each with the steps that training at it takes.

    With epochs alone a trial goes on from its checkpoint: rung k ends at step `steps[k]`, its number of epochs. With
    another fidelity beside them (a share of the data, a smaller image, a narrower network) a trial starts again on every
    rung, and steps go on counting: rung k has those after `steps[k - 1]`, whoever gets there, and equal steps remain
    comparable.

    Attributes:
        fidelities: of each rung, the cheapest first.
        steps: the last step on each rung.
        again: whether a trial starts again on every rung.
    """

    fidelities: tuple[Fidelity, ...]
    steps: tuple[Step, ...]
    again: bool = False

    @staticmethod
    def of(
        name: str,
        epochs: int | None,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
        fidelities: Mapping[str, float] = EMPTY,
    ) -> Ladder:
        """Rungs at `min_epochs`, `min_epochs` eta, `min_epochs` eta^2 ... and `max_epochs`: see `levels`.

        Args:
            name: of the schedule, for errors.
            epochs: of a trial at most; None where the estimator has none.
            min_epochs: on the lowest rung.
            max_epochs: on the highest; `epochs` where None.
            eta: the factor from rung to rung.
            fidelities: the lowest value, above 0 and below 1, of each further fidelity; it grows to 1 by equal factors
                from rung to rung, while the epochs grow from `min_epochs`. Give `min_epochs` the value of `max_epochs`
                where only these are to grow; there are then as many rungs as factors of `eta` lie below 1.

        Raises:
            JobError: no rung fits, only one does, or a value is out of its range.
        """
        lowest = whole(name, "min_epochs", min_epochs, at_least=1)
        eta = whole(name, "eta", eta, at_least=2)
        others = _lowest(name, fidelities)
        if max_epochs is None and epochs is None:
            if not others:
                raise JobError(f"{name} needs to know how far a trial can go: give epochs, or its option max_epochs")
            return _of_others(others, eta, None)
        top = whole(name, "max_epochs", epochs if max_epochs is None else max_epochs, at_least=1)
        if lowest > top:
            raise JobError(f"{name}: min_epochs is {lowest}, but must be at most max_epochs, which is {top}")
        if epochs is not None and epochs < top:
            raise JobError(f"{name}: max_epochs is {top}, but must be at most the {epochs} epochs of a trial")
        if others and lowest == top:
            return _of_others(others, eta, top)
        if lowest == top and epochs != 1:  # of one epoch nothing can be left out: a short phase may keep its schedule
            remedy = f"min_epochs below {top}, further fidelities" if top > 1 else "max_epochs above 1"
            raise JobError(
                f"{name}: min_epochs is {lowest}, and so is max_epochs: on one rung every trial is trained in full; give "
                f"{remedy}, or schedule 'full'"
            )
        ladder = levels(lowest, top, eta)
        if others:
            return _again([{"epochs": e, **_between(others, k, len(ladder))} for k, e in enumerate(ladder)])
        return Ladder(tuple({"epochs": e} for e in ladder), ladder)

    @property
    def others(self) -> tuple[str, ...]:
        """The fidelities beside epochs."""
        return tuple(name for name in self.fidelities[0] if name != "epochs")

    def __len__(self) -> int:
        return len(self.steps)

    def rung(self, fidelity: Fidelity) -> int:
        """The number of the rung, from 0, that a job of this fidelity ends on."""
        return self.fidelities.index(fidelity)

    def began(self, rung: int) -> Step:
        """The step that those of a job which ends on `rung` are counted from."""
        return self.steps[rung - 1] if self.again and rung else 0


def levels(min_epochs: int, max_epochs: int, eta: int) -> tuple[int, ...]:
    """Epochs at which rungs stand: min, min eta, min eta^2 ... and max, which need not be a power.

    The last rung takes the place of one below it that it is nearer to than half a factor (the square root of eta).
    """
    ladder = [min_epochs]
    while ladder[-1] * eta < max_epochs:
        ladder.append(ladder[-1] * eta)
    if len(ladder) > 1 and max_epochs**2 < ladder[-1] ** 2 * eta:
        ladder.pop()
    return (*ladder, max_epochs) if ladder[-1] < max_epochs else tuple(ladder)


def _lowest(name: str, fidelities: Any) -> dict[str, float]:
    if not isinstance(fidelities, Mapping):
        raise JobError(f"{name}: fidelities is {fidelities!r}, but must be a mapping such as {{'data_fraction': 0.1}}")
    for key, value in fidelities.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if key == "epochs" or not number or not 0 < value < 1:
            raise JobError(
                f"{name}: fidelities has {key!r}: {value!r}; give the lowest value of a fidelity other than epochs, above "
                "0 and below 1; it grows to 1 (for epochs there are min_epochs and max_epochs)"
            )
    return {key: float(value) for key, value in fidelities.items()}


def _between(lowest: Mapping[str, float], rung: int, rungs: int) -> dict[str, float]:
    """The values on a rung; the first that grows by equal factors from its lowest to 1 on the last."""
    if rung == rungs - 1:
        return dict.fromkeys(lowest, 1.0)
    return {name: round(low ** (1 - rung / (rungs - 1)), 6) for name, low in lowest.items()}


def _of_others(lowest: Mapping[str, float], eta: int, epochs: int | None) -> Ladder:
    rungs = 1 + max(1, math.floor(math.log(1 / min(lowest.values()), eta) + 1e-9))
    always = {} if epochs is None else {"epochs": epochs}
    return _again([{**always, **_between(lowest, k, rungs)} for k in range(rungs)])


def _again(fidelities: list[dict[str, float]]) -> Ladder:
    steps, done = [], 0
    for fidelity in fidelities:
        done += until(fidelity)
        steps.append(done)
    return Ladder(tuple(fidelities), tuple(steps), again=True)
