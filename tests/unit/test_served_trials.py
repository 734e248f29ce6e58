"""What a trial prints and leaves behind, as a server gives it out: each byte once, and its own only."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import quote

import pytest

from server_thread import TOKEN, ServerThread, spec, wait_for
from trialjob import Client, SpecError, UsageError
from trialjob.apps.cli.main import main
from trialjob.errors import NoSuchExperiment
from trialjob.served import logins
from trialjob.served.sent_events import sent_events

#: More than one answer has, with what breaks a line of an event, and a progress bar.
PRINTED = 10_100
SCRIPT = f"""
import os, pathlib, sys, time
model, output = (pathlib.Path(os.environ[name]) for name in ("SM_MODEL_DIR", "SM_OUTPUT_DATA_DIR"))
print("data: no event\\n\\nid: 7\\n\\n", "10%\\r20%", "\\u2028ä", sep="\\n")
for number in range({PRINTED}):
    print(number)
(model / "deep er").mkdir()
(model / "deep er" / "wei#ghts?.bin").write_bytes(bytes(range(256)) * 9000)
(model / "none").touch()
if sys.platform == "linux":  # others take no such name
    (model / os.fsdecode(b"w\\xff.bin")).write_text("no text")
(output / "told.txt").write_text("told")
(output / "out").symlink_to("/etc/hostname")
print("loss=1", flush=True)
while os.path.exists(os.environ.get("WAIT", "")):
    time.sleep(0.05)
