"""What may be written under ``stopping``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from trialjob.config.parts import Number, SpecPart
from trialjob.config.paths import shown
from trialjob.errors import Problem

#: Metrics that may be below 0 whatever their owners hope, by the names they usually have.
_MAY_BE_NEGATIVE = re.compile(
    r"(^|_|-)(neg|negative|r2|mcc|matthews|elbo|log_?likelihood)($|_|-)", re.IGNORECASE
)
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class NoStoppingSpec(SpecPart):
    """Every trial runs to its end."""

    kind: Literal["none"] = "none"


class HyperbandSpec(SpecPart):
    """Brackets of successive halving, which pause and resume trials."""

    kind: Literal["hyperband"] = "hyperband"
    max_resource: Number = Field(gt=0)
    min_resource: Number = Field(default=1.0, gt=0)
    reduction_factor: Number = Field(default=3.0, ge=2)


class AshaSpec(SpecPart):
    """Asynchronous successive halving."""

    kind: Literal["asha"] = "asha"
    #: Stop trials at a rung, or pause them there and resume the best.
    variant: Literal["stopping", "promotion"] = "stopping"
    max_resource: Number = Field(gt=0)
    min_resource: Number = Field(default=1.0, gt=0)
    reduction_factor: Number = Field(default=3.0, ge=2)


class _IntervalSpec(SpecPart):
    #: In units of the objective's resource, as are all intervals.
    evaluation_interval: int = Field(default=1, ge=1)
    delay_evaluation: int = Field(default=0, ge=0)


class BanditSpec(_IntervalSpec):
    """Trials that fall behind the best by more than a slack are ended."""

    kind: Literal["bandit"] = "bandit"
    slack_factor: Number | None = Field(default=None, ge=0)
    slack_amount: Number | None = Field(default=None, ge=0)


class MedianSpec(_IntervalSpec):
    """Trials that are worse than the median of running averages are ended."""

    kind: Literal["median"] = "median"
    variant: Literal["azure", "amt", "vizier"] = "azure"


class TruncationSpec(_IntervalSpec):
    """The worst so many percent are ended at each interval."""

    kind: Literal["truncation"] = "truncation"
    truncation_percentage: int = Field(ge=1, le=99)
    exclude_finished_jobs: bool = False


class EarlyStopSpec(SpecPart):
    """A function of the user's decides."""

    kind: Literal["python"] = "python"
    #: ``module:function``.
    early_stop: str


class _HalvingSpec(SpecPart):
    max_resource: Number = Field(gt=0)
    min_resource: Number = Field(default=1.0, gt=0)
    reduction_factor: Number = Field(default=3.0, ge=2)
    #: Each bracket begins a rung higher; which one a trial belongs to is drawn.
    brackets: int = Field(default=1, ge=1)


class SyneAshaSpec(_HalvingSpec):
    """Syne Tune's ASHA, with or without one of its models."""

    kind: Literal["syne_asha"] = "syne_asha"


class BohbSpec(_HalvingSpec):
    """Syne Tune's BOHB: its ASHA with kernel densities."""

    kind: Literal["bohb"] = "bohb"


class MoAshaSpec(_HalvingSpec):
    """Syne Tune's ASHA for several objectives."""

    kind: Literal["mo_asha"] = "mo_asha"


class PbtSpec(SpecPart):
    """Syne Tune's population based training."""

    kind: Literal["pbt"] = "pbt"
    max_resource: Number = Field(gt=0)
    perturbation_interval: Number = Field(gt=0)
    quantile_fraction: Number = Field(default=0.25, gt=0, le=0.5)
    resample_probability: Number = Field(default=0.25, ge=0, le=1)


