"""``trialjob config``: what a user's own file fills in, what goes before it, and how it is told."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from trialjob import config, user_settings
from trialjob.apps.cli.main import main
from trialjob.errors import SpecError, UsageError
from trialjob.experiment import open_store
from trialjob.served import logins

ROLE = "arn:aws:iam::123456789012:role/SageMakerExecution"
SPEC = """
name: digits
estimator: {kind: script, source_dir: ., entry_point: train.sh, image_uri: "mine:1"}
space: {x: {type: choice, values: [1, 2]}}
objective: {metric: acc, mode: max}
metrics: [{name: acc, regex: "acc=({number})"}]
limits: {max_trials: 2}
backend: {kind: sagemaker, instance_type: ml.m5.xlarge}
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "TRIALJOB_STORE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "home" / "settings.toml"
    monkeypatch.setenv("TRIALJOB_CONFIG", str(path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.sh").write_text("echo acc=1\n")
    (tmp_path / "sweep.yaml").write_text(SPEC)
    return path


def set_all(*pairs: str) -> None:
    for pair in pairs:
        assert main(["config", "set", *pair.split(" ", 1)]) == 0


def write(file: Path, **values: str) -> None:
    """Have it say what `config set` refuses, as a file that was written by hand may."""
    file.parent.mkdir(exist_ok=True)
    file.write_text("[sagemaker]\n" + "".join(f'{key} = "{value}"\n' for key, value in values.items()))


@pytest.mark.parametrize("said", ["", " ", "\t", 5])
def test_what_names_no_store_is_no_folder_of_that_name(said: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=f"{said!r} is no place for experiments".replace("\\", ".")):
        open_store(said)  # type: ignore[arg-type]
    monkeypatch.setenv("TRIALJOB_STORE", str(said))
    # A variable that is empty is one that is not set; of an option that is empty its author meant another.
    assert main(["list"]) == (0 if said in ("", 5) else 2)


@pytest.mark.parametrize(
    "words",
    [
        ["run", "sweep.yaml", "--set", "backend={kind: local}"],
        ["resume", "digits"],
        ["list"],
        ["status", "digits"],
        ["push", "digits", ""],
    ],
)
def test_an_empty_store_is_not_the_usual_one(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRIALJOB_STORE", str(tmp_path / "usual"))
    assert main([*words, "--store", ""] if words[0] != "push" else words) == 2
    told = capsys.readouterr().err
    assert "'' is no place for experiments" in told
    assert "leave it out" in told
    assert not (tmp_path / "usual").exists()


def test_values_are_set_shown_and_taken_away(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "list"]) == 0
    assert capsys.readouterr().out == ""
    set_all(f"sagemaker.role {ROLE}", "store s3://bucket/experiments", "sagemaker.tags.team vision: 1")
    capsys.readouterr()
    assert main(["config", "list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert sorted(listed) == [
        f"sagemaker.role = {ROLE}",
        "sagemaker.tags.team = vision: 1",
        "store = s3://bucket/experiments",
    ]
    assert main(["config", "get", "store"]) == 0
    assert main(["config", "path"]) == 0
    assert capsys.readouterr().out == f"s3://bucket/experiments\n{file}\n"
    assert main(["config", "list", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"]["sagemaker"]["role"] == ROLE
    assert tomllib.loads(file.read_text())["sagemaker"]["tags"] == {"team": "vision: 1"}
    assert file.stat().st_mode & 0o077 == 0
    assert main(["config", "unset", "sagemaker"]) == 0
    assert main(["config", "get", "sagemaker.role"]) == 1
    assert main(["config", "unset", "store"]) == 0
    assert file.read_text() == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["set", "sagemaker.rol", "x"],
            "'sagemaker.rol' is nothing that can be set; did you mean sagemaker.role?",
        ),
        (["set", "region", "x"], "'region' is nothing that can be set; did you mean sagemaker.region?"),
        (["set", "sagemaker.spot", "true"], "'sagemaker.spot' is nothing that can be set"),
        (["set", "sagemaker.tags", "x"], "'sagemaker.tags' is nothing that can be set"),
        (["set", "sagemaker.role", ""], "sagemaker.role: there is no value"),
        (["set", "sagemaker.subnets", "{a: 1}"], "sagemaker.subnets: "),
        (
            ["set", "sagemaker.role", "MyRole"],
            "sagemaker.role: 'MyRole' does not have the form that the service wants\n  → it must",
        ),
        (["set", "sagemaker.region", "us-east"], "sagemaker.region: 'us-east' is no name of a region\n  → w"),
        (["set", "sagemaker.s3_uri", "b/tuning"], '"b/tuning" is no address in S3\n  → write s3://bucket/'),
        (["set", "sagemaker.tags.aws:x", "y"], "sagemaker.tags.aws:x: 'aws:x' begins as AWS's own tags do"),
        (["set", "sagemaker.subnets", "[sub net]"], "sagemaker.subnets: 'sub net' does not have the form"),
        (["set", "slurm.folder", "tuning"], 'slurm.folder: "tuning" is no full path'),
        (["set", "store", "ftp://x"], "the store 'ftp' is not known"),
        (["set", "store", "s3://"], "it names no bucket"),
        (["unset", "sagemaker.role"], "sagemaker.role is not set in "),
        (["get", "stor"], "did you mean store?"),
    ],
)
def test_what_cannot_be_set_is_refused(
    words: list[str], told: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", *words]) == 2
    assert told in capsys.readouterr().err
    assert not file.exists()


def test_what_depends_on_the_rest_of_a_spec_is_taken() -> None:
    set_all(
        "sagemaker.subnets [subnet-1]", "sagemaker.volume_kms_key alias/mine", "sagemaker.region cn-north-1"
    )
    set_all("sagemaker.profile of-another-machine", "slurm.account lab", "slurm.folder /not/here/yet")


def test_a_list_is_written_as_in_a_spec(capsys: pytest.CaptureFixture[str]) -> None:
    set_all("sagemaker.subnets [subnet-1, subnet-2]")
    capsys.readouterr()
    assert main(["config", "get", "sagemaker.subnets"]) == 0
    assert capsys.readouterr().out == "['subnet-1', 'subnet-2']\n"


def test_it_fills_in_what_a_spec_leaves_out() -> None:
    with pytest.raises(SpecError, match=r"backend\.s3_uri"):
        config.load("sweep.yaml")
    set_all(f"sagemaker.role {ROLE}", "sagemaker.s3_uri s3://bucket/tuning", "sagemaker.region eu-west-1")
    set_all("sagemaker.tags.team vision", "sagemaker.tags.cost 17")
    spec = config.load("sweep.yaml", overrides=["backend.tags.team=speech"])
    found = spec.backend.model_dump()
    assert (found["role"], found["s3_uri"], found["region"]) == (ROLE, "s3://bucket/tuning", "eu-west-1")
    assert found["tags"] == {"team": "speech", "cost": "17"}
    # It is part of the document from then on.
    assert config.parse(spec.document(), files=False) == spec


def test_flag_spec_and_environment_go_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(f"sagemaker.role {ROLE}", "sagemaker.s3_uri s3://mine/tuning", "sagemaker.region eu-west-1")
    text = Path("sweep.yaml").read_text()
    Path("sweep.yaml").write_text(text.replace("kind: sagemaker", "kind: sagemaker, s3_uri: s3://theirs/x"))
    monkeypatch.setenv("AWS_REGION", "us-east-2")
    found = config.load("sweep.yaml", overrides=[f"backend.role={ROLE}2"]).backend.model_dump()
    assert (found["role"], found["s3_uri"], found["region"]) == (f"{ROLE}2", "s3://theirs/x", None)
    assert (
        config.load("sweep.yaml", overrides=["backend.region=us-west-2"]).backend.aws["region"] == "us-west-2"
    )


def test_each_of_several_backends_has_its_own() -> None:
    set_all("sagemaker.s3_uri s3://bucket/tuning", f"sagemaker.role {ROLE}")
    several = "backends: {here: {kind: local}, cloud: {kind: sagemaker, instance_type: ml.m5.xlarge}}"
    text = Path("sweep.yaml").read_text().partition("backend:")[0]
    Path("sweep.yaml").write_text(f"{text}{several}\nbackend: here\n")
    assert config.load("sweep.yaml").backend.kind == "local"
    assert config.load("sweep.yaml", backend="cloud").backend.model_dump()["role"] == ROLE
    # A kind on the command line has them as well.
    Path("sweep.yaml").write_text(text)
    document = config.load("sweep.yaml", backend="sagemaker", overrides=["backend.instance_type=ml.m5.large"])
    assert document.backend.model_dump()["s3_uri"] == "s3://bucket/tuning"


def test_what_an_old_spec_says_of_machines_in_its_estimator_counts() -> None:
    set_all("sagemaker.s3_uri s3://bucket/tuning", f"sagemaker.role {ROLE}")
    text = Path("sweep.yaml").read_text()
    Path("sweep.yaml").write_text(text.replace("source_dir: .", f"source_dir: ., role: {ROLE}2"))
    assert config.load("sweep.yaml").backend.model_dump()["role"] == f"{ROLE}2"


def test_a_plan_says_what_comes_from_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_all("sagemaker.s3_uri s3://bucket/tuning", f"sagemaker.role {ROLE}", "sagemaker.region eu-west-1")
    capsys.readouterr()
    assert main(["plan", "sweep.yaml"]) == 0
    assert (
        f"settings    backend.region, backend.role, backend.s3_uri: from {file}\n" in capsys.readouterr().out
    )
    assert main(["plan", "sweep.yaml", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["settings"] == [
        "backend.region",
        "backend.role",
        "backend.s3_uri",
    ]


def test_a_problem_with_one_of_its_values_says_where_it_comes_from(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, s3_uri="bucket/tuning", role=ROLE)
    assert main(["plan", "sweep.yaml"]) == 2
    told = capsys.readouterr().err
    assert 'backend.s3_uri: "bucket/tuning" is no address in S3' in told
    assert f"it comes from {file}; `trialjob config unset sagemaker.s3_uri` takes it away" in told


def test_so_does_one_that_only_the_service_would_find(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(file, s3_uri="s3://bucket/tuning", role="mine", region="eu-west-1")
    assert main(["plan", "sweep.yaml"]) == 2
    told = capsys.readouterr().err
    assert "backend.role: 'mine' does not have the form" in told
    assert f"it comes from {file}; `trialjob config unset sagemaker.role` takes it away" in told


def test_a_region_that_cannot_be_one_is_said_before_a_job(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(file, s3_uri="s3://bucket/tuning", role=ROLE, region="5")
    assert main(["plan", "sweep.yaml"]) == 2
    told = capsys.readouterr().err
    assert (
        "backend.region: '5' is no name of a region\n    → write one such as us-east-1; it comes from" in told
    )
    assert f"it comes from {file}; `trialjob config unset sagemaker.region` takes it away" in told


def test_the_store_is_where_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(f"store {tmp_path}/mine")
    assert open_store().where() == f"{tmp_path}/mine"
    monkeypatch.setenv("TRIALJOB_STORE", f"{tmp_path}/theirs")
    assert open_store().where() == f"{tmp_path}/theirs"
    assert open_store(tmp_path / "said").where() == f"{tmp_path}/said"


@pytest.mark.parametrize("text", ["store = ", "store = 7\n", "\udcff"])
def test_a_file_that_cannot_be_read_is_named(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=r"settings\.toml"):
        open_store()


@pytest.mark.parametrize("said", ["", "here", "~/x"])
def test_settings_and_tokens_lie_in_one_folder_that_is_never_a_relative_one(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRIALJOB_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", said)
    assert user_settings.where() == tmp_path / ".config/trialjob/config.toml"
    assert logins.folder() == tmp_path / ".config/trialjob/tokens"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "mine"))
    assert user_settings.where().parent == logins.folder().parent == tmp_path / "mine/trialjob"
