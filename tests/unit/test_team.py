"""The service for a team: who is let in to what, what is paid for, and what a tenant's spec may ask for."""

from __future__ import annotations

import asyncio
import io
import json
import re
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asgi_call import Answer, ask, asked
from server_thread import wait_for
from trialjob import config, experiment
from trialjob.apps.cli.main import main
from trialjob.apps.service.access import Access, Listening
from trialjob.apps.service.api import api, app, check_rules, routes
from trialjob.apps.service.callers import Alone, TeamCallers
from trialjob.apps.service.experiments import Experiments
from trialjob.apps.service.rates import Rates
from trialjob.apps.service.rules import RULES
from trialjob.apps.service.runner import Runner
from trialjob.apps.service.serve import Listener, serve
from trialjob.apps.team.ledger import Entry, JournalStatus, NoRoom, Tenant, month_before, month_of
from trialjob.apps.team.tenants import Ledger, Tenants, change, parse_budget
from trialjob.apps.team.tokens import Role, TokenBook
from trialjob.errors import InvariantError, NoSuchExperiment, SpecError, StoreError, UsageError
from trialjob.experiment.admission import DECISIONS
from trialjob.model.ids import ExperimentName
from trialjob.model.money import Tariff, Terms, cap_micros
from trialjob.model.trial import EndKind, EndReason, Phase
from trialjob.orchestrator.core.events import (
    Event,
    ExperimentEnded,
    ExperimentEnding,
    LimitsChanged,
    PricesLearned,
)
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.testing.fake_aws import FakeAws

ALLOW = ("backend.kind=local",)


class Set(SystemClock):
    """A clock that is set ahead."""

    def __init__(self) -> None:
        self.later = 0.0
        super().__init__(lambda: self.later)


class Team:
    """A store with two tenants, and callers whose runners run nothing, so that all stays as it is."""

    def __init__(self, folder: Path) -> None:
        self.clock = Set()
        self.store = FolderStore(folder)
        self.tokens = TokenBook(self.store, self.clock)
        self.tenants = Tenants(self.store, self.clock)
        for name in ("red", "blue"):
            self.tenants.add(name, budget=parse_budget("100/month"), max_concurrent=4, allow=ALLOW)
        self.callers = TeamCallers(self.store, self.clock)
        for name in ("red", "blue"):
            self.callers.tenant_experiments(name).runner.close()

    def token(self, role: str, tenant: str = "", *, seconds: float | None = None) -> str:
        return self.tokens.create(tenant=tenant, role=Role[role.upper()], seconds=seconds)[0]

    def app(self, **listening: bool) -> Access:
        return app(self.callers, Listening(**listening))


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    made = Team(tmp_path / "store")
    yield made
    made.callers.close()


