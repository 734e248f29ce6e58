"""The ways to have machines that a plan compares: a warm pool, spot, and neither."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Final

from trialjob.aws import faults
from trialjob.backends.plugin import Way
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.image_fit import image_region
from trialjob.backends.sagemaker.machines import Spot
from trialjob.backends.sagemaker.prices import Price, prices, table_price, tariff_of
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.model.durations import format_duration
from trialjob.model.limits import Limits

#: A warm pool for those who have none: long enough for a slot to be filled again.
_KEEP_ALIVE: Final = 240.0


def ways(given: SageMakerSettings, client: SageMakerClient, limits: Limits, *, ask: bool) -> Sequence[Way]:
    """Each with its tariff; only with ``ask`` is the price list asked."""
    price_of = _price_of(given, client, ask=ask)
    keep_alive = given.keep_alive or _KEEP_ALIVE
    spot = given.spot or Spot(max_wait=2 * limits.trial_timeout)
    # The two do not go together: what is written of the other is to be taken out.
    no_spot = ", without spot" if given.spot else ""
    no_pool = ", without keep_alive" if given.keep_alive else ""
    settings = {
        ("warm pool", f"backend.keep_alive: {format_duration(keep_alive)}{no_spot}"): replace(
            given, keep_alive=keep_alive, spot=None
        ),
        ("spot", f"backend.spot: {{max_wait: {format_duration(spot.max_wait)}}}{no_pool}"): replace(
            given, keep_alive=None, spot=spot
        ),
        ("on demand", "neither keep_alive nor spot"): replace(given, keep_alive=None, spot=None),
    }
    return [
        Way(
            name=name,
            how=how,
            written=each == given,
            tariff=tariff_of(each, price_of),
            max_wait=each.spot.max_wait if each.spot else math.inf,
        )
        for (name, how), each in settings.items()
        if each == given or not given.training_plan  # a plan's machines are neither spot nor kept warm
    ]


def _price_of(
    given: SageMakerSettings, client: SageMakerClient, *, ask: bool
) -> Callable[[str], Price | None]:
    asked, region = prices(client, given), _region(client, given)

    def price_of(machine: str) -> Price | None:
        is_said = given.price_per_hour is not None or given.training_plan
        said = asked(machine) if ask or is_said else None
        return said or table_price(region, machine)

    return cache(price_of)


def _region(client: SageMakerClient, settings: SageMakerSettings) -> str:
    """Where the jobs would run, as far as this machine knows: by boto3's rules, or where their image is."""
    with suppress(faults.Fault):
        return client.region()
    return image_region(settings.image_uri)
