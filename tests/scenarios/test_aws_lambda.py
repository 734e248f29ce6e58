"""The Lambda's handler against the fake AWS: whole experiments, invoked twice, at once, or not at all."""

from __future__ import annotations

import gzip
import importlib
import io
import json
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from trialjob import config, experiment
from trialjob.apps import aws_lambda
from trialjob.apps.aws_lambda import handler
from trialjob.errors import (
    BackendBusy,
    BackendUnavailable,
    SpecError,
    StoreError,
    StoreUnavailable,
    UsageError,
)
from trialjob.model.trial import Phase
from trialjob.orchestrator.journals.s3_store import S3Store
from trialjob.testing.fake_aws import Durations, FakeAws, ScaledClock, jobs_by_tags

EXAMPLE = Path(__file__).parents[2] / "examples" / "lambda"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312"
#: The fake has threads in this process, and a function has none.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


class Remaining:
    """Lambda's context, of a function that is killed after ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return max(0, round((self._end - time.monotonic()) * 1000))


class World:
    """A store with the fake AWS behind it."""

    def __init__(self, fake: FakeAws, prefix: str) -> None:
        """``prefix`` is no other test's: a container of the function remembers what is over in a store."""
        self.fake, self.s3 = fake, fake.client("s3")
        self.prefix, self.store = prefix, f"s3://bucket/{prefix}"
        fake.create_bucket("bucket")
        self.role = fake.create_role()

    def spec(self, name: str, **changes: object) -> dict[str, Any]:
        return {
            "name": name,
            "estimator": {
                "kind": "container",
                "image_uri": IMAGE,
                "role": self.role,
                "instance_type": "ml.g5.xlarge",
                "entrypoint": ["sh", "-c", "echo acc=0.1; echo acc=0.2"],
            },
            "space": {"x": {"type": "uniform", "lower": 0, "upper": 1}},
            "objective": {"metric": "acc", "mode": "max"},
            "metrics": [{"name": "acc", "regex": "acc=({number})"}],
            "sampler": {"kind": "random", "seed": 0},
            "limits": {"max_trials": 3, "max_concurrent_trials": 2},
            "backend": {"kind": "sagemaker", "s3_uri": "s3://bucket/tuning", "poll_interval": 1},
            **changes,
        }

    def put(self, key: str, data: bytes | str) -> None:
        body = data if isinstance(data, bytes) else data.encode()
        self.s3.put_object(Bucket="bucket", Key=f"{self.prefix}/{key}", Body=body)

    def bytes(self, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket="bucket", Key=f"{self.prefix}/{key}")["Body"].read())

    def get(self, key: str) -> str:
        return self.bytes(key).decode()

    def keys(self, folder: str) -> list[str]:
        return [
            key.removeprefix(f"{self.prefix}/")
            for key in self.fake.world.keys("bucket", f"{self.prefix}/{folder}")
        ]

    def to_the_end(self, *names: str, seconds: str = "10s") -> None:
        for _ in range(40):
            told = handler({"for": seconds})
            states = told["experiments"]
            assert isinstance(states, dict)
            assert not told["errors"]
            if not states or set(states.values()) == {"finished"}:
                break
        for name in names:
            assert experiment.attach(name, store=self.store).is_over

    def check(self, *names: str, trials: int = 3) -> None:
        jobs = self.fake.service.jobs.values()
        tags = ("trialjob:experiment", "trialjob:trial", "trialjob:attempt")
        assert set(jobs_by_tags(jobs, *tags).values()) == {1}
        assert len(jobs) == trials * len(names)
        assert all(job.terminal for job in jobs)


