"""What the tables of the SageMaker SDK know of an image that a spec names itself.

Rule 1: the tables are files, and are read without importing the SDK, which takes seconds; where it is not
installed nothing is said. Rule 2: an image that is newer than the tables is not called wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

_IMAGE: Final = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z.]+/(?P<name>[a-z0-9-]+):(?P<tag>\S+)"
)
_TAG: Final = re.compile(
    r"(?P<version>\d+(?:\.\d+)*(?:-\d+)?)(?:-transformers(?P<above>\d+(?:\.\d+)*))?"
    r"(?=-|$)(?:-(?P<unit>cpu|gpu))?(?:-(?P<python>py\d+))?\S*"
)
_SAID: Final = "by the tables of the SageMaker SDK that is installed here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One version of a repository."""

    #: As a tag begins: ``2.8.0``, or ``2.8.0-transformers4.56.2``.
    version: str
    pythons: tuple[str, ...]
    #: Account by region.
    registries: Mapping[str, str]


def unpublished(image: str) -> Iterator[tuple[str, str]]:
    """Why there is no such image of AWS's: in words, and the remedy; nothing of images that are not AWS's."""
    found = _IMAGE.fullmatch(image)
    releases = _releases(found["name"]) if found else []
    accounts = {account for each in releases for account in each.registries.values()}
    if found is None or found["account"] not in accounts:
        return
    yield from _elsewhere(image, found, releases)
    tag = _TAG.fullmatch(found["tag"])
    if tag is None:
        return
    above = f"-transformers{tag['above']}" if tag["above"] else ""
    same = [each for each in releases if _is(each.version, tag["version"] + above)]
    if not same:
        yield from _unknown(image, tag["version"] + above, [each.version for each in releases])
        return
    pythons = sorted({python for each in same for python in each.pythons})
    if tag["python"] and pythons and tag["python"] not in pythons:
        message = f"{image!r}: {found['name']} {tag['version']} is made with {', '.join(pythons)}, {_SAID}"
        yield message, f"write {pythons[-1]} where it has {tag['python']}"


def _elsewhere(image: str, found: re.Match[str], releases: list[Release]) -> Iterator[tuple[str, str]]:
    """The account of one region keeps nothing for another."""
    there = {each.registries[found["region"]] for each in releases if found["region"] in each.registries}
    if there and found["account"] not in there:
        message = f"{image!r}: account {found['account']} keeps it for other regions, {_SAID}"
        yield message, f"write {min(there)} as the account in {found['region']}"


def _unknown(image: str, version: str, known: list[str]) -> Iterator[tuple[str, str]]:
    """A version that is older than the newest that is known and is not among them."""
    asked, numbers = _numbers(version), {_numbers(each): each for each in known}
    if numbers and asked < max(numbers):
        near = sorted(numbers, key=lambda each: [abs(a - b) for a, b in zip(each, asked, strict=False)])
        listed = ", ".join(numbers[each] for each in near[:3])
        yield f"{image!r}: there is no {version}, {_SAID}", f"write one that there is, such as {listed}"


def _is(version: str, asked: str) -> bool:
    """Whether a tag may name this version, of which it may leave out the last number."""
    (own, *own_rest), (other, *other_rest) = version.split("-", 1), asked.split("-", 1)
    return own_rest == other_rest and (own == other or own.startswith(f"{other}."))


def _numbers(version: str) -> tuple[int, ...]:
    """By which versions are in order; that of transformers goes before that of what is beneath."""
    below, _, above = version.partition("-transformers")
    return tuple(int(part) for part in re.findall(r"\d+", f"{above} {below}"))


@cache
def _releases(name: str) -> list[Release]:
    """Every version of a repository of training images."""
    found: list[Release] = []
    for text in _tables():
        if f'"{name}"' in text:
            table = json.loads(text)
            found += _named(table.get("training", table).get("versions", {}), name)
    return found


@cache
def _tables() -> tuple[str, ...]:
    package = find_spec("sagemaker")
    places = package.submodule_search_locations if package is not None else None
    folders = [Path(place) / "core" / "image_uri_config" for place in places or ()]
    return tuple(
        file.read_text(encoding="utf-8") for folder in folders for file in sorted(folder.glob("*.json"))
    )


def _named(versions: Mapping[str, Any], name: str) -> Iterator[Release]:
    for version, given in versions.items():
        if not isinstance(given, Mapping):
            continue
        rows = {version: given}
        if "repository" not in given:  # by the version of the framework beneath
            rows = {
                f"{re.sub('^[a-z]+', '', base)}-transformers{version}": row for base, row in given.items()
            }
        for prefix, row in rows.items():
            if isinstance(row, Mapping) and row.get("repository") == name:
                yield Release(
                    version=prefix,
                    pythons=tuple(row.get("py_versions") or ()),
                    registries=row.get("registries") or {},
                )
