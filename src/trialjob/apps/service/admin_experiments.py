"""The experiments of all tenants, for an admin: he looks, stops and bounds, and starts nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

from trialjob.apps.service.experiments import Experiments
from trialjob.apps.team.tenants import tenant_of
from trialjob.errors import NoSuchExperiment, UsageError


class NotForAdmins(UsageError):
    """A tenant's token is needed."""


class AdminExperiments:
    """Finds the tenant's experiments by the name of the experiment."""

    def __init__(
        self, tenants: Callable[[], Sequence[str]], experiments: Callable[[str], Experiments]
    ) -> None:
        self._tenants, self._experiments = tenants, experiments

    def visible(self, text: str) -> str:
        return text

    def names(self) -> list[str]:
        return sorted(name for tenant in self._tenants() for name in self._experiments(tenant).names())

    def page(self, after: str, limit: int, *, details: bool = False) -> tuple[list[dict[str, object]], str]:
        all_experiments = map(self._experiments, self._tenants())
        experiments_of = {
            name: experiments for experiments in all_experiments for name in experiments.names()
        }
        names = sorted(name for name in experiments_of if name > after)
        lines = [experiments_of[name].line(name, details=details) for name in names[:limit]]
        return lines, names[limit - 1] if len(names) > limit else ""

    def lines(self, containing: str) -> Iterator[dict[str, object]]:
        return (
            line
            for experiments in map(self._experiments, self._tenants())
            for line in experiments.lines(containing)
        )

    def of(self, name: str) -> Experiments:
        """Those of the tenant whose experiment that is. Raises NoSuchExperiment."""
        tenant = tenant_of(name)
        if tenant not in self._tenants():
            raise NoSuchExperiment(f"no experiment named {name!r} of any tenant")
        return self._experiments(tenant)

    # What is a tenant's alone

    def plan(self, *_given: object, **_named: object) -> NoReturn:
        raise NotForAdmins(
            "an admin starts nothing, as no budget would pay for it; use a token of the tenant "
            "(`trialjob token create TENANT --role submit`)"
        )

    plan_archive = start = start_archive = start_study = plan
