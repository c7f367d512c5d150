"""Forecast the cost of a job before it starts: time some training steps of a few architectures, and extrapolate."""

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
from ogive.job.job import Job, make_finalize_arguments
from ogive.planner.measure_durations import measure_start_up
from ogive.run.manifest import count_cores
from ogive.run.prices import Price, find_price
from ogive.run.spending import SECONDS_PER_HOUR
from ogive.seeds import generator
from ogive.session.payload import PAYLOAD, write_payload
from ogive.user_code import USER_EXCEPTIONS

if TYPE_CHECKING:
    from ogive.estimate import Classifier
    from ogive.task.proxy import Proxy
    from ogive.task.trainer import Examples

TIMED_ARCHITECTURES = 3
"""The number of sampled architectures that are trained and timed."""
TIMED_STEPS = 8
"""The number of training steps that are timed, after `WARM_UP_STEPS` others."""
WARM_UP_STEPS = 2


@dataclass(frozen=True)
class Range:
    """Amounts of time or money: for the cheapest timed architecture, for the median, and for the most expensive one."""

    low: float
    middle: float
    high: float

    def scaled_by(self, factor: float) -> Range:
        """Return the range with each amount multiplied by `factor`."""
        return Range(self.low * factor, self.middle * factor, self.high * factor)

    def shifted_by(self, amount: float) -> Range:
        """Return the range with `amount` added to each amount."""
        return Range(self.low + amount, self.middle + amount, self.high + amount)

    def at_most(self, limit: float) -> Range:
        """Return the range with each amount reduced to `limit` if it is larger."""
        return Range(min(self.low, limit), min(self.middle, limit), min(self.high, limit))


@dataclass(frozen=True, kw_only=True)
class Part:
    """The forecast for one search, or for full training.

    Attributes:
        name: "search", "full training", or the name of the phase.
        trainings: the number of trainings.
        seconds: the seconds of one training.
        hours: the hours from the start of the workers to the end of the last training, with as many trainings at a time as
            the job declares; for a search, at most the hours of its budget. The hours are an upper bound if the schedule
            stops trials early. (`ogive plan` simulates the schedule.)
        money: the money for these hours; for a search, at most the money of its budget; None without a price.
        full: whether this part is full training.
        separate_command: whether this part is done by `ogive finalize`, and not by `ogive search`.
    """

    name: str
    trainings: int
    seconds: Range
    hours: Range
    money: Range | None
    full: bool = False
    separate_command: bool = False

    def to_json(self) -> dict[str, Any]:
        data = asdict(self)
        data["apart"] = data.pop("separate_command")  # the key of earlier versions
        return data


@dataclass(frozen=True)
class CostForecast:
    """The forecast cost of a job on this machine.

    Attributes:
        parts: the searches and full training, in the order in which they run.
        measurement: a phrase that describes the measurement.
        price: the price of an hour; None without a price.
        start_up: the seconds until the workers are ready.
    """

    parts: tuple[Part, ...]
    measurement: str
    price: Price | None
    start_up: float = 0.0

    @property
    def money(self) -> float | None:
        """The money that `ogive search` spends if all architectures cost as much as the most expensive timed one.

        It is None without a price.
        """
        amounts = [part.money for part in self.parts if part.money is not None and not part.separate_command]
        return sum(amount.high for amount in amounts) if amounts else None

    @property
    def ratio(self) -> float | None:
        """The time of a full training, divided by the time of a training in the first search; None without full training."""
        full_training = next((part for part in self.parts if part.full), None)
        return None if full_training is None else full_training.seconds.middle / self.parts[0].seconds.middle

    def to_json(self) -> dict[str, Any]:
        totals = {"method": self.measurement, "ratio": self.ratio, "start_up": self.start_up}
        return {"parts": [part.to_json() for part in self.parts], **totals}


