"""Everything that can go wrong, each with its own switch; all off to begin with.

Rule: every throw of the dice comes from one seeded generator per kind of fault, so that switching one fault
on does not move the others. Rates are probabilities; seconds are seconds of the fake's clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from trialjob.testing.fake_aws.errors import (
    PAGES,
    STATUSES,
    ConnectionLost,
    Interposed,
    ServiceError,
    expired,
    internal,
    throttled,
)

#: Requests a second that the service grants an account in a region.
RATES = {
    "CreateTrainingJob": 1.0,
    "StopTrainingJob": 1.0,
    "UpdateTrainingJob": 1.0,
    "DeleteTrainingJob": 1.0,
    "ListTrainingJobs": 2.0,
    "DescribeTrainingJob": 5.0,
    "Search": 5.0,
    "CreateHyperParameterTuningJob": 1.0,
    "StopHyperParameterTuningJob": 1.0,
    "DescribeHyperParameterTuningJob": 5.0,
    "ListTrainingJobsForHyperParameterTuningJob": 2.0,
    "ListHyperParameterTuningJobs": 2.0,
    "FilterLogEvents": 25.0,
    "GetLogEvents": 10.0,
    "DescribeLogStreams": 25.0,
}


@dataclass(slots=True, kw_only=True)
class Faults:
    """The switches. They may be turned at any moment."""

    seed: int = 0
    #: Multiplies the granted rates: 1 is the real service, 10 a lenient one, 0 grants everything.
    throttle: float = 0.0
    rates: dict[str, float] = field(default_factory=lambda: dict(RATES))
    #: InternalFailure, status 500.
    internal_failure: float = 0.0
    #: The connection is lost and nothing was done.
    lost_before: float = 0.0
    #: The connection is lost after the call took effect.
    lost_after: float = 0.0
    #: A proxy answers in the service's place: before the call is made, or after it took effect.
    interposed_before: float = 0.0
    interposed_after: float = 0.0
    #: An answer takes this long, this often.
    slow: float = 0.0
    slow_seconds: float = 5.0
    #: Credentials are expired between these two moments.
    expired: tuple[float, float] | None = None
    #: IAM actions that the caller may not do, such as ``sagemaker:AddTags``.
    denied: set[str] = field(default_factory=set)
    #: The longest a log line may take to be seen; each line takes a time of its own.
    log_delay: float = 0.0
    #: A few lines among many take so much longer, in seconds from the least to the most.
    late_line: float = 0.0
    late_between: tuple[float, float] = (10.0, 30.0)
    #: A line's timestamp may be this much too early, so that lines change places.
    log_shuffle: float = 0.0
    #: S3 answers a conditional write 409, as it does when two of them meet.
    write_conflict: float = 0.0
    #: S3 answers 503: slow down.
    slow_down: float = 0.0
    #: A line is cut in two events.
    log_split: float = 0.0
    #: FilterLogEvents answers an empty page with a token.
    empty_page: float = 0.0
    #: ListTrainingJobs and Search show the world as it was so long ago, warm pools included.
    list_delay: float = 0.0
    search_delay: float = 0.0
    #: A launch ends in CapacityError after a wait; always so for the types in ``no_capacity``.
    capacity_error: float = 0.0
    no_capacity: set[str] = field(default_factory=set)
    #: A launch finds the account's whole quota taken by others.
    quota_taken: float = 0.0
    #: A launch ends in InternalServerError.
    internal_server_error: float = 0.0
    #: A spot launch is interrupted, after a part of ``interruption_within`` seconds of training.
    interruption: float = 0.0
    interruption_within: float = 300.0
    #: Called with ("before" | "after", operation); may raise, or kill a process.
    hook: Callable[[str, str], None] | None = None
    #: Called with the operation and the body of an answer that is none of refusal; what it returns is sent.
    rewrite: Callable[[str, bytes], bytes] | None = None
    _dice: dict[str, random.Random] = field(default_factory=dict, init=False)

    @classmethod
    def everything(cls, seed: int = 0, *, now: float = 0.0) -> Faults:
        """All at once, at rates that let an experiment end; credentials expire ten minutes after ``now``."""
        return cls(
            seed=seed,
            expired=(now + 600.0, now + 660.0),
            quota_taken=0.05,
            throttle=1.0,
            internal_failure=0.03,
            lost_before=0.03,
            lost_after=0.03,
            interposed_before=0.02,
            interposed_after=0.02,
            slow=0.02,
            write_conflict=0.05,
            slow_down=0.03,
            log_delay=20.0,
            log_shuffle=5.0,
            log_split=0.05,
            empty_page=0.1,
            list_delay=15.0,
            search_delay=60.0,
            capacity_error=0.05,
            internal_server_error=0.05,
            interruption=0.3,
        )

    @classmethod
    def hard_day(cls, seed: int = 0) -> Faults:
        """What no page rules out of an account in which nothing is broken: the harder reading of each.

        A few late lines among many, stale lists, and the published rates, of FilterLogEvents those of most
        regions. With ``Durations.hard_day``.
        """
        rates = {**RATES, "FilterLogEvents": 10.0}
        return cls(
            seed=seed,
            throttle=1.0,
            rates=rates,
            log_delay=3.0,
            late_line=0.002,
            list_delay=4.5,
            search_delay=20.0,
        )

    def ingested(self, at: float) -> float:
        """When a line that is printed ``at`` can be seen."""
        delay = self.log_delay * self.dice("log_delay").random()
        if self.hits("late_line"):
            delay += self.dice("late_between").uniform(*self.late_between)
        return at + delay

    def hits(self, kind: str) -> bool:
        """Throw the dice of one fault."""
        rate: float = getattr(self, kind)
        return rate > 0 and self.dice(kind).random() < rate

    def meet_object(self, *, conditional: bool) -> None:
        """Raise what S3 may answer to a call for an object."""
        if self.hits("slow_down"):
            raise ServiceError("SlowDown", "Please reduce your request rate.", 503)
        if conditional and self.hits("write_conflict"):
            raise ServiceError("ConditionalRequestConflict", "A conflicting operation occurred.", 409)

    def interpose(self, kind: str) -> None:
        """Raise what something on the way may answer."""
        if self.hits(kind):
            dice = self.dice(f"{kind}/page")
            page, body = dice.choice(PAGES)
            raise Interposed(dice.choice(STATUSES), body, page)

    def dice(self, kind: str) -> random.Random:
        return self._dice.setdefault(kind, random.Random(f"{self.seed}/{kind}"))  # noqa: S311 - repeatable on purpose


class Gate:
    """What happens to a call on its way in and out, whatever it asks for."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._buckets: dict[str, tuple[float, float]] = {}

    def enter(self, operation: str, now: float) -> None:
        """Raise instead of letting the call in."""
        if self._faults.hook:
            self._faults.hook("before", operation)
        if self._faults.hits("lost_before"):
            raise ConnectionLost("lost before the call")
        self._faults.interpose("interposed_before")
        if self.is_expired(now):
            raise expired()
        if not self._granted(operation, now):
            raise throttled()
        if self._faults.hits("internal_failure"):
            raise internal()

    def leave(self, operation: str) -> None:
        """Raise instead of handing out the answer."""
        if self._faults.hook:
            self._faults.hook("after", operation)
        if self._faults.hits("lost_after"):
            raise ConnectionLost("lost after the call")
        self._faults.interpose("interposed_after")

    def is_expired(self, now: float) -> bool:
        window = self._faults.expired
        return window is not None and window[0] <= now < window[1]

    def _granted(self, operation: str, now: float) -> bool:
        """Take a token from the operation's bucket, which holds one second's worth of them."""
        rate = self._faults.rates.get(operation, 0.0) * self._faults.throttle
        if rate <= 0:
            return True
        size = max(1.0, rate)
        tokens, seen = self._buckets.get(operation, (size, now))
        tokens = min(size, tokens + (now - seen) * rate)
        granted = tokens >= 1.0 - 1e-6
        self._buckets[operation] = (tokens - granted, now)
        return granted
