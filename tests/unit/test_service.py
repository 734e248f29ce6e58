"""`trialjob serve`: who is let in, what is told, and that what is asked for is done once."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from server_thread import TOKEN, ServerThread, code_in, spec, wait_for
from trialjob.apps.service.access import MOST_BYTES
from trialjob.apps.service.tickets import Tickets


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - what JSON holds
        return json.loads(self.body)


class Server(ServerThread):
    """One that is asked."""

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = TOKEN,
        raw: bytes | None = None,
        **headers: str,
    ) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=240)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token}")
        data = raw
        if body is not None:
            data, sent["content-type"] = json.dumps(body).encode(), "application/json"
        connection.request(method, path, body=data, headers=sent)
        answer = connection.getresponse()
        got = {name.lower(): value for name, value in answer.getheaders()}
        content = b"" if "event-stream" in got.get("content-type", "") else answer.read()
        connection.close()
        return Answer(status=answer.status, headers=got, body=content)

    def events(self, name: str, after: int, until: Callable[[bytes], bool], **headers: str) -> bytes:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=240)
        connection.request(
            "GET",
            f"/v1/experiments/{name}/events?after={after}",
            headers={"Authorization": f"Bearer {TOKEN}", **headers},
        )
        answer, text = connection.getresponse(), b""
        while not until(text):
            text += answer.readline()
        connection.close()
        return text


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return code_in(tmp_path / "code")


@pytest.fixture
def server(tmp_path: Path, code: Path) -> Iterator[Server]:
    made = Server(tmp_path / "store", code)
    yield made
    made.close()


def state_of(server: Server, name: str) -> str:
    return str(server.ask("GET", f"/v1/experiments/{name}").json()["state"])


# Who is let in


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::2]"])
def test_no_other_name_of_this_machine_is_answered_to(server: Server, host: str) -> None:
    assert server.ask("GET", "/v1/experiments", Host=host).status == 421
    assert server.ask("GET", "/", Host=host).status == 421


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://127.0.0.1:1"])
def test_no_other_page_may_ask(server: Server, origin: str) -> None:
    assert server.ask("GET", "/v1/experiments", Origin=origin).status == 403
    assert server.ask("POST", "/v1/experiments", {"spec": spec()}, Origin=origin).status == 403
    assert server.ask("GET", "/v1/experiments", Origin=f"http://127.0.0.1:{server.port}").status == 200


def test_a_body_has_a_bound(server: Server) -> None:
    large = b"[" + b" " * MOST_BYTES + b"]"
    assert server.ask("POST", "/v1/experiments", raw=large).status == 413
    assert server.ask("POST", "/v1/experiments", raw=b"[]", Content_Length="-1").status in (400, 413)


def test_a_ticket_opens_the_report_for_a_minute() -> None:
    now = [0.0]
    tickets = Tickets[str](lambda: now[0])
    ticket = tickets.new("a")
    assert tickets.opens(ticket) == "a"
    assert tickets.opens(ticket + "x") is None
    assert tickets.opens("") is None
    now[0] = 61.0
    assert tickets.opens(ticket) is None


# What is told and done


def test_an_experiment_from_its_spec_to_its_report(server: Server) -> None:
    planned = server.ask("POST", "/v1/plan", {"spec": spec()})
    assert planned.json()["max_trials"] == 2
    made = server.ask("POST", "/v1/experiments", {"spec": spec(), "name": "one"})
    assert (made.status, made.json(), made.headers["location"]) == (
        201,
        {"name": "one", "created": True},
        "/v1/experiments/one",
    )
    wait_for(lambda: state_of(server, "one") == "finished")
    results = server.ask("GET", "/v1/experiments/one/results").json()
    assert [row["status"] for row in results["trials"]] == ["completed", "completed"]
    assert results["best"]["score"] == min(row["score"] for row in results["trials"])
    listed = server.ask("GET", "/v1/experiments").json()
    assert [(each["name"], each["ended"]) for each in listed["items"]] == [("one", 2)]
    log = server.ask("GET", "/v1/experiments/one/trials/1/log").json()
    assert any("loss=" in line["text"] for line in log["lines"])
    more = server.ask("GET", f"/v1/experiments/one/trials/1/log?cursor={log['cursor']}").json()
    assert more["lines"] == []
    assert server.ask("GET", "/v1/experiments/one/results.csv").body.count(b"\n") == 3
    for part in ("", "/trials", "/limits/cost", "/spec", "/trials/1/log"):  # on one line, as `sed` reads it
        told = server.ask("GET", f"/v1/experiments/one{part}")
        assert told.body.decode() == json.dumps(told.json(), separators=(",", ":")), part
    path = server.ask("POST", "/v1/experiments/one/report-tickets").json()["path"]
    report = server.ask("GET", path, token=None)
    assert report.body.startswith(b"<!doctype html>")
    assert f"trialjob download one --best --store http://127.0.0.1:{server.port}".encode() in report.body
    assert "sandbox" in report.headers["content-security-policy"]


def test_what_has_not_changed_is_not_sent_again(server: Server) -> None:
    server.ask("POST", "/v1/experiments", {"spec": spec(), "name": "one"})
    wait_for(lambda: state_of(server, "one") == "finished")
    first = server.ask("GET", "/v1/experiments/one")
    again = server.ask("GET", "/v1/experiments/one", If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")


def test_events_come_once_each_also_after_a_broken_line(server: Server) -> None:
    server.ask("POST", "/v1/experiments", {"spec": spec(), "name": "one"})
    whole = server.events("one", 0, lambda text: b'"ExperimentEnded"' in text)
    ids = [int(each) for each in re.findall(rb"^id: (\d+)$", whole, re.MULTILINE)]
    assert ids == list(range(1, len(ids) + 1))
    for line in re.findall(rb"^data: (.*)$", whole, re.MULTILINE):
        json.loads(line)
    rest = server.events(
        "one", 0, lambda text: b'"ExperimentEnded"' in text, **{"Last-Event-ID": str(ids[2])}
    )
    assert [int(each) for each in re.findall(rb"^id: (\d+)$", rest, re.MULTILINE)] == ids[3:]


def test_a_mark_that_no_stream_has_is_none(server: Server) -> None:
    server.ask("POST", "/v1/experiments", {"spec": spec(), "name": "one"})
    long = "9" * 5000  # more digits than Python reads
    whole = server.events("one", 0, lambda text: b'"ExperimentEnded"' in text, **{"Last-Event-ID": long})
    assert b"id: 1\n" in whole
    for mark in (long, f"{long}:0", f"1:{long}"):
        answer = server.ask("GET", "/v1/experiments/one/trials/1/logs", Last_Event_ID=mark)
        assert (answer.status, b"no mark in this log" in answer.body) == (422, True)


def test_the_same_key_starts_it_once(server: Server) -> None:
    body = {"spec": spec()}
    answers: list[Answer] = []
    threads = [
        threading.Thread(
            target=lambda: answers.append(server.ask("POST", "/v1/experiments", body, Idempotency_Key="k"))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.status for each in answers) == [200] * 7 + [201]
    assert len({each.json()["name"] for each in answers}) == 1
    assert len(server.ask("GET", "/v1/experiments").json()["items"]) == 1
    other = server.ask(
        "POST", "/v1/experiments", {"spec": spec(sampler={"kind": "random", "seed": 7})}, Idempotency_Key="k"
    )
    assert (other.status, "another key" in other.json()["detail"]) == (409, True)


def test_stop_limits_and_resume(server: Server, code: Path) -> None:
    wait = code.with_name("wait")
    wait.touch()
    server.ask("POST", "/v1/experiments", {"spec": spec(wait=wait), "name": "one"})
    wait_for(lambda: bool(server.ask("GET", "/v1/experiments/one").json()["open"]))
    assert server.ask("POST", "/v1/experiments/one/stop").status == 202
    wait_for(lambda: state_of(server, "one") == "stopped")
    limits = server.ask("PATCH", "/v1/experiments/one/limits", {"max_trials": 5})
    assert limits.json()["max_trials"] == 5
    wait.unlink()
    assert server.ask("POST", "/v1/experiments/one/resume").status == 202


def test_nothing_unbounded_is_paid_for_by_accident(server: Server) -> None:
    paid = spec(backend={"kind": "local", "price_per_hour": 2.0})
    refused = server.ask("POST", "/v1/experiments", {"spec": paid, "name": "one"})
    assert refused.status == 409
    assert "accept_uncapped" in refused.json()["detail"]
    assert server.ask("GET", "/v1/experiments").json()["items"] == []
    accepted = server.ask("POST", "/v1/experiments", {"spec": paid, "name": "one", "accept_uncapped": True})
    assert accepted.status == 201


def test_errors_have_field_and_remedy(server: Server) -> None:
    wrong = server.ask("POST", "/v1/experiments", {"spec": spec(limits={"max_trial": 2})})
    assert (wrong.status, wrong.headers["content-type"]) == (422, "application/problem+json")
    fields = {each["field"]: each for each in wrong.json()["problems"]}
    assert "max_trials" in fields["limits.max_trial"]["remedy"]
    assert server.ask("GET", "/v1/experiments/gone").status == 404
    assert server.ask("GET", "/v1/experiments/..%2f..%2fetc").status == 404
    assert server.ask("GET", "/v1/nothing").status == 404
    assert server.ask("POST", "/v1/experiments", {"spec": spec(), "nome": "x"}).status == 422
    assert server.ask("POST", "/v1/experiments", {"spec": "a: [1"}).status == 422
    assert server.ask("POST", "/v1/plan", {"spec": spec(), "epoch_seconds": "soon"}).status == 409
    assert server.ask("POST", "/v1/experiments", raw=b"\xff").status == 422
    assert server.ask("GET", "/v1/experiments?limit=0").status == 422


def test_of_ten_thousand_problems_a_hundred_are_told(server: Server) -> None:
    limits = {"max_trials": 2, **{f"max_{n}": 1 for n in range(300)}}
    wrong = server.ask("POST", "/v1/plan", {"spec": spec(limits=limits)}).json()
    assert len(wrong["problems"]) == 100
    assert wrong["detail"].startswith("spec: 300 problems")
    assert wrong["detail"].endswith("… and 200 more")


def test_a_damaged_experiment_hides_no_other(server: Server, tmp_path: Path) -> None:
    for name in ("good", "bad"):
        server.ask("POST", "/v1/experiments", {"spec": spec(), "name": name})
        wait_for(lambda name=name: state_of(server, name) == "finished")  # type: ignore[misc]
    journal = next((tmp_path / "store").rglob("bad/journal.jsonl"))
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], b"{}\n", *lines[2:]]))
    fresh = Server(tmp_path / "store", tmp_path)
    try:
        listed = {each["name"]: each["state"] for each in fresh.ask("GET", "/v1/experiments").json()["items"]}
        assert listed == {"good": "finished", "bad": "unreadable"}
        assert fresh.ask("GET", "/v1/experiments/bad").status == 500
    finally:
        fresh.close()


def test_pages_of_the_list_have_each_once(server: Server) -> None:
    for name in ("a", "b", "c"):
        server.ask("POST", "/v1/experiments", {"spec": spec(limits={"max_trials": 1}), "name": name})
    seen, after = [], ""
    while True:
        page = server.ask("GET", f"/v1/experiments?limit=2&after={after}").json()
        seen += [each["name"] for each in page["items"]]
        if not (after := page["next"]):
            break
    assert seen == ["a", "b", "c"]


# The process


def started(store: Path, *words: str) -> tuple[subprocess.Popen[str], str, str]:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "trialjob",
            "serve",
            "--port",
            "0",
            "--no-browser",
            "--store",
            str(store),
            *words,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        address, _, token = process.stdout.readline().strip().partition("/#token=")
    return process, address, token


def ask(address: str, token: str, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    connection = HTTPConnection(address.removeprefix("http://"), timeout=240)
    headers = {"Authorization": f"Bearer {token}", "content-type": "application/json"}
    connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
    try:
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_server_that_ends_loses_and_doubles_nothing(
    tmp_path: Path, code: Path, how: signal.Signals
) -> None:
    store = tmp_path / "store"
    wait = tmp_path / "wait"
    wait.touch()
    first, address, token = started(store)
    ask(
        address,
        token,
        "POST",
        "/v1/experiments",
        {"spec": spec(wait=wait), "folder": str(code), "name": "one"},
    )
    wait_for(lambda: len(ask(address, token, "GET", "/v1/experiments/one")["open"]) == 2)
    first.send_signal(how)
    assert first.wait(240) == (-how if how is signal.SIGKILL else 0)
    second, address, token = started(store, "--resume")
    try:
        wait.unlink()
        wait_for(lambda: ask(address, token, "GET", "/v1/experiments/one")["state"] == "finished")
        trials = ask(address, token, "GET", "/v1/experiments/one/results")["trials"]
        assert [(row["status"], row["attempts"]) for row in trials] == [("completed", 1), ("completed", 1)]
    finally:
        second.terminate()
        second.wait(240)


def test_a_server_that_is_listened_to_ends_quietly(tmp_path: Path) -> None:
    words = ["-m", "trialjob", "serve", "--port", "0", "--no-browser", "--store", str(tmp_path)]
    with subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address, _, token = process.stdout.readline().strip().partition("/#token=")
        space = {"x": {"type": "uniform", "lower": 0, "upper": 1}}
        study = {"name": "s", "metric": "loss", "mode": "min", "space": space, "limits": {"max_trials": 1}}
        ask(address, token, "POST", "/v1/studies", study)
        page = HTTPConnection(address.removeprefix("http://"), timeout=240)
        page.request("GET", "/v1/experiments/s/events", headers={"Authorization": f"Bearer {token}"})
        with closing(page), page.getresponse() as heard:
            while not heard.readline().startswith(b"data:"):
                pass
            process.terminate()
            heard.read()  # to its end: what breaks off raises
        told = process.stderr.read()
    assert (process.returncode, told) == (0, "Ctrl-C ends the server; jobs run on\n")


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "trialjob", "serve", "--port", str(port), "--store", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    assert done.returncode == 2
    assert "--port" in done.stderr


def test_a_study_that_is_named_is_started_once_by_its_key(server: Server) -> None:
    space = {"x": {"type": "uniform", "lower": 0, "upper": 1}}
    study = {"name": "s", "metric": "loss", "mode": "min", "space": space, "limits": {"max_trials": 1}}
    answers = [
        server.ask("POST", "/v1/studies", body, Idempotency_Key=key)
        for body, key in ((study, "k"), (study, "k"), ({**study, "mode": "max"}, "k"), (study, "other"))
    ]
    assert [each.status for each in answers] == [201, 200, 409, 409]
    assert answers[1].json() == {"name": "s", "created": False}
    assert "another request" in answers[3].json()["detail"]


# What nobody meant

JSON = {"Content_Type": "application/json"}


@pytest.mark.parametrize("objective", [5, "loss", True, [["metric", "loss"]]])
def test_an_objective_of_a_study_that_is_none_is_refused(server: Server, objective: object) -> None:
    told = {"metric": "loss", "mode": "min", "objective": objective, "space": {}, "limits": {"max_trials": 1}}
    wrong = server.ask("POST", "/v1/studies", told)
    assert wrong.status == 422
    assert "objective" in {each["field"] for each in wrong.json()["problems"]}


def test_a_report_has_numbers_and_nothing_that_is_read_as_one(server: Server) -> None:
    space = {"x": {"type": "uniform", "lower": 0, "upper": 1}}
    study = {"name": "s", "metric": "loss", "mode": "min", "space": space, "limits": {"max_trials": 1}}
    assert server.ask("POST", "/v1/studies", study).status == 201
    server.ask("POST", "/v1/studies/s/suggestions", {"client_id": "a"})
    path = "/v1/studies/s/trials/1/reports"
    for value in (b'"1_0"', b"true", b'" 1 "', b"null", b"1" + b"0" * 400, b'"inf"'):
        for report in (b'{"step": 1, "metrics": {"loss": %s}}', b'{"step": %s, "metrics": {"loss": 1}}'):
            assert server.ask("POST", path, raw=report % value, **JSON).status == 422, value
    for name in (b"", b"\\ud800", b"m" * 1001):
        body = b'{"step": 1, "metrics": {"%s": 1}}' % name
        assert server.ask("POST", path, raw=body, **JSON).status == 422, name[:9]
    for step, number in enumerate((b"NaN", b'"NaN"', b'"-Infinity"', b"2", b"-0.0", b"2.5e0"), start=1):
        body = b'{"step": %d, "metrics": {"loss": 1, "other": %s}}' % (step, number)
        assert server.ask("POST", path, raw=body, **JSON).status == 200, number
    done = server.ask("POST", "/v1/studies/s/trials/1/complete", {"step": 7, "metrics": {"loss": 0.25}})
    assert done.json()["score"] == 0.25


@pytest.mark.parametrize(
    "asked",
    [{"epochs": 1e308}, {"epochs": 1e-308}, {"epochs": "inf"}, {"epochs": 9, "epoch_seconds": 1e308}],
)
def test_a_plan_of_what_no_training_takes_is_refused(server: Server, asked: dict[str, Any]) -> None:
    refused = server.ask("POST", "/v1/plan", {"spec": spec(), "epoch_seconds": 1, **asked})
    assert refused.status == 409
    assert "from 1e-06 to 1e+09" in refused.json()["detail"]


@pytest.mark.parametrize("folder", [b"\\u0000", b"\\ud800", b"a" * 5000])
def test_a_folder_that_no_system_names_is_refused(server: Server, folder: bytes) -> None:
    body = b'{"spec": {}, "folder": "%s"}' % folder
    refused = server.ask("POST", "/v1/plan", raw=body, **JSON)
    assert [each["field"] for each in refused.json()["problems"]] == ["body.folder"]


@pytest.mark.parametrize("condition", ["If_Match", "If_None_Match", "If_Unmodified_Since"])
def test_no_change_pretends_to_have_looked_at_a_condition(server: Server, condition: str) -> None:
    server.ask("POST", "/v1/experiments", {"spec": spec(), "name": "one"})
    sent: dict[str, Any] = {condition: 'W/"1"'}
    refused = server.ask("PATCH", "/v1/experiments/one/limits", {"max_trials": 9}, **sent)
    assert (refused.status, refused.headers["content-type"]) == (412, "application/problem+json")
    assert server.ask("TRACE", "/v1/experiments/one", **sent).status == 405
    assert server.ask("GET", "/v1/experiments/one").json()["max_trials"] == 2
