"""What is made of each thing that AWS says, or that something says in its place."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import PartialCredentialsError  # type: ignore[import-untyped]

from trialjob.aws import faults
from trialjob.aws.admission import A_WHILE, Admission
from trialjob.aws.calls import made
from trialjob.aws.error_codes import Told, date_of, fault_of

NOW = 1_800_000_000.0
DATE = "Fri, 15 Jan 2027 08:00:00 GMT"


def fault(code: str, message: str = "", status: int = 400, **given: Any) -> faults.Fault:  # noqa: ANN401 - of any kind
    asked: dict[str, Any] = {"action": "sagemaker:CreateTrainingJob", "at": NOW, **given}
    return fault_of(Told(code=code, message=message, status=status, **asked))


@pytest.mark.parametrize(
    ("code", "message", "http", "kind"),
    [
        ("ThrottlingException", "Rate exceeded", 400, faults.Throttled),
        ("SlowDown", "Please reduce your request rate.", 503, faults.Throttled),
        ("ResourceInUse", "Training job names must be unique", 400, faults.DuplicateName),
        ("ResourceNotFound", "no such job", 400, faults.NotFound),
        ("ResourceNotFoundException", "The specified log group does not exist.", 400, faults.NotFound),
        ("ValidationException", "Requested resource not found.", 400, faults.NotFound),
        (
            "ValidationException",
            "The request was rejected because the training job is in status Failed.",
            400,
            faults.AlreadyEnded,
        ),
        ("ValidationException", "1 validation error detected", 400, faults.Invalid),
        ("ValidationException", "an answer that breaks", 500, faults.Unreachable),
        ("ExpiredTokenException", "The security token included in the request is expired", 400,
         faults.ExpiredCredentials),
        ("InternalFailure", "unknown error", 500, faults.Unreachable),
        ("ACodeOfTomorrow", "who knows", 503, faults.Unreachable),
        ("ACodeOfTomorrow", "who knows", 400, faults.Unreachable),
        ("PreconditionFailed", "", 412, faults.NotMet),
        # What botocore makes of an answer without a code.
        ("404", "Not Found", 404, faults.Unreachable),
        ("403", "<html>", 403, faults.Unreachable),
        ("408", "<html>", 408, faults.Unreachable),
        ("429", "", 429, faults.Unreachable),
        ("", "", 409, faults.Unreachable),
        ("InvalidClientTokenId", "The security token is invalid", 403, faults.UnknownCaller),
        ("UnrecognizedClientException", "The security token is invalid", 400, faults.UnknownCaller),
        ("MissingAuthenticationTokenException", "Missing Authentication Token", 403, faults.UnknownCaller),
        ("MissingAuthenticationToken", "", 403, faults.UnknownCaller),
        ("IncompleteSignature", "Authorization header requires", 400, faults.UnknownCaller),
        ("OptInRequired", "The AWS Access Key Id needs a subscription", 403, faults.NotSubscribed),
        ("SubscriptionRequiredException", "", 400, faults.NotSubscribed),
        ("RequestTimeTooSkewed", "The difference is too large", 403, faults.WrongClock),
        ("RequestExpired", "Request has expired.", 400, faults.WrongClock),
        ("InvalidSignatureException", "The request signature we calculated does not match", 403,
         faults.UnknownCaller),
        ("SignatureDoesNotMatch", "The request signature we calculated does not match", 403,
         faults.UnknownCaller),
        (
            "ValidationException",
            "Could not assume role arn:aws:iam::1:role/R. Please ensure that the role exists",
            400,
            faults.RoleNotReady,
        ),
        ("ValidationException", "The role cannot be assumed by SageMaker", 400, faults.RoleNotReady),
        ("AccessDeniedException", "not authorized to perform: sts:AssumeRole on r", 400, faults.RoleNotReady),
    ],
)  # fmt: skip
def test_every_word_means_one_thing(code: str, message: str, http: int, kind: type[faults.Fault]) -> None:
    assert type(fault(code, message, http)) is kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, faults.NotFound), (403, faults.AccessDenied), (400, faults.ExpiredCredentials)],
)
def test_an_answer_to_head_has_no_words_and_counts_when_it_is_the_services(
    status: int, kind: type[faults.Fault]
) -> None:
    signed = {"bare": True, "headers": {"x-amz-request-id": "1"}, "action": "s3:GetObject"}
    assert type(fault(str(status), "", status, **signed)) is kind
    assert type(fault(str(status), "", status, bare=True)) is faults.Unreachable


def test_a_refusal_names_the_missing_action() -> None:
    told = "User: x is not authorized to perform: iam:PassRole on resource: r because no policy allows"
    denied = fault("AccessDeniedException", told)
    assert isinstance(denied, faults.AccessDenied)
    assert denied.action == "iam:PassRole"
    silent = fault("AccessDenied", "Access Denied", 403, action="s3:GetObject")
    assert isinstance(silent, faults.AccessDenied)
    assert "s3:GetObject" in str(silent)


@pytest.mark.parametrize(
    ("code", "message", "more", "words"),
    [
        (
            "InvalidSignatureException",
            "20270115T070000Z is now earlier than 20270115T075500Z (20270115T080000Z - 5 min.)",
            {},
            "1 h behind AWS's",
        ),
        (
            "SignatureDoesNotMatch",
            "20270115T081030Z is still later than 20270115T080500Z (20270115T080000Z + 5 min.)",
            {},
            "10 min 30 s ahead of AWS's",
        ),
        (
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            {"details": {"RequestTime": "20270115T074000Z", "ServerTime": "2027-01-15T08:00:00Z"}},
            "20 min behind AWS's",
        ),
        (
            "SignatureDoesNotMatch",
            "does not match",
            {"at": NOW + 600, "headers": {"date": DATE}},
            "10 min ahead",
        ),
        (
            "403",
            "Forbidden",
            {"at": NOW - 900, "bare": True, "headers": {"date": DATE, "x-amz-request-id": "1"}},
            "15 min behind",
        ),
        (
            "RequestExpired",
            "Request has expired.",
            {"headers": {"date": "once"}},
            "AWS does not take the time",
        ),
    ],
)
def test_a_clock_that_is_off_is_said_to_be_off_by_so_much(
    code: str, message: str, more: dict[str, Any], words: str
) -> None:
    wrong = fault(code, message, 403, **more)
    assert isinstance(wrong, faults.WrongClock)
    assert words in str(wrong)
    assert "NTP" in wrong.remedy


@pytest.mark.parametrize("date", [{}, {"date": "once"}, {"date": ""}, {"date": 5}])
def test_a_date_that_is_none_tells_nothing(date: dict[str, Any]) -> None:
    assert date_of(date) is None


def test_who_was_never_let_in_is_told_at_once_and_others_wait_a_while() -> None:
    admission = Admission()
    unknown = faults.UnknownCaller("who?")
    assert not admission.passes(unknown, "get", 0.0)
    admission.granted("get")
    assert admission.passes(unknown, "get", 0.0)
    assert admission.passes(unknown, "get", A_WHILE - 1)
    assert not admission.passes(unknown, "get", A_WHILE)
    admission.granted("put")
    assert not admission.passes(unknown, "get", A_WHILE)
    admission.granted("get")
    assert admission.passes(unknown, "get", A_WHILE)


def test_half_of_the_credentials_are_not_mended_by_configuring_others() -> None:
    def half() -> None:
        raise PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY")

    with pytest.raises(faults.NoCredentials, match="missing: AWS_SECRET_ACCESS_KEY") as found:
        made(half)
    assert found.value.remedy.startswith("set what is missing, or unset AWS_ACCESS_KEY_ID")


def test_credentials_that_were_lent_are_waited_for() -> None:
    admission = Admission()
    assert admission.passes(faults.ExpiredCredentials("over"), "get", 0.0)
    assert not admission.passes(faults.NoCredentials("none"), "get", 0.0)
    admission.granted("get")
    assert admission.passes(faults.NoCredentials("none"), "get", 0.0)
    assert admission.passes(faults.NoCredentials("none"), "get", 1e6)
