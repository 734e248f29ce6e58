"""What is planned: everything about an experiment that its time and its cost depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from trialjob.backends.assumptions import Assumptions
from trialjob.backends.simulator.curves import Recorded
from trialjob.model.limits import Limits
from trialjob.model.metric import Objective
from trialjob.model.money import Tariff
from trialjob.orchestrator.core.search import StoppingRule
from trialjob.orchestrator.ports import Sampler


@dataclass(frozen=True, slots=True, kw_only=True)
class Epochs:
    """What is known of how long training takes. An epoch is one unit of the objective's resource."""

    #: How many a trial makes that runs to its end, and where that is from; None if unknown.
    count: float | None
    count_from: str
    #: Seconds of one, and where that is from; None if unknown.
    seconds: float | None
    seconds_from: str
    #: Seconds from the start of the script to its first epoch.
    startup: float = 0.0
    #: How earlier trials have learned, if it is known.
    recorded: Recorded | None = None

    @property
    def known(self) -> bool:
        """True when there is enough to simulate."""
        return self.count is not None and self.seconds is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One experiment, on one kind of machines."""

    objective: Objective
    limits: Limits
    rule: StoppingRule
    #: Makes a sampler that proposes as many configurations as the real one will, from a seed.
    sampler: Callable[[int], Callable[[], Sampler]]
    #: How many it has; None when there is no end to them.
    configurations: int | None = None
    #: Configurations are proposed by a model, so that later trials are better than earlier ones.
    learns: bool
    tariff: Tariff
    #: Seconds that a spot job may take in all.
    max_wait: float
    poll_interval: float
    #: Looks are made sooner or later than that, as something is expected.
    by_pace: bool = False
    #: Calls a second that the service grants; none where calls are not limited.
    rates: Mapping[str, float] = field(default_factory=dict)
    epochs: Epochs
    assumptions: Assumptions
    #: A trial goes on from what it has saved, after an interruption or a pause.
    checkpoints: bool
    #: A trial whose job fails by the service's own doing is tried again as a new job.
    retried: bool = True
