"""What machines cost, region by region, as a public list says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionPrices:
    """What an hour on demand costs in one region."""

    #: When they were read; ISO 8601.
    date: str
    #: ``USD``, or ``CNY`` in the regions of China.
    currency: str = "USD"
    #: By type of instance, such as ``ml.m5.large``.
    per_hour: Mapping[str, Decimal] = field(repr=False)
    source: str

    def document(self) -> dict[str, Any]:
        """As it is kept."""
        prices = {machine: str(price) for machine, price in sorted(self.per_hour.items())}
        return {"date": self.date, "currency": self.currency, "source": self.source, "per_hour": prices}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """From what was kept. Raises ValueError, LookupError, TypeError, AttributeError, ArithmeticError."""
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


class PriceList(Protocol):
    """A list of a service's."""

    def regions(self) -> list[str]:
        """All that it has. Raises BackendUnavailable, UsageError."""

    def prices(self, region: str) -> RegionPrices | None:
        """Those of one region; None where it has none. Raises BackendUnavailable, UsageError."""

    def keep(self, fresh: Mapping[str, RegionPrices], path: Path | None) -> Path:
        """Keep what was fetched at ``path``, or else where it is looked for, and return where.

        Raises UsageError.
        """
