"""The variables that a training script finds: those of SageMaker's training toolkit and of its SDK's drivers.

Both write text as it is and everything else as JSON, whatever they write into arguments. Where they differ in
a name, a script finds both.

Rule: standard library only, Python 3.8, nothing of ours, because a container runs it beside the entrypoint.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Where the tree is in a container.
PLACE = "/opt/ml"
#: Linux takes no longer string as an argument or a variable, its name and its end included (MAX_ARG_STRLEN).
LONGEST = 131_072
#: Names the file with the values when no variable can hold all of them.
VALUES_FILE_VARIABLE = "TRIALJOB_VALUES_FILE"
#: Which variables have all values; one that is left out must not be found as another launcher has set it.
WITH_ALL_VALUES = (VALUES_FILE_VARIABLE, "SM_HPS", "SM_USER_ARGS", "SM_TRAINING_ENV")
#: The port that the SDK's drivers name; several trials of one machine need one each.
_MASTER_PORT = 7777
#: What the toolkit calls the only group of instances there is.
_GROUP = "homogeneousCluster"
#: The folders of the tree, by the names that the toolkit has for them.
_FOLDERS = {
    "input_dir": "input",
    "input_config_dir": "input/config",
    "input_data_dir": "input/data",
    "model_dir": "model",
    "output_dir": "output",
    "output_data_dir": "output/data",
    "output_intermediate_dir": "output/intermediate",
    "module_dir": "code",
}
#: What the toolkit puts into variables of its account of the training, by the names that it has there.
_NAMES = {
    "hyperparameters": "hps",
    "additional_framework_parameters": "framework_params",
    **{
        name: name
        for name in (
            "hosts", "network_interface_name", "user_entry_point", "resource_config", "input_data_config",
            "output_data_dir", "current_host", "current_instance_type", "current_instance_group",
            "current_instance_group_hosts", "instance_groups", "instance_groups_dict",
            "distribution_instance_groups", "is_hetero", "module_name", "log_level", "framework_module",
            "input_dir", "input_config_dir", "input_data_dir", "output_dir", "num_cpus", "num_gpus",
            "num_neurons", "model_dir", "module_dir", "output_intermediate_dir", "master_addr", "master_port",
        )
    },
}  # fmt: skip


def text_of(value: object) -> str:
    """A value in a variable: text as it is, nothing for None, else JSON."""
    if isinstance(value, str) or value is None:
        return value or ""
    return json.dumps(value)


def names_of(name: str) -> tuple[str, ...]:
    """The variables of one hyperparameter: as the toolkit has it, and as a shell and the SDK's drivers do."""
    plain = f"SM_HP_{name.upper()}"
    return tuple(dict.fromkeys((plain, plain.replace("-", "_"))))


def variables(
    root: Path,
    base: Mapping[str, str],
    *,
    values: Mapping[str, Any],
    resource: Mapping[str, Any],
    inputs: Mapping[str, Any],
    entry_point: str,
    user_args: list[str],
) -> dict[str, str]:
    """The script's variables, beside ``base``, for the tree in ``root``."""
    training = _training(root, base, values=values, resource=resource, inputs=inputs, entry_point=entry_point)
    found = {f"SM_{name.upper()}": text_of(training[key]) for key, name in _NAMES.items()}
    hosts = sorted(training["hosts"])
    found.update(
        SM_CHANNELS=json.dumps(sorted(inputs)),
        SM_USER_ARGS=json.dumps(user_args),
        SM_TRAINING_ENV=json.dumps(training),
        SM_OUTPUT_FAILURE=str(root / "output" / "failure"),
        SM_SOURCE_DIR=training["module_dir"],
        SM_ENTRY_SCRIPT=entry_point,
        SM_HOST_COUNT=str(len(hosts)),
        SM_CURRENT_HOST_RANK=str(host_rank(hosts, training["current_host"])),
        # The toolkit itself looks for these, and leaves them to the script.
        CURRENT_HOST=training["current_host"],
        SAGEMAKER_JOB_NAME=training["job_name"],
        SAGEMAKER_REGION=base.get("AWS_REGION") or base.get("AWS_DEFAULT_REGION") or "",
        SAGEMAKER_PROGRAM=entry_point,
        SAGEMAKER_SUBMIT_DIRECTORY=training["module_dir"],
    )
    if str(root) != PLACE:
        found["SAGEMAKER_BASE_DIR"] = str(root)
    found.update(
        {f"SM_CHANNEL_{name.upper()}": path for name, path in training["channel_input_dirs"].items()}
    )
    for name, value in values.items():
        found.update(dict.fromkeys(names_of(name), text_of(value)))
    return _narrow(root, found, values)


def _narrow(root: Path, found: dict[str, str], values: Mapping[str, Any]) -> dict[str, str]:
    """``found`` without what no variable can hold; the values are in a file then."""
    wide = [name for name, text in found.items() if len(os.fsencode(name + text)) + 2 > LONGEST]
    if not wide:
        return found
    place = root / "values.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(values), encoding="utf-8")
    sys.stderr.write(
        "trialjob: {} longer than a variable may be, and left out; the values are in {}\n".format(
            ", ".join(wide) + (" is" if len(wide) == 1 else " are"), place
        )
    )
    kept = {name: text for name, text in found.items() if name not in wide}
    return {**kept, VALUES_FILE_VARIABLE: str(place)}


