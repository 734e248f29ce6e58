"""A running experiment moves from a folder to S3 and back, and is broken off at every call on the way."""

from __future__ import annotations

import math
from contextlib import suppress
from pathlib import Path

import pytest

from trialjob import config
from trialjob.config import ExperimentSpec
from trialjob.errors import MovedAway, NoSuchExperiment, StoreUnavailable, UsageError
from trialjob.experiment import attach, create, finish, hand_over, open_session, open_store, place, remove
from trialjob.model.ids import ExperimentName, TrialId
from trialjob.model.metric import Report
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.events import (
    AttemptIntended,
    Event,
    JobSubmitted,
    ReportsRead,
    TrialProposed,
)
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.orchestrator.journals.store import BaseStore
from trialjob.testing.fake_aws import FakeAws
from trialjob.testing.fake_aws.errors import ConnectionLost
from trialjob.testing.forgetful_disk import ForgetfulDisk, read_mended

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312"


@pytest.fixture(scope="module")
def fake(aws_here: FakeAws) -> FakeAws:
    return aws_here


@pytest.fixture
def spec(tmp_path: Path) -> ExperimentSpec:
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.sh").write_text("echo acc=0.5\n")
    return config.parse(
        {
            "name": "moves",
            "estimator": {
                "kind": "script",
                "source_dir": str(code),
                "entry_point": "train.sh",
                "image_uri": IMAGE,
                "role": "arn:aws:iam::123456789012:role/SageMakerExecution",
                "instance_type": "ml.g5.xlarge",
            },
            "space": {"x": {"type": "uniform", "lower": 0.0, "upper": 1.0}},
            "objective": {"metric": "acc", "mode": "max"},
            "metrics": [{"name": "acc", "regex": "acc=({number})"}],
            "sampler": {"kind": "random", "seed": 0},
            "limits": {"max_trials": 3, "max_concurrent_trials": 2},
            "backend": {"kind": "sagemaker", "s3_uri": "s3://bucket/tuning"},
        }
    )


@pytest.fixture
def local(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "local")


@pytest.fixture
def remote(fake: FakeAws, tmp_path: Path) -> BaseStore:
    assert fake.url
    return open_store(f"s3://bucket{tmp_path}")


def living(*stores: BaseStore) -> list[BaseStore]:
    """The stores in which the experiment goes on."""
    found = []
    for store in stores:
        with suppress(NoSuchExperiment):
            if open_session(store, "moves").state.moved_to is None:
                found.append(store)
    return found


def test_there_and_back(spec: ExperimentSpec, local: FolderStore, remote: BaseStore) -> None:
    first = create(spec, store=local.root)
    code = local.bundle(first.name, first.state.bundle)
    there = hand_over("moves", source=local, target=remote)
    assert living(local, remote) == [remote]
    assert remote.bundle(there.name, there.state.bundle) == code
    there.ask_stop()
    with pytest.raises(MovedAway, match="moved to s3://"):
        attach("moves", store=local.root).ask_stop()
    with pytest.raises(MovedAway):
        attach("moves", store=local.root).step(lambda _s, _e: None)
    back = hand_over("moves", source=remote, target=local)
    assert living(local, remote) == [local]
    assert back.state.phase is Phase.ENDING
    assert hand_over("moves", source=local, target=remote).state.version == back.state.version + 2
    assert living(local, remote) == [remote]


def test_one_that_has_reported_a_nan_lives_in_one_store(
    spec: ExperimentSpec, local: FolderStore, remote: BaseStore
) -> None:
    session = create(spec, store=local.root)
    trial, nan = TrialId(1), Report(resource=1.0, metrics={"acc": math.nan}, at=1.0)
    events: list[Event] = [
        TrialProposed(trial=trial, config={"x": 0.5}),
        AttemptIntended(trial=trial, attempt=1, max_runtime=60.0),
        JobSubmitted(trial=trial, attempt=1),
        ReportsRead(trial=trial, attempt=1, reports=(nan,), cursor="1"),
    ]
    local.journal(session.name).append(events, after=1, at=2.0)
    for source, target in ((local, remote), (remote, local), (local, remote)):
        for _ in range(2):  # and the same command again
            hand_over("moves", source=source, target=target)
            assert living(local, remote) == [target]


