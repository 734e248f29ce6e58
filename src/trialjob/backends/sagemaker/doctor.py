"""Looks at everything in the account that an experiment will need, before it is started.

Rule 1: nothing is launched and nothing is paid for; the one thing that is written is an empty object, which
is removed again. Rule 2: every check is made, whatever the others found. Rule 3: what cannot be found out is
said to be so; only what is known to be wrong is called wrong.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from functools import cache, partial
from typing import Final, TypeAlias

from trialjob.aws import faults
from trialjob.backends.plugin import Check
from trialjob.backends.sagemaker import access, image_checks, prices, resource_checks
from trialjob.backends.sagemaker.check import Case, Introduction, once
from trialjob.backends.sagemaker.client import LOG_GROUP, SageMakerClient
from trialjob.backends.sagemaker.hosted.account_checks import warm_start
from trialjob.backends.sagemaker.hosted.preview import form_problems
from trialjob.backends.sagemaker.hosted.tuning_request import Tuned
from trialjob.backends.sagemaker.preview import preview
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.backends.sagemaker.status import Facts
from trialjob.backends.sagemaker.transport import answered_at
from trialjob.model.job import JobRequest
from trialjob.orchestrator.ports import Clock

Checking: TypeAlias = Callable[[Case], Iterator[Check]]

#: Seconds that this clock may differ from AWS's, which is told in whole seconds and takes its time to come.
_SKEW: Final = 60.0


def examine(
    client: SageMakerClient,
    settings: SageMakerSettings,
    job: JobRequest,
    *,
    workers: int,
    clock: Clock,
    only: Collection[str] | None = None,
    writes: bool = True,
    tuned: Tuned | None = None,
) -> Iterator[Check]:
    """Every check, or those that are named, for an experiment whose first job is ``job``.

    ``tuned`` is what SageMaker's own tuner is given, where it starts the jobs.
    """
    region = ""
    with suppress(faults.Fault):  # the check of the region says what is wrong
        region = client.region()
    case = Case(
        client=client,
        settings=settings,
        job=job,
        workers=workers,
        writes=writes,
        tuned=tuned,
        region=region,
        introduction=cache(partial(_introduction, client, clock)),
        bucket_region=once(client.bucket_region),
    )
    for name, check in CHECKS:
        if only is None or name in only:
            yield from _tried(name, check, case)


def _introduction(client: SageMakerClient, clock: Clock) -> Introduction:
    answer: Facts | faults.Fault
    try:
        answer = client.identity()
    except faults.Fault as fault:
        answer = fault
    return Introduction(answer=answer, at=clock.now())


def _tried(name: str, check: Checking, case: Case) -> Iterator[Check]:
    try:
        yield from check(case)
    except faults.Misconfigured as fault:
        yield Check(name=name, ok=None, detail=f"not looked at: {fault}")
    except faults.CallerTrouble:
        yield Check(name=name, ok=None, detail="not looked at: AWS does not let the caller in")
    except faults.AccessDenied as fault:
        yield Check(name=name, ok=None, detail=f"cannot be checked: {fault.action} is not allowed")
    except faults.Fault as fault:
        yield Check(name=name, ok=None, detail=f"cannot be checked: {fault}")


def _region(case: Case) -> Iterator[Check]:
    try:
        region, known = case.client.region(), case.client.regions()
    except faults.Misconfigured as fault:
        yield Check(name="region", ok=False, detail=str(fault), remedy=fault.remedy)
        return
    if region in known:
        yield Check(name="region", ok=True, detail=region)
        return
    near = difflib.get_close_matches(region, known, n=3)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    yield Check(
        name="region",
        ok=False,
        detail=f"this boto3 knows no SageMaker in {region!r}",
        remedy=f"{guess}If it is newer than this boto3, upgrade boto3",
    )


def _credentials(case: Case) -> Iterator[Check]:
    match case.introduction().answer:
        case faults.CallerTrouble() as fault if not isinstance(fault, faults.Misconfigured):
            yield Check(name="credentials", ok=False, detail=str(fault), remedy=fault.remedy)
        case faults.Fault() as fault:
            raise fault
        case caller:
            yield Check(name="credentials", ok=True, detail=caller["Arn"])


def _clock(case: Case) -> Iterator[Check]:
    heard = case.introduction()
    theirs = _time_of(heard.answer)
    if theirs is None:
        yield Check(name="clock", ok=None, detail="cannot be checked: the endpoint does not tell its time")
        return
    ahead = heard.at - theirs
    if abs(ahead) <= _SKEW:
        yield Check(name="clock", ok=True, detail=f"within {_SKEW:.0f} seconds of AWS's")
        return
    yield Check(
        name="clock",
        ok=False,
        detail=f"this machine is {abs(ahead):.0f} seconds {'ahead of' if ahead > 0 else 'behind'} AWS",
        remedy="set its clock, by NTP; AWS refuses every call at a difference of 5 minutes",
    )


def _time_of(answer: Facts | faults.Fault) -> float | None:
    """What time it was for AWS, in whole seconds, whether it lets us in or not."""
    if not isinstance(answer, faults.Fault):
        return answered_at(answer)
    response = getattr(answer.__cause__, "response", None)
    # An answer that is not AWS's does not tell AWS's time.
    if isinstance(answer, faults.Unreachable) or not response:
        raise answer
    return answered_at(response)


def _log_group(case: Case) -> Iterator[Check]:
    try:
        there = case.client.has_log_group()
    except faults.AccessDenied as fault:
        remedy = f"allow {fault.action} on {LOG_GROUP}; without it no metric is seen (docs/iam.md)"
        yield Check(name="log group", ok=False, detail=f"{fault.action} is not allowed", remedy=remedy)
        return
    detail = LOG_GROUP if there else "not there yet; SageMaker makes it with the account's first training job"
    yield Check(name="log group", ok=True, detail=detail)


def _warm_start(case: Case) -> Iterator[Check]:
    if case.tuned is not None:
        where = f"in {case.region} of account {case.account or 'unknown'}"
        yield from warm_start(case.client, case.tuned, where)


def _first_job(case: Case) -> Iterator[Check]:
    # Of the image's region the check of the image speaks.
    found = preview(case.settings, case.job) or ([] if case.tuned is None else form_problems(case.tuned))
    for problem in found:
        detail = f"{problem.field}: {problem.message}"
        yield Check(name="first job", ok=False, detail=detail, remedy=problem.remedy)
    if not found:
        yield Check(
            name="first job", ok=True, detail="SageMaker will take the request, as far as its form goes"
        )


CHECKS: Final[tuple[tuple[str, Checking], ...]] = (
    ("region", _region),
    ("credentials", _credentials),
    ("clock", _clock),
    ("permissions", access.permissions),
    ("role", access.role),
    ("pass role", access.pass_role),
    ("bucket", resource_checks.bucket),
    ("inputs", resource_checks.inputs),
    ("image", image_checks.image),
    ("quota", resource_checks.quotas),
    ("price", prices.check),
    ("log group", _log_group),
    ("warm start", _warm_start),
    ("first job", _first_job),
)
