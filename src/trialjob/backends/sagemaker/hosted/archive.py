"""The code of a hosted experiment, as the training toolkit of AWS's images takes it.

A tuning job has no entry point of its own: the image's ``train`` unpacks the archive that the hyperparameter
``sagemaker_submit_directory`` names and starts the program in ``sagemaker_program``. Ours lie in a folder of
their own, where no import of the user's finds them.

Rule: equal contents give equal bytes, so that the address is a function of the content.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from typing import Any, Final

from trialjob.backends.sagemaker.hosted.tuning_request import PROGRAM, Tuned
from trialjob.in_job.hosted import BUNDLE, FACTS

_FOLDER: Final = "_trialjob"
_PROGRAM_TEXT: Final = f"""\
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "{_FOLDER}"))
import hosted

sys.exit(hosted.main())
"""


def facts(tuned: Tuned) -> dict[str, Any]:
    """The settings of our program in the job."""
    arguments = tuned.job.arguments
    return {
        "entry_point": tuned.job.entry_point,
        "dialect": "trialjob-0.1" if arguments is None else arguments.dialect,
        "words": None if arguments is None or arguments.words is None else [*arguments.words],
        "constants": tuned.constants,
        "codec": [*tuned.ranges.codec],
    }


def archive(tuned: Tuned, bundle: bytes, files: Mapping[str, bytes]) -> bytes:
    """The archive of the user's ``bundle`` and our ``files``."""
    contents = {
        PROGRAM: _PROGRAM_TEXT.encode(),
        f"{_FOLDER}/{FACTS}": json.dumps(facts(tuned), sort_keys=True).encode(),
        f"{_FOLDER}/{BUNDLE}": bundle,
        **{f"{_FOLDER}/{name}": data for name, data in files.items()},
    }
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, data in sorted(contents.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), compresslevel=6, mtime=0)
