"""``trialjob tenant`` and ``trialjob token``: who may use a service, and for how much.

They work on the store itself, so a user who may write there is an admin already.
"""

from __future__ import annotations

import click

from trialjob.apps.cli.errors import ExitStatus, say
from trialjob.apps.cli.options import WholeNumber, store_option

_ROLES = ("read", "submit", "manage", "admin")
_allow_option = click.option(
    "--allow",
    "allow",
    metavar="FIELD=PATTERN",
    multiple=True,
    help="What specs may ask for, such as kind=local or instance_type=ml.g4dn.*. May be repeated.",
)
_jobs_option = click.option("--max-concurrent", type=WholeNumber(min=1), help="Jobs at once, all together.")


@click.group()
def tenant() -> None:
    """Groups of people with a budget of their own, for `trialjob serve`."""


@tenant.command(name="add")
@click.argument("name")
@click.option("--budget", metavar="DOLLARS/month", required=True, help="Such as 500/month.")
@_jobs_option
@_allow_option
@store_option
def add_tenant(
    *, name: str, budget: str, max_concurrent: int | None, allow: tuple[str, ...], store: str | None
) -> int:
    """Add tenant NAME. Without --allow kind=… it may look and plan, and start nothing."""
    from trialjob.apps.cli.teaming import Team  # noqa: PLC0415 - the help does without
    from trialjob.reporting.typed_commands import command  # noqa: PLC0415 - as above

    team = Team(store)
    team.add_tenant(name, budget=budget, max_concurrent=max_concurrent or 8, allow=allow)
    lets_in = command("token", "create", name, "--role", "submit", store=store)
    say(f"added tenant {name}; `{lets_in}` lets a user in")
    return ExitStatus.DONE


@tenant.command(name="set")
@click.argument("name")
@click.option("--budget", metavar="DOLLARS/month", help="Such as 500/month.")
@_jobs_option
@_allow_option
@store_option
def set_tenant(
    *, name: str, budget: str | None, max_concurrent: int | None, allow: tuple[str, ...], store: str | None
) -> int:
    """Give tenant NAME another budget, or other rights: --allow replaces all that were allowed."""
    from trialjob.apps.cli.teaming import Team  # noqa: PLC0415 - the help does without

    Team(store).set_tenant(name, budget=budget, max_concurrent=max_concurrent, allow=allow)
    say(f"changed tenant {name}")
    return ExitStatus.DONE


@tenant.command(name="list")
@store_option
def list_tenants(*, store: str | None) -> int:
    """List the tenants, with what of their budgets is spent or held."""
    from trialjob.apps.cli.teaming import Team  # noqa: PLC0415 - the help does without

    click.echo(Team(store).tenants())
    return ExitStatus.DONE


@click.group()
def token() -> None:
    """What lets people and programs into `trialjob serve`."""


@token.command(name="create")
@click.argument("tenant", required=False, default="")
@click.option("--role", type=click.Choice(_ROLES), required=True)
@click.option("--expires", metavar="TIME", default="90d", show_default=True, help="Such as 90d, or never.")
@click.option("--note", default="", help="Whose it is, or what for.")
@store_option
def create_token(*, tenant: str, role: str, expires: str, note: str, store: str | None) -> int:
    """Print a new token of TENANT, which is shown once; of an admin, who belongs to no tenant.

    \b
    read     look at the tenant's experiments and budget
    submit   also start, stop and resume them, and change their limits
    manage   also remove them, and read who has done what
    admin    all that for every tenant, but start nothing in a tenant's name
    """  # noqa: D301 - click's mark for a text that keeps its lines
    from trialjob.apps.cli.teaming import Team  # noqa: PLC0415 - the help does without
    from trialjob.reporting.typed_commands import command  # noqa: PLC0415 - as above

    text, known = Team(store).create_token(tenant, role=role, expires=expires, note=note)
    click.echo(text)
    takes_back = command("token", "revoke", known.id, store=store)
    say(f"token {known.id}: it is not shown again; `{takes_back}` takes it back")
    return ExitStatus.DONE


@token.command(name="list")
@store_option
def list_tokens(*, store: str | None) -> int:
    """List the tokens: whose they are, and until when; not what they are."""
    from trialjob.apps.cli.teaming import Team  # noqa: PLC0415 - the help does without

    click.echo(Team(store).tokens())
    return ExitStatus.DONE


@token.command(name="revoke")
@click.argument("token_id", metavar="ID")
@store_option
def revoke_token(*, token_id: str, store: str | None) -> int:
    """Let token ID open nothing any more, at once."""
    from trialjob.apps.cli.teaming import Team  # noqa: PLC0415 - the help does without

    Team(store).revoke_token(token_id)
    say(f"token {token_id} opens nothing any more")
    return ExitStatus.DONE
