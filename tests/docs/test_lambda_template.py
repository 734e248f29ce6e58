"""The SAM template is sound, and its role may do what the page on permissions says and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from trialjob.backends.job_events import jobs_named
from trialjob.backends.sagemaker.client import LOG_GROUP
from trialjob.in_job.report import PREFIX

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "lambda"


def template(name: str = "template.yaml") -> dict[str, Any]:
    """A template; of ``!Sub`` and the like only the value is kept."""
    text = re.sub(r"!(Sub|GetAtt|Ref|If|Not|Equals)\b ?", "", (FOLDER / name).read_text())
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return loaded


def statements(policies: list[dict[str, Any]]) -> dict[str, tuple[frozenset[str], bool]]:
    """Actions by the statement's id, and whether all resources are meant."""
    return {
        statement["Sid"]: (_all(statement["Action"]), statement["Resource"] == "*")
        for policy in policies
        for statement in policy["Statement"]
        if "Sid" in statement
    }


def _all(given: str | list[str]) -> frozenset[str]:
    return frozenset([given] if isinstance(given, str) else given)


def test_cfn_lint_has_nothing_to_say() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), *map(str, sorted(FOLDER.glob("*.yaml")))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_role_is_the_one_of_the_page() -> None:
    page = (ROOT / "docs" / "iam.md").read_text()
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    caller, store, inbox, hosted, _secrets, optional = blocks[:6]
    allowed = statements([caller, store, inbox, hosted])
    chosen = statements([optional])
    allowed |= {sid: chosen[sid] for sid in ("Prices", "Notify")}
    role = template()["Resources"]["Role"]["Properties"]["Policies"]
    named = [each if isinstance(each, dict) else each[1] for each in role]
    own = {"OwnLogs", "OwnDeadLetters"}
    found = statements([each["PolicyDocument"] for each in named])
    assert {sid: found[sid] for sid in found if sid not in own} == allowed
    assert not any(everything for _, everything in (found[sid] for sid in own))


def test_the_image_runs_the_handler() -> None:
    dockerfile = (FOLDER / "Dockerfile").read_text()
    module, _, name = re.findall(r'CMD \["([\w.]+)"\]', dockerfile)[0].rpartition(".")
    assert callable(getattr(import_module(module), name))
    assert "trialjob[" not in dockerfile
    for line in re.findall(r"^COPY (.*) \S+$", dockerfile, re.MULTILINE):
        assert all((ROOT / path).exists() for path in line.split())


def test_the_schedule_says_what_the_handler_takes() -> None:
    function = template()["Resources"]["Step"]["Properties"]
    event = json.loads(function["Events"]["EveryMinute"]["Properties"]["Input"])
    assert event == {"for": "${StepFor}"}
    assert template()["Parameters"]["StepFor"]["Default"] == "50s"
    assert function["Timeout"] > 50 + 60
    assert function["Environment"]["Variables"]["TRIALJOB_STORE"] == "s3://${StoreBucket}/${StorePrefix}"


def test_the_rule_and_the_subscription_send_what_the_handler_takes() -> None:
    made = template("events.yaml")["Resources"]
    pattern = made["JobsEnded"]["Properties"]["EventPattern"]
    for kind, name in (("Training", "TrainingJob"), ("HyperParameter Tuning", "HyperParameterTuningJob")):
        assert f"SageMaker {kind} Job State Change" in pattern["detail-type"]
        assert {f"{name}Status": ["Completed", "Failed", "Stopped"]} in pattern["detail"]["$or"]
        event = {"source": pattern["source"][0], "detail": {f"{name}Name": "digits"}}
        assert jobs_named(event) == ("digits",)
    subscribed = made["ReportsMade"]["Properties"]
    assert subscribed["LogGroupName"] == LOG_GROUP
    assert PREFIX.startswith(json.loads(subscribed["FilterPattern"]))


def test_the_function_is_told_as_the_other_templates_take_it() -> None:
    for name in ("workflow.yaml", "events.yaml"):
        asked = template(name)["Parameters"]["Function"]
        assert asked["Description"] == "ARN of the function of template.yaml (its output Function)"
    assert "    Value: !GetAtt Step.Arn\n" in (FOLDER / "template.yaml").read_text()  # !Ref is its name


def test_an_execution_of_the_workflow_lasts_as_long_as_the_pages_say() -> None:
    states = template("workflow.yaml")["Resources"]["Tune"]["Properties"]["Definition"]["States"]
    # Step Functions' history has for each state that it is entered and left, and of a task three more.
    round_trip = {"Step": 5, "Look": 2, "Pause": 2}
    seconds = 25_000 // sum(round_trip.values()) * states["Pause"]["Seconds"]
    assert seconds // 86400 == 9
    for page in ("docs/integrations.md", "examples/lambda/README.md"):
        assert "nine days" in (ROOT / page).read_text()
