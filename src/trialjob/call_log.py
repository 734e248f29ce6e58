"""Every call to a service on one line, for users who want to see them: Python's logger ``trialjob.calls``.

Rule: of what a call is given, only names of things are logged, and never a value. Without a listener it costs
next to nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from trialjob.model.masking import mask

CALLS: Final = logging.getLogger("trialjob.calls")
#: Members of calls that say what they are about.
_NAMES: Final = frozenset({
    "TrainingJobName", "HyperParameterTuningJobName", "NameContains", "ResourceArn", "Bucket", "Key",
    "Prefix",
    "logGroupName", "logStreamNamePrefix", "logStreamNames", "RoleName", "PolicySourceArn", "ServiceCode",
    "registryId", "repositoryName", "TopicArn", "SecretId", "NextToken", "Name",
})  # fmt: skip
_LONGEST: Final = 120


@contextmanager
def logged(service: str, call: str, given: Mapping[str, object]) -> Iterator[None]:
    """Log one call to a service: what it was about, how long it took, and what came of it."""
    if not CALLS.isEnabledFor(logging.DEBUG):
        yield
        return
    begun, outcome = perf_counter(), "ok"
    try:
        yield
    except BaseException as error:
        outcome = f"{type(error).__name__}: {error}"
        raise
    finally:
        names = "".join(f" {name}={_short(given[name])}" for name in given if name in _NAMES)
        line = f"{service} {call}{names} {(perf_counter() - begun) * 1000:.0f}ms {_short(outcome)}"
        CALLS.debug("%s", line)


def _short(value: object) -> str:
    """In one line, and not more of it than tells."""
    text = " ".join(mask(str(value)).split())  # first: half of a secret has no form to be known by
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
