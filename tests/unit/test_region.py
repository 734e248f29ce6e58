"""Which region is meant: one rule at every door, and none found out late."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from trialjob import experiment
from trialjob.apps.cli.main import main
from trialjob.aws import faults
from trialjob.backends.limiter import Limiter
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.config import load
from trialjob.errors import SpecError
from trialjob.model.region import region_said
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.testing.fake_aws import FakeAws

SPEC = """\
name: reg
estimator:
  kind: script
  source_dir: .
  entry_point: train.py
  image_uri: 763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-cpu-py312
  role: arn:aws:iam::123456789012:role/SageMakerExecution
  instance_type: ml.m5.large
space: {lr: {type: uniform, lower: 0, upper: 1}}
objective: {metric: acc, mode: max}
metrics: [{name: acc, regex: 'acc=({number})'}]
sampler: {kind: random, seed: 0}
limits: {max_trials: 1}
backend: {kind: sagemaker, s3_uri: 's3://bucket/tuning', poll_interval: 1s, price_per_hour: 1}
"""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeAws]:
    """A fake AWS, in an environment and a home that say nothing of a region."""
    with FakeAws() as fake:
        fake.create_bucket("bucket")
        fake.create_role()
        for name, value in fake.env.items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
        monkeypatch.chdir(tmp_path)
        Path("train.py").write_text("print('acc=1')", encoding="utf-8")
        Path("sweep.yaml").write_text(SPEC, encoding="utf-8")
        yield fake


def client(region: str | None = None, profile: str | None = None) -> SageMakerClient:
    clock = SystemClock()
    return SageMakerClient(clock, Limiter(clock, {}), region=region, profile=profile)


@pytest.mark.parametrize(
    ("given", "region", "default"),
    list(itertools.product(("eu-west-1", None), ("eu-west-2", "", None), ("eu-west-3", None))),
)
def test_the_first_that_says_it_is_heeded(given: str | None, region: str | None, default: str | None) -> None:
    said = {
        name: text
        for name, text in (("AWS_REGION", region), ("AWS_DEFAULT_REGION", default))
        if text is not None
    }
    assert region_said(given, said) == (given or region or default or None)


def test_the_client_goes_where_it_is_said(fake: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("config").write_text("[profile p]\nregion = eu-north-1\n", encoding="utf-8")
    with pytest.raises(faults.Misconfigured, match="nothing says which region"):
        client().region()
    assert client(profile="p").region() == "eu-north-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    assert client(profile="p").region() == "eu-west-3"
    monkeypatch.setenv("AWS_REGION", "eu-west-2")
    assert client(profile="p").region() == "eu-west-2"
    assert client("eu-west-1", "p").region() == "eu-west-1"
    assert client("eu-west-1").jobs("x").rows == ()
    assert fake.service.jobs == {}


def test_with_aws_region_alone_everything_works(fake: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", fake.region)
    session = experiment.create(load("sweep.yaml"), store="s3://bucket/store")
    session.step(lambda *_: None)
    assert len(fake.service.jobs) == 1
    assert main(["audit", "--store", "s3://bucket/store"]) == 1  # a job that nobody runs
    assert main(["list", "--store", "s3://bucket/store"]) == 0


@pytest.mark.parametrize("store", ["folder", "s3://bucket/store"])
def test_without_a_region_nothing_is_created(
    fake: FakeAws, store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SpecError, match=r"backend\.region: nothing says which region of AWS"):
        experiment.create(load("sweep.yaml"), store=store)
    assert main(["run", "sweep.yaml", "--store", store, "--on-interrupt", "detach"]) == 2
    assert main(["doctor", "sweep.yaml"]) != 0
    said = capsys.readouterr()
    assert "set AWS_REGION" in said.out + said.err
    assert not Path("folder").exists() or not list(Path("folder").iterdir())
    assert list(fake.world.keys("bucket", "")) == []
    assert fake.service.jobs == {}
    monkeypatch.setenv("AWS_REGION", fake.region)  # what it said to do
    experiment.create(load("sweep.yaml"), store=store)


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(
    "missing",
    [["estimator.image_uri", "backend.role"], ["backend.s3_uri"], ["backend.s3_uri", "backend.role"]],
)
def test_what_is_missing_is_told_together_with_the_region(missing: list[str]) -> None:
    left_out = "|".join(field.partition(".")[2] for field in missing)
    without = re.sub(rf"({left_out}): ('[^']*', |.*\n  )", "", SPEC)
    Path("sweep.yaml").write_text(without, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load("sweep.yaml")
    fields = [problem.field for problem in caught.value.problems]
    assert fields == [*missing, "backend.region"]


@pytest.mark.usefixtures("fake")
def test_what_cannot_be_a_region_is_found_before_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_REGION", "us east")
    assert main(["run", "sweep.yaml", "--store", "folder", "--on-interrupt", "detach"]) == 2
    assert "backend.region: Provided region_name 'us east'" in capsys.readouterr().err
    assert not Path("folder").exists() or not list(Path("folder").iterdir())


def test_each_way_that_is_printed_to_say_a_region_is_taken(
    fake: FakeAws, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SpecError) as caught:
        experiment.create(load("sweep.yaml"), store="folder")
    assert main(["audit"]) == 2
    for said in (caught.value.problems[0].remedy, capsys.readouterr().err):
        assert "backend.region in the spec" in said
        assert "trialjob audit takes --region" in said
    experiment.create(load("sweep.yaml", overrides=[f"backend.region={fake.region}"]), store="folder")
    assert main(["audit", "--region", fake.region]) == 0


def test_a_plan_needs_none_unless_it_asks_the_account(
    fake: FakeAws, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "sweep.yaml"]) == 0
    assert "which region" not in capsys.readouterr().out
    main(["plan", "sweep.yaml", "--account"])
    assert "nothing says which region" in capsys.readouterr().out
    assert fake.service.jobs == {}


def test_a_framework_needs_one_to_find_its_image(fake: FakeAws, capsys: pytest.CaptureFixture[str]) -> None:
    text = SPEC.replace("kind: script", "kind: pytorch\n  framework_version: '2.8.0'\n  py_version: py312")
    lines = [line for line in text.splitlines() if "image_uri" not in line]
    Path("sweep.yaml").write_text("\n".join(lines), encoding="utf-8")
    assert main(["plan", "sweep.yaml"]) == 2
    assert "nothing says which region" in capsys.readouterr().err
    assert fake.service.jobs == {}


def test_a_profile_that_is_not_there_is_found_before_anything(fake: FakeAws) -> None:
    with pytest.raises(SpecError, match=r"backend\.profile: .*none-such"):
        experiment.create(load("sweep.yaml", overrides=["backend.profile=none-such"]), store="folder")
    assert not Path("folder").exists()
    assert fake.service.jobs == {}


def test_an_experiment_is_not_stepped_without_one_and_loses_nothing(
    fake: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", fake.region)
    session = experiment.create(load("sweep.yaml"), store="folder")
    monkeypatch.delenv("AWS_REGION")
    with pytest.raises(SpecError, match="which region"):
        experiment.attach(session.name, store="folder").step(lambda *_: None)
    monkeypatch.setenv("AWS_REGION", fake.region)
    experiment.attach(session.name, store="folder").step(lambda *_: None)
    assert len(fake.service.jobs) == 1
    shutil.rmtree("folder")
