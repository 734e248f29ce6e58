"""Checks of who may do what: the caller's permissions, the execution role, and handing the one to the other.

IAM's simulator is asked where that is allowed. It knows the policies of an identity and not those of a
session or of the call's own circumstances, so what it leaves open is not called wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from trialjob.aws import faults
from trialjob.backends.plugin import Check
from trialjob.backends.sagemaker.check import Case
from trialjob.model.ids import tuning_name

SERVICE: Final = "sagemaker.amazonaws.com"
_ROLE: Final = re.compile(r"arn:[\w-]+:iam::(\d{12}):role/(?:.*/)?([\w+=,.@-]+)")
_NO_SIMULATOR: Final = "cannot be checked: the simulator of IAM knows no"
#: What an experiment does with its jobs; the tests of docs/iam.md hold this together with what is called.
_ACTIONS: Final = (
    "sagemaker:AddTags", "sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob",
    "sagemaker:ListTags", "sagemaker:ListTrainingJobs", "sagemaker:StopTrainingJob",
)  # fmt: skip
_POOL_ACTIONS: Final = ("sagemaker:UpdateTrainingJob",)
#: What one does with its tuning job, and with the training jobs that this starts.
_TUNING_ACTIONS: Final = (
    "sagemaker:AddTags", "sagemaker:CreateHyperParameterTuningJob",
    "sagemaker:DescribeHyperParameterTuningJob", "sagemaker:ListTags",
    "sagemaker:ListTrainingJobsForHyperParameterTuningJob", "sagemaker:StopHyperParameterTuningJob",
)  # fmt: skip


def permissions(case: Case) -> Iterator[Check]:
    """Whether the caller may start, watch and stop jobs."""
    principal = _principal(case)
    if principal is None:
        yield Check(name="permissions", ok=None, detail=f"{_NO_SIMULATOR} {case.caller}")
        return
    if case.tuned is not None:
        ours = [action for action in _ACTIONS if action != "sagemaker:CreateTrainingJob"]
        asked = {
            f"hyper-parameter-tuning-job/{tuning_name(case.job.experiment)}": [*_TUNING_ACTIONS],
            f"training-job/{tuning_name(case.job.experiment)}-001-00000000": ours,
        }
    else:
        ours = [*_ACTIONS, *(_POOL_ACTIONS if case.settings.keep_alive else ())]
        asked = {f"training-job/{case.job.job}": ours}
    decided: dict[str, list[bool | None]] = {}
    for resource, actions in asked.items():
        arn = f"arn:{case.partition}:sagemaker:{case.region}:{case.account}:{resource}"
        answer = case.client.simulate(principal, actions, arn, {})
        for action in actions:
            decided.setdefault(action, []).append(answer.get(action))
    missing = [action for action, answers in decided.items() if False in answers]
    unsure = [action for action, answers in decided.items() if None in answers]
    if missing:
        remedy = f"allow it to {case.caller}; docs/iam.md has the whole policy"
        detail = f"{', '.join(missing)} not allowed"
        yield Check(name="permissions", ok=False, detail=detail, remedy=remedy)
    elif unsure:
        detail = f"cannot be checked: {', '.join(unsure)} depends on conditions of the policy"
        yield Check(name="permissions", ok=None, detail=detail)
    else:
        yield Check(name="permissions", ok=True, detail="jobs may be started, watched and stopped")


def role(case: Case) -> Iterator[Check]:
    """Whether there is such a role, and it lets SageMaker take it on."""
    arn = case.settings.role
    found = _ROLE.fullmatch(arn)
    if found is None:
        remedy = "write one such as arn:aws:iam::123456789012:role/SageMakerExecution"
        yield Check(name="role", ok=False, detail=f"{arn!r} is no ARN of a role", remedy=remedy)
        return
    account, name = found.groups()
    if case.account and account != case.account:
        detail = f"{arn} is in another account than the caller's, which is {case.account}"
        yield Check(name="role", ok=False, detail=detail, remedy="name a role of the caller's own account")
        return
    try:
        facts = case.client.role(name)
    except faults.NotFound:
        remedy = "create it as docs/iam.md says, or name another in backend.role"
        yield Check(name="role", ok=False, detail=f"there is no role {arn}", remedy=remedy)
        return
    if facts["Arn"] != arn:
        detail = f"{arn} does not exist; the role {name} is {facts['Arn']}"
        yield Check(name="role", ok=False, detail=detail, remedy="write that one")
    elif not trusts_sagemaker(facts.get("AssumeRolePolicyDocument")):
        detail = f"{arn} does not let {SERVICE} take it on"
        remedy = f"allow sts:AssumeRole to the service {SERVICE} in its trust policy (docs/iam.md)"
        yield Check(name="role", ok=False, detail=detail, remedy=remedy)
    else:
        yield Check(name="role", ok=True, detail=arn)


def pass_role(case: Case) -> Iterator[Check]:
    """Whether the caller may hand the role to SageMaker."""
    principal = _principal(case)
    if principal is None:
        yield Check(name="pass role", ok=None, detail=f"{_NO_SIMULATOR} {case.caller}")
        return
    arn = case.settings.role
    decided = case.client.simulate(principal, ["iam:PassRole"], arn, {"iam:PassedToService": SERVICE})
    allowed = decided.get("iam:PassRole")
    if allowed is None:
        detail = "cannot be checked: iam:PassRole depends on conditions of the policy"
        yield Check(name="pass role", ok=None, detail=detail)
    elif not allowed:
        remedy = f"allow iam:PassRole on it to {case.caller} (docs/iam.md)"
        yield Check(name="pass role", ok=False, detail=f"iam:PassRole on {arn} is not allowed", remedy=remedy)
    else:
        yield Check(name="pass role", ok=True, detail="the role may be handed to SageMaker")


def trusts_sagemaker(policy: object) -> bool:
    """Whether a trust policy lets the service take the role on."""
    return isinstance(policy, Mapping) and any(
        statement.get("Effect") == "Allow"
        and {"sts:AssumeRole", "sts:*", "*"}.intersection(_texts(statement.get("Action")))
        and _names_service(statement.get("Principal"))
        for statement in _rows(policy.get("Statement"))
    )


def _names_service(principal: object) -> bool:
    if isinstance(principal, Mapping):
        return SERVICE in _texts(principal.get("Service")) or "*" in _texts(principal.get("AWS"))
    return principal == "*"


def _rows(given: object) -> list[Mapping[str, Any]]:
    """IAM takes one statement where a list is meant."""
    rows = given if isinstance(given, list) else [given]
    return [row for row in rows if isinstance(row, Mapping)]


def _texts(given: object) -> list[str]:
    if isinstance(given, str):
        return [given]
    return [str(text) for text in given] if isinstance(given, list) else []


def _principal(case: Case) -> str | None:
    """The identity whose policies decide, or None when the simulator takes none like it."""
    if not case.caller:
        raise faults.UnknownCaller("there is no caller to ask about")
    kind, _, rest = case.caller.split(":", 5)[5].partition("/")
    if kind == "user":
        return case.caller
    if kind == "assumed-role":
        # The session's ARN leaves out the role's path, which the simulator wants to know.
        return str(case.client.role(rest.split("/")[0])["Arn"])
    return None
