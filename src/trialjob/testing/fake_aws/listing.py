"""ListTrainingJobs and Search: what is seen of many jobs at once, a while late if faults say so."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from trialjob.testing.fake_aws.errors import validation
from trialjob.testing.fake_aws.faults import Faults
from trialjob.testing.fake_aws.job import Job

_SORT = {"CreationTime": "CreationTime", "Name": "TrainingJobName", "Status": "TrainingJobStatus"}
_COMPARE: dict[str, Callable[[Any, str], bool]] = {
    "Equals": lambda have, want: have is not None and str(have) == want,
    "NotEquals": lambda have, want: have is None or str(have) != want,
    "Contains": lambda have, want: have is not None and want.lower() in str(have).lower(),
    "In": lambda have, want: have is not None and str(have) in want.split(","),
    "Exists": lambda have, _: have is not None,
    "NotExists": lambda have, _: have is None,
    "GreaterThan": lambda have, want: have is not None and float(have) > float(want),
    "GreaterThanOrEqualTo": lambda have, want: have is not None and float(have) >= float(want),
    "LessThan": lambda have, want: have is not None and float(have) < float(want),
    "LessThanOrEqualTo": lambda have, want: have is not None and float(have) <= float(want),
}


def list_jobs(jobs: dict[str, Job], params: dict[str, Any], now: float, faults: Faults) -> dict[str, Any]:
    """ListTrainingJobs. The status filters come after the page is cut, so pages may be short."""
    rows = [
        row for job in jobs.values() if (row := job.summary(now, faults.list_delay)) and _in_time(row, params)
    ]
    rows = [row for row in rows if params.get("NameContains", "") in row["TrainingJobName"]]
    found, token = page(rows, params, _SORT[params.get("SortBy", "CreationTime")])
    found = [row for row in found if _has_status(row, params)]
    return {"TrainingJobSummaries": found} | ({"NextToken": token} if token else {})


def _in_time(row: dict[str, Any], params: dict[str, Any]) -> bool:
    return bool(
        params.get("CreationTimeAfter", float("-inf")) <= row["CreationTime"]
        and row["CreationTime"] <= params.get("CreationTimeBefore", float("inf"))
        and params.get("LastModifiedTimeAfter", float("-inf")) <= row["LastModifiedTime"]
        and row["LastModifiedTime"] <= params.get("LastModifiedTimeBefore", float("inf"))
    )


def _has_status(row: dict[str, Any], params: dict[str, Any]) -> bool:
    pool = row.get("WarmPoolStatus", {}).get("Status")
    status = row["TrainingJobStatus"]
    return bool(
        params.get("StatusEquals", status) == status and params.get("WarmPoolStatusEquals", pool) == pool
    )


def search(jobs: dict[str, Job], params: dict[str, Any], now: float, faults: Faults) -> dict[str, Any]:
    """Search over training jobs, with filters joined by one operator."""
    if params["Resource"] != "TrainingJob":
        raise validation(f"This fake can search for TrainingJob only, not for {params['Resource']}")
    expression = params.get("SearchExpression", {})
    unknown = expression.keys() - {"Filters", "Operator"}
    if unknown:
        raise validation(f"This fake knows no {', '.join(sorted(unknown))} in a SearchExpression")
    join = any if expression.get("Operator") == "Or" else all
    filters = expression.get("Filters", [])
    old = now - faults.search_delay
    rows = [found | {"tags": job.tags} for job in jobs.values() if (found := job.searched(old)) is not None]
    rows = [row for row in rows if not filters or join(_passes(row, rule) for rule in filters)]
    by = params.get("SortBy", "LastModifiedTime")
    rows, token = page(rows, {"SortOrder": "Descending"} | params, by)
    results = []
    for row in rows:
        tags = [{"Key": key, "Value": value} for key, value in row.pop("tags").items()]
        results.append({"TrainingJob": row | {"Tags": tags}})
    return {"Results": results} | ({"NextToken": token} if token else {})


def _passes(row: dict[str, Any], rule: dict[str, str]) -> bool:
    name, operator = rule["Name"], rule.get("Operator", "Equals")
    have: Any = row["tags"].get(name[5:]) if name.startswith("Tags.") else _at(row, name)
    try:
        return _COMPARE[operator](have, rule.get("Value", ""))
    except (TypeError, ValueError):
        raise validation(f"Operator {operator} cannot compare {name} with {rule.get('Value')!r}") from None


def _at(row: dict[str, Any], path: str) -> object:
    value: Any = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def page(
    rows: list[dict[str, Any]], params: dict[str, Any], by: str
) -> tuple[list[dict[str, Any]], str | None]:
    """One page behind the token, which names the last row of the page before it."""

    def place(row: dict[str, Any]) -> tuple[Any, str]:
        return (row.get(by, ""), row["TrainingJobName"])

    down = params.get("SortOrder", "Ascending") == "Descending"
    rows = sorted(rows, key=place, reverse=down)
    if "NextToken" in params:
        last = _untoken(params["NextToken"])
        try:
            rows = [row for row in rows if (place(row) < last if down else place(row) > last)]
        except TypeError:  # a token of another order
            raise validation("Invalid NextToken") from None
    size = params.get("MaxResults", 10)
    cut = rows[:size]
    return cut, (_token(place(cut[-1])) if len(rows) > size else None)


def _token(place: tuple[Any, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _untoken(token: str) -> tuple[Any, str]:
    try:
        value, name = json.loads(base64.urlsafe_b64decode(token))
    except (ValueError, TypeError):
        raise validation("Invalid NextToken") from None
    if not isinstance(name, str):
        raise validation("Invalid NextToken")
    return value, name
