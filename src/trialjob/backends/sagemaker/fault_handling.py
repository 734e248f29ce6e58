"""What an answer of AWS, or the want of one, means to the engine, and the message that a person gets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from trialjob.aws import faults
from trialjob.errors import BackendBusy, BackendError, BackendUnavailable
from trialjob.orchestrator.ports import Clock

#: Seconds without an answer before a person gets a message.
_SILENCE: Final = 60.0


def in_words(fault: faults.Fault) -> BackendError:
    """A fault, and what to do about it, as a person is told."""
    remedy = fault.remedy if isinstance(fault, faults.CallerTrouble) else ""
    if isinstance(fault, faults.AccessDenied):
        remedy = f"allow {fault.action} to the identity that runs trialjob"
    return BackendError(f"{fault}\n    → {remedy}" if remedy else str(fault))


class Answers:
    """The faults of a backend's calls as the engine knows them."""

    def __init__(self, clock: Clock, s3_uri: str) -> None:
        self._clock, self._s3_uri = clock, s3_uri
        #: What a person should know now, by what it is about.
        self.notices: dict[str, str] = {}
        #: Since when nothing was answered.
        self._silent_since: float | None = None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Turn faults into what the engine knows, and keep in mind what a person should be told."""
        try:
            yield
        except faults.CallerTrouble as fault:
            if not fault.passes:
                raise in_words(fault) from fault
            what = "the right time" if isinstance(fault, faults.WrongClock) else "valid AWS credentials"
            self.notices["credentials"] = f"waiting for {what}: {fault}; {fault.remedy}"
            raise BackendUnavailable(self.notices["credentials"]) from fault
        except faults.Throttled as fault:
            raise BackendBusy(str(fault), fault.seconds) from fault
        except faults.Unreachable as fault:
            self._note_silence(fault)
            raise BackendUnavailable(str(fault)) from fault
        except faults.NoBucket as fault:
            # No trial's fault, and no trial can do without it.
            raise BackendError(
                f"{self._s3_uri}: {fault}\n    → create the bucket and resume, or begin anew with "
                "another backend.s3_uri; `trialjob doctor SPEC` looks beforehand"
            ) from fault
        except faults.Fault as fault:
            raise in_words(fault) from fault
        self._silent_since = None
        self.notices.pop("credentials", None)
        self.notices.pop("silence", None)

    def _note_silence(self, fault: faults.Unreachable) -> None:
        now = self._clock.now()
        if self._silent_since is None or now < self._silent_since:
            self._silent_since = now
        if now - self._silent_since >= _SILENCE:
            self.notices["silence"] = f"AWS has not answered for a while; jobs run on: {fault}"
