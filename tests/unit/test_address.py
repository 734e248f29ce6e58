"""Addresses with a password in them: what is shown of one, wherever it is typed, and how it is called."""

from __future__ import annotations

import base64
import logging
import socket
import threading
from pathlib import Path

import pytest

from trialjob.apps.cli.errors import say
from trialjob.apps.cli.main import main
from trialjob.backends.sagemaker.price_feed import PriceFeed
from trialjob.call_log import CALLS, logged
from trialjob.config.notify import is_address
from trialjob.errors import BackendUnavailable, UsageError
from trialjob.model.address import basic, mask_address, shown_address
from trialjob.model.masking import mask, mask_shapes
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.reporting.notification import notice_of
from trialjob.reporting.notify import NotTold, post
from trialjob.reporting.optuna_study import OptunaStudy
from trialjob.served.client import Client
from trialjob.testing.histories import SPACE, History

#: As they are typed, with what of each must stay.
ADDRESSES = {
    "mysql://u:hunter2@host/db": "host/db",
    "mysql+pymysql://u:hunter2@host:3306/db": "host:3306/db",
    "postgresql://u:hun/ter2@host/db": "host/db",
    "postgresql://u:hun@ter2@host/db": "host/db",
    "postgresql://u:hun%40ter2@host/db?sslmode=require": "sslmode=require",
    "postgresql://host/db?user=u&password=hunter2": "host/db?user=u",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BUID%3Du%3BPWD%3Dhunter2": "mssql+pyodbc://",
    "redis://:hunter2@host:6379/0": "host:6379/0",
    "https://hunter2@host/path": "host/path",
    "https://u:hunter2@host:8443/path": "host:8443/path",
    "https://host/path#token=hunter2hunter2": "host/path",
    # A slash or more too few.
    "mysql:/u:hunter2@host/db": "host/db",
    "u:hunter2@host/db": "host/db",
}
#: In which nothing is secret, and nothing may be lost.
PLAIN = (
    "sqlite:///study.db",
    "sqlite:////data/a:b@c.db",
    "mysql://root@host/db",
    "http://127.0.0.1:5000/x@y",
    "https://host/path?user=a@b.org",
    "/data/study.journal",
    "s3://bucket/prefix",
    "file:///mlruns",
    "arn:aws:sagemaker:us-east-1:123456789012:mlflow-app/app-X",
)
LEAKS = ("hunter2", "ter2", "hun/", "hun@", "hun%40")


@pytest.mark.parametrize(("address", "stays"), ADDRESSES.items())
def test_an_address_is_shown_without_its_password(address: str, stays: str) -> None:
    for text in (shown_address(address), mask_address(f"cannot reach {address!r}: no", address)):
        assert stays in text
        assert not any(each in text for each in LEAKS), text


@pytest.mark.parametrize("address", PLAIN)
def test_an_address_without_one_stays(address: str) -> None:
    said = f"cannot reach {address}, it says"
    assert shown_address(address) == address
    assert mask_address(said, address) == mask(said) == said


def test_a_library_may_tear_it() -> None:
    address = "http://u:secret%40word/other@host:1/x"
    said = "nonnumeric port: 'secret@word/other@host' in u:secret%40word or word/other"
    assert mask_address("Failed to parse: 'secret%40word'", address) == "Failed to parse: '***'"
    assert "secret" not in mask_address(said, address)


@pytest.mark.parametrize(
    "address", [each for each in ADDRESSES if "://" in each and "https://h" not in each[:9]]
)
def test_text_of_which_nothing_is_known(address: str) -> None:
    for said in (f"OSError: {address} refused", f'{{"url": "{address}", "b": 1}}'):
        assert not any(each in mask_shapes(said) for each in LEAKS)
    assert '"b": 1' in mask_shapes(f'{{"url": "{address}", "b": 1}}')


