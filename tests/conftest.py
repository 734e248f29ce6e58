"""What all tests share: none is judged by luck or the machine's speed, none takes a GPU, all hear signals."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

import kinds_of_tests
import slurm_cluster
from trialjob.backends.local.gpus import CLAIMS

if TYPE_CHECKING:
    from trialjob.testing.fake_aws import FakeAws

#: Whether a change can land is not for dice to say: the suite tries the same examples each time. Others are
#: looked for by ``make soak``, which takes the profile ``searching``.
settings.register_profile(
    "searching", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("repeatable", settings.get_profile("searching"), derandomize=True, database=None)
settings.load_profile("repeatable")


def pytest_xdist_auto_num_workers() -> int:
    """What ``-n auto`` is: half as many again as there are processors, as many tests wait for processes."""
    return max(2, (os.cpu_count() or 1) * 3 // 2)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by what its file is, before ``-m`` chooses among them."""
    for item in items:
        for kind in kinds_of_tests.kinds_of(item.path, Path(__file__).parent):
            item.add_marker(kind)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not asked for; what was skipped, and why, ``-rs`` says."""
    if chosen := terminalreporter.config.getoption("markexpr"):
        terminalreporter.write_line(f"only those that are {chosen!r}; `make test` runs all")


@pytest.fixture(autouse=True, scope="session")
def _examples_are_repeatable() -> Iterator[None]:
    """Examples are the same only without the constants of what else this process has imported by then."""
    held = Constants()
    with pytest.MonkeyPatch.context() as patch:
        if settings.get_current_profile_name() == "repeatable":
            patch.setattr(providers, "_get_local_constants", lambda: held)
        yield


@pytest.fixture(autouse=True, scope="session")
def _nobodys_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whoever runs the tests may have settings of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIALJOB_CONFIG", str(tmp_path_factory.mktemp("settings") / "config.toml"))
        yield


@pytest.fixture(autouse=True, scope="session")
def _gpus_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests that run at the same time do not share out the same GPUs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CLAIMS, str(tmp_path_factory.mktemp("gpus") / "claims"))
        yield


@pytest.fixture(autouse=True, scope="session")
def _signals_are_heard() -> None:
    """As from a terminal: in the background, under nohup or from a script, some come to us as ignored.

    A command respects that, and would then not end in a test that interrupts it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGTERM", "SIGHUP"):
        if (number := getattr(signal, name, None)) is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="module")
def aws_here() -> Iterator[FakeAws]:
    """A fake AWS with one bucket, ``bucket``, to which every call of this process goes."""
    from trialjob.testing.fake_aws import FakeAws  # noqa: PLC0415 - heavy

    with FakeAws() as fake, pytest.MonkeyPatch.context() as patch:
        for name, value in fake.env.items():
            patch.setenv(name, value)
        fake.create_bucket("bucket")
        yield fake


@pytest.fixture
def quick_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    """Another one, for this test alone, with a role and with jobs that start and end at once."""
    from trialjob.testing.fake_aws import Durations, FakeAws, ScaledClock  # noqa: PLC0415 - heavy

    quick = Durations(cold_start=0.3, warm_start=0.1, download=0.1, upload=0.1, stop=0.1)
    with FakeAws(clock=ScaledClock(10), durations=quick) as fake:
        for name, value in fake.env.items():
            monkeypatch.setenv(name, value)
        fake.create_bucket("bucket")
        fake.create_role("SageMakerExecution")
        yield fake


@pytest.fixture(scope="session")
def slurm_daemons() -> Iterator[slurm_cluster.Cluster]:
    """The daemons that ``slurm`` gives out, one set for each process."""
    if lacking := slurm_cluster.missing():
        pytest.skip(f"no {', '.join(lacking)} here to run SLURM's jobs with: apt-get install slurm-wlm munge")
    # Not below pytest's folders, whose names are too long for a socket's.
    cluster = slurm_cluster.Cluster(Path(tempfile.mkdtemp(prefix="slurm-")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(cluster.conf))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
            shutil.rmtree(cluster.folder, ignore_errors=True)


@pytest.fixture
def slurm(slurm_daemons: slurm_cluster.Cluster) -> Iterator[slurm_cluster.Cluster]:
    """A SLURM of one machine, idle. The next test has a new one where this does not get idle again.

    A test fails for what it leaves in the queue, but not for what SLURM itself has lost when it was killed.
    """
    kills = slurm_daemons.kills
    yield slurm_daemons
    if left := slurm_daemons.settle():
        killed = slurm_daemons.kills > kills
        slurm_daemons.start_anew()
        if not killed and not left.startswith("the node"):
            pytest.fail(left)
        warnings.warn(f"SLURM was started anew: {left}", stacklevel=1)
