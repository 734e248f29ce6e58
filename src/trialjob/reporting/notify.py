"""Sends a notice: to an SNS topic, or by POST to a webhook. It must not know when one is due.

Each is tried three times within seconds. A FIFO topic drops a repetition by the notice's id; other receivers
are told the id, so that they can.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Final

from trialjob.aws import faults
from trialjob.aws.answers import ask, made
from trialjob.orchestrator.ports import Clock
from trialjob.reporting.notice import Notice
from trialjob.reporting.public_address import NotPublic, post_publicly
from trialjob.reporting.results import strict_json
from trialjob.reporting.terminal import one_line

_TRIES: Final = 3
#: Seconds.
_PATIENCE: Final = 5.0
_OK: Final = range(200, 300)


class NotTold(Exception):
    """It was not taken; the message says why."""


def publish(notice: Notice, topic: str, clock: Clock, *, profile: str | None = None) -> None:
    """Publish to an SNS topic. Raises NotTold."""
    _persist(lambda: _publish(notice, topic, profile, clock.now), clock.sleep)


def post(notice: Notice, url: str, clock: Clock, *, public: bool = False) -> None:
    """Post the notice's document as JSON, with ``public`` to public addresses only. Raises NotTold."""
    _persist(lambda: _post(notice, url, public=public), clock.sleep)


def _persist(call: Callable[[], None], sleep: Callable[[float], None]) -> None:
    import tenacity  # noqa: PLC0415 - not needed before the end of an experiment

    tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(NotTold),
        stop=tenacity.stop_after_attempt(_TRIES),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=3.0),
        sleep=sleep,
        reraise=True,
    )(call)


def _publish(notice: Notice, topic: str, profile: str | None, time: Callable[[], float]) -> None:
    import boto3  # type: ignore[import-untyped] # noqa: PLC0415 - heavy
    from botocore.config import Config  # type: ignore[import-untyped] # noqa: PLC0415 - heavy

    region = topic.split(":")[3]
    attributes = {"experiment": notice.experiment, "state": notice.state, "id": notice.id}
    given: dict[str, Any] = {
        "TopicArn": topic,
        "Message": notice.text,
        "MessageAttributes": {
            key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()
        },
    }
    # Of ASCII, at most 100 characters, as SNS has it.
    given["Subject"] = notice.subject.encode("ascii", "replace").decode()[:100]
    if topic.endswith(".fifo"):
        given |= {"MessageGroupId": notice.experiment, "MessageDeduplicationId": notice.id}
    config = Config(
        connect_timeout=_PATIENCE,
        read_timeout=_PATIENCE,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )
    try:
        client = made(
            lambda: boto3.session.Session(profile_name=profile).client(
                "sns", region_name=region, config=config
            )
        )
        try:
            ask(client, "publish", given, now=time)
        finally:
            client.close()
    except faults.Fault as fault:
        raise NotTold(one_line(str(fault))) from fault


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without the notice."""

    def redirect_request(self, *_args: object, **_given: object) -> None:
        return None


def _post(notice: Notice, url: str, *, public: bool) -> None:
    data = strict_json(dict(notice.document)).encode()
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": notice.id,
        "User-Agent": "trialjob",
    }
    try:
        status = post_publicly(url, data, headers, _PATIENCE) if public else _posted(url, data, headers)
    except (NotPublic, OSError, http.client.HTTPException, ValueError) as error:
        # Not the address, which may be a secret.
        raise NotTold(one_line(str(error)) or type(error).__name__) from error
    if status not in _OK:
        raise NotTold(f"HTTP {status}")


def _posted(url: str, data: bytes, headers: dict[str, str]) -> int:
    request = urllib.request.Request(  # noqa: S310 - the spec admits http and https only
        url, data=data, headers=headers, method="POST"
    )
    try:
        with urllib.request.build_opener(_Stay).open(request, timeout=_PATIENCE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
