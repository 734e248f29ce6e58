"""What whoever operates a service relies on: its metrics, and the examples that start it."""

from __future__ import annotations

import json
import os
import re
import shlex
import threading
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from trialjob import config, experiment
from trialjob.apps.cli.serving import is_shared, serve
from trialjob.apps.service import experiments as desk_module
from trialjob.apps.service.callers import Alone, Caller, TeamCallers
from trialjob.apps.service.experiments import Experiments
from trialjob.apps.service.metrics import metrics
from trialjob.apps.service.rules import RULES
from trialjob.apps.service.runner import Runner
from trialjob.apps.service.serve import answered
from trialjob.apps.team.tenants import Tenants, parse_budget
from trialjob.apps.team.tokens import Role
from trialjob.errors import StoreError, StoreUnavailable
from trialjob.experiment import Session
from trialjob.orchestrator.core.events import ExperimentEnded, ExperimentResumed
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.orchestrator.engine.loop import Watcher
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.orchestrator.journals.store import BaseStore

EXAMPLES = Path(__file__).parents[2] / "examples" / "service"
#: A comment, or a name, its labels and a number.
LABEL = r'\w+="(\\.|[^"\\\n])*"'
LINE = re.compile(rf"# (HELP|TYPE) \w+ .+|\w+(\{{{LABEL}(,{LABEL})*\}})? -?[\d.e+-]+")


def sample(text: str, name: str) -> float:
    (line,) = [line for line in text.splitlines() if line.startswith(f"trialjob_{name} ")]
    return float(line.rpartition(" ")[2])


SPEC: dict[str, Any] = {
    "name": "tuned",
    "estimator": {"kind": "container", "image_uri": "none", "entrypoint": ["true"]},
    "space": {"rate": {"type": "uniform", "lower": 0, "upper": 1}},
    "objective": {"metric": "loss", "mode": "min"},
    "metrics": [{"name": "loss", "regex": r"loss=([0-9.]+)"}],
    "limits": {"max_trials": 2, "max_cost": 10.0},
    "backend": {"kind": "local"},
}


def test_each_sees_the_metrics_of_what_is_his(tmp_path: Path) -> None:
    store, clock = FolderStore(tmp_path), SystemClock()
    for name in ("red", "blue"):
        budget = parse_budget("100/month")
        Tenants(store, clock).add(name, budget=budget, max_concurrent=4, allow=("backend.kind=local",))
    callers = TeamCallers(store, clock)
    red = callers.tenant_experiments("red")
    red.runner.close()  # so that all stays as it is
    begun, _ = red.start(SPEC, None, name="one", key="", uncapped=False)
    for tenant, seen in (("red", {"red"}), ("blue", {"blue"}), ("", {"red", "blue"})):
        role = Role.READ if tenant else Role.ADMIN
        caller = Caller(id="a", role=role, tenant=tenant)
        text = metrics(callers.experiments(caller), callers.tenants(caller))
        assert all(LINE.fullmatch(line) for line in text.splitlines()), text
        assert set(re.findall(r'tenant="(\w+)"', text)) == seen
        assert sample(text, 'experiments{state="running"}') == (tenant != "blue")
        if "red" in seen:
            assert sample(text, 'held_dollars{tenant="red"}') == 10.0
            assert sample(text, 'free_dollars{tenant="red"}') == 90.0
        assert begun not in text
    callers.close()


def test_one_user_has_no_budgets_and_a_graph_begins_at_nothing(tmp_path: Path) -> None:
    text = metrics(Experiments(str(tmp_path), Runner(), tmp_path), [])
    assert sample(text, 'experiments{state="running"}') == sample(text, "jobs") == 0
    assert "tenant" not in text


def test_what_a_label_says_stays_in_its_quotes(tmp_path: Path) -> None:
    tenant = {"name": 'a"b\\c\nd', "budget": 1.5, "spent": 0, "held": 0, "free": 1.5}
    text = metrics(Experiments(str(tmp_path), Runner(), tmp_path), [tenant])
    assert 'trialjob_budget_dollars{tenant="a\\"b\\\\c\\nd"} 1.5\n' in text
    assert all(LINE.fullmatch(line) for line in text.splitlines())


def test_a_list_longer_than_what_is_kept_reads_no_more_than_what_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "_KEPT", 4)
    store, opened = str(tmp_path / "store"), list[str]()
    for number in range(6):
        experiment.create(config.parse({**SPEC, "name": f"e{number}"}), store=store)
    experiments = Experiments(store, Runner(), tmp_path)
    experiments.runner.close()
    open_session = experiment.open_session

    def counted(store: BaseStore, name: str) -> Session:
        opened.append(name)
        return open_session(store, name)

    monkeypatch.setattr(experiment, "open_session", counted)
    lines, _ = experiments.page("", 100)
    assert [line["name"] for line in lines] == opened == [f"e{number}" for number in range(6)]
    assert experiments.page("", 100)[0] == lines
    assert opened[6:] == ["e4", "e5"]
    experiments.status("e5")  # who is looked at takes the place of who was looked at longest ago
    experiments.status("e5")
    assert opened[8:] == ["e5"]


def test_a_machine_is_shared_where_other_people_are() -> None:
    me = os.getuid()
    assert not is_shared({0, 33, 999, 65534, me})
    assert is_shared({0, me, 2345 if me != 2345 else 2346})


