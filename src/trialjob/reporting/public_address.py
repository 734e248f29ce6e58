"""Which addresses a stranger's word may have this machine call: public ones only.

Rule: the address that was judged is the one that is connected to. A name is looked up once, so that
answering differently the second time gains nothing.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from typing import TypeAlias
from urllib.parse import urlsplit

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotPublic(Exception):
    """A host is no public one; the message says which address it has."""


def public_addresses(host: str, port: int) -> list[str]:
    """The addresses of a host. Raises NotPublic when any of them is not public, OSError when it has none.

    The system's own reading counts, by which ``2130706433``, ``0x7f.1`` and ``0177.1`` are 127.0.0.1.
    """
    found = [str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for address in found:
        if not is_public(address):
            raise NotPublic(f"{host} is {address}, which is no public address")
    return list(dict.fromkeys(found))


def is_public(address: str) -> bool:
    """Whether an address, in the usual form, is one that can be called on the internet."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return all(_is_global(each) for each in (parsed, *_carried(parsed)))


def _is_global(address: _Address) -> bool:
    # All that IPv6 has for IPv4's addresses, but for 6to4 and Teredo, is among the reserved ones.
    if isinstance(address, ipaddress.IPv6Address) and (address.is_site_local or address.scope_id is not None):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _carried(address: _Address) -> list[_Address]:
    """The IPv4 addresses that packets to an IPv6 address are brought to."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    return [each for each in (address.sixtofour, *(address.teredo or ())) if each is not None]


def post_publicly(url: str, data: bytes, headers: dict[str, str], timeout: float) -> int:
    """POST to a public host and return the status; no redirect and no proxy is followed.

    Raises NotPublic, OSError or HTTPException.
    """
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    address = public_addresses(host, port)[0]
    made = _Secure if secure else _Plain
    connection = made(host, port, timeout=timeout)
    connection.address = address
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", path, body=data, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


class _Plain(http.client.HTTPConnection):
    """Connects to ``address``, whatever the host's name is by now."""

    address = ""

    def connect(self) -> None:
        self.sock = socket.create_connection((self.address, self.port), self.timeout)


class _Secure(_Plain):
    """The same; the certificate is still that of the host's name."""

    def connect(self) -> None:
        super().connect()
        self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)
