"""Calls AWS for the backend, the doctor and the audit.

It knows each call and the names of its arguments. It must not know what they are for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from trialjob.aws import faults
from trialjob.backends.sagemaker.object_calls import ObjectCalls
from trialjob.backends.sagemaker.status import Facts

LOG_GROUP: Final = "/aws/sagemaker/TrainingJobs"
_PAGE: Final = 100
#: How a page of a list is asked for, the newest first.
_NEWEST: Final = {"MaxResults": _PAGE, "SortBy": "CreationTime", "SortOrder": "Descending"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some rows, and the token that fetches the next ones."""

    rows: tuple[Facts, ...]
    token: str | None = None


def _check_about(named: str, asked: str) -> None:
    """Raises Unreachable: something in between keeps answers, and has given one to another question."""
    if named != asked:
        raise faults.Unreachable(f"no clear answer about {asked}: it is about {named}")


def _check_arn(arn: str, name: str) -> None:
    _check_about(arn.rpartition("/")[2].lower(), name.lower())  # services have written ARNs in small letters


class SageMakerClient(ObjectCalls):
    """One account in one region."""

    # Training jobs

    def create(self, request: Mapping[str, Any]) -> None:
        """CreateTrainingJob. A reply that was lost shows as a duplicate name next time."""
        answer = self._write("create", "sagemaker", "create_training_job", **request)
        _check_arn(answer["TrainingJobArn"], request["TrainingJobName"])

    def describe(self, job: str) -> Facts:
        """DescribeTrainingJob."""
        answer: Facts = self._read("describe", "sagemaker", "describe_training_job", TrainingJobName=job)
        _check_about(answer["TrainingJobName"], job)
        return answer

    def tags(self, arn: str) -> dict[str, str]:
        """ListTags."""
        answer = self._read("tags", "sagemaker", "list_tags", ResourceArn=arn, MaxResults=_PAGE)
        return {row["Key"]: row["Value"] for row in answer["Tags"]}

    def stop(self, job: str) -> None:
        """StopTrainingJob."""
        self._write("stop", "sagemaker", "stop_training_job", TrainingJobName=job)

    def keep_alive(self, job: str, seconds: int) -> None:
        """UpdateTrainingJob: how long the pool behind an ended job may still wait; 0 ends it."""
        resources = {"KeepAlivePeriodInSeconds": seconds}
        self._write(
            "update", "sagemaker", "update_training_job", TrainingJobName=job, ResourceConfig=resources
        )

    def jobs(
        self,
        name_contains: str,
        *,
        modified_after: float | None = None,
        token: str | None = None,
    ) -> Page:
        """One page of ListTrainingJobs, the newest jobs first."""
        since = None if modified_after is None else _moment(modified_after)
        given = _given(NameContains=name_contains[:63], LastModifiedTimeAfter=since, NextToken=token)
        answer = self._read("list", "sagemaker", "list_training_jobs", **_NEWEST, **given)
        return Page(rows=tuple(answer["TrainingJobSummaries"]), token=answer.get("NextToken"))

    def search(self, name_contains: str) -> tuple[Facts, ...]:
        """Search: the jobs that have ended last, 100 at most, each nearly as it is described.

        It shows the service as it was a while ago.
        """
        rules = [{"Name": "TrainingJobName", "Operator": "Contains", "Value": name_contains}]
        rules += [
            {"Name": "TrainingJobStatus", "Operator": "NotEquals", "Value": status}
            for status in ("InProgress", "Stopping")
        ]
        order = {"SortBy": "LastModifiedTime", "SortOrder": "Descending", "MaxResults": _PAGE}
        answer = self._read(
            "search", "sagemaker", "search",
            Resource="TrainingJob", SearchExpression={"Filters": rules}, **order,
        )  # fmt: skip
        return tuple(row["TrainingJob"] for row in answer["Results"] if row.get("TrainingJob"))

    # Tuning jobs

    def create_tuning(self, request: Mapping[str, Any]) -> None:
        """CreateHyperParameterTuningJob. A reply that was lost shows as a duplicate name next time."""
        answer = self._write("create", "sagemaker", "create_hyper_parameter_tuning_job", **request)
        _check_arn(answer["HyperParameterTuningJobArn"], request["HyperParameterTuningJobName"])

    def describe_tuning(self, name: str) -> Facts:
        """DescribeHyperParameterTuningJob."""
        method = "describe_hyper_parameter_tuning_job"
        answer: Facts = self._read("describe", "sagemaker", method, HyperParameterTuningJobName=name)
        _check_about(answer["HyperParameterTuningJobName"], name)
        return answer

    def stop_tuning(self, name: str) -> None:
        """StopHyperParameterTuningJob, which stops its training jobs, too."""
        self._write("stop", "sagemaker", "stop_hyper_parameter_tuning_job", HyperParameterTuningJobName=name)

    def tuning_jobs(self, name_contains: str, *, modified_after: float, token: str | None = None) -> Page:
        """One page of ListHyperParameterTuningJobs, the newest first."""
        since = _moment(modified_after)
        given = _given(NameContains=name_contains or None, LastModifiedTimeAfter=since, NextToken=token)
        answer = self._read("list", "sagemaker", "list_hyper_parameter_tuning_jobs", **_NEWEST, **given)
        return Page(rows=tuple(answer["HyperParameterTuningJobSummaries"]), token=answer.get("NextToken"))

    def tuning_children(self, name: str, token: str | None = None) -> Page:
        """One page of ListTrainingJobsForHyperParameterTuningJob, the newest jobs first."""
        method = "list_training_jobs_for_hyper_parameter_tuning_job"
        given = _given(HyperParameterTuningJobName=name, NextToken=token)
        answer = self._read("children", "sagemaker", method, **_NEWEST, **given)
        return Page(rows=tuple(answer["TrainingJobSummaries"]), token=answer.get("NextToken"))

    # Logs

    def log_events(self, streams: str | Sequence[str], *, since: int, token: str | None = None) -> Page:
        """One page of FilterLogEvents; ``since`` in milliseconds.

        ``streams`` is what they begin with, or up to 100 of them by name. A page may be empty and still have
        a token. Nothing has been logged yet when the group is missing; a stream that is named and missing
        raises NotFound.
        """
        begin, named = (streams, None) if isinstance(streams, str) else (None, list(streams))
        given = _given(logStreamNamePrefix=begin, logStreamNames=named, nextToken=token)
        try:
            answer = self._read(
                "filter_logs", "logs", "filter_log_events",
                logGroupName=LOG_GROUP, startTime=max(0, since), **given,
            )  # fmt: skip
        except faults.NotFound:
            if named is not None:
                raise
            return Page(rows=())
        return Page(rows=tuple(answer.get("events", ())), token=answer.get("nextToken"))

    # The account

    def quotas(self) -> dict[str, float]:
        """Every quota of SageMaker by name, such as ``ml.g5.xlarge for training job usage``."""
        found: dict[str, float] = {}
        token: dict[str, str] = {}
        while True:
            page = self._read(
                "quotas", "service-quotas", "list_service_quotas",
                ServiceCode="sagemaker", MaxResults=_PAGE, **token,
            )  # fmt: skip
            rows = [row for row in page["Quotas"] if "QuotaName" in row and "Value" in row]
            found |= {row["QuotaName"]: float(row["Value"]) for row in rows}
            if not page.get("NextToken"):
                return found
            token = {"NextToken": page["NextToken"]}

    def price_list(self, region: str, instance_type: str) -> list[str]:
        """GetProducts: what is listed of a training instance type in a region, each product a JSON text."""
        rules = {"regionCode": region, "instanceType": f"{instance_type}-Training"}
        answer = self._read(
            "prices", "pricing", "get_products",
            ServiceCode="AmazonSageMaker",
            Filters=[{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in rules.items()],
        )  # fmt: skip
        return list(answer["PriceList"])

    def simulate(
        self, principal: str, actions: list[str], resource: str, context: Mapping[str, str]
    ) -> dict[str, bool | None]:
        """Which of these actions the principal may do, by IAM's policy simulator; None: it cannot tell."""
        entries = [
            {"ContextKeyName": key, "ContextKeyType": "string", "ContextKeyValues": [value]}
            for key, value in context.items()
        ]
        answer = self._read(
            "simulate", "iam", "simulate_principal_policy",
            PolicySourceArn=principal, ActionNames=actions, ResourceArns=[resource], ContextEntries=entries,
        )  # fmt: skip
        # A caller refused for want of a value that only a real call has may be allowed by then.
        return {
            row["EvalActionName"]: row["EvalDecision"] == "allowed"
            or (None if row.get("MissingContextValues") else False)
            for row in answer["EvaluationResults"]
        }

    # What is asked before an experiment

    def region(self) -> str:
        """Where calls go. Raises Misconfigured when nothing says it."""
        return self._aws.region()

    def check_credentials(self) -> None:
        """Raises NoCredentials where there are none."""
        self._aws.check_credentials()

    def regions(self) -> list[str]:
        """Every region of the same partition in which this boto3 knows SageMaker. Raises Misconfigured."""
        return self._aws.regions_of("sagemaker")

    def role(self, name: str) -> Facts:
        """GetRole: its ``Arn``, and who may take it on as ``AssumeRolePolicyDocument``."""
        answer: Facts = self._read("role", "iam", "get_role", RoleName=name)["Role"]
        return answer

    def has_image(self, registry: str, repository: str, image: Mapping[str, str]) -> bool:
        """Whether a registry of this region has an image, by ``imageTag`` or ``imageDigest``."""
        return self._has_images(registry, repository, imageIds=[dict(image)])

    def has_repository(self, registry: str, repository: str) -> bool:
        """Whether a registry of this region has a repository, as far as the caller may know it."""
        return self._has_images(registry, repository, maxResults=1)

    def _has_images(self, registry: str, repository: str, **which: Any) -> bool:  # noqa: ANN401
        where = {"registryId": registry, "repositoryName": repository}
        return self._is_found("image", "ecr", "describe_images", **where, **which)

    def has_log_group(self) -> bool:
        """Whether any training job has ever logged in this account and region."""
        which = {"logGroupName": LOG_GROUP, "logStreamNamePrefix": "trialjob-doctor/", "limit": 1}
        return self._is_found("filter_logs", "logs", "filter_log_events", **which)

    def _is_found(self, bucket: str, service: str, method: str, **given: Any) -> bool:  # noqa: ANN401
        try:
            self._read(bucket, service, method, **given)
        except faults.NotFound:
            return False
        return True


def _given(**fields: object) -> dict[str, Any]:
    """Those that say something."""
    return {name: value for name, value in fields.items() if value is not None}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(max(0.0, seconds), UTC)