def spec(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a spec may say
    return {
        "name": "tuned",
        "estimator": {"kind": "container", "image_uri": "none", "entrypoint": ["true"]},
        "space": {"rate": {"type": "uniform", "lower": 0, "upper": 1}},
        "objective": {"metric": "loss", "mode": "min"},
        "metrics": [{"name": "loss", "regex": r"loss=([0-9.]+)"}],
        "limits": {"max_trials": 2, "max_cost": 10.0},
        "backend": {"kind": "local"},
        **changes,
    }


def archive(document: dict[str, Any], **files: str) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        for name, text in {"spec.json": json.dumps(document), **files}.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return held.getvalue()


# Who is let in to what

STARTING = ("/v1/plan", "/v1/experiments", "/v1/archives", "/v1/archives/plan", "/v1/studies")
STARTS = {("POST", path) for path in STARTING}
TRIAL = "/v1/studies/{name}/trials/{trial}"
BODIES: dict[tuple[str, str], object] = {
    ("POST", "/v1/plan"): {"spec": spec()},
    ("POST", "/v1/experiments"): {"spec": spec(limits={"max_trials": 1, "max_cost": 0.5})},
    ("PATCH", "/v1/experiments/{name}/limits"): {"max_trials": 3},
    ("POST", "/v1/studies"): {"space": {"x": {"type": "uniform", "lower": 0, "upper": 1}}},
    ("POST", "/v1/studies/{name}/suggestions"): {"client_id": "me"},
    ("POST", f"{TRIAL}/reports"): {"step": 1, "metrics": {"loss": 1}},
    ("POST", f"{TRIAL}/complete"): {"metrics": {"loss": 1}},
    ("POST", f"{TRIAL}/fail"): {"message": "none"},
    ("POST", "/v1/tenants"): {"name": "green", "budget": 5},
    ("PATCH", "/v1/tenants/{tenant}"): {"budget": 100},
    ("POST", "/v1/tokens"): {"tenant": "red", "role": "read"},
}
ROLES = ("read", "submit", "manage")


def test_every_route_role_and_tenant(team: Team) -> None:
    """The list is of the route table, so that a new route cannot be forgotten."""
    names = {tenant: started(team, tenant) for tenant in ("red", "blue")}
    tokens = {(role, tenant): team.token(role, tenant) for role in ROLES for tenant in ("red", "blue")}
    tokens["admin", ""] = team.token("admin")
    expired = team.token("admin", seconds=1e-6)
    revoked = team.token("admin")
    team.tokens.revoke(team.tokens.read().tokens[-1].id)
    made = team.app()

    async def everything() -> None:
        table = routes(api(team.callers))
        assert len(table) > 25
        for number, (method, path) in enumerate(table):
            rule, body = RULES[method, path], BODIES.get((method, path))
            for wrong in (None, "", "wrong", expired, revoked, tokens["admin", ""][:-1]):
                answer = await asked(
                    made, method, at(path, names["red"]), wrong, body, origin=f"10.0.0.{number}"
                )
                assert (answer.status == 401) == (rule is not None), (method, path, wrong)
            if rule is None:
                continue
            for (role, tenant), token in tokens.items():
                for whose, name in list(names.items()) if "{name}" in path else [(tenant, "")]:
                    if name and name not in team.callers.tenant_experiments(whose).names():
                        started(team, whose)
                    answer = await asked(made, method, at(path, name), token, body)
                    where = (method, path, role, tenant, whose, answer.status, answer.body)
                    if Role[role.upper()] < rule or (role == "admin" and (method, path) in STARTS):
                        assert answer.status == 403, where
                    elif "{name}" in path and tenant not in ("", whose):
                        assert answer.status == 404, where
                        never = await asked(made, method, at(path, f"{whose}-never"), token, body)
                        there, absent = told_of(answer, name), told_of(never, f"{whose}-never")
                        assert there == absent, where
                    elif "{trial}" not in path:
                        assert answer.status not in (401, 403, 404), where

    asyncio.run(everything())


def at(path: str, name: str) -> str:
    return re.sub(
        r"\{\w+\}", "1", path.replace("{name}", name).replace("{figure}", "curves").replace("{tenant}", "red")
    )


def told_of(answer: Answer, name: str) -> str:
    """Without the hint behind it, which is of one's own experiments."""
    return str(answer.json()["detail"]).partition("; ")[0].replace(name, "")


def started(team: Team, tenant: str, **changes: Any) -> str:  # noqa: ANN401 - as ``spec``
    experiments = team.callers.tenant_experiments(tenant)
    return experiments.start(spec(**changes), None, name="one", key="", uncapped=False)[0]


def test_a_route_without_a_rule_stops_the_server(team: Team) -> None:
    made = api(team.callers)
    made.add_api_route("/v1/secrets", lambda: {"all": "of them"})
    with pytest.raises(InvariantError, match="/v1/secrets"):
        check_rules(made)


def test_the_description_has_every_kind_of_answer(team: Team) -> None:
    made, token = team.app(), team.token("submit", "red")
    described = ask(made, "GET", "/v1/openapi.json", token).json()
    for path, methods in described["paths"].items():
        for method, call in methods.items():
            answers = call["responses"]
            assert [*answers["default"]["content"]] == ["application/problem+json"], (method, path)
            assert "422" not in answers, (method, path)
    (lines,) = described["paths"]["/v1/experiments/{name}/records"]["get"]["responses"]["200"]["content"]
    assert lines == "application/x-ndjson"
    refused = ask(made, "TRACE", "/v1/experiments", token)
    assert (refused.status, refused.headers["allow"]) == (405, "GET, POST")
    refused = ask(made, "PUT", "/v1/experiments/red-one", token)
    assert (refused.status, refused.headers["allow"]) == (405, "DELETE, GET")


def test_one_user_alone_needs_his_token_on_every_route(tmp_path: Path) -> None:
    callers = Alone(Experiments(str(tmp_path / "store"), Runner(), tmp_path), "trialjob_of_a_test")
    made = app(callers)
    for number, (method, path) in enumerate(routes(api(callers))):
        for wrong in (None, "wrong"):
            answer = ask(made, method, at(path, "x"), wrong, origin=f"10.0.0.{number}")
            assert (answer.status == 401) == (RULES[method, path] is not None), (method, path)
        assert ask(made, method, at(path, "x"), "trialjob_of_a_test", {}).status not in (401, 403)


def test_the_list_has_ones_own_and_an_admins_all(team: Team) -> None:
    for tenant in ("red", "blue"):
        started(team, tenant)
    made = team.app()

    def seen(token: str) -> list[str]:
        return [each["name"] for each in ask(made, "GET", "/v1/experiments", token).json()["items"]]

    assert seen(team.token("read", "red")) == ["red-one"]
    assert seen(team.token("admin")) == ["blue-one", "red-one"]
    red = ask(made, "GET", "/v1/tenants", team.token("read", "red")).json()["items"]
    assert [(each["name"], each["held"], each["free"]) for each in red] == [("red", 10.0, 90.0)]
    assert len(ask(made, "GET", "/v1/tenants", team.token("admin")).json()["items"]) == 2


def test_only_ones_own_are_compared(team: Team) -> None:
    red, blue = started(team, "red"), started(team, "blue")
    experiments = team.callers.tenant_experiments("red")
    other = experiments.start(
        spec(limits={"max_trials": 5, "max_cost": 10.0}), None, name="two", key="", uncapped=False
    )[0]
    made, token = team.app(), team.token("read", "red")
    told = ask(made, "GET", f"/v1/compare?name={red}&name={other}", token).json()
    assert told["experiments"] == [red, other]
    assert {"head": "limits.max_trials", "cells": ["2", "5"]} in told["differing"]
    assert "best" in {line["head"] for line in told["outcome"]}
    assert ask(made, "GET", f"/v1/compare?name={red}&name={blue}", token).status == 404
    assert ask(made, "GET", f"/v1/compare?name={red}&name={blue}", team.token("admin")).status == 200
    assert ask(made, "GET", f"/v1/compare?name={red}", token).status == 422


def test_what_other_limits_would_cost_is_said_before(team: Team, tmp_path: Path) -> None:
    limits = {"max_trials": 1, "max_cost": 20.0, "trial_timeout": "1h"}
    name = started(team, "red", limits=limits)
    made, token = team.app(), team.token("read", "red")

    def cost(query: str = "") -> dict[str, Any]:
        told: dict[str, Any] = ask(made, "GET", f"/v1/experiments/{name}/limits/cost{query}", token).json()
        return told

    assert (cost()["trials"], cost()["at_most"]) == (1, 0.0)  # this machine costs nothing
    version = ask(made, "GET", f"/v1/experiments/{name}", token).json()["version"]
    tariff = Tariff(terms=(Terms(price=2_000_000),))
    journal = FolderStore(tmp_path / "store" / "_team" / "stores" / "red").journal(ExperimentName(name))
    journal.append([PricesLearned(tariff=tariff)], after=version, at=team.clock.now())
    one, two = cost(), cost("?max_trials=2")
    assert 2.0 <= one["more"] < two["more"]
    assert (one["at_most"], one["tenant"]["refusals"]) == (one["more"], [])
    assert cost("?max_trials=1000")["at_most"] == 20.0  # its max_cost
    (refused,) = cost("?max_trials=1000&max_cost=200")["tenant"]["refusals"]
    assert "max_cost of $200.00 does not fit" in refused
    assert ask(made, "GET", f"/v1/experiments/{name}", token).json()["max_trials"] == 1


def test_a_tenant_reads_no_path_of_the_server(team: Team, tmp_path: Path) -> None:
    name = started(team, "red")
    damaged = tmp_path / "store" / "_team" / "stores" / "red" / "red-bad"
    damaged.mkdir()
    (damaged / "journal.jsonl").write_text("no journal\nat all\n")
    made, token = team.app(), team.token("submit", "red")
    for path in ("red-never", name, "red-bad", ""):
        answer = ask(made, "GET", f"/v1/experiments/{path}".rstrip("/"), token)
        assert str(tmp_path) not in answer.body.decode(), path


def test_a_token_is_kept_nowhere_and_ends(team: Team, tmp_path: Path) -> None:
    text = team.token("read", "red", seconds=60)
    assert len(text) >= len("trialjob_") + 43
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "store" / "_team").rglob("*"))
    assert team.tokens.read().find(text, team.clock.now()) is not None
    assert team.tokens.read().find(text, team.clock.now() + 61) is None
    with pytest.raises(UsageError, match="token list"):
        team.tokens.revoke("nobody")


