"""An experiment that has ended tells it, once, whoever stepped it and whatever fails meanwhile."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from trialjob import config, experiment
from trialjob.errors import SpecError, StoreUnavailable
from trialjob.experiment import Session
from trialjob.model.ids import ExperimentName
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.events import Event, NoticeFailed, NoticeSent, Record
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.orchestrator.journals.jsonl import JsonlJournal
from trialjob.planning.planner import Asked, plan
from trialjob.reporting.notification import STEPS, notice_of
from trialjob.testing.fake_aws import FakeAws

SCRIPT = "echo acc=0.$TRIALJOB_TRIAL\n"


class Webhook:
    """A receiver that answers with one status after the other, and then with 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.bodies: list[dict[str, object]] = []
        self.keys: list[str | None] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = hook.statuses.pop(0) if hook.statuses else 200
                if status == 200:
                    hook.bodies.append(body)
                    hook.keys.append(self.headers["Idempotency-Key"])
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?secret=42"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def hook() -> Iterator[Webhook]:
    hook = Webhook()
    yield hook
    hook.stop()


def spec_of(folder: Path, notify: dict[str, str] | None) -> config.ExperimentSpec:
    (folder / "train.sh").write_text(SCRIPT)
    document: dict[str, object] = {
        "name": "told",
        "estimator": {"kind": "script", "source_dir": ".", "entry_point": "train.sh"},
        "space": {"x": {"type": "uniform", "lower": 0, "upper": 1}},
        "objective": {"metric": "acc", "mode": "max"},
        "metrics": [{"name": "acc", "regex": "acc=({number})"}],
        "limits": {"max_trials": 2, "max_concurrent_trials": 2},
    }
    return config.parse({**document, **({"notify": notify} if notify else {})}, base=folder)  # type: ignore[dict-item]


def run(folder: Path, notify: dict[str, str] | None) -> Session:
    (folder / "code").mkdir()
    session = experiment.create(spec_of(folder / "code", notify), store=folder / "store")
    assert session.run(lambda _state, _events: None).phase is Phase.ENDED
    return session


def test_a_rehearsal_is_told_to_no_one(tmp_path: Path, hook: Webhook) -> None:
    spec = spec_of(tmp_path, {"webhook": hook.url})
    assert plan(spec, Asked(rehearse=True), store=tmp_path / "store").written.case.epochs.seconds
    assert not hook.bodies


def notices(session: Session) -> list[NoticeSent | NoticeFailed]:
    return list(session.refresh().notices)


def test_a_webhook_is_told_once(tmp_path: Path, hook: Webhook) -> None:
    session = run(tmp_path, {"webhook": hook.url})
    (body,) = hook.bodies
    assert hook.keys == [body["id"]]
    assert body["experiment"] == "told"
    assert body["state"] == "finished"
    assert body["counts"] == {"completed": 2}
    assert "best: trial 2, acc 0.2" in str(body["text"])
    assert session.is_over
    assert not session.unsent
    # Whoever comes later has nothing to tell.
    again = experiment.attach("told", store=tmp_path / "store")
    again.step(lambda _state, _events: None)
    assert len(hook.bodies) == 1
    # A second end is another one.
    again.reopen()
    again.run(lambda _state, _events: None)
    assert [each["experiment"] for each in hook.bodies] == ["told", "told"]
    assert hook.bodies[0]["id"] != hook.bodies[1]["id"]


def test_a_topic_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeAws() as aws:
        for name, value in aws.env.items():
            monkeypatch.setenv(name, value)
        fifo = {"FifoTopic": "true", "ContentBasedDeduplication": "false"}
        kinds: tuple[tuple[str, dict[str, str]], ...] = (("plain", {}), ("ordered.fifo", fifo))
        for name, attributes in kinds:
            (folder := tmp_path / name).mkdir()
            topic = aws.client("sns").create_topic(Name=name, Attributes=attributes)["TopicArn"]
            session = run(folder, {"sns": topic})
            assert notices(session) == [NoticeSent(to="sns", end=session.state.end_version)]
        sent = {topic: message for topic, found in _topics().items() for message in found}
        assert {topic.rpartition(":")[2] for topic in sent} == {"plain", "ordered.fifo"}
        for _id, text, subject, told, _group in sent.values():
            assert subject == "told finished: acc 0.2"
            assert text.startswith("told finished: all 2 trials")
            assert told["state"]["Value"] == "finished"
            assert str(told["id"]["Value"]).startswith("told-")


def _topics() -> dict[str, list[Any]]:
    """What moto has been given, by topic."""
    from moto.backends import get_backend  # noqa: PLC0415 - heavy

    topics = get_backend("sns")["123456789012"]["us-east-1"].topics
    return {arn: list(topic.sent_notifications) for arn, topic in topics.items()}


