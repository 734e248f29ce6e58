"""Starts a training script as the SageMaker training toolkit would, in a tree laid out like ``/opt/ml``.

It decides what the script finds: its code, its arguments, its environment. The local supervisor calls these
functions; a container runs this file.

Rule: standard library only, Python 3.8; a container finds it and the files beside it in one folder.
"""

# ruff: noqa: E402 - a signal must be heard before anything else is loaded
from __future__ import annotations

import signal
from typing import Any, NoReturn

#: Signals that came before there was anything to pass them on to.
_asked: list[int] = []

if __name__ == "__main__":
    # The first process of a container has no default for these: without a handler they are lost.
    for _number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(_number, lambda number, _frame: _asked.append(number))

import argparse
import contextlib
import errno
import json
import os
import shlex
import shutil
import subprocess
import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path

if not __package__:  # A container runs this very file, and the others of its package lie beside it.
    for _name in ("trialjob", "trialjob.in_job"):
        sys.modules[_name] = types.ModuleType(_name)
        sys.modules[_name].__path__ = [str(Path(__file__).resolve().parent)]

from trialjob.in_job import command_line, tracker_logs, variables, whole_lines
from trialjob.in_job.code_setup import SetupError, install_requirements, unpack
from trialjob.in_job.init_process import Attendant, mark_cut, was_killed
from trialjob.in_job.log_reader import LogReader
from trialjob.in_job.machine_use import UseSampler

