"""Addresses with a user's name and a password in them: what may be shown of one, and how it is called.

Rule: it is for what is known to be an address, as a person has typed it, also with a slash too few. In text
of which nothing is known, ``masking`` looks for what can only be a secret.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final
from urllib.parse import unquote

from trialjob.model.masking import MASK, mask, mask_shapes

_SCHEME: Final = re.compile(r"[A-Za-z][\w.+-]+:/{1,2}")
#: A name and a password, which may have @ and / in it; a port with a path behind it is no password.
_USER: Final = re.compile(r"[^\s/@:]*:(?!\d{1,5}[/?#])(?:[^/]+|.+)(?=@)", re.DOTALL)
#: A name alone is none, but where programs put tokens there.
_TOKEN: Final = re.compile(r"[^\s/@:]+(?=@)")
_WEB: Final = ("http:", "https:")


def _torn(address: str) -> tuple[str, str, str]:
    """What is before the secret, the secret, and what is behind it; all is before where none is."""
    scheme = _SCHEME.match(address)
    begin = scheme.end() if scheme else 0
    found = _USER.match(address, begin)
    if found is None and address.lower().startswith(_WEB):
        found = _TOKEN.match(address, begin)
    return (address[:begin], found[0], address[found.end() :]) if found else (address, "", "")


def shown_address(address: str) -> str:
    """``address`` for people: with its host, and without a password or a token."""
    before, secret, behind = _torn(address)
    return mask_shapes(f"{before}{MASK}{behind}" if secret else address)


def mask_address(text: str, address: str) -> str:
    """``text``, such as a library's error, without what is secret of an address that it may speak of."""
    _, secret, _ = _torn(address)
    return mask(text.replace(address, shown_address(address)) if address else text, _said_of(secret))


def _said_of(secret: str) -> list[str]:
    """As programs repeat it: with the user's name, alone, decoded, torn at what they take for a mark."""
    password = secret.partition(":")[2] or secret
    both = (password, unquote(password))
    return [secret, *both, *(part for said in both for part in re.split("[@/:]", said))]


def basic(address: str) -> tuple[str, dict[str, str]]:
    """An http(s) address without name and password, and the headers that say them instead.

    Python's own client takes them for a part of the host.
    """
    before, secret, behind = _torn(address)
    if not secret:
        return address, {}
    name, _, password = secret.partition(":")
    encoded = b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
    return before + behind.removeprefix("@"), {"Authorization": f"Basic {encoded}"}
