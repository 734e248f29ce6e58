"""What an hour costs: who is asked, in which order, and what a spec with a cap is told."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from trialjob.backends.limiter import Limiter
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.machines import Spot
from trialjob.backends.sagemaker.prices import Price, on_demand, prices, table_price, tariff_of
from trialjob.backends.sagemaker.rates import RATES
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.backends.sagemaker.ways import ways
from trialjob.errors import SpecError
from trialjob.experiment.prices import caps_note, check_caps, worth_learning
from trialjob.model.limits import Limits
from trialjob.model.money import PriceOrigin, Tariff, Terms
from trialjob.testing.fake_aws import FakeService, VirtualClock
from trialjob.testing.fake_aws.in_process import boto3_session
from trialjob.testing.sagemaker_simulation import SETTINGS


def said(micros: int, origin: PriceOrigin = PriceOrigin.SPEC) -> Price:
    return Price(micros=micros, origin=origin, source=origin.value)


@pytest.fixture
def service() -> FakeService:
    return FakeService(VirtualClock())


def client(service: FakeService) -> SageMakerClient:
    return SageMakerClient(service.clock, Limiter(service.clock, RATES), session=boto3_session(service))


def test_the_spec_goes_before_the_price_list_and_that_before_the_table(service: FakeService) -> None:
    own = prices(client(service), replace(SETTINGS, price_per_hour=9.5))("ml.g5.xlarge")
    assert own == Price(micros=9_500_000, origin=PriceOrigin.SPEC, source="backend.price_per_hour")
    assert service.ledger.count("GetProducts") == 0

    listed = prices(client(service), SETTINGS)("ml.g5.xlarge")
    assert listed == Price(micros=1_408_000, origin=PriceOrigin.PRICE_LIST, source="AWS price list")

    tabled = prices(client(service), SETTINGS)("ml.p3.2xlarge")  # not in the fake's list
    assert tabled is not None
    assert (tabled.micros, tabled.origin) == (3_825_000, PriceOrigin.TABLE)

    assert prices(client(service), SETTINGS)("ml.new.huge") is None


def test_without_permission_the_table_is_asked(service: FakeService) -> None:
    service.faults.denied.add("pricing:GetProducts")
    found = prices(client(service), SETTINGS)("ml.g5.xlarge")
    assert found is not None
    assert found.origin is PriceOrigin.TABLE


def test_a_region_that_the_table_does_not_have_has_no_price() -> None:
    assert table_price("us-east-1", "ml.g5.xlarge") is not None
    assert table_price("eu-central-1", "ml.g5.xlarge") is None


def test_of_several_prices_the_highest_counts_and_none_of_free_ones() -> None:
    def product(*told: tuple[str, str]) -> str:
        dimensions = {
            str(n): {"unit": unit, "pricePerUnit": {"USD": usd}} for n, (unit, usd) in enumerate(told)
        }
        return json.dumps({"terms": {"OnDemand": {"a": {"priceDimensions": dimensions}}}})

    assert on_demand([]) is None
    assert on_demand([product(("Hrs", "0.0000000000"))]) is None
    assert on_demand([product(("Hrs", "1.4080000000"), ("GB-Mo", "99")), product(("Hrs", "1.2"))]) == Decimal(
        "1.408"
    )
    assert on_demand([json.dumps({"product": {}})]) is None


def of(settings: SageMakerSettings) -> Tariff:
    listed = {"a": 1, "b": 2, "c": None}

    def price_of(machine: str) -> Price | None:
        micros = listed.get(machine)
        return (
            None
            if micros is None
            else said(micros, PriceOrigin.TABLE if micros == 2 else PriceOrigin.PRICE_LIST)
        )

    return tariff_of(settings, price_of)


def test_the_terms_follow_the_turns_of_types_and_of_spot() -> None:
    plain = replace(SETTINGS, instance_type="a", instance_count=2, keep_alive=100.5, max_upload=60.0)
    (only,) = of(plain).terms
    assert only == Terms(price=1, instances=2, machine="a", stop_grace=120.0, upload=60.0, keep_alive=101)
    both = of(replace(plain, fallback_instance_types=("b",)))
    assert [(terms.machine, terms.spot) for terms in both.terms] == [("a", False), ("b", False)]
    assert (both.repeat_from, both.origin) == (0, PriceOrigin.TABLE)

    spot = replace(plain, keep_alive=None, spot=Spot(max_wait=7200, on_demand_after=3))
    turns = of(replace(spot, fallback_instance_types=("b",)))
    assert [(terms.machine, terms.spot) for terms in turns.terms] == [
        ("a", True), ("b", True), ("a", True), ("a", False), ("b", False),
    ]  # fmt: skip
    assert turns.repeat_from == 3
    assert of(replace(spot, spot=Spot(max_wait=7200))).repeat_from == 0


def test_a_type_without_a_price_leaves_the_tariff_unpriced() -> None:
    tariff = of(replace(SETTINGS, instance_type="a", fallback_instance_types=("c",)))
    assert not tariff.priced
    assert tariff.origin is PriceOrigin.UNKNOWN


def test_machines_of_a_raw_request_have_no_price_but_are_counted() -> None:
    groups = {"InstanceGroups": [{"InstanceCount": 2}, {"InstanceCount": 3}]}
    (terms,) = of(replace(SETTINGS, instance_type="a", request={"ResourceConfig": groups})).terms
    assert (terms.price, terms.instances) == (None, 5)


def test_the_machines_of_a_training_plan_cost_nothing_more(service: FakeService) -> None:
    plan = {"ResourceConfig": {"TrainingPlanArn": "arn:aws:sagemaker:us-east-1:123456789012:training-plan/p"}}
    settings = replace(SETTINGS, instance_type="ml.p5.48xlarge", request=plan)
    tariff = tariff_of(settings, prices(client(service), settings))
    assert (tariff.terms[0].price, tariff.terms[0].machine, tariff.priced) == (0, "ml.p5.48xlarge", True)
    check_caps(Limits(max_trials=1, max_cost=1.0), tariff)
    (way,) = ways(settings, client(service), Limits(max_trials=1), ask=False)
    assert (way.written, way.tariff) == (True, tariff)
    shared = replace(settings, price_per_hour=12.5)
    assert tariff_of(shared, prices(client(service), shared)).terms[0].price == 12_500_000


_HOUR = Tariff(terms=(Terms(price=1_000_000, machine="ml.x", stop_grace=120.0, upload=300.0),))
_FREE = Tariff(terms=(Terms(price=None, machine="ml.x"),))


@pytest.mark.parametrize(
    ("limits", "tariff", "words"),
    [
        (Limits(max_trials=1, max_cost=5.0), _FREE, ["limits.max_cost", "ml.x", "backend.price_per_hour"]),
        (
            Limits(max_trials=1, max_cost=1.0, trial_timeout=3_600.0),
            _HOUR,
            ["limits.max_cost: $1.00", "$1.12", "at least 1.12", "limits.trial_timeout: 3180s"],
        ),
        (Limits(max_trials=1, max_cost=0.1, trial_timeout=60.0), _HOUR, ["at least 0.14"]),
        (
            Limits(max_trials=99, min_gain_per_dollar=0.1),
            _FREE,
            ["limits.min_gain_per_dollar: cannot be known", "ml.x", "backend.price_per_hour"],
        ),
        (
            Limits(max_trials=99, min_gain_per_dollar=0.1),
            Tariff(terms=(Terms(price=0),)),
            ["limits.min_gain_per_dollar", "costs nothing", "backend.price_per_hour"],
        ),
        (
            Limits(max_trials=1, max_instance_hours=1.0, trial_timeout=3_600.0),
            _HOUR,
            ["limits.max_instance_hours: 1", "1.12", "limits.trial_timeout: 3180s"],
        ),
    ],
)
def test_a_cap_that_cannot_be_held_or_has_no_room_is_refused(
    limits: Limits, tariff: Tariff, words: list[str]
) -> None:
    with pytest.raises(SpecError) as caught:
        check_caps(limits, tariff)
    for word in words:
        assert word in str(caught.value)


def test_the_timeout_that_is_proposed_fits() -> None:
    limits = Limits(max_trials=1, max_cost=1.0, trial_timeout=3_180.0)
    check_caps(limits, _HOUR)
    with pytest.raises(SpecError):
        check_caps(replace(limits, trial_timeout=3_181.0), _HOUR)


def test_too_little_room_for_all_workers_is_told() -> None:
    limits = Limits(max_trials=9, max_concurrent_trials=4, max_cost=3.0, trial_timeout=3_180.0)
    assert caps_note(limits, _HOUR).startswith("the caps have room for 3 of 4 jobs at one time")
    assert caps_note(replace(limits, max_cost=4.0), _HOUR) == ""
    assert caps_note(replace(limits, max_cost=None), _FREE) == ""


def test_the_table_is_no_news_where_a_price_was_known() -> None:
    listed = replace(_HOUR, origin=PriceOrigin.PRICE_LIST)
    table = Tariff(terms=(Terms(price=2_000_000),), origin=PriceOrigin.TABLE)
    assert worth_learning(None, table)
    assert worth_learning(_FREE, table)
    assert not worth_learning(listed, table)
    assert not worth_learning(listed, listed)
    assert worth_learning(table, listed)