def test_a_runner_is_left_behind(spec: ExperimentSpec, local: FolderStore, remote: BaseStore) -> None:
    session = create(spec, store=local.root)
    with local.journal(session.name).hold():
        hand_over("moves", source=local, target=remote)
    assert session.refresh().moved_to == remote.where()
    assert living(local, remote) == [remote]


def test_what_cannot_move_stays(spec: ExperimentSpec, local: FolderStore, remote: BaseStore) -> None:
    create(spec, store=local.root)
    with pytest.raises(UsageError, match="already"):
        hand_over("moves", source=local, target=local)
    other = FolderStore(local.root.parent / "other")
    create(spec, store=other.root)
    hand_over("moves", source=other, target=remote)
    with pytest.raises(UsageError, match="another experiment of the same name"):
        hand_over("moves", source=local, target=remote)
    assert living(local) == [local]
    with pytest.raises(MovedAway, match="goes on there"):
        hand_over("moves", source=other, target=local)
    with pytest.raises(UsageError, match="no experiment named"):
        hand_over("movs", source=local, target=remote)


def test_somebody_takes_the_name_at_the_last_moment(
    spec: ExperimentSpec, local: FolderStore, remote: BaseStore
) -> None:
    create(spec, store=local.root)
    session = open_session(local, "moves")
    remote.keep_bundle(session.name, session.state.bundle, local.bundle(session.name, session.state.bundle))
    session.move(remote.where())
    create(spec, store=remote.where())
    with pytest.raises(UsageError, match="goes on in"):
        hand_over("moves", source=local, target=remote)
    assert living(local, remote) == [local, remote]


def dying(fake: FakeAws, *, when: str, from_call: int) -> None:
    """Have every call from the ``from_call``-th on end a hand-over, before or after its effect."""
    passed = 0

    def hook(at: str, _operation: str) -> None:
        nonlocal passed
        passed += at == when
        if at == when and passed >= from_call:
            raise ConnectionLost("the process dies here")

    fake.faults.hook = hook


@pytest.mark.parametrize("way", [(kind, when) for kind in ("push", "pull") for when in ("before", "after")])
def test_broken_off_at_any_call_at_most_one_lives_and_it_is_finished_by_the_same_command(
    fake: FakeAws, spec: ExperimentSpec, local: FolderStore, tmp_path: Path, way: tuple[str, str]
) -> None:
    kind, when = way
    create(spec, store=local.root)
    calls, broken = 0, True
    while broken:
        calls += 1
        remote = open_store(f"s3://bucket{tmp_path}/{calls}")
        source: BaseStore = local
        target: BaseStore = remote
        if kind == "pull":
            hand_over("moves", source=local, target=remote)
            source, target = remote, local
        dying(fake, when=when, from_call=calls)
        try:
            hand_over("moves", source=source, target=target)
            broken = False
        except StoreUnavailable:
            pass
        fake.faults.hook = None
        assert len(living(local, remote)) <= 1
        hand_over("moves", source=source, target=target)
        assert living(local, remote) == [target]
        if kind == "push":
            hand_over("moves", source=remote, target=local)
    assert calls > 5


@pytest.mark.parametrize("kind", ["push", "pull"])
def test_broken_off_after_its_record_it_is_finished_by_whoever_resumes(
    spec: ExperimentSpec, local: FolderStore, remote: BaseStore, kind: str
) -> None:
    create(spec, store=local.root)
    source: BaseStore = local
    target: BaseStore = remote
    if kind == "pull":
        hand_over("moves", source=local, target=remote)
        source, target = remote, local
    else:
        bundle = attach("moves", store=local.root).state.bundle
        target.keep_bundle(ExperimentName("moves"), bundle, local.bundle(ExperimentName("moves"), bundle))
    open_session(source, "moves").move(place(target))
    assert not living(local, remote)
    if kind == "push":
        with pytest.raises(
            NoSuchExperiment, match=r"only its code: (.|\n)*the same `push` or `pull` finishes it"
        ):
            open_session(target, "moves")
    finish("moves", source)
    finish("moves", source)
    assert living(local, remote) == [target]


