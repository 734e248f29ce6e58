"""Names for experiments that were not given one."""

from __future__ import annotations

import secrets

from trialjob.model.ids import MAX_EXPERIMENT_NAME

#: Crockford's base 32 in lower case: no letter that is taken for a digit.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SUFFIX = 5


def unique_name(name: str) -> str:
    """``name`` with a short random suffix, cut so that both fit."""
    suffix = "".join(secrets.choice(_ALPHABET) for _ in range(_SUFFIX))
    return f"{name[: MAX_EXPERIMENT_NAME - _SUFFIX - 1].rstrip('-')}-{suffix}"
