"""A snapshot of the state beside a journal: it saves a replay, and nothing else is ever noticed of it."""

from __future__ import annotations

import hashlib
import json
import math
import re
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from trialjob.apps.cli.main import main
from trialjob.apps.summary import line_of, member_of
from trialjob.errors import JournalCorrupt
from trialjob.model.ids import TrialId
from trialjob.model.json import strict_json
from trialjob.model.limits import Limits
from trialjob.model.metric import MetricGoal, Mode
from trialjob.model.trial import EndKind, EndReason
from trialjob.orchestrator.core.best import best_so_far, best_trial
from trialjob.orchestrator.core.costs import costs_of
from trialjob.orchestrator.core.events import Event, NoticeFailed, NoticeSent, Record, TrialProposed
from trialjob.orchestrator.core.evolve import evolve, replay
from trialjob.orchestrator.core.expected_gain import forecast
from trialjob.orchestrator.core.overview import Seen, overview_of
from trialjob.orchestrator.core.search import Sampler
from trialjob.orchestrator.core.state import Hosted, State
from trialjob.orchestrator.core.trial import Trial, Trials
from trialjob.orchestrator.journals.codec import checked, encode
from trialjob.orchestrator.journals.jsonl import JsonlJournal
from trialjob.orchestrator.journals.memory import MemoryJournal
from trialjob.orchestrator.journals.packed_trials import PackedTrials
from trialjob.orchestrator.journals.snapshot import is_worth, packed, state_of, unpacked
from trialjob.orchestrator.samplers.initial_points import PointsFirst
from trialjob.orchestrator.samplers.random import RandomSampler
from trialjob.reporting.listing import print_status
from trialjob.testing.chaos import World
from trialjob.testing.chaos_schedule import Schedule
from trialjob.testing.histories import History
from trialjob.testing.schedules import schedules
from trialjob.testing.simulation import SPACE, Simulation

RECORDS = list(History(trials=30).records())
CUT = 200


def state_after(records: Sequence[Record]) -> State:
    state = replay(records)
    assert state is not None
    return state


def carried(state: State) -> State:
    """The state as whoever finds its snapshot has it."""
    return kept(state).state


def kept(state: State) -> Seen:
    """The same with the figures that are kept beside it."""
    found = unpacked(packed("7-abc", state))
    assert found is not None
    assert found.of == "7-abc"
    return found.seen


