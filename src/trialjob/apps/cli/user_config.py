"""``trialjob config``: what all specs of a user would say alike, written once."""

from __future__ import annotations

import click

from trialjob.apps.cli.errors import ExitStatus
from trialjob.apps.cli.options import form_option


@click.group(name="config")
def config() -> None:
    """Write once what all of your specs would say: store, role, bucket, region, tags.

    A spec file, --set and the environment go before it; `trialjob plan` says what comes from it.
    """


@config.command(name="set")
@click.argument("key")
@click.argument("value")
def set_value(*, key: str, value: str) -> int:
    """Set KEY, such as store or slurm.account, to VALUE; a wrong KEY shows all that there are."""
    from trialjob import experiment  # noqa: PLC0415 - the help does without
    from trialjob.config import user_file  # noqa: PLC0415 - as above
    from trialjob.user_settings import STORE, read  # noqa: PLC0415 - as above

    settings = user_file.with_value(read(), key, value)
    if key == STORE:
        experiment.open_store(value)  # says what is wrong with an address; nothing is made there
    else:
        experiment.check_value(key, dict(user_file.flat(settings))[key])
    path = user_file.write(settings)
    click.echo(f"set {key} in {path}")
    return ExitStatus.DONE


@config.command(name="unset")
@click.argument("key")
def unset_value(*, key: str) -> int:
    """Take KEY away, or all below it."""
    from trialjob.config import user_file  # noqa: PLC0415 - the help does without
    from trialjob.user_settings import read  # noqa: PLC0415 - as above

    path = user_file.write(user_file.without(read(), key))
    click.echo(f"unset {key} in {path}")
    return ExitStatus.DONE


@config.command(name="get")
@click.argument("key")
def get_value(*, key: str) -> int:
    """Print the value of KEY; exit status 1 where it is not set."""
    from trialjob.config import user_file  # noqa: PLC0415 - the help does without
    from trialjob.user_settings import read  # noqa: PLC0415 - as above

    found = dict(user_file.flat(read()))
    if key not in found:
        user_file.check_key(key)
        return ExitStatus.FAILED
    click.echo(str(found[key]))
    return ExitStatus.DONE


@config.command(name="list")
@form_option("text", "json")
def list_values(*, form: str) -> int:
    """Print all that is set, a line each."""
    from trialjob.apps.cli.showing import print_out  # noqa: PLC0415 - the help does without
    from trialjob.config import user_file  # noqa: PLC0415 - as above
    from trialjob.model.address import shown_address  # noqa: PLC0415 - as above
    from trialjob.model.json import strict_json  # noqa: PLC0415 - as above
    from trialjob.model.masking import masked  # noqa: PLC0415 - as above
    from trialjob.user_settings import STORE, read, where  # noqa: PLC0415 - as above

    settings = {
        key: shown_address(str(value)) if key == STORE else masked(value, key)
        for key, value in read().items()
    }
    if form == "json":
        print_out(strict_json({"file": str(where()), "settings": settings}) + "\n")
    else:
        print_out("".join(f"{key} = {value}\n" for key, value in user_file.flat(settings)))
    return ExitStatus.DONE


@config.command(name="path")
def print_path() -> int:
    """Print where the file is, or would be."""
    from trialjob.user_settings import where  # noqa: PLC0415 - the help does without

    click.echo(str(where()))
    return ExitStatus.DONE
