"""An experiment on SageMaker whose server is killed goes on in the other: nothing is lost or doubled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from server_thread import wait_for
from trialjob import experiment
from trialjob.apps.team.tenants import Tenants, address_for, parse_budget
from trialjob.apps.team.tokens import Role, TokenBook
from trialjob.experiment.stores import clock_of
from trialjob.testing.fake_aws import Durations, FakeAws, jobs_by_tags
from two_servers import Server

TRIALS = 4
#: What an ml.g5.xlarge costs in dollars.
HOURLY = 1.408
SCRIPT = 'for epoch in 1 2 3 4; do echo "acc=0.$epoch"; sleep 1; done'
ALLOWED = tuple(f"backend.{each}" for each in ("kind=sagemaker", "role=*", "s3_uri=s3://bucket/*"))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeAws]:
    quick = Durations(cold_start=0.3, warm_start=0.1, download=0.1, upload=0.1, stop=0.1)
    with FakeAws(durations=quick) as made:
        for name, value in {**made.env, "HOME": str(tmp_path)}.items():
            monkeypatch.setenv(name, value)
        made.create_bucket("bucket")
        yield made


def ask(server: Server, token: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with closing(HTTPConnection(server.address, timeout=240)) as connection:
        sent = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, body=sent, headers=headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
    assert answer.status < 300, told
    return told


def spec(role: str) -> dict[str, object]:
    return {
        "name": "left",
        "estimator": {
            "kind": "container",
            "image_uri": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312",
            "entrypoint": ["sh", "-c", SCRIPT],
        },
        "space": {"x": {"type": "uniform", "lower": 0, "upper": 1}},
        "objective": {"metric": "acc", "mode": "max"},
        "metrics": [{"name": "acc", "regex": "acc=({number})"}],
        "limits": {"max_trials": TRIALS, "max_concurrent_trials": 2, "max_cost": 30, "trial_timeout": "10m"},
        "backend": {
            "kind": "sagemaker",
            "role": role,
            "instance_type": "ml.g5.xlarge",
            "s3_uri": "s3://bucket/tuning",
            "poll_interval": "1s",
        },
    }


def test_a_sagemaker_experiment_of_a_killed_server_ends_in_the_other(fake: FakeAws) -> None:
    store = experiment.open_store("s3://bucket/team")
    clock = clock_of(store)
    Tenants(store, clock).add("red", budget=parse_budget("1000/month"), max_concurrent=8, allow=ALLOWED)
    token, _ = TokenBook(store, clock).create(tenant="red", role=Role.SUBMIT, seconds=None)
    with closing(Server(store.where())) as first, closing(Server(store.where())) as second:
        name = ask(first, token, "/v1/experiments", {"spec": spec(fake.create_role())})["name"]
        wait_for(lambda: any(row["score"] for row in trials(second, token, name)))
        first.close()
        assert ask(second, token, f"/v1/experiments/{name}")["state"] == "running"
        wait_for(lambda: ask(second, token, f"/v1/experiments/{name}")["state"] == "finished")
        told = ask(second, token, f"/v1/experiments/{name}/results")
        (budget,) = ask(second, token, "/v1/tenants")["items"]
    jobs = fake.service.jobs.values()
    assert set(jobs_by_tags(jobs, "trialjob:trial", "trialjob:attempt").values()) == {1}
    assert len(jobs) == TRIALS
    ends = [(row["status"], row["attempts"], row["score"]) for row in told["trials"]]
    assert ends == [("completed", 1, 0.4)] * TRIALS
    state = experiment.open_session(experiment.open_store(address_for(store, "red")), name).state
    assert [len(trial.reports) for trial in state.trials] == [4] * TRIALS
    paid = sum(round(job.billable or 0.0) for job in jobs) * HOURLY / 3600
    assert told["costs"]["dollars"] == pytest.approx(paid, abs=TRIALS * 1e-6)
    assert (budget["spent"], budget["held"], budget["jobs"]) == (told["costs"]["dollars"], 0, 0)


def trials(server: Server, token: str, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ask(server, token, f"/v1/experiments/{name}/trials")["items"]
    return rows
