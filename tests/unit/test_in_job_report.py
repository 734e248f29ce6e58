from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import threading
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from trialjob.in_job.ranks import HOST_RANKS, RANKS
from trialjob.in_job.report import MAX_LINE, MOST_LINES, NEEDED, PREFIX, report_logged
from trialjob.logs.metrics import LineReader
from trialjob.model.metric import Mode, Objective, Report
from trialjob.reporting import report

IN_JOB = Path(__file__).parents[2] / "src" / "trialjob" / "in_job"


class Scalar:
    """A one-element tensor, as NumPy, PyTorch and JAX have them."""

    def __init__(self, value: object) -> None:
        self._value = value

    def item(self) -> object:
        return self._value


class Many:
    def item(self) -> float:
        raise ValueError("only one element tensors can be converted to Python scalars")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*RANKS, *HOST_RANKS, NEEDED):
        monkeypatch.delenv(variable, raising=False)


def said(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    lines = capfd.readouterr().out.splitlines()
    assert all(line.startswith(PREFIX) for line in lines)
    return [json.loads(line.removeprefix(PREFIX), parse_constant=pytest.fail)["metrics"] for line in lines]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, 1),
        (0.5, 0.5),
        (True, 1),
        (False, 0),
        (1e-300, 1e-300),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (Scalar(0.25), 0.25),
        (Scalar(True), 1),  # noqa: FBT003
        (Scalar(float("nan")), "NaN"),
        (Scalar(7), 7),
        (Decimal("0.5"), 0.5),
        (Fraction(1, 4), 0.25),
    ],
)
def test_every_scalar_is_a_number(value: object, text: object, capfd: pytest.CaptureFixture[str]) -> None:
    report(loss=value)
    (metrics,) = said(capfd)
    assert metrics == {"loss": text}
    assert type(metrics["loss"]) is type(text)


@pytest.mark.parametrize("value", ["0.5", b"0.5", None, [1.0], {}, Many(), Scalar("x"), 1j, object()])
def test_what_is_no_number_is_refused_by_name(value: object, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TypeError, match="'loss'"):
        report(epoch=1, loss=value)
    assert said(capfd) == []


def test_impossible_reports_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one metric"):
        report()
    with pytest.raises(ValueError, match="'loss' is too large"):
        report(loss=10**400)
    with pytest.raises(ValueError, match="'loss' is too large"):
        report(loss=Decimal("-1e400"))
    with pytest.raises(ValueError, match="must have fewer than 4096: 1 metrics, the longest name is 'xxx"):
        report(**{"x" * MAX_LINE: 1})


def test_reports_are_numbered_and_stand_behind_what_was_printed_before() -> None:
    code = (
        "from trialjob.reporting import report\n"
        "print('first', end='\\n'); report(**{'val/é': 1}); print('second'); report(a=2)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "first",
        '[trialjob] {"seq":1,"metrics":{"val/\\u00e9":1}}',
        "second",
        '[trialjob] {"seq":2,"metrics":{"a":2}}',
    ]


