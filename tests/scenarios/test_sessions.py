"""Experiments in a store, as sessions put them together: created, changed, stopped, resumed, fought over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from trialjob import config
from trialjob.backends.local.section import Local
from trialjob.config import ExperimentSpec
from trialjob.config.plugins import section_document
from trialjob.errors import ExperimentBusy, SpecError, UsageError
from trialjob.experiment import Session, attach, create, resolve
from trialjob.model.ids import TrialId
from trialjob.model.money import Tariff, Terms
from trialjob.model.trial import EndKind, Phase, TrialStatus
from trialjob.orchestrator.core.events import Event, PricesLearned
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.folder import FolderStore

SCRIPT = """\
for epoch in 1 2; do echo "acc=0.$epoch"; done
sleep "$SM_HP_SECONDS"
"""


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., ExperimentSpec]:
    code = tmp_path / "code"
    code.mkdir()
    (code / "train.sh").write_text(SCRIPT)

    def make(**changes: object) -> ExperimentSpec:
        document: dict[str, object] = {
            "name": "shell",
            "estimator": {
                "kind": "script",
                "source_dir": str(code),
                "entry_point": "train.sh",
                "hyperparameters": {"seconds": 0},
            },
            "space": {"x": {"type": "uniform", "lower": 0.0, "upper": 1.0}},
            "objective": {"metric": "acc", "mode": "max"},
            "metrics": [{"name": "acc", "regex": "acc=({number})"}],
            "limits": {"max_trials": 2, "max_concurrent_trials": 2},
        }
        return config.parse({**document, **changes})  # type: ignore[dict-item]

    return make


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def quiet(_state: State, _events: Sequence[Event]) -> None:
    pass


def test_a_seed_is_drawn_once_and_recorded(spec: Callable[..., ExperimentSpec], store: Path) -> None:
    session = create(spec(), store=store)
    first = session.run(quiet)
    seed = attach("shell", store=store).spec.sampler
    assert getattr(seed, "seed", None) is not None
    other = create(spec(name="other", sampler=section_document(seed)), store=store).run(quiet)
    assert [trial.config for trial in other.trials] == [trial.config for trial in first.trials]


def test_a_seed_that_nobody_wrote_is_the_spec_s_own(spec: Callable[..., ExperimentSpec], store: Path) -> None:
    planned = resolve(spec()).spec.sampler
    begun = [create(spec(name=name), store=store).spec.sampler for name in ("one", "two")]
    assert [planned, planned] == begun
    changed = spec(space={"x": {"type": "uniform", "lower": 0.0, "upper": 2.0}})
    assert resolve(changed).spec.sampler != planned


def test_what_is_resolved_is_not_resolved_again(spec: Callable[..., ExperimentSpec], store: Path) -> None:
    resolved = resolve(spec())
    assert resolve(resolved) is resolved
    session = create(resolved, store=store)
    session.run(quiet)
    learned = [event for record in FolderStore(store).journal(session.name).read() for event in record.events]
    assert sum(isinstance(event, PricesLearned) for event in learned) == 1


def test_a_name_is_taken_once(spec: Callable[..., ExperimentSpec], store: Path) -> None:
    create(spec(), store=store)
    with pytest.raises(UsageError, match="exists"):
        create(spec(), store=store)
    with pytest.raises(UsageError, match="did you mean shell"):
        attach("shel", store=store)


def test_limits_may_change_and_nothing_else(spec: Callable[..., ExperimentSpec], store: Path) -> None:
    create(spec(), store=store).run(quiet)
    session = attach("shell", store=store)
    with pytest.raises(UsageError, match=r"space\.x\.upper: 1\.0 → 2\.0"):
        session.change(spec(space={"x": {"type": "uniform", "lower": 0.0, "upper": 2.0}}))
    with pytest.raises(UsageError, match=r"objective\.mode"):
        session.change(spec(objective={"metric": "acc", "mode": "min"}))
    with pytest.raises(UsageError, match=r"metrics: "):
        session.change(spec(metrics=[{"name": "acc", "regex": "accuracy=({number})"}]))
    session.change(spec(name="the-name-in-the-file", limits={"max_trials": 3}))
    assert session.run(quiet).phase is Phase.ENDED
    assert len(session.state.trials) == 2
    session.reopen()
    state = session.run(quiet)
    assert len(state.trials) == 3
    assert attach("shell", store=store).spec.limits.max_trials == 3
    # What has not changed is not journaled again.
    version = state.version
    session.change(spec(limits={"max_trials": 3}))
    assert session.refresh().version == version


def test_until_there_is_a_value_a_regex_may_change_and_where_else_metrics_are_from_may_not(
    spec: Callable[..., ExperimentSpec], store: Path
) -> None:
    session = create(spec(), store=store)
    with pytest.raises(UsageError, match=r"metrics_from: null → .mlflow"):
        session.change(spec(metrics_from="mlflow"))
    session.change(spec(metrics=[{"name": "acc", "regex": "accuracy=({number})"}]))
    assert session.spec.metrics[0].regex == "accuracy=({number})"


def test_two_who_change_limits_at_once_undo_nothing_of_each_other(
    spec: Callable[..., ExperimentSpec], store: Path
) -> None:
    create(spec(limits={"max_trials": 9, "trial_timeout": 3600.0}), store=store)
    one, other = attach("shell", store=store), attach("shell", store=store)

    def fewer(present: ExperimentSpec) -> ExperimentSpec:
        return present.model_copy(update={"limits": present.limits.model_copy(update={"max_trials": 3})})

    def shorter(present: ExperimentSpec) -> ExperimentSpec:
        return present.model_copy(
            update={"limits": present.limits.model_copy(update={"trial_timeout": 60.0})}
        )

    one.revise(fewer)
    other.revise(shorter)
    limits = one.refresh().limits
    assert (limits.max_trials, limits.trial_timeout) == (3, 60.0)
    assert one.spec.limits.max_trials == 3


def test_whoever_runs_it_goes_by_a_regex_that_was_set_right_meanwhile(
    spec: Callable[..., ExperimentSpec], store: Path
) -> None:
    session = create(spec(metrics=[{"name": "acc", "regex": "accuracy=({number})"}]), store=store)
    changed: list[int] = []

    def change_once(state: State, _events: Sequence[Event]) -> None:
        if not changed:
            changed.append(state.version)
            attach("shell", store=store).change(spec())

    state = session.run(change_once)
    assert [trial.score for trial in state.trials] == [0.2, 0.2]


def test_whoever_has_left_does_not_go_on_as_the_spec_has_changed(
    spec: Callable[..., ExperimentSpec], store: Path
) -> None:
    session = create(spec(metrics=[{"name": "acc", "regex": "accuracy=({number})"}]), store=store)

    def change_and_leave(_state: State, _events: Sequence[Event]) -> None:
        attach("shell", store=store).change(spec())
        session.interrupt()

    assert session.run(change_and_leave).trials == attach("shell", store=store).state.trials
    assert session.state.phase is Phase.RUNNING
    assert not session.state.trials


def test_a_cap_in_dollars_is_refused_where_no_price_is_known_and_nothing_is_changed(
    spec: Callable[..., ExperimentSpec], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpriced = Tariff(terms=(Terms(price=None),))
    with monkeypatch.context() as patched:
        patched.setattr(Local, "tariff", lambda *_: unpriced)
        session = create(spec(), store=store)
        for wrong in ({"max_cost": 1.0}, {"min_gain_per_dollar": 0.1}):
            with pytest.raises(SpecError, match="no price is known"):
                session.change(spec(limits={"max_trials": 2, **wrong}))
        session.change(spec(limits={"max_trials": 3}))
        assert session.refresh().limits.max_cost is None
        assert session.state.tariff == unpriced
    session.change(spec(limits={"max_trials": 3, "max_cost": 1.0}))
    assert session.state.tariff is not None
    assert session.state.tariff.priced


def test_a_changed_price_counts_for_whoever_runs_it(spec: Callable[..., ExperimentSpec], store: Path) -> None:
    session = create(spec(), store=store)
    attach("shell", store=store).change(spec(backend={"kind": "local", "price_per_hour": 2.5}))
    tariff = session.refresh().tariff
    assert tariff is not None
    assert [terms.price for terms in tariff.terms] == [2_500_000]


def test_code_that_changed_or_vanished_after_the_start_changes_nothing(
    spec: Callable[..., ExperimentSpec], store: Path, tmp_path: Path
) -> None:
    create(spec(), store=store)
    (tmp_path / "code" / "train.sh").unlink()
    (tmp_path / "code").rmdir()
    state = attach("shell", store=store).run(quiet)
    assert state.count(TrialStatus.COMPLETED) == 2


def test_only_one_orchestrator_runs_it(spec: Callable[..., ExperimentSpec], store: Path) -> None:
    session = create(spec(), store=store)
    refused: list[str] = []

    def watch(_state: State, _events: Sequence[Event]) -> None:
        if not refused:
            with pytest.raises(ExperimentBusy) as busy:
                attach("shell", store=store).run(quiet)
            refused.append(str(busy.value))

    session.run(watch)
    assert "is being run by process" in refused[0]


def test_stopped_while_it_runs_and_resumed_later(spec: Callable[..., ExperimentSpec], store: Path) -> None:
    document = spec().document()
    document["estimator"]["hyperparameters"]["seconds"] = 60  # type: ignore[index,call-overload]
    session = create(config.parse(document), store=store)

    def stop_when_reported(state: State, _events: Sequence[Event]) -> None:
        if state.phase is Phase.RUNNING and len(state.trials) == 2 and all(t.score for t in state.trials):
            attach("shell", store=store).ask_stop()

    state = session.run(stop_when_reported)
    assert state.reason is not None
    assert state.reason.kind is EndKind.STOPPED
    assert [trial.status for trial in state.trials] == [TrialStatus.CANCELLED] * 2
    # The results are kept, and there is nothing more to start.
    assert [trial.score for trial in state.trials] == [0.2, 0.2]
    resumed = attach("shell", store=store)
    resumed.reopen()
    again = resumed.run(quiet)
    assert again.reason is not None
    assert again.reason.kind is EndKind.MAX_TRIALS


def test_interrupted_it_detaches_and_its_jobs_run_on(
    spec: Callable[..., ExperimentSpec], store: Path
) -> None:
    document = spec().document()
    document["estimator"]["hyperparameters"]["seconds"] = 1  # type: ignore[index,call-overload]
    session = create(config.parse(document), store=store)

    def leave_when_started(state: State, _events: Sequence[Event]) -> None:
        if state.live:
            session.interrupt()

    state = session.run(leave_when_started)
    assert state.phase is Phase.RUNNING
    assert session.holder() is None
    resumed: Session = attach("shell", store=store)
    state = resumed.run(quiet)
    assert [len(trial.attempts) for trial in state.trials] == [1, 1]
    assert state.count(TrialStatus.COMPLETED) == 2
    assert "acc=0.1" in [line.text for line in resumed.log(TrialId(1))]


def test_more_gpus_than_there_are(
    spec: Callable[..., ExperimentSpec], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    wanted = spec(backend={"kind": "local", "gpus_per_trial": 2})
    with pytest.raises(SpecError, match=r"required 4, available 2"):
        create(wanted, store=store)
    assert not store.exists()
