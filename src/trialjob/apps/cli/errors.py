"""What the shell and a person learn when a command cannot do its work."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import click

from trialjob.errors import (
    ExperimentBusy,
    InvariantError,
    JournalCorrupt,
    JournalReplaced,
    JournalTooNew,
    PluginError,
    SpecError,
    TrialjobError,
    UsageError,
)


class ExitStatus(IntEnum):
    """What the shell is told."""

    DONE = 0
    FAILED = 1
    WRONG = 2
    CAN_GO_ON = 3
    #: EX_SOFTWARE of sysexits.h: a bug of ours, whatever became of the experiment.
    BUG = 70


@dataclass(slots=True)
class Begun:
    """The experiment that a command has begun to run, for the case that the command dies."""

    name: str = ""
    come_back: str = ""

    def hint(self) -> str:
        """How to go on with it; "" before one has begun."""
        if not self.name:
            return ""
        return f"{self.name} is kept, and jobs that run go on. Resume it with:\n  {self.come_back}"


#: The command or what it was given must change first.
_WRONG = (SpecError, UsageError, ExperimentBusy, JournalCorrupt, JournalReplaced, JournalTooNew)


def guarded(command: Callable[[Begun], object]) -> int:
    """The exit status of ``command``; whatever goes wrong becomes a block on stderr."""
    begun = Begun()
    try:
        status = command(begun)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        say(_click_message(error))
        return ExitStatus.WRONG
    except (click.Abort, KeyboardInterrupt):
        say(begun.hint() or "interrupted")
        return ExitStatus.CAN_GO_ON
    except BrokenPipeError:
        return ExitStatus.DONE
    except InvariantError as error:
        say(_bug(error, begun))
        return ExitStatus.BUG
    except TrialjobError as error:
        return _expected(error, begun)
    except SystemExit as error:
        from trialjob.registry import package_behind  # noqa: PLC0415 - the help does without

        if not package_behind(error):
            raise
        return _unexpected(error, begun)
    except Exception as error:  # noqa: BLE001 - the last one to see it
        return _unexpected(error, begun)
    return status if isinstance(status, int) else ExitStatus.DONE


def say(text: str) -> None:
    """A line or more on stderr, without secrets that a library repeats; it never fails."""
    from trialjob.model.masking import mask_shapes  # noqa: PLC0415 - the help does without
    from trialjob.reporting.terminal import Output, clean  # noqa: PLC0415 - as above

    output = Output(sys.stderr)
    output.write(f"{clean(mask_shapes(text))}\n")
    output.flush()


def _expected(error: TrialjobError, begun: Begun) -> ExitStatus:
    wrong = isinstance(error, _WRONG)
    hint = "" if wrong else begun.hint()
    say(f"error: {error}" + (f"\n{hint}" if hint else ""))
    return ExitStatus.CAN_GO_ON if begun.name and not wrong else ExitStatus.WRONG


def _unexpected(error: BaseException, begun: Begun) -> ExitStatus:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        from trialjob.reporting.terminal import Output  # noqa: PLC0415 - the help does without

        Output(sys.stdout).flush()  # or the interpreter would try once more when it exits, and complain
        say(f"error: {error.strerror}; make room" + (f"\n{hint}" if (hint := begun.hint()) else ""))
        return ExitStatus.CAN_GO_ON if begun.name else ExitStatus.WRONG
    from trialjob.registry import method_behind, package_behind, trace_behind  # noqa: PLC0415 - the help does without

    say(trace_behind(error).rstrip())
    if package := package_behind(error):
        where = f"\n  in {method}" if (method := method_behind(error)) else ""
        remedy = f"{where}\n  → {PluginError.remedy}"
        say(_bug(error, begun, f"the package {package}", remedy))
        return ExitStatus.CAN_GO_ON if begun.name else ExitStatus.WRONG
    say(_bug(error, begun))
    return ExitStatus.BUG


def _click_message(error: click.ClickException) -> str:
    if type(error).__name__ == "NoArgsIsHelpError":  # since click 8.2; its message is the help
        return error.format_message()
    usage = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        usage = f"\n{error.ctx.get_usage()}\ntry: {error.ctx.command_path} --help"
        if isinstance(error, click.NoSuchOption) and any(
            isinstance(each, click.Argument) for each in error.ctx.command.params
        ):
            usage += "\n  → a name or file that begins with a hyphen is written behind --"
    return f"error: {error.format_message()}{usage}"


def _bug(error: BaseException, begun: Begun, whose: str = "trialjob", remedy: str = "") -> str:
    hint = f"\n{begun.hint()}" if begun.hint() else ""
    return f"error: this is a bug in {whose}: {type(error).__name__}: {error}{remedy}{hint}"
