"""Writing the report of an experiment to a file."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

from trialjob import experiment
from trialjob.apps.cli.errors import ExitStatus
from trialjob.apps.cli.watching import look_on
from trialjob.apps.cli.written_files import write_file
from trialjob.errors import TrialjobError, UsageError
from trialjob.experiment import Session
from trialjob.model.trial import Phase
from trialjob.reporting.html.document import REFRESH, page
from trialjob.reporting.terminal import clean, console
from trialjob.reporting.use_of_trials import UseReader

#: Seconds in which the report waits for what jobs have left, which may be far away.
PATIENCE = 10.0


def write_report(name: str, *, output: str | None, live: bool, store: str | None) -> int:
    """Write the page once, or again and again until the experiment has ended."""
    session = experiment.attach(name, store=store)
    path = Path(output or f"{session.name}.html")
    _spare_scikit_learn()
    reader = _reader(session)
    _write(session, path, reader, live=live, store=store)
    console().print(clean(str(path.absolute())), soft_wrap=True)
    while live and session.state.phase is not Phase.ENDED and session.state.moved_to is None:
        if look_on(session, REFRESH):
            _write(session, path, reader, live=True, store=store)
    return ExitStatus.DONE


def _spare_scikit_learn() -> None:
    """Load Optuna's importances without the forests of its fANOVA.

    A report does without them, and scikit-learn, where it is installed, takes longer to load than all else.
    """
    if "sklearn" in sys.modules:
        return
    sys.modules["sklearn"] = None  # type: ignore[assignment] # to the import system: there is none
    with suppress(ImportError):
        import trialjob.reporting.importances  # noqa: F401, PLC0415 - heavy, and an extra
    del sys.modules["sklearn"]


def _reader(session: Session) -> UseReader | None:
    """What looks for the use of machines; None where what jobs have left cannot be reached from here."""
    with suppress(TrialjobError):  # another version's spec, a broken package, or jobs of another machine
        return UseReader(session.artifacts, PATIENCE)
    return None


def _write(session: Session, path: Path, reader: UseReader | None, *, live: bool, store: str | None) -> None:
    """Replace the file as a whole, so that a browser never loads half of it."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; write the name of a file, such as {path / session.name}.html")
    use = reader.look(session.state) if reader is not None else None
    text = page(session.state, session.space(), session.links, use=use, live=live, store=store)
    write_file(path, text)
