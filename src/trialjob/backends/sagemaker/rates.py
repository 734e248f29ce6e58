"""How often the service may be called."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pydantic import Field

from trialjob.field_types import Number, SpecPart


class Rates(SpecPart):
    """Calls a second of each operation, which an account shares with everything else in its region."""

    #: Jobs created a second.
    create: Number = Field(default=1.0, gt=0)
    #: Jobs stopped a second.
    stop: Number = Field(default=1.0, gt=0)
    #: Jobs updated a second.
    update: Number = Field(default=1.0, gt=0)
    #: Lists of jobs a second.
    list: Number = Field(default=2.0, gt=0)
    #: Descriptions of a job a second.
    describe: Number = Field(default=5.0, gt=0)
    #: Looks at logs a second.
    filter_logs: Number = Field(default=10.0, gt=0)


#: What the service grants an account in a region.
RATES: Final[Mapping[str, float]] = MappingProxyType(dict(Rates()))
