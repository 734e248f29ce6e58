"""``trialjob serve``: an API and a page for the experiments of a store, on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress

import click

from trialjob.apps.cli.errors import ExitStatus, say
from trialjob.apps.cli.options import WholeNumber, store_option
from trialjob.errors import UsageError

_NEEDED = ("fastapi", "uvicorn")
#: The numbers of users that are people, where all others are services of the system.
_PEOPLE = range(1000, 65534)


@click.command()
@click.option(
    "--port", type=WholeNumber(0, 65535), default=8765, show_default=True, help="0 takes a free one."
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Another address needs tokens, and TLS or a proxy."
)
@click.option("--tls-cert", type=click.Path(), help="A certificate, with --tls-key.")
@click.option("--tls-key", type=click.Path(), help="Its key.")
@click.option("--behind-proxy", is_flag=True, help="A proxy in front ends TLS and sets X-Forwarded-For.")
@click.option(
    "--resume", is_flag=True, help="Go on with every experiment that has not ended and that no process runs."
)
@click.option("--log", metavar="FILE", help="A line of JSON for each request and step; - for stderr.")
@click.option(
    "--browser/--no-browser",
    default=None,
    help="Open the page [default: on a terminal; not where others could see the address, which opens all].",
)
@store_option
def serve(
    *,
    port: int,
    host: str,
    tls_cert: str | None,
    tls_key: str | None,
    behind_proxy: bool,
    resume: bool,
    log: str | None,
    browser: bool | None,
    store: str | None,
) -> int:
    """Serve an API and a page: for one user on 127.0.0.1, or for a team.

    The address has a token in it: anyone who knows it may do here what you may. Where the store has tokens
    (`trialjob token create`), only those open it, each to the experiments of its tenant. Experiments that are
    started there run in this process. Ctrl-C ends the server and not their jobs: `trialjob serve --resume`
    goes on.
    """
    _check_installed()
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together.")
    from pathlib import Path  # noqa: PLC0415 - the help does without

    from trialjob.apps.service.serve import Listener  # noqa: PLC0415 - heavy, and an extra
    from trialjob.apps.service.serve import serve as listen  # noqa: PLC0415 - as above

    listener = Listener(
        host=host,
        port=port,
        tls=(Path(tls_cert), Path(tls_key)) if tls_cert and tls_key else None,
        behind_proxy=behind_proxy,
        log=log,
    )
    opens = sys.stdout.isatty() if browser is None else browser

    def ready(address: str) -> None:
        click.echo(address)
        say("Ctrl-C ends the server; jobs run on")
        if opens and (browser or "#" not in address or not is_shared(_users())):
            import webbrowser  # noqa: PLC0415 - slow to import, and the help does without

            webbrowser.open(address)

    listen(store=store, listener=listener, resume=resume, ready=ready, notice=say)
    return ExitStatus.DONE


def is_shared(users: Iterable[int]) -> bool:
    """Whether other people have processes here, who can read the words of a command, such as a browser's."""
    me = os.getuid() if hasattr(os, "getuid") else -1
    return any(user in _PEOPLE and user != me for user in users)


def _users() -> set[int]:
    """Whose the processes of this machine are, where the system says so."""
    found = set()
    with suppress(OSError), os.scandir("/proc") as processes:
        for process in processes:
            if process.name.isdecimal():
                with suppress(OSError):  # it has just ended
                    found.add(process.stat().st_uid)
    return found


def _check_installed() -> None:
    from importlib.util import find_spec  # noqa: PLC0415 - the help does without

    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise UsageError(
            f"serve needs {missing[0]}, which is not installed\n    → pip install 'trialjob[serve]'"
        )
