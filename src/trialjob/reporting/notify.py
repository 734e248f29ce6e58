"""Sends a notice: to an SNS topic, or by POST to a webhook. It must not know when one is due.

Each is tried three times within seconds. A FIFO topic drops a repetition by the notice's id; other receivers
are told the id, so that they can.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import Any, Final

from trialjob.aws import faults
from trialjob.aws.clients import AwsClients, again
from trialjob.model.address import basic, mask_address
from trialjob.model.json import strict_json
from trialjob.orchestrator.ports import Clock
from trialjob.reporting.notification import Notice
from trialjob.reporting.public_address import NotPublic, post_publicly
from trialjob.reporting.terminal import one_line

#: Seconds.
_PATIENCE: Final = 5.0
#: Between two tries.
_PAUSES: Final = {"multiplier": 0.5, "most": 3.0}
_OK: Final = range(200, 300)


class NotTold(Exception):
    """It was not taken; the message says why."""


def publish(notice: Notice, topic: str, clock: Clock, *, profile: str | None = None) -> None:
    """Publish to an SNS topic. Raises NotTold."""
    aws_clients = AwsClients(region=topic.split(":")[3], profile=profile, timeout=_PATIENCE)
    given = _message(notice, topic)
    try:
        again(
            lambda: aws_clients.ask("sns", "publish", given, clock.now),
            when=lambda error: isinstance(error, faults.Fault),
            sleep=clock.sleep,
            **_PAUSES,
        )
    except faults.Fault as fault:
        raise NotTold(one_line(str(fault))) from fault
    finally:
        aws_clients.close()


def post(notice: Notice, url: str, clock: Clock, *, public: bool = False) -> None:
    """Post the notice's document as JSON, with ``public`` to public addresses only. Raises NotTold."""
    again(
        lambda: _post(notice, url, public=public),
        when=lambda error: isinstance(error, NotTold),
        sleep=clock.sleep,
        **_PAUSES,
    )


def _message(notice: Notice, topic: str) -> dict[str, Any]:
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
    return given


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
    whole, (url, authorization) = url, basic(url)
    headers |= authorization
    try:
        status = post_publicly(url, data, headers, _PATIENCE) if public else _posted(url, data, headers)
    except (NotPublic, OSError, http.client.HTTPException, ValueError) as error:
        # Not the address, which may be a secret.
        raise NotTold(one_line(mask_address(str(error), whole)) or type(error).__name__) from error
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
