"""Names for experiments that were not given one."""

from __future__ import annotations

import secrets

from trialjob.model.ids import MAX_EXPERIMENT_NAME

#: Crockford's base 32 in lower case: no letter that is taken for a digit.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SUFFIX = 5


def unique_name(name: str) -> str:
    """``name`` with a short random suffix, cut so that both fit."""
    return with_suffix(name, "".join(secrets.choice(_ALPHABET) for _ in range(_SUFFIX)))


def with_suffix(name: str, suffix: str) -> str:
    """``name`` and a suffix behind a hyphen, cut so that both fit."""
    return f"{name[: MAX_EXPERIMENT_NAME - len(suffix) - 1].rstrip('-')}-{suffix}"
