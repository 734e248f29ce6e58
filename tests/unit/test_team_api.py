"""Tenants and tokens as an admin manages them through the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asgi_call import Answer, ask
from trialjob.apps.service.access import Access
from trialjob.apps.service.api import app
from trialjob.apps.service.callers import Alone, TeamCallers
from trialjob.apps.service.experiments import Experiments
from trialjob.apps.service.runner import Runner
from trialjob.apps.team.tenants import Tenants, parse_budget
from trialjob.apps.team.tokens import Role, TokenBook
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.folder import FolderStore

RIGHT = "backend.kind=sagemaker"


class Asked:
    """A server of a store with one tenant, asked by an admin."""

    def __init__(self, folder: Path) -> None:
        store, clock = FolderStore(folder), SystemClock()
        self.tenants = Tenants(store, clock)
        self.tenants.add("red", budget=parse_budget("100/month"), max_concurrent=4, allow=(RIGHT,))
        self.callers = TeamCallers(store, clock)
        self.admin = TokenBook(store, clock).create(tenant="", role=Role.ADMIN, seconds=None)[0]
        self.app: Access = app(self.callers)

    def __call__(self, method: str, path: str, body: object = None, *, token: str = "") -> Answer:
        return ask(self.app, method, path, token or self.admin, body)

    def made(self, **given: Any) -> dict[str, Any]:  # noqa: ANN401 - as JSON has it
        answer = self("POST", "/v1/tokens", {"tenant": "red", "role": "submit", **given})
        assert answer.status == 201, answer.body
        told: dict[str, Any] = answer.json()
        assert answer.headers["location"] == f"/v1/tokens/{told['id']}"
        return told


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    made = Asked(tmp_path / "store")
    yield made
    made.callers.close()


def test_a_token_is_told_once_opens_and_is_revoked(asked: Asked, tmp_path: Path) -> None:
    told = asked.made(note="ann", expires="30d")
    assert asked("GET", "/v1/me", token=told["token"]).json() == {
        "id": told["id"],
        "role": "submit",
        "tenant": "red",
    }
    listed = asked("GET", "/v1/tokens").json()["items"]
    assert [listed[0][key] for key in ("id", "note", "state")] == [told["id"], "ann", "valid"]
    assert told["token"] not in str(listed)
    assert not any(told["token"].encode() in f.read_bytes() for f in tmp_path.rglob("*") if f.is_file())
    assert asked("DELETE", f"/v1/tokens/{told['id']}").status == 204
    asked.callers._known = None  # a second later
    assert asked("GET", "/v1/me", token=told["token"]).status == 401
    assert asked("GET", "/v1/tokens").json()["items"][0]["state"] == "revoked"
    assert asked("DELETE", "/v1/tokens/none").status == 409


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"role": "admin"}, "body.role"),
        ({"expires": "never"}, "expires"),
        ({"expires": "0s"}, "expires"),
        ({"expires": "367d"}, "expires"),
        ({"note": "x" * 201}, "body.note"),
    ],
)
def test_no_admin_is_made_and_nothing_for_ever(asked: Asked, given: dict[str, str], field: str) -> None:
    answer = asked("POST", "/v1/tokens", {"tenant": "red", "role": "submit", **given})
    assert answer.status == 422
    assert [each["field"] for each in answer.json()["problems"]] == [field]
    assert asked("POST", "/v1/tokens", {"tenant": "never", "role": "read"}).status == 404


def test_a_tenant_is_allowed_only_what_some_tenant_is(asked: Asked) -> None:
    new = {"name": "green", "budget": 12.5, "max_concurrent": 2, "allow": [RIGHT]}
    answer = asked("POST", "/v1/tenants", new)
    assert (answer.status, answer.headers["location"]) == (201, "/v1/tenants/green")
    assert {**answer.json(), **new} == answer.json()
    for allow in (["kind=local"], ["backend.role=*"]):
        refused = asked("PATCH", "/v1/tenants/green", {"allow": allow})
        assert refused.status == 422
        assert "trialjob tenant set" in refused.json()["problems"][0]["remedy"]
    assert asked.tenants.read("green").allow == (RIGHT,)
    changed = asked("PATCH", "/v1/tenants/green", {"budget": 20, "allow": []}).json()
    assert (changed["budget"], changed["max_concurrent"], changed["allow"]) == (20, 2, [])
    assert asked("PATCH", "/v1/tenants/green", {}).status == 409
    assert asked("PATCH", "/v1/tenants/never", {"budget": 1}).status == 404
    assert asked("POST", "/v1/tenants", {**new, "name": "Green"}).status == 409
    for budget in (-1, "5", True, 1e300, None):
        assert asked("POST", "/v1/tenants", {"name": "blue", "budget": budget}).status == 422
    acts = [act["what"] for act in asked("GET", "/v1/audit").json()["items"]]
    assert "PATCH /v1/tenants/green budget=20.0 allow=[]" in acts


def test_one_user_alone_has_none(tmp_path: Path) -> None:
    made = app(Alone(Experiments(str(tmp_path / "store"), Runner(), tmp_path), "trialjob_of_a_test"))
    answer = ask(made, "GET", "/v1/tokens", "trialjob_of_a_test")
    assert answer.status == 409
    assert "trialjob token create" in answer.json()["detail"]
