"""The fake on a port: our own operations and moto's, behind one address.

It tells them apart by ``X-Amz-Target``; whatever is not ours goes to moto untouched, but for the faults.
"""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from trialjob.testing.fake_aws.errors import Interposed, ServiceError, access_denied
from trialjob.testing.fake_aws.moto_world import MotoWorld
from trialjob.testing.fake_aws.service import FakeService
from trialjob.testing.fake_aws.training import ACCOUNT, USER, Training
from trialjob.testing.fake_aws.wire import TARGETS, check

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
_SCOPE = re.compile(r"Credential=[^/]+/\d+/([a-z0-9-]+)/([a-z0-9-]+)/")


class Dispatcher:
    """A WSGI application: the fake before moto."""

    def __init__(self, service: FakeService, world: MotoWorld) -> None:
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - heavy
            DomainDispatcherApplication,
            create_backend_app,
        )

        self._service = service
        self._world = world
        self._moto: Any = DomainDispatcherApplication(create_backend_app)

    def now(self) -> float:
        """What time it is for whom the fake stands in for."""
        return self._service.clock.now()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        faults = self._service.faults
        if faults.hits("slow"):
            self._service.clock.sleep(faults.slow_seconds)
        if environ.get("CONTENT_LENGTH"):
            # Read once and kept: an answer without a look at it must not leave it on the connection, and a
            # second look must not wait for more.
            environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        region, signed_for = _scope(environ)
        target, _, operation = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")
        try:
            if target in TARGETS:
                return self._ours(environ, start_response, (TARGETS[target], operation, region))
            return self._motos(environ, start_response, signed_for)
        except Interposed as page:
            headers = [("Content-Type", page.kind), ("Content-Length", str(len(page.body)))]
            start_response(f"{page.status} Interposed", headers)
            return [b"" if environ["REQUEST_METHOD"] == "HEAD" else page.body]

    def _ours(
        self, environ: Environ, start_response: StartResponse, asked: tuple[str, str, str]
    ) -> list[bytes]:
        service, operation, region = asked
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        try:
            params = _object(body)
            answer, status = self._service.call(service, operation, params, region=region), 200
            body, rewrite = json.dumps(answer).encode(), self._service.faults.rewrite
            body = body if rewrite is None else rewrite(operation, body)
            return _respond(start_response, 200, "application/x-amz-json-1.1", body)
        except ServiceError as error:
            answer, status = {"__type": error.code, "message": error.message}, error.status
        except ValueError as error:
            answer, status = {"__type": "SerializationException", "message": str(error)}, 400
        return _respond(start_response, status, "application/x-amz-json-1.1", json.dumps(answer).encode())

    def _motos(self, environ: Environ, start_response: StartResponse, service: str) -> Iterable[bytes]:
        operation, form = _operation(environ, service)
        answered: list[tuple[Any, ...]] = []

        def work() -> list[bytes]:
            if service == "s3" and environ["PATH_INFO"].split("/")[1] in self._world.foreign_buckets:
                raise ServiceError("AccessDenied", "Access Denied", 403)
            if f"{service}:{operation}" in self._service.faults.denied:
                json_too = "HTTP_X_AMZ_TARGET" in environ
                refused = access_denied(USER, f"{service}:{operation}", "*")
                raise refused if json_too else ServiceError("AccessDenied", refused.message, 403)
            if service == "s3":
                writes = environ["REQUEST_METHOD"] == "PUT"
                conditional = writes and ("HTTP_IF_MATCH" in environ or "HTTP_IF_NONE_MATCH" in environ)
                self._service.faults.meet_object(conditional=conditional)
            if service == "ecr":
                _check_registry(environ, operation)
            if operation == "SimulatePrincipalPolicy":  # moto has none
                answered.append(("200 OK", [("Content-Type", "text/xml")]))
                return [simulate(form, self._service.faults.denied, self._service.training)]
            return list(self._moto(environ, lambda *args: answered.append(args)))

        asked = {"Path": environ["PATH_INFO"], "Query": environ.get("QUERY_STRING", ""), "Form": form}
        if "HTTP_X_AMZ_TARGET" in environ:
            asked["Json"] = _body(environ).decode(errors="replace")
        try:
            body: list[bytes] = self._service.foreign(service, operation, asked, work)
        except ServiceError as error:
            return _refuse(start_response, service, error, is_json="HTTP_X_AMZ_TARGET" in environ)
        status, headers, *rest = answered[-1]
        if self._service.faults.rewrite is not None and str(status).startswith("200"):
            body = [self._service.faults.rewrite(operation, b"".join(body))]
            headers = [each for each in headers if each[0].lower() != "content-length"]
        start_response(status, headers, *rest)
        return body


