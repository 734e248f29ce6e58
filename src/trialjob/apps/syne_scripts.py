"""What scripts written for Syne Tune are given, as its own local backend would give it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trialjob.in_job.command_line import FIRST

if TYPE_CHECKING:
    from trialjob.config import ExperimentSpec

#: One of them is in every script that takes the folder of its checkpoints.
_WORDS = ("st_checkpoint_dir", "ST_CHECKPOINT_DIR", "add_checkpointing_to_argparse")


def with_its_dialect(spec: ExperimentSpec) -> ExperimentSpec:
    """``spec`` with --x for a name of one letter, where it does not say otherwise."""
    if "dialect" in spec.estimator.model_fields_set:
        return spec
    return spec.model_copy(update={"estimator": spec.estimator.model_copy(update={"dialect": FIRST})})


def checkpoint_folder(checkpoints: str) -> str:
    """The folder that a script is given, which is there only once it, or who it goes on from, made it.

    Scripts take a folder that is there for a checkpoint to begin with. What is in it is kept and copied with
    the rest of the job's ``checkpoints``.
    """
    return f"{checkpoints}/syne-tune"


def asks_for_checkpoints(spec: ExperimentSpec) -> bool:
    """Whether the script takes that folder, as far as its source shows; a strict one would fail of it."""
    from trialjob.config.estimators import CodeSpec  # noqa: PLC0415 - as above
    from trialjob.config.script_options import source_files  # noqa: PLC0415 - only when there are jobs

    given = spec.estimator
    if not isinstance(given, CodeSpec) or not given.entry_point.endswith(".py"):
        return True
    texts = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in source_files(Path(given.source_dir), given.entry_point)
    ]
    return any(word in text for text in texts for word in _WORDS)