def test_what_was_brought_back_but_has_not_arrived_is_finished_from_here_too(
    spec: ExperimentSpec, local: FolderStore, remote: BaseStore
) -> None:
    create(spec, store=local.root)
    hand_over("moves", source=local, target=remote)
    open_session(remote, "moves").move(place(local))
    finish("moves", local)
    assert living(local, remote) == [local]


def test_what_was_removed_where_it_went_does_not_come_back(
    spec: ExperimentSpec, local: FolderStore, remote: BaseStore, fake: FakeAws
) -> None:
    create(spec, store=local.root)
    hand_over("moves", source=local, target=remote)
    prefix = remote.where().removeprefix("s3://bucket/")
    for key in list(fake.world.keys("bucket", prefix)):
        fake.client("s3").delete_object(Bucket="bucket", Key=key)
    finish("moves", local)
    assert not living(local, remote)


def test_only_the_other_machine_can_finish_what_goes_there(
    spec: ExperimentSpec, local: FolderStore, remote: BaseStore
) -> None:
    create(spec, store=local.root)
    hand_over("moves", source=local, target=remote)
    open_session(remote, "moves").move("elsewhere:/home/ada/.trialjob")
    with pytest.raises(MovedAway, match=r"`trialjob pull moves s3://.*` on elsewhere finishes it"):
        finish("moves", remote)


def test_local_trials_stay(local: FolderStore, remote: BaseStore, spec: ExperimentSpec) -> None:
    document = spec.document()
    document["backend"] = {"kind": "local"}
    estimator = document["estimator"]
    assert isinstance(estimator, dict)
    document["estimator"] = {key: estimator[key] for key in ("kind", "source_dir", "entry_point")}
    create(config.parse(document), store=local.root)
    with pytest.raises(UsageError, match=r"processes of this machine(.|\n)*trialjob report moves --store"):
        hand_over("moves", source=local, target=remote)
    assert living(local, remote) == [local]
    with pytest.raises(Exception, match=r"backend\.kind"):
        create(config.parse(document), store=remote.where())


@pytest.mark.usefixtures("fake")
def test_when_the_power_fails_at_most_one_folder_has_it_and_it_is_finished(
    spec: ExperimentSpec, tmp_path: Path
) -> None:
    root = tmp_path / "disk"
    code = create(spec, store=root / "here").state.bundle
    with ForgetfulDisk(root) as forgetful:
        here = FolderStore(root / "here", disk=forgetful.disk)
        there = FolderStore(root / "there", disk=forgetful.disk)
        while_it_ran = forgetful.during(lambda: hand_over("moves", source=here, target=there))
        for tree in forgetful.now():
            forgetful.fail(tree)
            assert living(here, there) == [there]
            assert there.bundle(ExperimentName("moves"), code)
        for tree in while_it_ran:
            forgetful.fail(tree)
            for store in (here, there):
                read_mended(store.journal(ExperimentName("moves")))
            assert len(living(here, there)) <= 1
            hand_over("moves", source=here, target=there)
            assert living(here, there) == [there]
            assert there.bundle(ExperimentName("moves"), code)


def test_what_jobs_left_goes_with_the_experiment_and_nothing_beside_it(
    spec: ExperimentSpec, local: FolderStore, fake: FakeAws
) -> None:
    session = create(spec, store=local.root)
    for key in ("tuning/moves/j-1/output/model.tar.gz", "tuning/moves-2/model.tar.gz"):
        fake.world.write("bucket", key, b"model")
    assert remove(local, session.name, artifacts=True) == [
        str(local.root / "moves"),
        "s3://bucket/tuning/moves (1 objects)",
    ]
    assert fake.world.keys("bucket", "tuning/") == ["tuning/moves-2/model.tar.gz"]
