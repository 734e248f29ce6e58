"""iam:SimulatePrincipalPolicy, by which a program asks beforehand what it may do."""

from __future__ import annotations

from xml.sax.saxutils import escape

from trialjob.testing.fake_aws.training import Training

_SPACE = "https://iam.amazonaws.com/doc/2010-05-08/"


def simulate(form: dict[str, list[str]], denied: set[str], training: Training) -> bytes:
    """The answer, by the same switches as make the calls themselves fail."""
    actions = _members(form, "ActionNames")
    resources = _members(form, "ResourceArns") or ["*"]
    refusals = denied | training.denied_to.get(form["PolicySourceArn"][0], set())
    rows = []
    for action in actions:
        for resource in resources:
            refused = action in refusals or (action == "iam:PassRole" and resource in training.not_passable)
            rows.append(
                f"<member><EvalActionName>{escape(action)}</EvalActionName>"
                f"<EvalResourceName>{escape(resource)}</EvalResourceName>"
                f"<EvalDecision>{'implicitDeny' if refused else 'allowed'}</EvalDecision></member>"
            )
    return (
        f'<SimulatePrincipalPolicyResponse xmlns="{_SPACE}"><SimulatePrincipalPolicyResult>'
        f"<IsTruncated>false</IsTruncated><EvaluationResults>{''.join(rows)}</EvaluationResults>"
        "</SimulatePrincipalPolicyResult><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata>"
        "</SimulatePrincipalPolicyResponse>"
    ).encode()


def _members(form: dict[str, list[str]], name: str) -> list[str]:
    return [values[0] for key, values in form.items() if key.startswith(f"{name}.member.")]
