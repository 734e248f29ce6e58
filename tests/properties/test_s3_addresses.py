"""Addresses in S3: any key goes through every door as it is, and only what S3 refuses is refused."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import trialjob
from trialjob.aws import faults
from trialjob.backends.limiter import Limiter
from trialjob.backends.sagemaker.checkpoints import copy_checkpoints
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.rules import problems
from trialjob.errors import UsageError
from trialjob.estimators.script import ScriptEstimator
from trialjob.experiment import open_store
from trialjob.model.ids import ExperimentName, TrialId, job_name
from trialjob.model.s3 import S3Address, address_problem
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.objects import Objects
from trialjob.testing.fake_aws import FakeAws, FakeService, MemoryWorld, VirtualClock
from trialjob.testing.fake_aws.in_process import boto3_session
from trialjob.testing.fake_aws.job import Job
from trialjob.testing.fake_aws.requests import training_request
from trialjob.testing.fake_aws.sandbox import Sandbox
from trialjob.testing.sagemaker_simulation import SETTINGS

NAME = ExperimentName("e")
#: moto's routes take no line break in a key; SageMaker takes none in an address.
KEYS = (
    "a#b", "a?b", "a%b", "a%20b", "%2B", "%", "a+b", "a b", " lead", "tail ", "ü/ñ/日本", "e\u0301", "😀",
    "a//b", "/lead", "//", "./a", "a/./b", "a/../b", "..", "a/", "a&b=c", "a;b:c@d,e!f$g", "a'b\"c", "a\\b",
    "*", "<x>", "a\tb", "a\x01b", "a?versions", "a=b&uploads", "~", "x" * 1024, "日" * 341,
)  # fmt: skip
AWKWARD = st.text(st.sampled_from("#?%+&=;:@ /.\\~*'\"<>|^`{}[]é日😀a0\t"), max_size=60)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
BUCKETS = st.from_regex(r"[a-z0-9][a-z0-9-]{1,30}[a-z0-9]", fullmatch=True)


# What an address is


@given(bucket=BUCKETS, key=AWKWARD | ANY)
def test_an_address_is_its_bucket_and_its_key_whatever_they_hold(bucket: str, key: str) -> None:
    assume(not address_problem(f"s3://{bucket}"))
    address = S3Address(bucket=bucket, key=key)
    assert S3Address.parse(str(address)) == address
    assert str(address).removeprefix(f"s3://{bucket}").removeprefix("/") == key
    assert address.folder in ("", key.rstrip("/") + "/")


@pytest.mark.parametrize(
    "text",
    [
        "s3://abc", "s3://a-b.c-0/x", "s3://" + "a" * 63 + "/x", "s3://1.2.3.400.5", "s3://trialjob-s3alias/x",
        *(f"s3://bucket/{key}" for key in KEYS),
    ],
)  # fmt: skip
def test_what_s3_takes_is_taken(text: str) -> None:
    assert address_problem(text) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("bucket/x", "begin with s3://"), ("", "begin with"), ("s3:/bucket", "begin with"),
        ("S3://bucket/x", "begin with"), ("http+s://bucket/x", "begin with"), ("s3://", "names no bucket"),
        ("s3:///x", "names no bucket"), ("s3://ab/x", "3 to 63"), ("s3://" + "a" * 64, "3 to 63"),
        ("s3://Bucket/x", "3 to 63"), ("s3://my_bucket/x", "3 to 63"), ("s3://-ab/x", "begins and ends"),
        ("s3://ab./x", "begins and ends"), ("s3://a b c/x", "3 to 63"), ("s3://bucket#x", "3 to 63"),
        ("s3://bucket?x=1", "3 to 63"), ("s3://user@bucket/x", "3 to 63"), ("s3://bucket:80/x", "3 to 63"),
        ("s3://a..b/x", "two dots"), ("s3://192.168.5.4/x", "IP address"), ("s3://xn--abc/x", "reserved"),
        ("s3://amzn-s3-demo-bucket/x", "reserved"), ("s3://bucket/" + "x" * 1025, "1025 bytes"),
        ("s3://bucket/" + "日" * 342, "1026 bytes"), ("s3://bucket/\ud800", "no Unicode"),
    ],
)  # fmt: skip
def test_what_no_bucket_and_no_key_can_be_is_refused_and_says_why(text: str, why: str) -> None:
    assert why in address_problem(text)
    with pytest.raises(UsageError, match=r"write a folder, 's3://bucket/prefix' or 'https://server'"):
        open_store(text if "://" in text else f"S3:{text}")


def test_a_path_that_was_meant_for_s3_is_not_taken_for_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no place for experiments"):
        open_store(Path("s3://bucket/x"))
    assert list(tmp_path.iterdir()) == []


# Every door


@pytest.fixture(scope="module")
def fake(aws_here: FakeAws) -> FakeAws:
    aws_here.create_bucket("other")
    return aws_here


@pytest.fixture(scope="module")
def client(fake: FakeAws) -> Iterator[SageMakerClient]:
    clock = SystemClock()
    client = SageMakerClient(clock, Limiter(clock, {}), region=fake.region)
    yield client
    client.close()


def emptied(fake: FakeAws, bucket: str) -> list[str]:
    """The keys of a bucket, which are taken away."""
    keys = list(fake.world.keys(bucket, ""))
    for key in keys:
        fake.world.delete(bucket, key)
    return keys


@pytest.mark.parametrize("key", KEYS)
def test_the_client_reads_and_writes_the_very_key(fake: FakeAws, client: SageMakerClient, key: str) -> None:
    uri = f"s3://bucket/{key}"
    client.put(uri, b"0123456789")
    (stored,) = client.objects(uri)
    client.copy(stored, f"s3://other/{key}")
    assert list(fake.world.keys("bucket", "")) == [key]
    assert client.stored(uri) == stored
    assert stored.size == 10
    assert client.piece(uri, 2, 3) == (b"234", 10)
    assert list(client.keys("s3://bucket")) == list(client.keys(uri)) == [uri]
    assert emptied(fake, "other") == [key]
    client.delete(uri)
    assert emptied(fake, "bucket") == []


@pytest.mark.parametrize("key", KEYS)
def test_a_store_keeps_its_very_prefix(fake: FakeAws, key: str) -> None:
    prefix = key[:300]
    objects = Objects("bucket", prefix, SystemClock())
    folder = f"{prefix.rstrip('/')}/" if prefix.rstrip("/") else ""
    objects.put("journals/é #1", b"x", replacing=None)
    found = objects.get("journals/é #1")
    assert found is not None
    assert found.data == b"x"
    assert [row.name for row in objects.listing("journals/")] == ["é #1"]
    assert list(fake.world.keys("bucket", "")) == [f"{folder}journals/é #1"]
    objects.remove("journals/é #1")
    assert emptied(fake, "bucket") == []
    assert S3Address.parse(objects.uri) == S3Address(bucket="bucket", key=folder.rstrip("/"))
    objects.close()
    store = open_store(objects.uri)
    digest, code = hashlib.sha256(b"code").hexdigest()[:16], gzip.compress(b"code")
    store.keep_bundle(NAME, digest, code)
    assert store.bundle(NAME, digest) == code
    assert all(key.startswith(folder) for key in emptied(fake, "bucket"))


def test_all_of_a_long_list_comes(fake: FakeAws, client: SageMakerClient) -> None:
    keys = sorted(f"a+b #{number}?%/x" for number in range(2100))
    for key in keys:
        fake.world.write("bucket", key, b"")
    assert sorted(client.keys("s3://bucket/a+b #")) == [f"s3://bucket/{key}" for key in keys]
    objects = Objects("bucket", "", SystemClock())
    fake.world.write("bucket", "a+b", b"")
    assert [row.name for row in objects.listing("")] == ["a+b"]
    objects.close()
    assert len(emptied(fake, "bucket")) == 2101


@pytest.mark.parametrize("place", ["tuning", "our team #1/a+b?%20", "/lead//x"])
def test_every_checkpoint_is_copied(fake: FakeAws, client: SageMakerClient, place: str) -> None:
    settings = replace(SETTINGS, s3_uri=f"s3://bucket/{place}")
    job = ScriptEstimator(experiment=NAME, bundle="b", entry_point="train.py").request(
        job_name(NAME, TrialId(2), 1), TrialId(2), 1, {}, 60.0
    )
    theirs, mine = (f"{place}/{job.experiment}/checkpoints/{trial:06d}/" for trial in (1, 2))
    names = [key for key in KEYS if len(key) < 100]
    for name in names:
        fake.world.write("bucket", theirs + name, name.encode())
    copy_checkpoints(client, settings, job, TrialId(1))
    assert {key.removeprefix(mine) for key in fake.world.keys("bucket", mine)} == set(names)
    assert all(fake.world.read("bucket", mine + name) == name.encode() for name in names)
    emptied(fake, "bucket")


def test_an_address_that_cannot_be_is_a_refusal_and_no_bug(client: SageMakerClient) -> None:
    with pytest.raises(faults.Invalid, match=r"'s3://Bucket/x' is no address in S3: 'Bucket' cannot be"):
        client.put("s3://Bucket/x", b"")


def test_a_request_is_judged_alike() -> None:
    request = training_request("a", OutputDataConfig={"S3OutputPath": "s3://bucket/a #?+%é"})
    assert not [each for each in problems(request) if "S3" in each.message]
    request["OutputDataConfig"] = {"S3OutputPath": "s3://my_bucket/x"}
    assert any("'my_bucket' cannot be a bucket" in each.remedy for each in problems(request))


@given(key=AWKWARD)
@example("iris?.csv#1")
def test_the_fake_in_this_process_takes_the_very_key(key: str) -> None:
    service = FakeService(VirtualClock())
    service.world.write("bucket", "there", b"")
    clock = SystemClock()
    client = SageMakerClient(clock, Limiter(clock, {}), session=boto3_session(service))
    uri = f"s3://bucket/x{key}"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_ENDPOINT_URL", raising=False)  # of the other fake of this module
        client.put(uri, b"1")
        assert client.has(uri)
    assert isinstance(service.world, MemoryWorld)
    assert set(service.world.objects) == {("bucket", "there"), ("bucket", f"x{key}")}


# A channel of the fake


def laid_down(tmp_path: Path, uri: str, keys: tuple[str, ...]) -> list[str]:
    """The files that a channel of ``uri`` has in the container, with these objects in the bucket."""
    world = MemoryWorld()
    for key in keys:
        world.write("bucket", key, key.encode())
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}
    request = training_request("a", InputDataConfig=[{"ChannelName": "train", "DataSource": source}])
    Sandbox(root=tmp_path, job=Job(request=request, arn="arn", created=0.0, tags={}), world=world).fill()
    folder = tmp_path / "input" / "data" / "train"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["iris.csv", "iris?v=1.csv", "a#b.csv", "a b+c%.csv"])
def test_the_channel_of_an_object_is_a_folder_with_that_object_alone(tmp_path: Path, name: str) -> None:
    keys = (f"data/{name}", f"data/{name}.bak", f"data/{name}/part", "data/other")
    assert laid_down(tmp_path, f"s3://bucket/data/{name}", keys) == [name]


def test_the_channel_of_a_folder_has_what_is_below_it(tmp_path: Path) -> None:
    keys = ("data/train/", "data/train/a #1.csv", "data/train/deep/b?.csv", "data/test/c")
    assert laid_down(tmp_path, "s3://bucket/data/train/", keys) == ["a #1.csv", "deep/b?.csv"]
    assert laid_down(tmp_path, "s3://bucket/data/train", keys) == ["a #1.csv", "deep/b?.csv"]


# One parser

#: Addresses of the web, and of the requests that boto3 sends.
WEB = {
    "backends/sagemaker/price_feed.py",
    "config/notify.py",
    "reporting/notify.py",
    "reporting/public_address.py",
    "testing/fake_aws/in_process.py",
    "experiment/admission.py",  # that of an MLflow server
    "apps/service/access.py",  # that of the page which asks
    "served/address.py",  # that of a service
}


def test_nobody_else_takes_an_address_apart() -> None:
    root = Path(trialjob.__file__).parent
    apart = re.compile(r"\burl(split|parse)\b|(startswith|removeprefix|partition|split|match)\(.?[\"']s3:/")
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if apart.search(path.read_text("utf-8"))
    }
    assert found - WEB == set()