def test_a_role_that_is_none_and_a_damaged_book_open_nothing(team: Team, tmp_path: Path) -> None:
    text = team.token("admin")
    book = tmp_path / "store" / "_team" / "tokens.json"
    told = json.loads(book.read_text())
    for damage in ({**told, "v": 2}, {**told, "tokens": [{**told["tokens"][0], "role": "root"}]}, [1]):
        book.write_text(json.dumps(damage))
        with pytest.raises(StoreError):
            team.tokens.read()
        assert ask(team.app(), "GET", "/v1/experiments", text).status in (200, 500)
        team.callers = TeamCallers(team.store, team.clock)
        assert ask(team.app(), "GET", "/v1/experiments", text).status == 500


# What is paid for


@pytest.mark.parametrize("spent", [3_999, 4_000, 4_995_000, 4_995_001, 4_999_999, 5_000_000])
def test_what_is_advised_where_the_budget_is_short_fits(spent: int) -> None:
    ended = Entry(cap=spent, jobs=1, since=0, at=0.0, ran=True, closed=month_of(0.0), charge=spent)
    tenant = Tenant(name="red", budget=5_000_000, max_concurrent=3, entries={"red-old": ended})
    open_ = tenant.opened("red-open", cap=0, jobs=2, since=0, at=0.0)
    for name, cap, jobs in (("", 5_000_000, 1), ("", 9_000_000, 1), ("red-old", 5_000_001, 1), ("", 0, 3)):
        with pytest.raises(NoRoom) as refused:
            open_.opened(name, cap=cap, jobs=jobs, since=0, at=0.0)
        advice = str(refused.value).partition("→ ")[2]
        if written := re.search(r"write limits\.(max_cost|max_concurrent_trials): ([0-9.]+) or less", advice):
            money, slots = (cap_micros(float(written[2])), jobs) if written[1] == "max_cost" else (cap, 1)
            assert open_.opened(name, cap=money, jobs=slots, since=0, at=0.0).entries[name].cap == money
        assert ("wait" in advice) == (cap <= tenant.budget), advice
        assert ("tenant set red --budget" in advice) == (cap > tenant.budget)


def test_what_does_not_fit_is_told_what_is_free(team: Team) -> None:
    started(team, "red", limits={"max_trials": 1, "max_cost": 60})
    with pytest.raises(NoRoom, match=r"max_cost of \$50.00 does not fit: \$40.00 of \$100.00 are free"):
        team.callers.tenant_experiments("red").start(
            spec(limits={"max_trials": 1, "max_cost": 50}), None, name="two", key="", uncapped=False
        )
    token = team.token("submit", "red")
    made = team.app()
    jobs = {"max_trials": 9, "max_concurrent_trials": 4, "max_cost": 1}
    refused = ask(made, "POST", "/v1/experiments", token, {"spec": spec(limits=jobs)})
    assert (refused.status, "4 jobs at once do not fit" in refused.json()["detail"]) == (409, True)
    uncapped = ask(made, "POST", "/v1/experiments", token, {"spec": spec(limits={"max_trials": 1})})
    assert uncapped.json()["problems"][0]["field"] == "limits.max_cost"
    for limits in ({"max_cost": 120}, {"max_trials": 9, "max_concurrent_trials": 5}):
        assert ask(made, "PATCH", "/v1/experiments/red-one/limits", token, limits).status == 409
    assert ask(made, "PATCH", "/v1/experiments/red-one/limits", token, {"max_cost": None}).status == 422
    assert ask(made, "PATCH", "/v1/experiments/red-one/limits", token, {"max_cost": 90}).status == 200
    assert taken(team) == 90.0


