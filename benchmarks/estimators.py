"""What our entrypoint adds to a script's start, what is shipped beside it, and what packing 50 MB takes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from trialjob.estimators.bundle import pack
from trialjob.reporting.in_job import entrypoint

_REPETITIONS = 15


def main() -> None:
    home = Path(entrypoint.__file__).parent
    sizes = {name: (home / name).stat().st_size for name in ("entrypoint.py", *entrypoint.SHIPPED)}
    print("shipped beside the code:", sum(sizes.values()), "bytes;", sizes)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "code").mkdir()
        (folder / "code" / "train.py").write_text("print('up')")
        ours = [sys.executable, str(home / "entrypoint.py"), "--root", place, "--entry-point", "train.py"]
        bare = [sys.executable, str(folder / "code" / "train.py")]
        taken: dict[str, list[float]] = {"bare": [], "ours": []}
        for _ in range(_REPETITIONS):  # in turns, because the machine may be busy
            for name, line in (("bare", bare), ("ours", ours)):
                began = time.perf_counter()
                subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
                taken[name].append(time.perf_counter() - began)
        least = {name: min(times) * 1000 for name, times in taken.items()}
        print(f"start to end of an empty script, least of {_REPETITIONS}: {least} ms")
        print(f"ratio {least['ours'] / least['bare']:.2f}, more by {least['ours'] - least['bare']:.0f} ms")
        source = folder / "source"
        source.mkdir()
        for number in range(50):
            (source / f"{number}.bin").write_bytes(os.urandom(1024**2))
        for turn in ("first", "second"):
            began = time.perf_counter()
            pack(source, folder / "bundles")
            print(f"packing 50 MB, {turn} time: {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    main()
