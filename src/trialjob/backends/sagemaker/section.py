"""Amazon SageMaker as a backend: what a spec says of it, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from pydantic import Field

from trialjob.aws import faults
from trialjob.backends.assumptions import Assumptions
from trialjob.backends.auditing import Auditor, Knows
from trialjob.backends.plugin import Backend, BaseBackend, Check, Jobs, Place, Translator, Way
from trialjob.backends.price_list import PriceList
from trialjob.backends.sagemaker.machines import Machines
from trialjob.backends.sagemaker.rates import Rates
from trialjob.backends.sagemaker.raw_request import translated
from trialjob.backends.sagemaker.settings import Channel, SageMakerSettings
from trialjob.errors import BackendError, Problem, SpecError
from trialjob.field_types import Duration, Number, SpecPart
from trialjob.model.file_system import is_file_system
from trialjob.model.framework import Framework
from trialjob.model.ids import ExperimentName, JobName
from trialjob.model.money import Tariff
from trialjob.model.paths import path_text
from trialjob.model.s3 import S3Address, address_problem
from trialjob.orchestrator.ports import Clock

if TYPE_CHECKING:
    from trialjob.aws.clients import AwsClients
    from trialjob.backends.sagemaker.client import SageMakerClient
    from trialjob.backends.sagemaker.hosted.tuning_request import Tuned

#: What a job cannot do without, and what it is called in an example.
_REQUIRED: Final[Mapping[str, str]] = {
    "estimator.image_uri": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-gpu-py312",
    "backend.role": "arn:aws:iam::123456789012:role/SageMakerExecution",
    "backend.instance_type": "ml.g4dn.xlarge",
}


class SageMaker(Machines, BaseBackend):
    """Every trial is a training job of Amazon SageMaker.

    ``SageMaker(s3_uri="s3://bucket/tuning", role="arn:aws:iam::…:role/…", instance_type="ml.g4dn.xlarge")``;
    without a region, ``model.region`` says which.
    """

    #: A managed training job of Amazon SageMaker per trial.
    kind: ClassVar[str] = "sagemaker"
    mounts_file_systems: ClassVar[bool] = True
    assumptions: ClassVar[Assumptions] = Assumptions()
    looks_by_pace: ClassVar[bool] = True
    audited_by_default: ClassVar[bool] = True
    draft: ClassVar[Sequence[str]] = (
        "On SageMaker, with estimator.image_uri; `trialjob doctor SPEC` says what is missing:",
        "backend: {kind: sagemaker, s3_uri: s3://BUCKET/tuning, role: ARN, instance_type: ml.g4dn.xlarge}",
    )
    priced_by: ClassVar[str] = (
        "see https://aws.amazon.com/sagemaker/ai/pricing/; or allow pricing:GetProducts to the identity "
        "that runs it"
    )
    once_in_estimator: ClassVar[type[SpecPart] | None] = Machines
    # All but whose identity of this machine it has.
    inbox_fields: ClassVar[frozenset[str]] = frozenset(
        {*Machines.model_fields, "s3_uri", "region", "poll_interval", "price_per_hour", "requests_per_second"}
    )
    # None with an ARN, an address or a price, and not the raw fields, in which any of them may be.
    tenant_fields: ClassVar[frozenset[str]] = frozenset(
        {
            *("instance_type", "fallback_instance_types", "instance_count", "volume_size", "keep_alive"),
            *("spot", "max_upload", "network_isolation", "encrypt_inter_container_traffic", "poll_interval"),
        }
    )
    instead_of: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("gpus", "gpus_per_trial", "gres"), "instance_type: ml.g4dn.xlarge, which has one GPU"
    )
    user_fields: ClassVar[frozenset[str]] = frozenset(
        {"s3_uri", "role", "region", "profile", "tags", "subnets", "security_group_ids"}
        | {"volume_kms_key", "output_kms_key"}
    )
    said_by: ClassVar[Mapping[str, Sequence[str]]] = {
        "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
        "profile": ("AWS_PROFILE",),
    }
    allowed_as: ClassVar[Mapping[str, str]] = {"fallback_instance_types": "instance_type"}
    estimator_kinds: ClassVar[Mapping[str, Translator]] = {"request": translated}

    #: Where code, checkpoints and outputs are kept: `s3://bucket/prefix`, of which S3 takes any text as the
    #: prefix (`#`, `?` and `%` are themselves); below it a folder for each experiment, and `_code`, which all
    #: share: the same code is not sent again. A lifecycle rule may delete what is older than any experiment
    #: that still starts jobs.
    s3_uri: str = Field(examples=["s3://my-bucket/tuning"])
    #: Where the jobs run, as every call of trialjob's finds it (boto3 alone does not heed `AWS_REGION`);
    #: nothing is created before it is known. Default: `AWS_REGION`, else `AWS_DEFAULT_REGION`, else the
    #: profile's.
    region: str | None = None
    #: As whom the calls are made. Default: boto3's.
    profile: str | None = None
    #: Usual pause between two looks at the jobs. One is made sooner, after a quarter of it at the least, when
    #: a rung or the end of a stopped job is due, and after up to twice as long while nothing can come. With
    #: `5s` some 1 % less is [billed](money.md#what-is-paid-for-and-is-no-training), for more calls.
    poll_interval: Duration = 10.0
    #: Calls a second of each operation; lower them to leave room for others in the account.
    requests_per_second: Rates = Rates()
    #: Dollars for an hour of one instance, whatever its type: for a discount of your own, or where no price
    #: is known. With several types, write the dearest's. Default: AWS's price list, else a [dated
    #: table](money.md).
    price_per_hour: Number | None = Field(default=None, ge=0)

    # What is wrong

    def problems(self, estimator: Any) -> Iterator[Problem]:  # noqa: ANN401 - a section of any kind
        """An address that is none, and what a job cannot do without."""
        if wrong := address_problem(self.s3_uri):
            yield Problem(
                field="backend.s3_uri",
                message=f'"{self.s3_uri}" is no address in S3',
                remedy=f"write s3://bucket/prefix; {wrong}",
            )
        yield from self._unreachable(estimator)
        found = bool(estimator.image_uri) or estimator.framework() is not None
        given = {
            "estimator.image_uri": found,
            "backend.role": self.role,
            "backend.instance_type": self.instance_type,
        }
        for field in (missing := [field for field in _REQUIRED if not given[field]]):
            yield Problem(
                field=field,
                message="is missing, and backend.kind is 'sagemaker'",
                remedy=f"write {field.partition('.')[2]}: {_REQUIRED[field]}",
            )
        if missing:
            yield from self.unsaid()

    def unsaid(self) -> Iterator[Problem]:
        """The region, without which a spec may well be read."""
        try:
            self._region_of(self._aws())
        except SpecError as error:
            yield from error.problems

    def _unreachable(self, estimator: Any) -> Iterator[Problem]:  # noqa: ANN401 - as above
        """File systems are mounted from inside a network."""
        if self.subnets or self.security_group_ids or self.request.get("VpcConfig"):
            return
        for name, given in estimator.inputs.items():
            if is_file_system(given.location):
                yield Problem(
                    field=path_text(("estimator", "inputs", name)),
                    message=f'"{given.location}" is mounted from inside a network, and the job has none',
                    remedy="write backend.subnets and backend.security_group_ids that can reach it",
                )

    def loses_progress(self, estimator: Any) -> str:  # noqa: ANN401, ARG002 - it may be of any kind
        return "" if self.spot is None else "backend.spot"

    def check_here(self, jobs: Jobs) -> None:
        """Something must say which region the jobs are for, and there must be credentials."""
        client = self.client(jobs.clock)
        self._region_of(client)
        try:
            client.check_credentials()
        except faults.CallerTrouble as fault:
            raise BackendError(f"{fault}\n    → {fault.remedy}") from fault

    def _region_of(self, client: SageMakerClient | AwsClients) -> str:
        """The region of the jobs. Raises SpecError when nothing says it, or there is no such profile."""
        try:
            return client.region()
        except faults.Misconfigured as fault:
            field = "backend.profile" if self.profile else "backend.region"
            raise SpecError(Problem(field=field, message=str(fault), remedy=fault.remedy)) from fault

    def _tuned(self, jobs: Jobs) -> Tuned | None:
        """What SageMaker's own tuner is given; None where trialjob itself searches."""
        from trialjob.backends.sagemaker.hosted.tuning_request import Tuned  # noqa: PLC0415 - as below

        if jobs.handover is None:
            return None
        return Tuned(settings=self.settings(jobs), handover=jobs.handover, job=jobs.first())

    def handover_problems(self, jobs: Jobs) -> Iterator[Problem]:
        from trialjob.backends.sagemaker.hosted.refusals import refusals  # noqa: PLC0415 - as below

        if (tuned := self._tuned(jobs)) is not None:
            yield from refusals(tuned, canary=jobs.limits.canary)

    def parent_problems(self, jobs: Jobs, backend: BaseBackend, parent: Jobs) -> Iterator[Problem]:
        from trialjob.backends.sagemaker.hosted import parents  # noqa: PLC0415 - as below

        theirs = backend if isinstance(backend, SageMaker) else None
        yield from parents.problems_of(
            self._tuned(jobs),
            theirs._tuned(parent) if theirs else None,  # noqa: SLF001 - its own kind
            name=parent.name,
            here=self._region_if_said(),
            there=theirs._region_if_said() if theirs else "",  # noqa: SLF001 - as above
        )

    def doubts(self, jobs: Jobs) -> Iterator[Problem]:
        from trialjob.backends.sagemaker import preview  # noqa: PLC0415 - the service's model is big
        from trialjob.backends.sagemaker.hosted import refusals  # noqa: PLC0415 - as below

        yield from preview.doubts(self.settings(jobs), jobs.first())
        if (tuned := self._tuned(jobs)) is not None:
            yield from refusals.doubts(tuned)

    def check(self, jobs: Jobs) -> None:
        """Refuse jobs that the service would refuse."""
        from trialjob.backends.sagemaker.preview import preview  # noqa: PLC0415 - the service's model is big

        problems = preview(self.settings(jobs), jobs.first(), region=self.region or "")
        if (tuned := self._tuned(jobs)) is not None and not problems:
            from trialjob.backends.sagemaker.hosted.preview import form_problems  # noqa: PLC0415 - as above

            problems = form_problems(tuned)
        if problems:
            raise SpecError(problems)

    # What is run

    def settings(self, jobs: Jobs) -> SageMakerSettings:
        """What every training job of an experiment has in common; what is required has been checked."""
        job, names = jobs.estimator, (*Machines.model_fields, "s3_uri", "price_per_hour")
        written = {name: value for name in names if (value := getattr(self, name)) is not None}
        ways = {
            name: Channel(**{key: getattr(given, key) or "" for key in ("content_type", "mode", "access")})
            for name, given in job.inputs.items()
        }
        return SageMakerSettings(
            **({"role": "", "instance_type": ""} | written),
            image_uri=job.image_uri or "",
            channels={name: channel for name, channel in ways.items() if channel != Channel()},
            distribution="" if job.distribution == "none" else job.distribution,
            processes=job.processes,
            metric_definitions=jobs.metrics,
            objective=jobs.objective.metric,
            needed=jobs.needed,
            metrics_from=jobs.metrics_from,
        )

    def image(self, framework: Framework, clock: Clock) -> str:
        from trialjob.backends.sagemaker.images import image_uri  # noqa: PLC0415 - as above

        types = (self.instance_type or "", *self.fallback_instance_types)
        region = self.region or self._region_of(self.client(clock))
        return image_uri(framework, region=region, instance_types=types)

    def client(self, clock: Clock) -> SageMakerClient:
        """What calls the service."""
        from trialjob.backends.limiter import Limiter  # noqa: PLC0415 - as above
        from trialjob.backends.sagemaker.client import SageMakerClient  # noqa: PLC0415 - slow to import

        limiter = Limiter(clock, self.requests_per_second.model_dump())
        return SageMakerClient(clock, limiter, region=self.region, profile=self.profile)

    def open(self, jobs: Jobs, place: Place) -> Backend:
        from trialjob.backends.sagemaker.backend import SageMakerBackend  # noqa: PLC0415 - slow to import
        from trialjob.backends.sagemaker.code import Code  # noqa: PLC0415 - as above
        from trialjob.backends.sagemaker.preview import refuse  # noqa: PLC0415 - as above

        settings = self.settings(jobs)
        code = Code(bundle=partial(place.store.bundle, jobs.name), files=place.in_job)
        if (tuned := self._tuned(jobs)) is not None:
            from trialjob.backends.sagemaker.hosted.backend import HostedBackend, Parts  # noqa: PLC0415 - as above

            client = self.client(jobs.clock)
            parts = Parts(client=client, code=code, clock=jobs.clock, owner=jobs.owner, reveal=place.reveal)
            return HostedBackend(tuned, parts)
        return SageMakerBackend(
            client=self.client(jobs.clock),
            settings=settings,
            experiment=jobs.name,
            code=code,
            clock=jobs.clock,
            owner=jobs.owner,
            check=partial(refuse, settings=settings, region=self.region or ""),
            reveal=place.reveal,
            usual_pause=self.poll_interval,
        )

    def links(self) -> Callable[[JobName], Mapping[str, str]]:
        from trialjob.backends.sagemaker.console_links import links_of  # noqa: PLC0415 - as above

        return partial(links_of, self._region_if_said())  # without one there is no address

    def _region_if_said(self) -> str:
        with suppress(faults.Fault):
            return self._aws().region()
        return ""

    def _aws(self) -> AwsClients:
        from trialjob.aws.clients import AwsClients  # noqa: PLC0415 - as above

        return AwsClients(region=self.region, profile=self.profile, timeout=1.0)

    def remove_artifacts(self, experiment: ExperimentName, clock: Clock) -> Sequence[str]:
        from trialjob.orchestrator.journals.objects import Objects  # noqa: PLC0415 - slow to import

        place = S3Address.parse(self.s3_uri)
        folder = S3Address(bucket=place.bucket, key=f"{place.folder}{experiment}")
        objects = Objects(folder.bucket, folder.key, clock)
        try:
            count = objects.remove_below("")
        finally:
            objects.close()
        return [f"{folder} ({count} objects)"]

    @property
    def aws(self) -> Mapping[str, str | None]:
        return {"region": self.region, "profile": self.profile}

    # What it costs, and what a plan says

    def tariff(self, jobs: Jobs) -> Tariff:
        """By AWS's price list when the spec does not say, and the table of this package when AWS does not."""
        from trialjob.backends.sagemaker.prices import prices, tariff_of  # noqa: PLC0415 - reads a table

        settings, client = self.settings(jobs), self.client(jobs.clock)
        try:
            return tariff_of(settings, prices(client, settings))
        finally:
            client.close()

    def ways(self, jobs: Jobs, *, ask: bool) -> Sequence[Way]:
        from trialjob.backends.sagemaker.ways import ways  # noqa: PLC0415 - reads a table

        return ways(self.settings(jobs), self.client(jobs.clock), jobs.limits, ask=ask)

    def machine(self, jobs: Jobs) -> str:
        settings = self.settings(jobs)
        kept = f", kept warm for {settings.keep_alive / 60:g} minutes" if settings.keep_alive else ""
        spot = ", on spot" if settings.spot else ""
        return f"{settings.instance_count} x {' or '.join(settings.instance_types)} a trial{kept}{spot}"

    def request_words(self) -> str:
        return "SageMaker will take the first job, as far as its form goes (--format json shows it)"

    def first_request(self, jobs: Jobs) -> Mapping[str, Any] | None:
        from trialjob.backends.sagemaker.request import build  # noqa: PLC0415 - the service's model is big

        settings = self.settings(jobs)
        if (tuned := self._tuned(jobs)) is not None:
            from trialjob.backends.sagemaker.hosted.tuning_request import tuning_request  # noqa: PLC0415 - as above

            return tuning_request(tuned, archive=f"{settings.s3_uri}/…", owner=jobs.owner, identity="…")
        return build(
            settings,
            replace(jobs.first(), any_machine=True),
            code_uri=f"{settings.s3_uri}/…",
            owner=jobs.owner,
        )

    def rates(self) -> Mapping[str, float]:
        return self.requests_per_second.model_dump()

    def unasked(self) -> str:
        return "the account's quotas, and AWS for prices (--account asks; `trialjob doctor` looks at all)"

    # What is looked at

    @classmethod
    def price_list(cls, fetched_from: str | None) -> PriceList | None:
        from trialjob.backends.sagemaker.price_book import PriceBook  # noqa: PLC0415 - of use to a command only

        if fetched_from is None:
            return PriceBook()
        from trialjob.backends.sagemaker.price_feed import PriceFeed  # noqa: PLC0415 - as above

        return PriceFeed(fetched_from)

    @classmethod
    def auditor(
        cls, sections: Sequence[Self], clock: Clock, knows: Knows, me: str, **where: str | None
    ) -> Auditor:
        from trialjob.backends.sagemaker.audit import audit_of  # noqa: PLC0415 - slow to import

        return audit_of([each.aws for each in sections], clock, knows, me, where)

    def doctor(self, jobs: Jobs, only: Sequence[str] = ()) -> Iterator[Check]:
        from trialjob.backends.sagemaker.doctor import examine  # noqa: PLC0415 - slow to import

        yield from examine(
            self.client(jobs.clock),
            self.settings(jobs),
            jobs.first(),
            workers=jobs.at_once,
            clock=jobs.clock,
            only=tuple(only) or None,
            tuned=self._tuned(jobs),
            writes=not only,  # a caller that asks for some only, such as a plan, does not expect it
        )