def test_words_that_hold_a_secret_are_known_by_their_form() -> None:
    said = "{'Authorization': 'Bearer abc.def-0123', 'X': 'Basic dXNlcjpodW50ZXIy'} Basic configuration"
    assert mask_shapes(said) == "{'Authorization': 'Bearer ***', 'X': 'Basic ***'} Basic configuration"
    said = "estimator.environment.HF_TOKEN: names no secret\n    → export HF_TOKEN=…"
    assert mask_shapes(said) == said


# Wherever one is typed


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_command_repeats_it(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIALJOB_CONFIG", str(tmp_path / "config.toml"))
    history = History(trials=1, name="digits")
    journal = FolderStore(tmp_path / "store").journal(history.state().name)
    for record in history.records():
        journal.append(record.events, after=record.version - 1, at=record.at)
    store = ["--store", str(tmp_path / "store")]
    # Of a host that is there and takes no call, so that none waits for a name.
    here = address.replace("@host", "@127.0.0.1")
    for words in (
        ["export", "digits", "--optuna", here, *store],
        ["export", "digits", "--tensorboard", here, *store],
        ["list", "--store", here],
        ["login", here, "--token-stdin"],
        ["logout", here],
        ["config", "set", "store", here],
        ["config", "list"],
        ["config", "list", "--format", "json"],
    ):
        if words[0] == "login" and address.startswith("https") and "@" not in address:
            continue  # it is the form in which `serve` prints it
        main(words)
        out, err = capsys.readouterr()
        assert not any(each in out + err for each in LEAKS), (words, out, err)


def test_neither_does_python(tmp_path: Path) -> None:
    del tmp_path
    address = "mysqlx://u:hunter2@host/db"
    state = History(trials=1).state()
    with pytest.raises(UsageError, match=r"mysqlx://\*\*\*@host/db cannot be used"):
        OptunaStudy(address, state, SPACE)
    with pytest.raises(UsageError, match=r"https://\*\*\*@host.*has a password in it"):
        Client("https://u:hunter2@host")


def test_what_is_said_by_a_command_is_masked_whatever_it_comes_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say("error: Tunnel to http://u:hunter2@proxy:3128 failed")
    assert capsys.readouterr().err == "error: Tunnel to http://***@proxy:3128 failed\n"


def test_no_half_of_one_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger=CALLS.name)
    with pytest.raises(OSError, match="proxy"), logged("s3", "get_object", {"Key": "a"}):
        raise OSError(f"proxy http://user:{'hunter2' * 20}@proxy:3128 is away")
    assert "hunter2" not in caplog.text


# How it is called


def test_name_and_password_become_a_header() -> None:
    address, headers = basic("https://u%40x:p%3Aw@host:8443/hook?a=b")
    assert address == "https://host:8443/hook?a=b"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"u@x:p:w"
    assert basic("https://host/hook") == ("https://host/hook", {})


def test_a_webhook_with_a_password_is_posted_to() -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            line, _ = server.accept()
            with line:
                heard.append(line.recv(65536))
                line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"http://u:hunter2@127.0.0.1:{server.getsockname()[1]}/hook"
        assert is_address(address)
        post(notice_of(History(trials=1).state(), "here"), address, SystemClock())
        thread.join()
    told_by = base64.b64encode(b"u:hunter2")
    assert heard[0].startswith(b"POST /hook HTTP/1.1")
    assert b"Authorization: Basic " + told_by in heard[0]


def test_who_cannot_be_posted_to_is_told_without_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(NotTold) as caught:
        post(
            notice_of(History(trials=1).state(), "here"),
            f"http://u:hunter2@127.0.0.1:{port}/x",
            SystemClock(),
        )
    assert "hunter2" not in str(caught.value)


def test_a_mirror_of_prices_with_a_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(BackendUnavailable, match=rf"http://\*\*\*@127.0.0.1:{port}/region_index.json cannot"):
        PriceFeed(f"http://u:hunter2@127.0.0.1:{port}").regions()
