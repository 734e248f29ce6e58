"""A backend of a package, known to trialjob by nothing but its entry point: processes of another machine.

The other machine is a folder, and processes that have nothing of this one's environment.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from trialjob import config, experiment
from trialjob.apps.aws_lambda import handler
from trialjob.apps.cli.main import main
from trialjob.backends.plugin import Backend
from trialjob.errors import BackendError, BackendUnavailable
from trialjob.experiment.jobs import backend_of, vault_of
from trialjob.model.ids import ExperimentName
from trialjob.model.job import JobRequest, Watch
from trialjob.orchestrator.ports import Submitted
from trialjob.testing.backend_contract import BackendContract, Harness
from trialjob.testing.fake_aws import FakeAws
from trialjob.testing.installed import install
from trialjob.testing.local_jobs import ScriptJobs

PACKAGE = Path(__file__).parents[2] / "examples/plugins/remote-backend"
SCRIPT = """\
import json, os, pathlib, sys, time
from trialjob.reporting import report
values = json.loads(os.environ["SM_HPS"])
pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text("w" * 10)
print("token", os.environ.get("TOKEN", "none"), "leak", os.environ.get("OF_THE_TUNER", "none"))
for epoch in (1, 2):
    report(loss=values["x"], epoch=epoch)
while values.get("until") and not pathlib.Path(values["until"]).exists():
    time.sleep(0.05)
"""
SPEC: dict[str, Any] = {
    "name": "strange",
    "estimator": {"kind": "script", "source_dir": "code", "entry_point": "train.py"},
    "space": {"x": {"type": "uniform", "lower": 0.0, "upper": 1.0}},
    "objective": {"metric": "loss", "mode": "min"},
    "sampler": {"kind": "random", "seed": 1},
    "limits": {"max_trials": 2, "max_concurrent_trials": 2},
}
TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - nobody's
#: Seconds after which something hangs.
_HANGS = 400


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    install(PACKAGE, folder)
    return folder


def section(site: Path, there: Path) -> dict[str, Any]:
    """The section of a machine that is ``there``, with an environment of its own."""
    command = ["env", "-i", f"PATH={os.environ['PATH']}", f"PYTHONPATH={site}", "sh", "-c"]
    return {
        "kind": "remote",
        "command": command,
        "folder": str(there),
        "python": sys.executable,
        "poll_interval": 0.2,
        "stop_grace": 2,
    }


class RemoteJobs(ScriptJobs):
    """Scripts as jobs of the other machine."""

    def __init__(self, folder: Path, site: Path) -> None:
        super().__init__(folder)
        self.write("train.py", "")
        estimator = {**SPEC["estimator"], "source_dir": str(folder / "source")}
        there = section(site, folder / "there")
        self.spec = config.parse({**SPEC, "name": "local", "estimator": estimator, "backend": there})
        self.opened: list[Backend] = []

    def backend(self) -> Backend:
        store, name = experiment.open_store(self.folder / "store"), ExperimentName("local")
        backend = backend_of(self.spec, name, store, self.clock, vault_of(self.spec))
        self.opened.append(backend)
        return backend

    def request(self, *given: Any, **named: Any) -> JobRequest:  # noqa: ANN401 - as the one above takes
        request = super().request(*given, **named)
        code = (self.folder / f"bundles/{request.bundle}.tar.gz").read_bytes()
        experiment.open_store(self.folder / "store").keep_bundle(request.experiment, request.bundle, code)
        return request

    def end_all(self) -> None:
        super().end_all()
        for backend in self.opened:
            backend.close()


class TestRemoteBackend(BackendContract):
    @pytest.fixture
    def jobs(self, tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteJobs]:
        monkeypatch.syspath_prepend(site)
        jobs = RemoteJobs(tmp_path, site)
        yield jobs
        jobs.end_all()

    @pytest.fixture
    def harness(self, jobs: RemoteJobs) -> Harness:
        return jobs

    def test_a_line_that_breaks_is_made_again_and_starts_nothing_twice(
        self, harness: Harness, jobs: RemoteJobs
    ) -> None:
        request = harness.job(lines=["once"])
        backend: Any = harness.backend()
        backend.submit(request)
        backend._backend._agent._process.kill()
        with pytest.raises(BackendUnavailable, match="has no answer"):
            backend.submit(request)
        assert "has no answer" in backend.notices()[0]
        assert backend.submit(request) == Submitted(adopted=True)
        assert backend.notices() == ()
        assert jobs.run(request)[0] == ["once"]

    def test_a_machine_without_the_package_is_said_and_its_jobs_are_not_given_up(
        self, jobs: RemoteJobs, tmp_path: Path
    ) -> None:
        command = ("env", "-i", f"PATH={os.environ['PATH']}", "sh", "-c")
        section = jobs.spec.backend.model_copy(update={"command": command, "folder": str(tmp_path)})
        jobs.spec = jobs.spec.model_copy(update={"backend": section})
        with pytest.raises(BackendError, match="No module named trialjob_remote_agent"):
            jobs.backend().observe([Watch(job=jobs.request().job)])
        jobs._jobs.clear()


class Machine:
    """A folder of a user's, with the package; the other machine is a folder of it."""

    def __init__(self, folder: Path, site: Path) -> None:
        self.folder, self.site = folder, site
        self.there = folder / "there"
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(site),
            "TRIALJOB_STORE": "store",
            "TOKEN": TOKEN,
        }
        (folder / "code").mkdir()
        (folder / "code/train.py").write_text(SCRIPT)
        self.spec = {**SPEC, "backend": section(site, self.there)}
        self.write(self.spec)

    def write(self, spec: dict[str, Any]) -> None:
        (self.folder / "spec.json").write_text(json.dumps(spec))

    def start(self, *words: str, python: str = "", installed: bool = True) -> subprocess.Popen[str]:
        line = ["-c", python] if python else ["-m", "trialjob", *words]
        environment = self.environment if installed else {**self.environment, "PYTHONPATH": ""}
        return subprocess.Popen(
            [sys.executable, *line], cwd=self.folder, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *words: str, status: int = 0, python: str = "", installed: bool = True) -> str:
        process = self.start(*words, python=python, installed=installed)
        told, _ = process.communicate(timeout=_HANGS)
        assert process.returncode == status, told
        return told

    def read(self, *words: str) -> str:
        """The same of a command that only reads, in this process: starting another takes longer than it."""
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as told:
            patch.syspath_prepend(str(self.site))
            patch.chdir(self.folder)
            for name in ("TRIALJOB_STORE", "TOKEN"):
                patch.setenv(name, self.environment[name])
            assert main([*words]) == 0
        return told.getvalue()

    def results(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.read("results", "strange", "--format", "json"))[
            "trials"
        ]
        return found

    def state_of(self, job: str) -> dict[str, Any]:
        path = self.there / "strange/jobs" / job / "status.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def wait_for(self, *jobs: str, tuner: subprocess.Popen[str] | None = None) -> None:
        """Until these jobs train."""
        until = time.monotonic() + _HANGS
        while any(self.state_of(job).get("state") != "training" for job in jobs):
            assert time.monotonic() < until, [self.state_of(job) for job in jobs]
            assert tuner is None or tuner.poll() is None, tuner.communicate()[0]
            time.sleep(0.05)  # noqa: TID251 - for processes


