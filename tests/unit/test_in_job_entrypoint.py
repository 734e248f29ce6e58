from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trialjob.in_job import code_setup, command_line, entrypoint, variables
from trialjob.in_job.code_setup import SetupError, unpack

PYTHONS = [Path(sys.executable), *sorted(Path.home().glob(".pyenv/versions/3.8.*/bin/python"))[-1:]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "ml"
    entrypoint.lay_out(root)
    (root / "input" / "config").mkdir()
    return root


def config(root: Path, name: str, content: object) -> None:
    (root / "input" / "config" / f"{name}.json").write_text(json.dumps(content))


def bundle(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path


# Hyperparameters and arguments


def test_values_are_the_json_in_their_text_and_other_text_stands_for_itself(root: Path) -> None:
    config(
        root,
        "hyperparameters",
        {
            "lr": "0.1",
            "name": '"adam"',
            "raw": "adam",
            "on": "true",
            "layers": "[1, 2]",
            "odd": "NaN",
            "n": "null",
        },
    )
    assert entrypoint.hyperparameters(root) == {
        "lr": 0.1, "name": "adam", "raw": "adam", "on": True, "layers": [1, 2], "odd": "NaN", "n": None,
    }  # fmt: skip


def test_code_is_unpacked_by_patch_releases_of_python_that_have_no_filters_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As that of Debian 12, 3.11.2.
    monkeypatch.delattr(tarfile, "data_filter")
    new = tarfile.TarFile.extractall

    def old(self: tarfile.TarFile, path: Path, members: list[tarfile.TarInfo] | None = None) -> None:
        new(self, path, members, filter="fully_trusted")

    monkeypatch.setattr(tarfile.TarFile, "extractall", old)
    (tmp_path / "train.py").write_text("pass")
    with tarfile.open(tmp_path / "code.tar.gz", "w:gz") as packed:
        packed.add(tmp_path / "train.py", "train.py")
    unpack(tmp_path / "code.tar.gz", tmp_path / "code")
    assert (tmp_path / "code" / "train.py").read_text() == "pass"


def test_nothing_else_asks_for_filters() -> None:
    house = Path(code_setup.__file__).parents[1]
    asking = [path for path in house.rglob("*.py") if "extractall(" in path.read_text(encoding="utf-8")]
    assert asking == [Path(code_setup.__file__)]


def test_arguments_are_sorted_and_written_for_argparse() -> None:
    values = {
        "z": -0.5,
        "b": "text",
        "a": True,
        "none": None,
        "l": [1, "x"],
        "d": {"k": 1},
        "s": "",
        "m": "--x",
    }
    assert command_line.arguments(values) == [
        "--a", "True", "--b", "text", "--d", '{"k": 1}', "--l", '[1, "x"]', "--m=--x", "--s", "", "--z=-0.5",
    ]  # fmt: skip


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.text() | st.floats(allow_nan=False, allow_infinity=False))
)
def test_argparse_reads_back_what_was_given(values: dict[str, str | float]) -> None:
    parser = argparse.ArgumentParser()
    for name in "abcdef":
        parser.add_argument(f"--{name}")
    told = vars(parser.parse_args(command_line.arguments(values)))
    assert {name: text for name, text in told.items() if text is not None} == {
        name: command_line.text_of(value) for name, value in values.items()
    }


def test_a_config_that_is_no_json_is_named(root: Path) -> None:
    (root / "input" / "config" / "hyperparameters.json").write_text("{")
    with pytest.raises(SetupError, match=r"hyperparameters\.json"):
        entrypoint.hyperparameters(root)


# Environment