def test_a_plan_says_what_is_free_and_why_it_would_be_refused(team: Team) -> None:
    started(team, "red", limits={"max_trials": 9, "max_concurrent_trials": 3, "max_cost": 60})
    made, token = team.app(), team.token("submit", "red")

    def room(**limits: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever a spec may say
        body = {"spec": spec(limits={"max_trials": 9, **limits})}
        tenant: dict[str, Any] = ask(made, "POST", "/v1/plan", token, body).json()["tenant"]
        return tenant

    fits = room(max_concurrent_trials=1, max_cost=40)
    assert (fits["name"], fits["free"], fits["jobs"], fits["max_concurrent"]) == ("red", 40.0, 3, 4)
    assert fits["refusals"] == []
    money, jobs = room(max_concurrent_trials=2, max_cost=41)["refusals"]
    assert "$40.00 of $100.00 are free" in money
    assert "1 of 4 are free" in jobs
    (missing,) = room(max_concurrent_trials=1)["refusals"]
    assert missing.startswith("limits.max_cost is missing")
    code = {"kind": "script", "source_dir": ".", "entry_point": "train.py"}
    sent = ask(made, "POST", "/v1/archives/plan", token, archive(spec(estimator=code), **{"train.py": "1"}))
    assert sent.json()["tenant"]["free"] == 40.0
    asked = ask(made, "POST", "/v1/plan", token, {"spec": spec(), "account": True})
    assert asked.status == 409  # the server's own rights are no tenant's
    assert "leave it out" in asked.json()["detail"]
    assert taken(team) == 60.0  # a plan takes nothing


def taken(team: Team) -> float:
    tenant = team.callers.tenant_experiments("red").ledger.tenant()
    return tenant.taken(team.callers.tenant_experiments("red").ledger.month()) / 1e6


def test_limits_that_are_as_they_were_hold_nothing(team: Team) -> None:
    name, token, made = started(team, "red"), team.token("submit", "red"), team.app()
    experiments = team.callers.tenant_experiments("red")
    experiments.stop(name)
    experiments.look(name, lambda session: session.step(lambda _state, _events: None))
    assert experiments.status(name)[0]["state"] == "stopped"
    for limits in ({}, {"max_cost": 10}, {"max_trials": 2, "timeout": None}):
        assert ask(made, "PATCH", f"/v1/experiments/{name}/limits", token, limits).status == 200
        assert taken(team) == 0.0, limits
    # What was taken would have been held for an hour.
    assert ask(made, "PATCH", f"/v1/experiments/{name}/limits", token, {"max_cost": 0.01}).status == 200
    assert taken(team) == 0.0


@pytest.mark.parametrize("ends", [True, False])
def test_what_is_refused_holds_nothing(team: Team, ends: bool) -> None:
    name, token, made = started(team, "red"), team.token("submit", "red"), team.app()
    experiments = team.callers.tenant_experiments("red")
    given = config.parse(spec(name=name, backend=SAGEMAKER, engine="hosted"), files=False)
    handed_over = LimitsChanged(limits=given.to_limits(), document=given.document())
    experiments.look(
        name, lambda session: session._append(lambda state: [handed_over] if state.version < 4 else [])
    )
    if ends:
        experiments.look(name, lambda session: session._append(_ended))
    before = taken(team)
    assert before == (0.0 if ends else 10.0)
    refused = ask(made, "PATCH", f"/v1/experiments/{name}/limits", token, {"max_cost": 50})
    assert (refused.status, "only limits can be changed" in refused.json()["detail"]) == (409, True)
    assert taken(team) == before
    if ends:
        refused = ask(made, "POST", f"/v1/experiments/{name}/resume", token)
        assert (refused.status, "cannot be continued" in refused.json()["detail"]) == (409, True)
        assert taken(team) == before


def _ended(state: State) -> list[Event]:
    stopped = EndReason(kind=EndKind.STOPPED, detail="by a person")
    return (
        []
        if state.phase is Phase.ENDED
        else [ExperimentEnding(reason=stopped), ExperimentEnded(reason=stopped)]
    )


def test_what_came_to_nothing_holds_nothing(team: Team) -> None:
    with pytest.raises(SpecError):
        started(team, "red", sampler={"kind": "python", "sampler": "nowhere:Nothing"})
    experiments = team.callers.tenant_experiments("red")
    with pytest.raises(UsageError):
        experiments.start(
            spec(sampler={"kind": "tpe", "warm_start": ["gone"]}), None, name="x", key="", uncapped=False
        )
    assert taken(team) == 0.0


def costs(team: Team, name: str, dollars: float) -> None:
    """As if that were what the jobs of an ended one have cost."""

    def charged(old: Tenant | None) -> Tenant:
        assert old is not None
        entry = replace(old.entries[name], charge=cap_micros(dollars))
        return replace(old, entries={**old.entries, name: entry}, serial=old.serial + 1)

    assert taken(team) == 0.0
    change(team.store.documents(), "red", charged, team.clock)


def test_what_was_removed_has_cost_what_it_has_cost(team: Team) -> None:
    """Also where its name is another one's by now."""
    experiments = team.callers.tenant_experiments("red")
    name = started(team, "red", limits={"max_trials": 2, "max_cost": 90.0})
    experiments.look(name, lambda session: session._append(_ended))
    costs(team, name, 80.0)
    experiments.remove(name)
    assert taken(team) == 80.0
    with pytest.raises(NoRoom, match=r"\$20.00 of \$100.00 are free"):
        started(team, "red", limits={"max_trials": 2, "max_cost": 90.0})
    assert started(team, "red") == name
    assert taken(team) == 90.0
    experiments.look(name, lambda session: session._append(_ended))
    assert taken(team) == 80.0


def test_one_that_was_lost_counts_in_full_beside_another_of_its_name(team: Team) -> None:
    experiments = team.callers.tenant_experiments("red")
    name = started(team, "red", limits={"max_trials": 2, "max_cost": 60.0})
    experiments.look(name, lambda session: session._append(_ended))
    experiment.remove(experiments._store, ExperimentName(name))  # and nobody has asked the ledger in between
    assert started(team, "red") == name
    assert taken(team) == 70.0


def test_a_name_that_is_taken_holds_nothing_more(team: Team) -> None:
    name = started(team, "red")
    for _ in range(2):
        with pytest.raises(UsageError, match="exists; resume it, or choose another name"):
            started(team, "red", limits={"max_trials": 3, "max_cost": 70.0, "max_concurrent_trials": 3})
        assert taken(team) == 10.0
        assert team.callers.tenant_experiments("red").ledger.tenant().jobs() == 1
    team.callers.tenant_experiments("red").look(name, lambda session: session._append(_ended))


def test_a_name_whose_journal_cannot_be_read_is_not_started_again(team: Team, tmp_path: Path) -> None:
    name = started(team, "red")
    (journal,) = (tmp_path / "store").rglob("journal.jsonl")
    journal.write_bytes(b"{}\n" + journal.read_bytes())
    with pytest.raises(StoreError, match=f"journal of an experiment named {name} cannot be read; choose"):
        started(team, "red")
    assert taken(team) == 10.0


def test_another_server_takes_a_new_experiment_for_no_earlier_one(team: Team) -> None:
    other = TeamCallers(team.store, team.clock)
    here, there = (each.tenant_experiments("red") for each in (team.callers, other))
    there.runner.close()
    try:
        name = started(team, "red", limits={"max_trials": 2, "max_cost": 5.0})
        here.look(name, lambda session: session._append(_ended))
        assert there.status(name)[0]["state"] == "stopped"
        here.remove(name)
        with pytest.raises(NoSuchExperiment):
            there.status(name)
        assert started(team, "red", limits={"max_trials": 2, "max_cost": 90.0}) == name
        assert there.status(name)[0]["state"] == "running"
        assert there.ledger.tenant().taken(there.ledger.month()) == cap_micros(90.0)
    finally:
        other.close()


def test_the_end_gives_back_what_was_not_spent(tmp_path: Path) -> None:
    team = Team(tmp_path / "store")
    callers = TeamCallers(team.store, team.clock)
    try:
        experiments = callers.tenant_experiments("red")
        name, _ = experiments.start(spec(), None, name=None, key="monday", uncapped=False)
        assert experiments.start(spec(), None, name=None, key="monday", uncapped=False) == (name, False)
        assert name.startswith("red-tuned-")
        for thread in [run.thread for run in list(experiments.runner._runs.values())]:
            thread.join(240)
        assert experiments.status(name)[0]["state"] in ("failed", "finished")
        team.callers = callers
        assert taken(team) == 0.0
        experiments.runner.close()
        experiments.resume(name)
        assert taken(team) == 10.0
    finally:
        callers.close()


def test_what_one_server_leaves_another_goes_on_with(tmp_path: Path) -> None:
    """Two servers on one store: nothing runs twice, and nothing stays behind."""
    team = Team(tmp_path / "store")
    wait = tmp_path / "wait"
    wait.touch()
    script = 'while [ -e "$WAIT" ]; do sleep 0.05; done; echo loss=1'
    data = archive(
        spec(
            estimator={
                "kind": "script",
                "source_dir": ".",
                "entry_point": "train.sh",
                "environment": {"WAIT": str(wait)},
            },
            limits={"max_trials": 1, "max_cost": 10.0},
            backend={"kind": "local", "poll_interval": 0.1},
        ),
        **{"train.sh": script},
    )
    one, two = TeamCallers(team.store, team.clock), TeamCallers(team.store, team.clock)
    try:
        name, _ = one.tenant_experiments("red").start_archive(data, name="one", key="", uncapped=False)
        wait_for(lambda: one.tenant_experiments("red").look(name, lambda session: bool(session.state.live)))
        two.resume_all()
        assert two.tenant_experiments("red").runner.running() == []  # the other has it
        two.take_over(every=0.05)
        one.close()  # its jobs run on
        wait_for(lambda: two.tenant_experiments("red").runner.running() == [name])
        wait.unlink()
        wait_for(lambda: two.tenant_experiments("red").status(name)[0]["state"] == "finished")
        trials = two.tenant_experiments("red").look(name, lambda session: session.state.trials)
        assert [len(trial.attempts) for trial in trials] == [1]
    finally:
        wait.unlink(missing_ok=True)
        one.close()
        two.close()
        team.callers.close()


def test_months_and_budgets_are_read_as_written() -> None:
    assert parse_budget("500/month") == parse_budget("$500.00/month") == 500_000_000
    for wrong in ("500", "-1/month", "1e9/month", "500/day", ""):
        with pytest.raises(UsageError, match="500/month"):
            parse_budget(wrong)


def test_an_end_of_a_month_frees_what_is_over_and_not_what_is_open() -> None:
    november, december = 1_795_000_000.0, 1_797_500_000.0
    tenant = Tenant(name="red", budget=100, max_concurrent=9)
    tenant = tenant.opened("red-a", cap=60, jobs=1, since=0, at=november)
    with pytest.raises(NoRoom):
        tenant.opened("red-b", cap=41, jobs=1, since=0, at=december)
    assert tenant.opened("red-b", cap=40, jobs=1, since=0, at=december).taken("2026-12") == 100


@pytest.mark.parametrize("behind", [600.0, 86_400.0])
def test_servers_whose_clocks_differ_spend_no_month_twice(tmp_path: Path, behind: float) -> None:
    """The end of November by the one is December by the other, and somebody writes journals by a third."""
    december = 1_796_083_200.0
    store = FolderStore(tmp_path)
    ended: dict[str, JournalStatus] = {}

    class Late(SystemClock):
        at = december - 3600

        def __init__(self, seconds: float) -> None:
            super().__init__()
            self._late = seconds

        def now(self) -> float:
            return Late.at - self._late

    def server(late: float) -> Ledger:
        return Ledger(store.documents(), "red", Late(late), lambda names: {n: ended.get(n) for n in names})

    ahead, slow = server(0.0), server(behind)
    Tenants(store, SystemClock()).add("red", budget=parse_budget("100/month"), max_concurrent=9, allow=())
    ahead.open("red-a", cap=60, jobs=1, since=0)
    ahead.begin("red-a", cap=60, jobs=1, since=1)
    # It ended in November, says a journal that was written by a clock of October; it is settled in December.
    ended["red-a"] = JournalStatus(version=2, ended=True, committed=60_000_000, at=december - 40 * 86_400)
    Late.at = december + 60
    assert ahead.month() == "2026-12"
    assert slow.month() == "2026-11"
    ahead.open("red-b", cap=100, jobs=1, since=0)
    for each in (ahead, slow):  # who is behind does not spend November's dollars again
        with pytest.raises(NoRoom):
            each.open("red-c", cap=1, jobs=1, since=0)
    ended["red-b"] = JournalStatus(version=2, ended=True, committed=0, at=december + 60)
    with pytest.raises(NoRoom, match=r"\$40.00 of \$100.00 are free in 2026-11"):
        slow.open("red-c", cap=41, jobs=1, since=0)
    ahead.open("red-c", cap=100, jobs=1, since=0)


def test_a_month_comes_behind_another() -> None:
    assert [month_before(each) for each in ("2026-12", "2026-01")] == ["2026-11", "2025-12"]


# What a tenant's spec may ask for


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"backend": {"kind": "slurm", "folder": "/tmp"}}, "backend.kind"),  # noqa: S108 - refused
        ({"backend": {"kind": "local", "price_per_hour": 0.01}}, "backend.price_per_hour"),
        ({"notify": {"sns": "arn:aws:sns:us-east-1:123456789012:theirs"}}, "notify.sns"),
        ({"notify": {"webhook": "http://169.254.169.254/"}}, "notify.webhook"),
        ({"mlflow": {"experiment": "theirs"}}, "mlflow.experiment"),
        ({"mlflow": {"tracking_uri": "https://collects.example"}}, "mlflow.tracking_uri"),
        ({"stopping": {"kind": "python", "early_stop": "os:system"}}, "stopping.early_stop"),
        ({"sampler": {"kind": "tpe", "warm_start": ["/etc/passwd.csv"]}}, "sampler.warm_start"),
    ],
)
def test_what_is_not_a_tenants_to_choose_is_refused_by_name(
    team: Team, changes: dict[str, Any], field: str
) -> None:
    made, token = team.app(), team.token("submit", "red")
    for body, path in (
        ({"spec": spec(**changes)}, "/v1/experiments"),
        (archive(spec(**changes)), "/v1/archives"),
    ):
        answer = ask(made, "POST", path, token, body)
        assert answer.status in (409, 422)
        assert field in answer.json()["detail"] or field in str(answer.json().get("problems"))
    assert taken(team) == 0.0
    assert ask(made, "GET", "/v1/experiments", token).json()["items"] == []