@pytest.fixture
def machine(tmp_path: Path, site: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path, site)
    yield machine
    (tmp_path / "go").touch()
    for pid in [
        json.loads(path.read_text()).get("pid") for path in machine.there.glob("*/jobs/*/status.json")
    ]:
        with contextlib.suppress(OSError):
            if "trialjob" in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGTERM)


PYTHON = """
import json
from trialjob import Limits, RandomSearch, Script, Tuner, Uniform, minimize
from trialjob_remote import Remote
given = json.load(open("spec.json"))["backend"]
given.pop("kind")
tuner = Tuner(
    name="python", store="store", estimator=Script("train.py", source_dir="code"),
    space={"x": Uniform(0.0, 1.0)}, objective=minimize("loss"), sampler=RandomSearch(seed=1),
    limits=Limits(max_trials=1), backend=Remote(**{**given, "command": tuple(given["command"])}),
)
print(len(tuner.run().trials), "trial")
"""


def test_every_command_works_with_it(machine: Machine) -> None:
    with webhook() as (url, told):
        machine.write({**machine.spec, "notify": {"webhook": url}})
        assert "processes behind `env -i" in machine.run("plan", "spec.json", "--epoch-seconds", "1")
        doctor = machine.run("doctor", "spec.json")
        assert "answers" in doctor
        assert "nothing wrong" in doctor
        assert not (machine.folder / "store").exists()
        machine.run("run", "spec.json", "--name", "strange")
        assert [each["experiment"] for each in told] == ["strange"]
    machine.write(machine.spec)
    assert [(row["status"], row["attempts"]) for row in machine.results()] == [("completed", 1)] * 2
    log = machine.read("logs", "strange", "1")
    assert "token none leak none" in log
    machine.run("resume", "strange", "--set", "limits.max_trials=3")
    assert "3 completed" in machine.read("watch", "strange")
    machine.run("step", "strange")
    assert "1 trial" in machine.run(python=PYTHON)
    assert "limits.max_trials" in machine.read("compare", "strange", "python")
    machine.read("report", "strange", "-o", "report.html")
    machine.read("download", "strange", "--best", "--to", "found")
    assert [path.read_text() for path in (machine.folder / "found").rglob("weights")] == ["w" * 10]
    assert "nothing of trialjob's runs in env -i" in machine.run("audit")
    machine.run("stop", "strange")
    listed = json.loads(machine.read("list", "--format", "json"))["experiments"]
    assert [each["experiment"] for each in listed] == ["python", "strange"]


