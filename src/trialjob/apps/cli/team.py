"""``trialjob tenant`` and ``trialjob token``: who may use a service, and for how much.

They work on the store itself, so a user who may write there is an admin already.
"""

from __future__ import annotations

import click

from trialjob.apps.cli.options import WholeNumber, done_by, store_option

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
@done_by("teaming", "add_tenant")
def add_tenant() -> None:
    """Add tenant NAME. Without --allow kind=… it may look and plan, and start nothing."""


@tenant.command(name="set")
@click.argument("name")
@click.option("--budget", metavar="DOLLARS/month", help="Such as 500/month.")
@_jobs_option
@_allow_option
@store_option
@done_by("teaming", "set_tenant")
def set_tenant() -> None:
    """Give tenant NAME another budget, or other rights: --allow replaces all that were allowed."""


@tenant.command(name="list")
@store_option
@done_by("teaming", "list_tenants")
def list_tenants() -> None:
    """List the tenants, with what of their budgets is spent or held."""


@click.group()
def token() -> None:
    """What lets people and programs into `trialjob serve`."""


@token.command(name="create")
@click.argument("tenant", required=False, default="")
@click.option("--role", type=click.Choice(_ROLES), required=True)
@click.option("--expires", metavar="TIME", default="90d", show_default=True, help="Such as 90d, or never.")
@click.option("--note", default="", help="Whose it is, or what for.")
@store_option
@done_by("teaming", "create_token")
def create_token() -> None:
    """Print a new token of TENANT, which is shown once; of an admin, who belongs to no tenant.

    \b
    read     look at the tenant's experiments and budget
    submit   also start, stop and resume them, and change their limits
    manage   also remove them, and read who has done what
    admin    all that for every tenant, but start nothing in a tenant's name
    """  # noqa: D301 - click's mark for a text that keeps its lines


@token.command(name="list")
@store_option
@done_by("teaming", "list_tokens")
def list_tokens() -> None:
    """List the tokens: whose they are, and until when; not what they are."""


@token.command(name="revoke")
@click.argument("token_id", metavar="ID")
@store_option
@done_by("teaming", "revoke_token")
def revoke_token() -> None:
    """Let token ID open nothing any more, at once."""