@pytest.mark.parametrize(
    ("variables", "speaks"),
    [
        ({}, True),
        ({"RANK": "0"}, True),
        ({"RANK": "1"}, False),
        ({"RANK": "0", "SLURM_PROCID": "3"}, False),
        ({"SLURM_PROCID": "0", "LOCAL_RANK": "1"}, False),
        ({"RANK": "", "OMPI_COMM_WORLD_RANK": "2"}, False),
        ({"PMI_RANK": "1"}, False),
        ({"SLURM_PROCID": "0"}, True),
        ({"RANK": "none"}, True),
    ],
)
def test_only_the_first_process_reports(
    variables: dict[str, str],
    *,
    speaks: bool,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    report(loss=1)
    assert bool(said(capfd)) == speaks


@pytest.mark.parametrize("closing", ["os.close(1)", "sys.stdout.close(); os.close(1)", "sys.stdout = None"])
def test_a_closed_output_does_not_end_the_training(closing: str) -> None:
    code = f"import os, sys; from trialjob.reporting import report; {closing}; report(loss=1); os._exit(7)"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 7


def test_a_broken_pipe_does_not_end_the_training() -> None:
    code = (
        "import os; from trialjob.reporting import report; os.read(0, 1); "
        "report(loss=1); report(loss=2); os._exit(7)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.close()
        child.stdin.write(b"\n")
        child.stdin.close()
        assert child.wait() == 7


def test_a_full_pipe_that_does_not_block_loses_nothing() -> None:
    code = (
        "import os; from trialjob.reporting import report; os.set_blocking(1, False)\n"
        "for n in range(3000): report(n=n, **{'x' * 90: 1})"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        lines = child.stdout.read().splitlines()
    assert [json.loads(line[len(PREFIX) :])["seq"] for line in lines] == list(range(1, 3001))


def test_the_best_of_a_job_outlives_the_loss_of_its_machine(tmp_path: Path) -> None:
    told = {"TRIALJOB_RUNNING_BEST": "min:loss", "TRIALJOB_BEST_FILE": str(tmp_path / "j.best")}
    found = []
    for losses in ("0.4, 0.2, 0.3", "0.25, 0.1, float('nan')"):
        code = f"from trialjob.reporting import report\nfor loss in ({losses}): report(loss=loss)"
        line = [sys.executable, "-c", code]
        done = subprocess.run(
            line, env={**os.environ, **told}, check=True, capture_output=True, text=True
        ).stdout
        found.append([each.split()[1] for each in done.splitlines() if each.startswith("[trialjob-best]")])
    assert found == [["0.4", "0.2", "0.2"], ["0.2", "0.1"]]
    assert [each.name for each in tmp_path.iterdir()] == ["j.best"]


def test_threads_do_not_mix_their_lines(capfd: pytest.CaptureFixture[str]) -> None:
    def speak() -> None:
        for n in range(50):
            report(n=n)

    threads = [threading.Thread(target=speak) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = capfd.readouterr().out.splitlines()
    numbers = [json.loads(line.removeprefix(PREFIX))["seq"] for line in lines]
    assert numbers == list(range(numbers[0], numbers[0] + 200))


def test_the_reporter_loads_nothing_heavy() -> None:
    code = "import sys; from trialjob.reporting import report; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    ours = {name for name in done.stdout.split() if name.startswith("trialjob")}
    assert ours == {
        "trialjob",
        "trialjob._version",
        "trialjob.reporting",
        "trialjob.in_job",
        "trialjob.in_job.context",
        "trialjob.in_job.ranks",
        "trialjob.in_job.report",
    }
    assert not {"numpy", "torch", "pydantic", "rich"} & set(done.stdout.split())


@pytest.mark.parametrize("path", sorted(IN_JOB.glob("*.py")), ids=lambda path: path.name)
def test_what_runs_in_a_job_is_python_38_and_imports_only_the_standard_library(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    others = {name for name in names if not str(name).startswith("trialjob.in_job")}
    if path.stem in {"entrypoint", "hosted"}:  # In a container its neighbours lie beside it.
        others -= {neighbour.stem for neighbour in IN_JOB.glob("*.py")}
    # The callback for a trainer needs the trainer.
    trainers = {"huggingface": {"transformers", "torch"}, "keras": {"keras"}, "lightning": {"lightning"}}
    known = trainers.get(path.stem, set())
    assert {str(name).split(".")[0] for name in others} <= sys.stdlib_module_names | known


# More than a line takes


def read(lines: list[str]) -> list[Report]:
    """What an experiment makes of these lines."""
    reader = LineReader((), Objective(metric="acc", mode=Mode.MAX))
    return [found.report for line in lines for found in reader.feed(line, 0.0)]


MANY = {f"validation/average_precision/class_{number:03}": number / 7 for number in range(300)}


def test_many_metrics_are_one_report_in_several_lines(capfd: pytest.CaptureFixture[str]) -> None:
    report(**MANY, acc=0.5, epoch=3)
    report(epoch=4, acc=0.6)
    lines = capfd.readouterr().out.splitlines()
    assert max(len(line) + 1 for line in lines) < MAX_LINE
    assert 3 < len(lines) < MOST_LINES
    first, second = read(lines)
    assert (first.resource, dict(first.metrics)) == (3, {**MANY, "acc": 0.5})
    assert (second.resource, dict(second.metrics)) == (4, {"acc": 0.6})


@pytest.mark.parametrize("needed", ["", '["acc", "epoch"]', '["nothing"]', "no json", "3"])
def test_of_too_many_metrics_the_last_are_left_out_with_one_warning(
    needed: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NEEDED, needed)
    many = {f"{needed}{'x' * 50}{number}": number for number in range(5_000)}
    for epoch in (1, 2):
        report_logged(
            {"acc": epoch / 10, **many} if "acc" not in needed else {**many, "acc": epoch / 10}, epoch=epoch
        )
    told = capfd.readouterr()
    reports = read(told.out.splitlines())
    assert [found.resource for found in reports] == [1, 2]
    assert [found.metrics["acc"] for found in reports] == [0.1, 0.2]
    assert len(told.out.splitlines()) == 2 * MOST_LINES
    assert 500 < len(reports[0].metrics) < 5_000
    assert told.err.count("left out of the reports") == 1
    assert len(told.err.splitlines()) == 1


def test_whatever_is_logged_never_ends_a_training(capfd: pytest.CaptureFixture[str]) -> None:
    class Hostile:
        def item(self) -> float:
            raise RuntimeError("no")

        def __float__(self) -> float:
            raise RuntimeError("no")

    odd = {
        "none": None, "text": "x", "matrix": [[1, 2], [3, 4]], "complex": 1j, "huge": 10**400, "many": Many(),
        "broken": Hostile(), "x" * 5000: 1.0, 7: 7.0, "nan": float("nan"), "yes": True, "line\nbreak\r": 2.0,
        "\ud800": 3.0, "": 4.0, "[trialjob] {": 5.0, '"},{': 6.0,
    }  # fmt: skip
    report_logged({**odd, "acc": Scalar(0.5)}, epoch=1, step=None)
    report_logged({"none": None}, epoch=2)
    report_logged({"none": None})
    told = capfd.readouterr()
    (first,) = [found for found in read(told.out.splitlines()) if "acc" in found.metrics]
    assert first.resource == 1
    assert first.metrics["acc"] == 0.5
    assert {"7", "nan", "yes", "line\nbreak\r", "", "[trialjob] {", '"},{'} <= first.metrics.keys()
    assert told.err.count("no single number") == 1
    assert "'matrix'" in told.err


def test_a_part_without_its_end_is_nothing() -> None:
    part = '[trialjob] {"seq":1,"part":1,"metrics":{"a":1,"acc":9}}'
    assert read([part]) == []
    (found,) = read([part, '[trialjob] {"seq":2,"metrics":{"acc":0.5,"epoch":1}}'])
    assert dict(found.metrics) == {"acc": 0.5}
    (found,) = read([part, "somebody else's line", '[trialjob] {"seq":1,"metrics":{"acc":0.5,"epoch":1}}'])
    assert dict(found.metrics) == {"acc": 0.5, "a": 1}


def test_the_line_is_written_in_one_piece() -> None:
    assert sys.platform != "linux" or os.pathconf("/", "PC_PIPE_BUF") >= MAX_LINE
