"""Prices that are known without asking anybody: a table in this package, and one that a user has fetched.

Rule 1: a region is told by the newer of the two tables, as a whole; types of one are never mixed with those
of the other. Rule 2: only dollars are prices here, since caps are in dollars; what is listed in another
currency is kept and shown, and never taken for dollars. Rule 3: a file that cannot be read is as if it were
not there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Self

from trialjob.errors import UsageError
from trialjob.files import DISK

#: The source of what was fetched.
FETCHED: Final = "AWS's price list"
_FORMAT: Final = 1
#: What reading a document raises that is none of the expected form.
UNREADABLE: Final = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionPrices:
    """What an hour of training on demand costs in one region."""

    #: When they were read; ISO 8601.
    date: str
    #: ``USD``, or ``CNY`` in the regions of China.
    currency: str = "USD"
    #: By type of instance, such as ``ml.m5.large``.
    per_hour: Mapping[str, Decimal] = field(repr=False)
    source: str = FETCHED

    def document(self) -> dict[str, Any]:
        """As it is kept."""
        prices = {machine: str(price) for machine, price in sorted(self.per_hour.items())}
        return {"date": self.date, "currency": self.currency, "source": self.source, "per_hour": prices}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """From what was kept. Raises one of UNREADABLE."""
        prices = {str(machine): Decimal(price) for machine, price in document["per_hour"].items()}
        if not all(price.is_finite() and price > 0 for price in prices.values()):
            raise ValueError("a price is no number above 0")
        date.fromisoformat(document["date"])
        return cls(
            date=document["date"],
            currency=str(document["currency"]),
            per_hour=prices,
            source=str(document["source"]),
        )


Book = Mapping[str, RegionPrices]


def hourly(terms: Mapping[str, Any]) -> Iterator[tuple[str, Decimal]]:
    """Currency and price of each hour in the terms of one product, as every list of AWS's has them.

    Raises one of UNREADABLE for what are no terms.
    """
    for term in terms.values():
        for dimension in term.get("priceDimensions", {}).values():
            if dimension["unit"] != "Hrs":
                continue
            for currency, written in dimension["pricePerUnit"].items():
                price = Decimal(written)
                if price.is_finite() and price > 0:
                    yield currency, price


def known(region: str) -> RegionPrices | None:
    """The newer table of a region; None where there is none."""
    found = [book[region] for book in (packaged(), fetched()) if region in book]
    return max(found, key=lambda prices: prices.date, default=None)


def known_regions() -> list[str]:
    """All regions of both tables."""
    return sorted({*packaged(), *fetched()})


@cache
def packaged() -> Book:
    """The table in this package."""
    text = files("trialjob.backends.sagemaker").joinpath("prices.json").read_text(encoding="utf-8")
    return _read(text)


def fetched() -> Book:
    """The one that ``trialjob prices --update`` has written for this user; empty without one."""
    return _kept_in(cache_file())


def keep(fresh: Book, path: Path) -> None:
    """Write ``fresh`` over what ``path`` has of its regions. Raises UsageError when it cannot be written."""
    regions = {region: prices.document() for region, prices in sorted({**_kept_in(path), **fresh}.items())}
    try:
        DISK.make_folder(path.parent)
        DISK.write(path, (json.dumps({"format": _FORMAT, "regions": regions}, indent=1) + "\n").encode())
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}; name another file by --output"
        ) from error


def cache_file() -> Path:
    """Where a user's own table is, by the XDG Base Directory Specification."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # A relative path there is to be ignored, says the specification.
    folder = Path(base) if Path(base).is_absolute() else Path("~/.cache").expanduser()
    return folder / "trialjob" / "prices.json"


def _kept_in(path: Path) -> Book:
    with suppress(OSError, *UNREADABLE):
        return _read(path.read_text(encoding="utf-8"))
    return {}


def _read(text: str) -> Book:
    document = json.loads(text)
    if document["format"] != _FORMAT:
        raise ValueError("of another format")
    return {str(region): RegionPrices.read(prices) for region, prices in document["regions"].items()}