print("the last")
"""
WEIGHTS = bytes(range(256)) * 9000


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerThread]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.py").write_text(SCRIPT)
    made = ServerThread(tmp_path / "store", code)
    logins.keep(address(made), TOKEN)
    yield made
    made.close()


def address(server: ServerThread) -> str:
    return f"http://127.0.0.1:{server.port}"


def begun(server: ServerThread, wait: Path | None = None) -> Client:
    """One trial of an experiment named one."""
    server.experiments.start(
        spec(wait=wait, limits={"max_trials": 1}), None, name="one", key="", uncapped=False
    )
    return Client(address(server))


def get(server: ServerThread, path: str, **headers: str) -> tuple[HTTPConnection, HTTPResponse]:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=240)
    told = {
        "Authorization": f"Bearer {TOKEN}",
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }
    connection.request("GET", f"/v1/experiments/one/trials/{path}", headers=told)
    return connection, connection.getresponse()


def events(server: ServerThread, path: str, **headers: str) -> list[tuple[str, list[str]]]:
    """The marks of a stream with the lines of each, to its end."""
    connection, answer = get(server, path, **headers)
    assert answer.status == 200, answer.read()
    found = [
        (each.id, [line["text"] for line in json.loads(each.data)["lines"]] if each.kind == "lines" else [])
        for each in sent_events(answer)
    ]
    connection.close()
    return found


def flat(found: list[tuple[str, list[str]]]) -> list[str]:
    return [line for _, lines in found for line in lines]


def test_a_log_comes_live_and_each_line_once(
    server: ServerThread, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wait = tmp_path / "wait"
    wait.touch()
    client = begun(server, wait)
    wait_for(lambda: bool(client.get("one")["open"]) and bool(client.get("one")["open"][0]["attempts"]))
    heard: list[str] = []
    told = threading.Thread(target=lambda: heard.extend(client.log("one", 1, follow=True)))
    told.start()
    wait_for(lambda: "loss=1" in heard)  # while it still runs
    assert "the last" not in heard
    wait.unlink()
    told.join(240)
    whole = [*client.log("one", 1)]
    assert heard == whole
    assert whole[-1] == "the last"
    assert [line for line in whole if line.isdecimal()] == [*map(str, range(PRINTED))]

    found = events(server, "1/logs")
    assert flat(found) == whole
    assert len(found) > 2
    for place, (mark, _) in enumerate(found):
        assert flat(events(server, "1/logs", Last_Event_ID=mark)) == flat(found[place + 1 :])
    cursor = found[0][0].partition(":")[2]
    assert flat(events(server, "1/logs", Last_Event_ID=cursor)) == flat(found[1:])
    assert flat(events(server, f"1/logs?attempt=1&cursor={quote(cursor)}")) == flat(found[1:])

    assert main(["logs", "one", "1", "-f", "--store", address(server)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "the last"


def test_no_mark_and_no_attempt(server: ServerThread) -> None:
    client = begun(server)
    wait_for(lambda: client.get("one")["state"] == "finished")
    for path in ("1/logs?cursor=soon", "1/log?cursor=soon", "1/log?cursor=-1"):
        connection, answer = get(server, path)
        assert answer.status == 422, path
        assert json.loads(answer.read())["problems"][0]["field"] == "cursor"
        connection.close()
    for path in ("2/logs", "0/logs", "1/logs?attempt=2", "1/artifacts?attempt=2", "1/artifacts/model?path=x"):
        connection, answer = get(server, path)
        assert answer.status == 404, path
        connection.close()
    with pytest.raises(NoSuchExperiment):
        next(client.follow("one", 3, 1))
    with pytest.raises(SpecError):
        client.lines("one", 1, 1, "soon")


def test_what_a_trial_left_is_brought_and_nothing_else(
    server: ServerThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wait = tmp_path / "wait"
    wait.touch()
    client = begun(server, wait)
    wait_for(lambda: any("loss=1" in line for line in _log(client)))
    connection, answer = get(server, "1/artifacts")
    assert (answer.status, b"has not ended" in answer.read()) == (409, True)
    connection.close()
    wait.unlink()
    wait_for(lambda: client.get("one")["state"] == "finished")

    monkeypatch.chdir(tmp_path)
    assert main(["download", "one", "--logs", "--store", address(server)]) == 0
    capsys.readouterr()
    folder = tmp_path / "one" / "trial-0001"
    assert (folder / "model" / "deep er" / "wei#ghts?.bin").read_bytes() == WEIGHTS
    assert (folder / "model" / "none").read_bytes() == b""
    if sys.platform == "linux":
        assert (folder / "model" / "w\\xff.bin").read_text() == "no text"
    assert [path.name for path in (folder / "output").iterdir()] == ["told.txt"]
    assert "the last" in (folder / "log-1.txt").read_text()
    (row,) = client.results("one").trials
    assert row.artifact == f"{address(server)}/v1/experiments/one/trials/1/artifacts/model?attempt=1"
    best = client.results("one").best_model(tmp_path / "best")
    assert (best / "deep er" / "wei#ghts?.bin").read_bytes() == WEIGHTS

    path = quote("deep er/wei#ghts?.bin", safe="")
    for given, (status, data) in {
        "": (200, WEIGHTS),
        "bytes=0-9": (206, WEIGHTS[:10]),
        "bytes=2303990-": (206, WEIGHTS[-10:]),
        "bytes=2303990-99999999": (206, WEIGHTS[-10:]),
        "bytes=2304000-": (416, b""),
        "bytes=9-2": (416, b""),
        "bytes=0-1,4-5": (200, WEIGHTS),
        "lines=1-2": (200, WEIGHTS),
    }.items():
        connection, answer = get(server, f"1/artifacts/model?path={path}", Range=given)
        assert (answer.status, answer.read()) == (status, data), given
        assert re.fullmatch(r"attachment; filename\*=UTF-8''[\w%.]+", answer.headers["content-disposition"])
        connection.close()
    connection, answer = get(server, f"1/artifacts/model?path={path}", Range="bytes=1-", If_Range='"older"')
    assert (answer.status, answer.read()) == (200, WEIGHTS)
    connection.close()
    for wrong in ("../output/told.txt", "/etc/passwd", "out", "deep er", "", "deep er/../none", "none\0"):
        for part in ("model", "output", "..", "secret"):
            connection, answer = get(server, f"1/artifacts/{part}?path={quote(wrong, safe='')}")
            assert answer.status == 404, (part, wrong)
            connection.close()


def _log(client: Client) -> list[str]:
    try:
        return [*client.log("one", 1)]
    except (NoSuchExperiment, UsageError):
        return []


def test_what_is_no_whole_event_is_none() -> None:
    text = b": alive\n\nid: 1:5\nevent: lines\ndata: {}\n\nretry: 3\n\nid: 1:9\nevent: lines\ndata: {"
    assert [(each.kind, each.id, each.data) for each in sent_events(text.splitlines(keepends=True))] == [
        ("lines", "1:5", "{}")
    ]
