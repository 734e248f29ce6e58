"""Addresses of servers: https, or http where nothing leaves this machine.

Rule: whatever is a token goes over no open line.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

_HERE: Final = ("127.0.0.1", "localhost", "::1")


def normal(text: str) -> str:
    """The address in the form in which it is kept. Raises ValueError, which says what is wrong."""
    parts = urlsplit(text.strip())
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if scheme not in ("https", "http") or not host:
        raise ValueError("it is no address of a server; write https://tuning.example.com")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it has a password in it; leave that out, and log in with `trialjob login`")
    if parts.query or parts.fragment:
        raise ValueError("it has something behind the address; leave out what follows ? or #")
    if scheme == "http" and not is_here(text):
        raise ValueError("the token would be sent unencrypted; write https://, or tunnel to 127.0.0.1")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("its port is no port") from None
    name = f"[{host}]" if ":" in host else host
    usual = {"https": 443, "http": 80}[scheme]
    return f"{scheme}://{name}{'' if port in (None, usual) else f':{port}'}{parts.path.rstrip('/')}"


def is_here(address: str) -> bool:
    """Whether what is sent there stays on this machine."""
    return (urlsplit(address).hostname or "").lower() in _HERE
