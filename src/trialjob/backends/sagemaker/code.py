"""Brings code to S3, once.

Rule: the address is a function of the content. What is there need not be sent again, by whomever it was sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trialjob.backends.sagemaker.client import SageMakerClient
from trialjob.backends.sagemaker.request import BUNDLE_FILE, code_uri, value_files, values_uri
from trialjob.backends.sagemaker.settings import SageMakerSettings
from trialjob.errors import BackendError
from trialjob.model.job import JobRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What every job of an experiment is shipped with."""

    #: The bundle of a digest. It is asked for only when it must be sent: it may be large.
    bundle: Callable[[str], bytes]
    #: Our files beside the bundle, by the name they get.
    files: Mapping[str, Path]


class Uploads:
    """What has been brought to S3."""

    def __init__(self, client: SageMakerClient, settings: SageMakerSettings, code: Code) -> None:
        self._client = client
        self._settings = settings
        self._code = code
        self._done: dict[str, str] = {}

    def uri(self, job: JobRequest) -> str:
        """The prefix with this job's code, which is there when this returns. Raises a Fault, BackendError."""
        if job.bundle not in self._done:
            try:
                files = {name: path.read_bytes() for name, path in self._code.files.items()}
                uri = code_uri(self._settings, _digest(job.bundle, files))
                # It is the last to be brought, so where it is the others are.
                if not self._client.has(f"{uri}/{BUNDLE_FILE}"):
                    for name, data in sorted(files.items()):
                        self._client.put(f"{uri}/{name}", data)
                    self._client.put(f"{uri}/{BUNDLE_FILE}", self._code.bundle(job.bundle))
            except OSError as error:
                raise BackendError(f"the code of {job.job} cannot be read: {error}") from error
            self._done[job.bundle] = uri
        return self._done[job.bundle]

    def bring_values(self, job: JobRequest) -> None:
        """Bring the hyperparameters that travel as files. Raises a Fault."""
        for name, data in value_files(job).items():
            self._client.put(f"{values_uri(self._settings, job)}/{name}", data)


def _digest(bundle: str, files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256(bundle.encode())
    for name, data in sorted(files.items()):
        digest.update(f"\0{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()[:16]
