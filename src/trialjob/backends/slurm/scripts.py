"""The two scripts of a job: what sbatch is given, and what is done before the user's program.

Rule: our supervisor starts in the environment that trialjob was started in, whatever ``setup`` loads; only
the user's program sees what that does.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path


def batch_script(folder: Path, token: str) -> str:
    """What sbatch is given: it becomes the supervisor, so that signals reach that."""
    words = [sys.executable, "-P", "-m", "trialjob.backends.slurm.supervisor", str(folder), token]
    return f"#!/bin/bash\nexec {shlex.join(words)}\n"


def start_script(folder: Path, *, setup: Sequence[str], container: str, shared: Path) -> str:
    """``start.sh``, which is given the program and its words; "" where nothing is to be done before."""
    if not setup and not container:
        return ""
    lines = ["#!/bin/bash", f"ours={shlex.quote(sys.executable)}", "before=$(command -v python3 || true)"]
    lines += [_FAILED.format(mark=shlex.quote(str(folder / "setup-failed")))]
    for number, line in enumerate(setup):
        lines += ["{", line, f"}} || failed {number} $?"]
    lines += [_contained(container, shared) if container else _PYTHON]
    return "\n".join([*lines, ""])


_FAILED = """\
failed() {{
    why="backend.setup[$1] ended with exit status $2"
    echo "trialjob: $why" >&2
    echo "$why" > {mark}
    exit "$2"
}}"""
#: A Python that the setup has brought comes before ours.
_PYTHON = """\
after=$(command -v python3 || true)
if [ "$1" = "$ours" ] && [ -n "$after" ] && [ "$after" != "$before" ]; then
    shift
    set -- "$after" "$@"
fi
exec "$@\""""
_CONTAINED = """\
if [ "$1" = "$ours" ]; then
    shift
    set -- python3 "$@"
fi
for program in apptainer singularity; do
    if command -v "$program" > /dev/null; then
        gpus=()
        [ -e /dev/nvidiactl ] && gpus=(--nv)
        exec "$program" exec "${{gpus[@]}}" --bind {shared} --pwd "$PWD" {image} "$@"
    fi
done
if srun --help 2> /dev/null | grep -q -e --container-image; then
    exec srun --ntasks=1 --container-image={plain} --container-mounts={shared}:{shared} \\
        --container-workdir="$PWD" "$@"
fi
echo "trialjob: backend.container needs apptainer, singularity or pyxis, and this node has none" >&2
failed container 127"""


def _contained(image: str, shared: Path) -> str:
    return _CONTAINED.format(
        image=shlex.quote(image),
        plain=shlex.quote(image.removeprefix("docker://")),
        shared=shlex.quote(str(shared)),
    )
