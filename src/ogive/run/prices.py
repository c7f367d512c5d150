"""The price of an hour of compute: a number, or an entry in a price file for a device or machine."""

from __future__ import annotations

import datetime
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from ogive.errors import JobError
from ogive.formatting import amount

PRICES_VARIABLE = "OGIVE_PRICES"
"""The environment variable that names the user's own price file."""

_KEYS = ("price", "date", "source")
_SECTIONS = {"devices": "worker", "machines": "machine"}
"""The sections of a price file, each with the value of `Price.per` for its prices."""


@dataclass(frozen=True)
class Price:
    """The price of an hour of compute.

    Attributes:
        hourly: the price of an hour, above 0.
        per: "worker" if each worker process is billed (it has its own device), "machine" if all share one machine.
        currency: the currency; "" if the price was given as a number.
        name: the name of the device or machine; "" if the price was given as a number.
        date: the day on which the price was looked up, as YYYY-MM-DD; "" if it is unknown.
        source: the source of the price, such as a URL; "" if it is unknown.
    """

    hourly: float
    per: str = "worker"
    currency: str = ""
    name: str = ""
    date: str = ""
    source: str = ""

    def compute_hourly_cost(self, processes: int) -> float:
        """Return the price of an hour of a search with this number of worker processes."""
        return self.hourly * (processes if self.per == "worker" else 1)

    def format_amount(self, money: float) -> str:
        """Return an amount of money with its currency: `12.40 USD`."""
        return amount(money, self.currency)

    def __str__(self) -> str:
        price = f"{self.format_amount(self.hourly)} per {self.per}-hour"
        origin = ", ".join(part for part in (self.name, self.source, self.date) if part)
        return f"{price} ({origin})" if origin else price

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def find_price(spec: float | str | None) -> Price | None:
    """Return the price that a user has specified in `Settings.price`.

    Args:
        spec: the price as a number, a name in the price file, or "file.yaml:name"; None for no price.

    Raises:
        JobError: the price file has no such name, or is not a price file.
    """
    if spec is None:
        return None
    if not isinstance(spec, str):
        return Price(float(spec))
    file, _, name = spec.rpartition(":")
    path = Path(file).expanduser() if file else find_price_file()
    prices = read_prices(path)
    if name not in prices:
        close = get_close_matches(name, prices, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise JobError(
            f"price: {path} has no {name!r}; {hint}known names: {', '.join(prices)}; or give money per worker-hour"
        )
    return prices[name]


def find_price_file() -> Path:
    """Return the path in the environment variable `OGIVE_PRICES`, or else that of the example file of Ogive."""
    name = os.environ.get(PRICES_VARIABLE)
    return Path(name).expanduser() if name else Path(__file__).with_name("prices.yaml")


def read_prices(path: Path) -> dict[str, Price]:
    """Return the prices of a file, by name.

    Raises:
        JobError: the file cannot be read, or is not a price file; the message names the entry and the allowed values.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"price: the price file {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise JobError(f"price: {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, Mapping):
        raise JobError(f"price: {path}: found {data!r}; allowed: the keys currency, devices and machines")
    _check_keys(data, ("currency", *_SECTIONS), str(path))
    currency = data.get("currency", "")
    if not isinstance(currency, str):
        raise JobError(f"price: {path}: currency: found {currency!r}; allowed: a text such as USD")
    prices: dict[str, Price] = {}
    for section, per in _SECTIONS.items():
        entries = data.get(section) or {}
        if not isinstance(entries, Mapping):
            raise JobError(f"price: {path}: {section}: found {entries!r}; allowed: {{name: {{price: money}}}}")
        for name, entry in entries.items():
            if str(name) in prices:
                raise JobError(f"price: {path}: {name!r} is a device and a machine; give one another name")
            prices[str(name)] = _parse_price(
                entry, f"{path}: {section}: {name}", name=str(name), per=per, currency=currency
            )
    return prices


def _parse_price(entry: object, location: str, *, name: str, per: str, currency: str) -> Price:
    """Return the price of one entry of a price file. `location`: the place of the entry, for messages.

    Raises:
        JobError: the entry is not a price.
    """
    if not isinstance(entry, Mapping):
        raise JobError(f"price: {location}: found {entry!r}; allowed: {{price: money, date: YYYY-MM-DD, source: text}}")
    _check_keys(entry, _KEYS, location)
    hourly, date, source = (entry.get(key) for key in _KEYS)
    is_number = isinstance(hourly, (int, float)) and not isinstance(hourly, bool)
    if not is_number or not math.isfinite(hourly) or hourly <= 0:  # type: ignore[arg-type, operator]
        raise JobError(f"price: {location}: price: found {hourly!r}; allowed: money for an hour, a number above 0")
    if date is not None and not isinstance(date, datetime.date):
        raise JobError(f"price: {location}: date: found {date!r}; allowed: YYYY-MM-DD")
    if source is not None and not isinstance(source, str):
        raise JobError(f"price: {location}: source: found {source!r}; allowed: a text")
    return Price(
        hourly=float(hourly),  # type: ignore[arg-type]
        per=per,
        currency=currency,
        name=name,
        date=str(date or ""),
        source=source or "",
    )


def _check_keys(entry: Mapping[Any, Any], allowed: tuple[str, ...], location: str) -> None:
    unknown = next((key for key in entry if key not in allowed), None)
    if unknown is not None:
        close = get_close_matches(str(unknown), allowed, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise JobError(f"price: {location}: there is no key {unknown!r}; {hint}allowed: {', '.join(allowed)}")
