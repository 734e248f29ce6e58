"""A canary through every door, and a search for it in every file, output, page, export and record."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from program_output import output_of
from trialjob import Script, Secret, Tuner, experiment, maximize
from trialjob.apps.cli.main import main
from trialjob.errors import SpecError
from trialjob.testing.fake_aws import FakeAws

CANARY = "canary-5f1c9a77b2e84d06"
FROM_HERE = "elsewhere-77b2e84d065f1c9a"
#: Nothing of these two may be anywhere.
BOTH = (CANARY, FROM_HERE)

SPEC = f"""\
name: sec
estimator:
  kind: script
  source_dir: .
  entry_point: train.py
  environment: {{HF_TOKEN: "{CANARY}", OTHER: {{secret: FROM_HERE}}, PLAIN: seen}}
space: {{x: {{type: choice, values: [1, 2]}}}}
objective: {{metric: acc, mode: max}}
metrics: [{{name: acc, regex: "acc=({{number}})"}}]
sampler: {{kind: grid}}
on_log: [{{match: "refused", then: no_retry}}]
limits: {{max_trials: 2, max_failures: 5}}
notify: {{webhook: "http://127.0.0.1:9/services/{CANARY}"}}
"""
LOCAL = "backend: {kind: local, poll_interval: 20ms, stop_grace: 200ms}\n"
CLOUD = "backend: {kind: sagemaker, s3_uri: s3://bucket/tuning, poll_interval: 500ms}\n"
#: It reads both, and prints them where it matters most: into the line that fails it.
SCRIPT = """\
import os, sys
secret = os.environ["HF_TOKEN"], os.environ["OTHER"]
assert os.environ["PLAIN"] == "seen"
ok = [each[-4:] for each in secret] == ["4d06", "1c9a"]
print("acc=0.5" if ok else "the secrets did not arrive")
if os.environ["TRIALJOB_TRIAL"] == "2":
    sys.exit(f"refused: {secret[0]} and {secret[1]}")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIALJOB_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("FROM_HERE", FROM_HERE)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text(SCRIPT)
    (code / "sweep.yaml").write_text(SPEC + LOCAL)
    monkeypatch.chdir(code)
    return code


