"""A client whose server is behind a proxy, or of another version, or is told what libraries compute with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scripted_server import Answer, Hurried, Script, cut, fine, problem, scripted_server
from trialjob import Client, UsageError
from trialjob.errors import JournalReplaced, StoreUnavailable
from trialjob.model.ids import ExperimentName, JobName
from trialjob.orchestrator.core.events import Record, SpaceExhausted
from trialjob.orchestrator.journals.codec import encode
from trialjob.orchestrator.ports import Part
from trialjob.served.artifacts import ServedArtifacts
from trialjob.served.http_client import HttpClient
from trialjob.served.store import ServedStore

SUGGESTED = {"trial": 1, "attempt": 2, "parameters": {"rate": 0.5}}


@pytest.fixture
def scripted() -> Iterator[tuple[str, type[Script]]]:
    with scripted_server() as made:
        yield made


# Experiments that come and go


def lines(*records: tuple[int, float]) -> Answer:
    made = [encode(Record(version=version, at=at, events=(SpaceExhausted(),))) for version, at in records]
    return 200, {"content-type": "application/x-ndjson"}, b"".join(made)


@pytest.mark.parametrize("another", [problem(404, "no experiment"), lines((1, 5.0), (2, 6.0), (3, 7.0))])
def test_who_has_read_an_experiment_does_not_go_on_in_another_of_its_name(
    scripted: Any,  # noqa: ANN401 - a fixture
    another: Answer,
) -> None:
    where, script = scripted
    journal = ServedStore(HttpClient(where, Hurried(), "token")).journal(ExperimentName("x"))
    script.answers[:] = [lines((1, 1.0), (2, 2.0)), lines((2, 2.0)), lines((2, 2.0), (3, 3.0)), another]
    told = [[record.version for record in journal.read(after)] for after in (0, 2, 2)]
    assert told == [[1, 2], [], [3]]
    with pytest.raises(JournalReplaced, match="removed, or another"):
        journal.read(3)


# Proxies


@pytest.mark.parametrize("status", [502, 504])
def test_a_server_that_is_started_anew_behind_a_proxy_is_asked_again(scripted: Any, status: int) -> None:  # noqa: ANN401 - a fixture
    where, script = scripted
    page: Answer = (status, {"content-type": "text/html"}, b"<h1>nginx")
    client = Client(where, "token", clock=Hurried())
    script.answers[:] = [page, page, fine({"id": "ann"})]
    assert client.me() == {"id": "ann"}
    script.answers[:] = [page, fine({"name": "x"})]
    client.create_study({"space": {}})
    assert len({key for _, _, key in script.asked[-2:]}) == 1
    script.answers[:] = [page]
    with pytest.raises(StoreUnavailable, match="behind it"):
        client.resume("x")  # which may have been heard


def test_a_refusal_that_is_cut_off_is_no_answer(scripted: Any) -> None:  # noqa: ANN401 - a fixture
    where, script = scripted
    client = Client(where, "token", clock=Hurried())
    script.answers[:] = [cut(problem(403, "this needs the role submit")), fine({"id": "ann"})]
    assert client.me() == {"id": "ann"}
    script.answers[:] = [cut(problem(409, "it runs already"))]
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        client.resume("x")


def test_a_file_goes_on_where_it_was_broken_off_also_where_a_proxy_leaves_the_range_out(
    scripted: Any,  # noqa: ANN401 - a fixture
) -> None:
    where, script = scripted
    artifacts = ServedArtifacts(HttpClient(where, Hurried(), "token"), _State())  # type: ignore[arg-type]  # as much as it reads
    for status, body in ((206, b"6789"), (200, b"0123456789")):
        script.answers[:] = [(status, {}, body)]
        assert b"".join(artifacts.read(JobName("one-0001-1"), Part.MODEL, "model.bin", 6)) == b"6789"


class _Attempt:
    number = 1


class _Trial:
    id = 1
    attempts = (_Attempt,)


class _State:
    name = "one"
    trials = (_Trial,)

    @staticmethod
    def job(_trial: int, _attempt: int) -> str:
        return "one-0001-1"


# Versions


def test_what_only_a_newer_server_says_of_a_suggestion_is_left_out(scripted: Any) -> None:  # noqa: ANN401 - a fixture
    where, script = scripted
    script.answers[:] = [
        fine({"state": "running"}),
        fine({"suggestions": [{**SUGGESTED, "budget": 9}], "over": False, "state": "running", "wait": 1}),
    ]
    found = Client(where, "token").study("x").suggest("ann")
    assert [(each.trial, each.attempt, each.parameters) for each in found.trials] == [(1, 2, {"rate": 0.5})]


# Numbers


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array(0.25), 0.25),
        (np.array([2]), 2),
        (Decimal("0.25"), 0.25),
    ],
)
def test_what_libraries_compute_with_is_sent_as_the_number_that_it_is(
    scripted: Any,  # noqa: ANN401 - a fixture
    value: Any,  # noqa: ANN401 - any scalar
    sent: float,
) -> None:
    where, script = scripted
    script.answers[:] = [fine({}), fine({"stop": False})]
    Client(where, "token").study("x").report(1, "ann", step=value, loss=value)
    assert json.loads(script.bodies[-1]) == {"client_id": "ann", "step": sent, "metrics": {"loss": sent}}


@pytest.mark.parametrize("value", [np.array([1.0, 2.0]), object(), Decimal("1e400"), {1, 2}, {(1, 2): 3}])
def test_what_is_no_json_is_refused_in_words(scripted: Any, value: Any, tmp_path: Path) -> None:  # noqa: ANN401 - anything
    where, script = scripted
    client = Client(where, "token")
    for send in (
        lambda: client.set_limits("x", max_cost=value),
        lambda: client.start({"name": "x", "limits": value}, code=tmp_path),
    ):
        with pytest.raises(UsageError, match="cannot be sent this as JSON"):
            send()
    assert script.asked == []
