"""The scripts of a job: what sbatch is given, what starts several tasks, what is done before each of them.

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


def step_script(folder: Path, *, nodes: int, tasks_per_node: int, cpus_per_task: int | None) -> str:
    """``step.sh``, which starts the program it is given in every task of every node; "" for a single one."""
    if nodes * tasks_per_node == 1:
        return ""
    counts = [f"--nodes={nodes}", f"--ntasks={nodes * tasks_per_node}", f"--ntasks-per-node={tasks_per_node}"]
    if cpus_per_task is not None:  # a step does not take it from its job
        counts.append(f"--cpus-per-task={cpus_per_task}")
    return _STEP.format(
        counts=" ".join(counts),
        log=shlex.quote(str(folder / "log")),
        said=shlex.quote(str(folder / "slurm.out")),
    )


#: On the first node, where the log's other writers are, a task writes into it itself: srun tears long lines.
#: One task that fails ends all of them; one that has done its part waits for the others.
_STEP = """\
#!/bin/bash
exec srun {counts} --export=ALL --input=none --kill-on-bad-exit=1 --wait=0 --quiet bash -c '
[ "$SLURM_NODEID" != 0 ] || exec >> "$1"
exec 2>&1
export PET_NODE_RANK="$SLURM_NODEID"
shift
exec "$@"' task {log} "$@" 2>> {said}
"""

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
if [ -z "${{PET_NODE_RANK:-}}" ] && srun --help 2> /dev/null | grep -q -e --container-image; then
    exec srun --ntasks=1 --container-image={plain} --container-mounts={shared}:{shared} \\
        --container-workdir="$PWD" "$@"
fi
echo "trialjob: backend.container needs apptainer, singularity or (for a single task) pyxis; none is here" >&2
failed container 127"""


def _contained(image: str, shared: Path) -> str:
    return _CONTAINED.format(
        image=shlex.quote(image),
        plain=shlex.quote(image.removeprefix("docker://")),
        shared=shlex.quote(str(shared)),
    )
