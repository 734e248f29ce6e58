"""What an hour of an instance costs, and by what terms the jobs of an experiment are therefore paid.

Rule 1: the spec's own price goes before AWS's price list, and that before a dated table
(``price_book``). Rule 2: a price that is unknown is None; it is never guessed from
another type or region.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Final

from trialjob.aws import faults
from trialjob.backends.plugin import Check
from trialjob.backends.sagemaker.check import Case
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.price_book import UNREADABLE, hourly, known
from trialjob.backends.sagemaker.request import asks_for_any
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.model.money import Micros, PriceOrigin, Tariff, Terms, price_micros

#: Seconds from SIGTERM to SIGKILL (StoppingCondition in the CreateTrainingJob API reference).
STOP_GRACE: Final = 120.0
#: What a raw request may put in place of one type of instance; we do not know what that costs.
_OTHER_MACHINES: Final = ("InstanceGroups", "InstancePreferences")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Of one instance for an hour, on demand."""

    micros: Micros
    origin: PriceOrigin
    source: str


#: Of the machines of a training plan, whose fee is due when it is bought, whatever runs on them.
_BEFOREHAND: Final = Price(
    micros=0, origin=PriceOrigin.SPEC, source="the training plan, whose fee is paid beforehand"
)


def prices(
    client: SageMakerClient,
    settings: SageMakerSettings,
    refused: Callable[[faults.Fault], None] = lambda _fault: None,
) -> Callable[[str], Price | None]:
    """What finds the price of a type of instance; it never raises for want of one.

    ``refused`` hears why the price list could not be asked.
    """
    own = settings.price_per_hour
    if own is not None:
        said = Price(micros=price_micros(own), origin=PriceOrigin.SPEC, source="backend.price_per_hour")
        return lambda _machine: said
    if settings.training_plan:
        return lambda _machine: _BEFOREHAND
    region = ""
    with suppress(faults.Fault):
        region = client.region()

    def price_of(machine: str) -> Price | None:
        if not region or not machine:
            return None
        try:
            return listed_price(client, region, machine) or table_price(region, machine)
        except faults.Fault as fault:
            refused(fault)
        return table_price(region, machine)

    return price_of


def listed_price(client: SageMakerClient, region: str, machine: str) -> Price | None:
    """The price list's; raises a Fault when it cannot be asked."""
    found = on_demand(client.price_list(region, machine))
    if found is None:
        return None
    return Price(micros=price_micros(found), origin=PriceOrigin.PRICE_LIST, source="AWS price list")


def on_demand(products: Iterable[str]) -> Decimal | None:
    """The highest price an hour in answers of GetProducts; None when they have none.

    Raises Unreachable when they cannot be read.
    """
    try:
        listed = [json.loads(product).get("terms", {}).get("OnDemand", {}) for product in products]
        prices = [price for terms in listed for currency, price in hourly(terms) if currency == "USD"]
    except UNREADABLE as error:
        raise faults.Unreachable(f"no clear answer to pricing:GetProducts: {error}") from error
    return max(prices, default=None)


def table_price(region: str, machine: str) -> Price | None:
    """That of the newer of the tables in this package and in the user's cache."""
    table = known(region)
    if table is None or table.currency != "USD" or machine not in table.per_hour:
        return None
    micros = price_micros(table.per_hour[machine])
    return Price(micros=micros, origin=PriceOrigin.TABLE, source=f"{table.source} of {table.date}")


def check(case: Case) -> Iterator[Check]:
    """What an hour of each type costs, and who says so."""
    denied = ""

    def refused(fault: faults.Fault) -> None:
        nonlocal denied
        if not isinstance(fault, faults.AccessDenied):
            raise fault
        denied = f"; {fault.action} is not allowed"

    price_of = prices(case.client, case.settings, refused)
    for machine in filter(None, case.settings.instance_types):
        price = price_of(machine)
        if price is None:
            case.client.region()  # without one there is nothing to look a price up by, which it says
            remedy = (
                "for limits.max_cost, write backend.price_per_hour in dollars, or `trialjob prices --update`"
            )
            yield Check(name="price", ok=None, detail=f"{machine}: no price is known{denied}", remedy=remedy)
            continue
        kind = "" if case.settings.training_plan else " on demand"
        detail = f"{machine}: ${price.micros / 1e6:g} an hour{kind}, by {price.source}{denied}"
        yield Check(name="price", ok=True, detail=detail)


def tariff_of(settings: SageMakerSettings, price_of: Callable[[str], Price | None]) -> Tariff:
    """The terms of all jobs, in the order of ``request.placement``; ``price_of`` is asked once a type."""
    machines, instances = _machines(settings)
    prices = {machine: price_of(machine) for machine in dict.fromkeys(machines)}
    known = [price for price in prices.values() if price is not None]
    spot = settings.spot
    limit = spot.on_demand_after if spot else None

    def terms(machine: str, *, on_spot: bool) -> Terms:
        price = prices[machine]
        return Terms(
            price=None if price is None else price.micros,
            instances=instances,
            machine=machine,
            spot=on_spot,
            stop_grace=STOP_GRACE,
            upload=settings.max_upload,
            keep_alive=0.0 if on_spot else ceil(settings.keep_alive or 0.0),
            one_of=asks_for_any(settings),
        )

    on_demand_turns = [terms(machine, on_spot=False) for machine in machines]
    spot_turns = [terms(machine, on_spot=True) for machine in machines]
    if limit is None:
        turns, repeat_from = (spot_turns if spot else on_demand_turns), 0
    else:
        first = [spot_turns[turn % len(spot_turns)] for turn in range(limit)]
        turns, repeat_from = [*first, *on_demand_turns], limit
    complete = len(known) == len(prices)
    return Tariff(
        terms=tuple(turns),
        repeat_from=repeat_from,
        # The least reliable of them is what they are worth together.
        origin=max((price.origin for price in known), key=_RELIABLE.index)
        if complete
        else PriceOrigin.UNKNOWN,
        source="; ".join(dict.fromkeys(price.source for price in known)) if complete else "",
    )


def _machines(settings: SageMakerSettings) -> tuple[Sequence[str], int]:
    """The types that are tried in turn, and how many of one a job has; "" for those of a raw request."""
    raw = settings.request.get("ResourceConfig") or {}
    if not any(raw.get(name) for name in _OTHER_MACHINES):
        return settings.instance_types, settings.instance_count
    groups = sum(int(group.get("InstanceCount", 1)) for group in raw.get("InstanceGroups") or ())
    either = [int(one.get("InstanceCount", 1)) for one in raw.get("InstancePreferences") or ()]
    return ("",), max(groups, *either, 0) or settings.instance_count


_RELIABLE: Final = [PriceOrigin.SPEC, PriceOrigin.PRICE_LIST, PriceOrigin.TABLE]