def test_no_folder_of_the_server_and_no_archive_that_leads_out_of_itself(team: Team) -> None:
    made, token = team.app(), team.token("submit", "red")
    assert ask(made, "POST", "/v1/experiments", token, {"spec": spec(), "folder": "/etc"}).status == 409
    code = {"kind": "script", "source_dir": "/etc", "entry_point": "passwd"}
    assert ask(made, "POST", "/v1/experiments", token, {"spec": spec(estimator=code)}).status == 409
    refused = ask(made, "POST", "/v1/archives", token, archive(spec(estimator=code)))
    assert (refused.status, refused.json()["problems"][0]["field"]) == (422, "estimator.source_dir")
    assert ask(made, "POST", "/v1/archives", token, archive(spec(), **{"../out": "x"})).status == 422
    assert ask(made, "POST", "/v1/archives", token, b"no archive").status == 422


def test_an_archive_brings_its_code(team: Team) -> None:
    made, token = team.app(), team.token("submit", "red")
    code = {"kind": "script", "source_dir": ".", "entry_point": "train.py"}
    data = archive(spec(estimator=code), **{"train.py": "print('loss=1')\n"})
    planned = ask(made, "POST", "/v1/archives/plan?epochs=1", token, data)
    assert planned.json()["max_trials"] == 2
    first = ask(made, "POST", "/v1/archives?name=mine", token, data, idempotency_key="k")
    assert (first.status, first.json()) == (201, {"name": "red-mine", "created": True})
    again = ask(made, "POST", "/v1/archives?name=mine", token, data, idempotency_key="k")
    assert (again.status, again.json()["created"]) == (200, False)
    assert ask(made, "GET", "/v1/experiments/red-mine/records", token).body.count(b"\n") == 1


