"""Bringing what trials left behind to this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from trialjob import experiment
from trialjob.apps.cli.errors import ExitStatus
from trialjob.errors import UsageError
from trialjob.experiment import Session
from trialjob.model.trial import AttemptStatus
from trialjob.orchestrator.core.best import best_trial
from trialjob.orchestrator.core.trial import Trial
from trialjob.orchestrator.ports import Part
from trialjob.reporting.downloads import Progress as Told
from trialjob.reporting.downloads import fetch, unwritable
from trialjob.reporting.results import model_attempt, trial_folder
from trialjob.reporting.terminal import clean, console


def download(
    name: str,
    *,
    best: bool,
    trials: Sequence[int],
    every: bool,
    logs: bool,
    to: str | None,
    store: str | None,
) -> int:
    """Bring the best trial's model and output, or those of ``trials``, or of every one that has ended."""
    if best + bool(trials) + every > 1:
        raise click.UsageError("--best, --trial and --all exclude each other.", click.get_current_context())
    session, out = experiment.attach(name, store=store), console()
    chosen = _chosen(session, trials, every=every)
    folder = Path(to or session.name)
    brought = 0
    with _progress(out) as show:
        for trial in chosen:
            brought += _bring(session, trial, trial_folder(folder, trial), out, show)
            if logs:
                brought += _bring_logs(session, trial, trial_folder(folder, trial))
    if not brought:
        raise UsageError(
            f"{session.name} has nothing to download of {_numbers(chosen)}; a script leaves its model in the "
            "folder that SM_MODEL_DIR names and other files in that of SM_OUTPUT_DATA_DIR"
        )
    out.print(clean(str(folder.absolute())), soft_wrap=True)
    return ExitStatus.DONE


def _chosen(session: Session, trials: Sequence[int], *, every: bool) -> list[Trial]:
    state = session.state
    if every:
        return [trial for trial in state.trials if trial.attempts]
    if not trials:
        best = best_trial(state.trials, state.objective)
        if best is None:
            raise UsageError(
                f"no trial of {state.name} has a value of {state.objective.metric}, so none is the best; "
                "name one with --trial, or ask for --all"
            )
        return [best]
    wrong = [number for number in trials if number > len(state.trials)]
    if wrong:
        raise UsageError(f"{state.name} has no trial {wrong[0]}; its trials are 1 to {len(state.trials)}")
    numbered = list(state.trials)
    return [numbered[number - 1] for number in dict.fromkeys(trials)]


def _numbers(trials: Sequence[Trial]) -> str:
    shown = [str(trial.id) for trial in trials[:5]] + (["…"] if len(trials) > 5 else [])  # noqa: PLR2004
    return f"trial {', '.join(shown)}" if shown else "any trial"


def _bring(session: Session, trial: Trial, into: Path, out: Console, show: Told) -> int:
    """Fetch model and output; returns how many of the two there are."""
    attempt = model_attempt(trial)
    if attempt is None:
        return 0
    job = session.state.job(trial.id, attempt.number)

    def left_out(what: str) -> None:
        out.print(clean(f"trial {trial.id}: left out {what}"), style="yellow", soft_wrap=True)

    def progress(file: str, here: int, whole: int) -> None:
        show(f"trial {trial.id}: {file}", here, whole)

    found = [fetch(session.artifacts, job, part, into, progress=progress, left_out=left_out) for part in Part]
    return sum(folder is not None for folder in found)


def _bring_logs(session: Session, trial: Trial, into: Path) -> int:
    """Write the log of every attempt to a file; one of an attempt that has ended is not read twice."""
    for attempt in trial.attempts:
        path = into / f"log-{attempt.number}.txt"
        # One that is older is that of an experiment which had the name before.
        if path.exists() and path.stat().st_mtime >= session.state.created_at:
            continue
        if attempt.status is not AttemptStatus.ENDED:
            path = into / f"log-{attempt.number}-so-far.txt"
        growing = into / f".{path.name}"
        try:
            into.mkdir(parents=True, exist_ok=True)
            with growing.open("w", encoding="utf-8", errors="replace") as file:
                for lines in session.lines(trial.id, attempt.number):
                    file.writelines(f"{session.vault.mask(line.text)}\n" for line in lines)
            growing.replace(path)
        except OSError as error:
            raise unwritable(error, into) from error
        finally:
            with suppress(OSError):  # nothing is there where nothing could be written
                growing.unlink(missing_ok=True)
    return len(trial.attempts)


@contextmanager
def _progress(out: Console) -> Iterator[Told]:
    """A bar for the file that is under way, on a terminal; a line for each file elsewhere."""
    if not out.is_terminal:
        yield (
            lambda file, here, whole: (
                out.print(clean(f"{file}, {whole} bytes"), soft_wrap=True) if here == whole else None
            )
        )
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=out, transient=True) as bars:
        bar = bars.add_task("", total=None)
        yield lambda file, here, whole: bars.update(bar, description=clean(file), completed=here, total=whole)
