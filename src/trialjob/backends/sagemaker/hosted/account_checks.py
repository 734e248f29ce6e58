"""What the account says of the tuning jobs from which a search is to learn.

By "Run a Warm Start Hyperparameter Tuning Job" of the developer guide: a parent has ended, has the same
objective, and its training jobs count against those that the new one may have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trialjob.aws import faults
from trialjob.backends.plugin import Check
from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.hosted.ends import is_over
from trialjob.backends.sagemaker.hosted.refusals import jobs_most
from trialjob.backends.sagemaker.hosted.tuning_request import Tuned, objective_of
from trialjob.backends.sagemaker.request import TAG_PREFIX
from trialjob.backends.sagemaker.status import Facts
from trialjob.model.ids import tuning_name

_NAME: Final = "warm start"
_OTHERS: Final = "name experiments of this account and region that were handed over and have ended"


def warm_start(client: SageMakerClient, tuned: Tuned, where: str) -> Iterator[Check]:
    """Whether each parent is there, is what it is taken for, and has ended; ``where`` is here, in words."""
    jobs = 0
    for parent in tuned.handover.warm_start:
        name = tuning_name(parent)
        try:
            facts = client.describe_tuning(name)
        except faults.NotFound:
            yield Check(name=_NAME, ok=False, detail=f"there is no tuning job {name} {where}", remedy=_OTHERS)
            continue
        wrong = _wrong(client, tuned, parent, facts)
        jobs += sum((facts.get("TrainingJobStatusCounters") or {}).values())
        yield Check(
            name=_NAME,
            ok=not wrong,
            detail=wrong or f"{name} is {facts['HyperParameterTuningJobStatus']}",
            remedy=_OTHERS if wrong else "",
        )
    most, wanted = jobs_most(tuned.handover.search), tuned.handover.trials
    if jobs + wanted > most:
        detail = f"{jobs} training jobs of the parents and {wanted} of this one are more than {most}"
        fits = f"write limits.max_trials: {most - jobs}, or " if jobs < most else ""
        remedy = f"{fits}name fewer in engine.warm_start"
        yield Check(name=_NAME, ok=False, detail=detail, remedy=remedy)


def _wrong(client: SageMakerClient, tuned: Tuned, parent: str, facts: Facts) -> str:
    """Why the tuner cannot learn from this one; "" when it can."""
    name, status = facts["HyperParameterTuningJobName"], facts["HyperParameterTuningJobStatus"]
    theirs = client.tags(facts["HyperParameterTuningJobArn"]).get(f"{TAG_PREFIX}experiment")
    if theirs != parent:
        whose = "not one of trialjob's" if theirs is None else f"the experiment {theirs}'s"
        return f"the tuning job {name} is {whose}"
    if not is_over(facts):
        return f"{name} is {status}, and has not ended"
    earlier, ours = (
        facts["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"],
        objective_of(tuned),
    )
    if earlier != ours:
        said = [f"{each['Type']} {each['MetricName']}" for each in (earlier, ours)]
        return f"{name} has the objective {said[0]}, and this one {said[1]}"
    return ""
