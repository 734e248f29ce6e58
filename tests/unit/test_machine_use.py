"""What a job used of its machine: sampled in the job, kept among its output, told beside its log."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob.apps.cli.main import main
from trialjob.errors import BackendUnavailable
from trialjob.in_job import entrypoint
from trialjob.in_job.machine_use import NAME, Meter, UseSampler, gpu_use, pauses, tree_use
from trialjob.model.ids import JobName
from trialjob.orchestrator.ports import Kept, Part
from trialjob.reporting.html.document import page
from trialjob.reporting.machine_use import NotAtHand, Use, measured, use_in_words, use_of
from trialjob.reporting.use_of_trials import MOST_JOBS, UseOfTrials, UseReader
from trialjob.testing.histories import SPACE, History

PYTHONS = [Path(sys.executable), *sorted(Path.home().glob(".pyenv/versions/3.8.*/bin/python"))[-1:]]
JOB = JobName("digits-wn4hs-0003-1")
#: Ends once a sample is there, and says what it has found in its own folder till then.
AWAITS_A_SAMPLE = f"""
import pathlib, sys, time
output = pathlib.Path(sys.argv[0]).parent.parent / "output"
while not any(path.stat().st_size for path in output.glob("{NAME}")):
    time.sleep(0.01)
print("left alone:", list(output.glob("data/*")))
"""
linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are read from /proc")


class Nvml:
    """NVIDIA's library, as ctypes shows it, with two GPUs; the second says of its memory nothing."""

    def __init__(self, *, broken: bool = False) -> None:
        self._broken = broken

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:  # noqa: ANN401, N802 - as the library has it
        count._obj.value = 0 if self._broken else 2
        return 999 if self._broken else 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:  # noqa: ANN401, N802
        handle._obj.value = index.value + 1
        return 0 if index.value < 2 and not self._broken else 6

    def nvmlDeviceGetHandleByUUID(self, name: bytes, handle: Any) -> int:  # noqa: ANN401, N802
        handle._obj.value = 2
        return 0 if name == b"GPU-5f6e" else 6

    def nvmlDeviceGetUtilizationRates(self, handle: Any, rates: Any) -> int:  # noqa: ANN401, N802
        rates._obj[0], rates._obj[1] = (97, 40) if handle.value == 1 else (3, 1)
        return 0

    def nvmlDeviceGetMemoryInfo(self, handle: Any, memory: Any) -> int:  # noqa: ANN401, N802
        memory._obj[0], memory._obj[1], memory._obj[2] = 80_000_000_000, 60_000_000_000, 20_000_000_000
        return 0 if handle.value == 1 else 3


# In the job


@pytest.mark.parametrize(
    ("visible", "percents"),
    [
        (None, [97, 3]),
        ("0,1", [97, 3]),
        ("1", [3]),
        ("GPU-5f6e", [3]),
        ("1,7", [3]),
        ("0,MIG-5f6e", [97]),
        ("-1", None),
        ("", None),
    ],
)
def test_a_gpu_is_counted_that_the_script_may_use(visible: str | None, percents: list[int] | None) -> None:
    assert gpu_use(Nvml(), visible).get("gpu_percent") == percents


def test_what_a_gpu_does_not_say_is_left_out() -> None:
    assert gpu_use(Nvml(), None) == {"gpu_percent": [97, 3], "gpu_memory_gb": [20.0]}
    assert gpu_use(Nvml(), "1") == {"gpu_percent": [3]}
    assert gpu_use(Nvml(broken=True), None) == {}
    assert gpu_use(Nvml(broken=True), "0") == {}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", (20.0, 60.0)),
        ("off", None),
        (" OFF ", None),
        ("5", (5.0, 5.0)),
        ("300", (20.0, 300.0)),
        *((wrong, (20.0, 60.0)) for wrong in ("0", "-1", "nan", "inf", "1e300", "often")),
    ],
)
def test_how_often_it_is_sampled(said: str, expected: tuple[float, float] | None) -> None:
    assert pauses(said) == expected


