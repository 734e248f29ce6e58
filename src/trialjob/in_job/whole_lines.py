"""Has the Pythons of a job write each line in one piece, so that no other process gets in between.

``PYTHONUNBUFFERED`` has ``print`` write a line and its end apart: the "0.93" and "0.91" of two processes come
out as "0.930.91", and "7 0.93" and "8 0.91" as "7 0.938 0.91", which looks just like a real 0.938.

Rule 1: it lies on the script's path as ``sitecustomize``, which Python imports before anything else; the one
that it hides is run behind it.
Rule 2: what a program had not written when it was killed is missing, and its last number may be torn,
"0.9" of "0.93"; so the place where a script's output was broken off is marked, and such a number is not read.
Rule 3: standard library only, Python 3.8, and little of it: whatever starts a Python waits for this.
"""

# ruff: noqa: PTH118, PTH120, PTH113, PLC0415 - what is loaded here, every start waits for
import os
import sys

NAME = "sitecustomize"
#: Stands right behind the last that a script printed which did not end well by itself.
CUT = "[trialjob-cut]"


def write_whole_lines() -> None:
    """Keep what is printed until its line ends, or goes back to its start."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(line_buffering=True, write_through=False)


def run_hidden() -> None:
    """Run the next file of this name on the path."""
    here = os.path.dirname(os.path.realpath(__file__))
    places = [os.path.realpath(place) for place in sys.path]
    for place in places[places.index(here) + 1 :]:
        path = os.path.join(place, NAME + ".py")
        if os.path.isfile(path):
            from importlib.util import module_from_spec, spec_from_file_location

            spec = spec_from_file_location(NAME, path)
            if spec is not None and spec.loader is not None:
                sys.modules[NAME] = module_from_spec(spec)
                spec.loader.exec_module(sys.modules[NAME])
            return


if __name__ == NAME:
    write_whole_lines()
    run_hidden()
