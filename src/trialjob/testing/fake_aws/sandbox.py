"""The files of one container: ``/opt/ml`` in a folder of its own, filled from S3 and emptied into it.

A program finds the folder in the environment variable ``TRIALJOB_ML_ROOT``; where that is absent, in a real
container, the root is ``/opt/ml``.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trialjob.in_job.code_setup import unpack
from trialjob.model.s3 import S3Address
from trialjob.testing.fake_aws.job import Job
from trialjob.testing.fake_aws.world import World

ML_ROOT = "TRIALJOB_ML_ROOT"
OPT_ML = "/opt/ml"


@dataclass(slots=True, kw_only=True)
class Sandbox:
    #: What stands for ``/opt/ml``.
    root: Path
    job: Job
    world: World
    #: Checkpoint files that S3 has, by key: size and time of change.
    _saved: dict[str, tuple[int, int]] = field(default_factory=dict)
    _syncing: threading.Lock = field(default_factory=threading.Lock)

    def fill(self) -> None:
        """Lay the folders out and fetch what the job reads."""
        for folder in ("input/config", "input/data", "model", "output/data", "checkpoints", "code"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        request = self.job.request
        channels = request.get("InputDataConfig", [])
        values = request.get("HyperParameters", {})
        self._config("hyperparameters", {name: self.inside(text) for name, text in values.items()})
        self._config("inputdataconfig", {c["ChannelName"]: {"TrainingInputMode": "File"} for c in channels})
        hosts = [f"algo-{number}" for number in range(1, self.job.instances + 1)]
        self._config(
            "resourceconfig",
            {
                "current_host": hosts[0],
                "current_instance_type": self.job.instance_type,
                "hosts": hosts,
                "network_interface_name": "lo",
            },
        )
        for channel in channels:
            # A file system that is mounted is an empty one.
            (self.root / "input" / "data" / channel["ChannelName"]).mkdir(exist_ok=True)
            source = channel["DataSource"].get("S3DataSource")
            if source is not None:
                self._fetch(source["S3Uri"], self.root / "input" / "data" / channel["ChannelName"])
        if program := self._toolkit_program:
            archive = json.loads(values["sagemaker_submit_directory"])
            self._fetch(archive, self.root / "code")
            self._unpack(self.root / "code" / archive.rpartition("/")[2], program)
        if self.checkpoint_uri:
            self._fetch(self.checkpoint_uri, self.checkpoints)
            self._saved = dict(self._checkpoint_files())

    @property
    def _toolkit_program(self) -> str:
        """What the training toolkit of AWS's images would start; "" where an image has its own ``train``."""
        own = shutil.which("train") is not None
        asked = not own and "ContainerEntrypoint" not in self.job.request["AlgorithmSpecification"]
        program = self.job.request.get("HyperParameters", {}).get("sagemaker_program", "")
        return str(json.loads(program)) if asked and program else ""

    def _unpack(self, archive: Path, program: str) -> None:
        """As the toolkit does; it stops where the program is not in the archive."""
        unpack(archive, archive.parent)
        archive.unlink()
        if not (archive.parent / program).is_file():
            raise FileNotFoundError(f"{program} is not in {archive.name}")

    def _config(self, name: str, value: dict[str, Any]) -> None:
        (self.root / "input" / "config" / f"{name}.json").write_text(json.dumps(value))

    def _fetch(self, uri: str, folder: Path) -> None:
        place = S3Address.parse(uri)
        bucket, prefix = place.bucket, place.key
        folder.mkdir(parents=True, exist_ok=True)
        keys = self.world.keys(bucket, prefix)
        # An object's own address means that object, and not what else begins with its name.
        for key in [prefix] if prefix in keys and not prefix.endswith("/") else keys:
            name = key[len(prefix) :].lstrip("/") or key.rsplit("/", 1)[-1]
            path = folder / name
            if key.endswith("/") or not path.resolve().is_relative_to(folder.resolve()):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.world.read(bucket, key))

    def inside(self, text: str) -> str:
        """``text`` with ``/opt/ml`` replaced by the folder that stands for it."""
        return text.replace(OPT_ML, str(self.root))

    @property
    def command(self) -> list[str]:
        """What the container is to execute; where it is left to the image, ``train`` or what that starts."""
        if self._toolkit_program:
            return [sys.executable, str(self.root / "code" / self._toolkit_program), *self._options()]
        algorithm = self.job.request["AlgorithmSpecification"]
        words = [*algorithm.get("ContainerEntrypoint", ["train"]), *algorithm.get("ContainerArguments", [])]
        return [self.inside(word) for word in words]

    def _options(self) -> list[str]:
        """The values as the toolkit hands them on: as options, without those that are its own."""
        values = self.job.request.get("HyperParameters", {})
        given = {
            name: text for name, text in values.items() if not name.startswith(("sagemaker_", "_tuning_"))
        }
        return [
            word
            for name, text in sorted(given.items())
            for word in (f"--{name}" if len(name) > 1 else f"-{name}", _toolkit_word(text))
        ]

    @property
    def failure(self) -> str:
        """What the program left to explain its failure."""
        try:
            return (self.root / "output" / "failure").read_bytes()[:1024].decode(errors="replace")
        except OSError:
            return ""

    # --- what is kept ---

    @property
    def checkpoint_uri(self) -> str | None:
        uri: str | None = self.job.request.get("CheckpointConfig", {}).get("S3Uri")
        return uri

    @property
    def checkpoints(self) -> Path:
        given = self.job.request.get("CheckpointConfig", {}).get("LocalPath", "/opt/ml/checkpoints")
        return Path(self.inside(given)) if given.startswith(OPT_ML) else self.root / "checkpoints"

    def sync_checkpoints(self) -> None:
        """Mirror the checkpoint folder to S3: what is new or changed, and what was deleted."""
        if self.checkpoint_uri:
            with self._syncing:
                self._sync(self.checkpoint_uri)

    def _sync(self, uri: str) -> None:
        place = S3Address.parse(uri)
        bucket, prefix = place.bucket, place.folder
        there = dict(self._checkpoint_files())
        for name, stamp in there.items():
            if self._saved.get(name) != stamp:
                try:
                    self.world.write(bucket, prefix + name, (self.checkpoints / name).read_bytes())
                except FileNotFoundError:
                    continue
        for name in self._saved.keys() - there.keys():
            self.world.delete(bucket, prefix + name)
        self._saved = there

    def _checkpoint_files(self) -> Iterator[tuple[str, tuple[int, int]]]:
        for path in sorted(self.checkpoints.rglob("*")):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            if path.is_file():
                yield path.relative_to(self.checkpoints).as_posix(), (stat.st_size, stat.st_mtime_ns)

    def upload_outputs(self) -> None:
        """Send the model, and the other output if there is any, to where the request wants it."""
        output = self.job.request["OutputDataConfig"]
        place = S3Address.parse(output["S3OutputPath"])
        bucket, prefix = place.bucket, f"{place.folder}{self.job.name}/output"
        for name, folder in (("model", self.root / "model"), ("output", self.root / "output" / "data")):
            files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            if name == "output" and not files:
                continue
            if output.get("CompressionType") == "NONE":
                for path in files:
                    self.world.write(bucket, f"{prefix}/{name}/{path.relative_to(folder)}", path.read_bytes())
            else:
                self.world.write(bucket, f"{prefix}/{name}.tar.gz", _tar(folder))


def _tar(folder: Path) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz", compresslevel=1) as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, arcname=path.name)
    return data.getvalue()


def _toolkit_word(text: str) -> str:
    """A value as the toolkit writes it: read as JSON where it is such, and then as Python shows it."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return "" if value is None else str(value)