@linux
def test_all_descendants_count_and_nobody_else() -> None:
    script = (
        "import subprocess, sys, time\n"
        "if sys.argv[1] == '2':\n"
        "    held = bytearray(b'x' * 50_000_000)\n"
        "    while time.process_time() < 0.3: pass\n"
        "    print('up', flush=True)\n"
        "    sys.stdin.read()\n"
        "else:\n"
        "    subprocess.run([sys.executable, '-c', sys.argv[2], '2'])\n"
    )
    line = [sys.executable, "-c", script, "1", script]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        ticks, pages = tree_use(child.pid)
        all_ticks, all_pages = tree_use(os.getpid())
        assert ticks >= 0.2 * os.sysconf("SC_CLK_TCK")
        assert pages * os.sysconf("SC_PAGE_SIZE") > 50_000_000
        assert all_ticks >= ticks
        assert all_pages > pages
        sample = Meter("").sample()
        assert sample["memory_gb"] >= 0.05
        assert sample["cpus_there"] >= 1
        child.communicate()
    with pytest.raises(FileNotFoundError):
        tree_use(child.pid)


@linux
def test_the_thread_takes_no_signal_from_the_one_that_waits_for_the_script(tmp_path: Path) -> None:
    before = threading.enumerate()
    sampler = UseSampler(tmp_path, {})
    sampler.start()
    new = [each for each in threading.enumerate() if each not in before]
    [thread] = [each for each in new if each.name == "trialjob-use"]
    status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
    blocked = int(next(line for line in status.splitlines() if line.startswith("SigBlk")).split()[1], 16)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
        assert blocked & 1 << (number - 1)
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGTERM, signal.SIGINT}
    assert thread.daemon
    sampler.finish()
    thread.join()
    assert list(tmp_path.iterdir()) == []


def test_the_samples_of_a_run_before_are_kept(tmp_path: Path) -> None:
    (tmp_path / "output" / "data").mkdir(parents=True)
    for text in ("1\n", "2\n"):
        (tmp_path / "output" / NAME).write_text(text)
        UseSampler(tmp_path, {}).finish()
    assert (tmp_path / "output" / "data" / NAME).read_text() == "1\n2\n"
    assert not (tmp_path / "output" / NAME).exists()
    UseSampler(tmp_path / "gone", {}).finish()


def container(tmp_path: Path, python: Path, script: str, host: str = "algo-1") -> tuple[str, Path]:
    """What a script has printed that ran as in a container, and where its output is."""
    place, root = tmp_path / "in_job", tmp_path / "ml"
    place.mkdir()
    for name in ("entrypoint.py", *entrypoint.SHIPPED):
        shutil.copy(Path(entrypoint.__file__).with_name(name), place)
    (root / "code").mkdir(parents=True)
    (root / "input" / "config").mkdir(parents=True)
    hosts = {"current_host": host, "hosts": ["algo-1", "algo-2"]}
    (root / "input" / "config" / "resourceconfig.json").write_text(json.dumps(hosts))
    (root / "code" / "train.py").write_text(script)
    line = [str(python), "-S", str(place / "entrypoint.py"), "--root", str(root), "--entry-point", "train.py"]
    told = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**told, "TRIALJOB_USE": "0.01"},
        check=True,
    )
    return done.stdout, root / "output" / "data"


@linux
@pytest.mark.parametrize("python", PYTHONS, ids=lambda path: path.parts[-3])
def test_a_container_leaves_samples_among_its_output_and_nothing_in_its_log(
    tmp_path: Path, python: Path
) -> None:
    log, output = container(tmp_path, python, AWAITS_A_SAMPLE)
    assert log == "left alone: []\n"  # no report, no sign of life, no metric of any regex
    text = (output / NAME).read_text()
    assert text
    for line in text.splitlines():
        assert {"at", "cpus", "cpus_there", "memory_gb"} <= set(json.loads(line))


def test_only_the_first_host_samples(tmp_path: Path) -> None:
    script = "import time\nwhile time.process_time() < 0.2: pass\n"
    assert container(tmp_path, PYTHONS[0], script, "algo-2")[0] == ""
    assert list((tmp_path / "ml" / "output").rglob(NAME)) == []


SPEC = """
name: tiny
estimator: {kind: script, source_dir: ., entry_point: train.py, environment: {TRIALJOB_USE: "0.01"}}
space: {x: {type: choice, values: [1]}}
objective: {metric: "left alone", mode: max}
metrics: [{name: "left alone", regex: "left alone: .([0-9]*)"}, {name: any, regex: "({number})"}]
sampler: {kind: grid}
limits: {max_trials: 1}
backend: {kind: local, poll_interval: 20ms}
"""


