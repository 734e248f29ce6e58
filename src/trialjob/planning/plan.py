"""A plan: the cases that are compared, what each of them costs, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trialjob.backends.plugin import Check
from trialjob.errors import Problem
from trialjob.planning.estimate import Estimate
from trialjob.planning.scenario_input import Case
from trialjob.planning.upper_bound import Worst


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to have machines."""

    #: ``warm pool``, ``spot`` or ``on demand``; ``local`` for this machine.
    name: str
    #: What the spec says; of the others a plan says what they would cost.
    written: bool
    #: What to write in the spec to have it.
    how: str
    case: Case
    worst: Worst
    #: None when it is unknown how long an epoch takes.
    estimate: Estimate | None

    @property
    def paid(self) -> bool:
        """False only when it is known to cost nothing."""
        return any(terms.price != 0 for terms in self.case.tariff.terms)

    @property
    def capped(self) -> bool:
        """True when the user has set a limit to what it may cost."""
        limits = self.case.limits
        return limits.max_cost is not None or limits.max_instance_hours is not None

    @property
    def time(self) -> float:
        """The best guess, in seconds."""
        return self.estimate.time.guess if self.estimate else 0.0

    @property
    def cost(self) -> float:
        """The best guess in dollars, or in instance hours where there is no price."""
        if self.estimate is None:
            return 0.0
        priced = self.case.tariff.priced
        return self.estimate.dollars.guess if priced else self.estimate.instance_hours.guess


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that is known before the first job."""

    name: str
    #: How the spec is searched and pruned, in words.
    search: str
    stopping: str
    machine: str
    #: Where the values of its metrics come from, in words.
    metrics: str
    variants: Sequence[Variant]
    #: Doubtful choices of the spec.
    doubts: Sequence[Problem] = ()
    #: How many jobs the caps leave room for, when fewer than asked for.
    caps: str = ""
    #: Why the first job's request would be taken, or by whom it was not judged.
    request: str = ""
    #: That request itself, where one is made.
    first_request: Mapping[str, Any] | None = None
    #: What was looked at in the account.
    looked: Sequence[Check] = ()
    #: What was not asked, and how it would be.
    unasked: Sequence[str] = ()
    #: Fields that the user's own file says and not the spec, and where that file is.
    settings: Sequence[str] = ()
    settings_file: str = ""
    #: Assumptions that the user has replaced, as ``NAME=VALUE``.
    assumed: Sequence[str] = ()
    #: Others that an earlier experiment has told, likewise.
    seen: Sequence[str] = ()
    advice: Sequence[str] = ()
    #: Of a server: whose budget it would be paid from, what is free there, and why it would be refused now.
    tenant: Mapping[str, Any] | None = None

    @property
    def written(self) -> Variant:
        """The spec as it is."""
        return next(variant for variant in self.variants if variant.written)
