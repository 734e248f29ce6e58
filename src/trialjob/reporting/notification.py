"""The message that an experiment has ended: what it says, and who is still to get it. Sends nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trialjob.model.json import Json
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.events import NoticeFailed, NoticeSent
from trialjob.orchestrator.core.state import State
from trialjob.reporting import formatting
from trialjob.reporting.results import Result
from trialjob.reporting.terminal import one_line

#: So many steps try to send a notice; each of them tries several times.
STEPS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message."""

    #: The same whenever the same notice is sent again, and of no other end of this experiment.
    id: str
    experiment: str
    #: finished, failed or stopped.
    state: str
    #: One line.
    subject: str
    text: str
    #: All of it, for programs.
    document: Mapping[str, Json]


def due_to(state: State, wanted: Sequence[str]) -> list[str]:
    """Those of ``wanted`` that still need a notice of the end of the experiment."""
    if state.phase is not Phase.ENDED or state.moved_to is not None:
        return []
    here = [each for each in state.notices if each.end == state.end_version]
    sent = {each.to for each in here if isinstance(each, NoticeSent)}
    failed = [each.to for each in here if isinstance(each, NoticeFailed)]
    return [to for to in wanted if to not in sent and failed.count(to) < STEPS]


def untold(state: State) -> list[str]:
    """A sentence for each notice of this end that could not be sent so far."""
    here = [each for each in state.notices if each.end == state.end_version and state.phase is Phase.ENDED]
    sent = {each.to for each in here if isinstance(each, NoticeSent)}
    newest = {
        each.to: each.problem for each in here if isinstance(each, NoticeFailed) and each.to not in sent
    }
    return [f"notify.{to} could not be told that it ended: {problem}" for to, problem in newest.items()]


def notice_of(state: State, where: str) -> Notice:
    """The message of an experiment that has ended and is kept in ``where``."""
    result = Result(state)
    best, costs = result.best_or_none(), result.costs
    subject = f"{state.name} {result.state}"
    lines = [f"{subject}: {one_line(result.detail or result.reason or '')}".rstrip(": ")]
    if best is not None:
        found = f"best: trial {best.trial}, {state.objective.metric} {formatting.number(best.score)}"
        lines += [found, f"  {formatting.configuration(best.config)}"]
        subject += f": {state.objective.metric} {formatting.number(best.score)}"
    counts = {status.value: count for status, count in state.counts.items() if count}
    lines.append("trials: " + (", ".join(f"{count} {status}" for status, count in counts.items()) or "none"))
    lines.append(
        f"cost: {costs.instance_hours:.2f} instance hours"
        + (f", {formatting.dollars(costs.dollars)}" if costs.dollars is not None else "")
    )
    lines.append(f"kept in {where}")
    text = "\n".join(lines)
    # An experiment that was removed, or one of another store, may have the same name and as many records.
    name = f"{state.name}-{round(state.created_at * 1000)}-{state.end_version}"
    return Notice(
        id=name,
        experiment=str(state.name),
        state=result.state,
        subject=one_line(subject),
        text=text,
        document={
            "id": name,
            "text": text,
            "experiment": str(state.name),
            "state": result.state,
            "reason": result.reason,
            "detail": result.detail,
            "best": None
            if best is None
            else {"trial": best.trial, "score": best.score, "config": dict(best.config)},
            "counts": dict(counts),
            "dollars": costs.dollars,
            "instance_hours": costs.instance_hours,
            "kept_in": where,
        },
    )
