"""Looking at the account before an experiment."""

from __future__ import annotations

from collections import Counter

from trialjob import config, experiment
from trialjob.apps.cli.errors import ExitStatus
from trialjob.apps.cli.running import warn
from trialjob.reporting.terminal import check_written, clean, console

#: How a check is marked, and the style of its line.
_MARKS = {True: ("ok", ""), False: ("WRONG", "bold red"), None: ("?", "yellow")}


def check_spec(path: str, *, backend: str | None, overrides: tuple[str, ...]) -> int:
    """Print every check as it is made."""
    spec = config.load(path, overrides=overrides, backend=backend)
    warn(config.warnings(spec))
    out, counts = console(), Counter[bool | None]()
    for check in experiment.doctor(spec):
        counts[check.ok] += 1
        mark, style = _MARKS[check.ok]
        out.print(f"{mark:<6}{check.name:<12} {clean(check.detail)}", style=style, soft_wrap=True)
        if check.remedy:
            out.print(f"{'':<19}→ {clean(check.remedy)}", soft_wrap=True)
    wrong, unknown = counts[False], counts[None]
    more = f", {unknown} could not be found out" if unknown else ""
    out.print(f"{wrong or 'nothing'} wrong{more}", style="bold")
    check_written(out.file)
    return ExitStatus.FAILED if wrong else ExitStatus.DONE
