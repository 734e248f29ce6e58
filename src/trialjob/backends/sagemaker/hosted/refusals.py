"""What of an experiment SageMaker's own tuner cannot take over, and what is lost where it can. Pure.

Rule: everything is said at once, each by the field that says it and with what to write instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trialjob.backends.plugin import Handover
from trialjob.backends.sagemaker.hosted.parents import count_problems
from trialjob.backends.sagemaker.hosted.ranges import CATEGORIES_MAX, space_problems
from trialjob.backends.sagemaker.hosted.tuning_request import ALIKE, ELSEWHERE, Tuned
from trialjob.errors import Problem
from trialjob.model.limits import Limits
from trialjob.model.metric import Score
from trialjob.orchestrator.core.search import Search
from trialjob.orchestrator.samplers.grid import GridSearch
from trialjob.orchestrator.samplers.random import RandomSearch
from trialjob.orchestrator.stopping.hyperband import Hyperband
from trialjob.orchestrator.stopping.median import MedianStopping
from trialjob.orchestrator.stopping.none import NoStopping

#: The quotas and limits of a tuning job.
JOBS_MAX: Final = 750
RANDOM_JOBS_MAX: Final = 10_000
PARALLEL_MAX: Final = 100
PARALLEL_QUOTA: Final = 10
_RUNTIME: Final = (120, 30 * 86_400)
_PATIENCE_MIN: Final = 3
_VARIABLES_MAX, _VARIABLE_MAX = 48, 512
_TYPES_MAX: Final = 6
_STATIC_MAX: Final = 100
_RESOURCE_MAX: Final = 20_000
#: RandomSeed is an integer of the API, which has 32 bits.
_SEED_MAX: Final = 2**31 - 1
#: What the service itself sets, and how the settings of the image's toolkit begin, which runs our code.
_SERVICES: Final = "_tuning_objective_metric"
_TOOLKITS: Final = "sagemaker_"
_OURS: Final = "leave engine out, and trialjob itself runs it"
_CANARY: Final = Problem(
    field="canary",
    message="SageMaker's tuner starts all that may run at one time together",
    remedy=f"remove it, and try the job with `trialjob run … --set limits.max_trials=1`; or {_OURS}",
)
#: What is true of every search that is handed over.
_ALWAYS: Final = (
    Problem(
        field="engine",
        message="max_failures, metric_deadline, stall_timeout and on_log hold only while a process looks",
        remedy="run `trialjob resume NAME`, or `trialjob step` by a schedule",
    ),
    Problem(
        field="engine",
        message="a tuning job cannot be changed or continued, starts every machine cold, and stopping early "
        "frees none of max_cost",
        remedy="leave engine out where that matters",
    ),
)


def refusals(tuned: Tuned, *, canary: bool) -> list[Problem]:
    """Everything that cannot be handed over."""
    handover = tuned.handover
    return [
        *_sampler(handover),
        *_stopping(handover),
        *_objective(handover),
        *_counts(handover, size=handover.search.space.size() if tuned.grid else None),
        *_ends(handover.search.limits),
        *([_CANARY] if canary else []),
        *_machines(tuned),
        *_program(tuned),
        *_names(tuned),
        *count_problems(tuned),
        *space_problems(handover.search.space, tuned.ranges, grid=tuned.grid),
    ]


def _sampler(handover: Handover) -> Iterator[Problem]:
    sampler = handover.search.sampler
    if sampler.kind not in {"auto", "bayesian", "random", "grid"}:
        yield Problem(
            field="sampler.kind",
            message=f"'{sampler.kind}' is none of the searches of SageMaker's tuner",
            remedy=f"write bayesian, random or grid; or {_OURS}",
        )
    if getattr(sampler, "warm_start", ()):
        yield Problem(
            field="sampler.warm_start",
            message="SageMaker's tuner learns from no table and no experiment of another engine",
            remedy=f"name experiments that were handed over in engine.warm_start; or {_OURS}",
        )
    if getattr(sampler, "prepare", 0):
        yield Problem(
            field="sampler.prepare",
            message="SageMaker's tuner works its configurations out by itself",
            remedy="remove it",
        )
    if not isinstance(sampler, GridSearch) and handover.search.seed > _SEED_MAX:
        yield Problem(
            field="sampler.seed",
            message=f"{handover.search.seed} is more than SageMaker's tuner takes, {_SEED_MAX}",
            remedy="write a smaller one",
        )
    if handover.points:
        yield Problem(
            field="points_to_evaluate",
            message="SageMaker's tuner proposes every configuration itself",
            remedy=f"remove it; or {_OURS}",
        )


def _stopping(handover: Handover) -> Iterator[Problem]:
    rule, sampler = handover.search.stopping, handover.search.sampler
    if isinstance(rule, MedianStopping):
        if rule.variant != "amt":
            yield Problem(
                field="stopping.variant",
                message="SageMaker's tuner stops by its own definition of the median",
                remedy=f"write variant: amt; or {_OURS}",
            )
        for field, default in (("evaluation_interval", 1), ("delay_evaluation", 0)):
            if getattr(rule, field) != default:
                yield Problem(
                    field=f"stopping.{field}",
                    message="SageMaker's tuner chooses when it looks at a job",
                    remedy=f"remove it; or {_OURS}",
                )
    elif isinstance(rule, Hyperband):
        yield from _hyperband(rule)
        if sampler.kind not in {"auto", "random"}:
            yield Problem(
                field="sampler.kind",
                message=f"'{sampler.kind}': with stopping.kind hyperband SageMaker's tuner proposes by "
                "Hyperband alone",
                remedy="leave sampler out",
            )
    elif isinstance(rule, NoStopping):
        if rule.max_resource is not None:
            yield Problem(
                field="stopping.max_resource",
                message="SageMaker's tuner lets each job train to its own end",
                remedy=f"remove it, and tell the script how far to train; or {_OURS}",
            )
    else:
        yield Problem(
            field="stopping.kind",
            message=f"'{rule.kind}' is no stopping rule of SageMaker's tuner",
            remedy=f"write none, hyperband, or median with variant: amt; or {_OURS}",
        )


def _hyperband(rule: Hyperband) -> Iterator[Problem]:
    for field in ("min_resource", "max_resource"):
        value = getattr(rule, field)
        if value != int(value) or not 1 <= value <= _RESOURCE_MAX:
            yield Problem(
                field=f"stopping.{field}",
                message=f"{value:g}: SageMaker's Hyperband counts in whole numbers up to {_RESOURCE_MAX:,}",
                remedy="count in whole epochs or steps",
            )
    if rule.reduction_factor != 3.0:  # noqa: PLR2004 - our default, and the paper's
        yield Problem(
            field="stopping.reduction_factor",
            message="SageMaker's Hyperband takes none",
            remedy=f"remove it; or {_OURS}",
        )


def _objective(handover: Handover) -> Iterator[Problem]:
    if handover.search.objective.others:
        yield Problem(
            field="objective.others",
            message="SageMaker's tuner has one objective",
            remedy=f"remove them: what else is reported is in the results all the same; or {_OURS}",
        )


def jobs_most(search: Search) -> int:
    """How many training jobs a tuning job may have, those of its parents among them."""
    random = isinstance(search.sampler, RandomSearch) and not isinstance(search.stopping, Hyperband)
    return RANDOM_JOBS_MAX if random else JOBS_MAX


def _counts(handover: Handover, *, size: int | None) -> Iterator[Problem]:
    """How many jobs there may be, in all and at one time."""
    search = handover.search
    limits = search.limits
    most = jobs_most(search)
    if limits.max_trials > most:
        yield Problem(
            field="limits.max_trials",
            message=f"{limits.max_trials} are more than the {most} jobs of a tuning job",
            remedy=f"write at most {most}",
        )
    if size is not None and size > most:
        yield Problem(
            field="space",
            message=f"SageMaker's tuner tries the whole grid, {size} configurations, and a tuning job has at "
            f"most {most} jobs",
            remedy=f"list fewer values, or write sampler.kind: random; or {_OURS}",
        )
    elif size is not None and size > limits.max_trials:
        yield Problem(
            field="limits.max_trials",
            message=f"{limits.max_trials}: SageMaker's tuner tries the whole grid, {size} configurations",
            remedy=f"write {size}, or list fewer values",
        )
    if limits.max_concurrent_trials > PARALLEL_MAX:
        yield Problem(
            field="limits.max_concurrent_trials",
            message=f"{limits.max_concurrent_trials} are more than the {PARALLEL_MAX} jobs that a tuning job "
            "has at one time",
            remedy=f"write at most {PARALLEL_MAX}",
        )


def _ends(limits: Limits) -> Iterator[Problem]:
    """When the search may end before all have been tried."""
    if limits.timeout is not None and not _RUNTIME[0] <= limits.timeout <= _RUNTIME[1]:
        yield Problem(
            field="limits.timeout",
            message=f"{limits.timeout:g} s: a tuning job may take from 2 minutes to 30 days",
            remedy="write a time between 2m and 30d",
        )
    patience = limits.max_trials_without_improvement
    if patience is not None and patience < _PATIENCE_MIN:
        yield Problem(
            field="limits.max_trials_without_improvement",
            message=f"{patience} are fewer than SageMaker's tuner waits for",
            remedy=f"write at least {_PATIENCE_MIN}",
        )
    if limits.min_gain_per_dollar is not None:
        yield Problem(
            field="limits.min_gain_per_dollar",
            message="SageMaker's tuner knows no such rule",
            remedy=f"write engine: {{kind: hosted, until_convergence: true}}; or {_OURS}",
        )


def _machines(tuned: Tuned) -> Iterator[Problem]:
    settings = tuned.settings
    if settings.keep_alive:
        yield Problem(
            field="backend.keep_alive",
            message="tuning jobs have no warm pools",
            remedy=f"remove it; or {_OURS}",
        )
    if len(settings.instance_types) > _TYPES_MAX:
        yield Problem(
            field="backend.fallback_instance_types",
            message=f"{len(settings.instance_types)} types are more than the {_TYPES_MAX} of a tuning job",
            remedy=f"list at most {_TYPES_MAX - 1}",
        )
    if settings.spot is not None and settings.spot.on_demand_after is not None:
        yield Problem(
            field="backend.spot.on_demand_after",
            message="the jobs of a tuning job stay on spot capacity",
            remedy="remove it",
        )
    known = ALIKE | ELSEWHERE
    for name in sorted(settings.request.keys() - known):
        yield Problem(
            field=f"backend.request.{name}",
            message="a tuning job has no such field",
            remedy=f"remove it; or {_OURS}",
        )


def _program(tuned: Tuned) -> Iterator[Problem]:
    program, settings = tuned.job.program, tuned.settings
    if program is not None and (program.entrypoint or program.arguments):
        named = [name for name in ("entrypoint", "arguments") if getattr(program, name)]
        for name in named:
            yield Problem(
                field=f"estimator.{name}",
                message="a tuning job starts the image's own program, `train`",
                remedy=f"remove it, and let the image have a program `train` on its path; or {_OURS}",
            )
    if program is not None:
        for name in tuned.ranges.coded:
            yield Problem(
                field=f"space.{name}",
                message="SageMaker's tuner has no such domain, and this image would have to decode it",
                remedy="use uniform, loguniform, reverseloguniform, randint, lograndint, or a choice of at "
                f"most {CATEGORIES_MAX} values; or estimator.kind: script, whose jobs decode it",
            )
        if len(tuned.training_request()["HyperParameters"]) > _STATIC_MAX:
            yield Problem(
                field="estimator.hyperparameters",
                message=f"a tuning job has at most {_STATIC_MAX} of them",
                remedy="put some of them into a file in an input channel",
            )
    elif settings.network_isolation:
        yield Problem(
            field="backend.network_isolation",
            message="the image's toolkit fetches the code of a tuning job from S3 by itself",
            remedy=f"remove it; or {_OURS}",
        )
    yield from _variables(tuned)


def _names(tuned: Tuned) -> Iterator[Problem]:
    """Hyperparameters by whose names SageMaker means something else."""
    searched = {str(row.get("from", row["name"])): f"space.{row['name']}" for row in tuned.ranges.codec}
    constants = [] if tuned.is_code else list(tuned.constants)
    fixed = dict.fromkeys(constants, "estimator.hyperparameters")
    toolkits = (_TOOLKITS,) if tuned.is_code else ()
    for name, field in (fixed | searched).items():
        if name == _SERVICES or name.startswith(toolkits):
            whose = "the service" if name == _SERVICES else "the image's toolkit"
            yield Problem(
                field=field,
                message=f"'{name}' is a hyperparameter of {whose} in a tuning job",
                remedy=f"give it another name; or {_OURS}",
            )


def _variables(tuned: Tuned) -> Iterator[Problem]:
    given = tuned.training_request()["Environment"]
    ours = 1  # of those that name one trial two go, and one that tells of the best value may come
    if len(given) - ours > _VARIABLES_MAX:
        yield Problem(
            field="estimator.environment",
            message=f"{len(given) - ours} variables, trialjob's own among them, are more than a tuning "
            f"job's {_VARIABLES_MAX}",
            remedy="put some of them into a file of source_dir",
        )
    for name, text in given.items():
        if len(text) > _VARIABLE_MAX:
            yield Problem(
                field=f"estimator.environment.{name}",
                message=f"{len(text)} characters are more than a tuning job takes, {_VARIABLE_MAX}",
                remedy="put it into a file of source_dir",
            )


def doubts(tuned: Tuned) -> Iterator[Problem]:
    """What is lost, or seen only when a process looks, once the search is SageMaker's."""
    search = tuned.handover.search
    metric = search.objective.metric
    if search.objective.score is Score.BEST and not tuned.tells_best:
        yield Problem(
            field="objective.score",
            message=f"SageMaker's tuner goes by the latest value of {metric}, and the results by the best",
            remedy="report it with report(), which tells the best so far; or write score: last",
        )
    for name in tuned.ranges.nested:
        yield Problem(
            field=f"space.{name}",
            message="SageMaker's tuner knows no nesting, and models what is inside also where it is inactive",
            remedy="nothing, or an experiment for each of its values",
        )
    if search.limits.max_trials_without_improvement is not None:
        yield Problem(
            field="limits.max_trials_without_improvement",
            message="SageMaker's tuner counts an improvement of less than 1 % as none",
            remedy="raise it where small steps count",
        )
    if search.limits.max_concurrent_trials > PARALLEL_QUOTA:
        yield Problem(
            field="limits.max_concurrent_trials",
            message=f"a tuning job of a new account has {PARALLEL_QUOTA} jobs at one time",
            remedy="ask for more in Service Quotas",
        )
    if tuned.settings.spot is not None:
        yield Problem(
            field="backend.spot",
            message="all trials share one prefix of checkpoints, and each may fetch those of the others when "
            "it starts",
            remedy="keep in checkpoint_dir, which is the trial's own, and keep little",
        )
    yield from _ALWAYS
