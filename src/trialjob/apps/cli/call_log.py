"""Where the calls to services are shown: on stderr by ``--verbose``, or where TRIALJOB_LOG says."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import click

from trialjob.errors import UsageError

VARIABLE = "TRIALJOB_LOG"
#: What is no name of a file.
_STDERR = ("1", "-", "stderr", "true", "yes")


def is_verbose() -> bool:
    """Whether this command was given ``--verbose``, which the environment does not hand on."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.find_root().params.get("verbose"))


def begin(*, verbose: bool) -> Callable[[], None] | None:
    """Show them from now on, where the user wants them; returns what ends it. Raises UsageError."""
    wanted = os.environ.get(VARIABLE, "")
    if not verbose and wanted in ("", "0"):
        return None
    import logging  # noqa: PLC0415 - the help does without

    from trialjob.call_log import CALLS  # noqa: PLC0415 - as above
    from trialjob.reporting.terminal import Output  # noqa: PLC0415 - as above

    handler: logging.Handler
    if verbose or wanted in _STDERR:
        handler = logging.StreamHandler(Output(sys.stderr))
    else:
        try:
            handler = logging.FileHandler(wanted, encoding="utf-8", errors="replace")
        except OSError as error:
            raise UsageError(
                f"{VARIABLE}={wanted}: calls cannot be written there: {error.strerror or error}; "
                "name a file in a folder that is there, or 'stderr'"
            ) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    before = CALLS.level
    CALLS.addHandler(handler)
    CALLS.setLevel(logging.DEBUG)

    def end() -> None:
        CALLS.removeHandler(handler)
        CALLS.setLevel(before)
        handler.close()

    return end
