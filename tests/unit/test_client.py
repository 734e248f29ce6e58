"""A server as other machines reach it: `trialjob.Client`, `trialjob login`, and ``--store https://…``."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripted_server import HUNG_UP, Hurried, Script, fine, problem, scripted_server
from server_thread import TOKEN, ServerThread, code_in, spec, wait_for
from trialjob import Client, SpecError, UsageError, experiment
from trialjob.apps.cli.main import main
from trialjob.config import ExperimentSpec
from trialjob.errors import NoSuchExperiment, StoreUnavailable
from trialjob.experiment.served import ServedSession
from trialjob.model.json import Json
from trialjob.served import logins
from trialjob.served.address import normal
from trialjob.served.http_client import HttpClient


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return code_in(tmp_path / "code")


@pytest.fixture
def server(tmp_path: Path, code: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerThread]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    made = ServerThread(tmp_path / "store", code)
    logins.keep(address(made), TOKEN)
    yield made
    made.close()


def address(server: ServerThread) -> str:
    return f"http://127.0.0.1:{server.port}"


def spec_file(code: Path, **changes: Any) -> Path:  # noqa: ANN401 - as ``spec``
    path = code / "sweep.json"
    path.write_text(json.dumps(spec(**changes)))
    return path


# Python


def test_an_experiment_from_its_spec_to_its_results(server: ServerThread, code: Path) -> None:
    client = Client(address(server))
    assert client.me()["role"] == "admin"
    assert client.plan(spec_file(code))["max_trials"] == 2
    name = client.start(spec(), code=code, key="monday")
    assert client.start(spec(), code=code, key="monday") == name
    kinds = [event["type"] for record in client.events(name) for event in record["events"]]
    assert (kinds[0], "ExperimentEnded" in kinds) == ("ExperimentCreated", True)
    assert [each["name"] for each in client.experiments()] == [name]
    result = client.results(name)
    assert [row.score for row in result.trials] == [row.metrics["loss"].last for row in result.trials]
    assert client.get(name)["best"]["score"] == result.best.score
    assert any(line.startswith("loss=") for line in client.log(name, 1, follow=True))
    assert list(client.events(name, after=client.get(name)["version"])) == []


def test_limits_stop_resume_and_remove(server: ServerThread, code: Path, tmp_path: Path) -> None:
    wait = tmp_path / "wait"
    wait.touch()
    client = Client(address(server), TOKEN)
    name = client.start(spec(wait=wait), code=code, name="one")
    wait_for(lambda: len(client.get(name)["open"]) == 2)
    with pytest.raises(UsageError, match="one"):
        client.remove(name)
    client.stop(name)
    wait_for(lambda: client.get(name)["state"] == "stopped")
    assert client.set_limits(name, max_trials=5)["max_trials"] == 5
    client.remove(name)
    with pytest.raises(NoSuchExperiment, match="one"):
        client.get(name)


def test_a_study_is_asked_and_told(server: ServerThread) -> None:
    client = Client(address(server))
    told: dict[str, Json] = {
        "name": "asked",
        "metric": "loss",
        "mode": "min",
        "space": {"rate": {"type": "uniform", "lower": 0, "upper": 1}},
        "limits": {"max_trials": 2, "max_concurrent_trials": 1},
    }
    study = client.create_study(told, key="k")
    assert client.create_study(told, key="k").name == study.name == client.study("asked").name
    first = study.suggest("ann").trials[0]
    assert study.suggest("ann").trials == [first]
    assert study.report(first.trial, "ann", step=1, loss=0.5) is False
    assert study.complete(first.trial, "ann")["score"] == 0.5
    second = study.suggest("ann").trials[0]
    assert study.fail(second.trial, "ann", "no data")["status"] == "failed"
    assert study.suggest("ann").over


def test_what_is_wrong_is_our_own_error(server: ServerThread, code: Path) -> None:
    client = Client(address(server))
    with pytest.raises(SpecError) as wrong:
        client.start(spec(limits={"max_trial": 2}), code=code)
    assert "max_trials" in {each.field: each.remedy for each in wrong.value.problems}["limits.max_trial"]
    with pytest.raises(NoSuchExperiment, match="gone") as missing:
        client.get("gone")
    assert str(missing.value).endswith(f"\n  → trialjob list --store {address(server)}")
    with pytest.raises(UsageError, match="'5': it is no address of a server"):
        Client(5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="trialjob login"):
        Client(address(server), "trialjob_wrong").me()
    with pytest.raises(UsageError, match="is no server of trialjob's"):
        Client(f"{address(server)}/elsewhere", TOKEN).me()
    client.start(spec(), code=code, name="one")
    with pytest.raises(UsageError, match="one exists"):
        client.start(spec(), code=code, name="one")
    with pytest.raises(UsageError, match="accept_uncapped"):
        client.start(spec(backend={"kind": "local", "price_per_hour": 1.0}), code=code)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no address"),
        ("tuning.example.com", "no address"),
        ("http://tuning.example.com", "unencrypted"),
        ("http://127.0.0.1.evil.example", "unencrypted"),
        ("https://ann:secret@tuning.example.com", "password"),
        ("https://tuning.example.com/#token=x", "behind the address"),
        ("https://tuning.example.com:port", "port"),
    ],
)
def test_addresses_that_are_none(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Client(text, "token")
    if "://" in text:
        with pytest.raises(UsageError, match=why):
            experiment.open_store(text)


def test_one_server_has_one_address() -> None:
    assert {
        normal(text) for text in ("https://A.example/", "HTTPS://a.example:443", " https://a.example")
    } == {"https://a.example"}
    assert normal("http://[::1]:8765/") == "http://[::1]:8765"


# What the line does


@pytest.fixture
def scripted() -> Iterator[tuple[str, type[Script]]]:
    with scripted_server() as made:
        yield made


def test_a_lost_answer_is_asked_for_again_where_that_is_harmless(scripted: Any) -> None:  # noqa: ANN401 - a fixture
    where, script = scripted
    clock = Hurried()
    client = Client(where, "token", clock=clock)
    script.answers[:] = [HUNG_UP, problem(503, "later", **{"retry-after": "5"}), fine({"name": "x"})]
    client.create_study({"space": {}})
    keys = {key for _, _, key in script.asked}
    assert (len(script.asked), len(keys), "" in keys) == (3, 1, False)
    assert clock.slept == [0.2, 5.0]
    script.answers[:] = [HUNG_UP]
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        client.resume("x")
    script.answers[:] = [problem(429, "too many"), fine({})]
    client.resume("x")
    script.answers[:] = [problem(503, "the store is away")]
    with pytest.raises(StoreUnavailable, match="the store is away"):
        client.resume("x")
    assert script.answers == []


def test_the_token_goes_nowhere_else(scripted: Any) -> None:  # noqa: ANN401 - a fixture
    where, script = scripted
    script.answers[:] = [(302, {"location": f"{where}/v1/elsewhere"}, b"")]
    with pytest.raises(UsageError, match="points to"):
        Client(where, "token").me()
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((404, {"content-type": "text/html"}, b"<h1>nginx"), UsageError, "is no server of trialjob's"),
        ((200, {"content-type": "text/html"}, b"<h1>nginx"), UsageError, "no JSON"),
        ((200, {"content-type": "application/json"}, b"[]"), UsageError, "is no server of trialjob's"),
        (problem(403, "this needs the role submit"), UsageError, "role submit"),
        (problem(413, "more than 64 MB"), UsageError, "64 MB"),
        ((502, {}, b""), StoreUnavailable, "behind it"),
        ((422, {"content-type": "application/problem+json"}, b"{"), UsageError, "422"),
    ],
)
def test_other_answers(scripted: Any, answer: Any, error: type[Exception], words: str) -> None:  # noqa: ANN401 - as above
    where, script = scripted
    script.answers[:] = [answer] * 6  # as often as it is asked again
    with pytest.raises(error, match=words):
        Client(where, "token", clock=Hurried()).me()


def test_nobody_listens() -> None:
    clock = Hurried()
    with pytest.raises(StoreUnavailable, match="check that the server runs"):
        HttpClient("http://127.0.0.1:9", clock, "token").ask("GET", "/v1/me")
    assert len(clock.slept) == 5


# The commands


def test_every_command_on_a_server(
    server: ServerThread,
    code: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRIALJOB_STORE", address(server))
    monkeypatch.chdir(tmp_path)
    path = str(spec_file(code))
    assert main(["run", path, "--name", "one"]) == 0
    capsys.readouterr()
    for words, shown in {
        ("list", "--format", "json"): '"one"',
        ("status", "one"): "finished",
        ("status", "one", "--format", "json"): address(server),
        ("results", "one"): "best",
        ("results", "one", "--format", "csv"): "completed",
        ("logs", "one", "1", "--follow"): "loss=",
        ("report", "one"): "one.html",
        ("watch", "one"): "finished",
        ("stop", "one"): "has ended already",
        ("plan", path): "2 trials",
        ("resume", "one", path, "--set", "limits.max_trials=3"): "all 3 trials",
    }.items():
        assert main([*words]) == 0, words
        assert shown in capsys.readouterr().out, words
    assert (tmp_path / "one.html").read_text().startswith("<!doctype html>")
    assert Client().report_html("one").startswith("<!doctype html>")
    for words, why in {
        ("step", "one"): "whose server runs one",
        ("push", "one", str(tmp_path / "other")): "nothing moves",
        ("audit",): "audit cannot look through",
        ("tenant", "list"): "tenants and tokens cannot",
        ("serve",): "is a server already",
        ("rm", "one", "--yes", "--artifacts"): "--artifacts is not for",
    }.items():
        assert main([*words]) == 2, words
        assert why in capsys.readouterr().err, words
    assert main(["resume", "one", "--detach"]) == 0
    assert "the server runs it" in capsys.readouterr().out
    assert main(["watch", "one"]) == 0
    assert main(["rm", "one", "--yes"]) == 0
    assert main(["status", "one"]) == 2
    assert "no experiment named 'one'" in capsys.readouterr().err


def test_a_list_is_one_request_and_says_what_a_list_of_the_store_says(
    server: ServerThread,
    scripted: Any,  # noqa: ANN401 - a fixture
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.runner.close()  # nothing runs, so all stays as it is
    for name in ("one", "two", "bad"):
        server.experiments.start(spec(), None, name=name, key="", uncapped=False)
    journal = next((tmp_path / "store").rglob("bad/journal.jsonl"))
    journal.write_bytes(b"none\n\n" + journal.read_bytes())
    said = {}
    for store in (str(tmp_path / "store"), address(server)):
        for form in ("table", "json"):
            assert main(["list", "--format", form, "--store", store]) == 0
            said[form, store == address(server)] = capsys.readouterr().out
    assert json.loads(said["json", True]) == json.loads(said["json", False])
    assert said["table", True] == said["table", False]
    assert "one" in said["table", True]
    where, script = scripted
    monkeypatch.setattr(logins, "token_of", lambda _address: "token")
    script.answers[:] = [fine({"items": json.loads(said["json", True])["experiments"], "next": ""})]
    assert main(["list", "--store", where]) == 0
    assert (capsys.readouterr().out, len(script.asked)) == (said["table", True], 1)


def test_a_plan_through_a_server_says_what_the_budget_has_for_it(
    scripted: Any,  # noqa: ANN401 - a fixture
    code: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where, script = scripted
    monkeypatch.setattr(logins, "token_of", lambda _address: "token")
    room = {
        "name": "red",
        "month": "2026-12",
        "budget": 500.0,
        "spent": 60.0,
        "held": 40.0,
        "free": 400.0,
        "max_concurrent": 16,
        "jobs": 4,
        "allow": [],
        "refusals": ["max_cost of $900.00 does not fit"],
    }
    path = str(spec_file(code))
    script.answers[:] = [fine({"tenant": "red", "role": "submit"}), fine({"tenant": room})]
    assert main(["plan", path, "--store", where]) == 0
    said = capsys.readouterr().out
    assert "budget      of red: $400.00 of $500.00 are free in 2026-12, and 12 of 16 jobs\n" in said
    assert "REFUSED     max_cost of $900.00 does not fit\n" in said
    for tenant, role in (("red", "read"), ("", "admin")):  # who starts nothing has no use for it
        script.answers[:] = [fine({"tenant": tenant, "role": role})]
        assert main(["plan", path, "--store", where]) == 0
        assert "budget" not in capsys.readouterr().out
    refused = json.dumps({"problems": [{"field": "backend.kind", "message": "no", "remedy": "ask"}]}).encode()
    script.answers[:] = [
        fine({"tenant": "red", "role": "submit"}),
        (422, {"content-type": "application/problem+json"}, refused),
    ]
    assert main(["plan", path, "--store", where]) == 2
    assert "backend.kind" in capsys.readouterr().err


def test_a_stop_is_waited_for_and_who_leaves_leaves_it_running(
    server: ServerThread,
    code: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wait = tmp_path / "wait"
    wait.touch()
    monkeypatch.setenv("TRIALJOB_STORE", address(server))
    from trialjob import config  # noqa: PLC0415 - what the command does

    session = experiment.create(
        config.load(spec_file(code, wait=wait), overrides=["name=one"]), store=address(server)
    )
    assert isinstance(session, ServedSession)

    def leaves(state: Any, _events: Any) -> None:  # noqa: ANN401 - a watcher
        if len(state.live) == 2:
            session.interrupt()

    session.run(leaves)
    assert len(session.state.live) == 2
    assert session.holder()
    with pytest.raises(UsageError, match="an experiment named one exists"):
        experiment.create(config.load(spec_file(code), overrides=["name=one"]), store=address(server))
    assert main(["stop", "one"]) == 0
    assert Client().get("one")["state"] == "stopped"


def test_a_limit_is_changed_or_taken_away_by_the_command_and_no_other_is_touched(
    server: ServerThread, code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIALJOB_STORE", address(server))
    given = ("limits.trial_timeout=60", "limits.timeout=5m")
    sets = [word for each in given for word in ("--set", each)]
    assert main(["run", str(spec_file(code)), "--name", "one", *sets]) == 0
    session, stale = (experiment.attach("one", store=address(server)) for _ in range(2))
    assert isinstance(stale, ServedSession)
    trials = session.state.limits.max_trials

    def without_timeout(spec: ExperimentSpec) -> ExperimentSpec:
        return spec.model_copy(update={"limits": spec.limits.model_copy(update={"timeout": None})})

    def shorter(spec: ExperimentSpec) -> ExperimentSpec:
        return spec.model_copy(update={"limits": spec.limits.model_copy(update={"trial_timeout": 30.0})})

    session.revise(without_timeout)
    stale.revise(shorter)
    limits = session.refresh().limits
    assert (limits.timeout, limits.trial_timeout, limits.max_trials) == (None, 30.0, trials)


# Tokens


def test_login_asks_keeps_and_forgets(
    server: ServerThread, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    where = address(server)
    assert main(["logout", where]) == 0
    assert main(["list", "--store", where]) == 2
    assert f"trialjob login {where}" in capsys.readouterr().err
    assert main(["login", where]) == 2
    assert "--insecure" in capsys.readouterr().err
    assert main(["login", "--insecure", "http://tuning.example.com"]) == 2
    assert "unencrypted" in capsys.readouterr().err
    said = iter(["trialjob_wrong\n", "\n", f"{TOKEN}\n"])
    monkeypatch.setattr("sys.stdin.readline", lambda: next(said), raising=False)
    login = ["login", "--insecure", "--token-stdin", where]
    for wrong in ("does not take the token", "that is no token"):
        assert main(login) == 2
        assert wrong in capsys.readouterr().err
        assert logins.token_of(where) is None
    assert main(login) == 0
    kept = [path for path in (tmp_path / "config").rglob("*") if path.is_file()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in kept] == [0o600]
    told = capsys.readouterr()
    assert TOKEN not in told.out + told.err
    assert main(["list", "--store", where]) == 0
    assert main(["logout", where]) == 0
    assert main(["logout", where]) == 2
    assert "no token" in capsys.readouterr().err


def test_the_address_that_serve_prints_is_one_to_log_in_with(server: ServerThread) -> None:
    logins.forget(address(server))
    assert main(["login", "--insecure", f"{address(server)}/#token={TOKEN}"]) == 0
    assert logins.token_of(address(server)) == TOKEN


def test_a_token_that_others_could_read_is_theirs_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = logins.keep("https://a.example", "one")
    path.chmod(0o644)
    assert logins.token_of("https://a.example") == "one"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert logins.known() == ["https://a.example"]
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"trialjob login https://a\.example"):
        logins.token_of("https://a.example")