def _check_registry(environ: Environ, operation: str) -> None:
    """Raise for what moto takes and the service does not: a malformed request, another account's registry.

    Of that, moto would say that it is empty.
    """
    asked = _object(_body(environ))
    check("ecr", operation, asked)
    registry = asked.get("registryId", ACCOUNT)
    if registry != ACCOUNT:
        raise access_denied(USER, f"ecr:{operation}", f"arn:aws:ecr:*:{registry}:repository/*")


def _body(environ: Environ) -> bytes:
    """The body of a request, which can be read again."""
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _object(body: bytes) -> dict[str, Any]:
    """The members of a JSON request; raises ValueError for anything else."""
    value = json.loads(body or b"{}")
    if not isinstance(value, dict):
        raise ValueError("the body of a request is a JSON object")  # noqa: TRY004 - as json.loads does
    return value


def _scope(environ: Environ) -> tuple[str, str]:
    """The region and the service that a request was signed for."""
    found = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    return (found[1], found[2]) if found else ("us-east-1", "")


_OBJECT = {
    "GET": "GetObject",
    "PUT": "PutObject",
    "POST": "PutObject",
    "DELETE": "DeleteObject",
    "HEAD": "GetObject",
}
_BUCKET = {
    "GET": "ListBucket",
    "PUT": "CreateBucket",
    "POST": "DeleteObject",
    "DELETE": "DeleteBucket",
    "HEAD": "ListBucket",
}


def _operation(environ: Environ, service: str) -> tuple[str, dict[str, list[str]]]:
    """The operation's name, as IAM calls it, and the form of a query request."""
    if service == "s3":
        _, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
        if environ.get("QUERY_STRING", "").startswith("location"):
            return "GetBucketLocation", {}
        return (_OBJECT if key else _BUCKET).get(str(environ["REQUEST_METHOD"]), "?"), {}
    if "urlencoded" in environ.get("CONTENT_TYPE", ""):  # the query protocol names it in the body
        form = parse_qs(_body(environ).decode())
        return form.get("Action", ["?"])[0], form
    return str(environ.get("HTTP_X_AMZ_TARGET", "").partition(".")[2]) or str(environ["REQUEST_METHOD"]), {}


def _refuse(
    start_response: StartResponse, service: str, error: ServiceError, *, is_json: bool
) -> list[bytes]:
    """The same refusal as the asked service writes it: JSON, S3's XML, or the query protocol's."""
    code = error.code
    if is_json:
        body = json.dumps({"__type": code, "message": error.message}).encode()
        return _respond(start_response, error.status, "application/x-amz-json-1.0", body)
    code = {"ExpiredTokenException": "ExpiredToken", "ThrottlingException": "Throttling"}.get(code, code)
    inner = f"<Error><Code>{code}</Code><Message>{error.message}</Message></Error>"
    if service == "s3":
        code = "InternalError" if code == "InternalFailure" else code
        inner = f"<Error><Code>{code}</Code><Message>{error.message}</Message></Error>"
    else:
        inner = f"<ErrorResponse>{inner}<RequestId>0</RequestId></ErrorResponse>"
    return _respond(start_response, error.status, "text/xml", inner.encode())


def _respond(start_response: StartResponse, status: int, kind: str, body: bytes) -> list[bytes]:
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("x-amzn-RequestId", "fake")]
    start_response(f"{status} {'OK' if status == 200 else 'Refused'}", headers)
    return [body]


class Server:
    """Serves an application on 127.0.0.1 from threads of this process."""

    def __init__(self, application: Dispatcher, port: int) -> None:
        from moto.moto_server.werkzeug_app import MotoRequestHandler  # noqa: PLC0415 - heavy
        from werkzeug.serving import make_server  # noqa: PLC0415 - heavy

        class Quiet(MotoRequestHandler):
            """Logs nothing, and hangs up when the application lost the connection."""

            def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the name it overrides
                pass

            def date_time_string(self, timestamp: float | None = None) -> str:
                # By the clock of the times in the answer, or a caller could not tell what is over. S3, which
                # is moto's own, dates its objects by the machine's.
                if timestamp is None and "X-Amz-Target" in self.headers:
                    timestamp = application.now()
                return super().date_time_string(timestamp)

            def connection_dropped(
                self,
                error: BaseException,  # noqa: ARG002 - overridden
                environ: Environ | None = None,  # noqa: ARG002 - overridden
            ) -> None:
                self.close_connection = True

        self._http = make_server("127.0.0.1", port, application, threaded=True, request_handler=Quiet)
        self.port = int(self._http.server_port)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


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
