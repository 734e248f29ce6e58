"""Starts a trial whose configuration SageMaker's own tuner has proposed.

What the tuner does not know it searches as a quantile or a position; here that becomes the value it stands
for. The results are read by the same function, so that a trial ran with what they say.

Rule: standard library only, Python 3.8; a container finds it and the files beside it in one folder.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

if __package__:
    from trialjob.in_job import command_line, entrypoint, scales, variables
    from trialjob.in_job.report import BEST_FILE
else:  # A container runs this very file, and the others lie beside it.
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import command_line  # type: ignore[import-not-found,no-redef]
    import entrypoint  # type: ignore[import-not-found,no-redef]
    import scales  # type: ignore[import-not-found,no-redef]
    import variables  # type: ignore[import-not-found,no-redef]
    from report import BEST_FILE  # type: ignore[import-not-found,no-redef]

#: Beside this file: what is to be run, and how the values are decoded.
FACTS = "hosted.json"
BUNDLE = "bundle.tar.gz"
#: The tuner's own name for a job ends in the number of the trial.
_NUMBER = re.compile(r"-(\d+)-[0-9a-f]+$")


def number_of(job: str) -> int:
    """The number that the tuner gave a job, counted from 1; 0 for a name of another form."""
    found = _NUMBER.search(job)
    return int(found.group(1)) if found else 0


def configuration(texts: Mapping[str, str], codec: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A trial's values, of the texts that the tuner proposed; what is not active is left out.

    Raises KeyError and ValueError where they are none that were asked for.
    """
    values: dict[str, Any] = {}
    for row in codec:
        if all(values.get(parent) == value for parent, value in row.get("when", ())):
            values[row["name"]] = _value(texts[row.get("from", row["name"])], row)
    return values


def _value(text: str, row: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    how = row["how"]
    if how == "real":
        return float(text)
    if how == "whole":
        return _whole(text)
    if how == "listed":
        return row["values"][row["texts"].index(text)]
    if how == "position":
        return row["values"][_whole(text)]
    u, numbers = float(text), row["numbers"]
    value = getattr(scales, how)(u, *numbers)
    return (
        value
        if row.get("q") is None
        else scales.multiple(scales.number_of_multiple(value, row["q"]), row["q"])
    )


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return int(float(text))


def main() -> int:
    """Decode the values, and do what a job of ours does."""
    here = Path(__file__).resolve().parent
    root = Path(os.environ.get(entrypoint.ML_ROOT) or "/opt/ml").absolute()
    facts = json.loads((here / FACTS).read_text(encoding="utf-8"))
    texts = entrypoint.read_config(root, "hyperparameters")
    values = {**facts["constants"], **configuration(texts, facts["codec"])}
    (root / entrypoint.DECODED).mkdir(parents=True, exist_ok=True)
    (root / entrypoint.DECODED / entrypoint.VALUES_FILE).write_text(json.dumps(values), encoding="utf-8")
    # The image's toolkit has set them to what was proposed, also of what is not active.
    for variable in (each for name in texts for each in variables.names_of(name)):
        os.environ.pop(variable, None)
    job = os.environ.get("TRAINING_JOB_NAME", "")
    os.environ["TRIALJOB_TRIAL"] = str(number_of(job))
    os.environ["TRIALJOB_ATTEMPT"] = "1"
    os.environ[entrypoint.OWN_CHECKPOINTS] = job
    (root / "checkpoints" / job).mkdir(parents=True, exist_ok=True)
    # Beside the script's own folder, of which scripts look whether it is empty.
    os.environ[BEST_FILE] = str(root / "checkpoints" / f"{job}.best")
    return entrypoint.run(
        root,
        facts["entry_point"],
        sys.executable,
        bundle=here / BUNDLE,
        install=True,
        how=command_line.How(facts["dialect"], None if facts["words"] is None else tuple(facts["words"])),
    )


if __name__ == "__main__":
    sys.exit(main())
