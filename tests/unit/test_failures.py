"""What a failure is, told from the words of services, exit codes and logs."""

from __future__ import annotations

import pytest

from trialjob.model.job import FailureKind, JobEnd, Outcome
from trialjob.orchestrator.core.failures import OF, TABLE, cause, diagnosed, kind_of

TRACEBACK = """epoch 1
Traceback (most recent call last):
  File "/opt/ml/code/train.py", line 12, in <module>
    main()
  File "/opt/ml/code/train.py", line 7, in main
    raise ValueError("lr must be positive")
ValueError: lr must be positive"""

CHAINED = """Traceback (most recent call last):
  File "a.py", line 1, in <module>
    int("x")
ValueError: invalid literal for int() with base 10: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in <module>
    raise Trouble("no config")
__main__.Trouble: no config"""

TORCHRUN = """[rank0]: Traceback (most recent call last):
[rank0]:   File "train.py", line 3, in <module>
[rank0]:     main()
[rank0]: RuntimeError: shapes do not fit
W1120 12:00:00 torch/distributed/elastic: Sending process 12 closing signal SIGTERM
Traceback (most recent call last):
  File "/usr/lib/torch/run.py", line 1, in <module>
    main()
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
train.py FAILED"""

SYNTAX = '  File "train.py", line 3\n    def x(:\n          ^\nSyntaxError: invalid syntax'


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (TRACEBACK, "ValueError: lr must be positive"),
        (TRACEBACK + "\nsaved nothing\nbye", "ValueError: lr must be positive"),
        (CHAINED, "__main__.Trouble: no config"),
        (TORCHRUN, "RuntimeError: shapes do not fit"),
        (SYNTAX, "SyntaxError: invalid syntax"),
        ('KeyError: \'lr\'\n[trialjob] {"metrics": {"error": 1}}', "KeyError: 'lr'"),
        ("loading\nbash: line 3: pythn: command not found", "bash: line 3: pythn: command not found"),
        ("thread 'main' panicked at 'oops'\nfatal: giving up\ndone", "fatal: giving up"),
        ("epoch 1\nepoch 2", ""),
        ("", ""),
        ("Traceback (most recent call last):", ""),
        ("ValueError: " + "x" * 500, "ValueError: " + "x" * 287 + "…"),
    ],
)
def test_the_cause_is_the_last_meaningful_line(tail: str, expected: str) -> None:
    assert cause(tail) == expected


def failed(message: str, tail: str, *, code: int | None = 1, kind: str = "user_code") -> JobEnd:
    return JobEnd(
        outcome=Outcome.FAILED, failure=FailureKind(kind), exit_code=code, message=message, tail=tail
    )


@pytest.mark.parametrize(
    "line",
    [
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB.",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "tensorflow.python.framework.errors_impl.ResourceExhaustedError: OOM when allocating tensor",
        "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate",
        "RuntimeError: DataLoader worker (pid 11011) is killed by signal: Killed.",
        "RuntimeError: DataLoader worker (pid 5) is killed by signal: Bus error. It is possible that",
        "MemoryError",
        "OSError: [Errno 12] Cannot allocate memory",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "RuntimeError: [enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried to",
    ],
)
def test_memory_is_known_by_its_phrases(line: str) -> None:
    end = diagnosed(failed("train.py ended with exit status 1", f"epoch 1\n{line}\n"))
    assert end.failure is FailureKind.OUT_OF_MEMORY


@pytest.mark.parametrize(
    "line",
    [
        "memory: 3.1 GB",
        "DataLoader worker (pid 11) is killed by signal: Segmentation fault.",
        "room for 3 batches",
        "using a zoom of 2",
    ],
)
def test_other_lines_are_the_codes_own(line: str) -> None:
    assert diagnosed(failed("exit status 1", line)).failure is FailureKind.USER_CODE


def test_a_bare_reason_gives_way_to_the_cause_and_another_stays() -> None:
    assert diagnosed(failed("train.py ended with exit status 1", TRACEBACK)).message == (
        "ValueError: lr must be positive (exit status 1)"
    )
    bare = "AlgorithmError: train.py ended with exit status 3, exit code: 3"
    assert diagnosed(failed(bare, TRACEBACK, code=3)).message.endswith("positive (exit status 3)")
    assert diagnosed(failed("AlgorithmError: See job logs", TRACEBACK, code=None)).message == (
        "ValueError: lr must be positive"
    )
    assert diagnosed(failed("my own words", TRACEBACK)).message == "my own words"
    assert diagnosed(failed("exit status 1", "epoch 1")).message == "exit status 1"


def test_what_is_not_the_codes_failure_is_left_as_it_is() -> None:
    for kind in set(FailureKind) - {FailureKind.USER_CODE, FailureKind.OUT_OF_MEMORY}:
        end = failed("exit status 1", TRACEBACK + "\nMemoryError", kind=kind.value)
        assert diagnosed(end) == end
    completed = JobEnd(outcome=Outcome.COMPLETED, tail="MemoryError", exit_code=0)
    assert diagnosed(completed) == completed


def test_137_is_memory_wherever_it_comes_from() -> None:
    assert kind_of("AlgorithmError: t.py was killed, exit code: 137", 137) is FailureKind.OUT_OF_MEMORY
    assert diagnosed(failed("exit status 137", "", code=137)).failure is FailureKind.OUT_OF_MEMORY


def test_every_kind_has_a_row_and_only_what_the_cloud_took_is_tried_for_long() -> None:
    assert set(OF) == set(FailureKind)
    assert len(TABLE) == len(OF)
    assert {row.kind for row in TABLE if row.retries > 1} == {
        FailureKind.CAPACITY,
        FailureKind.SPOT,
        FailureKind.INTERNAL,
        FailureKind.LOST,
    }
