"""What AWS's public price list files say of training: read without an account, region by region.

The files are those of the AWS Price List Bulk API ("Getting price list files manually" and "Reading the price
list files" in the AWS Billing user guide). A product counts when its ``instanceType`` is the name of an
instance with ``-Training`` behind it, which is what GetProducts is asked for, too.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from decimal import Decimal
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from trialjob.backends.price_list import RegionPrices
from trialjob.backends.sagemaker.price_book import UNREADABLE, PriceBook, hourly
from trialjob.errors import BackendUnavailable, UsageError
from trialjob.model.address import basic, mask_address, shown_address

#: Where the lists are; China's regions have their own list, in yuan.
WORLD: Final = "https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonSageMaker/current"
CHINA: Final = "https://pricing.cn-north-1.amazonaws.com.cn/offers/v1.0/cn/AmazonSageMaker/current"
#: The source of what was fetched.
FETCHED: Final = "AWS's price list"
_SUFFIX: Final = "-Training"
#: Seconds without a byte, and bytes of one file, after which it is given up.
_PATIENCE, _MOST = 60.0, 1 << 30


class PriceFeed(PriceBook):
    """The files at one address, which may be a mirror or a folder with the same tree."""

    def __init__(self, address: str = "") -> None:
        """``address`` is a URL or a folder; "" is AWS's own. Raises UsageError for what is neither."""
        if address and urlsplit(address).scheme not in ("http", "https") and not Path(address).is_dir():
            raise UsageError(f"--from {shown_address(address)!r} is neither a folder nor an http(s) address")
        self._address = address.rstrip("/")

    def regions(self) -> list[str]:
        """All that have a list. Raises BackendUnavailable, UsageError."""
        found: set[str] = set()
        for base in [self._address] if self._address else [WORLD, CHINA]:
            where = f"{base}/region_index.json"
            try:
                found.update(map(str, _json(where)["regions"]))
            except UNREADABLE as error:
                raise BackendUnavailable(
                    f"{shown_address(where)} is no index of price lists: {error}"
                ) from error
        return sorted(found)

    def prices(self, region: str) -> RegionPrices:
        """Those of one region. Raises BackendUnavailable, UsageError."""
        base = self._address or (CHINA if region.startswith("cn-") else WORLD)
        where = f"{base}/{region}/index.json"
        try:
            return read_prices(_json(where))
        except UNREADABLE as error:
            raise BackendUnavailable(f"{shown_address(where)} is no price list: {error!r}") from error


def read_prices(offer: Mapping[str, Any]) -> RegionPrices:
    """The price of an hour of each type of training instance; of several, the highest.

    Raises one of UNREADABLE for what is no price list.
    """
    found: dict[str, Decimal] = {}
    currencies: set[str] = set()
    on_demand = offer["terms"]["OnDemand"]
    for sku, product in offer["products"].items():
        listed = str(product.get("attributes", {}).get("instanceType", ""))
        machine = listed.removesuffix(_SUFFIX)
        if machine == listed or not machine.startswith("ml."):
            continue
        for currency, price in hourly(on_demand.get(sku, {})):
            currencies.add(currency)
            found[machine] = max(price, found.get(machine, price))
    if not found:
        raise ValueError("it lists no training instance")
    if len(currencies) > 1:
        raise ValueError(f"it lists prices in {' and '.join(sorted(currencies))}")
    published = str(offer["publicationDate"])[:10]
    prices = RegionPrices(date=published, currency=currencies.pop(), per_hour=found, source=FETCHED)
    return RegionPrices.read(prices.document())


def _json(where: str) -> Any:  # noqa: ANN401 - what JSON holds
    return json.loads(_bytes(where))


def _bytes(where: str) -> bytes:
    if urlsplit(where).scheme not in ("http", "https"):
        try:
            return Path(where).read_bytes()
        except OSError as error:
            raise UsageError(
                f"{where} cannot be read: {error.strerror}; --from takes a tree as AWS's"
            ) from error
    shown = shown_address(where)
    try:
        address, headers = basic(where)
        asked = Request(address)  # noqa: S310 - http(s) only, by the line above
        for name, value in headers.items():
            asked.add_unredirected_header(name, value)
        with urlopen(asked, timeout=_PATIENCE) as answer:  # noqa: S310 - as above
            content = bytes(answer.read(_MOST + 1))
    except HTTPError as error:
        remedy = (
            "see that the region's name is right, or that --from is; of a partition that is in no list, such "
            "as aws-iso, write backend.price_per_hour"
            if error.code in (403, 404)
            else "try later"
        )
        raise BackendUnavailable(f"{shown} answered {error.code}; {remedy}") from error
    except (URLError, HTTPException, ssl.SSLError, OSError) as error:
        reason = mask_address(str(getattr(error, "reason", error)), where)
        raise BackendUnavailable(
            f"{shown} cannot be reached: {reason}; without a way out, fetch it elsewhere and name its folder "
            "by --from"
        ) from error
    if len(content) > _MOST:
        raise BackendUnavailable(f"{shown} is larger than {_MOST >> 30} GiB, which no price list is")
    return content
