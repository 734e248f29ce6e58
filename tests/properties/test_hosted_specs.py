"""What we hand over, SageMaker's model and the fake's rules take; all else is refused in words."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiny_sweep import ON_SAGEMAKER
from trialjob import config
from trialjob.errors import SpecError
from trialjob.experiment.prices import check_handover
from trialjob.experiment.resolving import resolve
from trialjob.testing.fake_aws import wire
from trialjob.testing.fake_aws.errors import ServiceError
from trialjob.testing.fake_aws.tuning_rules import check_tuning

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-cpu-py312"


def mostly(good: st.SearchStrategy[Any], *odd: object) -> st.SearchStrategy[Any]:
    """Nearly always a good value, so that whole specs are good often enough."""
    return st.integers(0, 14).flatmap(lambda die: st.sampled_from(odd) if die == 7 else good)


def kind(name: str, **fields: object) -> st.SearchStrategy[Any]:
    drawn = {
        key: value if isinstance(value, st.SearchStrategy) else st.just(value)
        for key, value in fields.items()
    }
    return st.fixed_dictionaries({"type": st.just(name), **drawn})


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.sampled_from([0.5, 1.0, 1e-5, 1e22]),
    st.sampled_from(["", "a", "1", "true", "é ☃", "x\ny", "<&>", "v" * 300]),
)  # fmt: skip
values = st.lists(scalars, min_size=1, max_size=40, unique_by=repr)
domains = st.one_of(
    kind("uniform", lower=st.sampled_from([-1, 0, 0.1]), upper=st.sampled_from([0.2, 1e5])),
    kind("loguniform", lower=st.sampled_from([1e-300, 1e-5, 0.1]), upper=st.sampled_from([1, 1e300])),
    kind("reverseloguniform", lower=st.sampled_from([0, 0.9]), upper=0.999),
    kind("randint", lower=st.sampled_from([-(2**40), 0, 3]), upper=st.sampled_from([4, 2**40])),
    kind("lograndint", lower=1, upper=st.sampled_from([2, 1000])),
    kind("normal", mu=0, sigma=1),
    kind("quniform", lower=0, upper=1, q=st.sampled_from([0.1, 1])),
    *(kind(name, values=values) for name in ("choice", "ordinal", "grid")),
    kind("choice", values=st.just({"a": {"inner": {"type": "uniform", "lower": 0, "upper": 1}}, "b": {}})),
)
names = mostly(
    st.sampled_from(["lr", "my-opt", "my.opt", "_x", "epochs", "N", "trialjob_lr", "é"]),
    "_tuning_objective_metric", "sagemaker_program", "n" * 257, "a b", "a/b",
)  # fmt: skip
spaces = mostly(
    st.dictionaries(names, domains, min_size=1, max_size=5),
    {f"p{number}": {"type": "uniform", "lower": 0, "upper": 1} for number in range(31)},
)
metric = mostly(
    st.sampled_from(["acc", "eval/acc", "val acc", "a.b", "é"]), "m" * 255, "m" * 256, 'quo"ted', "a\\b", "(x"
)
documents = st.fixed_dictionaries({
    "name": mostly(st.sampled_from(["digits", "a", "Digits-2"]), "d" * 40),
    "engine": mostly(st.just("hosted"), {"kind": "hosted", "until_convergence": True}),
    "space": spaces,
    "metric": metric,
    "regex": mostly(st.sampled_from([None, "acc=({number})"]), "x" * 480 + "({number})"),
    "mode": st.sampled_from(["min", "max"]),
    "score": st.sampled_from(["best", "last"]),
    "hyperparameters": mostly(
        st.dictionaries(st.sampled_from(["batch", "flag", "deep"]), scalars, max_size=3),
        {f"k{number}": number for number in range(101)}, {"deep": {"a": [1, None]}},
    ),
    "environment": mostly(
        st.dictionaries(st.sampled_from(["A", "B_2"]), st.sampled_from(["", "x", "é"]), max_size=2),
        {f"V{number}": "" for number in range(48)}, {"A": "x" * 513},
    ),
    "sampler": mostly(
        st.sampled_from([
            {"kind": "auto"}, {"kind": "random", "seed": 7}, {"kind": "bayesian"}, {"kind": "grid"},
        ]),
        {"kind": "tpe"}, {"kind": "random", "seed": 2**31},
    ),
    "stopping": mostly(
        st.sampled_from([
            {"kind": "none"}, {"kind": "hyperband", "max_resource": 27}, {"kind": "median", "variant": "amt"},
        ]),
        {"kind": "median"}, {"kind": "hyperband", "max_resource": 30_000},
    ),
    "limits": st.fixed_dictionaries({
        "max_trials": mostly(st.integers(1, 40), 751, 10_001),
        "max_concurrent_trials": mostly(st.integers(1, 10), 101),
        "trial_timeout": mostly(st.just("20m"), "1s", "28d", "31d"),
        "timeout": mostly(st.sampled_from([None, "2h"]), "30s", "40d"),
        "max_trials_without_improvement": mostly(st.none(), 1, 5),
    }),
    "spot": mostly(st.none(), {"max_wait": "2h"}, {"max_wait": "2h", "on_demand_after": 1}),
    "tags": mostly(st.just({}), {"team": "a"}, {f"t{number}": "" for number in range(45)}),
})  # fmt: skip


def spec(drawn: dict[str, Any], folder: str) -> dict[str, Any]:
    """The spec of what was drawn, as a user may write it."""
    metrics = [] if drawn["regex"] is None else [{"name": drawn["metric"], "regex": drawn["regex"]}]
    objective = {"metric": drawn["metric"], "mode": drawn["mode"], "score": drawn["score"]}
    estimator = {"kind": "script", "source_dir": folder, "entry_point": "train.py", "image_uri": IMAGE}
    return {
        **{name: drawn[name] for name in ("name", "engine", "space", "sampler", "stopping", "limits")},
        "estimator": {**estimator, **{name: drawn[name] for name in ("hyperparameters", "environment")}},
        "objective": objective,
        "metrics": metrics,
        "backend": {
            **ON_SAGEMAKER,
            "spot": drawn["spot"],
            "tags": drawn["tags"],
        },
    }


def outcome(drawn: dict[str, Any], folder: str) -> str:
    """``refused`` by us; else ``taken``, or why the service does not take the call."""
    try:
        resolved = resolve(config.parse(spec(drawn, folder)), to_run=False)
        check_handover(resolved.jobs.handover, resolved.tariff)
    except SpecError as error:
        nameless = [each for each in error.problems if not (each.field and each.message)]
        return str(nameless) if nameless else "refused"
    request = dict(resolved.spec.backend.first_request(resolved.jobs) or {})
    # A plan shows what is not known yet as an ellipsis.
    request["Tags"] = [{**tag, "Value": tag["Value"].replace("…", "0")} for tag in request["Tags"]]
    try:
        wire.check("sagemaker", "CreateHyperParameterTuningJob", request)
        check_tuning(request, parallel=100)
    except ServiceError as error:
        return str(error)
    return "taken"


def test_what_is_handed_over_is_taken(tmp_path_factory: Any) -> None:  # noqa: ANN401 - pytest's
    folder = tmp_path_factory.mktemp("code")
    (folder / "train.py").write_text("print()")
    outcomes: list[str] = []

    @settings(
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        deadline=None,
        max_examples=60,
    )
    @given(documents)
    def hand_over(drawn: dict[str, Any]) -> None:
        outcomes.append(outcome(drawn, str(folder)))
        assert outcomes[-1] in {"refused", "taken"}, outcomes[-1]

    hand_over()
    assert outcomes.count("taken") > len(outcomes) // 10
    assert "refused" in outcomes
