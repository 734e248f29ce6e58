"""What looks like a secret, and text in which none is left.

Rule: it is for what is kept or shown, and never for what is computed with: a number is read off the line
that the script wrote. What is named like a secret is taken for one: a wrong guess costs three asterisks, a
missed one a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from trialjob.model.json import Json

#: What stands where a secret stood.
MASK: Final = "***"
#: A known value that is shorter is not looked for in text, where it would be found in numbers and words.
SHORTEST: Final = 6

_NAMES: Final = re.compile(
    r"SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|AUTH_?KEY|WEBHOOK"
    r"|TOKEN(?!I[SZ])|(?:^|_)(?:PWD|PAT|AUTH)$"
)
#: What is named after a secret and is none: where it lies, how long it is.
_ABOUT: Final = re.compile(r"_(?:FILE|PATH|DIR|NAME|ARN|TYPE|TTL|COUNT|LENGTH|ID|IDS)$")
_PLAIN: Final = re.compile(r"|true|false|yes|no|on|off|none|null|\d", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
_PLACE: Final = re.compile(r"(?:[/~.]|[A-Za-z]:\\).*\.\w{1,5}", re.DOTALL)
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

#: Values that say by themselves what they are. Where there is a group, it alone is hidden.
_SHAPES: Final = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}\b"
    r"|\bhf_[A-Za-z0-9]{16,}"
    r"|\bgh[opsur]_[A-Za-z0-9]{16,}|\bgithub_pat_\w{16,}|\bglpat-[\w-]{16,}"
    r"|\bxox[abeoprs]-[\w-]{10,}|\bsk-(?=[\w-]*\d)[\w-]{16,}|\bsk_(?:live|test)_\w{10,}"
    r"|\bAIza[\w-]{30,}|\bya29\.[\w.-]{20,}|\bnpm_[A-Za-z0-9]{30,}|\bpypi-[\w-]{16,}|\bwandb_v1_\w{16,}"
    r"|\bdapi[0-9a-f]{32}\b|\bnvapi-[\w-]{16,}|\bdckr_pat_[\w-]{16,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----)?"
    # What stands before a host. A password may have @ and / in it, which not all write as %40 and %2F; a port
    # with a path behind it is none.
    r"|(?<=://)[^\s/@:\"']{0,256}:(?!\d{1,5}[/?#])(?:[^\s/\"']{1,1024}|[^\s\"']{1,1024})(?=@)"
    r"|(?<=://)[^\s/@:\"']{16,1024}(?=@)"
    r"|(?<=hooks\.slack\.com/)[^\s\"'?#]{8,}|(?<=/api/webhooks/)[^\s\"'?#]{8,}"
    r"|(?<=webhook\.office\.com/)[^\s\"'?#]{8,}|(?<=chat\.googleapis\.com/)[^\s\"'#]{8,}"
    r"|(?<=[?&#;])(?i:X-Amz-(?:Signature|Credential|Security-Token)|sig|signature|token|access_token|key|secret"
    r"|api_key|apikey|client_secret|auth)=[^\s\"'&#]{4,}"
    r"|(?<=[?&#;])(?i:password|passwd|pwd|odbc_connect)=[^\s\"'&#;]+"
    r"|(?<=\bBearer )[\w.~+/=-]{8,}|(?<=\bBasic )(?=[A-Za-z+/]*[\d=])[\w+/=]{8,}",
    re.DOTALL,
)
#: ``WANDB_API_KEY=…``, as programs print their environment.
_ASSIGNED: Final = re.compile(
    r"\b([A-Z0-9_]*(?:SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_KEY|PRIVATE_KEY|TOKEN)[A-Z0-9_]*)"
    r"([\"']?\s{0,3}[=:]\s{0,3}[\"']?)([^\s\"',;}]+)"
)
_LONG: Final = re.compile(r"(?=[\w-]*[A-Za-z])(?=[\w-]*\d)[\w-]{16,}", re.ASCII)


def is_secret(name: str, value: object) -> bool:
    """Whether a value is to be hidden, by the name that it has or by its own form."""
    if not isinstance(value, str):
        return False
    if _SHAPES.search(value):
        return True
    return not _PLAIN.fullmatch(value.strip()) and names_secret(name, value)


def names_secret(name: str, value: str = "") -> bool:
    """Whether a name says that its value is a secret."""
    upper = re.sub(r"\W", "_", _CAMEL.sub("_", name)).upper()
    found = _NAMES.search(upper)
    if found is None or _ABOUT.search(upper):
        return False
    if _PLACE.fullmatch(value) and "\n" not in value:
        return False
    counts = found[0] == "TOKEN" and "TOKENS" in upper
    return not (counts and _NUMBER.fullmatch(value.strip()))


def mask_shapes(text: str) -> str:
    """``text`` without what looks like a secret by itself, whatever it is named; for all that is said."""
    return _SHAPES.sub(MASK, text)


def opens_a_door(address: str) -> bool:
    """Whether knowing an address is enough to use it: it has a password, or a part that cannot be guessed."""
    _, _, rest = address.partition("://")
    _, _, path = rest.partition("/")
    return bool(_SHAPES.search(address) or _LONG.search(path))


def mask(text: str, values: Iterable[str] = ()) -> str:
    """``text`` without these values, and without what looks like a secret by itself."""
    # The longest first: one may be a part of another.
    for value in sorted({value for value in values if len(value) >= SHORTEST}, key=len, reverse=True):
        for said in dict.fromkeys((value, repr(value)[1:-1], *_lines(value))):
            text = text.replace(said, MASK)
    return _ASSIGNED.sub(_assigned, _SHAPES.sub(MASK, text))


def _lines(value: str) -> list[str]:
    """Those of a value's lines that give it away: a log has it line by line."""
    lines = [line.strip() for line in value.splitlines()]
    return [line for line in lines if len(line) >= SHORTEST] if len(lines) > 1 else []


def _assigned(found: re.Match[str]) -> str:
    name, between, value = found.groups()
    return f"{name}{between}{MASK}" if is_secret(name, value) else found[0]


def masked(document: Json, name: str = "") -> Json:
    """A document of a spec for people; what it names by ``secret`` stays, since that is where it is."""
    if isinstance(document, Mapping):
        if document.keys() == {"secret"}:
            return document
        return {key: masked(value, key) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [masked(value, name) for value in document]
    if not isinstance(document, str):
        return document
    return MASK if is_secret(name, document) and not _SHAPES.search(document) else mask(document)