@linux
def test_logs_of_a_trial_here_say_what_it_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(AWAITS_A_SAMPLE)
    (tmp_path / "spec.yaml").write_text(SPEC)
    main(["run", "spec.yaml", "--name", "tiny", "--store", str(tmp_path / "store")])
    capsys.readouterr()
    assert main(["logs", "tiny", "1", "--store", str(tmp_path / "store")]) == 0
    told = capsys.readouterr()
    assert told.out == "left alone: []\n"
    assert told.err.startswith("trial 1 used ")
    assert "of memory" in told.err
    assert "GPU" not in told.err  # it was given none, whatever this machine has
    where = str(tmp_path / "tiny.html")
    monkeypatch.setattr("trialjob.apps.cli.reporting.PATIENCE", LONG)
    assert main(["report", "tiny", "-o", where, "--store", str(tmp_path / "store")]) == 0
    assert "One of 1 trial used, on average, " in Path(where).read_text()


# In words


def lines(*samples: dict[str, Any]) -> list[str]:
    return [json.dumps(sample) for sample in samples]


def in_words(text: list[str]) -> list[str]:
    use = measured(text)
    return [] if use is None else use_in_words(use)


def test_the_words() -> None:
    one = {"cpus": 3.0, "cpus_there": 8, "memory_gb": 4.0, "gpu_percent": [10], "gpu_memory_gb": [2.0]}
    two = {"cpus": 5.0, "cpus_there": 8, "memory_gb": 6.0, "gpu_percent": [20], "gpu_memory_gb": [1.0]}
    used, idle = in_words(lines(one, two))
    assert used == (
        "used 4.0 of 8 CPUs on average, at most 6.0 GB of memory, 15% of 1 GPU, "
        "at most 2.0 GB of GPU memory (2 samples)"
    )
    assert idle.startswith("left its GPU idle, busy for less than 20% of the time: ")
    assert in_words(lines({"at": 1.0})) == []
    assert in_words([]) == []


@pytest.mark.parametrize(
    ("percents", "said"),
    [
        ([20], None),
        ([97, 95], None),
        ([97, 0, 1, 2], "left 3 of its 4 GPUs idle"),
        ([0, 0], "left 2 of its 2 GPUs idle"),
    ],
)
def test_each_idle_gpu_is_said(percents: list[int], said: str | None) -> None:
    told = in_words(lines({"gpu_percent": percents}))[1:]
    assert [each.partition(",")[0] for each in told] == ([] if said is None else [said])


numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
values = numbers | st.lists(numbers, max_size=3) | st.dictionaries(st.text(max_size=3), numbers, max_size=1)
names = st.sampled_from(["cpus", "cpus_there", "memory_gb", "gpu_percent", "gpu_memory_gb"])
samples = st.dictionaries(names, values, max_size=5).map(json.dumps)


@given(st.lists(st.text(max_size=9) | samples, max_size=4))
def test_whatever_the_file_says_breaks_nothing(text: list[str]) -> None:
    assert all("\n" not in told for told in in_words(text))


class Left:
    """What one job has left behind."""

    def __init__(self, kept: Sequence[Kept], data: bytes) -> None:
        self._kept, self._data = kept, data

    def location(self, job: JobName, part: Part) -> str:
        return f"{job}/{part.value}"

    def kept(self, _job: JobName, part: Part) -> Sequence[Kept]:
        return self._kept if part is Part.OUTPUT else []

    def read(self, _job: JobName, _part: Part, path: str, start: int = 0) -> Iterator[bytes]:
        if path == "away":
            raise BackendUnavailable(path)
        yield self._data[start : start + 10]
        yield self._data[start + 10 :]