#: Those that propose configurations too.
SchedulerSpec: TypeAlias = SyneAshaSpec | BohbSpec | MoAshaSpec | PbtSpec
StoppingSpec: TypeAlias = Annotated[
    NoStoppingSpec
    | AshaSpec
    | HyperbandSpec
    | BanditSpec
    | MedianSpec
    | TruncationSpec
    | EarlyStopSpec
    | SyneAshaSpec
    | BohbSpec
    | MoAshaSpec
    | PbtSpec,
    Field(discriminator="kind"),
]
STOPPING: dict[str, type[SpecPart]] = {
    "none": NoStoppingSpec,
    "asha": AshaSpec,
    "hyperband": HyperbandSpec,
    "bandit": BanditSpec,
    "median": MedianSpec,
    "truncation": TruncationSpec,
    "python": EarlyStopSpec,
    "syne_asha": SyneAshaSpec,
    "bohb": BohbSpec,
    "mo_asha": MoAshaSpec,
    "pbt": PbtSpec,
}


def stopping_problems(stopping: StoppingSpec) -> Iterator[Problem]:
    """What is wrong with a rule by itself."""
    match stopping:
        case AshaSpec() | HyperbandSpec() | SyneAshaSpec() | BohbSpec() | MoAshaSpec() if (
            stopping.min_resource >= stopping.max_resource
        ):
            yield Problem(
                field="stopping.min_resource",
                message=f"{stopping.min_resource:g} must be less than stopping.max_resource, "
                f"{stopping.max_resource:g}",
                remedy="lower it, or raise stopping.max_resource",
            )
        case AshaSpec() | HyperbandSpec() if _pauses(stopping) and (
            stopping.min_resource * stopping.reduction_factor > stopping.max_resource * (1 + 1e-9)
        ):
            yield Problem(
                field="stopping.reduction_factor",
                message=f"{stopping.reduction_factor:g} x stopping.min_resource {stopping.min_resource:g} is "
                f"more than stopping.max_resource, {stopping.max_resource:g}, so no trial is ever compared",
                remedy="lower it or stopping.min_resource, or raise stopping.max_resource",
            )
        case BanditSpec() if (stopping.slack_factor is None) is (stopping.slack_amount is None):
            both = stopping.slack_factor is not None
            yield Problem(
                field="stopping.slack_factor",
                message="and slack_amount are both given" if both else "is missing, and so is slack_amount",
                remedy="write one of the two: a ratio, or a distance in units of the metric",
            )
        case SyneAshaSpec() | BohbSpec() | MoAshaSpec() if (
            stopping.brackets > 1 and _highest(stopping) >= stopping.max_resource
        ):
            yield Problem(
                field="stopping.brackets",
                message=f"{stopping.brackets} is more than there are rungs, so some trials never compare",
                remedy="lower it, or raise stopping.max_resource",
            )
        case PbtSpec() if stopping.perturbation_interval >= stopping.max_resource:
            yield Problem(
                field="stopping.perturbation_interval",
                message=f"{stopping.perturbation_interval:g} must be less than stopping.max_resource, "
                f"{stopping.max_resource:g}",
                remedy="lower it, or raise stopping.max_resource",
            )
        case EarlyStopSpec() if not _FUNCTION.fullmatch(stopping.early_stop):
            yield Problem(
                field="stopping.early_stop",
                message=f"{shown(stopping.early_stop)} names no function",
                remedy="write module:function, such as my_rules:hopeless",
            )
        case _:
            pass


def _pauses(stopping: AshaSpec | HyperbandSpec) -> bool:
    return isinstance(stopping, HyperbandSpec) or stopping.variant == "promotion"


def _highest(stopping: _HalvingSpec) -> float:
    """The first rung of the bracket that begins highest."""
    return float(stopping.min_resource * stopping.reduction_factor ** (stopping.brackets - 1))


def ratio_problems(stopping: StoppingSpec, metric: str, target: float | None) -> Iterator[Problem]:
    """A ratio of something that is below 0 makes no sense."""
    if not isinstance(stopping, BanditSpec) or stopping.slack_factor is None:
        return
    negative = f"limits.target is {target:g}" if target is not None and target < 0 else ""
    if not negative and _MAY_BE_NEGATIVE.search(metric):
        negative = f"{shown(metric)} can be negative"
    if negative:
        yield Problem(
            field="stopping.slack_factor",
            message=f"{stopping.slack_factor:g} is a ratio, and {negative}",
            remedy="write slack_amount in its place, a distance in units of the metric",
        )