def found_in(root: Path) -> Iterator[str]:
    """The files below ``root``, compressed ones unpacked, in which one of the two stands."""
    for path in (path for path in root.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        # What the script itself has printed is its own, and its owner's alone.
        if path.name != "log" and any(value.encode() in data for value in BOTH):
            yield str(path)


def clean(capfd: pytest.CaptureFixture[str]) -> str:
    """What was printed; neither of the two is in it."""
    out, err = capfd.readouterr()
    assert not any(value in out + err for value in BOTH)
    return out + err


def test_on_this_machine(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = folder.parent / "store"
    main(["plan", "sweep.yaml", "--epochs", "1", "--epoch-seconds", "1", "--format", "json"])
    clean(capfd)
    assert main(["run", "sweep.yaml", "--name", "sec"]) == 0
    assert "sweep.yaml is left out of the code" in clean(capfd)
    outputs = [
        ["status", "sec"],
        ["results", "sec"],
        *(["results", "sec", "--format", form] for form in ("json", "csv")),
        ["logs", "sec", "2"],
        ["report", "sec"],
        ["list"],
    ]
    printed = {}
    # What a script has printed is masked where its value is known: in the environment.
    monkeypatch.setenv("HF_TOKEN", CANARY)
    for words in outputs:
        assert main(words) == 0, words
        printed[" ".join(words)] = clean(capfd)
    assert "refused: *** and ***" in printed["logs sec 2"]
    page = next(path for path in folder.rglob("*.html"))
    assert not any(value in page.read_text() for value in BOTH)
    assert list(found_in(store)) == []
    state = experiment.attach("sec").state
    assert state.trials[1].score == 0.5  # type: ignore[index]
    assert "refused: *** and ***" in state.trials[2].reason  # type: ignore[index]


def test_the_store_is_its_owners_alone(folder: Path) -> None:
    store = folder.parent / "store"
    former = os.umask(0)
    try:
        assert main(["run", "sweep.yaml", "--name", "sec"]) == 0
        assert loose(store) == []
        # As an older trialjob left it.
        for path in [store, *store.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o777 if path.is_dir() else 0o666)
        main(["resume", "sec", "sweep.yaml", "--set", "limits.max_trials=3"])
    finally:
        os.umask(former)
    assert loose(store) == []


def loose(root: Path) -> list[str]:
    return [
        f"{path} {path.lstat().st_mode:o}"
        for path in [root, *root.rglob("*")]
        if not path.is_symlink() and path.lstat().st_mode & 0o077
    ]


def test_a_folder_that_is_no_store_keeps_its_mode(folder: Path) -> None:
    home = folder.parent / "home"
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    (home / "notes.txt").write_text("mine")
    assert main(["run", "sweep.yaml", "--name", "sec", "--store", str(home)]) == 0
    assert home.stat().st_mode & 0o777 == 0o755
    assert loose(home / "sec") == []


def test_resumed_where_the_variable_is_not(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["run", "sweep.yaml", "--name", "sec", "--set", "limits.max_trials=1"]) == 0
    version = experiment.attach("sec").state.version
    clean(capfd)
    assert main(["resume", "sec", "--set", "limits.max_trials=2"]) == 2
    said = clean(capfd)
    store = folder.parent / "store"
    assert (
        f"export HF_TOKEN=… and trialjob resume sec --store {store}; or, if it is written in the spec" in said
    )
    assert len(experiment.attach("sec").state.trials) == 1
    assert experiment.attach("sec").state.version <= version + 2
    # Both remedies, carried out.
    monkeypatch.setenv("HF_TOKEN", "another-value-4d06")
    monkeypatch.setenv("TRIALJOB_WEBHOOK", "http://127.0.0.1:9/")
    assert main(["resume", "sec"]) == 0
    monkeypatch.delenv("HF_TOKEN")
    assert main(["resume", "sec", "sweep.yaml", "--set", "limits.max_trials=2"]) == 0
    assert list(found_in(store)) == []


def test_run_without_the_variable_begins_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FROM_HERE")
    assert main(["run", "sweep.yaml", "--name", "sec"]) == 2
    assert not (folder.parent / "store" / "sec" / "journal.jsonl").exists()


def test_wrong_overrides_do_not_say_what_they_set(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    del folder
    assert main(["run", "sweep.yaml", "--set", f"estimator.environment.TOKEN.x={CANARY}"]) == 2
    clean(capfd)
    assert main(["run", "sweep.yaml", "--set", f"estimator.enviroment.TOKEN={CANARY}"]) == 2
    clean(capfd)


def test_a_request_from_outside_has_nothing_looked_up(tmp_path: Path) -> None:
    document: dict[str, Any] = {
        "name": "sec",
        "estimator": {"kind": "container", "entrypoint": ["true"], "environment": {}},
        "space": {"x": {"type": "choice", "values": [1, 2]}},
        "objective": {"metric": "acc", "mode": "max"},
        "limits": {"max_trials": 1},
    }
    for written in ({"secret": "PATH"}, {"secret": {"ssm": "/a"}}, {"secret": {"secretsmanager": "a"}}):
        document["estimator"]["environment"] = {"T": written}
        with pytest.raises(SpecError, match="names a secret, which an inbox does not hand out"):
            experiment.start_document(document, store=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_an_old_journal_with_plain_values_goes_on(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "sweep.yaml", "--name", "sec", "--set", "limits.max_trials=1"]) == 0
    journal = folder.parent / "store" / "sec" / "journal.jsonl"
    lines = journal.read_text().splitlines()
    row = json.loads(lines[0])
    row["events"][0]["document"]["estimator"]["environment"]["HF_TOKEN"] = CANARY
    row["events"][0]["document"]["notify"] = None
    del row["crc"]  # which older ones did not have
    journal.write_text("\n".join([json.dumps(row), *lines[1:]]) + "\n")
    clean(capfd)
    assert main(["results", "sec"]) == 0
    assert 'HF_TOKEN="$HF_TOKEN"' in clean(capfd)
    assert main(["resume", "sec", "--set", "limits.max_trials=2"]) == 0
    clean(capfd)
    assert len(experiment.attach("sec").state.trials) == 2


def test_on_sagemaker(folder: Path, quick_aws: FakeAws) -> None:
    estimator = """\
  image_uri: 123456789012.dkr.ecr.us-east-1.amazonaws.com/python:3
  role: arn:aws:iam::123456789012:role/SageMakerExecution
  instance_type: ml.m5.large
"""
    spec = SPEC.replace("space:", estimator + "space:", 1) + CLOUD
    (folder / "sweep.yaml").write_text(spec)
    for words in (
        ("plan", "sweep.yaml", "--epochs", "1", "--epoch-seconds", "1", "--format", "json"),
        ("run", "sweep.yaml", "--name", "sec", "--store", "s3://bucket/store"),
        ("logs", "sec", "2", "--store", "s3://bucket/store"),
        ("report", "sec", "--store", "s3://bucket/store"),
        ("audit",),
    ):
        variables = {**os.environ, **({"HF_TOKEN": CANARY} if words[0] == "logs" else {})}
        said = output_of([sys.executable, "-m", "trialjob", *words], folder, variables)
        assert not any(value in said for value in BOTH), words
    jobs = quick_aws.service.jobs
    assert [job.request["Environment"]["HF_TOKEN"] for job in jobs.values()] == [CANARY, CANARY]
    assert [job.request["Environment"]["OTHER"] for job in jobs.values()] == [FROM_HERE, FROM_HERE]
    for job in jobs.values():
        rest = {name: value for name, value in job.request.items() if name != "Environment"}
        assert not any(value in str(rest) for value in BOTH)
    for key in quick_aws.service.world.keys("bucket", ""):
        data = quick_aws.service.world.read("bucket", key)
        assert not any(value.encode() in unpacked(data) for value in BOTH), key
    page = next(path for path in folder.rglob("*.html"))
    assert not any(value in page.read_text() for value in BOTH)


def unpacked(data: bytes) -> bytes:
    """An archive's files, one behind the other."""
    if data[:2] != b"\x1f\x8b":
        return data
    plain = gzip.decompress(data)
    try:
        with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
            files = [archive.extractfile(member) for member in archive if member.isfile()]
            return b"\n".join(file.read() for file in files if file is not None)
    except tarfile.ReadError:
        return plain


def test_python_says_it_too(folder: Path) -> None:
    environment = {"OTHER": Secret("FROM_HERE"), "HF_TOKEN": CANARY, "PLAIN": "seen"}
    script = Script("train.py", options={"environment": environment})
    tuner = Tuner(
        estimator=script,
        space={"x": {"type": "choice", "values": [1]}},
        objective=maximize("acc"),
        metrics={"acc": "acc=({number})"},
        limits={"max_trials": 1},
        name="sec",
    )
    assert not any(value in f"{tuner.spec!r}" for value in BOTH)
    assert tuner.run().best.score == 0.5
    assert list(found_in(folder.parent / "store")) == []