def forecast_cost(job: Job) -> CostForecast | None:
    """Return the forecast cost of a job; None if the training time is unknown.

    It is unknown for a train function, and if none of the architectures to time can be built.

    The measurement takes some seconds, and reads only the training and validation splits. The forecast assumes that the
    time of a training is proportional to the numbers of its examples and epochs.
    """
    from ogive.estimate import Classifier

    searches = [phase.job for phase in job.phases if phase.job is not None] or [job]
    estimators = [search.estimator for search in searches]
    measurements: dict[Proxy, _SecondsPerExample | None] = {}

    def get_seconds_per_example(estimator: Classifier) -> _SecondsPerExample | None:
        # The time per example depends on the sizes of models and images, but not on the number of examples. So searches
        # whose proxies differ only in the share of the data need one measurement.
        proxy = replace(estimator.proxy, data_fraction=1.0)
        if proxy not in measurements:
            measurements[proxy] = _measure_seconds_per_example(job, estimator, proxy)
        return measurements[proxy]

    first_measurement = get_seconds_per_example(estimators[0]) if isinstance(estimators[0], Classifier) else None
    if first_measurement is None:
        return None
    price = find_price(job.price)
    start_up_seconds = _measure_start_up(searches[0])
    # One part for each search. If none of its timed architectures can be built, it uses the measurement of the first search.
    parts = []
    for search, estimator in zip(searches, estimators, strict=True):
        assert isinstance(estimator, Classifier)
        seconds = (get_seconds_per_example(estimator) or first_measurement).compute_training_seconds(
            estimator, search.epochs or estimator.epochs
        )
        name = search.run_folder.name if job.phases else "search"
        part = _make_part(name, search, search.keys.max_trials, seconds, price=price, start_up_seconds=start_up_seconds)
        parts.append(part)
    # One part for full training: the last phase of a funnel, or the separate command `ogive finalize`.
    last_phase = job.phases[-1] if job.phases and job.phases[-1].job is None else None
    arguments = last_phase.finalize if last_phase is not None else _get_finalize_arguments(job)
    if arguments:
        estimator = estimators[-1]
        assert isinstance(estimator, Classifier)
        recipe_changes = dict(arguments.get("recipe", {}))
        if "epochs" in arguments:
            recipe_changes["epochs"] = arguments["epochs"]
        full_estimator = estimator.full_training(recipe_changes)
        seconds = (get_seconds_per_example(full_estimator) or first_measurement).compute_training_seconds(
            full_estimator, full_estimator.epochs
        )
        part = _make_part(
            last_phase.name if last_phase is not None else "full training",
            searches[-1],
            arguments["top"] * len(arguments["seeds"]),
            seconds,
            price=price,
            start_up_seconds=start_up_seconds,
            full=True,
            separate_command=last_phase is None,
        )
        parts.append(part)
    return CostForecast(tuple(parts), first_measurement.description, price, start_up_seconds)


def _get_finalize_arguments(job: Job) -> Mapping[str, Any]:
    """Return the arguments of `Run.finalize` that the job declares; empty if it declares none."""
    return {} if job.keys.finalize is None else make_finalize_arguments(job.keys.finalize)


def _measure_start_up(job: Job) -> float:
    """Return the seconds until the workers of a search are ready; 0 for the inline executor."""
    if job.keys.executor == "inline":
        return 0.0
    with tempfile.TemporaryDirectory(prefix="ogive-forecast-") as name:
        payload = Path(name) / PAYLOAD
        write_payload(payload, job.space, job.estimator)
        worker_count = min(job.parallel_trials, job.keys.max_trials)
        return measure_start_up(
            payload,
            Path(name) / "workers",
            worker_count,
            _compute_threads_per_trial(job),
            job.settings.startup_limit,
        )


