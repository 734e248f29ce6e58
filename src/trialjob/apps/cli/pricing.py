"""``trialjob prices``: what an hour of an instance is taken to cost when AWS's price list is out of reach."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from trialjob.apps.cli.errors import ExitStatus, say
from trialjob.errors import BackendUnavailable, UsageError
from trialjob.model.region import is_region, region_said

if TYPE_CHECKING:
    from trialjob.backends.price_list import PriceList, RegionPrices


@click.command()
@click.argument("types", nargs=-1, metavar="[TYPE]...")
@click.option(
    "--region", "regions", multiple=True, help="Of which region [default: $AWS_REGION]. May be repeated."
)
@click.option(
    "--all-regions", is_flag=True, help="Of every region that is known; with --update, that has a list."
)
@click.option("--update", is_flag=True, help="Fetch the service's price list first; it needs no account.")
@click.option(
    "--from", "address", default="", metavar="URL|DIR", help="A mirror, or a folder with AWS's files."
)
@click.option("--output", type=click.Path(), help="Where to keep it [default: this user's cache].")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def prices(
    *,
    types: tuple[str, ...],
    regions: tuple[str, ...],
    all_regions: bool,
    update: bool,
    address: str,
    output: str | None,
    form: str,
) -> int:
    """Show what an hour of a type of instance costs on demand, by a price list that needs no account.

    Exit status 1 when a TYPE that was named has no price, or the list of one of all regions cannot be read.
    """
    import json  # noqa: PLC0415 - the help does without
    from pathlib import Path  # noqa: PLC0415 - as above

    if (address or output is not None) and not update:
        raise UsageError(f"{'--from' if address else '--output'} is of use with --update only; add --update")
    book = _list(address if update else None)
    chosen = _regions(regions, every=book.regions if all_regions else None)
    tables = dict(_each(book, chosen, goes_on=all_regions))
    if update:
        fresh = {region: each for region, each in tables.items() if each}
        place = book.keep(fresh, None if output is None else Path(output))
        say(f"{sum(len(table.per_hour) for table in fresh.values()):,} prices are kept in {place}")
    if form == "json":
        click.echo(
            json.dumps({region: _document(table, types) for region, table in tables.items()}, indent=2)
        )
    elif types or not update:
        for region, table in tables.items():
            _show(region, table, types)
    lacking = [each for each in tables.values() if each is None or set(types) - set(each.per_hour)]
    return ExitStatus.FAILED if lacking else ExitStatus.DONE


def _list(fetched_from: str | None) -> PriceList:
    """The list of the first backend that has one."""
    from trialjob.backends.plugin import BACKENDS  # noqa: PLC0415 - the help does without

    for kind in BACKENDS.kinds():
        if (found := BACKENDS.get(kind).price_list(fetched_from)) is not None:
            return found
    raise UsageError("no backend has a price list")


def _each(
    book: PriceList, regions: Sequence[str], *, goes_on: bool
) -> Iterator[tuple[str, RegionPrices | None]]:
    """The prices of each; of all regions, one that cannot be read keeps no other from being fetched."""
    for region in regions:
        try:
            yield region, book.prices(region)
        except BackendUnavailable as error:
            if not goes_on:
                raise
            say(f"{region} keeps what was known of it: {error}")
            yield region, None


def _regions(named: Sequence[str], *, every: Callable[[], list[str]] | None) -> list[str]:
    if every is not None:
        if named:
            raise UsageError("--region and --all-regions do not go together; leave out one of them")
        return every()
    here = region_said(None, os.environ)
    chosen = list(dict.fromkeys(named or filter(None, [here])))
    if not chosen:
        raise UsageError("no region is said; add --region us-east-1 or --all-regions, or set AWS_REGION")
    for region in chosen:
        if not is_region(region):
            raise UsageError(f"--region {region!r} is no name of a region; write one such as us-east-1")
    return chosen


def _document(table: RegionPrices | None, types: Sequence[str]) -> dict[str, Any] | None:
    if table is None:
        return None
    document = table.document()
    if types:
        document["per_hour"] = {machine: document["per_hour"].get(machine) for machine in types}
    return document


def _show(region: str, table: RegionPrices | None, types: Sequence[str]) -> None:
    from trialjob.reporting.terminal import clean  # noqa: PLC0415 - the help does without
    from trialjob.reporting.typed_commands import command  # noqa: PLC0415 - as above

    if table is None:
        fetch = command("prices", "--update", "--region", region, store=None)
        click.echo(f"{region}: no price is known; fetch them: {fetch}")
        return
    click.echo(f"{region}, {table.currency} an hour, by {table.source} of {table.date}")
    if table.currency != "USD":
        click.echo(
            "  caps are in dollars: for limits.max_cost write backend.price_per_hour, converted by you"
        )
    for machine in types or sorted(table.per_hour):
        price = table.per_hour.get(machine)
        said = "unknown; write backend.price_per_hour" if price is None else f"{price.normalize():f}"
        click.echo(f"  {clean(machine):<22} {said}")
