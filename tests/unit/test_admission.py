"""What a spec of an inbox may ask for: every field is decided, what is not for it is refused."""

from __future__ import annotations

import io
import json
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from trialjob import experiment
from trialjob.config import ExperimentSpec
from trialjob.config.plugins import PLUGINS, keys_of
from trialjob.errors import SpecError, UsageError
from trialjob.experiment.admission import DECISIONS, check_kinds
from trialjob.reporting.public_address import NotPublic, is_public, post_publicly, public_addresses

SPEC: dict[str, Any] = {
    "name": "asked",
    "estimator": {
        "kind": "container",
        "image_uri": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312",
        "role": "arn:aws:iam::123456789012:role/SageMakerExecution",
        "instance_type": "ml.g5.xlarge",
    },
    "space": {"x": {"type": "uniform", "lower": 0, "upper": 1}},
    "objective": {"metric": "acc", "mode": "max"},
    "metrics": [{"name": "acc", "regex": "acc=({number})"}],
    "sampler": {"kind": "tpe", "seed": 0},
    "limits": {"max_trials": 3},
    "backend": {"kind": "sagemaker", "s3_uri": "s3://bucket/tuning"},
}
CODE = {"kind": "script", "source_dir": ".", "entry_point": "train.py"}


def changed(section: str, **values: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a spec may say
    return {**SPEC, section: {**SPEC.get(section, {}), **values}}


def fields_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        inner = list(models_in(field.rebuild_annotation())) if path != "space" else []
        if path in PLUGINS:
            for kind in PLUGINS[path].builtin():
                yield from (f"{path}.{key}" for key in keys_of(path, kind))
        elif inner:
            for each in inner:
                yield from fields_of(each, f"{path}.")
        else:
            yield path


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - a type
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from models_in(each)


def test_every_field_of_a_spec_has_a_decision_and_no_other() -> None:
    assert set(fields_of(ExperimentSpec)) == set(DECISIONS)


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.mark.parametrize(
    ("section", "values", "field", "why"),
    [
        ("stopping", {"kind": "python", "early_stop": "leaves:now"}, "stopping.early_stop", "leaves:now"),
        ("sampler", {"warm_start": ["/etc/passwd.csv"]}, "sampler.warm_start", "file of this machine"),
        ("sampler", {"warm_start": ["earlier.csv"]}, "sampler.warm_start", "file of this machine"),
        ("backend", {"profile": "admin"}, "backend.profile", "identity"),
        ("mlflow", {"tracking_uri": "https://collects.example"}, "mlflow.tracking_uri", "credentials"),
        ("mlflow", {"tracking_uri": "file:///var/task"}, "mlflow.tracking_uri", "credentials"),
        ("notify", {"webhook": "http://127.0.0.1:9001/2018-06-01"}, "notify.webhook", "not public"),
        ("notify", {"webhook": "http://2130706433/"}, "notify.webhook", "not public"),
        ("notify", {"webhook": "http://0251.0376.0251.0376/"}, "notify.webhook", "not public"),
        ("notify", {"webhook": "http://169.254.170.2/v2/credentials"}, "notify.webhook", "not public"),
        ("notify", {"webhook": "http://[::ffff:10.0.0.1]/"}, "notify.webhook", "not public"),
        ("notify", {"webhook": "https://localhost/"}, "notify.webhook", "not public"),
        ("notify", {"webhook": {"secret": "HOOK"}}, "notify.webhook", "names a secret"),
        (
            "estimator",
            {"environment": {"X": {"secret": "AWS_SECRET_ACCESS_KEY"}}},
            "estimator.environment",
            "X is no text but names a secret",
        ),
        ("estimator", {"inputs": {"train": "/etc"}}, "estimator.inputs.location", "file of this machine"),
        ("estimator", {"inputs": {"train": "file:///etc"}}, "estimator.inputs", "file"),
    ],
)
def test_what_is_of_the_machine_is_refused_by_name(
    store: str, section: str, values: dict[str, Any], field: str, why: str
) -> None:
    asked = changed(section, **values)
    with pytest.raises(UsageError, match=r"asked\.json") as refused:
        experiment.start_file("asked.json", json.dumps(asked).encode(), store=store)
    assert field in str(refused.value)
    assert why in str(refused.value)
    assert "→" in str(refused.value)
    with pytest.raises(SpecError, match=field):
        experiment.start_document(asked, store=store)
    assert not Path(store).exists()


def test_the_functions_own_tracking_server_may_be_named(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ours.example")
    asked = changed("mlflow", tracking_uri="https://ours.example")
    wrong = changed("notify", webhook="http://10.0.0.1/") | {"mlflow": asked["mlflow"]}
    with pytest.raises(SpecError) as refused:
        experiment.start_document(wrong, store=store)
    assert [problem.field for problem in refused.value.problems] == ["notify.webhook"]


@pytest.mark.parametrize("source", ["/", "/etc", "..", "~", "../../etc"])
def test_no_folder_of_the_machine_is_looked_into(store: str, source: str) -> None:
    asked = changed("estimator", **{**CODE, "source_dir": source, "entry_point": "passwd"})
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        text = json.dumps(asked).encode()
        member = tarfile.TarInfo("asked.json")
        member.size = len(text)
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    for name, data in (("asked.tar.gz", held.getvalue()), ("asked.json", json.dumps(asked).encode())):
        with pytest.raises(UsageError, match="did not come along"):
            experiment.start_file(name, data, store=store)


@pytest.mark.parametrize("program", ["/etc/passwd", "../../../etc/passwd", "a/../../b"])
def test_no_program_of_the_machine_is_looked_for(store: str, program: str) -> None:
    asked = json.dumps(changed("estimator", **{**CODE, "entry_point": program})).encode()
    with pytest.raises(UsageError, match=r"estimator\.entry_point"):
        experiment.start_file("asked.json", asked, store=store)


@pytest.mark.parametrize("name", ["../../out.json", "/tmp/out.json", "a/b.yaml", "..", ""])  # noqa: S108
def test_a_file_that_leads_elsewhere_by_its_name_is_refused(store: str, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        experiment.start_file(name, json.dumps(SPEC).encode(), store=store)
    assert not list(tmp_path.rglob("*"))


def test_kinds_of_packages_are_not_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "theirs-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    kinds = "".join(
        f"[trialjob.{sort}]\ntheirs = leaves_when_imported:Kind\n" for sort in ("samplers", "backends")
    )
    (package / "entry_points.txt").write_text(kinds)
    monkeypatch.syspath_prepend(tmp_path)
    asked: list[dict[str, Any]] = [
        {"backend": {"kind": "theirs"}},
        {"backend": "theirs"},
        {"backends": {"theirs": {}}},
        {"backends": {"local": {}, "x": {"kind": "theirs"}}, "backend": "local"},
    ]
    for given in asked:
        with pytest.raises(SpecError, match="imports none"):
            check_kinds(given)
    with pytest.raises(SpecError, match="imports none"):
        check_kinds({"sampler": {"kind": "theirs"}})
    check_kinds({"sampler": {"kind": "tpe"}, "stopping": None})
    check_kinds({"sampler": "nonsense"})


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),  # noqa: S104
        *("224.0.0.1", "255.255.255.255", "240.0.0.1", "::", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"),
        *("2002:7f00:1::", "fe80::1", "fd00:ec2::254", "fec0::1", "ff02::1", "::127.0.0.1", "no address"),
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.1", "127.1", "localhost"])
def test_every_spelling_of_this_machine_is_seen_through(host: str) -> None:
    with pytest.raises(NotPublic):
        public_addresses(host, 80)


def test_the_address_that_was_judged_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["8.8.8.8", "127.0.0.1"])
    connected: list[str] = []

    def looked_up(_host: str, port: int, **_given: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def connect(address: tuple[str, int], *_given: object) -> socket.socket:
        connected.append(address[0])
        raise OSError("far away")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with pytest.raises(OSError, match="far away"):
        post_publicly("http://rebinds.example/x", b"", {}, 1.0)
    assert connected == ["8.8.8.8"]
    # One of several that is not public is enough to refuse.
    with pytest.raises(NotPublic):
        post_publicly("http://rebinds.example/x", b"", {}, 1.0)
    assert connected == ["8.8.8.8"]


@pytest.mark.parametrize("backend", [{"kind": "local"}, {"kind": "slurm", "folder": "/shared"}])
def test_no_processes_of_the_machine_are_started(store: str, backend: dict[str, Any]) -> None:
    asked = {
        **SPEC,
        "estimator": {"kind": "container", "image_uri": "none", "entrypoint": ["true"]},
        "backend": backend,
    }
    with pytest.raises(SpecError, match=r"backend\.kind"):
        experiment.start_document(asked, store=store)
