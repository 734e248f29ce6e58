"""Several types are asked for in one call, and counted at the dearest until it is known which one it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from trialjob.backends.sagemaker.machines import Spot
from trialjob.backends.sagemaker.prices import Price, tariff_of
from trialjob.backends.sagemaker.raw_request import translated
from trialjob.backends.sagemaker.request import asks_for_any, build
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.backends.sagemaker.status import is_settled
from trialjob.model.ids import TrialId, job_name
from trialjob.model.limits import Limits
from trialjob.model.money import PriceOrigin, Tariff
from trialjob.model.trial import Phase, TrialStatus
from trialjob.orchestrator.core.events import AttemptIntended, PricesLearned
from trialjob.testing.sagemaker_simulation import BUNDLED, SETTINGS, SageMakerSimulation
from trialjob.testing.simulation import NAME

NOW = datetime(2026, 11, 29, tzinfo=UTC)
CHEAP, DEAR = "ml.g4dn.xlarge", "ml.g5.xlarge"
PLAIN = replace(SETTINGS, instance_type=CHEAP, fallback_instance_types=(DEAR,))


def tariff(settings: SageMakerSettings = PLAIN, dearest: int = 1_400_000) -> Tariff:
    def price(machine: str) -> Price:
        micros = 700_000 if machine == CHEAP else dearest
        return Price(micros=micros, origin=PriceOrigin.SPEC, source="here")

    return tariff_of(settings, price)


def simulation(folder: Path, max_cost: float = 10.0) -> SageMakerSimulation:
    """Two trials at one time, which is what the cap is to hold."""
    limits = Limits(max_trials=2, max_concurrent_trials=2, trial_timeout=3600.0, max_cost=max_cost)
    simulated = SageMakerSimulation(limits=limits, folder=folder, settings=PLAIN)
    count = len(simulated.journal.read())
    simulated.journal.append([PricesLearned(tariff=tariff())], after=count, at=simulated.clock.now())
    return simulated


@pytest.mark.parametrize(("lacking", "had"), [((), CHEAP), ((CHEAP,), DEAR)])
def test_one_job_has_the_first_type_that_there_is_and_is_paid_by_it(
    tmp_path: Path, lacking: tuple[str, ...], had: str
) -> None:
    simulated = simulation(tmp_path)
    simulated.faults.no_capacity |= set(lacking)
    state = simulated.run()
    assert state.phase is Phase.ENDED
    assert {trial.status for trial in state.trials} <= {TrialStatus.COMPLETED, TrialStatus.PRUNED}
    assert simulated.service.ledger.count("CreateTrainingJob") == 2  # and none in vain
    asked = [{"InstanceType": kind, "InstanceCount": 1} for kind in (CHEAP, DEAR)]
    events = [event for record in simulated.journal.read() for event in record.events]
    intended = [event.terms for event in events if isinstance(event, AttemptIntended)]
    assert [terms and terms.machine for terms in intended] == [DEAR, DEAR]
    price = 700_000 if had == CHEAP else 1_400_000
    total = 0
    for job, trial in zip(simulated.service.jobs.values(), state.trials, strict=True):
        assert job.request["ResourceConfig"] == {"InstancePreferences": asked, "VolumeSizeInGB": 30}
        (attempt,) = trial.attempts
        assert attempt.terms is not None
        assert (attempt.terms.machine, attempt.terms.price) == (had, price)
        total += -(-round(job.billable or 0) * price // 3600)
    assert state.spent == state.committed
    assert state.spent.micros == total


def test_the_cap_counts_the_dearest_until_it_is_known(tmp_path: Path) -> None:
    # 3600 s, 120 s and 300 s at $1.40 are $1.57; the second one waits for the first one's bill.
    simulated = simulation(tmp_path, max_cost=2.4)
    stepper = simulated.stepper()
    stepper.step()
    assert stepper.state is not None
    assert [len(trial.attempts) for trial in stepper.state.trials] == [1]
    assert stepper.state.committed.micros == 1_563_334
    state = simulated.run()
    assert [len(trial.attempts) for trial in state.trials] == [1, 1]
    assert state.spent.dollars < 0.7


def test_prices_that_have_changed_settle_nothing_above_what_was_committed() -> None:
    old, new = tariff(), tariff(dearest=9_000_000)
    terms = old.after(0)
    assert old.after(7) == terms == old.dearest
    assert old.taken(terms, CHEAP).price == 700_000
    assert old.taken(terms, "ml.unknown") == old.taken(terms, "") == terms
    assert new.taken(terms, CHEAP) == terms


@pytest.mark.parametrize(
    ("changes", "any_"),
    [
        ({}, True),
        ({"fallback_instance_types": ()}, False),
        ({"fallback_instance_types": (CHEAP,)}, False),
        ({"fallback_instance_types": (DEAR, "c", "d", "e")}, True),
        ({"fallback_instance_types": (DEAR, "c", "d", "e", "f")}, False),
        ({"spot": Spot(max_wait=7200)}, False),
        ({"keep_alive": 240.0}, False),
        ({"request": {"ResourceConfig": {"TrainingPlanArn": "arn"}}}, False),
        ({"request": {"RetryStrategy": {"MaximumRetryAttempts": 2}}}, True),
    ],
)
def test_where_it_does_not_go_the_types_take_turns(changes: dict[str, Any], any_: bool) -> None:
    settings = replace(PLAIN, **changes)
    assert asks_for_any(settings) is any_
    assert all(terms.one_of is any_ for terms in tariff(settings).terms)
    # An attempt by terms of an earlier version takes turns, too.
    request = BUNDLED.request(job_name(NAME, TrialId(1), 1), TrialId(1), 1, {"lr": 0.5, "hidden": 16}, 60.0)
    for given, several in ((request, False), (replace(request, any_machine=True), any_)):
        made = build(settings, given, code_uri="s3://bucket/code", owner="")["ResourceConfig"]
        assert ("InstancePreferences" in made) is several
        assert ("InstanceType" in made) is not several


@pytest.mark.parametrize(
    ("resources", "found"),
    [
        ([{"InstanceType": CHEAP, "InstanceCount": 2}, {"InstanceType": DEAR, "InstanceCount": 2}], 2),
        ([{"InstanceType": CHEAP}, {"InstanceType": DEAR}], 3),  # as ResourceConfig says for all
        ([{"InstanceType": CHEAP, "InstanceCount": 2}, {"InstanceType": DEAR, "InstanceCount": 4}], None),
        ([{"InstanceType": CHEAP, "TrainingPlanArns": ["arn"]}, {"InstanceType": DEAR}], None),
    ],
)
def test_a_request_that_asks_for_several_types_gets_the_words_of_a_spec(
    resources: list[dict[str, Any]], found: int | None
) -> None:
    given = {"InstancePreferences": resources, "VolumeSizeInGB": 30}
    if "InstanceCount" not in resources[0]:
        given["InstanceCount"] = 3
    request = {"AlgorithmSpecification": {"TrainingImage": "image"}, "ResourceConfig": given}
    estimator = translated({"estimator": {"kind": "request", "request": request}}, [])["estimator"]
    if found is None:
        assert estimator["request"]["ResourceConfig"]["InstancePreferences"] == resources
        assert "instance_type" not in estimator
    else:
        assert not estimator["request"].get("ResourceConfig")
        assert (estimator["instance_type"], estimator["fallback_instance_types"]) == (CHEAP, [DEAR])
        assert estimator["instance_count"] == found


def test_which_machine_it_was_only_a_description_says_for_certain() -> None:
    facts = {
        "TrainingJobStatus": "Completed",
        "SecondaryStatus": "Completed",
        "StoppingCondition": {},
        "CreationTime": NOW,
        "TrainingStartTime": NOW,
        "TrainingEndTime": NOW,
        "BillableTimeInSeconds": 7,
    }
    preferences = {"InstancePreferences": [{"InstanceType": CHEAP}]}
    assert is_settled(facts | {"ResourceConfig": {"InstanceType": CHEAP}})
    assert not is_settled(facts | {"ResourceConfig": preferences})
    assert is_settled(facts | {"ResourceConfig": preferences | {"SelectedInstanceType": CHEAP}})