def test_the_environment_is_that_of_the_training_toolkit(root: Path) -> None:
    config(root, "hyperparameters", {"lr": "0.1", "batch-size": "32"})
    config(root, "resourceconfig", {"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]})
    config(root, "inputdataconfig", {"train": {}, "test": {}})
    found = entrypoint.environment(
        root, {"KEPT": "yes", "CUDA_VISIBLE_DEVICES": "0,3", "PYTHONPATH": "/mine"}
    )
    expected = {
        "KEPT": "yes",
        "SM_HPS": '{"batch-size": 32, "lr": 0.1}',
        "SM_HP_LR": "0.1",
        "SM_HP_BATCH-SIZE": "32",
        "SM_USER_ARGS": '["--batch-size", "32", "--lr", "0.1"]',
        "SM_CHANNELS": '["test", "train"]',
        "SM_CHANNEL_TRAIN": f"{root}/input/data/train",
        "SM_CHANNEL_TEST": f"{root}/input/data/test",
        "SM_MODEL_DIR": f"{root}/model",
        "SM_OUTPUT_DIR": f"{root}/output",
        "SM_OUTPUT_DATA_DIR": f"{root}/output/data",
        "SM_INPUT_DIR": f"{root}/input",
        "SM_INPUT_CONFIG_DIR": f"{root}/input/config",
        "SM_NUM_GPUS": "2",
        "SM_HOSTS": '["algo-1", "algo-2"]',
        "SM_CURRENT_HOST": "algo-2",
        "TRIALJOB_CHECKPOINT_DIR": f"{root}/checkpoints",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": f"{root}/code:{root}/shim:/mine",
    }
    assert {name: found.get(name) for name in expected} == expected
    assert int(found["SM_NUM_CPUS"]) >= 1
    told = json.loads(found["SM_TRAINING_ENV"])
    assert told["hyperparameters"] == {"lr": 0.1, "batch-size": 32}
    assert told["channel_input_dirs"]["train"] == found["SM_CHANNEL_TRAIN"]


#: What the toolkit's ``Environment().to_env_vars()`` has, in its version 5.1.4, of a job without topology.
TOOLKIT = [
    "SM_CHANNELS",
    "SM_CURRENT_HOST",
    "SM_CURRENT_INSTANCE_GROUP",
    "SM_CURRENT_INSTANCE_GROUP_HOSTS",
    "SM_CURRENT_INSTANCE_TYPE",
    "SM_DISTRIBUTION_INSTANCE_GROUPS",
    "SM_FRAMEWORK_MODULE",
    "SM_FRAMEWORK_PARAMS",
    "SM_HOSTS",
    "SM_HPS",
    "SM_INPUT_CONFIG_DIR",
    "SM_INPUT_DATA_CONFIG",
    "SM_INPUT_DIR",
    "SM_INSTANCE_GROUPS",
    "SM_INSTANCE_GROUPS_DICT",
    "SM_IS_HETERO",
    "SM_LOG_LEVEL",
    "SM_MODEL_DIR",
    "SM_MODULE_DIR",
    "SM_MODULE_NAME",
    "SM_NETWORK_INTERFACE_NAME",
    "SM_NUM_CPUS",
    "SM_NUM_GPUS",
    "SM_NUM_NEURONS",
    "SM_OUTPUT_DATA_DIR",
    "SM_OUTPUT_DIR",
    "SM_OUTPUT_INTERMEDIATE_DIR",
    "SM_RESOURCE_CONFIG",
    "SM_TRAINING_ENV",
    "SM_USER_ARGS",
    "SM_USER_ENTRY_POINT",
]
#: And what the drivers of the SDK v3 write into sm_training.env besides.
DRIVERS = [
    "SM_CURRENT_HOST_RANK",
    "SM_ENTRY_SCRIPT",
    "SM_HOST_COUNT",
    "SM_INPUT_DATA_DIR",
    "SM_MASTER_ADDR",
    "SM_MASTER_PORT",
    "SM_OUTPUT_FAILURE",
    "SM_SOURCE_DIR",
]


def test_every_variable_of_the_toolkit_and_of_the_drivers_is_there(root: Path) -> None:
    resource = {
        "current_host": "algo-2",
        "hosts": ["algo-1", "algo-2"],
        "network_interface_name": "eth1",
        "current_instance_type": "ml.g5.xlarge",
        "current_group_name": "gpus",
        "instance_groups": [
            {"instance_group_name": "gpus", "instance_type": "ml.g5.xlarge", "hosts": ["algo-1", "algo-2"]}
        ],
    }
    config(root, "resourceconfig", resource)
    config(root, "inputdataconfig", {"train": {"TrainingInputMode": "File"}})
    found = entrypoint.environment(
        root, {"TRAINING_JOB_NAME": "j-1", "AWS_REGION": "eu-west-1"}, "pkg/train.py"
    )
    assert [name for name in (*TOOLKIT, *DRIVERS) if name not in found] == []
    expected = {
        "SM_NETWORK_INTERFACE_NAME": "eth1",
        "SM_RESOURCE_CONFIG": json.dumps(resource),
        "SM_INPUT_DATA_CONFIG": '{"train": {"TrainingInputMode": "File"}}',
        "SM_CURRENT_INSTANCE_TYPE": "ml.g5.xlarge",
        "SM_CURRENT_INSTANCE_GROUP": "gpus",
        "SM_CURRENT_INSTANCE_GROUP_HOSTS": '["algo-1", "algo-2"]',
        "SM_INSTANCE_GROUPS": '["gpus"]',
        "SM_IS_HETERO": "false",
        "SM_USER_ENTRY_POINT": "pkg/train.py",
        "SM_MODULE_NAME": "pkg/train",
        "SM_MODULE_DIR": f"{root}/code",
        "SM_FRAMEWORK_MODULE": "",
        "SM_LOG_LEVEL": "20",
        "SM_NUM_NEURONS": "0",
        "SM_OUTPUT_INTERMEDIATE_DIR": f"{root}/output/intermediate",
        "SM_MASTER_ADDR": "algo-1",
        "SM_HOST_COUNT": "2",
        "SM_CURRENT_HOST_RANK": "1",
        "SAGEMAKER_REGION": "eu-west-1",
        "SAGEMAKER_BASE_DIR": str(root),
        "CURRENT_HOST": "algo-2",
    }
    assert {name: found[name] for name in expected} == expected
    account = json.loads(found["SM_TRAINING_ENV"])
    assert (account["job_name"], account["is_master"], account["master_hostname"]) == ("j-1", False, "algo-1")


def test_in_a_container_the_tree_and_the_port_are_the_usual_ones() -> None:
    found = entrypoint.environment(Path("/opt/ml"), {})
    assert "SAGEMAKER_BASE_DIR" not in found
    assert found["SM_MASTER_PORT"] == "7777"


def test_variables_have_json_whatever_arguments_have(root: Path) -> None:
    values = {"on": True, "off": False, "none": None, "text": "a b", "batch-size": [1, "x"], "d": {"k": None}}
    config(root, "hyperparameters", {name: json.dumps(value) for name, value in values.items()})
    found = entrypoint.environment(root, {})
    assert {name: text for name, text in found.items() if name.startswith("SM_HP_")} == {
        "SM_HP_ON": "true", "SM_HP_OFF": "false", "SM_HP_NONE": "", "SM_HP_TEXT": "a b",
        "SM_HP_D": '{"k": null}', "SM_HP_BATCH-SIZE": '[1, "x"]', "SM_HP_BATCH_SIZE": '[1, "x"]',
    }  # fmt: skip


@pytest.mark.parametrize("python", PYTHONS, ids=lambda path: path.parts[-3])
def test_more_values_than_a_variable_holds_are_read_from_a_file(root: Path, python: Path) -> None:
    values = {f"p{number}": "ü" * 3000 for number in range(50)}
    config(root, "hyperparameters", {name: json.dumps(value) for name, value in values.items()})
    script = (
        "import os, sys\nfrom trialjob.reporting import get_context\n"
        "values = get_context().hyperparameters\n"
        "assert len(values) == 50 and values['p7'] == sys.argv[2] == os.environ['SM_HP_P7']\n"
        "assert 'SM_HPS' not in os.environ and 'SM_MODEL_DIR' in os.environ\nprint('ran')"
    )
    (root / "code" / "train.py").write_text(script, encoding="utf-8")
    with run(root, python, "--entry-point", "train.py") as child:
        said = child.communicate()[0]
    assert said.endswith("ran\n"), said
    assert "SM_HPS, SM_USER_ARGS, SM_TRAINING_ENV are longer" in said


@pytest.mark.parametrize("text", ["short", "x" * 140_000])
def test_values_are_never_those_of_the_job_around_it(root: Path, text: str) -> None:
    outer = root / "outer.json"
    outer.write_text('{"lr": 9}')
    config(root, "hyperparameters", {"lr": "0.1", "text": json.dumps(text)})
    around = dict.fromkeys(("SM_HPS", "SM_TRAINING_ENV", "SM_USER_ARGS"), '{"lr": 9}')
    found = entrypoint.environment(root, {**around, "TRIALJOB_VALUES_FILE": str(outer)})
    place = found.get("TRIALJOB_VALUES_FILE")
    assert json.loads(Path(place).read_text() if place else found["SM_HPS"]) == {"lr": 0.1, "text": text}
    assert not {'{"lr": 9}', str(outer)}.intersection(found.values())


def test_a_value_that_is_not_active_is_in_no_variable_of_the_images_toolkit(root: Path) -> None:
    (root / "code" / "train.py").write_text(
        "import os\nprint('SM_HP_MOMENTUM' in os.environ, os.environ['SM_HP_LR'])\n"
        "from trialjob.reporting import get_context, report\n"
        "report(acc=0.5)\nassert not get_context().resumes"
    )
    place = root.parent / "hosted"
    place.mkdir()
    for name in ("entrypoint.py", *entrypoint.SHIPPED):
        shutil.copy(Path(entrypoint.__file__).with_name(name), place)
    codec = [
        {"name": "opt", "how": "listed", "texts": ["adam", "sgd"], "values": ["adam", "sgd"]},
        {"name": "lr", "how": "uniform", "numbers": [0, 10]},
        {"name": "momentum", "how": "uniform", "numbers": [0, 10], "when": [["opt", "sgd"]]},
    ]
    facts = {"entry_point": "train.py", "dialect": "sdk-v2", "words": [], "constants": {}, "codec": codec}
    (place / "hosted.json").write_text(json.dumps(facts))
    bundle(place / "bundle.tar.gz", {})
    config(root, "hyperparameters", {"opt": "adam", "lr": "0.5", "momentum": "0.7"})
    toolkit = {
        "SM_HP_LR": "0.5", "SM_HP_MOMENTUM": "0.7", "TRAINING_JOB_NAME": "x-001-ab",
        "TRIALJOB_RUNNING_BEST": "max:acc",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(place / "hosted.py")],
        env={**os.environ, **toolkit, entrypoint.ML_ROOT: str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("False 5.0\n[trialjob]"), done.stderr
    assert done.returncode == 0, done.stderr
    # Beside the script's own folder of checkpoints: with spot, the service brings it back.
    assert (root / "checkpoints" / "x-001-ab.best").read_text() == "0.5"


def test_what_is_too_long_for_the_machine_is_said_without_its_text(root: Path) -> None:
    config(root, "hyperparameters", {"blob": json.dumps("x" * 200_000)})
    (root / "code" / "train.py").touch()
    with pytest.raises(SetupError, match="200000 of them in") as caught:
        entrypoint.start(root, "train.py", sys.executable, dict(os.environ))
    assert len(str(caught.value)) < 400


# The interpreter


def interpreter(folder: Path, name: str = "python") -> Path:
    folder.mkdir(parents=True)
    (folder / name).write_text(f"#!/bin/sh\necho {folder.name}\n")
    (folder / name).chmod(0o755)
    return folder / name


def which(path: str, name: str) -> str:
    return subprocess.run(
        [name], env={"PATH": path}, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_shell_script_finds_the_interpreter_first(root: Path, tmp_path: Path) -> None:
    other, mine = interpreter(tmp_path / "other"), interpreter(tmp_path / "mine", "python3.9")
    for path in (f"{other.parent}:/usr/bin:/bin", f"{other.parent}:{mine.parent}:/bin", "/bin"):
        found = variables.path_with(str(mine), path, root / "bin")
        assert {which(found, name) for name in ("python", "python3")} == {"mine"}
    # By its name, and where it is first anyway, nothing changes.
    (other.parent / "python3").symlink_to(other)
    path = f"{other.parent}:/bin"
    assert variables.path_with("python", path, root / "bin") == path
    assert variables.path_with("no-such-python", path, root / "bin") == path


def test_a_virtual_environment_stays_one_in_a_shell_script(root: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    (root / "code" / "train.sh").write_text(
        "python -c 'import sys; print(sys.prefix)'\npython3 -c 'print(1)'\n"
    )
    with run(
        root, PYTHONS[0], "--entry-point", "train.sh", "--python", str(home / "bin" / "python3")
    ) as child:
        assert child.communicate()[0] == f"{home}\n1\n"


def test_an_empty_tree_has_an_environment_too(root: Path) -> None:
    found = entrypoint.environment(root, {"CUDA_VISIBLE_DEVICES": ""})
    assert (found["SM_HPS"], found["SM_CHANNELS"], found["SM_NUM_GPUS"]) == ("{}", "[]", "0")
    assert (found["SM_CURRENT_HOST"], found["SM_HOSTS"]) == ("algo-1", '["algo-1"]')


# Bundles


@pytest.mark.parametrize("filtered", [True, False])
@pytest.mark.parametrize(
    ("name", "link"),
    [("../out", ""), ("/out", ""), ("a/../../out", ""), ("link", "../out"), ("link", "/etc/passwd")],
)
def test_an_archive_that_leads_outside_is_refused(
    tmp_path: Path, name: str, link: str, *, filtered: bool
) -> None:
    info = tarfile.TarInfo(name)
    if link:
        info.type, info.linkname = tarfile.SYMTYPE, link
    if not filtered:
        with pytest.raises(tarfile.ReadError, match="outside"):
            code_setup._checked(info)
        return
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as archive:
        archive.addfile(info)
    if name == "/out":  # the filter makes it relative
        code_setup.unpack(tmp_path / "b.tar.gz", tmp_path / "x" / "code")
    else:
        with pytest.raises(SetupError, match=r"b\.tar\.gz"):
            code_setup.unpack(tmp_path / "b.tar.gz", tmp_path / "x" / "code")
    assert not (tmp_path / "x" / "out").exists()
    assert not (tmp_path / "out").exists()


def test_harmless_members_pass_and_devices_do_not() -> None:
    link = tarfile.TarInfo("a/link")
    link.type, link.linkname = tarfile.SYMTYPE, "../b"
    assert code_setup._checked(link) is link
    device = tarfile.TarInfo("fifo")
    device.type = tarfile.FIFOTYPE
    with pytest.raises(tarfile.ReadError, match="device"):
        code_setup._checked(device)


# As a container's entry point


def run(root: Path, python: Path, *more: str) -> subprocess.Popen[str]:
    """Runs the file where it would be in a container, away from our package."""
    place = root.parent / "in_job"
    place.mkdir(exist_ok=True)
    for name in ("entrypoint.py", *entrypoint.SHIPPED):
        shutil.copy(Path(entrypoint.__file__).with_name(name), place)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    line = [str(python), "-S", str(place / "entrypoint.py"), "--root", str(root), *more]
    return subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**clean, "TRAINING_JOB_NAME": "j-1"},
    )


@pytest.mark.parametrize("python", PYTHONS, ids=lambda path: path.parts[-3])
def test_a_container_runs_the_bundle(root: Path, python: Path) -> None:
    config(root, "hyperparameters", {"lr": "0.1"})
    script = (
        "import sys, os\nfrom trialjob.reporting import report\nreport(lr=float(sys.argv[2]))\nsys.exit(3)"
    )
    archive = bundle(root.parent / "b.tar.gz", {"pkg/train.py": script})
    with run(root, python, "--bundle", str(archive), "--entry-point", "pkg/train.py") as child:
        assert child.communicate()[0] == '[trialjob] {"seq":1,"metrics":{"lr":0.1}}\n'
    assert child.returncode == 3
    assert (root / "output" / "failure").read_text() == "pkg/train.py ended with exit status 3"


def test_what_0_1_0_pickled_is_found_by_its_place_of_then(root: Path) -> None:
    (root / "code" / "train.py").write_text(
        "from trialjob.reporting import get_context, report\n"
        "from trialjob.reporting.in_job import context, report as place\n"
        "print(place.report is report, context.get_context is get_context, report.__module__)\n"
    )
    with run(root, PYTHONS[0], "--entry-point", "train.py") as child:
        assert child.communicate()[0] == "True True trialjob.in_job.report\n"


def test_a_container_without_its_script_says_so(root: Path) -> None:
    with run(root, PYTHONS[0], "--entry-point", "train.py") as child:
        assert "'train.py' is not in the bundle" in child.communicate()[0]
    assert child.returncode == 1
    assert "'train.py' is not in the bundle" in (root / "output" / "failure").read_text()


def test_a_failure_that_the_script_has_written_is_kept_and_a_long_one_is_cut(root: Path) -> None:
    entrypoint.write_failure(root, "ü" * 5000)
    entrypoint.write_failure(root, "another")
    assert (root / "output" / "failure").read_text() == "ü" * entrypoint.FAILURE_LENGTH


@pytest.mark.parametrize("catches", [True, False])
def test_sigterm_reaches_the_script_at_once(root: Path, *, catches: bool) -> None:
    script = "import signal, sys, time\n"
    if catches:
        script += "signal.signal(signal.SIGTERM, lambda *_: (print('saved'), sys.exit(0)))\n"
    (root / "code" / "train.py").write_text(script + "print('up')\ntime.sleep(600)")
    with run(root, PYTHONS[0], "--entry-point", "train.py") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        child.send_signal(signal.SIGTERM)
        rest = child.stdout.read()
    assert (rest, child.returncode) == (
        ("saved\n", 0) if catches else ("[trialjob-cut]\n", 128 + signal.SIGTERM)
    )


def test_requirements_are_installed_only_when_asked(root: Path) -> None:
    (root / "code" / "requirements.txt").write_text("./no-such-package\n")
    (root / "code" / "train.py").write_text("print('ran')")
    with run(root, PYTHONS[0], "--entry-point", "train.py") as child:
        assert child.communicate()[0] == "ran\n"
    with pytest.raises(SetupError, match=r"requirements\.txt could not be installed"):
        code_setup.install_requirements(root, sys.executable)


# What is printed


def pieces(root: Path, python: Path, script: str) -> list[bytes]:
    """What each write of a script's brought."""
    (root / "code" / "train.py").write_text(script)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = entrypoint.environment(
        root, {"PATH": os.defpath, "PYTHONPATH": f"{root}/outer:{root}/mine"}
    )
    with ours, theirs:
        subprocess.run(
            [python, "train.py"],
            cwd=root / "code",
            env=environment,
            stdout=theirs.fileno(),
            stderr=theirs.fileno(),
            check=True,
        )
        theirs.close()
        return [*iter(lambda: ours.recv(1 << 16), b"")]


@pytest.mark.parametrize("python", PYTHONS, ids=lambda path: path.parts[-3])
def test_a_line_is_written_in_one_piece(root: Path, python: Path) -> None:
    script = (
        "import sys\nfor file in (sys.stdout, sys.stderr): print(7, 0.93, file=file)\nprint('a\\rb', end='')"
    )
    assert pieces(root, python, script) == [b"7 0.93\n", b"7 0.93\n", b"a\rb"]


@pytest.mark.parametrize("python", PYTHONS, ids=lambda path: path.parts[-3])
def test_somebody_elses_sitecustomize_runs_too(root: Path, python: Path) -> None:
    (root / "mine").mkdir()
    (root / "mine" / "sitecustomize.py").write_text("place = __file__\nprint('mine', 1)\n")
    # A job of a job has two of ours on its path.
    shutil.copytree(root / "shim", root / "outer")
    found = pieces(root, python, "import sitecustomize\nprint(sitecustomize.place)")
    assert found == [b"mine 1\n", f"{root}/mine/sitecustomize.py\n".encode()]


ATTENDS = """
import os, signal, subprocess, sys, threading, time
from trialjob.in_job.init_process import Attendant

attend = Attendant()
attend.listen()
started = "import time; print(flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", started], stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()


def ask():
    time.sleep(0.5)  # by then the child is waited for
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(600)


threading.Thread(target=ask, daemon=True).start()
attend.to(child)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # so the other thread takes it
sys.exit(-attend.until_end())
"""


def test_a_signal_that_does_not_break_off_the_wait_is_heard(root: Path) -> None:
    """One that another thread takes, or that comes just before the wait, does not."""
    (root / "attends.py").write_text(ATTENDS)
    done = subprocess.run([sys.executable, str(root / "attends.py")], timeout=60, check=False)
    assert done.returncode == signal.SIGTERM
