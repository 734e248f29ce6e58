"""One study of 10,000 trials in a browser: on the page of `trialjob serve`, in optuna-dashboard, in MLflow's.

All three are given the same trials, parameters, reports and scores, in the form in which each keeps them; the
two others in SQLite, with which they begin by themselves. A page is usable when there is on it what a person
came for: the trials, or as many of them as it shows at once, with their scores.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measuring import Row
from benchmarks.service_browser import CHROMIUM, Browser
from benchmarks.service_server import Server
from benchmarks.service_store import LARGE, make_large
from optuna.distributions import distribution_to_json

from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.engine.clock import SystemClock
from trialjob.reporting.optuna_space import parameters
from trialjob.reporting.rows import row_of
from trialjob.testing.histories import OBJECTIVE, SPACE

#: Seconds for a page, and for a server to begin.
_PAGE, _BEGIN = 40.0, 60.0
#: Trials that our page shows at once.
_AT_ONCE = 100
#: Where the commands of others are.
_BESIDE = Path(sys.executable).parent


def prepare(folder: Path, trials: int) -> None:
    """The study in the form of each, as far as they are installed."""
    state = make_large(folder / "large", trials)
    if find_spec("optuna_dashboard") is not None:
        _prepare_optuna(folder / "optuna.db", state)
    if find_spec("mlflow.server") is not None:
        _prepare_mlflow(folder / "mlflow.db", state)


def rows(folder: Path, trials: int) -> Iterator[Row]:
    """Time to a usable page, twice each: of a server that has just been started, and then again."""
    if CHROMIUM is None:
        yield Row(
            what=f"a study of {trials:,} trials in a browser", trialjob="not measured: no Chromium here"
        )
        return
    with Browser(folder / "profile") as browser:
        for page in (_ours, _optuna, _mlflow):
            try:
                yield page(browser, folder, trials)
            except (OSError, subprocess.CalledProcessError, sqlite3.Error) as error:
                yield Row(what=f"the page of {page.__name__.strip('_')}", trialjob=f"not measured: {error}")


def _ours(browser: Browser, folder: Path, trials: int) -> Row:
    with Server(folder / "large") as server:
        server.start()
        _, _, token = server.address.partition("#")
        page = f"http://127.0.0.1:{server.port}/#/e/{LARGE}&{token}"
        shown = f"document.querySelectorAll('tbody tr').length >= {min(trials, _AT_ONCE)}"
        return _row(browser, "trialjob", trials, page, shown)


def _row(browser: Browser, name: str, trials: int, page: str, shown: str) -> Row:
    took = [browser.seconds_to(page, shown, _PAGE) for _ in range(2)]
    first, again = (f"not within {_PAGE:.0f} s" if each is None else f"{each:.1f} s" for each in took)
    return Row(what=f"{trials:,} trials to a usable page: {name}", trialjob=f"{first}, again {again}")


@contextmanager
def _served(command: Sequence[str], port: int, environment: dict[str, str] | None = None) -> Iterator[None]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(
        command, stdout=quiet, stderr=quiet, env={**os.environ, **(environment or {})}, start_new_session=True
    )
    try:
        _wait_for(port)
        yield
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def _wait_for(port: int) -> None:
    until = time.monotonic() + _BEGIN
    while time.monotonic() < until:
        with closing(HTTPConnection("127.0.0.1", port, timeout=_BEGIN)) as line, suppress(OSError):
            line.request("GET", "/")
            if line.getresponse().status < 500:
                return
        SystemClock().sleep(0.1)
    raise TimeoutError(f"nothing answers on port {port}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found: int = taken.getsockname()[1]
        return found


def _run(*command: str | Path) -> None:
    subprocess.run(
        [str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


# Optuna


def _prepare_optuna(database: Path, state: State) -> None:
    _run(
        *(_BESIDE / "optuna", "create-study", "--storage", f"sqlite:///{database}"),
        *("--study-name", LARGE, "--direction", "maximize"),
    )
    with closing(sqlite3.connect(database)) as connection, connection:
        _fill_optuna(connection, state)


def _optuna(browser: Browser, folder: Path, trials: int) -> Row:
    name, database, port = "optuna-dashboard, SQLite", folder / "optuna.db", _free_port()
    if not database.exists():
        return Row(what=name, trialjob="not installed")
    command = [str(_BESIDE / "optuna-dashboard"), f"sqlite:///{database}", "--port", str(port)]
    with _served(command, port):
        page = f"http://127.0.0.1:{port}/dashboard/studies/1"
        shown = "document.querySelector('.js-plotly-plot .main-svg .point, .js-plotly-plot canvas') !== null"
        return _row(browser, name, trials, page, shown)


def _fill_optuna(connection: sqlite3.Connection, state: State) -> None:
    trials, given, values, steps = [], [], [], []
    for trial in state.trials:
        number, score = int(trial.id), row_of(trial, state.objective).score
        ended = "FAIL" if score is None else "COMPLETE"
        trials.append((number, number - 1, 1, ended, "2026-01-01 00:00:00", "2026-01-01 01:00:00"))
        told, kinds = parameters(trial.config, SPACE.domains)
        for name, kind in kinds.items():
            given.append((number, name, kind.to_internal_repr(told[name]), distribution_to_json(kind)))
        if score is not None:
            values.append((number, 0, score, "FINITE"))
        steps += [
            (number, int(report.resource), report.metrics[OBJECTIVE.metric], "FINITE")
            for report in trial.reports
        ]
    _insert(
        connection,
        "trials",
        "trial_id, number, study_id, state, datetime_start, datetime_complete",
        trials,
    )
    _insert(connection, "trial_params", "trial_id, param_name, param_value, distribution_json", given)
    _insert(connection, "trial_values", "trial_id, objective, value, value_type", values)
    columns = "trial_id, step, intermediate_value, intermediate_value_type"
    _insert(connection, "trial_intermediate_values", columns, steps)


def _insert(
    connection: sqlite3.Connection, table: str, columns: str, found: Sequence[tuple[object, ...]]
) -> None:
    marks = ", ".join("?" * len(columns.split(",")))
    connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", found)  # noqa: S608 - our own names


# MLflow


def _prepare_mlflow(database: Path, state: State) -> None:
    _run(_BESIDE / "mlflow", "db", "upgrade", f"sqlite:///{database}")
    with closing(sqlite3.connect(database)) as connection, connection:
        _fill_mlflow(connection, state)


def _mlflow(browser: Browser, folder: Path, trials: int) -> Row:
    name, database, port = "MLflow's server, SQLite", folder / "mlflow.db", _free_port()
    if not database.exists():
        return Row(what=name, trialjob="not installed")
    words = ["server", "--backend-store-uri", f"sqlite:///{database}", "--port", str(port), "--workers", "1"]
    told = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with _served([str(_BESIDE / "mlflow"), *words], port, told):
        page = f"http://127.0.0.1:{port}/#/experiments/1/runs"
        shown = "document.querySelectorAll('[role=row]').length > 10"
        return _row(browser, name, trials, page, shown)


def _fill_mlflow(connection: sqlite3.Connection, state: State) -> None:
    runs, given, metrics = [], [], []
    latest: list[tuple[object, ...]] = []
    for trial in state.trials:
        run = f"{int(trial.id):032x}"
        ended = "FAILED" if row_of(trial, state.objective).score is None else "FINISHED"
        runs.append(
            (run, f"trial-{trial.id}", "LOCAL", "", "user", ended, 1000, 2000, "active", f"/{run}", 1)
        )
        given += [(name, str(value), run) for name, value in trial.config.items()]
        told = [
            (name, value, int((report.at or 0) * 1000), int(report.resource), 0, run)
            for report in trial.reports
            for name, value in report.metrics.items()
        ]
        metrics += told
        latest += {each[0]: each for each in told}.values()
    columns = "experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time"
    _insert(connection, "experiments", columns, [(1, LARGE, "/large", "active", 1000, 2000)])
    columns = (
        "run_uuid, name, source_type, source_name, user_id, status, start_time, end_time, lifecycle_stage"
    )
    _insert(connection, "runs", f"{columns}, artifact_uri, experiment_id", runs)
    _insert(connection, "params", "key, value, run_uuid", given)
    names = [("mlflow.runName", run[1], run[0]) for run in runs]  # its page takes no run without a tag
    _insert(connection, "tags", "key, value, run_uuid", names)
    for table, found in (("metrics", metrics), ("latest_metrics", latest)):
        _insert(connection, table, "key, value, timestamp, step, is_nan, run_uuid", found)


if __name__ == "__main__":
    prepare(Path(sys.argv[1]), int(sys.argv[2]))
