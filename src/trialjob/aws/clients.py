"""The one way to AWS: who calls, from where, and how long an answer is waited for.

Credentials, profile and endpoint come by boto3's own rules, the region by ``model.region``. Every call that
is made here ends in an answer or in one of ``faults``. It must not know what the calls are for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, TypeVar

from trialjob.aws import faults
from trialjob.aws.calls import ask, made
from trialjob.call_log import logged
from trialjob.model.region import region_said

T = TypeVar("T")

#: Seconds until a connection, and an answer, is given up.
_CONNECT, _ANSWER = 5.0, 20.0
#: What only reads is asked so often at once, when no answer came.
_TRIES: Final = 3
#: Prices are told in few regions, and in each of them for all (AWS General Reference, Price List Query API).
_ELSEWHERE: Final = {"pricing": "us-east-1"}


class AwsClients:
    """One caller in one region. Safe to be shared between threads, who at worst make a client twice."""

    def __init__(
        self,
        *,
        region: str | None = None,
        profile: str | None = None,
        session: Any = None,  # noqa: ANN401 - boto3 has no types
        timeout: float = _ANSWER,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """``session`` is a boto3 session to be used instead of a new one; ``options`` are botocore's."""
        self._region = region
        self._profile = profile
        self._given = session
        self._session: Any = session
        self._timeout = timeout
        self._options = dict(options or {})
        self._clients: dict[str, Any] = {}

    def ask(
        self,
        service: str,
        method: str,
        given: Mapping[str, Any],
        now: Callable[[], float] | None = None,
    ) -> Any:  # noqa: ANN401 - boto3's answers
        """The answer to one call, made once. Raises a Fault; ``now`` tells the time here."""
        try:
            with logged(service, method, given):
                return ask(made(lambda: self._client(service)), method, given, now=now)
        except faults.CallerTrouble:
            # A new session reads the credentials again, which may have been renewed by then.
            self._session = self._given
            self._clients.clear()
            raise

    def region(self) -> str:
        """Where calls go. Raises Misconfigured when nothing says it, or it cannot be a region."""
        from botocore.utils import validate_region_name  # type: ignore[import-untyped] # noqa: PLC0415 - heavy

        def said() -> str:
            region = self._opened().region_name or self._client("sagemaker").meta.region_name
            validate_region_name(region)
            return str(region)

        return made(said)

    def check_credentials(self) -> None:
        """Raises NoCredentials where there are none; whether AWS takes them is not asked."""
        if made(lambda: self._opened().get_credentials()) is None:
            raise faults.NoCredentials("no credentials for AWS are found")

    def regions_of(self, service: str) -> list[str]:
        """Every region of the same partition in which this boto3 knows a service. Raises Misconfigured."""
        region = self.region()

        def known() -> list[str]:
            partition = self._opened().get_partition_for_region(region)
            return list(self._opened().get_available_regions(service, partition))

        return made(known)

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def _client(self, service: str) -> Any:  # noqa: ANN401 - boto3 has no types
        client = self._clients.get(service)
        if client is None:
            from botocore.config import Config  # type: ignore[import-untyped] # noqa: PLC0415 - heavy

            common = {
                "connect_timeout": min(_CONNECT, self._timeout),
                "read_timeout": self._timeout,
                "retries": {"total_max_attempts": 1, "mode": "standard"},
                "user_agent_extra": "trialjob",
            }
            config = Config(**{**common, **self._options})
            where = {"region_name": _ELSEWHERE[service]} if service in _ELSEWHERE else {}
            client = self._clients[service] = self._opened().client(service, config=config, **where)
        return client

    def _opened(self) -> Any:  # noqa: ANN401 - boto3 has no types
        session = self._session
        if session is None:
            import boto3  # type: ignore[import-untyped] # noqa: PLC0415 - heavy
            from botocore.session import Session  # type: ignore[import-untyped] # noqa: PLC0415 - heavy

            region, inner = region_said(self._region, os.environ), Session()
            session = boto3.session.Session(
                profile_name=self._profile, region_name=region, botocore_session=inner
            )
            inner.register_component("data_loader", loader(inner.get_config_variable("data_path")))
            self._session = session
        return session


@cache
def loader(folders: str | None) -> Any:  # noqa: ANN401 - botocore has no types
    """What has the services' models: one for all callers, as reading that of SageMaker takes 40 ms.

    ``folders`` has further ones, as botocore's ``data_path``.
    """
    from botocore.loaders import create_loader  # type: ignore[import-untyped] # noqa: PLC0415 - heavy

    return create_loader(folders)


def again(
    call: Callable[[], T],
    *,
    when: Callable[[BaseException], bool],
    sleep: Callable[[float], None],
    multiplier: float = 0.2,
    most: float = 1.0,
) -> T:
    """What ``call`` returns, which is made again at once, a few times, where ``when`` says so."""
    import tenacity  # noqa: PLC0415 - not needed before the first call

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(when),
        stop=tenacity.stop_after_attempt(_TRIES),
        wait=tenacity.wait_random_exponential(multiplier=multiplier, max=most),
        sleep=sleep,
        reraise=True,
    )(call)


def is_silent(error: BaseException) -> bool:
    """Whether no answer came, for which a read is made again."""
    return isinstance(error, faults.Unreachable)
