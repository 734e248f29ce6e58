"""What looking at results costs: reports, Optuna exports, MLflow, and the first line of `watch`.

    .venv/bin/python benchmarks/report.py            # 100, 1,000 and 10,000 trials
    .venv/bin/python benchmarks/report.py 100 --mlflow

The histories are made up (trialjob.testing.histories): 4 hyperparameters, about 9 reports a trial, 16 slots.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from trialjob.model.ids import ExperimentName
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.journals.codec import encode
from trialjob.orchestrator.journals.folder import FolderStore
from trialjob.reporting.html.document import page
from trialjob.reporting.mlflow import MlflowRuns
from trialjob.reporting.optuna_study import OptunaStudy
from trialjob.testing.histories import SPACE, History

_MOST_COMMITS = 1000
CHROMIUM = shutil.which("chromium")
SERVER = """
import os, sys
os.environ["_MLFLOW_SERVER_FILE_STORE"], os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = sys.argv[1:]
from mlflow.server import app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def cpu_of(command: list[str]) -> tuple[float, float]:
    """Wall-clock and processor seconds of a process and its children."""
    before = os.times()
    took = seconds(lambda: subprocess.run(command, capture_output=True, check=True))
    after = os.times()
    return took, after.children_user + after.children_system - before.children_user - before.children_system


def reports(history: History, state: State, folder: Path) -> None:
    page(History(trials=1).state(), SPACE)  # plotly and Optuna are loaded once
    path = folder / "report.html"
    took = seconds(lambda: path.write_text(page(state, SPACE), encoding="utf-8"))
    print(f"{history.trials:6} trials: report {took:.2f} s, {path.stat().st_size / 1e6:.2f} MB", flush=True)
    if CHROMIUM is None:
        return
    blank = folder / "blank.html"
    blank.write_text("<!doctype html><title>blank</title>")
    for each in (blank, path):
        browse = [
            *(CHROMIUM, "--headless=new", "--no-sandbox", "--enable-unsafe-swiftshader"),
            *("--window-size=1300,900", f"--user-data-dir={folder}/profile", "--dump-dom", each.as_uri()),
        ]
        cpu_of(browse)
        wall, cpu = min(cpu_of(browse) for _ in range(3))
        print(f"{'':14} chromium, {each.name}: {wall:.2f} s, {cpu:.2f} s of processor", flush=True)


def optuna_exports(history: History, state: State, folder: Path) -> None:
    # A database on a file takes a commit for each trial, which says all there is to say with fewer trials.
    database = [f"sqlite:///{folder}/study.db"] if history.trials <= _MOST_COMMITS else []
    for where in [*database, str(folder / "study.journal")]:
        first = OptunaStudy(where, state, SPACE)
        took = seconds(lambda study=first: study.send(state))  # type: ignore[misc]
        again = seconds(lambda place=where: OptunaStudy(place, state, SPACE).send(state))  # type: ignore[misc]
        kind = where.rsplit(".", 1)[1]
        rate = history.trials / took
        print(f"{'':14} Optuna, {kind}: {took:.1f} s, {rate:.0f} trials/s; again {again:.1f} s", flush=True)


def mlflow_runs(history: History, state: State, folder: Path) -> None:
    store = f"sqlite:///{folder}/mlflow.db"
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER, store, str(folder / "artifacts")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        uri = f"http://127.0.0.1:{int(server.stdout.readline()) if server.stdout else 0}"
        took = seconds(lambda: MlflowRuns(tracking_uri=uri, experiment="bench").send_all(state))
        again = seconds(lambda: MlflowRuns(tracking_uri=uri, experiment="bench").send_all(state))
    finally:
        server.kill()
        server.wait()
    rate = history.trials / took
    print(f"{'':14} MLflow: {took:.1f} s, {rate:.0f} trials/s; again {again:.1f} s", flush=True)


def first_line(history: History, folder: Path) -> None:
    """From the start of `trialjob watch` to its first byte, the interpreter included."""
    store = folder / "store"
    journal = store / FolderStore(store).where(ExperimentName(history.name)).split("/")[-1] / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    running = History(trials=history.trials, slots=16, ended=False)
    with journal.open("wb") as file:
        file.writelines(encode(record) for record in running.records())

    def once() -> float:
        begin = time.perf_counter()
        command = [sys.executable, "-m", "trialjob", "watch", history.name, "--store", str(store)]
        watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if watching.stdout is not None:
            watching.stdout.read(1)
        took = time.perf_counter() - begin
        watching.kill()
        watching.wait()
        return took

    print(f"{'':14} watch: first byte after {min(once() for _ in range(3)):.2f} s", flush=True)


def looks(history: History, folder: Path) -> None:
    """`status` where nobody has looked before, and then with the snapshot that this has left."""
    store = folder / "looked-at"
    journal = store / history.name / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    with journal.open("wb") as file:
        file.writelines(encode(record) for record in history.records())
    command = [sys.executable, "-m", "trialjob", "status", history.name, "--store", str(store)]
    first, again = (cpu_of(command)[1] for _ in range(2))
    print(f"{'':14} status: {first:.2f} s of processor, again {again:.2f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("trials", nargs="*", type=int, default=[100, 1000, 10_000])
    parser.add_argument("--mlflow", action="store_true", help="Start an MLflow server and send to it.")
    given = parser.parse_args()
    for trials in given.trials:
        history = History(trials=trials, slots=16)
        state = history.state()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
            folder = Path(name)
            reports(history, state, folder)
            first_line(history, folder)
            looks(history, folder)
            optuna_exports(history, state, folder)
            if given.mlflow:
                mlflow_runs(history, state, folder)


if __name__ == "__main__":
    main()
