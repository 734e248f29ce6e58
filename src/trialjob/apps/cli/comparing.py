"""Looking at experiments side by side."""

from __future__ import annotations

from collections.abc import Sequence

from trialjob import experiment
from trialjob.apps.cli.errors import ExitStatus
from trialjob.apps.comparing import comparable
from trialjob.errors import UsageError
from trialjob.reporting.comparison import print_comparison
from trialjob.reporting.terminal import check_written, console


def compare(names: Sequence[str], *, store: str | None) -> int:
    """Print what came out of each, what it took, and in what their specs differ."""
    different = list(dict.fromkeys(names))
    if len(different) == 1:
        raise UsageError(f"compare {different[0]} with another experiment: name two or more")
    out = console()
    print_comparison(out, [comparable(experiment.attach(name, store=store).state) for name in different])
    check_written(out.file)
    return ExitStatus.DONE
