"""What a job can cost and what it did: the one arithmetic, for the cap, the simulator and ``plan`` alike.

Rule 1: money is whole micro-dollars and machine time whole milliseconds; everything else is rounded up to
them, once, at the end. So sums are exact, a longer job never costs less, and what a job cost never exceeds
what was committed for it. Ten thousand jobs are rounded up by a cent at most.
Rule 2: what is not known is None and never zero; a limit counts it at its worst.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import Enum
from typing import Final, TypeAlias

#: Whole micro-dollars: a million of them are a dollar.
Micros: TypeAlias = int

_MILLION: Final = 1_000_000
#: Milliseconds in an hour, by which a price an hour is divided.
_HOUR: Final = 3_600_000


def price_micros(dollars: float | str | Decimal) -> Micros:
    """A price in micro-dollars, rounded up. A float is taken as it is written: 0.7364 is 736,400."""
    return _micros(dollars, ROUND_CEILING)


def cap_micros(dollars: float) -> Micros:
    """A cap in micro-dollars, rounded down."""
    return _micros(dollars, ROUND_FLOOR)


def cap_instance_ms(hours: float) -> int:
    """A cap on machine time in milliseconds, rounded down."""
    return int(Decimal(str(hours)) * _HOUR)


def _micros(dollars: float | str | Decimal, rounding: str) -> Micros:
    exact = Decimal(str(dollars)) * _MILLION
    return int(exact.to_integral_value(rounding=rounding))


def dollars(micros: Micros) -> float:
    """Micro-dollars as dollars, for people and tables."""
    return micros / _MILLION


def exact_dollars(micros: Micros) -> str:
    """``$1,234.50``; to the micro-dollar where it is no whole cents, as a cap may be missed by one."""
    whole, _, part = f"{dollars(micros):,.6f}".partition(".")
    return f"${whole}.{part.rstrip('0'):0<2}"


def in_words(amount: float) -> str:
    """An estimate: ``$1,234.50``; what is less than a cent has a digit that is not 0."""
    return f"${amount:,.2f}" if amount >= 0.01 or amount <= 0 else f"${Decimal(f'{amount:.1g}'):f}"  # noqa: PLR2004


def milliseconds(seconds: float) -> int:
    """Seconds as whole milliseconds, rounded up."""
    return math.ceil(seconds * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """Money, and the machine time that it buys."""

    micros: Micros = 0
    #: Milliseconds, summed over the instances.
    instance_ms: int = 0

    @property
    def dollars(self) -> float:
        return dollars(self.micros)

    @property
    def instance_hours(self) -> float:
        return self.instance_ms / _HOUR

    def __add__(self, other: Spend) -> Spend:
        return Spend(micros=self.micros + other.micros, instance_ms=self.instance_ms + other.instance_ms)

    def __sub__(self, other: Spend) -> Spend:
        return Spend(micros=self.micros - other.micros, instance_ms=self.instance_ms - other.instance_ms)


NOTHING: Final = Spend()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a job is paid by. Seconds are billed on each of its instances."""

    #: Micro-dollars for an hour of one instance on demand; None when no price is known.
    price: Micros | None
    instances: int = 1
    #: The machine, as the backend calls it; "" where there is but one kind.
    machine: str = ""
    #: On spare capacity: the same price, for fewer billed seconds than have passed.
    spot: bool = False
    #: Seconds that may be billed after the job's maximum run time: it is asked to end, and given this long.
    stop_grace: float = 0.0
    #: Seconds that may be billed after that, until what it leaves has been uploaded.
    upload: float = 0.0
    #: Seconds that its instances are kept, and billed, after its end.
    keep_alive: float = 0.0
    #: The machine is one of those of the tariff, all of which one call asks for; the service takes one.
    one_of: bool = False

    def of(self, seconds: float) -> Spend:
        """What so many billed seconds, on each instance, cost. Without a price only time is counted."""
        instance_ms = milliseconds(seconds) * self.instances
        return Spend(micros=-(-instance_ms * (self.price or 0) // _HOUR), instance_ms=instance_ms)

    def longest_run(self, max_runtime: float) -> Spend:
        """The most that a job of that maximum run time can cost, without what is kept behind it."""
        return self.of(math.ceil(max_runtime) + self.stop_grace + self.upload)

    def longest_pool(self) -> Spend:
        """The most that keeping its instances can cost, after its end."""
        return self.of(self.keep_alive)

    def worst(self, max_runtime: float) -> Spend:
        """The most that a job of that maximum run time can cost in all."""
        return self.longest_run(max_runtime) + self.longest_pool()

    def settled(
        self, max_runtime: float, *, seconds: float | None, pool_seconds: float | None = None
    ) -> Spend:
        """What a job that has ended is to be counted at; what is not known is counted at its worst.

        ``seconds`` are billed for the job and ``pool_seconds`` for keeping its instances, on each of them.
        """
        run = self.longest_run(max_runtime) if seconds is None else self.of(seconds)
        pool = self.longest_pool() if pool_seconds is None else self.of(pool_seconds)
        return run + pool


class PriceOrigin(Enum):
    """Where the price of an hour is from."""

    SPEC = "spec"
    PRICE_LIST = "price_list"
    TABLE = "table"
    #: Not all prices are known.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """The terms of an experiment's jobs, in the order they are asked for when there is no capacity."""

    terms: tuple[Terms, ...]
    #: After the last of ``terms`` comes this one again, counted from 0.
    repeat_from: int = 0
    origin: PriceOrigin = PriceOrigin.UNKNOWN
    #: Where exactly the prices are from, for people.
    source: str = ""

    def after(self, capacity_failures: int) -> Terms:
        """The terms of an attempt of a trial that has so many times found no machine.

        Those of the dearest machine where one call asks for all of them.
        """
        if self.terms[0].one_of:
            return self.dearest
        if capacity_failures < len(self.terms):
            return self.terms[capacity_failures]
        turns = len(self.terms) - self.repeat_from
        return self.terms[self.repeat_from + (capacity_failures - self.repeat_from) % turns]

    def taken(self, terms: Terms, machine: str) -> Terms:
        """By what a job that was counted by ``terms`` is paid, once it is known which machine it had.

        Never more than was committed: where prices have changed since, it stays at the dearest.
        """
        if not terms.one_of or terms != self.dearest:
            return terms
        return next((each for each in self.terms if each.machine == machine), terms)

    @property
    def priced(self) -> bool:
        """True when every price is known."""
        return all(terms.price is not None for terms in self.terms)

    @property
    def dearest(self) -> Terms:
        """The terms under which a second costs most."""
        return max(self.terms, key=lambda terms: (terms.price or 0) * terms.instances)
