"""A callback for the HuggingFace ``Trainer``: reports, stops in time, and finds where to go on.

Rule: Python 3.8, the standard library, and transformers, which the script that imports this has anyway.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from trialjob.in_job.context import get_context, listen, numbered, stop_asked, unlisten
from trialjob.in_job.report import report_logged


class TrialjobCallback(TrainerCallback):
    """``Trainer(…, callbacks=[TrialjobCallback()])``.

    On every evaluation it reports ``epoch``, ``step`` and each number that it gave, with and without its
    prefix ``eval_``. When the job is asked to end (SIGTERM), or has come to where it is to pause, it has the
    trainer save a checkpoint and end.
    """

    def __init__(self) -> None:
        limit = get_context().max_resource
        self._limit = math.inf if limit is None else limit

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401, ARG002 - transformers' own
        """Hear SIGTERM from now on."""
        listen()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:  # noqa: ANN401, ARG002
        """Save and end, all processes at the same step, once one of them has been asked to."""
        if _any_process(asked=stop_asked(), args=args):
            control.should_save = control.should_training_stop = True
        return control

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> Any:  # noqa: ANN401, ARG002
        """Report what was measured."""
        epoch = state.epoch or 0.0
        if state.is_world_process_zero:
            _report(epoch, state.global_step, metrics or {})
        if epoch >= self._limit:
            control.should_save = control.should_training_stop = True
        return control

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401, ARG002
        """Leave SIGTERM as it was."""
        unlisten()


def last_checkpoint(folder: str | None = None) -> str | None:
    """The newest whole checkpoint in ``folder`` (the trial's own by default), or None.

    Use it as ``trainer.train(resume_from_checkpoint=last_checkpoint())``, with the trial's checkpoint folder,
    ``TRIALJOB_CHECKPOINT_DIR``, as the trainer's ``output_dir``. One that a kill cut short is passed over,
    as the file that the trainer writes last is not there, or not whole.
    """
    place = Path(folder) if folder else get_context().checkpoint_dir
    known = numbered(place, r"checkpoint-(\d+)")
    return next((str(known[step]) for step in sorted(known, reverse=True) if _is_whole(known[step])), None)


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _report(epoch: float, step: int, metrics: dict[str, Any]) -> None:
    full = {name: value for name, value in metrics.items() if name not in ("epoch", "step")}
    plain = {name[len("eval_") :]: value for name, value in full.items() if name.startswith("eval_")}
    # The names that the trainer logs go first, should there be too many.
    report_logged(
        {**full, **{name: plain[name] for name in plain if name not in full}}, epoch=epoch, step=step
    )


def _any_process(*, asked: bool, args: Any) -> bool:  # noqa: ANN401 - transformers' own
    """Whether any process of this training has been asked to end; one ending alone would hang the others."""
    if getattr(args, "world_size", 1) < 2:  # noqa: PLR2004 - alone
        return asked
    import torch  # noqa: PLC0415 - the trainer has it

    flag = torch.tensor([int(asked)], device=args.device)
    torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
    return bool(flag.item())
