"""Trainers that ask for their trials, as a spec names them."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from trialjob.backends.plugin import Backend, BaseBackend, Jobs, Place
from trialjob.errors import InvariantError
from trialjob.field_types import Duration
from trialjob.model.money import PriceOrigin, Tariff, Terms, price_micros
from trialjob.orchestrator.journals.store import BaseStore


class External(BaseBackend):
    """Trials are asked for, and run, by clients of ``trialjob serve``."""

    #: Trials are asked for, and run, by clients of `trialjob serve`.
    kind: ClassVar[str] = "external"
    jobs_in_store: ClassVar[bool] = True
    tenant_fields: ClassVar[frozenset[str]] = frozenset({"lease", "poll_interval"})

    #: A client that has not been heard for so long is taken to be gone; its trial is given to the next
    #: client that asks, three times at most.
    lease: Duration = Field(default=600.0, gt=0)
    #: Pause between two looks at what clients have reported, where an orchestrator waits for them.
    poll_interval: Duration = 1.0

    def open(self, jobs: Jobs, place: Place) -> Backend:
        from trialjob.backends.external.backend import ExternalBackend  # noqa: PLC0415 - few specs need it
        from trialjob.backends.external.leases import Leases  # noqa: PLC0415 - as above

        if not isinstance(place.store, BaseStore):
            raise InvariantError("leases are kept in a store that was opened by its address")
        return ExternalBackend(
            leases=Leases(place.store, jobs.name, jobs.clock),
            clock=jobs.clock,
            silence=self.lease,
            resource=jobs.objective.resource,
        )

    def tariff(self, jobs: Jobs) -> Tariff:  # noqa: ARG002 - all jobs cost the same
        terms = Terms(price=price_micros(self.price_per_hour or 0.0), stop_grace=self.lease, upload=0.0)
        source = "its clients' machines" if self.price_per_hour is None else "backend.price_per_hour"
        return Tariff(terms=(terms,), origin=PriceOrigin.SPEC, source=source)

    def machine(self, jobs: Jobs) -> str:  # noqa: ARG002 - unknown
        return "whatever its clients have"

    def request_words(self) -> str:
        return "none is made; clients ask for trials"