def test_no_place_of_the_server_is_journaled_for_code_that_was_sent(team: Team, tmp_path: Path) -> None:
    made, token = team.app(), team.token("submit", "red")
    estimator = {"kind": "script", "source_dir": "inner", "entry_point": "train.py"}
    data = archive(spec(estimator=estimator), **{"inner/train.py": "print('loss=1')\n"})
    assert ask(made, "POST", "/v1/archives?name=mine", token, data).status == 201
    assert ask(made, "PATCH", "/v1/experiments/red-mine/limits", token, {"max_trials": 3}).status == 200
    told = ask(made, "GET", "/v1/experiments/red-mine/records", token).body.decode()
    documents = [
        e["document"] for line in told.splitlines() for e in json.loads(line)["events"] if "document" in e
    ]
    assert [each["estimator"]["source_dir"] for each in documents] == [".", "."]
    assert "trialjob-" not in told
    # Whoever sent it resumes it, on the store itself too, from the folder where he has it.
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.py").write_text("print('loss=1')\n")
    own = {**estimator, "source_dir": str(tmp_path / "mine")}
    wanted = config.parse(spec(estimator=own, name="red-mine", limits={"max_trials": 5, "max_cost": 10.0}))
    session = team.callers.tenant_experiments("red").look("red-mine", lambda session: session)
    session.change(wanted)
    assert session.state.limits.max_trials == 5


SAGEMAKER = {
    "kind": "sagemaker",
    "role": "arn:aws:iam::123456789012:role/vision",
    "instance_type": "ml.g4dn.xlarge",
    "s3_uri": "s3://vision/tuning",
}


def test_what_an_admin_allows_by_pattern_is_free_and_nothing_else() -> None:
    allow = ["kind=sagemaker", "role=*:role/vision", "s3_uri=s3://vision/*", "instance_type=ml.g4dn.*"]
    decisions = experiment.decisions_of([experiment.allowed(each) for each in allow])
    experiment.spec_of_document(spec(backend=SAGEMAKER), decisions)
    for field, value in {
        "role": "arn:aws:iam::123456789012:role/admin",
        "instance_type": "ml.p5.48xlarge",
        "fallback_instance_types": ["ml.g4dn.xlarge", "ml.p5.48xlarge"],
        "s3_uri": "s3://visions/x",
        "profile": "admin",
        "price_per_hour": 0.0001,
        "request": {"RoleArn": "arn:aws:iam::123456789012:role/admin"},
        "subnets": ["subnet-1"],
    }.items():
        with pytest.raises(SpecError, match=rf"backend\.{field}"):
            experiment.spec_of_document(spec(backend={**SAGEMAKER, field: value}), decisions)
    with pytest.raises(SpecError, match=r"engine\.kind") as refused:
        experiment.spec_of_document(spec(backend=SAGEMAKER, engine="hosted"), decisions)
    assert "--allow" in str(refused.value)
    decisions = experiment.decisions_of([experiment.allowed(each) for each in (*allow, "engine.kind=hosted")])
    experiment.spec_of_document(spec(backend=SAGEMAKER, engine="hosted"), decisions)
    with pytest.raises(UsageError, match="FIELD=PATTERN"):
        experiment.allowed("colour=red")
    for right in ("kind=fqueue", "kind=*queue"):  # one of a package lets no spec in
        with pytest.raises(UsageError, match=r"allows nothing: .*none of a package\n  → write one of local,"):
            experiment.allowed(right)
    assert experiment.allowed("kind=*") == "backend.kind=*"


