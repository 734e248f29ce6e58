"""What can go wrong between us and AWS: a small closed set, made once from the vendor's many words.

``meanings`` makes these of what a service says and ``answers`` of everything else; who calls says what
follows from each.

Rule: all but ``Unreachable`` say that the call had no effect, so only words that are known to refuse become
one of them.
"""

from __future__ import annotations

import re
from typing import Final


class Fault(Exception):
    """Base; the message is for people and keeps the service's own words."""


class Throttled(Fault):
    """Too many calls a second, by our own count or by the service's. Nothing happened."""

    #: Seconds until the same call is welcome.
    seconds: float = 1.0


class Unreachable(Fault):
    """No answer, none that says anything, or a failure of the service. The call may have taken effect."""


class CallerTrouble(Fault):
    """AWS does not let this caller in, whatever is asked. Nothing happened, and a person must mend it."""

    #: What to do about it.
    remedy: str = ""
    #: It is likely to pass while one waits.
    passes = False

    def __init__(self, message: str, remedy: str = "") -> None:
        self.remedy = remedy or self.remedy
        super().__init__(message)


class ExpiredCredentials(CallerTrouble):
    """There are credentials, and they hold no longer. They may be renewed at any moment."""

    remedy = "renew them, for example by `aws sso login`"


class NoCredentials(CallerTrouble):
    """There are none."""

    remedy = "configure some, for example by `aws configure`"


class UnknownCaller(CallerTrouble):
    """There are credentials, and AWS does not know them or cannot make sense of them."""

    remedy = (
        "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_PROFILE (`aws sts "
        "get-caller-identity` tells), and that the region is switched on for the account"
    )


class WrongClock(CallerTrouble):
    """What is signed here bears a time that AWS does not take, because this machine's clock is off."""

    remedy = "set this machine's clock, best by NTP (`timedatectl set-ntp true`)"


class NotSubscribed(CallerTrouble):
    """The account is not signed up for the service, or may not use it."""

    remedy = "sign the account up in the AWS console (its billing details, and the service itself)"


class Misconfigured(CallerTrouble):
    """What this machine says of AWS makes no call possible: no region, no such profile, a bad file."""

    remedy = "correct the configuration of AWS on this machine (`aws configure list` shows it)"


class AccessDenied(Fault):
    """The caller may not do this."""

    def __init__(self, action: str, message: str) -> None:
        #: The IAM action that is missing, such as ``iam:PassRole``.
        self.action = action
        super().__init__(message)


class RoleNotReady(Fault):
    """SageMaker cannot take the execution role on, or not yet: IAM tells it of a new role in seconds."""


class QuotaExceeded(Fault):
    """An account limit is reached. Nothing happened."""

    def __init__(self, message: str) -> None:
        found = _QUOTA.search(message)
        #: The request alone is above the limit, so no wait will help.
        self.for_ever = found is not None and int(found["asked"]) > int(found["limit"])
        super().__init__(message)


class DuplicateName(Fault):
    """A job of that name exists."""


class NotFound(Fault):
    """There is no such job, log group or object."""


class AlreadyEnded(Fault):
    """The job has ended, and cannot be stopped."""


class NoBucket(Fault):
    """A bucket is not there. Nothing happened, and nothing will before it is made."""


class NotMet(Fault):
    """The condition of a write did not hold, or another write came between; this one wrote nothing."""


class Unchanged(Fault):
    """The reader has it already."""


class Invalid(Fault):
    """The request is wrong and will be so next time."""

    def __init__(self, message: str, code: str = "") -> None:
        #: The service's word for it.
        self.code = code
        super().__init__(message)


_QUOTA: Final = re.compile(r"is (?P<limit>\d+) Instances?.*request delta of (?P<asked>\d+) Instances?")