@contextmanager
def world_of(clock: ScaledClock, store: str, durations: Durations) -> Iterator[World]:
    with (
        FakeAws(clock=clock, durations=durations) as fake,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in fake.env.items():
            patch.setenv(name, value)
        world = World(fake, store)
        patch.setenv("TRIALJOB_STORE", world.store)
        yield world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Where jobs take a while."""
    with world_of(ScaledClock(1), tmp_path.name, Durations(cold_start=0.5)) as world:
        yield world


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[World]:
    """Where they end soon, and their last log lines are there soon after."""
    quick = Durations(cold_start=5, download=1, upload=1)
    with world_of(ScaledClock(10), tmp_path.name, quick) as world:
        yield world


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def state_machine(data: dict[str, Any]) -> Any:  # noqa: ANN401 - its output
    """Step Functions, as far as examples/lambda/workflow.yaml needs it, without its pauses."""

    def at(path: str) -> Any:  # noqa: ANN401 - JSON
        return reduce(lambda value, key: value[key], path.removeprefix("$.").split("."), data)

    text = re.sub(r"!\w+ ", "", (EXAMPLE / "workflow.yaml").read_text())
    machine = YAML(typ="safe", pure=True).load(text)["Resources"]["Tune"]["Properties"]["Definition"]
    name = machine["StartAt"]
    while True:
        state = machine["States"][name]
        match state["Type"]:
            case "Task":
                payload = state["Parameters"]["Payload"]
                event = {
                    key.removesuffix(".$"): at(value) if key.endswith(".$") else value
                    for key, value in payload.items()
                }
                answer = invoked(event | {"for": "5s"}, state["Retry"])
                assert state["ResultSelector"] == {"experiment.$": "$.Payload.asked"}
                data[state["ResultPath"].removeprefix("$.")] = {"experiment": answer["asked"]}
            case "Choice":
                rules = [rule for rule in state["Choices"] if at(rule["Variable"]) == rule["StringEquals"]]
                name = rules[0]["Next"] if rules else state["Default"]
                continue
            case "Pass" if state["End"]:
                return at(state["InputPath"])
            case "Fail":
                raise AssertionError(at(state["CausePath"]))
        name = state["Next"]


def invoked(event: dict[str, Any], retries: list[dict[str, Any]]) -> Any:  # noqa: ANN401 - its answer
    """What the function answers to a Task, which is tried again as the state says."""
    tried = 0
    while True:
        try:
            return json.loads(json.dumps(handler(event)))
        except Exception as error:
            # Lambda tells a class, and nothing of what it derives from.
            names = {type(error).__name__, "States.ALL"}
            retry = next(each for each in retries if names & set(each["ErrorEquals"]))
            if tried >= retry["MaxAttempts"]:
                raise
            tried += 1


def test_a_workflow_tries_again_what_may_pass(hasty: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    start = experiment.start_document

    def seldom(document: dict[str, Any], *, store: str) -> experiment.Session:
        begun.append(document["name"])
        if len(begun) < 3:
            raise BackendBusy("AWS is asked too often", 1.0)
        return start(document, store=store)

    monkeypatch.setattr(experiment, "start_document", seldom)
    assert state_machine({"spec": hasty.spec("digits")})["state"] == "finished"
    begun = []
    with pytest.raises(SpecError):
        state_machine({"spec": hasty.spec("more", objective={"metric": "acc", "mode": "most"})})
    assert begun == ["more"] * 3  # twice busy, and refused once


def test_from_an_event_to_the_end(hasty: World, capsys: pytest.CaptureFixture[str]) -> None:
    told = handler({"start": hasty.spec("digits"), "for": "1s"}, Remaining(60))
    assert told["started"] == ["digits"]
    assert told["experiments"] == {"digits": "running"}
    # The same event once more, as Lambda delivers it at least once.
    assert handler({"start": hasty.spec("digits"), "for": "1s"}, Remaining(60))["started"] == ["digits"]
    told = state_machine({"spec": hasty.spec("digits")})
    assert (told["experiment"], told["state"], told["best"]["score"]) == ("digits", "finished", 0.2)
    hasty.check("digits")
    logged = lines(capsys)
    assert {line["experiment"] for line in logged} == {"digits"}
    last = logged[-1]
    assert last["state"] == "finished"
    assert last["trials_completed"] == 3
    assert last["best_score"] == 0.2
    assert last["jobs_running"] == 0
    assert last["dollars"] > 0
    (about,) = last["_aws"]["CloudWatchMetrics"]
    assert about["Dimensions"] == [["experiment"]]
    assert all(isinstance(last[metric["Name"]], int | float) for metric in about["Metrics"])
    assert {"step_seconds", "steps_failed", "dollars_committed"} <= {
        each["Name"] for each in about["Metrics"]
    }
    # It is over, so nobody reads it again.
    handler({"for": "1s"}, Remaining(60))
    hasty.fake.ledger.calls.clear()
    assert handler({}, Remaining(60))["experiments"] == {}
    assert {call.operation for call in hasty.fake.ledger.calls} == {"ListBucket"}


#: As Lambda does it: each container of the function is a process, which is used again.
CONTAINER = """
import time
from trialjob.apps.aws_lambda import handler

class Remaining:
    def __init__(self): self.end = time.monotonic() + 300
    def get_remaining_time_in_millis(self): return round((self.end - time.monotonic()) * 1000)

for _ in range(3):
    handler({"for": "2s"}, Remaining())
"""


def test_doubled_overlapping_and_missing_invocations(hasty: World) -> None:
    for name in ("one", "two"):
        hasty.put(f"inbox/{name}.json", json.dumps(hasty.spec(name)))
    containers = [subprocess.Popen([sys.executable, "-c", CONTAINER]) for _ in range(3)]
    assert [container.wait(400) for container in containers] == [0, 0, 0]
    assert hasty.keys("inbox/") == []
    assert hasty.keys("inbox-failed/") == []
    assert hasty.keys("inbox-done/") == ["inbox-done/one.json", "inbox-done/two.json"]
    time.sleep(4)  # noqa: TID251 - nobody comes for a while
    hasty.to_the_end("one", "two")
    hasty.check("one", "two")


def archive(files: dict[str, str]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return held.getvalue()


def test_code_comes_in_an_archive(hasty: World) -> None:
    spec = hasty.spec("coded")
    spec["estimator"] = {
        "kind": "script",
        "source_dir": "src",
        "entry_point": "train.sh",
        "image_uri": IMAGE,
        "role": hasty.role,
        "instance_type": "ml.g5.xlarge",
    }
    files = {"sweep.yaml": json.dumps(spec), "src/train.sh": "echo acc=0.5\n"}
    hasty.put("inbox/coded.tar.gz", archive(files))
    told = handler({"for": "1s"}, Remaining(60))
    assert told["refused"] == {}
    assert told["started"] == ["coded"]
    hasty.to_the_end("coded")
    hasty.check("coded")


def handed_over(world: World, name: str) -> dict[str, Any]:
    """A spec whose search is SageMaker's; its code is in the folder ``src``."""
    spec = world.spec(name, engine="hosted")
    spec["estimator"] |= {"kind": "script", "source_dir": "src", "entry_point": "train.sh"}
    del spec["estimator"]["entrypoint"]
    spec["limits"] = {"max_trials": 2, "max_concurrent_trials": 2, "trial_timeout": "10m"}
    return spec


def test_a_search_is_handed_over_from_the_inbox(world: World) -> None:
    files = {"sweep.json": json.dumps(handed_over(world, "tuned")), "src/train.sh": "echo acc=0.5\n"}
    world.put("inbox/tuned.tar.gz", archive(files))
    told = handler({"for": "1s"}, Remaining(60))
    assert (told["started"], told["experiments"], told["errors"]) == (["tuned"], {"tuned": "running"}, {})
    assert world.keys("inbox-failed/") == []
    (tuning,) = world.fake.service.tuning.jobs.values()
    assert (tuning.name, tuning.status) == ("tuned", "InProgress")


def test_a_search_that_was_handed_over_moves_to_another_store_and_back(world: World, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.sh").write_text("echo acc=0.5\n")
    here, there = experiment.open_store(tmp_path / "store"), experiment.open_store(world.store)
    spec = config.parse(handed_over(world, "moved"), base=tmp_path)
    session = experiment.create(spec, store=tmp_path / "store")
    session.step(lambda _state, _events: None)
    moved = experiment.hand_over("moved", source=here, target=there)
    assert moved.step(lambda _state, _events: None).hosted is not None
    back = experiment.hand_over("moved", source=there, target=here)
    assert len(back.step(lambda _state, _events: None).trials) == 2
    assert world.fake.ledger.count("CreateHyperParameterTuningJob") == 1


def test_a_search_that_was_handed_over_is_not_resumed_once_it_has_ended(world: World, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.sh").write_text("echo acc=0.5\n")
    session = experiment.create(config.parse(handed_over(world, "ended"), base=tmp_path), store=tmp_path)
    session.ask_stop()
    assert session.step(lambda _state, _events: None).phase is Phase.ENDED
    with pytest.raises(UsageError, match="cannot be continued"):
        session.reopen()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.yaml", "name: [", "a.yaml"),
        ("a.yaml", "", "is empty"),
        ("a.txt", "hello", "is neither a spec"),
        ("a.tar.gz", "no archive", "no sound archive"),
        ("a.tar.gz", archive({"b.yaml": "{}", "c.yaml": "{}"}), "one spec at its top, or a.yaml"),
        ("a.tar.gz", archive({"../a.yaml": "{}"}), "leads out of the archive"),
        ("a.yaml", "{name: a, estimator: {kind: script, source_dir: /etc, entry_point: passwd}}", "space"),
    ],
)
def test_what_cannot_be_started_is_put_aside(world: World, name: str, data: bytes | str, reason: str) -> None:
    world.put(f"inbox/{name}", data)
    told = handler({"for": "1s"}, Remaining(60))
    assert told["started"] == []
    assert world.keys("inbox/") == []
    assert world.keys("inbox-failed/") == [f"inbox-failed/{name}", f"inbox-failed/{name}.txt"]
    written = world.get(f"inbox-failed/{name}.txt")
    assert reason in written
    assert "/tmp" not in written  # noqa: S108 - where it was unpacked


def test_code_of_this_machine_cannot_be_asked_for(world: World) -> None:
    spec = world.spec("thief")
    spec["estimator"] = {**spec["estimator"], "kind": "script", "source_dir": "/etc", "entry_point": "passwd"}
    del spec["estimator"]["entrypoint"]
    for name, data in (("x.json", json.dumps(spec)), ("y.tar.gz", archive({"y.json": json.dumps(spec)}))):
        world.put(f"inbox/{name}", data)
        handler({"for": "1s"}, Remaining(60))
        assert "did not come along" in world.get(f"inbox-failed/{name}.txt")
    with pytest.raises(UsageError, match="brings no code"):
        handler({"start": spec, "for": "1s"}, Remaining(60))
    assert world.keys("experiments/") == []


def test_a_name_is_taken_by_another_request(world: World) -> None:
    handler({"start": world.spec("digits"), "for": "1s"}, Remaining(60))
    other = world.spec("digits", limits={"max_trials": 100})
    with pytest.raises(UsageError, match="exists"):
        handler({"start": other, "for": "1s"}, Remaining(60))
    world.put("inbox/digits.json", json.dumps(other))
    assert "exists" in str(handler({"for": "1s"}, Remaining(60))["refused"])
    assert "exists" in world.get("inbox-failed/digits.json.txt")
    assert experiment.attach("digits", store=world.store).state.limits.max_trials == 3


def test_broken_off_between_start_and_move_it_is_started_once(world: World) -> None:
    data = json.dumps(world.spec("one"))
    world.put("inbox/one.json", data)
    experiment.start_file("one.json", data.encode(), store=world.store)
    assert handler({"for": "1s"}, Remaining(60))["started"] == ["one"]
    assert world.keys("inbox") == ["inbox-done/one.json"]


def test_what_may_be_started_later_stays_in_the_inbox(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put("inbox/one.json", json.dumps(world.spec("one")))
    for trouble in (StoreUnavailable, BackendUnavailable):

        def fails(*_args: object, trouble: type[Exception] = trouble, **_given: object) -> None:
            raise trouble("not now")

        with monkeypatch.context() as patched:
            patched.setattr(experiment, "start_file", fails)
            told = handler({"for": "1s"}, Remaining(60))
        assert told["errors"] == {"inbox/one.json": "not now"}
        assert world.keys("inbox") == ["inbox/one.json"]
    assert handler({"for": "1s"}, Remaining(60))["started"] == ["one"]


def test_a_broken_one_keeps_no_other_from_its_step(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.put("journals/broken.jsonl.gz", "nonsense")
    handler({"start": world.spec("good"), "for": "1s"}, Remaining(60))
    told = handler({"for": "1s"}, Remaining(60))
    assert told["experiments"] == {"broken": "error", "good": "running"}
    assert "JournalCorrupt" in str(told["errors"])
    assert world.get("journals/broken.jsonl.gz") == "nonsense"
    (line,) = [line for line in lines(capsys) if line["experiment"] == "broken"][-1:]
    assert line["steps_failed"] == 1
    assert "broken" in line["error"]


def test_a_function_that_leaves_or_hangs_keeps_no_other_from_its_step(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "leaves.py").write_text("def rule(reports, best): return False\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    rule = {"kind": "python", "early_stop": "leaves:rule"}
    for name, stopping in (("bad", rule), ("good", {"kind": "none"})):
        experiment.create(config.parse(world.spec(name, stopping=stopping)), store=world.store)
    sys.modules.pop("leaves", None)
    importlib.invalidate_caches()
    (tmp_path / "leaves.py").write_text("raise SystemExit('I leave')\n# of another length\n")
    told = handler({"for": "1s"}, Remaining(60))
    assert told["experiments"] == {"bad": "error", "good": "running"}
    assert told["errors"] == {"bad": "SystemExit: I leave"}
    (tmp_path / "leaves.py").write_text("import time\ntime.sleep(60)\n# of yet another length\n")
    importlib.invalidate_caches()
    told = handler({"for": "1s"}, Remaining(25))
    assert told["experiments"] == {"bad": "error", "good": "running"}
    assert "did not come to an end" in str(told["errors"])


def test_every_kind_of_damage_is_told_and_keeps_no_other_from_its_step(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hungry.py").write_text("def rule(reports, best): return False\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    hungry = {"kind": "python", "early_stop": "hungry:rule"}
    experiment.create(config.parse(world.spec("eats", stopping=hungry)), store=world.store)
    sys.modules.pop("hungry", None)
    importlib.invalidate_caches()
    (tmp_path / "hungry.py").write_text("held = bytearray(4 << 30)\n# of another length\n")
    for name in ("bit", "plugin", "segment", "good"):
        experiment.create(config.parse(world.spec(name)), store=world.store)
    code = {"kind": "script", "source_dir": "src", "entry_point": "train.sh"}
    coded = world.spec("code")
    coded["estimator"] = {**coded["estimator"], **code}
    del coded["estimator"]["entrypoint"]
    files = archive({"code.json": json.dumps(coded), "src/train.sh": "echo acc=0.5\n"})
    experiment.start_file("code.tar.gz", files, store=world.store)

    def edit(name: str, old: bytes, new: bytes) -> None:
        text = gzip.decompress(world.bytes(f"journals/{name}.jsonl.gz"))
        assert old in text
        world.put(f"journals/{name}.jsonl.gz", gzip.compress(text.replace(old, new)))

    world.put("journals/head.jsonl.gz", "nonsense")
    world.put("journals/bomb.jsonl.gz", gzip.compress(bytes(80 << 20), 1))
    edit("bit", b'"events": [', b'"events"; [')
    edit("plugin", b'"kind":"random"', b'"kind":"absent"')
    edit("segment", b'"sealed": []', b'"sealed": [{"name": "../x", "first": 1, "last": 1}]')
    (bundle,) = world.keys("experiments/code/bundles/")
    world.s3.delete_object(Bucket="bucket", Key=f"{world.prefix}/{bundle}")
    told = handler({"for": "1s"}, Remaining(120))
    reasons = {
        "head": "damaged or cut short",
        "bomb": "unpacks to more than 64 MB",
        "bit": "not a record of a journal",
        "plugin": "absent",
        "segment": "not the head of a journal|holds records",
        "code": "is missing; restore it",
        "eats": "MemoryError",
    }
    errors = told["errors"]
    assert isinstance(errors, dict)
    assert told["experiments"] == {**dict.fromkeys(reasons, "error"), "good": "running"}
    for name, reason in reasons.items():
        assert re.search(reason, errors.pop(name)), name
    assert errors == {}
    failed = json.loads(world.get("lambda/turns.json"))["failed"]
    assert {name for name in failed if re.search(reasons[name], failed[name]["why"])} == set(reasons)


@pytest.mark.parametrize("book", ["sound", "damaged"])
def test_who_had_a_turn_in_vain_is_the_last_also_in_a_new_container(
    world: World, monkeypatch: pytest.MonkeyPatch, book: str
) -> None:
    world.put("journals/broken.jsonl.gz", "nonsense")
    time.sleep(1.1)  # noqa: TID251 - S3 dates its objects in whole seconds
    experiment.start_document(world.spec("good"), store=world.store)
    monkeypatch.setattr(aws_lambda, "_AT_ONCE", 1)
    failed = {"broken": {"at": time.time() + 60, "why": "x"}}  # noqa: TID251 - as the store's clock
    text = json.dumps({"over": {}, "failed": failed})
    world.put("lambda/turns.json", text if book == "sound" else text[:-9])
    told = handler({"for": "1s"}, Remaining(60))
    assert list(told["experiments"]) == (["good", "broken"] if book == "sound" else ["broken", "good"])  # type: ignore[call-overload]


def test_one_that_another_steps_is_no_error(world: World) -> None:
    handler({"start": world.spec("digits"), "for": "1s"}, Remaining(60))
    session = experiment.attach("digits", store=world.store)
    with session._journal.hold():
        told = handler({"for": "1s"}, Remaining(60))
    assert told["errors"] == {}
    assert told["experiments"] == {"digits": "running"}


def test_it_leaves_in_time_and_says_who_was_not_reached(world: World) -> None:
    names = {f"e{number}" for number in range(6)}
    for name in names:
        experiment.start_document(world.spec(name), store=world.store)
    faults = world.fake.faults
    faults.slow, faults.slow_seconds = 1.0, 0.6
    remaining = Remaining(12)
    told = handler({"for": "50s"}, remaining)
    assert remaining.get_remaining_time_in_millis() > 0
    reached, left = told["experiments"], told["not_reached"]
    assert isinstance(reached, dict)
    assert isinstance(left, list)
    assert left
    assert {*reached, *left} == names
    assert not set(reached) & set(left)
    # What was left in the middle of a step does no harm.
    faults.slow = 0.0
    told = handler({"for": "1s"}, Remaining(60))
    assert told["not_reached"] == []
    assert told["errors"] == {}
    assert told["experiments"] == dict.fromkeys(names, "running")


def test_more_than_fit_at_once_share_the_time(world: World) -> None:
    names = {f"e{number}" for number in range(6)}
    for name in names:
        experiment.start_document(world.spec(name), store=world.store)
    told = handler({"for": "8s"}, Remaining(60))
    assert told["not_reached"] == []
    assert told["experiments"] == dict.fromkeys(names, "running")


def test_the_one_least_recently_stepped_is_the_first(world: World) -> None:
    for name in ("a", "b"):
        experiment.start_document(world.spec(name), store=world.store)
    time.sleep(1.1)  # noqa: TID251 - S3 dates its objects in whole seconds
    experiment.attach("a", store=world.store).step(lambda _state, _events: None, seconds=0)
    store = experiment.open_store(world.store)
    assert isinstance(store, S3Store)
    assert list(store.heads()) == ["b", "a"]


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ({"stat": {}}, "'stat'"),
        ({"for": "soon"}, "'soon'"),
        ({"store": "/tmp/runs"}, "no store in S3"),  # noqa: S108 - refused
        ({"start": ["name"]}, "a spec is a mapping"),
    ],
)
def test_a_wrong_event_says_so(world: World, event: dict[str, object], problem: str) -> None:
    del world
    with pytest.raises(UsageError, match=problem):
        handler(event, Remaining(60))


def test_a_wrong_spec_says_so(world: World) -> None:
    with pytest.raises(SpecError, match="objective"):
        handler({"start": {"name": "x"}}, Remaining(60))
    assert world.keys("") == []


def test_events_of_aws_are_a_tick(world: World) -> None:
    del world
    events: tuple[dict[str, object] | None, ...] = (
        {"detail-type": "Scheduled Event", "id": "1"},
        {"Records": []},
        None,
    )
    for event in events:
        assert handler(event, Remaining(60))["experiments"] == {}


def test_an_event_about_a_job_steps_its_experiment_once_and_no_other(world: World) -> None:
    handler({"start": world.spec("digits"), "for": "1s"}, Remaining(60))
    handler({"start": world.spec("other"), "for": "1s"}, Remaining(60))
    world.put("inbox/third.json", json.dumps(world.spec("third")))
    event = {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Training Job State Change",
        "detail": {"TrainingJobName": "digits-0001-1", "TrainingJobStatus": "Completed"},
    }
    for _ in range(2):  # it may come twice
        told = handler(event, Remaining(60))
        assert told["experiments"] == {"digits": "running"}
        assert (told["started"], told["errors"], told["not_reached"]) == ([], {}, [])
    strangers = handler(event | {"detail": {"TrainingJobName": "somebodys-job"}}, Remaining(60))
    assert (strangers["experiments"], strangers["not_reached"]) == ({}, [])
    assert world.keys("inbox/") == ["inbox/third.json"]
    world.to_the_end("digits", "other", "third")
    world.check("digits", "other", "third")


def test_no_such_bucket(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    del world
    monkeypatch.setenv("TRIALJOB_STORE", "s3://nowhere/store")
    with pytest.raises(StoreError, match=r"bucket does not exist\n *→ create the bucket"):
        handler({}, Remaining(60))


def test_it_has_read_only_what_the_handler_needs(tmp_path: Path) -> None:
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    heavy = ["optuna", "pandas", "rich", "plotly", "mlflow", "torch", "syne_tune", "numpy"]
    code = f"import sys, trialjob.apps.aws_lambda; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "[]"
