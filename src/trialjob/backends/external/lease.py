"""What is known of one job that a client runs: who has it, what he has reported, how it ended. Pure.

Rule 1: a change that is asked for twice has the same effect, so a client that got no answer asks again.
Rule 2: the first end is the end. A client that reports to a lease that is over, or another's, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self

from trialjob.errors import UsageError
from trialjob.model.job import FailureKind, JobEnd, Outcome
from trialjob.model.json import Json

#: What a client may say of a failure.
_LONGEST: Final = 2000


class NotYours(UsageError):
    """The trial is another's by now, or over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A report, as a client has sent it."""

    at: float
    metrics: Mapping[str, float | str]
    #: What it is of; None for the values that an end came with.
    step: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One job of a trial."""

    digest: str
    hyperparameters: Mapping[str, Json] = field(default_factory=dict)
    max_runtime: float = 0.0
    #: The client that has it; "" while it waits for one.
    client: str = ""
    begun: float | None = None
    heard: float | None = None
    said: tuple[Said, ...] = ()
    #: It is to end; its client learns so when it reports.
    stop: bool = False
    outcome: Outcome | None = None
    failure: FailureKind | None = None
    message: str = ""
    ended: float | None = None

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Self:
        given = {name: fields[name] for name in cls.__dataclass_fields__}
        given["said"] = tuple(Said(**each) for each in fields["said"])
        given["outcome"] = None if fields["outcome"] is None else Outcome(fields["outcome"])
        given["failure"] = None if fields["failure"] is None else FailureKind(fields["failure"])
        return cls(**given)

    def written(self) -> dict[str, Any]:
        fields = asdict(self)
        fields["outcome"] = None if self.outcome is None else self.outcome.value
        fields["failure"] = None if self.failure is None else self.failure.value
        return fields

    # What may be asked

    @property
    def is_free(self) -> bool:
        return not self.client and not self.stop and self.outcome is None

    def is_of(self, client: str) -> bool:
        """It runs, and is this client's."""
        return self.client == client and not self.stop and self.outcome is None

    def end(self) -> JobEnd | None:
        if self.outcome is None:
            return None
        seconds = 0.0 if self.begun is None or self.ended is None else max(0.0, self.ended - self.begun)
        return JobEnd(
            outcome=self.outcome,
            failure=self.failure,
            message=self.message,
            started_at=self.begun,
            ended_at=self.ended,
            seconds=seconds,
        )

    # What changes it

    def taken(self, client: str, now: float) -> Self:
        """Given to ``client``, or once more to him; unchanged when it is another's."""
        if self.is_of(client):
            return replace(self, heard=now)
        return replace(self, client=client, begun=now, heard=now) if self.is_free else self

    def reported(
        self, client: str, step: float | None, metrics: Mapping[str, float | str], now: float
    ) -> Self:
        """With a report; of what was reported of the same step already the first value counts."""
        self._check(client)
        if self.outcome is not None:
            return self
        same = () if step is None else [each.metrics for each in self.said if each.step == step]
        new = {name: value for name, value in metrics.items() if not any(name in known for known in same)}
        said = (*self.said, Said(at=now, metrics=new, step=step)) if new else self.said
        return replace(self, said=said, heard=now)

    def over(
        self, outcome: Outcome, now: float, *, failure: FailureKind | None = None, message: str = ""
    ) -> Self:
        """Ended; what was to be stopped has been stopped, whatever else its client says."""
        if self.outcome is not None:
            return self
        if self.stop and outcome is not Outcome.TIMED_OUT:
            outcome, failure = Outcome.STOPPED, None
        return replace(self, outcome=outcome, failure=failure, message=message[:_LONGEST], ended=now)

    def stopped(self, now: float) -> Self:
        """Asked to end; at once, where no client has it."""
        asked = replace(self, stop=True)
        return asked if self.client or self.outcome is not None else asked.over(Outcome.STOPPED, now)

    def settled(self, now: float, silence: float) -> Self:
        """Ended, when its time is over or its client has not been heard for ``silence`` seconds.

        By what came first: there may have been no look for long, as no server ran.
        """
        if self.begun is None or self.heard is None or self.outcome is not None:
            return self
        over_at, gone_at = self.begun + self.max_runtime, self.heard + silence
        if now < min(over_at, gone_at):
            return self
        if over_at <= gone_at:
            return self.over(Outcome.TIMED_OUT, min(now, over_at + silence))
        why = f"client {self.client!r} has not reported for {silence:g} s"
        return self.over(Outcome.FAILED, gone_at, failure=FailureKind.LOST, message=why)

    def _check(self, client: str) -> None:
        if not self.client:
            raise NotYours("no client has this trial; ask for suggestions first")
        if client and client != self.client:
            raise NotYours(
                "another client has this trial now; ask for suggestions, and go on with what you get"
            )
        if self.failure is FailureKind.LOST:
            raise NotYours("this trial was not reported to for too long and given up; ask for suggestions")
