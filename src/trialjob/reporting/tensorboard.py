"""An experiment as a folder of TensorBoard's: a run for each trial, with its curves and its row in HParams.

Rule 1: the file of a trial is a function of the trial that only grows with it. So sending again adds what
is missing and nothing twice, and a TensorBoard that looks on sees it grow.
Rule 2: a folder is of one experiment. One that was removed may have had the same name, and its runs are not
shown among those of another.
Rule 3: it reads the experiment and writes the folder, never the other way round.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from trialjob.errors import UsageError
from trialjob.model.ids import TrialId
from trialjob.model.json import canonical_json
from trialjob.model.trial import TrialStatus
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.trial import Trial
from trialjob.reporting.results import trial_folder
from trialjob.reporting.rows import Row, row_of
from trialjob.reporting.steps import whole_step

try:
    from tensorboardX.proto.api_pb2 import Status
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboardX.record_writer import masked_crc32c
except ImportError:
    raise UsageError(
        "TensorBoard's files need tensorboardX, which is not installed\n"
        "    → pip install 'trialjob[tensorboard]'"
    ) from None

#: The score that counts, beside the metrics, none of which is called so.
SCORE: Final = "trialjob/score"
#: Of HParams, which looks for these names and for data of this version.
_PLUGIN, _VERSION = "hparams", 0
_BEGIN, _END = "_hparams_/session_start_info", "_hparams_/session_end_info"
#: The file of a trial, by when that was proposed, in seconds since the epoch.
_FILE: Final = "events.out.tfevents.{}.trialjob"
_SUCCESSES: Final = frozenset({TrialStatus.COMPLETED, TrialStatus.PRUNED})


class TensorBoardFolder:
    """A folder to which an experiment is sent, as often as there is news: ``<where>/<experiment>``."""

    def __init__(self, where: str) -> None:
        self._where = Path(where)
        #: What was sent of each trial; an equal trial is not sent again.
        self._sent: dict[TrialId, Trial] = {}

    def send(self, state: State) -> None:
        """Bring the folder up to ``state``; raises UsageError when it cannot be written, or is another's."""
        if not self._sent:
            self._check_ours(state)
        for trial in state.trials:
            if self._sent.get(trial.id) is not trial and trial.attempts:
                try:
                    self._write(state, trial)
                except OSError as error:
                    why = error.strerror or str(error)
                    raise UsageError(
                        f"{self._where} cannot be written: {why}; name another folder"
                    ) from error
                self._sent[trial.id] = trial

    def _check_ours(self, state: State) -> None:
        folder, ours = self._where / state.name, {self._path(state, trial) for trial in state.trials}
        for path in folder.glob(f"trial-*/{_FILE.format('*')}"):
            at = path.name.split(".")[-2]
            if path not in ours and at.isdecimal() and int(at) < int(state.created_at):
                raise UsageError(
                    f"{folder} has the trials of an earlier experiment of that name; name another folder, "
                    "or remove it"
                )

    def _path(self, state: State, trial: Trial) -> Path:
        return trial_folder(self._where / state.name, trial) / _FILE.format(int(trial.proposed_at))

    def _write(self, state: State, trial: Trial) -> None:
        path = self._path(state, trial)
        path.parent.mkdir(parents=True, exist_ok=True)
        wanted = b"".join(_record(event) for event in _events(state, trial))
        there = path.read_bytes() if path.exists() else b""
        if wanted.startswith(there):
            with path.open("ab") as file:
                file.write(wanted[len(there) :])
        else:
            path.write_bytes(wanted)


def _events(state: State, trial: Trial) -> Iterator[Any]:
    row = row_of(trial, state.objective)
    began = row.started_at or row.proposed_at
    yield Event(wall_time=began, file_version="brain.Event:2")
    yield _hparams(began, _BEGIN, session_start_info=_session(trial, began))
    for report in trial.reports:
        values = [Summary.Value(tag=name, simple_value=value) for name, value in report.metrics.items()]
        step = whole_step(report.resource) or 0
        yield Event(wall_time=report.at, step=step, summary=Summary(value=values))
    if trial.ended:
        yield from _ended(row, trial, trial.reports[-1].at if trial.reports else began)


def _ended(row: Row, trial: Trial, last: float) -> Iterator[Any]:
    ended = row.ended_at or last
    if row.score is not None:
        score = Summary.Value(tag=SCORE, simple_value=row.score)
        step = whole_step(row.resource or 0.0) or 0
        yield Event(wall_time=ended, step=step, summary=Summary(value=[score]))
    status = "STATUS_SUCCESS" if trial.status in _SUCCESSES else "STATUS_FAILURE"
    info = SessionEndInfo(status=Status.Value(status), end_time_secs=ended)
    yield _hparams(ended, _END, session_end_info=info)


def _session(trial: Trial, began: float) -> Any:  # noqa: ANN401 - a message of TensorBoard's
    info = SessionStartInfo(start_time_secs=began)
    for name, value in trial.config.items():
        match value:
            case bool():
                info.hparams[name].bool_value = value
            case int() | float():
                info.hparams[name].number_value = value
            case _:
                info.hparams[name].string_value = value if isinstance(value, str) else canonical_json(value)
    return info


def _hparams(at: float, tag: str, **what: object) -> Any:  # noqa: ANN401 - as above
    content = HParamsPluginData(version=_VERSION, **what).SerializeToString(deterministic=True)
    plugin = SummaryMetadata.PluginData(plugin_name=_PLUGIN, content=content)
    value = Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin))
    return Event(wall_time=at, summary=Summary(value=[value]))


def _record(event: Any) -> bytes:  # noqa: ANN401 - as above
    """A message as it is kept: its length and itself, each with its checksum."""
    data = event.SerializeToString(deterministic=True)
    head = struct.pack("<Q", len(data))
    return b"".join(
        (head, struct.pack("<I", masked_crc32c(head)), data, struct.pack("<I", masked_crc32c(data)))
    )
