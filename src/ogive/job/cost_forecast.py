"""What a job will cost, told before it starts: a few architectures are trained for a moment, and the time is scaled up."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ogive.formatting import plural
from ogive.job.job import Job
from ogive.planner.measure_durations import start_up
from ogive.run.manifest import cores
from ogive.run.prices import Price, find_price
from ogive.seeds import generator
from ogive.session.payload import PAYLOAD, write_payload
from ogive.user_code import RAISED

if TYPE_CHECKING:
    from ogive.estimate import Classifier
    from ogive.task.proxy import Proxy
    from ogive.task.trainer import Examples

SAMPLED = 3
"""Architectures that are timed."""
BATCHES = 8
"""Steps of training that are timed, after two that are not."""


@dataclass(frozen=True)
class Range:
    """Of a cost over the timed architectures: the cheapest, the middle one, the dearest."""

    low: float
    middle: float
    high: float

    def times(self, factor: float) -> Range:
        return Range(self.low * factor, self.middle * factor, self.high * factor)

    def plus(self, amount: float) -> Range:
        return Range(self.low + amount, self.middle + amount, self.high + amount)


@dataclass(frozen=True)
class Part:
    """The forecast of one search, or of full training.

    Attributes:
        name: "search", "full training", or the phase's.
        trainings: how many.
        seconds: of one.
        hours: of all, at so many at a time as the job says, and of the start of their workers; no longer than the budget.
            More than needed where the schedule stops trials early (`ogive plan` simulates that).
        money: likewise; None where nothing has a price.
        full: whether this is full training.
        apart: whether a command of its own does it: `ogive finalize`.
    """

    name: str
    trainings: int
    seconds: Range
    hours: Range
    money: Range | None
    full: bool = False
    apart: bool = False


@dataclass(frozen=True)
class CostForecast:
    """What a job will cost on this machine.

    Attributes:
        parts: in order.
        method: how it was measured.
        price: what an hour costs; None where nothing is paid.
        start_up: seconds until the workers are ready.
    """

    parts: tuple[Part, ...]
    method: str
    price: Price | None
    start_up: float = 0.0

    @property
    def money(self) -> float | None:
        """What `ogive search` spends if all architectures are as dear as the dearest that is timed; None without a price."""
        amounts = [part.money for part in self.parts if part.money is not None and not part.apart]
        return sum(amount.high for amount in amounts) if amounts else None

    @property
    def ratio(self) -> float | None:
        """Compute of one full training over that of one training of the first search; None without full training."""
        full = next((part for part in self.parts if part.full), None)
        return None if full is None else full.seconds.middle / self.parts[0].seconds.middle

    def to_json(self) -> dict[str, Any]:
        own = {"method": self.method, "ratio": self.ratio, "start_up": self.start_up}
        return {"parts": [asdict(part) for part in self.parts], **own}


def forecast(job: Job) -> CostForecast | None:
    """Time some architectures of the job and scale up. None where a train function alone knows how long it trains.

    Takes some seconds; reads the training and validation parts only. Time is taken as proportional to examples and epochs.
    """
    from ogive.estimate import Classifier

    searches = [phase.job for phase in job.phases if phase.job is not None] or [job]
    judges = [search.estimator for search in searches]
    paces: dict[Proxy, _Pace | None] = {}

    def pace_of(judge: Classifier) -> _Pace | None:
        size = replace(judge.proxy, data_fraction=1.0)
        if size not in paces:
            paces[size] = _pace(job, judge, size)
        return paces[size]

    first = pace_of(judges[0]) if isinstance(judges[0], Classifier) else None
    if first is None:
        return None
    price = find_price(job.price)
    start = _start_up(searches[0])
    parts = []
    for search, judge in zip(searches, judges, strict=True):
        assert isinstance(judge, Classifier)
        seconds = (pace_of(judge) or first).training(judge, search.epochs or judge.epochs)
        name = search.run.name if job.phases else "search"
        parts.append(_part(name, search, search.keys.max_trials, seconds, price, start))
    last = job.phases[-1] if job.phases and job.phases[-1].job is None else None
    given = last.finalize if last is not None else _finalize_of(job)
    if given:
        judge = judges[-1]
        assert isinstance(judge, Classifier)
        full = judge.full_training({**given.get("recipe", {}), **_epochs(given)})
        trainings = given["top"] * len(given["seeds"])
        seconds = (pace_of(full) or first).training(full, full.epochs)
        name = last.name if last is not None else "full training"
        parts.append(_part(name, searches[-1], trainings, seconds, price, start, full=True, apart=last is None))
    return CostForecast(tuple(parts), first.method, price, start)


def _start_up(job: Job) -> float:
    """Seconds that a search waits for its workers: measured with as many."""
    if job.keys.executor == "inline":
        return 0.0
    with tempfile.TemporaryDirectory(prefix="ogive-forecast-") as name:
        payload = Path(name) / PAYLOAD
        write_payload(payload, job.space, job.estimator)
        count = min(job.parallel_trials, job.keys.max_trials)
        threads = max(1, cores() // job.parallel_trials)
        return start_up(payload, Path(name) / "workers", count, threads, job.settings.startup_limit)


@dataclass(frozen=True)
class _Pace:
    """Seconds an example of training and of validation, of each timed architecture."""

    train: Sequence[float]
    validate: Sequence[float]
    method: str

    def training(self, judge: Classifier, epochs: int) -> Range:
        """Seconds of one training with `judge`."""
        task = judge.task.subset(judge.proxy.data_fraction)
        trained, validated = len(task.split.train), len(task.split.validation)
        seconds = sorted(epochs * (t * trained + v * validated) for t, v in zip(self.train, self.validate, strict=True))
        return Range(seconds[0], median(seconds), seconds[-1])


def _pace(job: Job, judge: Classifier, proxy: Proxy) -> _Pace | None:
    """Of models and images as small as `proxy` has them; None where no sampled architecture can be built."""
    from ogive.estimate.proxy_model import smaller
    from ogive.task.trainer import choose_device

    device = choose_device(judge.device)
    size = (BATCHES + 2) * judge.training.batch_size
    parts = (judge.task.train(), judge.task.validation())
    train, validation = ((proxy.shrink(x[:size]).to(device), y[:size].to(device)) for x, y in parts)
    train_pace, validate_pace = [], []
    threads = max(1, cores() // job.parallel_trials)
    with _threads(threads):
        for index in range(SAMPLED):
            architecture = job.space.sample(generator(job.keys.seed, "forecast", index))
            try:
                model = smaller(architecture, index, proxy, tuple(train[0].shape[1:]))
            except RAISED:  # infeasible ones are not trained, and of others the preflight tells
                continue
            trained, validated = _time(model, train, validation, judge)
            train_pace.append(trained)
            validate_pace.append(validated)
    if not train_pace:
        return None
    where = f"on {device}" if device.type != "cpu" else f"with {plural(threads, 'CPU thread')}"
    method = (
        f"measured {where}: {BATCHES} steps of {judge.training.batch_size} of each of {len(train_pace)} sampled "
        "architectures, scaled by examples and epochs"
    )
    return _Pace(train_pace, validate_pace, method)


def _time(model: Any, train: Examples, validation: Examples, judge: Classifier) -> tuple[float, float]:
    """Seconds an example of training and of validation, after a warm-up."""
    from ogive.task.trainer import Training, evaluate

    batch = judge.training.batch_size
    warm = (train[0][: 2 * batch], train[1][: 2 * batch])
    Training(model, warm, judge.task.classes, judge.training, 0).epoch(1)
    timed = (train[0][2 * batch :], train[1][2 * batch :])
    if len(timed[1]) < 2:  # a tiny task: what there is
        timed = train
    began = time.perf_counter()
    Training(model, timed, judge.task.classes, judge.training, 0).epoch(1)
    trained = time.perf_counter()
    evaluate(model, validation, judge.task.classes)
    ended = time.perf_counter()
    return (trained - began) / len(timed[1]), (ended - trained) / len(validation[1])


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads as a worker of the job will have."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _part(
    name: str,
    job: Job,
    trainings: int,
    seconds: Range,
    price: Price | None,
    start: float,
    full: bool = False,
    apart: bool = False,
) -> Part:
    at_a_time = min(job.parallel_trials, trainings)
    hours = seconds.times(-(-trainings // at_a_time) / 3600).plus(start / 3600)
    budget = job.settings
    if budget.hours is not None and not full:
        hours = Range(*(min(value, budget.hours) for value in (hours.low, hours.middle, hours.high)))
    money = None if price is None else hours.times(price.rate(at_a_time * job.keys.workers_per_trial))
    if money is not None and budget.money is not None and not full:
        money = Range(*(min(value, budget.money) for value in (money.low, money.middle, money.high)))
    return Part(name, trainings, seconds, hours, money, full, apart)


def _finalize_of(job: Job) -> Mapping[str, Any]:
    from ogive.job.job import finalize_arguments

    return {} if job.keys.finalize is None else finalize_arguments(job.keys.finalize)


def _epochs(given: Mapping[str, Any]) -> dict[str, int]:
    return {"epochs": given["epochs"]} if "epochs" in given else {}
