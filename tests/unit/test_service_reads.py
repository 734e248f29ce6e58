"""What is read most takes a short way: it says what the long one says, and lets nobody in."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from asgi_call import scope_of
from server_thread import spec
from trialjob.apps.service.admin_experiments import AdminExperiments
from trialjob.apps.service.api import api
from trialjob.apps.service.callers import Alone, TeamCallers
from trialjob.apps.service.experiments import Experiments
from trialjob.apps.service.fast_path import FastPath
from trialjob.apps.service.runner import Runner
from trialjob.apps.service.tenant_experiments import TenantExperiments
from trialjob.apps.team.tenants import Tenants, parse_budget
from trialjob.apps.team.tokens import Role, TokenBook
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.folder import FolderStore

ONE = "/v1/experiments/one"


@pytest.fixture
def experiments(tmp_path: Path) -> Experiments:
    runner = Runner()
    runner.close()  # it runs nothing, so that all stays as it is
    made = Experiments(str(tmp_path / "store"), runner, tmp_path)
    estimator = {"kind": "container", "image_uri": "none", "entrypoint": ["true"]}
    made.start(spec(estimator=estimator, limits={"max_trials": 1}), None, name="one", key="", uncapped=True)
    return made


class Routes:
    """All of them, and how often they were asked."""

    def __init__(self, experiments: Experiments) -> None:
        self._made, self.asked = api(Alone(experiments, "trialjob_of_a_test")), 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        self.asked += 1
        await self._made(scope, receive, send)


def answered(
    app: Any,  # noqa: ANN401 - ASGI
    experiments: Experiments,
    path: str,
    *headers: tuple[bytes, bytes],
    method: str = "GET",
) -> tuple[int, dict[bytes, bytes], bytes]:
    scope = {**scope_of(method, path, *headers), "experiments": experiments}
    said: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI
        said.append(message)

    asyncio.run(app(scope, receive, send))
    return said[0]["status"], dict(said[0]["headers"]), b"".join(each.get("body", b"") for each in said[1:])


def test_one_experiment_is_answered_as_by_the_routes_without_asking_them(experiments: Experiments) -> None:
    routes = Routes(experiments)
    short = FastPath(routes)
    for headers in ([], [(b"if-none-match", b'W/"1"')], [(b"if-none-match", b'W/"0"')]):
        asked = routes.asked
        found = answered(short, experiments, ONE, *headers)
        assert routes.asked == asked
        assert found == answered(routes, experiments, ONE, *headers)
        assert found[0] == (304 if headers == [(b"if-none-match", b'W/"1"')] else 200)


def test_what_has_changed_is_answered_at_once(experiments: Experiments) -> None:
    short = FastPath(Routes(experiments))
    experiments.change_limits("one", {"max_trials": 7})
    assert json.loads(answered(short, experiments, ONE)[2])["max_trials"] == 7
    other = Experiments(
        experiments.where, experiments.runner, Path()
    )  # as of another server, or of the command line
    other.stop("one")
    status, headers, body = answered(short, experiments, ONE, (b"if-none-match", b'W/"2"'))
    assert (status, headers[b"etag"]) == (200, b'W/"3"')
    assert json.loads(body)["state"] == "ending"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/experiments/none", 404),
        ("GET", "/v1/experiments/..", 404),
        ("GET", "/v1/experiments/", 307),
        ("GET", f"{ONE}?after=2", 200),
        ("GET", f"{ONE}/spec", 200),
        ("GET", "/v1/experiments", 200),
        ("HEAD", ONE, 405),
        ("POST", ONE, 405),
        ("GET", "/healthz", 200),
    ],
)
def test_everything_else_is_of_the_routes(
    experiments: Experiments, method: str, path: str, status: int
) -> None:
    routes = Routes(experiments)
    assert answered(FastPath(routes), experiments, path, method=method)[0] == status
    assert routes.asked == 1


def test_a_line_of_a_list_is_made_once_for_each_state_and_is_never_of_an_older_one(
    experiments: Experiments,
) -> None:
    line = experiments.line("one")
    assert experiments.line("one") is line
    other = Experiments(experiments.where, experiments.runner, Path())
    other.change_limits("one", {"max_trials": 7})
    assert experiments.line("one") == {**line, "max_trials": 7, "updated_at": other.line("one")["updated_at"]}
    experiments.stop("one")
    assert [each["state"] for each in (experiments.line("one"), other.line("one"))] == ["ending", "ending"]


class Set(SystemClock):
    """A clock that is set ahead."""

    def __init__(self) -> None:
        self.later = 0.0
        super().__init__(lambda: self.later)


def test_only_tokens_that_were_just_read_open_something_at_once(tmp_path: Path) -> None:
    store, clock = FolderStore(tmp_path / "store"), Set()
    book, tenants = TokenBook(store, clock), Tenants(store, clock)
    tenants.add("red", budget=parse_budget("100/month"), max_concurrent=4, allow=())
    (reads, _), (admin, _) = (
        book.create(tenant="red", role=Role.READ, seconds=0.5),
        book.create(tenant="", role=Role.ADMIN, seconds=None),
    )
    callers = TeamCallers(store, clock)
    assert callers.at_once(reads) is None  # nothing was read yet
    caller = callers.caller(reads)
    assert caller is not None
    assert callers.at_once(reads) is None  # the experiments is still to be made
    experiments = callers.experiments(caller)
    assert isinstance(experiments, TenantExperiments)
    assert callers.at_once(reads) == (caller, experiments)
    known = callers.at_once(admin)
    assert known is not None
    assert (known[0].role, type(known[1])) == (Role.ADMIN, AdminExperiments)
    for wrong in ("", "wrong", admin[:-1]):
        assert callers.at_once(wrong) is None
    clock.later = 0.6
    assert callers.at_once(reads) is None  # it has expired
    book.revoke(book.read().tokens[1].id)
    clock.later = 2.0
    assert callers.at_once(admin) is None  # it is to be looked for again
    assert callers.caller(admin) is None
