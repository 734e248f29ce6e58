"""The experiments of all tenants, for an admin: he looks, stops and bounds, and starts nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from trialjob.apps.service.attempt_files import KeptFiles
from trialjob.apps.service.experiments import Experiments
from trialjob.apps.service.figures import Drawn
from trialjob.apps.service.live_logs import LogPart
from trialjob.apps.service.studies import Study
from trialjob.apps.team.tenants import tenant_of
from trialjob.errors import NoSuchExperiment, UsageError
from trialjob.experiment import Session

T = TypeVar("T")


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

    def _of(self, name: str) -> Experiments:
        tenant = tenant_of(name)
        if tenant not in self._tenants():
            raise NoSuchExperiment(f"no experiment named {name!r} of any tenant")
        return self._experiments(tenant)

    def look(self, name: str, at: Callable[[Session], T]) -> T:
        return self._of(name).look(name, at)

    def status(self, name: str) -> tuple[dict[str, object], int]:
        return self._of(name).status(name)

    def log(self, name: str, trial: int, attempt: int | None, cursor: str) -> LogPart:
        return self._of(name).log(name, trial, attempt, cursor)

    def figure(self, name: str, figure: str) -> tuple[Drawn, float | None]:
        return self._of(name).figure(name, figure)

    def kept(self, name: str, trial: int, attempt: int | None) -> KeptFiles:
        return self._of(name).kept(name, trial, attempt)

    def code(self, name: str) -> bytes:
        return self._of(name).code(name)

    def remove(self, name: str) -> None:
        self._of(name).remove(name)

    def stop(self, name: str) -> None:
        self._of(name).stop(name)

    def resume(self, name: str) -> None:
        self._of(name).resume(name)

    def change_limits(self, name: str, limits: Mapping[str, Any]) -> None:
        self._of(name).change_limits(name, limits)

    def further(self, name: str, limits: Mapping[str, Any]) -> dict[str, Any]:
        return self._of(name).further(name, limits)

    def study(self, name: str, at: Callable[[Study], T]) -> T:
        return self._of(name).study(name, at)

    # What is a tenant's alone

    def plan(self, *_given: object, **_named: object) -> NoReturn:
        raise NotForAdmins(
            "an admin starts nothing, as no budget would pay for it; use a token of the tenant "
            "(`trialjob token create TENANT --role submit`)"
        )

    plan_archive = start = start_archive = start_study = plan
