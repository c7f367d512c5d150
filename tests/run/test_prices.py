"""The price file: the example file loads, and every error is one line with the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from ogive.errors import JobError
from ogive.run.prices import PRICES_VARIABLE, Price, find_price, find_price_file, read_prices


def test_the_example_prices_load_and_have_no_date() -> None:
    prices = read_prices(find_price_file())
    assert len(prices) >= 5
    assert all(
        "example, not looked up" in price.source and not price.date and price.currency for price in prices.values()
    )
    assert {price.per for price in prices.values()} == {"worker", "machine"}


def test_a_price_file_is_found_by_variable_or_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("currency: EUR\ndevices:\n  ours: {price: 1.25, date: 2026-01-31}\n")
    assert find_price(f"{file}:ours") == Price(1.25, "worker", "EUR", "ours", "2026-01-31")
    monkeypatch.setenv(PRICES_VARIABLE, str(file))
    assert find_price("ours") == find_price(f"{file}:ours")
    assert find_price(2) == Price(2.0)
    assert find_price(None) is None
    assert (find_price(2) or Price(1)).compute_hourly_cost(processes=4) == 8.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("devices: {h200: {price: 1}}", r"has no 'h100'; did you mean 'h200'\? known names: h200; or give money"),
        ("devices: {h100: {prize: 1}}", r"devices: h100: there is no key 'prize'; did you mean 'price'\?"),
        ("device: {h100: {price: 1}}", r"there is no key 'device'; did you mean 'devices'\?"),
        ("devices: {h100: {price: -1}}", "price: found -1; allowed: money for an hour, a number above 0"),
        ("devices: {h100: {price: free}}", "price: found 'free'; allowed: money for an hour"),
        ("devices: {h100: {price: 1, date: yesterday}}", "date: found 'yesterday'; allowed: YYYY-MM-DD"),
        ("devices: {h100: 3}", "found 3; allowed: {price: money, date"),
        ("devices: [h100]", r"devices: found \['h100'\]; allowed"),
        ("currency: 5\ndevices: {h100: {price: 1}}", "currency: found 5; allowed: a text such as USD"),
        ("devices: {h100: {price: 1}}\nmachines: {h100: {price: 2}}", "'h100' is a device and a machine"),
        ("devices: {", "is not YAML"),
        ("3", "found 3; allowed: the keys currency, devices and machines"),
    ],
)
def test_an_error_in_the_price_file_is_one_line_with_the_remedy(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    with pytest.raises(JobError, match=message) as caught:
        find_price(f"{file}:h100")
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_missing_price_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="cannot be read"):
        find_price(f"{tmp_path / 'none.yaml'}:h100")
