"""``trialjob serve``: an API and a page for the experiments of a store, on this machine."""

from __future__ import annotations

import sys
import webbrowser
from importlib.util import find_spec

import click

from trialjob.apps.cli.errors import ExitStatus, say
from trialjob.apps.cli.options import store_option
from trialjob.errors import UsageError

_NEEDED = ("fastapi", "uvicorn")


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 takes a free one."
)
@click.option(
    "--resume", is_flag=True, help="Go on with every experiment that has not ended and that nobody runs."
)
@click.option("--browser/--no-browser", default=None, help="Open the page [default: on a terminal].")
@store_option
def serve(*, port: int, resume: bool, browser: bool | None, store: str | None) -> int:
    """Serve an API and a page for one user, on 127.0.0.1 only.

    The address has a token in it; whoever knows it may do here what you may. Experiments that are started
    there run in this process. Ctrl-C ends the server and not their jobs: `trialjob serve --resume`, or
    `trialjob resume NAME`, goes on.
    """
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise UsageError(
            f"serve needs {missing[0]}, which is not installed\n    → pip install 'trialjob[serve]'"
        )
    from trialjob.apps.service.serve import serve as listen  # noqa: PLC0415 - heavy, and an extra

    opens = sys.stdout.isatty() if browser is None else browser

    def ready(address: str) -> None:
        click.echo(address)
        say("Ctrl-C ends the server; jobs run on")
        if opens:
            webbrowser.open(address)

    listen(store=store, port=port, resume=resume, ready=ready)
    return ExitStatus.DONE
