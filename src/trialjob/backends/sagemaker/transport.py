"""How calls of AWS are made: which wait for their turns, which are made again, and what time it is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from trialjob.aws import faults
from trialjob.aws.admission import Admission
from trialjob.aws.clients import AwsClients, again, is_silent
from trialjob.aws.error_codes import date_of
from trialjob.backends.limiter import Limiter
from trialjob.orchestrator.ports import Clock

#: An answer's date is cut to whole seconds.
_EXACT: Final = 1.0


class Transport:
    """The calls of one account in one region."""

    def __init__(
        self,
        clock: Clock,
        limiter: Limiter,
        *,
        region: str | None = None,
        profile: str | None = None,
        session: Any = None,  # noqa: ANN401 - boto3 has no types
    ) -> None:
        """``session`` is a boto3 session to be used instead of a new one for ``region`` and ``profile``."""
        self._clock = clock
        self._limiter = limiter
        self._aws = AwsClients(region=region, profile=profile, session=session)
        self._admission = Admission()
        #: By how many seconds the service's clock is ahead of ours, when that is more than nothing.
        self._ahead = 0.0
        #: Calls may still wait so many seconds for their turns.
        self._patience = 0.0

    @contextmanager
    def patiently(self, seconds: float) -> Iterator[None]:
        """Within this block calls wait for their turns, so long in all, but for those that list jobs."""
        self._patience = seconds
        try:
            yield
        finally:
            self._patience = 0.0

    def throttled(self, operation: str) -> faults.Throttled:
        """The fault of calling an operation before its turn."""
        fault = faults.Throttled(f"waiting for a turn to {operation.replace('_', ' ')}")
        fault.seconds = max(self._limiter.wait(operation), 0.01)
        return fault

    def wait(self, operation: str) -> float:
        """Seconds until there is a turn for an operation, such as ``create``."""
        return self._limiter.wait(operation)

    def time(self) -> float:
        """What time it is for the service, in seconds since the epoch, by the last of its answers."""
        return self._clock.now() + self._ahead

    def close(self) -> None:
        """Close the connections."""
        self._aws.close()

    # How calls are made

    def _write(self, bucket: str, service: str, method: str, **given: Any) -> Any:  # noqa: ANN401
        """Once only: the next step sees what came of it."""
        return self._call(bucket, service, method, given)

    def _read(self, bucket: str, service: str, method: str, **given: Any) -> Any:  # noqa: ANN401
        """Again at once when no answer came. A throttle is left to the next step."""
        unanswered: list[faults.Unreachable] = []

        def once() -> Any:  # noqa: ANN401
            # Without a turn for one more try, what is said is why there was no answer.
            if unanswered and self._limiter.wait(bucket):
                raise unanswered[-1]
            try:
                return self._call(bucket, service, method, given)
            except faults.Unreachable as fault:
                unanswered.append(fault)
                raise

        return again(once, when=is_silent, sleep=self._clock.sleep)

    def _call(self, bucket: str, service: str, method: str, given: dict[str, Any]) -> Any:  # noqa: ANN401
        while not self._limiter.take(bucket):
            fault = self.throttled(bucket)
            # What lists do not reach in time is asked for by its name, of which there are more turns.
            if bucket == "list" or fault.seconds > self._patience:
                raise fault
            self._patience -= fault.seconds
            self._clock.sleep(fault.seconds)
        asked = self._clock.now()
        try:
            answer = self._aws.ask(service, method, given, self._clock.now)
        except faults.Throttled as fault:
            self._limiter.drain(bucket)
            fault.seconds = self.throttled(bucket).seconds
            raise
        except faults.CallerTrouble as fault:
            fault.passes = self._admission.passes(fault, method, self._clock.now())
            raise
        self._admission.granted(method)
        self._set_clock(answered_at(answer), asked)
        return answer

    def _set_clock(self, theirs: float | None, asked: float) -> None:
        # It tells whole seconds, of some moment between question and answer.
        here = self._clock.now()
        if theirs is not None and not asked - _EXACT <= theirs - self._ahead <= here + _EXACT:
            self._ahead = theirs - (asked + here) / 2


def answered_at(answer: Mapping[str, Any]) -> float | None:
    """When an answer was given, in whole seconds by the clock of who gave it; None when it does not say."""
    return date_of((answer.get("ResponseMetadata") or {}).get("HTTPHeaders") or {})
