"""The Price List's answer for a few training instance types."""

from __future__ import annotations

import json
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
