"""Whether SageMaker will take the call that hands an experiment over, found out without asking it.

Rule: it is judged by botocore's model of that very call, and what is wrong is said at the field of the spec
that it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trialjob.backends.sagemaker.fields import Flaw, Path, problem_of, value_at
from trialjob.backends.sagemaker.hosted.tuning_request import ARCHIVE, Tuned, tuning_request
from trialjob.backends.sagemaker.request import folder
from trialjob.backends.sagemaker.rules import one_each
from trialjob.backends.sagemaker.schema_validation import flaws
from trialjob.errors import Problem

_CALL: Final = "CreateHyperParameterTuningJob"
_DEFINITION: Final = "TrainingJobDefinition"
#: What a definition calls by another name than a training job does.
_RENAMED: Final[Mapping[str, str]] = {"StaticHyperParameters": "HyperParameters"}
#: Fields of the tuning job itself, and those of the spec that say them.
_FIELDS: Final[Mapping[Path, str]] = {
    ("HyperParameterTuningJobName",): "name",
    ("Tags",): "backend.tags",
    ("WarmStartConfig",): "engine.warm_start",
    ("HyperParameterTuningJobConfig", "HyperParameterTuningJobObjective"): "objective.metric",
    ("HyperParameterTuningJobConfig", "ResourceLimits", "MaxNumberOfTrainingJobs"): "limits.max_trials",
    ("HyperParameterTuningJobConfig", "ResourceLimits", "MaxParallelTrainingJobs"): (
        "limits.max_concurrent_trials"
    ),
    ("HyperParameterTuningJobConfig", "ResourceLimits", "MaxRuntimeInSeconds"): "limits.timeout",
    ("HyperParameterTuningJobConfig", "RandomSeed"): "sampler.seed",
    ("HyperParameterTuningJobConfig", "StrategyConfig"): "stopping",
    ("HyperParameterTuningJobConfig", "TuningJobCompletionCriteria"): "limits",
}
_RANGES: Final = ("HyperParameterTuningJobConfig", "ParameterRanges")
#: As long as a real one, so that it is judged alike.
_IDENTITY: Final = "0" * 64


def form_problems(tuned: Tuned) -> list[Problem]:
    """What the service's model says against the call."""
    uri = folder(tuned.settings, tuned.job.experiment, "hosted", ARCHIVE)
    request = tuning_request(tuned, archive=uri, owner="", identity=_IDENTITY)
    training, raw = tuned.training_request(), tuned.settings.request
    return one_each([_problem(flaw, request, training, raw) for flaw in flaws(request, _CALL)])


def _problem(
    flaw: Flaw, request: Mapping[str, Any], training: Mapping[str, Any], raw: Mapping[str, Any]
) -> Problem:
    path = flaw.path
    if path[:1] == (_DEFINITION,) and path[1:2] == ("HyperParameterTuningResourceConfig",):
        field = _machines(path[2:])
    elif path[:1] == (_DEFINITION,):
        inner = (_RENAMED.get(str(path[1]), path[1]), *path[2:]) if path[1:] else ()
        inner_flaw = Flaw(path=inner, message=flaw.message, remedy=flaw.remedy)
        return problem_of(inner_flaw, training, raw)
    elif path[:2] == _RANGES and (name := value_at(request, (*path[:4], "Name"))):
        field = f"space.{name}"
    else:
        known = [_FIELDS[path[:length]] for length in range(len(path), 0, -1) if path[:length] in _FIELDS]
        field = known[0] if known else "engine"
    return Problem(field=field, message=flaw.message, remedy=flaw.remedy)


def _machines(path: Path) -> str:
    """The field of what stands in the list of instances, of which the first is the one that is wanted."""
    match path:
        case ("InstanceConfigs", int(place), "InstanceType"):
            return "backend.instance_type" if place == 0 else "backend.fallback_instance_types"
        case ("InstanceConfigs", int(), "InstanceCount"):
            return "backend.instance_count"
        case ("InstanceConfigs", int(), "VolumeSizeInGB"):
            return "backend.volume_size"
    return "backend.fallback_instance_types"