def shown(seen: Seen) -> list[object]:
    """What `status` and `list` say of it, to people and to programs."""
    out = StringIO()
    for width in (50, 120):
        print_status(Console(file=out, width=width), seen, holder=None, where="here", now=2e9)
    return [out.getvalue(), line_of(seen, "one"), strict_json(member_of(seen, "one"))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An experiment of which somebody has looked at the first 200 records; more were written since."""
    folder = tmp_path / "made-up"
    JsonlJournal(folder).receive(RECORDS[:CUT])
    assert state_of(JsonlJournal(folder), "here") == state_after(RECORDS[:CUT])
    JsonlJournal(folder).receive(RECORDS[: CUT + 3])
    return folder


def read_again(folder: Path) -> int:
    """How many records the next one who looks reads; what he finds is what all of them say."""
    journal = JsonlJournal(folder)
    recalled = journal.recall()
    known = recalled.state if recalled is not None else None
    state, records = known, journal.read(known.version if known else 0)
    for record in records:
        state = evolve(state, record)
    assert state == replay(JsonlJournal(folder).read())
    return len(records)


@settings(max_examples=15, deadline=None)
@given(schedule=schedules(), part=st.floats(0, 1))
def test_going_on_from_a_snapshot_is_replaying_everything(schedule: Schedule, part: float) -> None:
    world = World(schedule)
    world.play()
    records = world.journal.read()
    cut = 1 + round(part * (len(records) - 1))
    seen = kept(state_after(records[:cut]))
    assert shown(seen) == shown(Seen.of(state_after(records[:cut])))
    assert repr(seen.overview) == repr(overview_of(seen.state))
    state = seen.state
    assert state == state_after(records[:cut])
    for record in records[cut:]:
        state = evolve(state, record)
    assert repr(overview_of(state)) == repr(overview_of(state_after(records)))
    assert state == state_after(records)


class InPairs(Trials):
    """Chunks so short that an experiment of a few trials has some."""

    CHUNK: ClassVar[int] = 2


def in_pairs(state: State, packed: Collection[int]) -> State:
    """The same trials in pairs, of which some are as a snapshot has them."""
    pairs = [tuple(state.trials)[place : place + 2] for place in range(0, len(state.trials), 2)]
    chunks = [
        PackedTrials.of(pair, state.objective) if place in packed else pair
        for place, pair in enumerate(pairs)
    ]
    return replace(state, trials=InPairs(tuple(chunks)))


@settings(max_examples=30, deadline=None)
@given(schedule=schedules(), part=st.floats(0, 1), packed=st.sets(st.integers(0, 2)))
def test_figures_of_parts_are_those_of_all_trials(
    schedule: Schedule, part: float, packed: Collection[int]
) -> None:
    world = World(schedule)
    world.play()
    records = world.journal.read()
    state = state_after(records[: 1 + round(part * (len(records) - 1))])
    overview = overview_of(in_pairs(state, packed))
    assert overview.best == best_trial(state.trials, state.objective)
    assert repr(overview.curve) == repr(tuple(best_so_far(state)))
    assert repr(overview.costs) == repr(costs_of(state))
    assert repr(overview.forecast) == repr(forecast(state))


def test_what_strict_json_has_no_word_for_is_carried() -> None:
    state = state_after(RECORDS)
    infinite = replace(
        state,
        document={"a": [1, 2.0, True, None, "1", "ü\u2028\x00"], "b": {"big": 2**60, "tiny": 5e-324}},
        objective=replace(state.objective, others=(MetricGoal(metric="b", mode=Mode.MIN),)),
        best=-math.inf,
        paused={math.inf: ((-math.inf, -3), (1.0, -2))},
        notices=(NoticeFailed(to="sns", end=3, problem="HTTP 503"), NoticeSent(to="sns", end=3)),
        hosted=Hosted(name="x", end=EndReason(kind=EndKind.CONVERGED, detail="", lines=("a", "b"))),
        limits=Limits(max_trials=3, stall_timeout="auto"),
    )
    found = carried(infinite)
    assert found == infinite
    assert repr(found) == repr(infinite)  # 1, 1.0 and True are equal
    trial = state.trials[TrialId(1)]
    score = replace(trial.standing, score=math.nan, others=(None, math.inf))
    unknown = replace(state, trials=state.trials.put(replace(trial, standing=score)))
    assert repr(carried(unknown)) == repr(unknown)


def spoilt(chunk: Sequence[Trial]) -> PackedTrials:
    """As a snapshot has them, but that nobody can decode them."""
    assert isinstance(chunk, PackedTrials)
    return PackedTrials(b"spoilt", chunk.part_data, size=9, count=len(chunk))


def test_whoever_only_looks_decodes_no_trial() -> None:
    seen = kept(state_after(RECORDS))
    assert shown(seen) == shown(Seen.of(state_after(RECORDS)))
    trials = Trials(tuple(spoilt(chunk) for chunk in seen.state.trials.chunks))
    assert shown(replace(seen, state=replace(seen.state, trials=trials))) == shown(seen)
    with pytest.raises(zlib.error):
        list(trials)


def test_behind_new_records_only_what_has_changed_is_decoded() -> None:
    records = list(History(trials=4 * Trials.CHUNK, slots=2).records())
    state = carried(state_after(records[:-100]))
    first, second, *others = state.trials.chunks  # the best one is in the first
    state = replace(state, trials=Trials((first, spoilt(second), *others)))
    for record in records[-100:]:
        state = evolve(state, record)
    assert repr(overview_of(state)) == repr(overview_of(state_after(records)))
    with pytest.raises(zlib.error):
        list(state.trials)


def test_what_could_not_be_read_back_is_not_kept() -> None:
    state = state_after(RECORDS)
    huge = replace(state.trials[TrialId(1)], config={"lr": 10**5000})
    with pytest.raises(ValueError, match="out of range"):
        packed("7-abc", replace(state, trials=state.trials.put(huge)))


def test_only_what_came_since_is_read_again(folder: Path) -> None:
    assert read_again(folder) == 3


@pytest.mark.parametrize("place", range(0, 60, 7))
def test_a_damaged_one_is_as_if_there_were_none(folder: Path, place: int) -> None:
    path = folder / "snapshot"
    data = path.read_bytes()
    for damaged in (
        data[: place * len(data) // 60],
        bytes([data[place] ^ 1, *data[1:]]) if place == 0 else data[:place] + b"\xff" + data[place + 1 :],
        data[:-place] + b"x" * place if place else b"",
        data + b"x",
    ):
        path.write_bytes(damaged)
        assert read_again(folder) == CUT + 3


def test_one_of_other_code_is_not_used(folder: Path) -> None:
    path = folder / "snapshot"
    head, _, body = path.read_bytes()[64:].partition(b"\n")
    heads: tuple[object, ...] = (
        {**json.loads(head), "code": "f" * 64},
        {"of": json.loads(head)["of"]},
        [],
        {"code": 1},
    )
    for told in heads:
        content = json.dumps(told).encode() + b"\n" + body
        path.write_bytes(hashlib.sha256(content).hexdigest().encode() + content)
        assert read_again(folder) == CUT + 3


def shorter(lines: list[bytes]) -> list[bytes]:
    return lines[: CUT // 2]


def another(lines: list[bytes]) -> list[bytes]:
    others = History(trials=30, message="exit status 1: RuntimeError: CUDA ERROR").records()
    return [checked(encode(record)) for record in others][: len(lines)]


@pytest.mark.parametrize("change", [shorter, another])
def test_one_of_another_journal_is_not_used(
    folder: Path, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    path = folder / "journal.jsonl"
    lines = change(path.read_bytes().splitlines(keepends=True))
    path.write_bytes(b"".join(lines))
    assert read_again(folder) == len(lines)


def test_damage_to_the_journal_is_found_as_it_is_without_one(folder: Path) -> None:
    path = folder / "journal.jsonl"
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"resource":1.0', b'"resource":7.0', 1))
    with pytest.raises(JournalCorrupt, match="checksum") as found:
        state_of(JsonlJournal(folder), "here")
    (folder / "snapshot").unlink()
    with pytest.raises(JournalCorrupt) as without:
        state_of(JsonlJournal(folder), "here")
    assert str(found.value) == str(without.value)


def test_where_none_can_be_written_nobody_is_told(folder: Path) -> None:
    (folder / "snapshot").unlink()
    (folder / "snapshot").mkdir()
    assert state_of(JsonlJournal(folder), "here") == state_after(RECORDS[: CUT + 3])
    assert sorted(path.name for path in folder.iterdir()) == ["append.lock", "journal.jsonl", "snapshot"]


def test_who_has_appended_goes_on_without_reading_again(folder: Path) -> None:
    journal = JsonlJournal(folder)
    state = state_of(journal, "here")
    for record in RECORDS[CUT + 3 :]:
        state = evolve(state, journal.append(record.events, after=record.version - 1, at=record.at))
    assert state is not None
    journal.remember(state)
    assert read_again(folder) == 0


@pytest.mark.parametrize(
    ("version", "kept", "worth"),
    [
        (19, 0, False),
        (20, 0, True),
        (30, 20, False),
        (40, 20, True),
        (9_999, 9_900, False),
        (9_999, 9_800, True),
    ],
)
def test_one_is_written_when_much_is_new(version: int, kept: int, worth: bool) -> None:
    assert is_worth(version, kept) is worth


def test_an_orchestrator_that_begins_with_one_does_the_same() -> None:
    def journal(*, dies_at: int) -> Sequence[Record]:
        simulation = Simulation(limits=Limits(max_trials=12, max_concurrent_trials=4))
        stepper = simulation.stepper()
        while not stepper.state.end_version:
            if len(simulation.journal.read()) >= dies_at:
                known = carried(stepper.state)
                stepper, dies_at = simulation.stepper(state=known), 10**9
            if not stepper.step().more:
                simulation.clock.sleep(simulation.poll_interval)
        return simulation.journal.read()

    whole = journal(dies_at=10**9)
    for dies_at in range(2, len(whole), len(whole) // 5):
        assert journal(dies_at=dies_at) == whole


def test_the_commands_say_the_same_with_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told() -> str:
        for command in ("status", "results", "list"):
            name = [] if command == "list" else ["made-up"]
            for form in ([], ["--format", "json"]):
                assert main([command, *name, *form, "--store", str(folder.parent)]) == 0
        return re.sub(r"time .*", "", capsys.readouterr().out)  # of the live view

    behind = told()
    (folder / "snapshot").unlink()
    assert told() == behind
    assert told() == behind
    assert read_again(folder) == 0


class Noted(MemoryJournal):
    """Knows from where on it was read."""

    def __init__(self) -> None:
        super().__init__()
        self.read_after: list[int] = []

    def read(self, after: int = 0) -> Sequence[Record]:
        self.read_after.append(after)
        return super().read(after)


class Told(RandomSampler):
    """Knows what it was told."""

    def __init__(self) -> None:
        super().__init__(SPACE, 0)
        self.told: list[Event] = []

    def tell(self, events: Sequence[Event]) -> None:
        self.told += events
        super().tell(events)


class LearnsMore(Told):
    only_proposals = False


@pytest.mark.parametrize("kind", [Told, LearnsMore])
@pytest.mark.parametrize("first", [False, True])
def test_an_orchestrator_reads_the_rest_only_for_a_sampler_that_learns_more(
    kind: type[Told], *, first: bool
) -> None:
    journal, made = Noted(), list[Told]()

    def sampler() -> Sampler:
        made.append(kind())
        return PointsFirst([{}], SPACE, 0, made[-1]) if first else made[-1]

    limits = Limits(max_trials=3, max_concurrent_trials=2)
    simulation = Simulation(limits=limits, journal=journal, sampler=sampler)
    before = simulation.stepper()
    before.step()
    known = carried(before.state)
    journal.read_after.clear()
    stepper = simulation.stepper(state=known)
    stepper.step()  # both slots are taken
    assert 0 not in journal.read_after
    while len(stepper.state.trials) == 2:
        simulation.clock.sleep(60.0)
        stepper.step()
    assert journal.read_after.count(0) == (1 if kind is LearnsMore else 0)
    events = [event for record in journal.read() for event in record.events]
    proposed = [event for event in events if isinstance(event, TrialProposed)]
    assert [event for event in made[-1].told if isinstance(event, TrialProposed)] == proposed
    assert kind is Told or made[-1].told == events
