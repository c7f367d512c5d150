"""What an hour costs: a number, or a device or machine of a price file, which is dated and made to be edited."""

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

VARIABLE = "OGIVE_PRICES"
"""The environment variable that names the user's own price file."""

_KEYS = ("price", "date", "source")
_SECTIONS = {"devices": "worker", "machines": "machine"}


@dataclass(frozen=True)
class Price:
    """Money for an hour.

    Attributes:
        hourly: money an hour, above 0.
        per: "worker" (each has a device of its own) or "machine" (all workers share one).
        currency: "" where the price was given as a number.
        name: of the device or machine; "" where the price was given as a number.
        date: when the price was looked up, as YYYY-MM-DD; "" where it is not known.
        source: where it is from.
    """

    hourly: float
    per: str = "worker"
    currency: str = ""
    name: str = ""
    date: str = ""
    source: str = ""

    def rate(self, workers: int) -> float:
        """Money an hour of a search with so many workers."""
        return self.hourly * (workers if self.per == "worker" else 1)

    def amount(self, money: float) -> str:
        """`12.40 USD`."""
        return amount(money, self.currency)

    def __str__(self) -> str:
        what = f"{self.amount(self.hourly)} per {self.per}-hour"
        about = ", ".join(part for part in (self.name, self.source, self.date) if part)
        return f"{what} ({about})" if about else what

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def find_price(spec: float | str | None) -> Price | None:
    """The price that `Settings.price` means: a number, a name in the price file, or "file.yaml:name".

    Raises:
        JobError: there is no such name, or the file is not what it should be.
    """
    if spec is None:
        return None
    if not isinstance(spec, str):
        return Price(float(spec))
    where, _, name = spec.rpartition(":")
    path = Path(where).expanduser() if where else price_file()
    known = read_prices(path)
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise JobError(f"price: {path} has no {name!r}; {hint}it has {', '.join(known)}; or give money per worker-hour")
    return known[name]


def price_file() -> Path:
    """The file that `OGIVE_PRICES` names, or the examples that come with Ogive."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else Path(__file__).with_name("prices.yaml")


def read_prices(path: Path) -> dict[str, Price]:
    """The prices of a file, by name.

    Raises:
        JobError: the file cannot be read or is not what it should be; says where and what is allowed.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise JobError(f"price: the price file {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise JobError(f"price: {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, Mapping):
        raise JobError(f"price: {path}: found {data!r}; allowed: the keys currency, devices and machines")
    _check_names(data, ("currency", *_SECTIONS), str(path))
    currency = data.get("currency", "")
    if not isinstance(currency, str):
        raise JobError(f"price: {path}: currency: found {currency!r}; allowed: a text such as USD")
    found: dict[str, Price] = {}
    for section, per in _SECTIONS.items():
        entries = data.get(section) or {}
        if not isinstance(entries, Mapping):
            raise JobError(f"price: {path}: {section}: found {entries!r}; allowed: {{name: {{price: money}}}}")
        for name, entry in entries.items():
            if str(name) in found:
                raise JobError(f"price: {path}: {name!r} is a device and a machine; give one another name")
            found[str(name)] = _price(entry, str(name), per, currency, f"{path}: {section}: {name}")
    return found


def _price(entry: object, name: str, per: str, currency: str, where: str) -> Price:
    if not isinstance(entry, Mapping):
        raise JobError(f"price: {where}: found {entry!r}; allowed: {{price: money, date: YYYY-MM-DD, source: text}}")
    _check_names(entry, _KEYS, where)
    hourly, date, source = (entry.get(key) for key in _KEYS)
    number = isinstance(hourly, (int, float)) and not isinstance(hourly, bool)
    if not number or not math.isfinite(hourly) or hourly <= 0:  # type: ignore[arg-type, operator]
        raise JobError(f"price: {where}: price: found {hourly!r}; allowed: money an hour, a number above 0")
    if date is not None and not isinstance(date, datetime.date):
        raise JobError(f"price: {where}: date: found {date!r}; allowed: YYYY-MM-DD")
    if source is not None and not isinstance(source, str):
        raise JobError(f"price: {where}: source: found {source!r}; allowed: a text")
    return Price(float(hourly), per, currency, name, str(date or ""), source or "")  # type: ignore[arg-type]


def _check_names(entry: Mapping[Any, Any], allowed: tuple[str, ...], where: str) -> None:
    wrong = next((key for key in entry if key not in allowed), None)
    if wrong is not None:
        close = get_close_matches(str(wrong), allowed, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise JobError(f"price: {where}: there is no key {wrong!r}; {hint}allowed: {', '.join(allowed)}")
