"""A spec with nothing left open: made once, for planning, beginning and looking.

Rule: what is drawn here, is drawn from the spec itself, so that a plan and the run after it have the same
seed; and nothing is asked for twice, be it a price or an image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from trialjob.backends.plugin import Jobs
from trialjob.config import ExperimentSpec, user_file
from trialjob.errors import Problem, SpecError
from trialjob.experiment.jobs import check_passing, jobs_of, with_image
from trialjob.experiment.search import with_search_resolved
from trialjob.model.money import Tariff
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.ports import Clock


@dataclass(frozen=True, kw_only=True)
class ResolvedSpec:
    """What will be journaled, and what is known of its jobs."""

    spec: ExperimentSpec
    jobs: Jobs

    @cached_property
    def tariff(self) -> Tariff:
        """What its jobs cost; the backend is asked once."""
        return self.spec.backend.tariff(self.jobs)

    def doubts(self) -> list[Problem]:
        """What its backend finds doubtful, each where the user wrote it."""
        return [self.spec.written.place(each) for each in self.spec.backend.doubts(self.jobs)]


def resolve(given: ExperimentSpec | ResolvedSpec, *, to_run: bool = True) -> ResolvedSpec:
    """``given`` with image and seed, and checked: its jobs would be taken.

    Only with ``to_run`` must this machine be able to reach, or be, what runs them. Raises SpecError,
    BackendError.
    """
    if isinstance(given, ResolvedSpec):
        if to_run and given.spec.backend.is_remote:
            given.spec.backend.check_here(given.jobs)
        return given
    try:
        return _resolved(given, SystemClock(), to_run=to_run)
    except SpecError as error:
        placed = [
            user_file.placed(given.written.place(each), given.written.filled) for each in error.problems
        ]
        raise SpecError(placed, error.source) from error


def _resolved(given: ExperimentSpec, clock: Clock, *, to_run: bool) -> ResolvedSpec:
    if to_run or not given.backend.is_remote:
        given.backend.check_here(jobs_of(given, clock))
    check_passing(given)
    spec = with_search_resolved(with_image(given))
    jobs = jobs_of(spec, clock)
    if jobs.handover is not None and (problems := [*spec.backend.handover_problems(jobs)]):
        raise SpecError(problems)
    spec.backend.check(jobs)
    return ResolvedSpec(spec=spec, jobs=jobs)