@pytest.mark.parametrize("status", [503, 404, 302])
def test_who_cannot_be_told_is_tried_again_and_given_up(tmp_path: Path, hook: Webhook, status: int) -> None:
    hook.statuses = [status] * 1000
    session = run(tmp_path, {"webhook": hook.url})
    assert session.state.phase is Phase.ENDED
    assert session.unsent == f"notify.webhook could not be told that it ended: HTTP {status}"
    assert "secret" not in repr(notices(session))
    for _ in range(STEPS + 2):
        session.step(lambda _state, _events: None)
    assert len(notices(session)) == STEPS
    assert session.is_over
    assert session.notices() == [session.unsent]


def test_a_receiver_that_comes_back_is_told(tmp_path: Path, hook: Webhook) -> None:
    hook.statuses = [500] * 3
    session = run(tmp_path, {"webhook": hook.url})
    assert not hook.bodies
    assert not session.is_over
    session.step(lambda _state, _events: None)
    assert len(hook.bodies) == 1
    assert [type(each) for each in notices(session)] == [NoticeFailed, NoticeSent]
    assert session.notices() == []


def test_nobody_there(tmp_path: Path, hook: Webhook) -> None:
    hook.stop()
    session = run(tmp_path, {"webhook": hook.url})
    (failed,) = notices(session)
    assert isinstance(failed, NoticeFailed)
    assert "refused" in failed.problem


class Dies(Exception):
    """The process is gone."""


@dataclass
class Breaking(FolderStore):
    """A folder whose journals fail before they have kept that somebody was told."""

    root: Path
    error: type[Exception]

    def journal(self, name: ExperimentName) -> JsonlJournal:
        error = self.error

        class BreakingJournal(JsonlJournal):
            def append(self, events: Sequence[Event], *, after: int, at: float) -> Record:
                if any(isinstance(event, NoticeSent) for event in events):
                    raise error
                return super().append(events, after=after, at=at)

        return BreakingJournal(self.folder(name))


@pytest.mark.parametrize("error", [Dies, StoreUnavailable])
def test_broken_off_before_it_is_journaled_it_is_told_again_under_the_same_id(
    tmp_path: Path, hook: Webhook, error: type[Exception]
) -> None:
    (tmp_path / "code").mkdir()
    experiment.create(spec_of(tmp_path / "code", {"webhook": hook.url}), store=tmp_path / "store")
    session = experiment.open_session(Breaking(tmp_path / "store", error), "told")
    with pytest.raises(Dies) if error is Dies else nullcontext():
        session.run(lambda _state, _events: None)
    later = experiment.attach("told", store=tmp_path / "store")
    assert later.state.phase is Phase.ENDED
    assert not later.is_over
    later.step(lambda _state, _events: None)
    assert later.is_over
    assert len(hook.keys) == 2
    assert len(set(hook.keys)) == 1


def test_without_notify_nothing_is_journaled(tmp_path: Path) -> None:
    session = run(tmp_path, None)
    assert notices(session) == []
    assert session.is_over


def test_another_experiment_of_the_name_has_other_notices(tmp_path: Path) -> None:
    """Or who drops repetitions by the id would drop its first."""
    state = run(tmp_path, None).state
    later = replace(state, created_at=state.created_at + 1.0)
    assert notice_of(state, "here").id == notice_of(state, "there").id != notice_of(later, "here").id


@pytest.mark.parametrize(
    ("notify", "problem"),
    [
        ({}, "notify: names no receiver"),
        ({"sns": "tuning"}, 'notify.sns: "tuning" is no topic'),
        ({"webhook": "file:///etc/passwd"}, "notify.webhook: "),
        ({"webhook": "https://"}, "notify.webhook: "),
        ({"webhook": "http://[::1"}, "notify.webhook: "),
        ({"mail": "ada@example.com"}, "notify.mail: is not known here"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, notify: dict[str, str], problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        spec_of(tmp_path, notify or {"sns": None})  # type: ignore[dict-item]
    assert problem in str(caught.value)


def test_it_can_be_set_from_the_command_line() -> None:
    path = Path(__file__).parents[2] / "examples" / "shell" / "sweep.yaml"
    spec = config.load(path, overrides=["notify.webhook=https://example.com/x", "mlflow.experiment=y"])
    assert spec.notify is not None
    assert spec.notify.webhook == "https://example.com/x"
    with pytest.raises(SpecError, match="did you mean 'webhook'"):
        config.load(path, overrides=["notify.webhok=https://example.com/x"])