def test_a_tuner_that_is_killed_loses_nothing_and_audit_knows_where_to_look(machine: Machine) -> None:
    hyperparameters = {"until": str(machine.folder / "go")}
    estimator = {
        **SPEC["estimator"],
        "hyperparameters": hyperparameters,
        "environment": {"TOKEN": {"secret": {"env": "TOKEN"}}},
    }
    machine.write({**machine.spec, "estimator": estimator})
    tuner = machine.start("run", "spec.json", "--name", "strange")
    machine.wait_for("strange-0001-1", "strange-0002-1", tuner=tuner)
    # One job with all its processes, too: nobody is left there who could say how it ended.
    status = machine.state_of("strange-0002-1")
    tuner.kill()
    tuner.communicate()
    for pid in (status["pid"], status["script"][0]):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    told = machine.run("audit", status=1)
    assert "strange: run by no process now" in told
    assert "strange-0001-1" in told
    assert "strange-0002-1" not in told
    (machine.folder / "go").touch()
    machine.run("resume", "strange")
    assert [(row["status"], row["attempts"]) for row in machine.results()] == [
        ("completed", 1),
        ("completed", 2),
    ]
    assert "token *" in machine.read("logs", "strange", "1")
    secret = [path for path in machine.there.rglob("*.json") if TOKEN in path.read_text()]
    assert secret == []


def test_what_nobody_minds_is_ended_by_the_audit(machine: Machine) -> None:
    spec = {**machine.spec, "limits": {"max_trials": 1}}
    spec["estimator"] = {**SPEC["estimator"], "hyperparameters": {"until": str(machine.folder / "go")}}
    machine.write(spec)
    machine.run("step", "strange", "spec.json", status=3)
    machine.wait_for("strange-0001-1")
    shutil.rmtree(machine.folder / "store")
    told = machine.run("audit", "spec.json", "--stop", "--yes")
    assert "not in the store here any more" in told
    assert "stopping strange-0001-1" in told
    assert machine.state_of("strange-0001-1")["outcome"] == "stopped"


def test_without_the_package_it_is_read_and_not_run(machine: Machine) -> None:
    machine.run("step", "strange", "spec.json", status=3)
    assert "strange" in machine.run("status", "strange", installed=False)
    machine.run("results", "strange", installed=False)
    machine.run("report", "strange", "-o", "report.html", installed=False)
    told = machine.run("resume", "strange", installed=False, status=2)
    assert 'backend.kind: "remote" is not known' in told
    told = machine.run("audit", installed=False, status=2)
    assert "where strange runs is not known here" in told
    machine.run("resume", "strange")
    told = machine.run("run", "spec.json", "--name", "other", installed=False, status=2)
    assert "entry points trialjob.backends" in told


def test_a_field_that_is_misspelt_is_named_with_the_nearest(machine: Machine) -> None:
    machine.write(
        {**machine.spec, "backend": {**machine.spec["backend"], "foldr": "/x", "stop_grace": "soon"}}
    )
    told = machine.run("run", "spec.json", status=2)
    assert "backend.foldr: is not known here" in told
    assert "did you mean 'folder'?" in told
    assert "backend.stop_grace" in told


def test_a_lambda_steps_it(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeAws() as fake:
        for name, value in fake.env.items():
            monkeypatch.setenv(name, value)
        fake.create_bucket("bucket")
        monkeypatch.setenv("TRIALJOB_STORE", "s3://bucket/strangers")
        monkeypatch.syspath_prepend(machine.site)
        monkeypatch.chdir(machine.folder)
        experiment.create(config.parse(machine.spec), store="s3://bucket/strangers")
        until = time.monotonic() + _HANGS
        told: dict[str, Any] = {}
        while told.get("experiments") != {"strange": "finished"}:
            assert time.monotonic() < until, told
            told = handler({"for": "5s"})
            assert not told["errors"]
        trials = experiment.attach("strange", store="s3://bucket/strangers").state.trials
        assert [len(trial.attempts) for trial in trials] == [1, 1]


@contextlib.contextmanager
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a receiver, and what it has received."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
