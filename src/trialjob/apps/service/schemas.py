"""What is sent and answered as JSON, as /v1/openapi.json describes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

#: A number, and no text or truth that could be read as one: "1_0" is not 10, nor is true 1.
_Number: TypeAlias = Annotated[float, Field(strict=True)]
_Step: TypeAlias = Annotated[float, Field(strict=True, allow_inf_nan=False)]
#: Some writers of JSON have words for what it has no numbers for.
_Value: TypeAlias = _Number | Literal["NaN", "Infinity", "-Infinity"]
_Metric: TypeAlias = Annotated[str, Field(min_length=1, max_length=1000)]
_Folder: TypeAlias = Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NewExperiment(_Body):
    """What is to be started."""

    spec: dict[str, Any] | str = Field(description="A spec, or the text of a spec file.")
    folder: _Folder | None = Field(None, description="Where its relative paths are meant from.")
    name: str | None = Field(None, description="Its name as it is; else the spec's with a suffix.")
    accept_uncapped: bool = Field(default=False, description="Start it even if nothing bounds its cost.")


class Started(BaseModel):
    """Which experiment a request has started, now or earlier."""

    name: str
    created: bool


class PlanRequest(_Body):
    """What is to be planned, as in ``trialjob plan``."""

    spec: dict[str, Any] | str
    folder: _Folder | None = None
    epochs: float | None = Field(None, gt=0)
    epoch_seconds: str | float | None = Field(None, description="A duration, such as 90s.")
    account: bool = Field(default=False, description="Ask AWS for quotas and prices; not of a tenant.")


_Dollars: TypeAlias = Annotated[float, Field(strict=True, ge=0, le=1e9, allow_inf_nan=False)]
_Jobs: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
_Rights: TypeAlias = Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=100)]


class NewTenant(_Body):
    """A group of people with a budget of their own."""

    name: str = Field(max_length=100, description="Small letters and digits; its experiments begin with it.")
    budget: _Dollars = Field(description="Dollars a month.")
    max_concurrent: _Jobs = Field(8, description="Jobs at once, all together.")
    allow: _Rights = Field([], description="What its specs may ask for, of what some tenant may already.")


class TenantChange(_Body):
    """What is to be otherwise; what is left out stays."""

    budget: _Dollars | None = None
    max_concurrent: _Jobs | None = None
    allow: _Rights | None = Field(None, description="In place of all that was allowed.")


class NewToken(_Body):
    """Whom to let in."""

    tenant: str = Field(max_length=100)
    role: Literal["read", "submit", "manage"]
    expires: str = Field("90d", max_length=100, description="After how long, a year at most.")
    note: str = Field("", max_length=200, description="Whose it is, or what for.")


class MadeToken(BaseModel):
    """A token, which is not told again, and what is kept of it."""

    token: str
    id: str
    tenant: str
    role: str
    note: str
    created_at: str
    expires_at: str | None
    state: str


class SuggestionRequest(_Body):
    """The client that asks for trials, and how many."""

    client_id: str = Field(min_length=1, max_length=200, description="The same for the same worker, always.")
    count: int = Field(1, ge=1, le=100)


class _Told(_Body):
    client_id: str = Field("", max_length=200, description="Whose trial it is; checked if it is given.")
    metrics: dict[_Metric, _Value] = Field(default_factory=dict, max_length=1000)


class TrialReport(_Told):
    """A trial's metrics at a step; the same again changes nothing."""

    step: _Step


class TrialDone(_Told):
    """A trial is done; its last values may come along."""

    step: _Step | None = None


class TrialFailed(_Body):
    """A trial has failed, and why."""

    client_id: str = Field("", max_length=200, description="Whose trial it is; checked if it is given.")
    message: str = Field("", max_length=10_000)


class Suggestion(BaseModel):
    """A trial for the client that asked, until it is over or the client is not heard for too long."""

    trial: int
    attempt: int
    parameters: dict[str, Any]
    source: int | None = Field(None, description="Of a copy: the trial whose checkpoint it begins with.")


class Suggestions(BaseModel):
    """Trials to run now. None, and not ``over``: ask again later."""

    state: str
    over: bool
    suggestions: list[Suggestion]


class Page(BaseModel):
    """Some experiments, by name, and the ``after`` of the next page; "" behind the last."""

    items: list[dict[str, Any]]
    next: str
    total: int = Field(0, description="How many there are, with `order=newest`.")
    running: int = Field(0, description="How many of these run.")


class Wrong(BaseModel):
    """Why a request is not done."""

    type: str
    title: str
    status: int
    detail: str
    problems: list[dict[str, str]] | None = Field(None, description="Each with field, message and remedy.")
