"""The ledger of a search: the worker time that it saved and wasted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from ogive.formatting import duration
from ogive.run.prices import Price
from ogive.run.spending import SECONDS_PER_HOUR, compute_spending
from ogive.trial import Status, Trial

if TYPE_CHECKING:
    from ogive.run.state import State


@dataclass(frozen=True)
class LedgerLine:
    """A line of the ledger.

    Attributes:
        label: the cause that saved or wasted the time.
        worker_hours: the saved worker-hours; negative if they were wasted.
        money: the price of `worker_hours`, with the same sign; None if there is no price.
        basis: a phrase for the report on how the time was counted.
    """

    label: str
    worker_hours: float
    money: float | None
    basis: str


def compute_ledger(state: State, finals: Sequence[State] = (), price: Price | None = None) -> list[LedgerLine]:
    """Return the lines of the ledger that are not zero.

    Args:
        state: the state of the search.
        finals: the states of full training. With them, the ledger has a line for the time that cheap evaluation saved.
        price: a price to use instead of the price that was paid.
    """
    trials = list(state.trials.values())
    # A paused trial may be resumed while the search runs. After the end of the search it counts as stopped.
    stopped_statuses = (Status.STOPPED, Status.PAUSED) if state.end_reason else (Status.STOPPED,)
    stopped = [trial for trial in trials if trial.status in stopped_statuses]
    epoch_seconds = [seconds for trial in trials for seconds in _list_epoch_seconds(trial) if seconds > 0]
    typical_epoch_seconds = median(epoch_seconds) if epoch_seconds else 0.0
    failed = [trial for trial in trials if trial.status.failed]
    spent = compute_spending(state, price=price)
    # Without epochs, only the target of each trial counts; see `_estimate_remaining_seconds`.
    max_epochs = int(state.declaration.get("epochs") or 0)
    idle_seconds = sum(session.seconds * session.workers for session in state.session_intervals) - state.compute_seconds
    # For each line: the cause, the saved seconds, and how they were counted.
    lines = [
        (
            "early stopping",
            sum(_estimate_remaining_seconds(trial, max_epochs, typical_epoch_seconds) for trial in stopped),
            f"{len(stopped)} trials not trained to the end; their remaining epochs are counted at the pace of each trial",
        ),
        ("evaluation cache", state.saved_seconds, "what the cached reports took when they were computed"),
        *_list_cheap_evaluation_savings(state, trials, finals),
        ("failures", -sum(t.seconds for t in failed), f"computed in {len(failed)} failed trials"),
        (
            "lost attempts",
            -state.lost_seconds,
            "computed since the last report by attempts that ended without a result",
        ),
        ("repeats", -_sum_repeated_seconds(trials), "computed for architectures that had been evaluated before"),
        (
            "idle workers",
            -max(0.0, idle_seconds),
            "reserved, but not computing: starting, waiting, the end of the search",
        ),
    ]
    hourly_price = spent.money / spent.worker_hours if spent.money is not None and spent.worker_hours else None
    return [
        LedgerLine(
            label,
            seconds / SECONDS_PER_HOUR,
            None if hourly_price is None else seconds / SECONDS_PER_HOUR * hourly_price,
            basis,
        )
        for label, seconds, basis in lines
        if abs(seconds) > 0
    ]


def _estimate_remaining_seconds(trial: Trial, max_epochs: int, typical: float) -> float:
    """Return the seconds that a stopped trial would have taken for its remaining epochs, up to `max_epochs` or its target.

    The time of an epoch is the median of the trial's epochs without the first, in which a worker may have loaded code and
    data. If the trial has only one epoch, the time of this epoch is used, but at most `typical`.

    Args:
        trial: the trial.
        max_epochs: the epochs of a complete training.
        typical: the median seconds of an epoch, over all trials.
    """
    epoch_seconds = list(_list_epoch_seconds(trial))
    if not epoch_seconds:
        return 0.0
    expected = median(epoch_seconds[1:]) if len(epoch_seconds) > 1 else min(epoch_seconds[0], typical)
    return max(0, max(max_epochs, trial.target_step) - trial.step) * expected


def _list_epoch_seconds(trial: Trial) -> Iterator[float]:
    """Yield, for each report of a trial, the seconds per epoch since the previous report."""
    step = 0
    for report in trial.reports:
        yield report.seconds / max(1, report.step - step)
        step = report.step


def _list_cheap_evaluation_savings(
    state: State, trials: Sequence[Trial], finals: Sequence[State]
) -> list[tuple[str, float, str]]:
    """Return the line (cause, seconds, basis) on the time that cheap evaluation saved; empty without full training.

    The alternative to search and full training is to train every trial in full, for the median time of a full training.
    """
    full_seconds = [
        trial.seconds
        for final in finals
        for trial in final.trials.values()
        if trial.status is Status.FINISHED and trial.seconds
    ]
    evaluated = [trial for trial in trials if trial.status.ended or trial.status is Status.PAUSED]
    if not full_seconds or not evaluated:
        return []
    typical_seconds = median(full_seconds)
    saved = len(evaluated) * typical_seconds - state.compute_seconds - sum(final.compute_seconds for final in finals)
    basis = (
        f"{len(evaluated)} full trainings of {duration(typical_seconds)} (median), less the search and full training"
    )
    return [("cheap estimates", saved, basis)]


def _sum_repeated_seconds(trials: Sequence[Trial]) -> float:
    """Return the compute time of all trials that have the same architecture as an earlier trial."""
    earlier_ids: set[str] = set()
    seconds = 0.0
    for trial in trials:
        seconds += trial.seconds if trial.architecture.id in earlier_ids else 0.0
        earlier_ids.add(trial.architecture.id)
    return seconds