def test_a_tenant_with_a_profile_of_its_own_calls_aws_by_nothing_else(team: Team) -> None:
    rights = ("kind=sagemaker", "profile=vision", "role=*:role/vision", "s3_uri=s3://vision/*")
    team.tenants.set("red", allow=tuple(experiment.allowed(each) for each in rights))
    made, token = team.app(), team.token("submit", "red")
    for path in ("/v1/plan", "/v1/experiments"):
        refused = ask(made, "POST", path, token, {"spec": spec(backend=SAGEMAKER)})
        (problem,) = refused.json()["problems"]
        assert (refused.status, problem["field"]) == (422, "backend.profile")
        assert problem["remedy"] == "write backend.profile: vision"
    other = ask(made, "POST", "/v1/plan", token, {"spec": spec(backend={**SAGEMAKER, "profile": "admin"})})
    assert (other.status, "backend.profile" in other.json()["detail"]) == (422, True)


def test_two_tenants_jobs_have_no_name_in_common(team: Team) -> None:
    assert {started(team, tenant) for tenant in ("red", "blue")} == {"red-one", "blue-one"}
    for name in ("re-d", "Red", "", "r" * 17, "../x"):
        with pytest.raises(UsageError, match="no name of a tenant"):
            team.tenants.add(name, budget=1, max_concurrent=1, allow=())


# From where, how often, and what is written down


def test_what_was_done_and_refused_is_written_down_without_secrets(team: Team, tmp_path: Path) -> None:
    made, token = team.app(behind_proxy=True), team.token("submit", "red")
    ask(
        made,
        "POST",
        "/v1/experiments",
        token,
        {"spec": spec(), "name": "one"},
        x_forwarded_for="6.6.6.6, 1.2.3.4",
    )
    ask(made, "GET", "/v1/audit", token)
    ask(made, "GET", "/v1/experiments", "trialjob_stolen")
    acts = ask(made, "GET", "/v1/audit", team.token("manage", "red")).json()["items"]
    assert [(each["what"], each["outcome"], each["origin"]) for each in acts] == [
        ("GET /v1/audit", "403", "127.0.0.1"),
        ("POST /v1/experiments → /v1/experiments/red-one", "201", "1.2.3.4"),
    ]
    everything = ask(made, "GET", "/v1/audit", team.token("admin")).json()["items"]
    assert ("GET /v1/experiments", "401") in [(each["what"], each["outcome"]) for each in everything]
    assert ask(made, "GET", "/v1/audit", team.token("manage", "blue")).json()["items"] == []
    written = b"".join(path.read_bytes() for path in (tmp_path / "store" / "_team" / "audit").rglob("*.json"))
    assert token.encode() not in written
    assert b"stolen" not in written


def test_what_was_allowed_on_the_store_itself_is_written_down(team: Team, tmp_path: Path) -> None:
    store = ("--store", str(tmp_path / "store"))
    assert main(["tenant", "add", "green", "--budget", "5/month", "--allow", "kind=local", *store]) == 0
    assert main(["tenant", "set", "green", "--allow", "instance_type=ml.p5.*", *store]) == 0
    acts = ask(team.app(), "GET", "/v1/audit", team.token("admin")).json()["items"]
    assert [act["what"] for act in acts] == [
        "tenant set green --allow backend.instance_type=ml.p5.*",
        "tenant add green --budget 5/month --max-concurrent 8 --allow backend.kind=local",
    ]


def test_whoever_asks_too_often_waits(team: Team) -> None:
    made = team.app()
    told = [ask(made, "GET", "/v1/experiments", "wrong", origin="10.1.1.1").status for _ in range(40)]
    assert told[:20] == [401] * 20
    assert 429 in told  # which of them, the machine's pace says: a try is given back every few seconds
    assert ask(made, "GET", "/v1/experiments", team.token("admin"), origin="10.1.1.1").status == 200
    now = [0.0]
    rates = Rates(lambda: now[0])
    assert [rates.waits("a") for _ in range(200)] == [0.0] * 200
    assert rates.waits("a") > 0
    assert rates.waits("b") == 0
    now[0] = 1.0
    assert rates.waits("a") == 0


def test_pages_of_other_origins_are_not_answered(team: Team) -> None:
    token = team.token("admin")
    public, proxied = team.app(is_local=False), team.app(is_local=False, behind_proxy=True)
    for made in (public, proxied):
        named = {"host": "tuning.example.com"}
        assert asyncio.run(with_origin(made, token, "https://evil.example", **named)).status == 403
        assert asyncio.run(with_origin(made, token, "https://tuning.example.com", **named)).status == 200
    behind = {"host": "10.0.0.5:8765", "x_forwarded_host": "tuning.example.com"}
    assert asyncio.run(with_origin(proxied, token, "https://tuning.example.com", **behind)).status == 200
    assert asyncio.run(with_origin(public, token, "https://tuning.example.com", **behind)).status == 403


def test_what_is_no_text_and_no_address_is_refused_in_words(team: Team) -> None:
    token, made = team.token("submit", "red"), team.app()
    for body in (spec(name="\ud800"), spec(space={"\udfff": {"type": "uniform", "lower": 0, "upper": 1}})):
        answer = ask(made, "POST", "/v1/experiments", token, {"spec": body})
        assert (answer.status, answer.json()["title"]) == (422, "Unprocessable Entity")
    large = ask(made, "POST", "/v1/plan", token, {"spec": "a: " + "x" * 1_000_001})
    assert (large.status, "1,000,000 bytes" in large.json()["problems"][0]["message"]) == (422, True)
    assert asyncio.run(with_origin(made, token, "http://[")).status == 403


