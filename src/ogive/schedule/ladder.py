"""The fidelities of the rungs of successive halving."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ogive.errors import JobError
from ogive.registry import check_whole_number
from ogive.trial import EMPTY, Fidelity, Step, count_steps


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """The fidelities of all rungs, from the cheapest to full training, with the steps at which the rungs end.

    If epochs are the only fidelity, a trial continues from its checkpoint, and rung k ends at step `steps[k]`, which is its
    number of epochs. With another fidelity (a share of the data, a smaller image, a narrower network), a trial starts from
    scratch on every rung, but the count of its steps continues: rung k has the steps from `steps[k - 1]` + 1 to `steps[k]`.
    A trial that starts on a higher rung k also counts its steps from `steps[k - 1]` + 1. So two trials with equal steps are
    on the same rung, and their values are comparable.

    Attributes:
        fidelities: the fidelity of each rung, the cheapest first.
        steps: the last step of each rung.
        restarts: whether a trial starts from scratch on every rung.
    """

    fidelities: tuple[Fidelity, ...]
    steps: tuple[Step, ...]
    restarts: bool = False

    @staticmethod
    def from_options(
        schedule: str,
        epochs: int | None,
        *,
        min_epochs: int = 1,
        max_epochs: int | None = None,
        eta: int = 3,
        fidelities: Mapping[str, float] = EMPTY,
    ) -> Ladder:
        """Return a ladder whose rungs are at `min_epochs` times 1, eta, eta^2 ..., and at `max_epochs`.

        See `list_rung_epochs`.

        Args:
            schedule: the name of the schedule, for error messages.
            epochs: the number of epochs of full training; None if the estimator has no epochs. If `max_epochs` is also None,
                only `fidelities` grow, and `min_epochs` is not used.
            min_epochs: the number of epochs on the lowest rung.
            max_epochs: the number of epochs on the highest rung; None for `epochs`.
            eta: the factor between the epochs of two rungs.
            fidelities: the value of each other fidelity on the lowest rung, above 0 and below 1. It grows to 1 by equal
                factors from rung to rung, while the epochs grow from `min_epochs`. If only these fidelities should grow, set
                `min_epochs` equal to `max_epochs`: the number of rungs then follows from the lowest value and `eta`.

        Raises:
            JobError: the ladder would have only one rung and `epochs` is not 1, or an option is missing or out of range.
        """
        lowest = check_whole_number(schedule, "min_epochs", min_epochs, at_least=1)
        eta = check_whole_number(schedule, "eta", eta, at_least=2)
        others = _parse_fidelities(schedule, fidelities)
        if max_epochs is None and epochs is None:
            if not others:
                raise JobError(
                    f"{schedule} needs the number of epochs of full training; give epochs, or its option max_epochs"
                )
            return _make_ladder_at_equal_epochs(others, eta, None)
        highest = check_whole_number(schedule, "max_epochs", epochs if max_epochs is None else max_epochs, at_least=1)
        if lowest > highest:
            raise JobError(f"{schedule}: min_epochs is {lowest}, but must be at most max_epochs, which is {highest}")
        if epochs is not None and epochs < highest:
            raise JobError(f"{schedule}: max_epochs is {highest}, but must be at most the {epochs} epochs of a trial")
        if others and lowest == highest:
            return _make_ladder_at_equal_epochs(others, eta, highest)
        # A single rung is an error, except if full training takes one epoch: all phases of a funnel may use one schedule,
        # and one of them may train for a single epoch.
        if lowest == highest and epochs != 1:
            remedy = f"min_epochs below {highest}, further fidelities" if highest > 1 else "max_epochs above 1"
            raise JobError(
                f"{schedule}: min_epochs and max_epochs are both {lowest}; with one rung, every trial is trained in full; "
                f"give {remedy}, or use schedule 'full'"
            )
        epochs_of_rungs = list_rung_epochs(lowest, highest, eta)
        if others:
            count = len(epochs_of_rungs)
            return _make_ladder_with_restarts(
                [{"epochs": e, **_interpolate(others, k, count)} for k, e in enumerate(epochs_of_rungs)]
            )
        return Ladder(fidelities=tuple({"epochs": e} for e in epochs_of_rungs), steps=epochs_of_rungs)

    @property
    def other_fidelities(self) -> tuple[str, ...]:
        """The names of the fidelities other than epochs."""
        return tuple(name for name in self.fidelities[0] if name != "epochs")

    def __len__(self) -> int:
        return len(self.steps)

    def find_rung(self, fidelity: Fidelity) -> int:
        """Return the rung, from 0, at which a job of this fidelity ends."""
        return self.fidelities.index(fidelity)

    def get_step_offset(self, rung: int) -> Step:
        """Return the step after which the epochs of a job that ends on `rung` are counted; see `Start.step_offset`."""
        return self.steps[rung - 1] if self.restarts and rung else 0


def list_rung_epochs(min_epochs: int, max_epochs: int, eta: int) -> tuple[int, ...]:
    """Return the numbers of epochs of the rungs: `min_epochs` times 1, eta, eta^2 ..., and finally `max_epochs`.

    `max_epochs` need not be `min_epochs` times a power of eta. The rung below it is left out if `max_epochs` is less than
    sqrt(eta) times the epochs of that rung, unless that rung is the lowest.
    """
    epochs = [min_epochs]
    while epochs[-1] * eta < max_epochs:
        epochs.append(epochs[-1] * eta)
    if len(epochs) > 1 and max_epochs**2 < epochs[-1] ** 2 * eta:
        epochs.pop()
    return (*epochs, max_epochs) if epochs[-1] < max_epochs else tuple(epochs)


def _parse_fidelities(schedule: str, fidelities: Any) -> dict[str, float]:
    """Return the lowest values of the fidelities as floats.

    Raises:
        JobError: a value is not above 0 and below 1, or the mapping names epochs.
    """
    if not isinstance(fidelities, Mapping):
        raise JobError(
            f"{schedule}: fidelities is {fidelities!r}, but must be a mapping such as {{'data_fraction': 0.1}}"
        )
    for key, value in fidelities.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if key == "epochs" or not is_number or not 0 < value < 1:
            raise JobError(
                f"{schedule}: fidelities has {key!r}: {value!r}; give the lowest value of a fidelity other than epochs, "
                "above 0 and below 1, from which the fidelity grows to 1 (for epochs use min_epochs and max_epochs)"
            )
    return {key: float(value) for key, value in fidelities.items()}


def _interpolate(lowest: Mapping[str, float], rung: int, rungs: int) -> dict[str, float]:
    """Return the fidelities on a rung, which grow by equal factors from `lowest` on the first rung to 1 on the last."""
    if rung == rungs - 1:
        return dict.fromkeys(lowest, 1.0)
    return {name: round(low ** (1 - rung / (rungs - 1)), 6) for name, low in lowest.items()}


def _make_ladder_at_equal_epochs(lowest: Mapping[str, float], eta: int, epochs: int | None) -> Ladder:
    """Return a ladder on which only the fidelities other than epochs grow."""
    # Count how many factors of eta fit between the lowest value and 1, but at least one. The tolerance is for rounding
    # errors of log.
    rungs = 1 + max(1, math.floor(math.log(1 / min(lowest.values()), eta) + 1e-9))
    constant = {} if epochs is None else {"epochs": epochs}
    return _make_ladder_with_restarts([{**constant, **_interpolate(lowest, k, rungs)} for k in range(rungs)])


def _make_ladder_with_restarts(fidelities: list[dict[str, float]]) -> Ladder:
    """Return a ladder on whose rungs trials start from scratch: the steps of a rung follow those of the rung below."""
    steps, last_step = [], 0
    for fidelity in fidelities:
        last_step += count_steps(fidelity)
        steps.append(last_step)
    return Ladder(fidelities=tuple(fidelities), steps=tuple(steps), restarts=True)
