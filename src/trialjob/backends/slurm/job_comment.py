"""The comment by which a job in the queue is known as ours, and as which trial's it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

_FIRST: Final = "trialjob-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Which call of sbatch a job comes from."""

    #: Of this call and of no other.
    token: str
    job: str
    #: Where its folder is, with those of all jobs of its experiment.
    folder: str
    #: Who started it, in words.
    owner: str

    def comment(self) -> str:
        """One word of plain letters, which no format tears apart."""
        return ":".join((_FIRST, *(quote(part, safe="/") for part in self._parts())))

    def _parts(self) -> tuple[str, str, str, str]:
        return self.token, self.job, self.folder, self.owner


def mark_of(comment: str) -> Mark | None:
    """What a comment says; None for that of a job that is not ours."""
    first, *parts = comment.strip().split(":")
    if first != _FIRST or len(parts) != 4:  # noqa: PLR2004 - the fields of a mark
        return None
    token, job, folder, owner = map(unquote, parts)
    return Mark(token=token, job=job, folder=folder, owner=owner)
