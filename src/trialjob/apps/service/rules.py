"""The role that each route needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trialjob.apps.service.access import ARCHIVES
from trialjob.apps.service.tickets import TICKETS
from trialjob.apps.team.tokens import Role

ONE: Final = "/v1/experiments/{name}"
TRIAL: Final = f"{ONE}/trials/{{trial}}"
ARTIFACTS: Final = f"{TRIAL}/artifacts"
#: The page that draws figures in a frame.
FRAME: Final = "/figures.html"
#: The page's own files.
WEB: Final = (
    "/",
    *(
        "/app.css",
        "/app.js",
        "/common.js",
        "/compare.js",
        "/experiment.js",
        "/figures.js",
        "/new.js",
        "/team.js",
    ),
)
STUDIES: Final = "/v1/studies"
TENANTS: Final = "/v1/tenants"
TOKENS: Final = "/v1/tokens"
STUDY_TRIAL: Final = f"{STUDIES}/{{name}}/trials/{{trial}}"
#: What each route asks of its caller; None asks for no token.
RULES: Final[Mapping[tuple[str, str], Role | None]] = {
    **{(method, path): None for method in ("GET", "HEAD") for path in (*WEB, FRAME)},
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", f"{TICKETS}{{ticket}}"): None,
    **{(method, "/v1/openapi.json"): Role.READ for method in ("GET", "HEAD")},
    ("GET", "/metrics"): Role.READ,
    ("GET", "/v1/me"): Role.READ,
    ("GET", TENANTS): Role.READ,
    ("POST", TENANTS): Role.ADMIN,
    ("PATCH", f"{TENANTS}/{{tenant}}"): Role.ADMIN,
    ("GET", TOKENS): Role.ADMIN,
    ("POST", TOKENS): Role.ADMIN,
    ("DELETE", f"{TOKENS}/{{token}}"): Role.ADMIN,
    ("GET", "/v1/audit"): Role.MANAGE,
    ("GET", "/v1/experiments"): Role.READ,
    ("GET", "/v1/compare"): Role.READ,
    ("GET", ONE): Role.READ,
    ("GET", f"{ONE}/results"): Role.READ,
    ("GET", f"{ONE}/results.csv"): Role.READ,
    ("GET", f"{ONE}/spec"): Role.READ,
    ("GET", f"{ONE}/records"): Role.READ,
    ("GET", f"{ONE}/trials"): Role.READ,
    ("GET", f"{ONE}/limits/cost"): Role.READ,
    ("GET", f"{ONE}/figures"): Role.READ,
    ("GET", f"{ONE}/figures/{{figure}}"): Role.READ,
    ("GET", f"{ONE}/code"): Role.READ,
    ("GET", f"{ONE}/events"): Role.READ,
    ("GET", f"{ONE}/report.html"): Role.READ,
    ("POST", f"{ONE}/report-tickets"): Role.READ,
    ("GET", f"{TRIAL}/log"): Role.READ,
    ("GET", f"{TRIAL}/logs"): Role.READ,
    ("GET", ARTIFACTS): Role.READ,
    ("GET", f"{ARTIFACTS}/{{part}}"): Role.READ,
    ("POST", "/v1/plan"): Role.SUBMIT,
    ("POST", "/v1/experiments"): Role.SUBMIT,
    ("POST", STUDIES): Role.SUBMIT,
    ("POST", f"{STUDIES}/{{name}}/suggestions"): Role.SUBMIT,
    ("POST", f"{STUDY_TRIAL}/reports"): Role.SUBMIT,
    ("POST", f"{STUDY_TRIAL}/complete"): Role.SUBMIT,
    ("POST", f"{STUDY_TRIAL}/fail"): Role.SUBMIT,
    ("POST", ARCHIVES): Role.SUBMIT,
    ("POST", f"{ARCHIVES}/plan"): Role.SUBMIT,
    ("DELETE", ONE): Role.MANAGE,
    ("POST", f"{ONE}/stop"): Role.SUBMIT,
    ("POST", f"{ONE}/resume"): Role.SUBMIT,
    ("PATCH", f"{ONE}/limits"): Role.SUBMIT,
}
