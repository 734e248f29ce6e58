"""Checks of the image: whether it is there, the role may pull it, and it suits the machines.

The registry of another account may let the role in and not the caller, so what it does not tell is not
called wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from trialjob.aws import faults
from trialjob.backends.plugin import Check
from trialjob.backends.sagemaker.check import Case
from trialjob.backends.sagemaker.image_fit import ECR, is_published
from trialjob.backends.sagemaker.preview import doubts

#: What a role is allowed that pulls an image: of its repository, and of any registry.
PULLING: Final = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
REGISTRY: Final = "ecr:GetAuthorizationToken"


def image(case: Case) -> Iterator[Check]:
    """Whether it is where the jobs can pull it, and suits their machines."""
    yield from _where(case)
    certain = is_published(case.settings.image_uri)
    for doubt in doubts(case.settings, case.job):
        yield Check(name="image", ok=False if certain else None, detail=doubt.message, remedy=doubt.remedy)


def _where(case: Case) -> Iterator[Check]:
    uri = case.settings.image_uri
    found = ECR.fullmatch(uri)
    if found is None:
        detail = f"cannot be checked: {uri!r} is not in Amazon ECR"
        yield Check(name="image", ok=None, detail=detail)
        return
    if case.region and found["region"] != case.region:
        detail = f"{uri} is in {found['region']}, and the jobs would run in {case.region}"
        remedy = f"write the image of {case.region} in estimator.image_uri"
        yield Check(name="image", ok=False, detail=detail, remedy=remedy)
        return
    which = {"imageDigest": found["digest"]} if found["digest"] else {"imageTag": found["tag"] or "latest"}
    try:
        there = case.client.has_image(found["account"], found["repository"], which)
    except faults.AccessDenied as fault:
        yield _unseen(case, found, fault)
        return
    if there:
        yield _pulled(case, found)
        return
    remedy = "push it, or correct estimator.image_uri"
    yield Check(name="image", ok=False, detail=f"there is no {_missing(case, found)}", remedy=remedy)


def _unseen(case: Case, found: re.Match[str], fault: faults.AccessDenied) -> Check:
    """An image that the caller may not look at, which the role may be allowed to pull all the same."""
    detail = f"cannot be checked: {fault.action} is not allowed"
    if found["account"] == case.account:
        return Check(name="image", ok=None, detail=detail)
    detail += f" in the registry of account {found['account']}"
    if is_published(case.settings.image_uri):
        return Check(name="image", ok=None, detail=detail)
    remedy = f"if it is not public, its repository must allow account {case.account or 'yours'} to pull it"
    return Check(name="image", ok=None, detail=detail, remedy=remedy)


def _missing(case: Case, found: re.Match[str]) -> str:
    """What there is not: the image, or all of its repository."""
    repository = f"{found['repository']} in the registry of account {found['account']} in {found['region']}"
    if case.client.has_repository(found["account"], found["repository"]):
        return f"image {found.group()}: the repository {repository} has none of this name"
    return f"repository {repository}"


def _pulled(case: Case, found: re.Match[str]) -> Check:
    """Whether the policies of the role let it pull an image that is there."""
    uri, role = found.group(), case.settings.role
    owner = f"arn:{case.partition}:ecr:{found['region']}:{found['account']}:repository/{found['repository']}"
    try:
        allowed = case.client.simulate(role, [*PULLING], owner, {}) | case.client.simulate(
            role, [REGISTRY], "*", {}
        )
    except faults.Fault:
        return Check(name="image", ok=True, detail=f"{uri}; whether the role may pull it cannot be checked")
    if denied := [action for action, may in allowed.items() if may is False]:
        detail = f"{uri} is there, and {role} may not pull it: {', '.join(denied)} not allowed"
        remedy = "allow it to the role (docs/iam.md, the execution role)"
        return Check(name="image", ok=False, detail=detail, remedy=remedy)
    return Check(name="image", ok=True, detail=uri)
