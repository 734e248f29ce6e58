"""Thousands of experiments: what is looked for among them, and what of it is read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asgi_call import ask
from server_thread import TOKEN, spec
from trialjob.apps.service.admin_experiments import AdminExperiments
from trialjob.apps.service.api import app
from trialjob.apps.service.callers import Alone
from trialjob.apps.service.experiments import Experiments
from trialjob.apps.service.listing import RestingLines
from trialjob.apps.service.runner import Runner
from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.testing.histories import History

NAMES = ("apple", "apricot", "Banana")


@pytest.fixture
def experiments(tmp_path: Path) -> Experiments:
    runner = Runner()
    runner.close()  # it runs nothing, so that all stays as it is
    for place, name in enumerate(NAMES):
        journal = FolderStore(tmp_path / "store").journal(ExperimentName(name))
        for record in History(trials=1, name=name).records():
            journal.append(record.events, after=record.version - 1, at=record.at + place * 1000)
    estimator = {"kind": "container", "image_uri": "none", "entrypoint": ["true"]}
    made = Experiments(str(tmp_path / "store"), runner, tmp_path)
    made.start(spec(estimator=estimator), None, name="running", key="", uncapped=True)
    return made


def listed(experiments: Experiments, **asked: object) -> dict[str, Any]:
    query = "&".join(f"{name}={value}" for name, value in {"order": "newest", **asked}.items())
    found: dict[str, Any] = ask(
        app(Alone(experiments, TOKEN)), "GET", f"/v1/experiments?{query}", TOKEN
    ).json()
    return found


def names(found: dict[str, Any]) -> list[str]:
    return [each["name"] for each in found["items"]]


def test_what_changed_last_comes_first_and_is_found_by_name_and_state(experiments: Experiments) -> None:
    every = listed(experiments)
    assert names(every) == ["running", "Banana", "apricot", "apple"]
    assert (every["total"], every["running"]) == (4, 1)
    assert names(listed(experiments, limit=2, skip=1)) == ["Banana", "apricot"]
    found = listed(experiments, containing="AP", limit=1)
    assert (names(found), found["total"], found["running"]) == (["apricot"], 2, 0)
    assert names(listed(experiments, state="running")) == ["running"]
    assert names(listed(experiments, state="finished", containing="an")) == ["Banana"]
    assert listed(experiments, containing="none") == {"items": [], "next": "", "total": 0, "running": 0}
    admins = AdminExperiments(lambda: ["one"], lambda _name: experiments)
    assert sorted(str(each["name"]) for each in admins.lines("ap")) == ["apple", "apricot"]


@pytest.mark.parametrize("asked", ["containing=x", "state=running", "skip=1"])
def test_by_name_there_is_no_looking_for_them(experiments: Experiments, asked: str) -> None:
    answer = ask(app(Alone(experiments, TOKEN)), "GET", f"/v1/experiments?{asked}", TOKEN)
    assert answer.status == 409
    assert "order=newest" in answer.json()["detail"]


def test_a_line_of_what_is_over_is_good_for_a_while_and_no_other_is() -> None:
    now = 0.0
    lines = RestingLines(lambda: now)
    over: dict[str, object] = {"state": "finished"}
    runs: dict[str, object] = {"state": "running"}
    lines.keep("over", over)
    lines.keep("runs", runs)
    assert (lines.get("over"), lines.get("runs"), lines.get("none")) == (over, None, None)
    now = 19.0
    assert lines.get("over") is over
    now = 41.0
    assert lines.get("over") is None
    lines.keep("over", over)
    lines.forget("over")
    assert lines.get("over") is None
