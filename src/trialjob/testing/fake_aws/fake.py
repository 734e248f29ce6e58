"""The fake as a whole: a server, its service and its clock, started and stopped together.

moto keeps its buckets and roles in module variables, so one process can run one ``FakeAws`` at a time, and
each begins with an empty world.
"""

from __future__ import annotations

import tempfile
import threading
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from trialjob.orchestrator.ports import Clock
from trialjob.testing.fake_aws.clock import ScaledClock
from trialjob.testing.fake_aws.engines import Curve
from trialjob.testing.fake_aws.faults import Faults
from trialjob.testing.fake_aws.lifecycle import Durations
from trialjob.testing.fake_aws.moto_world import MotoWorld
from trialjob.testing.fake_aws.processes import ProcessEngine
from trialjob.testing.fake_aws.server import Dispatcher, Server
from trialjob.testing.fake_aws.service import FakeService

#: Real seconds between two looks at what is due when no call comes.
_PULSE = 0.02


@cache
def _session() -> Any:  # noqa: ANN401 - boto3 has no types
    """One session for all fakes, because a new one reads the services' models again."""
    import boto3  # type: ignore[import-untyped] # noqa: PLC0415 - heavy

    return boto3.session.Session()


class FakeAws:
    """A fake AWS on a port of this machine. Jobs are real processes, unless a ``curve`` says what they do."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        curve: Curve | None = None,
        faults: Faults | None = None,
        durations: Durations | None = None,
        region: str = "us-east-1",
        quota: int = 100,
        port: int = 0,
    ) -> None:
        self.clock: Clock = ScaledClock() if clock is None else clock
        self.region = region
        self._curve = curve
        self._options: dict[str, Any] = {"faults": faults, "durations": durations, "quota": quota}
        self._port = port
        self._stopping = threading.Event()
        self._clients: dict[str, Any] = {}

    def start(self) -> Self:
        """Begin to serve."""
        from moto.core.base_backend import BackendDict  # noqa: PLC0415 - heavy
        from moto.core.model_instances import reset_model_data  # noqa: PLC0415 - heavy

        self._folder = tempfile.TemporaryDirectory(prefix="fake-aws-", ignore_cleanup_errors=True)
        BackendDict.reset()
        reset_model_data()
        self.world = MotoWorld()
        self.service = FakeService(self.clock, world=self.world, region=self.region, **self._options)
        self.faults, self.ledger = self.service.faults, self.service.ledger
        self._server = Server(Dispatcher(self.service, self.world), self._port)
        self.url = f"http://127.0.0.1:{self._server.port}"
        if self._curve is not None:
            self.service.script(self._curve)
        else:
            folder = Path(self._folder.name).resolve()
            self.service.use(
                ProcessEngine(world=self.world, turn=self.service.turn, folder=folder, environment=self.env)
            )
        self._pulse = threading.Thread(target=self._beat, daemon=True)
        self._pulse.start()
        return self

    def _beat(self) -> None:
        while not self._stopping.wait(_PULSE):
            with self.service.turn():
                pass

    def stop(self) -> None:
        """Kill what runs and stop serving."""
        self._stopping.set()
        self._pulse.join()
        self.service.close()
        for client in self._clients.values():
            client.close()
        self._server.stop()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def env(self) -> dict[str, str]:
        """The environment in which any AWS program talks to the fake."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIAFAKEFAKEFAKEFAKE",
            "AWS_SECRET_ACCESS_KEY": "fake",
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, *, region: str | None = None, retries: int = 0) -> Any:  # noqa: ANN401
        """A boto3 client of the fake, for tests; it does not retry unless told to."""
        from botocore.config import Config  # type: ignore[import-untyped] # noqa: PLC0415 - heavy

        key = f"{service}/{region}/{retries}"
        if key not in self._clients:
            self._clients[key] = _session().client(
                service,
                endpoint_url=self.url,
                region_name=region or self.region,
                aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
                config=Config(
                    retries={"total_max_attempts": retries + 1},
                    request_checksum_calculation="when_required",
                    max_pool_connections=32,
                ),
            )
        return self._clients[key]

    def create_bucket(self, name: str) -> str:
        """Make a bucket, past all faults, and return its address."""
        self.world.create_bucket(name, self.region)
        return f"s3://{name}"

    def create_role(self, name: str = "SageMakerExecution") -> str:
        """Make a role that SageMaker may take on, past all faults, and return its ARN."""
        return self.world.create_role(name)