def archive(name: str, data: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for each, content in {"figures/other.png": b"\x00" * 5_000, name: data}.items():
            info = tarfile.TarInfo(each)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


SAMPLE = json.dumps({"memory_gb": 1.5}).encode()
FOUND = Use(samples=1, memory_gb=1.5)


@pytest.mark.parametrize("name", [NAME, f"./{NAME}"])
def test_it_is_found_in_an_archive(name: str) -> None:
    packed = archive(name, SAMPLE)
    kept = Kept(path="output.tar.gz", size=len(packed), archive=True)
    assert use_of(Left([kept], packed), JOB) == FOUND
    for cut in (0, 20, len(packed) // 2):
        assert use_of(Left([kept], packed[:cut]), JOB) in (None, FOUND)
    assert use_of(Left([kept], archive("another", SAMPLE)), JOB) is None
    with pytest.raises(NotAtHand):
        use_of(Left([Kept(path="away", size=9, archive=True)], packed), JOB)


def test_it_is_found_in_a_folder_and_nothing_large_is_brought_for_it() -> None:
    others = [Kept(path="plot.png", size=10**12), Kept(path=NAME, size=len(SAMPLE))]
    assert use_of(Left(others, SAMPLE), JOB) == FOUND
    assert use_of(Left(others[:1], SAMPLE), JOB) is None
    for large in (Kept(path=NAME, size=10**12), Kept(path="output.tar.gz", size=10**12, archive=True)):
        with pytest.raises(NotAtHand, match="1,000,000 MB of output"):
            use_of(Left([large], SAMPLE), JOB)
    assert use_of(Left([], SAMPLE), JOB) is None


# In the report

#: Seconds that no machine is too busy for.
LONG = 400.0


class OfEach(Left):
    """What each job has left: a sample with the number of its trial as its GPU's percent."""

    def __init__(self, *, away: frozenset[int] = frozenset(), large: frozenset[int] = frozenset()) -> None:
        super().__init__([], b"")
        self.asked: list[int] = []
        self.away, self.large = away, large

    def kept(self, job: JobName, part: Part) -> Sequence[Kept]:
        assert part is Part.OUTPUT
        self.asked.append(self._trial(job))
        if self.asked[-1] in self.away:
            raise BackendUnavailable("no answer")
        return [Kept(path=NAME, size=10**9 if self.asked[-1] in self.large else 100)]

    def read(self, job: JobName, _part: Part, _path: str, _start: int = 0) -> Iterator[bytes]:
        yield json.dumps({"cpus": 2, "cpus_there": 8, "gpu_percent": [self._trial(job)]}).encode()

    @staticmethod
    def _trial(job: JobName) -> int:
        return int(job.rpartition("-")[0][-4:])


def test_the_report_names_who_left_a_gpu_idle() -> None:
    history, source = History(trials=25), OfEach(large=frozenset({7}))
    state, reader = history.state(), UseReader(source, LONG)
    use = reader.look(state)
    assert sorted(use.of) == [each for each in range(1, 26) if each != 7]
    assert reader.look(state) == use
    assert source.asked.count(3) == 1
    text = page(state, history.space, use=use)
    assert "How much of their machines the trials used" in text
    assert "One of 24 trials used, on average, 13% of the time of its GPUs, 2.0 of 8 CPUs." in text
    assert (
        "18 trials left a GPU idle, busy for less than 20% of the time: trial 1 (1%), trial 2 (2%)," in text
    )
    assert "trial 13 (13%) and 6 more. Where one is idle, look whether" in text
    assert "Of 1 other trial it is not at hand here; `trialjob logs made-up TRIAL` says it of one." in text


def test_few_are_looked_at_and_who_does_not_answer_is_asked_no_more() -> None:
    state = History(trials=MOST_JOBS + 5).state()
    source = OfEach(away=frozenset(range(1, 100)))
    use = UseReader(source, LONG).look(state)
    assert use == UseOfTrials(of={}, away=MOST_JOBS, passed_over=5)
    assert len(source.asked) == 1
    text = page(state, SPACE, use=use)
    assert f"Of {MOST_JOBS} trials it is not at hand here" in text
    assert "Of 5 shorter trials it was not asked" in text


def test_a_call_that_hangs_holds_no_report_up() -> None:
    class Hangs(OfEach):
        free = threading.Event()

        def kept(self, job: JobName, part: Part) -> Sequence[Kept]:
            self.free.wait()
            return super().kept(job, part)

    source = Hangs()
    reader, state = UseReader(source, 0.01), History(trials=2).state()
    assert reader.look(state).away == 2
    source.free.set()
    assert UseReader(source, LONG).look(state).away == 0


def test_without_anything_to_say_there_is_no_section() -> None:
    state = History(trials=3).state()
    for use in (None, UseOfTrials(), UseOfTrials(passed_over=3)):
        assert "How much of their machines" not in page(state, SPACE, use=use)
