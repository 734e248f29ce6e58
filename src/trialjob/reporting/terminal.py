"""Where people read: an output stream that cannot break an experiment, and text that cannot break a terminal.

Rule: what a program prints is never worth its work. A character that the stream cannot encode is replaced,
and when the reader has gone (``| head``) the stream falls silent.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING, Final, TextIO, cast

from trialjob.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console


class Output:
    """A text stream over another one, which never fails to write."""

    def __init__(self, stream: TextIO | None) -> None:
        # Python has no stream at all for a descriptor that was closed before it started.
        self._stream = io.StringIO() if stream is None else stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"
        #: What is written from now on cannot be read.
        self.closed_early = stream is None
        #: Why, when it is not that the reader has gone: the disk behind a redirection is full.
        self.problem = ""

    def write(self, text: str) -> int:
        """Write ``text``, with ? for what cannot be encoded; nothing once the reader has gone."""
        if not self.closed_early:
            try:
                self._stream.write(text.encode(self.encoding, "replace").decode(self.encoding, "replace"))
            except (OSError, ValueError) as error:
                self._fall_silent(error)
        return len(text)

    def flush(self) -> None:
        """Flush, if the reader is still there."""
        if not self.closed_early:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._fall_silent(error)

    def isatty(self) -> bool:
        """True on a terminal."""
        try:
            return self._stream.isatty()
        except ValueError:
            return False

    def fileno(self) -> int:
        """The descriptor behind the stream."""
        return self._stream.fileno()

    def _fall_silent(self, error: Exception) -> None:
        """Point the descriptor at nothing, or the interpreter would complain again when it exits."""
        self.closed_early = True
        if not isinstance(error, BrokenPipeError):
            self.problem = getattr(error, "strerror", None) or str(error)
        try:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self.fileno())
            os.close(nothing)
        except (OSError, ValueError):
            return


def console(stream: TextIO | None = None) -> Console:
    """A rich console on ``stream`` (standard output unless told), safe to print anything to."""
    from rich.console import Console  # noqa: PLC0415 - the command line starts without it

    output = Output(sys.stdout if stream is None else stream)
    # Rich takes COLUMNS=0 at its word and prints nothing at all; to the standard library it is not set.
    unset = os.environ.get("COLUMNS", "80").strip("0") == ""
    width = shutil.get_terminal_size().columns if unset else None
    return Console(file=cast("TextIO", output), width=width, highlight=False, markup=False, emoji=False)


def check_written(output: IO[str] | Output) -> None:
    """Raises UsageError when not all that went to ``output`` could be written.

    For what a command is there to print: half of it must not look like the whole. An experiment that is being
    run goes on without its news.
    """
    if problem := getattr(output, "problem", ""):
        raise UsageError(f"the output could not be written: {problem}")


#: Categories of characters that steer and are not seen: controls, formats such as marks for the direction of
#: writing, and halves of pairs.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs"})
#: Sets the colour of what follows.
_COLOUR: Final = re.compile(r"\x1b\[[0-9;:]*m")


def clean(text: str) -> str:
    """``text`` with all that steers a terminal or is not seen shown as �; line breaks and tabs stay."""
    if text.isprintable():  # most are, and this check is quick
        return text
    return "".join(
        character if character in "\n\t" or unicodedata.category(character) not in _UNSEEN else "\ufffd"
        for character in text
    )


def clean_log(text: str) -> str:
    """A line of a log, cleaned, without colours; what a progress bar wrote over is a line by itself."""
    return clean(_COLOUR.sub("", text).rstrip("\r").replace("\r", "\n"))


def print_notes(notes: Iterable[str], out: Console | None = None) -> None:
    """Print what a user may want to know, each in lines of its own; on standard output unless told."""
    out = out or console()
    for note in notes:
        out.print(clean(note), soft_wrap=True)


def one_line(text: str, most: int = 200) -> str:
    """The first line of ``text``, cleaned, and cut when it is long."""
    line = " ".join(clean(text.split("\n", 1)[0][: 4 * most]).split())
    return line if len(line) <= most else line[: most - 3] + "..."
