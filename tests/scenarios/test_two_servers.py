"""Two servers on one store in S3, killed while they are asked: nothing is lost, doubled or still held."""

from __future__ import annotations

from pathlib import Path

import pytest

from trialjob import experiment
from trialjob.testing.fake_aws import FakeAws
from two_servers import TwoServers, troubled


def test_kills_of_either_of_two_servers_lose_and_double_nothing(
    aws_here: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert aws_here.url
    servers = TwoServers(store=experiment.open_store("s3://bucket/team"), studies=2)
    servers.run(kills=3)
    assert servers.faults() == []


def test_a_store_that_is_slow_throttled_and_away_loses_and_doubles_nothing(
    aws_here: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    servers = TwoServers(store=experiment.open_store("s3://bucket/troubled"), studies=2)
    with troubled(aws_here.faults, away=5.0):
        servers.run(kills=2)
    assert servers.faults() == []
