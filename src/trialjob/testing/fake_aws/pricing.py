"""The Price List's answer for a few training instance types, and its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trialjob.testing.fake_aws.errors import ServiceError

#: Dollars an hour; only there to be read back, so their date does not matter.
PRICES = {
    "ml.m5.large": "0.115",
    "ml.m5.xlarge": "0.23",
    "ml.g4dn.xlarge": "0.7364",
    "ml.g5.xlarge": "1.408",
    "ml.g5.2xlarge": "1.515",
    "ml.g5.12xlarge": "7.09",
}
_PREFIXES = {"us-east-1": "USE1", "us-west-2": "USW2", "eu-west-1": "EU", "eu-central-1": "EUC1"}


def get_products(params: dict[str, Any]) -> dict[str, Any]:
    """GetProducts, with its filters joined by AND."""
    wanted = {rule["Field"]: rule["Value"] for rule in params.get("Filters", [])}
    found = []
    for region, prefix in _PREFIXES.items():
        for instance_type, price in PRICES.items():
            attributes = _attributes(instance_type, region, prefix)
            if params.get("ServiceCode") == "AmazonSageMaker" and wanted.items() <= attributes.items():
                found.append(json.dumps(_product(attributes, price)))
    token = params.get("NextToken", "0")
    if not token.isdecimal():
        raise ServiceError("InvalidNextTokenException", "Invalid NextToken")
    start, size = int(token), params.get("MaxResults", 100)
    answer: dict[str, Any] = {"FormatVersion": "aws_v1", "PriceList": found[start : start + size]}
    if start + size < len(found):
        answer["NextToken"] = str(start + size)
    return answer


def write_price_list(folder: Path, *, published: str = "2026-11-01T00:00:00Z") -> None:
    """The files of the Price List Bulk API under ``folder``: an index of regions and a list for each.

    Beside training they have what AWS lists as well: hosting, storage, and what costs nothing.
    """
    regions = {**_PREFIXES, "cn-north-1": "CNN1"}
    index = {
        region: {"regionCode": region, "currentVersionUrl": f"/{region}/index.json"} for region in regions
    }
    folder.joinpath("region_index.json").write_text(json.dumps({"formatVersion": "v1.0", "regions": index}))
    for region, prefix in regions.items():
        listed = [_product(_attributes(machine, region, prefix), price) for machine, price in PRICES.items()]
        listed += _others(region, prefix)
        currency = "CNY" if region.startswith("cn-") else "USD"
        terms = {each["product"]["sku"]: each["terms"]["OnDemand"] for each in listed}
        offer = {
            "formatVersion": "v1.0",
            "offerCode": "AmazonSageMaker",
            "publicationDate": published,
            "products": {each["product"]["sku"]: each["product"] for each in listed},
            "terms": {"OnDemand": terms},
        }
        folder.joinpath(region).mkdir(parents=True, exist_ok=True)
        text = json.dumps(offer).replace('"USD"', f'"{currency}"')
        folder.joinpath(region, "index.json").write_text(text)


def _others(region: str, prefix: str) -> list[dict[str, Any]]:
    hosting = _attributes("ml.m5.large", region, prefix)
    hosting |= {
        "component": "Hosting",
        "instanceType": "ml.m5.large-Hosting",
        "usagetype": f"{prefix}-Host:ml.m5.large",
    }
    rules = _attributes("ml.m5.large", region, prefix) | {"usagetype": f"{prefix}-Free:ml.m5.large"}
    storage = {
        "servicecode": "AmazonSageMaker",
        "regionCode": region,
        "usagetype": f"{prefix}-Train:VolumeUsage.gp2",
    }
    listed = _product({**storage, "productFamily": "ML Storage"}, "0.14")
    for term in listed["terms"]["OnDemand"].values():
        for dimension in term["priceDimensions"].values():
            dimension["unit"] = "GB-Mo"
    return [_product(hosting, "99"), _product(rules, "0.0000000000"), listed]


def _attributes(instance_type: str, region: str, prefix: str) -> dict[str, str]:
    return {
        "servicecode": "AmazonSageMaker",
        "productFamily": "ML Instance",
        "component": "Training",
        "regionCode": region,
        "instanceName": instance_type,
        "instanceType": f"{instance_type}-Training",
        "usagetype": f"{prefix}-Train:{instance_type}",
    }


def _product(attributes: dict[str, str], price: str) -> dict[str, Any]:
    code = "".join(letter for letter in attributes["usagetype"].upper() if letter.isalnum())
    dimension = {"unit": "Hrs", "description": f"${price} per hour", "pricePerUnit": {"USD": price}}
    return {
        "product": {"productFamily": attributes["productFamily"], "sku": code, "attributes": attributes},
        "serviceCode": "AmazonSageMaker",
        "terms": {"OnDemand": {f"{code}.T": {"priceDimensions": {f"{code}.T.D": dimension}}}},
    }
