"""``trialjob``: the command line as a program."""

from __future__ import annotations

import gc

from trialjob.apps.cli.commands import cli
from trialjob.apps.cli.errors import guarded

#: So many objects more than before are made before garbage is looked for.
_COLLECT_AFTER = 100_000


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status."""
    # A journal becomes very many objects, all of them kept: looking for garbage among them takes long.
    gc.set_threshold(_COLLECT_AFTER)
    return guarded(lambda begun: cli.main(args=arguments, standalone_mode=False, obj=begun))
