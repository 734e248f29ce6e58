"""Looks secrets up when a job is started, and keeps them out of all that is kept and shown.

Rule: what was looked up stays in memory, for as long as the experiment is run from here. AWS is asked once in
that time; what was changed there, the jobs of the next `resume` get.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from trialjob.errors import BackendError, BackendUnavailable, Problem, SpecError
from trialjob.model.masking import mask
from trialjob.model.secret import Secret

#: Seconds.
_PATIENCE: Final = 10.0
#: What the services answer when asking again may help.
_PASSING: Final = ("Throttl", "RequestLimitExceeded", "InternalS", "ServiceUnavailable", "TooManyRequests")


class Vault:
    """The secrets of one experiment, as far as this process knows them."""

    def __init__(self, *, region: str | None = None, profile: str | None = None) -> None:
        self._region = region
        self._profile = profile
        self._known: dict[Secret, str] = {}

    def learn(self, secrets: Mapping[str, Secret]) -> None:
        """Remember what was written out in a spec, for as long as this process lives."""
        self._known |= {secret: secret.given for secret in secrets.values() if secret.given is not None}

    def check(self, secrets: Mapping[str, Secret], name: str = "") -> None:
        """Look all of them up. Raises SpecError, with what to do, for those that cannot be had here."""
        problems: list[Problem] = []
        for place, secret in secrets.items():
            try:
                self.reveal(secret)
            except BackendUnavailable:
                raise
            except BackendError as error:
                problems.append(Problem(field=place, message=str(error), remedy=_remedy(secret, name)))
        if problems:
            raise SpecError(problems)

    def reveal(self, secret: Secret) -> str:
        """What it is. Raises BackendError when it cannot be had, BackendUnavailable when not now."""
        if secret.given is not None:
            self._known[secret] = secret.given
        if secret not in self._known:
            self._known[secret] = self._look_up(secret)
        return self._known[secret]

    def mask(self, text: str) -> str:
        """``text`` without any secret that is known here."""
        return mask(text, self._known.values())

    def glance(self, secrets: Mapping[str, Secret]) -> None:
        """Learn those that are in the environment, so that they are known when a log is shown."""
        for secret in secrets.values():
            if secret.source == "env" and secret.name in os.environ:
                self._known.setdefault(secret, os.environ[secret.name])

    def _look_up(self, secret: Secret) -> str:
        if secret.source != "env":
            return self._ask(secret)
        value = os.environ.get(secret.name, "")
        if not value:
            raise BackendError(f"{secret}, in which its value should be, is not set here")
        return value

    def _ask(self, secret: Secret) -> str:
        with _answers(secret):
            client = self._client(secret.source)
            try:
                if secret.source == "ssm":
                    answer = client.get_parameter(Name=secret.name, WithDecryption=True)
                    value = answer.get("Parameter", {}).get("Value")
                else:
                    value = client.get_secret_value(SecretId=secret.name).get("SecretString")
            finally:
                client.close()
        if not isinstance(value, str) or not value:
            raise BackendError(f"{secret} holds no text")
        return value

    def _client(self, service: str) -> Any:  # noqa: ANN401 - boto3 has no types
        try:
            import boto3  # type: ignore[import-untyped] # noqa: PLC0415 - heavy, and an extra
            from botocore.config import Config  # type: ignore[import-untyped] # noqa: PLC0415 - as above
        except ModuleNotFoundError as error:
            raise BackendError("boto3 is not installed: pip install boto3") from error
        config = Config(
            connect_timeout=_PATIENCE,
            read_timeout=_PATIENCE,
            retries={"total_max_attempts": 3, "mode": "standard"},
        )
        session = boto3.session.Session(profile_name=self._profile)
        return session.client(service, region_name=self._region, config=config)


@contextmanager
def _answers(secret: Secret) -> Iterator[None]:
    """What the service says, as an error of ours; it may have the name in it, and never the value."""
    from botocore.exceptions import (  # type: ignore[import-untyped] # noqa: PLC0415 - heavy
        BotoCoreError,
        ClientError,
        HTTPClientError,
    )

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        kind = BackendUnavailable if code.startswith(_PASSING) else BackendError
        raise kind(f"{secret} cannot be read: {mask(str(error))}") from None
    except HTTPClientError as error:
        raise BackendUnavailable(f"{secret} cannot be read now: {mask(str(error))}") from None
    except BotoCoreError as error:
        raise BackendError(f"{secret} cannot be read: {mask(str(error))}") from None


def _remedy(secret: Secret, name: str) -> str:
    again = f"trialjob resume {name}" if name else "start it again"
    if secret.source == "env":
        more = f"; or, if it is written in the spec, {again} SPEC" if name else ""
        return f"export {secret.name}=… and {again}{more}"
    allow = {"ssm": "ssm:GetParameter", "secretsmanager": "secretsmanager:GetSecretValue"}[secret.source]
    return f"see that it exists in this account and region and that you have {allow}, and {again}"
