"""What must hold after any experiment on the fake service, whatever went wrong."""

from __future__ import annotations

import json
import re
from collections import Counter

from trialjob.model.ids import ExperimentName, parse_job_name
from trialjob.model.trial import Phase
from trialjob.orchestrator.core.events import ReportsRead
from trialjob.orchestrator.core.state import State
from trialjob.orchestrator.core.transitions import is_final
from trialjob.testing.fake_aws import jobs_by_tags, most_instances
from trialjob.testing.sagemaker_simulation import SageMakerSimulation
from trialjob.testing.simulation import NAME


def delivered(simulation: SageMakerSimulation) -> Counter[tuple[int, int, float]]:
    """The reports in the journal, by trial, attempt and epoch."""
    return Counter(
        (event.trial, event.attempt, report.resource)
        for record in simulation.journal.read()
        for event in record.events
        if isinstance(event, ReportsRead)
        for report in event.reports
    )


def logged(simulation: SageMakerSimulation) -> Counter[tuple[int, int, float]]:
    """The reports that reached the log, by trial, attempt and epoch."""
    texts: dict[str, str] = {}
    for streams in simulation.service.logs.groups.values():
        for name, stream in streams.items():
            in_order = sorted(stream.events, key=lambda event: event.number)
            job = name.partition("/")[0]
            texts[job] = texts.get(job, "") + "".join(event.message for event in in_order)
    found: Counter[tuple[int, int, float]] = Counter()
    for job, text in texts.items():
        parsed = parse_job_name(ExperimentName(NAME), job)
        assert parsed is not None
        for report in re.findall(r"\[trialjob\] (\{.*?\}\})", text):
            found[(*parsed, json.loads(report)["metrics"]["epoch"])] += 1
    return found


def check(simulation: SageMakerSimulation, state: State) -> None:
    """Every trial was started once, every report delivered once, and nothing is left running."""
    jobs = simulation.service.jobs
    assert state.phase is Phase.ENDED
    assert len(state.trials) == state.limits.max_trials
    assert all(is_final(trial.status) for trial in state.trials)
    assert set(jobs_by_tags(jobs.values(), "trialjob:trial", "trialjob:attempt").values()) == {1}
    assert not [job.name for job in jobs.values() if not job.terminal]
    assert most_instances(jobs.values()) <= state.limits.max_concurrent_trials
    assert delivered(simulation) == logged(simulation)
    assert simulation.service.bill().pools_left == 0
