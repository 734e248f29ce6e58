"""Samplers that learn, as a spec asks for them: decided at creation, warm started, resumed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from trialjob import config
from trialjob.config import ExperimentSpec
from trialjob.config.plugins import section_document
from trialjob.errors import SpecError, UsageError
from trialjob.experiment import attach, create
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.events import Event, KnownResult
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.reporting.results import Result


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., ExperimentSpec]:
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.sh").write_text('echo "acc=$SM_HP_X"\n')

    def make(name: str, **changes: object) -> ExperimentSpec:
        document: dict[str, object] = {
            "name": name,
            "estimator": {"kind": "script", "source_dir": str(code), "entry_point": "train.sh"},
            "space": {
                "x": {"type": "uniform", "lower": 0.0, "upper": 1.0},
                "c": {"type": "choice", "values": [1, 2]},
            },
            "objective": {"metric": "acc", "mode": "max"},
            "metrics": [{"name": "acc", "regex": "acc=({number})"}],
            "limits": {"max_trials": 3, "max_concurrent_trials": 3},
        }
        return config.parse({**document, **changes}, base=tmp_path)  # type: ignore[dict-item]

    return make


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def quiet(_state: State, _events: Sequence[Event]) -> None:
    pass


def test_bayesian_is_decided_when_the_experiment_is_created(
    spec: Callable[..., ExperimentSpec], store: Path
) -> None:
    given = spec("b", sampler={"kind": "bayesian"}, stopping={"kind": "asha", "max_resource": 9})
    session = create(given, store=store)
    assert session.spec.sampler.kind == "tpe"
    session.change(given)  # what was left open is no difference
    with pytest.raises(UsageError, match=r"sampler\.seed"):
        session.change(
            spec("b", sampler={"kind": "bayesian", "seed": 7}, stopping=section_document(given.stopping))
        )

    whole = create(spec("w", sampler={"kind": "bayesian"}), store=store).spec.sampler.kind
    assert whole == ("gp" if find_spec("torch") else "tpe")


def test_a_sampler_that_is_left_out_is_decided_by_the_rule_and_recorded(
    spec: Callable[..., ExperimentSpec], store: Path
) -> None:
    others = {
        "objective": {"metric": "acc", "mode": "max", "others": [{"metric": "size", "mode": "min"}]},
        "metrics": [{"name": name, "regex": f"{name}=({{number}})"} for name in ("acc", "size")],
    }
    for name, kind, changes in (
        ("whole", "tpe", {}),
        ("pruned", "random", {"stopping": {"kind": "median"}}),
        # These propose by themselves, and take their seed from it.
        ("syne-asha", "random", {"stopping": {"kind": "syne_asha", "max_resource": 9}}),
        ("bohb", "random", {"stopping": {"kind": "bohb", "max_resource": 9}}),
        ("mo-asha", "random", {"stopping": {"kind": "mo_asha", "max_resource": 9}, **others}),
        ("pbt", "random", {"stopping": {"kind": "pbt", "max_resource": 9, "perturbation_interval": 3}}),
    ):
        given = spec(name, **changes)
        assert given.sampler.kind == "auto"
        session = create(given, store=store)
        assert session.spec.sampler.kind == kind
        session.change(given)  # what was left open is no difference


def test_what_was_measured_behind_random_search_is_said(
    spec: Callable[..., ExperimentSpec], store: Path
) -> None:
    asha = {"kind": "asha", "max_resource": 9}
    for name, sampler, stopping, said in (
        ("tpe", "tpe", asha, True),
        ("bayesian", "bayesian", asha, True),
        ("cmaes", "cmaes", {"kind": "median"}, True),
        ("kde", "kde", {"kind": "median"}, True),
        ("promotion", "tpe", {**asha, "variant": "promotion"}, False),
        ("median", "tpe", {"kind": "median"}, False),
        ("whole", "cmaes", {"kind": "none"}, False),
    ):
        session = create(spec(name, sampler={"kind": sampler}, stopping=stopping), store=store)
        told = [note for note in session.notes if "behind random search" in note]
        assert bool(told) == said
        assert all(note.startswith(f"{session.spec.sampler.kind} under ") for note in told)


def test_warm_start_from_an_experiment_and_a_table(
    spec: Callable[..., ExperimentSpec], store: Path, tmp_path: Path
) -> None:
    first = create(spec("first"), store=store).run(quiet)
    (tmp_path / "old.csv").write_text(Result(first).to_csv())
    (tmp_path / "other.csv").write_text("x,c,acc\n0.5,2,0.5\n5,2,0.5\n")
    sampler = {"kind": "tpe", "warm_start": ["first", "old.csv", "other.csv"], "n_startup_trials": 5}
    session = create(spec("second", sampler=sampler), store=store)
    assert session.notes == (
        "warm start from first: 3 results learned, 0 outside of this space left out",
        f"warm start from {tmp_path}/old.csv: 3 results learned, 0 outside of this space left out",
        f"warm start from {tmp_path}/other.csv: 1 result learned, 1 outside of this space left out",
    )
    (record,) = FolderStore(store).journal(session.name).read()
    known = [event for event in record.events if isinstance(event, KnownResult)]
    assert known[0] == known[3] == KnownResult(config=first.trials[1].config, score=first.trials[1].score)  # type: ignore[arg-type, index]
    assert len(known) == 7

    # What was learned is in the journal.
    shutil.rmtree(store / "first")
    (tmp_path / "old.csv").unlink()
    state = attach("second", store=store).run(quiet)
    assert state.phase is Phase.ENDED
    assert [trial.status.value for trial in state.trials] == ["completed"] * 3


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        ({"kind": "random", "warm_start": ["first"]}, "warm_start"),
        ({"kind": "tpe", "warm_start": ["a b"]}, r'sampler\.warm_start\[0\].*"a b"'),
        ({"kind": "tpe", "warm_start": ["missing.csv"]}, r"missing\.csv.* is no file"),
        ({"kind": "tpe", "n_startup_trials": 0}, "n_startup_trials"),
        ({"kind": "tpf"}, "did you mean 'tpe'"),
    ],
)
def test_what_makes_no_sense_is_refused(
    spec: Callable[..., ExperimentSpec], sampler: dict[str, object], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        spec("wrong", sampler=sampler)


def test_cmaes_is_refused_where_nothing_is_a_number(spec: Callable[..., ExperimentSpec]) -> None:
    space = {"c": {"type": "choice", "values": ["a", "b"]}, "one": 3}
    with pytest.raises(SpecError, match="'cmaes' moves numbers"):
        spec("wrong", sampler={"kind": "cmaes"}, space=space)


def test_sources_that_say_nothing_are_refused(
    spec: Callable[..., ExperimentSpec], store: Path, tmp_path: Path
) -> None:
    (tmp_path / "far.csv").write_text("x,c,acc\n5,2,0.5\n")
    for source, message in (
        ("far.csv", "no trial that lies in this space"),
        ("nobody", "no experiment named"),
    ):
        with pytest.raises(UsageError, match=message):
            create(spec("new", sampler={"kind": "tpe", "warm_start": [source]}), store=store)
    assert "new" not in FolderStore(store).names()
