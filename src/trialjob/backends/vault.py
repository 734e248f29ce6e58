"""Looks secrets up when a job is started, and keeps them out of all that is kept and shown.

Rule: what was looked up stays in memory, for as long as the experiment is run from here. AWS is asked once in
that time; what was changed there, the jobs of the next `resume` get.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final

from trialjob.aws import faults
from trialjob.aws.clients import AwsClients
from trialjob.errors import BackendError, BackendUnavailable, Problem, SpecError
from trialjob.model.masking import mask
from trialjob.model.secret import Secret

#: Seconds.
_PATIENCE: Final = 10.0


class _Refused(BackendError):
    """It cannot be had, for a reason of its own."""

    def __init__(self, message: str, remedy: str) -> None:
        self.message, self.remedy = message, remedy
        super().__init__(f"{message}\n    → {remedy}" if remedy else message)


class Vault:
    """The secrets of one experiment, as far as this process knows them."""

    def __init__(self, *, region: str | None = None, profile: str | None = None) -> None:
        # There is no clock here to wait by between two calls, so boto3 makes them again.
        again = {"retries": {"total_max_attempts": 3, "mode": "standard"}}
        self._aws = AwsClients(region=region, profile=profile, timeout=_PATIENCE, options=again)
        self._known: dict[Secret, str] = {}

    def learn(self, secrets: Mapping[str, Secret]) -> None:
        """Remember what was written out in a spec, for as long as this process lives."""
        self._known |= {secret: secret.given for secret in secrets.values() if secret.given is not None}

    def check(self, secrets: Mapping[str, Secret], resume: Callable[..., str] | None = None) -> None:
        """Look all of them up. Raises SpecError, with what to do, for those that cannot be had here.

        ``resume`` is what to type to go on with the experiment that there is, with further words behind its
        name. Raises BackendError when AWS does not let the caller in, whatever is asked for.
        """
        problems: list[Problem] = []
        again = resume() if resume is not None else "start it again"
        for place, secret in secrets.items():
            try:
                self.reveal(secret)
            except _Refused as error:
                remedy = f"{error.remedy} and {again}"
                if resume is not None and secret.source == "env":
                    remedy += f"; or, if it is written in the spec, {resume('SPEC')}"
                problems.append(Problem(field=place, message=error.message, remedy=remedy))
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
            if secret.source == "env" and (value := os.environ.get(secret.name)):
                self._known.setdefault(secret, value)

    def _look_up(self, secret: Secret) -> str:
        if secret.source != "env":
            return self._ask(secret)
        value = os.environ.get(secret.name, "")
        if not value:
            what = f"{secret}, in which its value should be, is not set here"
            raise _Refused(what, f"export {secret.name}=…")
        return value

    def _ask(self, secret: Secret) -> str:
        try:
            value = self._value(secret)
        except faults.ExpiredCredentials as fault:
            what = f"{secret} waits for valid AWS credentials: {mask(str(fault))}"
            raise BackendUnavailable(f"{what}; {fault.remedy}") from None
        except faults.CallerTrouble as fault:
            what = f"{secret} cannot be read: {mask(str(fault))}"
            raise BackendError(f"{what}\n    → {fault.remedy}") from None
        except (faults.Throttled, faults.Unreachable) as fault:
            raise BackendUnavailable(f"{secret} cannot be read now: {mask(str(fault))}") from None
        except faults.Fault as fault:
            # Not from it: a traceback may not have what was answered.
            raise _Refused(f"{secret} cannot be read: {mask(str(fault))}", _remedy(secret, fault)) from None
        finally:
            self._aws.close()
        if not value:
            raise _Refused(f"{secret} holds no text", "put its value there as text")
        return value

    def _value(self, secret: Secret) -> str:
        if secret.source == "ssm":
            given = {"Name": secret.name, "WithDecryption": True}
            return str(self._aws.ask("ssm", "get_parameter", given)["Parameter"]["Value"])
        answer = self._aws.ask("secretsmanager", "get_secret_value", {"SecretId": secret.name})
        return str(answer.get("SecretString") or "")


def _remedy(secret: Secret, fault: faults.Fault) -> str:
    if isinstance(fault, faults.AccessDenied):
        return f"allow {fault.action} (docs/iam.md; a key of your own takes kms:Decrypt, too)"
    return f"see that {secret.name} is what it is called in this account and region"