def _compute_threads_per_trial(job: Job) -> int:
    """Return the number of threads with which a worker of the job trains: an equal share of the cores, at least 1."""
    return max(1, count_cores() // job.parallel_trials)


@dataclass(frozen=True)
class _SecondsPerExample:
    """The measured time per example, with one value for each timed architecture.

    Attributes:
        training: the seconds of training for one example, forward and backward.
        validation: the seconds of validation for one example.
        description: a phrase that describes the measurement.
    """

    training: Sequence[float]
    validation: Sequence[float]
    description: str

    def compute_training_seconds(self, estimator: Classifier, epochs: int) -> Range:
        """Return the seconds of one training with the data and the proxy of `estimator`."""
        task = estimator.task.subset(estimator.proxy.data_fraction)
        train_size, validation_size = len(task.split.train), len(task.split.validation)
        seconds = sorted(
            epochs * (training * train_size + validation * validation_size)
            for training, validation in zip(self.training, self.validation, strict=True)
        )
        return Range(seconds[0], median(seconds), seconds[-1])


def _measure_seconds_per_example(job: Job, estimator: Classifier, proxy: Proxy) -> _SecondsPerExample | None:
    """Time some architectures, with models and images of the sizes that `proxy` declares.

    Returns:
        The seconds per example; None if none of the architectures can be built.
    """
    from ogive.estimate.proxy_model import build_proxy_model
    from ogive.task.trainer import choose_device

    device = choose_device(estimator.device)
    example_count = (TIMED_STEPS + WARM_UP_STEPS) * estimator.training.batch_size
    splits = (estimator.task.train(), estimator.task.validation())
    train, validation = (
        (proxy.shrink_images(x[:example_count]).to(device), y[:example_count].to(device)) for x, y in splits
    )
    train_seconds, validation_seconds = [], []
    threads = _compute_threads_per_trial(job)
    with _limit_threads(threads):
        for index in range(TIMED_ARCHITECTURES):
            architecture = job.space.sample(generator(job.keys.seed, "forecast", index))
            try:
                model = build_proxy_model(architecture, index, proxy, tuple(train[0].shape[1:]))
            except USER_EXCEPTIONS:  # an infeasible architecture is not trained, and the preflight reports other errors
                continue
            seconds_of_training, seconds_of_validation = _time_one_example(model, train, validation, estimator)
            train_seconds.append(seconds_of_training)
            validation_seconds.append(seconds_of_validation)
    if not train_seconds:
        return None
    hardware = f"on {device}" if device.type != "cpu" else f"with {plural(threads, 'CPU thread')}"
    description = (
        f"measured {hardware}: {TIMED_STEPS} steps of {estimator.training.batch_size} examples of each of "
        f"{plural(len(train_seconds), 'sampled architecture')}, scaled by examples and epochs"
    )
    return _SecondsPerExample(train_seconds, validation_seconds, description)


def _time_one_example(model: Any, train: Examples, validation: Examples, estimator: Classifier) -> tuple[float, float]:
    """Return the seconds per example of training and of validation, measured after a warm-up."""
    from ogive.task.trainer import Training, evaluate

    classes, recipe = estimator.task.classes, estimator.training
    warm_up_size = WARM_UP_STEPS * recipe.batch_size
    warm_up = (train[0][:warm_up_size], train[1][:warm_up_size])
    Training(model, warm_up, classes, recipe, seed=0).train_epoch(1)
    timed = (train[0][warm_up_size:], train[1][warm_up_size:])
    if len(timed[1]) < 2:  # the task is tiny, and batch normalization needs two examples, so time all of its examples
        timed = train
    start = time.perf_counter()
    Training(model, timed, classes, recipe, seed=0).train_epoch(1)
    end_of_training = time.perf_counter()
    evaluate(model, validation, classes)
    end = time.perf_counter()
    return (end_of_training - start) / len(timed[1]), (end - end_of_training) / len(validation[1])


@contextmanager
def _limit_threads(count: int) -> Iterator[None]:
    """Let PyTorch use `count` threads, as a worker of the job does, while the context is active."""
    import torch

    previous = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(previous)


def _make_part(
    name: str,
    search: Job,
    trainings: int,
    seconds: Range,
    *,
    price: Price | None,
    start_up_seconds: float,
    full: bool = False,
    separate_command: bool = False,
) -> Part:
    """Return the forecast for `trainings` trainings of `seconds` each, limited by the budget of the search."""
    parallel = min(search.parallel_trials, trainings)
    rounds = -(-trainings // parallel)  # rounded up
    hours = seconds.scaled_by(rounds / SECONDS_PER_HOUR).shifted_by(start_up_seconds / SECONDS_PER_HOUR)
    budget = search.settings
    if budget.hours is not None and not full:
        hours = hours.at_most(budget.hours)
    money = (
        None if price is None else hours.scaled_by(price.compute_hourly_cost(parallel * search.keys.workers_per_trial))
    )
    if money is not None and budget.money is not None and not full:
        money = money.at_most(budget.money)
    return Part(
        name=name,
        trainings=trainings,
        seconds=seconds,
        hours=hours,
        money=money,
        full=full,
        separate_command=separate_command,
    )
