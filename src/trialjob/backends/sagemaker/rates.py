"""How often the service may be called."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

#: What the service grants an account in a region, in calls a second. Other users of it share these.
RATES: Final[Mapping[str, float]] = MappingProxyType({
    "create": 1.0, "stop": 1.0, "update": 1.0, "list": 2.0, "describe": 5.0, "filter_logs": 10.0,
})  # fmt: skip
