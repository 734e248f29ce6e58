"""Prices that are known without a call: a table in this package, and one that a user has fetched.

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
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from trialjob.backends.price_list import RegionPrices
from trialjob.errors import UsageError
from trialjob.files import DISK
from trialjob.user_settings import home

_FORMAT: Final = 1
#: What reading a document raises that is none of the expected form.
UNREADABLE: Final = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)


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


class PriceBook:
    """What is known without a call."""

    def regions(self) -> list[str]:
        """All regions of both tables."""
        return sorted({*packaged(), *fetched()})

    def prices(self, region: str) -> RegionPrices | None:
        """What a region's machines cost; None where no price is known."""
        return known(region)

    def keep(self, fresh: Book, path: Path | None) -> Path:
        """Keep what was fetched for this user, and return where."""
        place = path or cache_file()
        keep(fresh, place)
        return place


def known(region: str) -> RegionPrices | None:
    """The newer table of a region; None where there is none."""
    found = [book[region] for book in (packaged(), fetched()) if region in book]
    return max(found, key=lambda prices: prices.date, default=None)


@cache
def packaged() -> Book:
    """The table in this package."""
    text = files("trialjob.backends.sagemaker").joinpath("prices.json").read_text(encoding="utf-8")
    return _read(text)


def fetched() -> Book:
    """The one that ``trialjob prices --update`` has written for this user; empty without one."""
    try:
        return _kept_in(cache_file())
    except UsageError:  # without a folder there is no file
        return {}


def keep(fresh: Book, path: Path) -> None:
    """Write ``fresh`` over what ``path`` has of its regions. Raises UsageError when it cannot be written."""
    if path.exists() and not path.is_file():  # such as /dev/null, which would be replaced, or a pipe
        raise UsageError(f"{path} is no file; name one by --output")
    regions = {region: prices.document() for region, prices in sorted({**_kept_in(path), **fresh}.items())}
    try:
        DISK.make_folder(path.parent)
        DISK.write(path, (json.dumps({"format": _FORMAT, "regions": regions}, indent=1) + "\n").encode())
    except OSError as error:
        folder = path.parent
        why = f"{folder} is no folder" if folder.exists() and not folder.is_dir() else error.strerror
        raise UsageError(f"{path} cannot be written: {why}; name another file by --output") from error


def cache_file() -> Path:
    """Where a user's own table is, by the XDG Base Directory Specification."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # A relative path there is to be ignored, says the specification.
    folder = Path(base) if Path(base).is_absolute() else home() / ".cache"
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
