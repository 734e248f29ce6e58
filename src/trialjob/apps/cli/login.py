"""``trialjob login`` and ``trialjob logout``: the token of a server, kept for the commands and for Python."""

from __future__ import annotations

import sys

import click

from trialjob.apps.cli.errors import ExitStatus, say
from trialjob.errors import UsageError


@click.command()
@click.argument("address", metavar="https://…")
@click.option("--token-stdin", is_flag=True, help="Read the token from stdin, for programs.")
@click.option("--insecure", is_flag=True, help="Take http://, to this machine itself or through a tunnel.")
def login(*, address: str, token_stdin: bool, insecure: bool) -> int:
    """Keep the token of a server (`trialjob serve`), once it has been tried there.

    From then on `--store https://…`, or TRIALJOB_STORE, is a store as any other. The token is asked for
    without being shown, and kept in your own folder of settings, where no other user can read it.
    """
    from trialjob.model.address import shown_address  # noqa: PLC0415 - the help does without
    from trialjob.reporting.typed_commands import command  # noqa: PLC0415 - as above
    from trialjob.served import logins  # noqa: PLC0415 - as above
    from trialjob.served.client import Client  # noqa: PLC0415 - as above

    address, _, fragment = address.partition("#")  # `trialjob serve` prints its address with the token
    given = fragment.removeprefix("token=")
    if address.lower().startswith("http:") and not insecure:
        raise UsageError(
            f"{shown_address(address)} is not encrypted\n  → write https://, or --insecure where the server "
            "is on this machine or at the other end of a tunnel"
        )
    client = Client(address)
    token = given or _asked(client.address, from_stdin=token_stdin)
    who = Client(address, token).me()
    path = logins.keep(client.address, token)
    of = f" of {who['tenant']}" if who["tenant"] else ""
    click.echo(f"logged in to {client.address}: role {who['role']}{of}")
    say(f"the token is kept in {path}; `{command('list', store=client.address)}` shows what there is")
    return ExitStatus.DONE


def _asked(address: str, *, from_stdin: bool) -> str:
    if from_stdin:
        token = sys.stdin.readline().strip()
    elif sys.stdin.isatty():
        token = str(click.prompt(f"token of {address}", hide_input=True, err=True)).strip()
    else:
        raise UsageError("there is no terminal to ask at\n  → write --token-stdin, and the token on stdin")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError("that is no token\n  → `trialjob token create` prints one, where the store is")
    return token


@click.command()
@click.argument("address", metavar="https://…")
def logout(*, address: str) -> int:
    """Forget the token of a server; `trialjob token revoke` is what makes it open nothing any more."""
    from trialjob.model.address import shown_address  # noqa: PLC0415 - the help does without
    from trialjob.served import logins  # noqa: PLC0415 - as above
    from trialjob.served.address import normal  # noqa: PLC0415 - as above

    try:
        kept = normal(address.partition("#")[0])
    except ValueError as error:
        raise UsageError(f"{shown_address(address)!r}: {error}") from None
    if not logins.forget(kept):
        known = ", ".join(logins.known())
        raise UsageError(
            f"no token of {kept} is kept here; " + (f"of {known} there is" if known else "nor of any")
        )
    click.echo(f"logged out of {kept}")
    return ExitStatus.DONE