def test_what_fails_in_the_server_is_told_and_written_down(
    team: Team, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_given: object) -> None:
        raise RuntimeError("a text\nFALSE line\x1b[2J")

    team.callers.tenant_experiments("red").status = fails  # type: ignore[assignment, method-assign]
    answer = ask(team.app(), "GET", "/v1/experiments/red-one", team.token("read", "red"))
    assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "FALSE" not in answer.body.decode()
    told = capsys.readouterr().err
    assert "RuntimeError" in told
    assert "\nFALSE" not in told
    assert "\x1b" not in told


async def with_origin(made: Access, token: str, page: str, **headers: str) -> Answer:
    return await asked(made, "GET", "/v1/experiments", token, None, origin="10.0.0.9", page=page, **headers)


@pytest.mark.parametrize(
    ("listener", "remedy"),
    [
        (Listener(host="0.0.0.0"), "--tls-cert"),  # noqa: S104 - is refused
        (Listener(host="::"), "--behind-proxy"),
        (Listener(tls=(Path("none.pem"), Path("none.key"))), "as PEM"),
    ],
)
def test_tokens_go_over_no_open_line(team: Team, listener: Listener, remedy: str) -> None:
    team.token("admin")
    with pytest.raises(UsageError, match=remedy):
        serve(store=team.store.where(), listener=listener, resume=False, ready=print, notice=print)


@pytest.mark.parametrize("listener", [Listener(host="0.0.0.0"), Listener(behind_proxy=True)])  # noqa: S104 - refused
def test_one_user_alone_is_listened_to_here_only(tmp_path: Path, listener: Listener) -> None:
    with pytest.raises(UsageError, match="token create --role admin"):
        serve(store=str(tmp_path), listener=listener, resume=False, ready=print, notice=print)


# What a text of a tenant's names is not asked: each field is tried as the spec's model has it, also a new one

#: Nothing listens there; who connects is seen all the same.
HOST, PORT, HOST_OF_AWS = "127.0.0.99", 9, "127.0.0.1"
ADDRESS = f"http://{HOST}:{PORT}/x"
LISTS, NAMED = ("metrics", "objective.others", "on_log"), ("estimator.inputs", "space")
#: What is looked up or connected to while somebody watches.
_seen: list[object] | None = None


def _heard(event: str, details: tuple[Any, ...]) -> None:
    if _seen is None or event not in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        return
    _seen.append(details[1][:2] if event == "socket.connect" else details[0])


@contextmanager
def watched() -> Iterator[list[object]]:
    global _seen  # noqa: PLW0603 - an audit hook stays for good
    if not hasattr(sys, "_trialjob_hears"):
        sys.addaudithook(_heard)
        sys._trialjob_hears = True  # type: ignore[attr-defined]
    found: list[object] = []
    _seen = found
    try:
        yield found
    finally:
        _seen = None


def with_field(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """The document with ``value`` at a path of ``DECISIONS``."""
    made: dict[str, Any] = json.loads(json.dumps(document))
    at, *rest, last = made, *path.split(".")
    walked: list[str] = []
    for part in rest:
        walked.append(part)
        inner = at.get(part)
        at[part] = inner = {"kind": inner} if isinstance(inner, str) else inner or {}
        if ".".join(walked) in LISTS:
            at[part] = inner = inner or [
                {"name": "x", "metric": "x", "mode": "min", "match": "x", "then": "fail"}
            ]
            at = inner[0]
        elif ".".join(walked) in NAMED:
            at = inner.setdefault("train", {})
        else:
            at = inner
    at[last] = value
    return made


async def send(team: Team, token: str, document: dict[str, Any], field: str, *, study: bool) -> list[int]:
    """An address in ``field``, as a text and in a list, by every door."""
    made = team.app()  # a new one for each field, whose rates are its own
    bodies = [with_field(document, field, value) for value in (ADDRESS, [ADDRESS], {"x": ADDRESS})]
    sent: list[tuple[str, object]] = [("/v1/plan", {"spec": body}) for body in bodies]
    sent += [("/v1/experiments", {"spec": bodies[0]}), ("/v1/archives/plan", archive(bodies[0]))]
    if study:
        asks = {name: document[name] for name in ("space", "objective", "limits")}
        sent.append(("/v1/studies", with_field(asks, field, ADDRESS)))
    answers = [await asked(made, "POST", path, token, body) for path, body in sent]
    assert {answer.status for answer in answers} <= {200, 201, 409, 422}, (field, answers)
    return [answer.status for answer in answers]


def test_whatever_a_field_names_is_not_asked(tmp_path: Path) -> None:
    team = Team(tmp_path / "store")
    token = team.token("submit", "red")
    taken = set()
    for field in sorted(DECISIONS):
        with watched() as seen:
            statuses = asyncio.run(send(team, token, spec(), field, study=True))
        # A webhook's host is looked up, to be refused where it is not public, and not connected to.
        assert set(seen) <= ({HOST} if field == "notify.webhook" else set()), field
        taken |= {field} if {200, 201} & set(statuses) else set()
    team.callers.close()
    assert {"estimator.image_uri", "estimator.environment", "estimator.arguments"} <= taken


def test_of_jobs_on_aws_nothing_but_aws_is_asked(
    tmp_path: Path, aws_here: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where an admin allows whatever there is."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    team = Team(tmp_path / "store")
    fields = sorted(field for field in DECISIONS if field.startswith("backend."))
    rights = [f"{field}=*" for field in fields if field != "backend.kind"]
    team.tenants.set("red", allow=("backend.kind=sagemaker", *rights))
    token = team.token("submit", "red")
    ours = (HOST_OF_AWS, int(aws_here.url.rpartition(":")[2]))
    document = spec(backend=SAGEMAKER)
    for field in (*fields, "estimator.image_uri", "estimator.inputs.location"):
        if field == "backend.kind":
            continue
        with watched() as seen:
            asyncio.run(send(team, token, document, field, study=False))
        assert set(seen) <= {ours, HOST_OF_AWS}, field
    team.callers.close()
