"""What counts as a secret, how one is named, and where it is looked up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob import config
from trialjob.backends.vault import Vault
from trialjob.errors import BackendError, SpecError
from trialjob.estimators.script import ScriptEstimator
from trialjob.model.ids import ExperimentName, JobName, TrialId
from trialjob.model.job import JobRequest
from trialjob.model.masking import MASK, is_secret, mask, masked, opens_a_door
from trialjob.model.secret import Secret
from trialjob.reporting.typed_commands import command

CANARY = "canary-5f1c9a77b2e84d06"


def spec(environment: Mapping[str, Any], **sections: Any) -> config.ExperimentSpec:  # noqa: ANN401 - JSON
    return config.parse(
        {
            "name": "s",
            "estimator": {"kind": "container", "entrypoint": ["true"], "environment": dict(environment)},
            "space": {"x": {"type": "uniform", "lower": 0.0, "upper": 1.0}},
            "objective": {"metric": "m", "mode": "max"},
            "limits": {"max_trials": 1},
            **sections,
        }
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_TOKEN", "abc"),
        ("OPENAI_API_KEY", "x1y2"),
        ("apiKey", "abcdefg"),
        ("DB_PASSWORD", "12345678"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG"),
        ("MY_CREDENTIALS", "user,pw"),
        ("WHATEVER", "AKIAIOSFODNN7EXAMPLE"),
        ("WHATEVER", "hf_abcdefghijklmnopqrst"),
        ("WHATEVER", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
        ("DATABASE_URL", "postgres://user:pw@host/db"),
    ],
)
def test_what_is_secret(name: str, value: str) -> None:
    assert is_secret(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKENIZERS_PARALLELISM", "false"),
        ("MAX_TOKENS", "100000"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/etc/key.json"),
        ("HF_TOKEN_PATH", "x"),
        ("WANDB_PROJECT", "digits"),
        ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"),
        ("MODEL", "sk-learn-and-nothing-else"),
        ("REGION", "asia-southeast"),
        ("API_KEY", ""),
    ],
)
def test_what_is_not(name: str, value: str) -> None:
    assert not is_secret(name, value)


@given(
    before=st.text(max_size=20), after=st.text(max_size=20), value=st.text("abcXYZ123+/='\"\\", min_size=6)
)
def test_a_known_value_is_in_no_text(before: str, after: str, value: str) -> None:
    assert value not in mask(f"{before}{value}{after}", [value]) or value in MASK


def test_the_longer_of_two_values_goes_first() -> None:
    assert mask("abcdef-and-more", ["abcdef", "abcdef-and-more"]) == MASK


def test_shapes_are_masked_without_knowing_them() -> None:
    text = (
        "WANDB_API_KEY=abcdef0123 hf_abcdefghijklmnopqrst https://hooks.slack.com/services/T0/B0/XX "
        "s3://b/k?X-Amz-Signature=0123456789abcdef postgres://user:pw@host/db"
    )
    shown = mask(text)
    assert all(part not in shown for part in ("abcdef0123", "hf_abc", "T0/B0", "0123456789abcdef", "user:pw"))


def test_numbers_and_words_of_a_log_stay() -> None:
    line = "epoch=3 val_loss=0.123456 tokens: 123456 lr=1e-4 /opt/ml/model at 0x7f"
    assert mask(line, ["12"]) == line


def test_a_slack_hook_opens_a_door() -> None:
    assert opens_a_door("https://hooks.slack.com/services/T000/B000/x")
    assert not opens_a_door("http://127.0.0.1:8080/hook")


def test_a_secret_is_named_in_three_ways() -> None:
    found = spec(
        {
            "A": {"secret": "X"},
            "B": {"secret": {"env": "X"}},
            "C": {"secret": {"ssm": "/a/b"}},
            "D": {"secret": {"secretsmanager": "id"}},
            "E": "plain",
        }
    )
    environment = dict(found.estimator.environment)
    assert environment == {
        "A": Secret("X"),
        "B": Secret("X"),
        "C": Secret("/a/b", "ssm"),
        "D": Secret("id", "secretsmanager"),
        "E": "plain",
    }
    assert config.parse(found.document()).document() == found.document()


@pytest.mark.parametrize("written", [{"secret": {"vault": CANARY}}, {"value": CANARY}, [CANARY], 12345678])
def test_what_names_no_secret_is_refused_without_being_shown(written: object) -> None:
    with pytest.raises(SpecError) as caught:
        spec({"HF_TOKEN": written})
    assert "estimator.environment.HF_TOKEN" in str(caught.value)
    assert CANARY not in str(caught.value)
    assert "12345678" not in str(caught.value)


def test_a_value_that_is_written_out_is_in_no_document_and_reaches_the_job() -> None:
    found = spec({"HF_TOKEN": CANARY}, notify={"webhook": f"https://x.example/services/{CANARY}"})
    assert CANARY not in f"{found.document()} {found!r}"
    vault = Vault()
    vault.check(found.secrets())
    assert vault.reveal(found.secrets()["estimator.environment.HF_TOKEN"]) == CANARY
    assert vault.reveal(found.secrets()["notify.webhook"]).endswith(CANARY)
    assert vault.mask(f"bad token {CANARY}") == f"bad token {MASK}"


def test_a_raw_request_is_no_way_around() -> None:
    found = config.parse(
        {
            **spec({}).document(),
            "estimator": {
                "kind": "request",
                "request": {
                    "Environment": {"HF_TOKEN": CANARY, "A": "b", "K": {"secret": "N"}},
                    "AlgorithmSpecification": {"ContainerEntrypoint": ["true"], "TrainingImage": "i"},
                },
            },
        }
    )
    assert dict(found.estimator.environment) == {"HF_TOKEN": Secret("HF_TOKEN"), "A": "b", "K": Secret("N")}
    merged = {"kind": "container", "entrypoint": ["true"], "request": {"Environment": {"API_KEY": CANARY}}}
    found = config.parse({**spec({}).document(), "estimator": merged})
    assert CANARY not in str(found.document())
    assert dict(found.estimator.environment) == {"API_KEY": Secret("API_KEY")}
    machines = {"role": "arn:aws:iam::123456789012:role/R", "instance_type": "ml.m5.large"}
    cloud = {"kind": "sagemaker", "s3_uri": "s3://bucket/x", **machines, "request": merged.pop("request")}
    image = {**merged, "image_uri": "763104351884.dkr.ecr.us-east-1.amazonaws.com/image:1"}
    found = config.parse({**spec({}).document(), "estimator": image, "backend": cloud})
    assert CANARY not in str(found.document())
    assert dict(found.estimator.environment) == {"API_KEY": Secret("API_KEY")}


def test_a_recorded_document_means_what_it_meant() -> None:
    document = spec({"A": "b"}).document()
    document["estimator"]["environment"]["HF_TOKEN"] = CANARY  # type: ignore[index, call-overload]
    assert config.parse(document, recorded=True).estimator.environment["HF_TOKEN"] == CANARY
    assert masked(document)["estimator"]["environment"] == {"A": "b", "HF_TOKEN": MASK}  # type: ignore[index, call-overload]


def _request(environment: Mapping[str, str | Secret]) -> JobRequest:
    estimator = ScriptEstimator(
        experiment=ExperimentName("e"), bundle="b", entry_point="t.py", environment=environment
    )
    return estimator.request(JobName("e-0001-1"), TrialId(1), 1, {}, 60.0)


def test_another_value_or_place_of_a_secret_is_not_another_job() -> None:
    digests = {
        _request({"T": secret}).digest
        for secret in (Secret("A"), Secret("A", given="x"), Secret("/a", source="ssm"))
    }
    assert len(digests) == 1
    assert _request({"T": "A"}).digest not in digests


def _resume(*words: str) -> str:
    return command("resume", "exp", *words, store="elsewhere")


def test_a_missing_variable_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_THERE", raising=False)
    with pytest.raises(SpecError) as caught:
        Vault().check({"estimator.environment.T": Secret("NOT_THERE")}, _resume)
    said = str(caught.value)
    assert "estimator.environment.T" in said
    assert "export NOT_THERE=… and trialjob resume exp --store elsewhere" in said
    assert "if it is written in the spec, trialjob resume exp SPEC --store elsewhere" in said
    monkeypatch.setenv("NOT_THERE", CANARY)
    Vault().check({"estimator.environment.T": Secret("NOT_THERE")}, _resume)


def test_an_empty_variable_is_missing_also_after_a_glance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "")
    given, vault = {"estimator.environment.TOKEN": Secret(source="env", name="TOKEN")}, Vault()
    vault.glance(given)
    with pytest.raises(SpecError, match=r"TOKEN.* is not set here"):
        vault.check(given, _resume)


def test_parameters_and_secrets_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    moto = pytest.importorskip("moto")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with moto.mock_aws():
        boto3.client("ssm", region_name="us-east-1").put_parameter(
            Name="/team/token", Value=CANARY, Type="SecureString"
        )
        boto3.client("secretsmanager", region_name="us-east-1").create_secret(
            Name="team", SecretString=CANARY
        )
        vault = Vault(region="us-east-1")
        assert vault.reveal(Secret("/team/token", source="ssm")) == CANARY
        assert vault.reveal(Secret("team", source="secretsmanager")) == CANARY
        with pytest.raises(BackendError, match=r"/none cannot be read.*ParameterNotFound"):
            vault.reveal(Secret("/none", source="ssm"))


def test_hyperparameters_are_no_place_for_secrets(tmp_path: Path) -> None:
    del tmp_path
    found = spec({})
    found = config.parse(
        {
            **found.document(),
            "estimator": {
                "kind": "container",
                "entrypoint": ["true"],
                "hyperparameters": {"api_key": CANARY, "epochs": 3},
            },
        }
    )
    warnings = [str(each) for each in config.warnings(found)]
    assert any("estimator.hyperparameters.api_key" in each for each in warnings)
    assert not any("epochs" in each or CANARY in each for each in warnings)
