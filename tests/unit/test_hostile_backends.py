"""What a stranger's backend may do wrong: each ends in an error that names whose it is and which method."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import model_validator

from trialjob import config, experiment
from trialjob.backends.checked import NEEDED, CheckedBackend, lacking
from trialjob.backends.local.section import Local
from trialjob.backends.plugin import BACKENDS, Backend, BaseBackend, Way
from trialjob.backends.return_checks import ANSWERS
from trialjob.errors import BackendUnavailable, PluginError, SpecError
from trialjob.model.ids import JobName
from trialjob.model.job import FailureKind, JobEnd, JobSeen, JobState, LogLine, Outcome, Watch
from trialjob.model.money import PriceOrigin, Tariff, Terms
from trialjob.orchestrator.ports import Kept, Part

JOB = JobName("a-0001-1")
SEEN = JobSeen(job=JOB, state=JobState.TRAINING)
FINE = JobEnd(outcome=Outcome.COMPLETED)


class Stranger:
    """Answers what it is told to."""

    def __init__(self, **answers: Any) -> None:  # noqa: ANN401 - anything
        for name in NEEDED:
            setattr(self, name, lambda *_: None)
        for name, answer in answers.items():
            setattr(self, name, answer if callable(answer) else lambda *_, answer=answer: answer)


def asked(method: str, answer: object) -> object:
    """What comes of a call when a backend answers so."""
    backend = CheckedBackend(Stranger(**{method: answer}), "the backend 'x' of the package y")
    given: Mapping[str, tuple[Any, ...]] = {
        "observe": ([Watch(job=JOB)],),
        "end_pools": ([JOB],),
        "notices": (),
        "close": (),
        "kept": (JOB, Part.MODEL),
        "location": (JOB, Part.MODEL),
        "read": (JOB, Part.MODEL, "a"),
    }
    found = getattr(backend, method)(*given.get(method, (JOB,)))
    return list(found) if isinstance(found, Iterator) else found


def ended(**wrong: Any) -> Sequence[JobSeen]:  # noqa: ANN401 - anything
    end = JobEnd(**{"outcome": Outcome.COMPLETED, **wrong})
    return [JobSeen(job=JOB, state=JobState.STOPPING, end=end)]


WRONG: Sequence[tuple[str, object, str]] = [
    ("submit", None, "answered None, and must give Submitted, Postponed or Rejected"),
    ("submit", "job-17", "answered 'job-17'"),
    ("stop", "no", "answered 'no', and must give True, or False"),
    ("stop", None, "answered None"),
    ("observe", None, "answered None, and must give JobSeen for jobs"),
    ("observe", [None], "0: Input should be"),
    ("observe", [SEEN, SEEN], f"more than once for {JOB}"),
    ("observe", [JobSeen(job=JobName("b-0001-1"), state=JobState.TRAINING)], "b-0001-1, which was not asked"),
    ("observe", [JobSeen(job=JOB, state="running")], "state"),  # type: ignore[arg-type]
    ("observe", [JobSeen(job=JOB, state=JobState.TRAINING, lines=("epoch 1",))], "lines"),  # type: ignore[arg-type]
    ("observe", [JobSeen(job=JOB, state=JobState.TRAINING, behind=math.nan)], "behind"),
    ("observe", ended(seconds=-1.0), "seconds = -1.0"),
    ("observe", ended(seconds=math.nan), "seconds"),
    ("observe", ended(seconds=math.inf), "seconds"),
    ("observe", ended(instances=0), "instances = 0"),
    ("observe", ended(outcome="completed", ended_at="yesterday"), "ended_at"),
    ("observe", ended(outcome=Outcome.FAILED), "failed, with the failure None"),
    ("observe", ended(failure=FailureKind.USER_CODE), "completed, with the failure user_code"),
    ("log", "epoch 1\n", "must give LogLines"),
    ("log", [LogLine(text="epoch 1", cursor=1)], "cursor"),  # type: ignore[arg-type]
    ("end_pools", 1.5, "must give True"),
    ("notices", "all is well", "must give texts"),
    ("location", 17, "must give a text"),
    ("kept", ["model.tar.gz"], "must give Kept files"),
    ("kept", [Kept(path="a", size="big")], "size"),  # type: ignore[arg-type]
    ("read", ["text"], "answered 'text', and must give bytes"),
]


@pytest.mark.parametrize(("method", "answer", "said"), WRONG, ids=[f"{row[0]}-{row[2]}" for row in WRONG])
def test_an_answer_of_another_kind_is_said_and_not_used(method: str, answer: object, said: str) -> None:
    with pytest.raises(PluginError) as error:
        asked(method, answer)
    assert f"the backend 'x' of the package y is wrong: {method}()" in str(error.value)
    assert said in str(error.value)
    assert "→ update the package" in str(error.value)


def test_a_check_of_all_fields_together_is_said_in_its_own_words() -> None:
    class Pair(Local):
        kind: ClassVar[str] = "pair"
        token: str = ""

        @model_validator(mode="after")
        def both(self) -> Pair:
            raise ValueError("queue and pool exclude each other")

    with pytest.raises(SpecError) as refused:
        Pair(token="canary-123456")  # noqa: S106 - none
    assert "backend: queue and pool exclude each other" in str(refused.value)
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize("method", [*NEEDED, "end_pools", "close", "notices", "location", "kept", "read"])
@pytest.mark.parametrize("error", [KeyError("name"), SystemExit(3), RecursionError("deep")], ids=repr)
def test_what_a_method_raises_names_it(method: str, error: BaseException) -> None:
    def broken(*_: object) -> object:
        raise error

    with pytest.raises(PluginError, match=rf"{method}\(\) raised {type(error).__name__}.*line \d+"):
        asked(method, broken)


@pytest.mark.parametrize("method", [*NEEDED, "end_pools", "notices", "kept", "read"])
def test_what_is_meant_goes_through(method: str) -> None:
    """No answer is no fault of the package."""

    def away(*_: object) -> object:
        raise BackendUnavailable("the cluster does not answer")

    with pytest.raises(BackendUnavailable) as error:
        asked(method, away)
    assert not isinstance(error.value, PluginError)


def test_one_that_raises_in_the_midst_of_its_answers_is_seen() -> None:
    def some(*_: object) -> Iterator[JobSeen]:
        yield SEEN
        raise OSError("gone")

    with pytest.raises(PluginError, match=r"observe\(\) raised OSError: gone"):
        asked("observe", some)


@pytest.mark.parametrize(
    "terms",
    [
        *((), ["x"], [Terms(price=5)], ("x",), (Terms(price=-1),), (Terms(price=math.nan),)),  # type: ignore[arg-type]
        *((Terms(price="0.3"),), (Terms(price=0.3),), (Terms(price=True),)),  # type: ignore[arg-type]
        *((Terms(price=1, instances=0),), (Terms(price=1, stop_grace=-9.0),)),
        *((Terms(price=1, upload=math.nan),), (Terms(price=1, keep_alive=math.inf),)),
    ],
    ids=repr,
)
def test_a_tariff_by_which_no_cap_can_be_held_is_none(terms: Any) -> None:  # noqa: ANN401 - as a stranger's
    tariff = Tariff(terms=terms, origin=PriceOrigin.SPEC, source="x")
    way = Way(name="x", how="x", written=True, tariff=tariff)
    assert not ANSWERS["tariff"].fits(tariff)
    assert not ANSWERS["ways"].fits([way])


@pytest.mark.parametrize("price", [None, 0, 360_000])
def test_a_tariff_with_or_without_a_price_is_one(price: int | None) -> None:
    tariff = Tariff(terms=(Terms(price=price, stop_grace=3),), origin=PriceOrigin.SPEC, source="x")
    assert ANSWERS["tariff"].fits(tariff)
    assert ANSWERS["ways"].fits([Way(name="x", how="x", written=True, tariff=tariff)])


def test_right_answers_are_given_on() -> None:
    assert asked("observe", [SEEN]) == (SEEN,)
    assert asked("observe", lambda *_: iter([SEEN])) == (SEEN,)
    assert asked("observe", ended(seconds=3.0)) == tuple(ended(seconds=3.0))
    assert asked("stop", answer=False) is False
    assert asked("read", [b"ab", b"c"]) == [b"ab", b"c"]


def test_what_a_backend_need_not_have_is_nothing() -> None:
    backend = CheckedBackend(Stranger(), "x")
    assert (backend.notices(), backend.kept(JOB, Part.MODEL), backend.location(JOB, Part.MODEL)) == (
        (),
        (),
        "",
    )
    assert backend.end_pools([JOB]) is True
    backend.close()


def test_what_it_lacks_is_named() -> None:
    assert lacking(object()) == "submit, stop, observe, log"
    assert lacking(Stranger()) == ""


# The section


def test_every_method_of_a_section_is_looked_at() -> None:
    """A new one needs a line in the table of answers."""
    own = {
        name
        for name, found in vars(BaseBackend).items()
        if not name.startswith(("_", "model_"))
        and (inspect.isroutine(found) or isinstance(found, property | classmethod))
    }
    assert own == set(ANSWERS)


class Broken(BaseBackend):
    kind: ClassVar[str] = "broken"

    def open(self, jobs: Any, place: Any) -> Any:  # noqa: ANN401, ARG002
        return object()

    def tariff(self, jobs: Any) -> Any:  # noqa: ANN401, ARG002
        return {"per_hour": 1}

    def problems(self, estimator: Any) -> Any:  # noqa: ANN401, ARG002
        yield "the queue is missing"

    def rates(self) -> Any:  # noqa: ANN401
        return {"Start": -1}

    def ways(self, jobs: Any, *, ask: bool) -> Any:  # noqa: ANN401, ARG002
        return []

    def first_request(self, jobs: Any) -> Any:  # noqa: ANN401, ARG002
        return {"when": object()}

    def remove_artifacts(self, experiment: Any, clock: Any) -> Any:  # noqa: ANN401, ARG002
        return "all of it"

    def doctor(self, jobs: Any, only: Any = ()) -> Any:  # noqa: ANN401, ARG002
        yield {"ok": True}
        raise ValueError("later")

    @classmethod
    def auditor(cls, *_: Any, **__: Any) -> Any:  # noqa: ANN401
        return None

    def checkpoints(self, job: Any, folder: Any) -> Any:  # noqa: ANN401, ARG002
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda it: it.open(None, None), "open() answered <object"),
        (lambda it: it.tariff(None), "tariff() answered {'per_hour': 1}, and must give a Tariff"),
        (lambda it: list(it.problems(None)), "problems() answered 'the queue is missing'"),
        (lambda it: it.rates(), "rates() answered {'Start': -1}, and must give numbers above 0"),
        (lambda it: it.ways(None, ask=False), "ways() answered [], and must give Ways, one"),
        (lambda it: it.first_request(None), "first_request() answered {'when': <object"),
        (lambda it: it.remove_artifacts(None, None), "remove_artifacts() answered 'all of it'"),
        (lambda it: list(it.doctor(None)), "doctor() answered {'ok': True}, and must give Checks"),
        (lambda it: type(it).auditor((), None, None, ""), "auditor() answered None"),
        (lambda it: it.checkpoints(None, None), "checkpoints() raised ZeroDivisionError"),
    ],
)  # fmt: skip
def test_a_section_that_answers_wrongly_is_named(call: Any, said: str) -> None:  # noqa: ANN401
    with pytest.raises(PluginError) as error:
        call(Broken())
    assert said in str(error.value)
    assert BACKENDS.described(Broken) in str(error.value)


def test_what_was_found_is_there_although_the_package_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").touch()
    spec: dict[str, Any] = {
        "name": "kept",
        "estimator": {"kind": "script", "source_dir": str(tmp_path), "entry_point": "train.py"},
        "space": {"lr": {"type": "uniform", "lower": 0, "upper": 1}},
        "objective": {"metric": "acc", "mode": "max"},
        "limits": {"max_trials": 1},
    }
    experiment.create(config.parse(spec), store=tmp_path / "store")

    def broken(*_: object) -> Backend:
        raise PluginError("the backend 'x' of the package y", "open() raised KeyError")

    monkeypatch.setattr(Local, "open", broken)
    assert list(experiment.attach("kept", store=tmp_path / "store").result().trials) == []