#: Where the tree is when it is not at its place in a container.
ML_ROOT = "TRIALJOB_ML_ROOT"
#: Names the program that starts the script in several processes: torchrun, or nothing.
DISTRIBUTION = "TRIALJOB_DISTRIBUTION"
#: How many processes that program starts on each host, where it is not one for each GPU.
PROCESSES = "TRIALJOB_PROCESSES"
#: Hosts on which another launcher starts the same line and numbers them; MASTER_ADDR is the first.
NODES = "TRIALJOB_NODES"
#: Which of several hosts this is, for ``report`` where no launcher has numbered the processes.
HOST_RANK = "TRIALJOB_HOST_RANK"
#: The input channel, and the file in it, that brings the values when the service's own way is too narrow.
VALUES_CHANNEL = "trialjob-values"
VALUES_FILE = "hyperparameters.json"
#: The folder, below the tree, with the file of values that ``hosted`` has made of what a service proposed.
DECODED = "decoded"
#: A folder below that of the checkpoints, for a job that shares it with others.
OWN_CHECKPOINTS = "TRIALJOB_OWN_CHECKPOINTS"
#: On the first host, for the processes to find each other.
_MASTER_PORT = 29500
#: How many seconds torchrun leaves its processes behind SIGTERM, in versions that can be told so. Its own 30
#: are too few to save a large model; the service kills all after 120.
_TORCHRUN_WAITS = ("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "110")
#: SageMaker shows so many characters of a failure.
FAILURE_LENGTH = 1024

_EXTENDED = "from pkgutil import extend_path\n\n__path__ = extend_path(__path__, __name__)\n"
_CALLBACKS = ("huggingface", "keras", "lightning")
#: The package through which a script imports ``report`` where trialjob is not installed. A function that was
#: pickled by 0.1.0 names what it uses by its place of then, ``trialjob.reporting.in_job``.
_SHIM = {
    "trialjob/__init__.py": _EXTENDED,
    "trialjob/reporting/__init__.py": (
        _EXTENDED + "from trialjob.in_job.context import Context, get_context\n"
        "from trialjob.in_job.report import report\n"
    ),
    **{
        f"trialjob/reporting/{place}{name}.py": f"from trialjob.in_job.{name} import *\n"
        for place, names in {"": _CALLBACKS, "in_job/": (*_CALLBACKS, "context", "report")}.items()
        for name in names
    },
    "trialjob/reporting/in_job/__init__.py": "",
}
SHIPPED = (
    "__init__.py", "code_setup.py", "command_line.py", "context.py", "event_files.py", "function.py",
    "hosted.py", "huggingface.py", "init_process.py", "keras.py", "lightning.py", "log_reader.py",
    "machine_use.py", "mlflow_files.py", "ranks.py", "report.py", "scales.py", "tracker_logs.py",
    "variables.py", "whole_lines.py",
)  # fmt: skip
#: Those of them that a script may import.
_LENT = (
    "__init__.py",
    "context.py",
    "function.py",
    "ranks.py",
    "report.py",
    *(f"{name}.py" for name in _CALLBACKS),
)


# What is in the tree


def read_config(root: Path, name: str) -> dict[str, Any]:
    """One of the JSON files below ``input/config``; empty when it is not there. Raises SetupError."""
    return _read(root / "input" / "config" / f"{name}.json")


def _read(place: Path) -> dict[str, Any]:
    try:
        found = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SetupError(f"{place} cannot be read: {error}") from error
    return found if isinstance(found, dict) else {}


def hyperparameters(root: Path) -> dict[str, Any]:
    """The values: each is kept as the JSON text of itself; a text that is no JSON stands for itself."""
    decoded = root / DECODED / VALUES_FILE
    if decoded.is_file():
        return _read(decoded)
    texts = read_config(root, "hyperparameters")
    texts.update(_read(root / "input" / "data" / VALUES_CHANNEL / VALUES_FILE))
    return {name: _decoded(text) for name, text in sorted(texts.items())}


def _decoded(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        # NaN is a word here: JSON has no such number, and the script shall see it as it was written.
        return json.loads(text, parse_constant=_refuse)
    except ValueError:
        return text


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


# What the script is given


def environment(
    root: Path,
    base: Mapping[str, str],
    entry_point: str = "",
    how: command_line.How = command_line.AS_FIRST,
) -> dict[str, str]:
    """``base`` and everything that scripts written for SageMaker look for."""
    values, resource = hyperparameters(root), read_config(root, "resourceconfig")
    given = variables.variables(
        root,
        base,
        values=values,
        resource=resource,
        inputs=_inputs(root),
        entry_point=entry_point,
        user_args=command_line.words(values, how, str(root)),
    )
    kept = {name: text for name, text in base.items() if name not in variables.WITH_ALL_VALUES}
    result = {**kept, **given}
    result[HOST_RANK] = given["SM_CURRENT_HOST_RANK"]
    result["TRIALJOB_CHECKPOINT_DIR"] = str(root / "checkpoints" / base.get(OWN_CHECKPOINTS, ""))
    result["PYTHONUNBUFFERED"] = "1"
    result.setdefault(*_TORCHRUN_WAITS)
    places = [str(root / "code"), str(root / "shim"), base.get("PYTHONPATH", "")]
    result["PYTHONPATH"] = os.pathsep.join(place for place in places if place)
    tracker_logs.prepare(result, root)
    return result


def _inputs(root: Path) -> dict[str, Any]:
    """The script's input channels. In a container, one brings what we are, and one the values."""
    data, here = root / "input" / "data", Path(__file__).resolve().parent
    return {
        name: facts
        for name, facts in read_config(root, "inputdataconfig").items()
        if (data / name).resolve() != here and name != VALUES_CHANNEL
    }


def command(root: Path, entry_point: str, python: str) -> list[str]:
    """The command line of the script, without its arguments. Raises SetupError."""
    if ":" in entry_point:
        return [python, str(root / "shim" / "trialjob" / "in_job" / "function.py"), entry_point]
    if os.pardir in Path(entry_point).parts or Path(entry_point).is_absolute():
        raise SetupError(f"entry point {entry_point!r} must be a path inside the source folder")
    program = root / "code" / entry_point
    if not program.is_file():
        raise SetupError(
            f"entry point {entry_point!r} is not in the bundle; it is a path inside the source folder"
        )
    if program.suffix == ".py":
        return [python, str(program)]
    if program.suffix == ".sh":
        return [shutil.which("bash") or shutil.which("sh") or "/bin/sh", str(program)]
    if not os.access(program, os.X_OK):
        raise SetupError(f"entry point {entry_point!r} is not executable; run: chmod +x {entry_point}")
    return [str(program)]


def distributed(line: list[str], environ: Mapping[str, str]) -> list[str]:
    """``line``, started once for each GPU of each host, or as often as was said. Raises SetupError.

    That is done when it was asked for and there are several processes or hosts; otherwise the line stays.
    """
    hosts, processes = json.loads(environ["SM_HOSTS"]), int(environ.get(PROCESSES) or environ["SM_NUM_GPUS"])
    nodes = int(environ.get(NODES) or len(hosts))
    if environ.get(DISTRIBUTION) != "torchrun" or (nodes < 2 and processes < 2):  # noqa: PLR2004 - one is alone
        return line
    if not line[1:2] or not line[1].endswith(".py"):
        raise SetupError(f"torchrun starts Python scripts, and {line[-1]} is none; set distribution: none")
    torchrun = [line[0], "-m", "torch.distributed.run", "--nproc_per_node", str(max(1, processes))]
    if nodes == 1:
        return [*torchrun, "--standalone", *line[1:]]
    torchrun += ["--nnodes", str(nodes)]
    if NODES in environ:  # torchrun itself reads which of them it is on: PET_NODE_RANK
        master = ["--master_addr", environ["MASTER_ADDR"], "--master_port", environ["MASTER_PORT"]]
        return [*torchrun, *master, *line[1:]]
    torchrun += ["--node_rank", environ[HOST_RANK]]
    return [*torchrun, "--master_addr", min(hosts), "--master_port", str(_MASTER_PORT), *line[1:]]


# What happens


def lay_out(root: Path, lent: Path | None = None) -> None:
    """Make the folders that a script may rely on, and the package it imports ``report`` from.

    That is in ``lent`` where it is given.
    """
    for name in ("model", "output/data", "output/intermediate", "checkpoints", "code", "input/data"):
        (root / name).mkdir(parents=True, exist_ok=True)
    if lent is None:
        lend(root / "shim")
    elif not (root / "shim").exists():
        (root / "shim").symlink_to(lent)


def lend(place: Path) -> None:
    """Write what ``shim`` gives."""
    for name, data in shim().items():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def shim() -> dict[str, bytes]:
    """The files that a script may import of ours, by their place on its path."""
    here = Path(__file__).resolve().parent
    files = {
        **{f"trialjob/in_job/{name}": name for name in _LENT},
        f"{whole_lines.NAME}.py": "whole_lines.py",
    }
    texts = {name: text.encode("ascii") for name, text in _SHIM.items()}
    return {**texts, **{place: (here / name).read_bytes() for place, name in files.items()}}


def _lend_reporter(root: Path, entry_point: str) -> None:
    """Have ``trialjob.reporting`` found in a package of the user's own that is called trialjob, too.

    Such a package hides the shim, wherever that is on the path: the script's folder comes before everything.
    """
    for place in {root / "code", (root / "code" / entry_point).parent}:
        theirs = place / "trialjob"
        taken = any((theirs / name).exists() for name in ("reporting", "reporting.py", "in_job", "in_job.py"))
        if (theirs / "__init__.py").is_file() and not taken:
            for name in ("reporting", "in_job"):
                ours = root / "shim" / "trialjob" / name
                # What it has compiled may be another's, who has not finished.
                shutil.copytree(ours, theirs / name, ignore=shutil.ignore_patterns("__pycache__"))


def start(
    root: Path,
    entry_point: str,
    python: str,
    base: Mapping[str, str],
    how: command_line.How = command_line.AS_FIRST,
    *,
    launcher: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """Start the script as ``launch`` does, behind the words of ``launcher``. Raises SetupError."""
    environ = environment(root, base, entry_point, how)
    environ["PATH"] = variables.path_with(python, environ.get("PATH") or os.defpath, root / "bin")
    _lend_reporter(root, entry_point)
    values = hyperparameters(root)
    write_values(root, values)
    line = distributed(command(root, entry_point, python), environ)
    return launch(root, [*launcher, *line, *command_line.words(values, how, str(root))], environ)


def write_values(folder: Path, values: Mapping[str, Any]) -> None:
    """Leave the values in files that a script can be pointed at by ``{values_file}``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in set(command_line.VALUES_FILES.values()):
        (folder / name).write_text(command_line.values_text(values), encoding="utf-8")


def launch(root: Path, line: list[str], environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, which a signal can reach as a whole. Raises SetupError."""
    try:
        return subprocess.Popen(  # noqa: S603 - the user's own code is what we are here to run
            line,
            cwd=str(root / "code"),
            env=environ,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        what = shlex.join(line)[:200]
        if isinstance(error, OSError) and error.errno == errno.E2BIG:
            what = f"{line[0]} with {_extent(line, environ)}"
        raise SetupError(f"{what} cannot be started: {error}") from error


def _extent(line: list[str], environ: Mapping[str, str]) -> str:
    """How much there is of arguments and variables, and which is the longest."""
    words = {**{word[:40]: word for word in line}, **environ}
    longest = max(words, key=lambda name: len(words[name]))
    total = sum(map(len, words.values()))
    return f"arguments and variables of {total} characters, {len(words[longest])} of them in {longest}"


def write_failure(root: Path, text: str) -> None:
    """Leave the reason of a failure where SageMaker looks for it, unless the script has left its own."""
    with contextlib.suppress(OSError), (root / "output" / "failure").open("x", encoding="utf-8") as file:
        file.write(text[:FAILURE_LENGTH].encode("utf-8", "replace").decode("utf-8"))


def how_it_ended(entry_point: str, status: int) -> str:
    """The end of a script in words; ``status`` as Popen has it."""
    if status >= 0:
        return f"{entry_point} ended with exit status {status}"
    try:
        return f"{entry_point} was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"{entry_point} was killed by signal {-status}"


def run(
    root: Path,
    entry_point: str,
    python: str,
    *,
    bundle: Path | None = None,
    install: bool = False,
    how: command_line.How = command_line.AS_FIRST,
) -> int:
    """Do everything, and return the container's exit status. SIGTERM and SIGINT are passed on at once."""
    attend = Attendant(_asked)
    attend.listen()
    try:
        lay_out(root)
        if bundle is not None:
            unpack(bundle, root / "code")
        if install:
            install_requirements(root, python, attend)
        if attend.asked:
            return 128 + attend.asked[0]
        environ = environment(root, os.environ)
        reader, use = LogReader(root, environ), UseSampler(root, environ)
        attend.to(start(root, entry_point, python, os.environ, how))
    except (SetupError, OSError) as error:
        if attend.asked:  # not a failure: what was asked to end did
            return 128 + attend.asked[0]
        write_failure(root, str(error))
        sys.stderr.write(f"trialjob: {error}\n")
        return 1
    if environ[HOST_RANK] == "0":  # each host has the same file
        use.start()
    status = attend.until_end()
    use.finish()
    wrong = reader.finish()
    if status:
        if attend.asked or was_killed(status):
            mark_cut()
        write_failure(root, how_it_ended(entry_point, status))
    elif wrong:
        write_failure(root, wrong)
        sys.stderr.write(f"trialjob: {wrong}\n")
        return 1
    return status if status >= 0 else 128 - status


def main() -> int:
    parser = argparse.ArgumentParser(description="Start a training script below a tree like /opt/ml.")
    parser.add_argument("--root", type=Path, default=Path(os.environ.get(ML_ROOT) or "/opt/ml"))
    parser.add_argument("--bundle", type=Path, help="the code as a tar.gz; default: it is there already")
    parser.add_argument("--entry-point", required=True)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--requirements", action="store_true", help="install the bundle's requirements.txt")
    parser.add_argument("--dialect", default=command_line.FIRST, help="how the script is given its values")
    # Behind "--" stand the script's words as templates, where it is not given an option for each value.
    given, mark, templates = _split(sys.argv[1:])
    options = parser.parse_args(given)
    return run(
        options.root.absolute(),
        options.entry_point,
        options.python,
        bundle=options.bundle,
        install=options.requirements,
        how=command_line.How(options.dialect, tuple(templates) if mark else None),
    )


def _split(line: list[str]) -> tuple[list[str], bool, list[str]]:
    place = line.index("--") if "--" in line else len(line)
    return line[:place], place < len(line), line[place + 1 :]


if __name__ == "__main__":
    sys.exit(main())
