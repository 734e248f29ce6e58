"""An experiment in an Optuna storage, and Optuna's dashboard on it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from trialjob.errors import UsageError
from trialjob.model.json import Json
from trialjob.model.metric import MetricGoal, Mode, Objective
from trialjob.model.space import (
    Branches,
    Choice,
    Domain,
    Grid,
    LogNormal,
    LogRandInt,
    LogUniform,
    Normal,
    Ordinal,
    QLogNormal,
    QLogUniform,
    QNormal,
    QUniform,
    RandInt,
    ReverseLogUniform,
    Space,
    Uniform,
)
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.evolve import evolve
from trialjob.orchestrator.core.state import State
from trialjob.reporting.optuna_space import distribution, parameters
from trialjob.reporting.optuna_study import OptunaStudy
from trialjob.reporting.steps import whole_step
from trialjob.testing.histories import SPACE, History, billed_late

DOMAINS: dict[str, Domain] = {
    "uniform": Uniform(lower=0.0, upper=1.0),
    "loguniform": LogUniform(lower=1e-5, upper=1.0),
    "reverse": ReverseLogUniform(lower=0.9, upper=0.999),
    "normal": Normal(mu=0.0, sigma=1.0),
    "lognormal": LogNormal(mu=-3.0, sigma=1.0),
    "quniform": QUniform(lower=0.0, upper=1.0, q=0.3),
    "whole quniform": QUniform(lower=1.0, upper=99.0, q=8.0),
    "qloguniform": QLogUniform(lower=1.0, upper=500.0, q=8.0),
    "qnormal": QNormal(mu=10.0, sigma=4.0, q=0.5),
    "qlognormal": QLogNormal(mu=1.0, sigma=1.0, q=1.0),
    "randint": RandInt(lower=-3, upper=9),
    "lograndint": LogRandInt(lower=1, upper=1025),
    "choice": Choice(values=("a", None, True, 2.5)),
    "alike": Choice(values=(1, 1.0, True, "1")),
    "nested values": Choice(values=([1, 2], {"a": 1}, "[1,2]")),
    "ordinal": Ordinal(values=(1, 2, 4)),
    "grid": Grid(values=(0.1, 0.3)),
    "one": Choice(values=("only",)),
}


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
@given(u=st.floats(min_value=0, max_value=1, exclude_max=True))
def test_every_value_of_a_domain_lies_in_its_distribution(domain: Domain, u: float) -> None:
    with warnings.catch_warnings():
        # Optuna says when an upper end is no multiple of the step; it is adjusted, and the value still in it.
        warnings.simplefilter("ignore")
        value = domain.at(u)
        values, distributions = parameters({"x": value}, {"x": domain})
        found = distributions["x"]
        inside = found.to_internal_repr(values["x"])
        assert found._contains(inside)
        assert type(found.to_external_repr(inside)) is type(values["x"])


def test_distributions_say_what_the_domain_is() -> None:
    assert distribution(DOMAINS["loguniform"], 0.1) == FloatDistribution(1e-5, 1.0, log=True)
    assert distribution(DOMAINS["randint"], 0) == IntDistribution(-3, 8)
    assert distribution(DOMAINS["lograndint"], 1) == IntDistribution(1, 1024, log=True)
    assert distribution(DOMAINS["whole quniform"], 8) == IntDistribution(0, 96, step=8)
    assert distribution(DOMAINS["choice"], "a") == CategoricalDistribution(["a", None, True, 2.5])
    assert distribution(DOMAINS["alike"], 1) == CategoricalDistribution(["1", "1.0", "true", '"1"'])


def test_steps_are_whole() -> None:
    assert [whole_step(resource) for resource in (1.0, 2.5, 3.0, math.inf)] == [1, 3, 3, None]


def storage(tmp_path: Path, kind: str) -> str:
    return f"sqlite:///{tmp_path}/study.db" if kind == "sqlite" else str(tmp_path / "study.journal")


def trials(where: str, name: str = "made-up") -> list[FrozenTrial]:
    if "://" in where:
        return optuna.load_study(study_name=name, storage=where).trials
    backend = optuna.storages.journal.JournalFileBackend(where)
    return optuna.load_study(study_name=name, storage=optuna.storages.JournalStorage(backend)).trials


def send(where: str, history: History) -> int:
    state = history.state()
    return OptunaStudy(where, state, history.space).send(state)


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_everything_is_there_and_sending_again_changes_nothing(tmp_path: Path, kind: str) -> None:
    where, history = storage(tmp_path, kind), History(trials=40)
    assert send(where, history) == 40
    before = trials(where)
    assert send(where, history) == 40
    assert trials(where) == before
    state = history.state()
    for ours, theirs in zip(state.trials, before, strict=True):
        assert theirs.number == ours.id - 1
        assert theirs.user_attrs["trialjob:trial"] == ours.id
        assert theirs.params == dict(ours.config)
        assert theirs.intermediate_values == dict(ours.curve)
    statuses = {(trial.user_attrs["trialjob:status"], trial.state) for trial in before}
    assert statuses == {
        ("completed", TrialState.COMPLETE),
        ("pruned", TrialState.PRUNED),
        ("failed", TrialState.FAIL),
    }
    done = next(trial for trial in before if trial.state is TrialState.COMPLETE)
    assert done.duration is not None
    assert done.duration.total_seconds() > 800
    assert "loss" in done.user_attrs
    assert done.user_attrs["trialjob:dollars"] > 0
    failed = next(trial for trial in before if trial.state is TrialState.FAIL)
    assert failed.user_attrs["trialjob:reason"] == "exit status 1: RuntimeError: CUDA error"


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_followed_step_by_step_it_ends_the_same(tmp_path: Path, kind: str) -> None:
    where, history = storage(tmp_path, kind), History(trials=12)
    study: OptunaStudy | None = None
    state: State | None = None
    for number, record in enumerate(history.records()):
        state = evolve(state, record)
        if study is None or number == 60:  # and once as after a crash
            study = OptunaStudy(where, state, history.space)
        study.send(state)
    assert study is not None
    assert state is not None
    assert study.send(state) == 0
    whole = storage(tmp_path, kind) + "2"
    send(whole, history)
    for followed, at_once in zip(trials(where), trials(whole), strict=True):
        assert followed.number == at_once.number
        assert followed.state == at_once.state
        assert followed.values == at_once.values
        assert followed.params == at_once.params
        assert followed.intermediate_values == at_once.intermediate_values
        assert followed.user_attrs == at_once.user_attrs


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_the_study_of_an_earlier_experiment_of_the_name_is_not_taken_for_this_one(
    tmp_path: Path, kind: str
) -> None:
    where, history = storage(tmp_path, kind), History(trials=3)
    send(where, history)
    before, state = trials(where), history.state()
    again = replace(state, created_at=state.created_at + 3600.0)
    with pytest.raises(UsageError, match="a study named made-up of an earlier experiment"):
        OptunaStudy(where, again, history.space)
    assert trials(where) == before
    assert send(where, history) == 3


@pytest.mark.parametrize("comes", [True, False])
def test_a_bill_that_comes_after_its_trial_has_ended_is_there(tmp_path: Path, comes: bool) -> None:
    where = storage(tmp_path, "journal")
    before, after = billed_late()
    study = OptunaStudy(where, before, SPACE)
    study.send(before)
    (found,) = trials(where, "billed")
    assert (found.state, found.intermediate_values) == (TrialState.RUNNING, {1: 0.5})
    study.send(after if comes else replace(before, phase=Phase.ENDED))  # after which none will come
    (found,) = trials(where, "billed")
    assert (found.state, found.value) == (TrialState.COMPLETE, 0.5)
    assert found.user_attrs.get("trialjob:dollars") == (0.04 if comes else None)


def test_numbers_that_optuna_cannot_keep(tmp_path: Path) -> None:
    objective = Objective(metric="val_accuracy", mode=Mode.MIN)
    values = {2: math.nan, 3: -math.inf, 4: math.inf}
    where = storage(tmp_path, "sqlite")
    send(where, History(trials=8, values=values, objective=objective, fails_every=99))
    found = trials(where)
    assert found[2].value == -math.inf
    assert all(trial.state is not TrialState.FAIL for trial in found)
    send(where + "2", History(trials=1, values=dict.fromkeys(range(1, 2), math.nan), given={"lr": 1e-4}))
    assert len(trials(where + "2")) == 1


def test_conditional_spaces_and_values_that_are_no_scalars(tmp_path: Path) -> None:
    branches: Mapping[str, Mapping[str, Domain]] = {
        "sgd": {"momentum": Uniform(lower=0.0, upper=0.99)},
        "adam": {},
    }
    space = Space(
        {
            "optimizer": Branches(values=("sgd", "adam"), branches=branches),
            "sizes": Choice(values=([8, 8], [16], None)),
        }
    )
    where = storage(tmp_path, "sqlite")
    send(where, History(trials=30, space=space))
    for trial in trials(where):
        assert ("momentum" in trial.params) is (trial.params["optimizer"] == "sgd")
        assert trial.params["sizes"] in ("[8,8]", "[16]", "null")


def test_several_objectives(tmp_path: Path) -> None:
    objective = Objective(
        metric="val_accuracy", mode=Mode.MAX, others=(MetricGoal(metric="loss", mode=Mode.MIN),)
    )
    where = storage(tmp_path, "sqlite")
    send(where, History(trials=30, objective=objective))
    study = optuna.load_study(study_name="made-up", storage=where)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.best_trials
    with pytest.raises(UsageError, match="holds a study named made-up with other objectives"):
        send(where, History(trials=30))


#: What the dashboard's own page asks for; in a process of its own, as it brings half of PyTorch along.
DASHBOARD = """
import json, sys
from optuna_dashboard import wsgi
from werkzeug.test import Client
client = Client(wsgi(sys.argv[1]))
listed = json.loads(client.get("/api/studies").data)["study_summaries"]
detail = json.loads(client.get("/api/studies/%d" % listed[0]["study_id"]).data)
print(json.dumps({"listed": listed, "detail": detail}))
"""


@pytest.mark.skipif(find_spec("optuna_dashboard") is None, reason="optuna-dashboard is not installed")
def test_the_dashboard_opens_it(tmp_path: Path) -> None:
    where = storage(tmp_path, "sqlite")
    send(where, History(trials=30))
    asked = [sys.executable, "-W", "ignore", "-c", DASHBOARD, where]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert [study["study_name"] for study in answer["listed"]] == ["made-up"]
    detail = answer["detail"]
    assert len(detail["trials"]) == 30
    assert {trial["state"] for trial in detail["trials"]} == {"Complete", "Pruned", "Fail"}
    assert detail["intersection_search_space"]


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ("sqlite:////nowhere/at/all/study.db", "cannot be used"),
        ("nonsense://x", "cannot be used"),
        ("sqlite:///", "kept in memory only; name a file"),
        ("/nowhere/at/all/study.journal", "cannot be used"),
    ],
)
def test_a_storage_that_cannot_be_opened(where: str, complaint: str) -> None:
    state = History(trials=1).state()
    with pytest.raises(UsageError, match=complaint):
        OptunaStudy(where, state, SPACE).send(state)


def test_values_json_holds() -> None:
    given_: Json = {"a": [1, 2]}
    values, _ = parameters({"x": given_, "unknown": 3}, {"x": Choice(values=(given_, "b"))})
    assert values == {"x": '{"a":[1,2]}'}


@pytest.mark.parametrize("where", ["sqlite:///study.db", "study.log"])
def test_two_that_follow_an_experiment_send_each_trial_once(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    begun, ended = History(trials=2).state(), History(trials=5).state()
    first, second = OptunaStudy(where, begun, SPACE), OptunaStudy(where, begun, SPACE)
    for study in (first, second, first):
        study.send(begun)
    for study in (second, first):
        study.send(ended)
    (summary,) = optuna.get_all_study_summaries(first._storage)
    trials = optuna.load_study(study_name=summary.study_name, storage=first._storage).trials
    assert sorted(trial.user_attrs["trialjob:trial"] for trial in trials) == [1, 2, 3, 4, 5]