def _training(
    root: Path,
    base: Mapping[str, str],
    *,
    values: Mapping[str, Any],
    resource: Mapping[str, Any],
    inputs: Mapping[str, Any],
    entry_point: str,
) -> dict[str, Any]:
    """The toolkit's whole account of a training, with what the SDK's drivers add to it."""
    host = resource.get("current_host", "algo-1")
    hosts = resource.get("hosts", [host])
    return {
        "hyperparameters": dict(values),
        "additional_framework_parameters": {},
        "channel_input_dirs": {name: str(root / "input" / "data" / name) for name in sorted(inputs)},
        "input_data_config": dict(inputs),
        **{name: str(root / below) for name, below in _FOLDERS.items()},
        "module_name": re.sub(r"[.]py$", "", entry_point),
        "user_entry_point": entry_point,
        "framework_module": None,
        "current_host": host,
        "hosts": hosts,
        "master_hostname": min(hosts),
        "is_master": host == min(hosts),
        "master_addr": min(hosts),
        "master_port": _MASTER_PORT if str(root) == PLACE else _free_port(),
        "network_interface_name": resource.get("network_interface_name", "eth0"),
        "num_cpus": _cpus(),
        "num_gpus": _gpus(base),
        "num_neurons": _neurons(),
        "log_level": int(base.get("SM_LOG_LEVEL") or 20),
        "job_name": base.get("TRAINING_JOB_NAME", ""),
        "resource_config": dict(resource),
        "topology": resource.get("topology", []),
        "is_modelparallel_enabled": None,
        "is_smddpmprun_installed": False,
        "is_smddprun_installed": False,
        **_groups(resource, hosts),
    }


def _groups(resource: Mapping[str, Any], hosts: list[str]) -> dict[str, Any]:
    groups = {group["instance_group_name"]: group for group in resource.get("instance_groups", [])}
    present = resource.get("current_group_name", _GROUP)
    return {
        "current_instance_type": resource.get("current_instance_type", "local"),
        "current_instance_group": present,
        "current_instance_group_hosts": groups.get(present, {}).get("hosts", []),
        "instance_groups": list(groups),
        "instance_groups_dict": groups,
        "distribution_instance_groups": [],
        "distribution_hosts": [] if groups else list(hosts),
        "is_hetero": len(groups) > 1,
    }


def host_rank(hosts: list[str], host: str) -> int:
    """Which of the hosts this is."""
    return sorted(hosts).index(host) if host in hosts else 0


def local_resources() -> dict[str, Any]:
    """What this machine says of itself where the service would have written it."""
    group = {"instance_group_name": _GROUP, "instance_type": "local", "hosts": ["algo-1"]}
    return {
        "current_host": "algo-1",
        "current_instance_type": "local",
        "current_group_name": _GROUP,
        "hosts": ["algo-1"],
        "instance_groups": [group],
        "network_interface_name": "lo",
    }


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port = asked.getsockname()[1]
    return int(port)


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gpus(base: Mapping[str, str]) -> int:
    """How many GPUs the script will see."""
    if "CUDA_VISIBLE_DEVICES" in base:
        return len([gpu for gpu in base["CUDA_VISIBLE_DEVICES"].split(",") if gpu.strip() not in ("", "-1")])
    return sum(line.startswith(b"GPU ") for line in _said_by("nvidia-smi", "-L").splitlines())


def _neurons() -> int:
    """How many cores of AWS's accelerators there are."""
    try:
        return sum(int(chip.get("nc_count", 0)) for chip in json.loads(_said_by("neuron-ls", "-j") or b"[]"))
    except (AttributeError, TypeError, ValueError):
        return 0


def _said_by(name: str, *words: str) -> bytes:
    program = shutil.which(name)
    if program is None:
        return b""
    try:
        return subprocess.run([program, *words], capture_output=True, timeout=30, check=False).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return b""


def path_with(python: str, path: str, folder: Path) -> str:
    """``path`` (as PATH has it), on which ``python`` and ``python3`` are this interpreter.

    Its own folder comes first, unless it is on the path already, whose order is the user's. What that does
    not do, scripts in ``folder`` do: a link to the interpreter would lose its virtual environment.
    """
    program = shutil.which(python, path=path)
    if program is None:
        return path
    here = Path(program).absolute()
    if str(here.parent) not in path.split(os.pathsep):
        path = os.pathsep.join(part for part in (str(here.parent), path) if part)
    names = [name for name in ("python", "python3") if not _is_found(here, name, path)]
    for name in names:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f'#!/bin/sh\nexec {shlex.quote(str(here))} "$@"\n', encoding="utf-8")
        (folder / name).chmod(0o755)
    return os.pathsep.join((str(folder), path)) if names else path


def _is_found(python: Path, name: str, path: str) -> bool:
    """Whether ``name`` is this interpreter; by its folder too, which makes a virtual environment."""
    found = shutil.which(name, path=path)
    return found is not None and Path(found).parent == python.parent and Path(found).samefile(python)
