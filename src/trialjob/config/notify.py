"""What may be written under ``notify``, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from trialjob.config.paths import problem_at, shown
from trialjob.config.secrets import MaybeSecret
from trialjob.errors import Problem
from trialjob.field_types import SpecPart
from trialjob.model.secret import Secret

#: What a topic looks like.
_SUCH: Final = "arn:aws:sns:us-east-1:123456789012:tuning"
_TOPIC: Final = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?")


class NotifySpec(SpecPart):
    """Where to send a notice that the experiment has ended."""

    #: The ARN of an Amazon SNS topic, which passes it on by mail, to a queue, and so on; who steps the
    #: experiment needs `sns:Publish` ([permissions](iam.md)).
    sns: str | None = None
    #: An address to which a JSON document is posted: `text`, in words, which is what Slack's and others'
    #: incoming webhooks show, and `id`, `experiment`, `state` (`finished`, `failed` or `stopped`), `reason`,
    #: `detail`, `best`, `counts`, `dollars`, `instance_hours`, `kept_in`.
    webhook: MaybeSecret | None = None


def notify_problems(notify: NotifySpec | None) -> Iterator[Problem]:
    """Neither of the two, no topic, no address."""
    if notify is None:
        return
    if notify.sns is None and notify.webhook is None:
        yield problem_at(
            ("notify",), "names no receiver", f"write sns: {_SUCH}, or webhook: https://host/path"
        )
    if notify.sns is not None and not _TOPIC.fullmatch(notify.sns):
        remedy = f"write one such as {_SUCH}"
        yield problem_at(("notify", "sns"), f"{shown(notify.sns)} is no topic's ARN", remedy)
    webhook = notify.webhook.given if isinstance(notify.webhook, Secret) else notify.webhook
    if webhook is not None and not is_address(webhook):
        what = "what is written" if isinstance(notify.webhook, Secret) else shown(webhook)
        yield problem_at(("notify", "webhook"), f"{what} is no address", "write https://host/path")


def is_address(url: str) -> bool:
    """Whether a notice can be posted there."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.port != 0 and url.isascii()
        )
    except ValueError:
        return False