class Ending(Session):
    """Is asked to go on when its run has come to its end, and has not been left yet."""

    def asked_at_its_end(self, experiments: Experiments) -> Ending:
        self._experiments = experiments
        return self

    def run(self, watch: Watcher) -> State:
        state = super().run(watch)
        self._experiments.resume(self.name)
        return state


def test_what_is_resumed_as_its_run_ends_is_run_again(tmp_path: Path) -> None:
    store = tmp_path / "store"
    session = experiment.create(config.parse({**SPEC, "name": "one"}), store=str(store))
    session.ask_stop()
    experiments = Experiments(str(store), Runner(), tmp_path)
    opened = FolderStore(store)
    experiments.runner.start(Ending(opened, session.name).asked_at_its_end(experiments))
    for run in list(experiments.runner._runs.values()):
        run.thread.join(240)
    assert experiments.runner.running() == []
    records = opened.journal(session.name).read()
    kinds = [type(event) for record in records for event in record.events]
    assert kinds.count(ExperimentResumed) == 1
    assert kinds.count(ExperimentEnded) == 2


class Begun:
    """Goes on with experiments for as long as it is left to."""

    def __init__(self) -> None:
        self.has_begun, self.may_end, self.over = threading.Event(), threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.has_begun.set()
        self.may_end.wait(240)
        self.over.set()


class LongExperiments(Experiments):
    def __init__(self, store: Path, begun: Begun) -> None:
        super().__init__(str(store), Runner(), store)
        self.resume_all = begun  # type: ignore[method-assign]


class LongCallers(TeamCallers):
    def __init__(self, store: Path, begun: Begun) -> None:
        super().__init__(FolderStore(store), SystemClock())
        self.resume_all = begun  # type: ignore[method-assign]


@pytest.mark.parametrize("is_team", [False, True])
def test_who_asks_is_answered_before_all_that_was_left_goes_on(tmp_path: Path, *, is_team: bool) -> None:
    begun = Begun()
    callers = LongCallers(tmp_path, begun) if is_team else Alone(LongExperiments(tmp_path, begun), "token")
    callers.take_over()
    try:
        assert begun.has_begun.wait(240)
        assert not begun.over.is_set()
        callers.ready()
    finally:
        begun.may_end.set()
        callers.close()
    assert begun.over.wait(240)


def test_a_server_waits_for_a_store_that_is_away_and_says_so_once() -> None:
    answers: list[Exception | bool] = [StoreUnavailable("no answer"), StoreUnavailable("no answer"), True]
    said: list[str] = []
    slept: list[float] = []

    class Waits(SystemClock):
        def sleep(self, seconds: float) -> None:
            slept.append(seconds)

    def ask() -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert answered(ask, Waits(), said.append)
    assert len(slept) == 2
    assert said == ["notice: no answer; the server begins once the store answers"]
    answers[:] = [StoreError("no such bucket")]  # which nothing but its user mends
    with pytest.raises(StoreError, match="no such bucket"):
        answered(ask, Waits(), said.append)


def manifests() -> list[dict[str, Any]]:
    return list(YAML(typ="safe").load_all((EXAMPLES / "kubernetes.yaml").read_text()))


def commands() -> dict[str, list[str]]:
    """The words by which each example starts the server."""
    image = re.search(r"^CMD (.*)$", (EXAMPLES / "Dockerfile").read_text(), re.MULTILINE)
    unit = re.search(r"^ExecStart=(.*)$", (EXAMPLES / "trialjob.service").read_text(), re.MULTILINE)
    (pod,) = manifests()[0]["spec"]["template"]["spec"]["containers"]
    assert image is not None
    assert unit is not None
    return {"image": json.loads(image[1]), "unit": shlex.split(unit[1]), "pod": pod["args"]}


@pytest.mark.parametrize("example", ["image", "unit", "pod"])
def test_an_example_starts_a_server_that_listens_safely(example: str) -> None:
    program, command, *words = commands()[example]
    assert (Path(program).name, command) == ("trialjob", "serve")
    given = serve.make_context("serve", words).params
    assert given["behind_proxy"]
    assert given["resume"]
    assert given["port"] == 8765
    assert (given["host"] == "127.0.0.1") == (example == "unit")


def test_the_probes_of_the_manifest_are_routes_without_a_token() -> None:
    (pod,) = manifests()[0]["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        get = pod[probe]["httpGet"]
        assert RULES["GET", get["path"]] is None
        assert get["port"] == pod["ports"][0]["containerPort"] == 8765
    assert manifests()[1]["spec"]["ports"][0]["targetPort"] == 8765


def test_a_study_is_left_alone_while_no_client_has_a_trial_of_it(tmp_path: Path) -> None:
    experiments = Experiments(str(tmp_path), Runner(), tmp_path)
    space = {"x": {"type": "uniform", "lower": 0, "upper": 1}}
    study = {"metric": "loss", "mode": "min", "space": space, "limits": {"max_trials": 2}}
    for name in ("asked", "waits"):
        experiments.start_study({**study, "name": name}, key="")
    experiments.study("asked", lambda each: each.suggest("ann", 1))
    experiments.study("asked", lambda each: each.report(1, "ann", 1.0, {"loss": 1.0}))
    experiments.resume_all()
    assert set(experiments._resting) == {"waits"}
