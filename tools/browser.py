"""A real Chromium that is told what to do over its pipe, and asked what it shows."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: Chromium reads commands from file 3 and answers on 4; whichever these are by now, they are copied first.
_AS_3_AND_4 = """
import os, sys
for number, place in zip(sys.argv[1:3], (100, 101)):
    os.dup2(int(number), place)
for place, number in ((100, 3), (101, 4)):
    os.dup2(place, number)
os.execv(sys.argv[3], sys.argv[3:])
"""
#: Seconds until a page must show what is waited for, however busy the machine is.
_PATIENCE = 240.0
#: What drawing on a graphics card that is not there makes the browser say.
_HARMLESS = ("GL Driver Message", "Canvas2D: Multiple readback", "GPU stall", "swiftshader", "WebGL")
#: The same, as it stands in the log of a browser that is not talked to.
_LOGGED = re.compile(r"GL Driver Message|Canvas2D: Multiple readback|GPU stall|swiftshader", re.IGNORECASE)
_HEADLESS = ("--headless=new", "--no-sandbox", "--enable-unsafe-swiftshader", "--hide-scrollbars")


class BrowserError(Exception):
    """It did not do, or not show, what it was to."""


class Tab:
    """One tab, and the frames in it that have processes of their own."""

    def __init__(self, sent: int, heard: int) -> None:
        self._sent, self._heard = sent, heard
        self._rest = b""
        self._number = 0
        #: What the page, or a frame in it, has complained of.
        self.complaints: list[str] = []
        self._frames: dict[str, str] = {}
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._enable(self._session)
        self.call("Page.enable")

    def _enable(self, session: str) -> None:
        self._send("Runtime.enable", {}, session)
        self._send("Log.enable", {}, session)
        attach = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": True}
        self._send("Target.setAutoAttach", attach, session)

    def call(self, method: str, session: str = "", **given: object) -> dict[str, Any]:
        """What Chromium answers to a command of its protocol."""
        number = self._send(method, given, session or self._session)
        while True:
            told = self._next()
            if told.get("id") != number:
                self._note(told)
            elif "error" in told:
                raise BrowserError(f"{method}: {told['error']}")
            else:
                return dict(told["result"])

    def _send(self, method: str, given: dict[str, Any], session: str) -> int:
        self._number += 1
        where = {"sessionId": session} if session else {}
        message = {"id": self._number, "method": method, "params": given, **where}
        os.write(self._sent, json.dumps(message).encode() + b"\0")
        return self._number

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._heard, 1 << 16)
            if not piece:
                raise BrowserError("Chromium is gone")
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, told: dict[str, Any]) -> None:
        given = told.get("params", {})
        match told.get("method"):
            case "Target.attachedToTarget" if given["targetInfo"]["type"] == "iframe":
                self._frames[given["targetInfo"]["targetId"]] = given["sessionId"]
                self._enable(given["sessionId"])
            case "Target.detachedFromTarget":
                self._frames.pop(given.get("targetId", ""), None)
            case "Runtime.exceptionThrown":
                self._complain(given["exceptionDetails"])
            case "Runtime.consoleAPICalled" if given["type"] in ("error", "warning", "assert"):
                self._complain(given["args"])
            case "Log.entryAdded" if given["entry"]["level"] == "error":
                self._complain(given["entry"])

    def _complain(self, what: object) -> None:
        text = json.dumps(what)
        if not any(each in text for each in _HARMLESS):
            self.complaints.append(text)

    def look(self, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Be so large, and light or dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        for session in ("", *self._frames.values()):  # a frame with a process of its own does not hear of it
            self.call("Emulation.setEmulatedMedia", session, features=[scheme])

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)

    def ask(self, expression: str, *, frame: bool = False) -> Any:  # noqa: ANN401 - what JavaScript has
        """What an expression comes to on the page, or in the newest frame of it that has its own process."""
        session = list(self._frames.values())[-1] if frame else ""
        given = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        told = self.call("Runtime.evaluate", session, **given)
        if "exceptionDetails" in told:
            raise BrowserError(f"{expression}: {told['exceptionDetails']}")
        return told["result"].get("value")

    def until(self, expression: str, *, frame: bool = False, patience: float = _PATIENCE) -> None:
        """Wait until that is true, for so many seconds."""
        end = time.monotonic() + patience
        while not (self._frames or not frame) or not self.ask(f"Boolean({expression})", frame=frame):
            if time.monotonic() > end:
                shown = self.ask("document.body.innerText", frame=frame)
                raise BrowserError(f"never: {expression}\n{shown}\n{self.complaints}")
            if not self._frames:
                self.ask("0")  # hears of new ones
            time.sleep(0.05)

    def press(self, key: str, text: str = "") -> None:
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, text=text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    def drag(self, begin: tuple[float, float], end: tuple[float, float]) -> None:
        """With the mouse, from one place of what is seen to another."""
        middle = ((begin[0] + end[0]) / 2, (begin[1] + end[1]) / 2)
        for kind, (x, y) in (
            ("mouseMoved", begin),
            ("mousePressed", begin),
            ("mouseMoved", middle),
            ("mouseMoved", end),
            ("mouseReleased", end),
        ):
            down = 0 if kind == "mouseReleased" or (x, y) == begin else 1
            self.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=down, clickCount=1
            )

    def shot(self, path: Path) -> None:
        """A picture of it, from its top to its end."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))


def browse(address: str, profile: Path, *options: str) -> str:
    """The page without its own scripts, if it is dumped; raises where it logs more than harmless things."""
    command = [
        *(str(CHROMIUM), *_HEADLESS, "--enable-logging=stderr", "--virtual-time-budget=10000"),
        *(f"--user-data-dir={profile}", *options, address),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=400)
    logged = [line for line in done.stderr.splitlines() if "CONSOLE" in line and not _LOGGED.search(line)]
    if logged:
        raise BrowserError("\n".join(logged))
    return re.sub(r"<script.*?</script>", "", done.stdout, flags=re.DOTALL)


@contextmanager
def browser(folder: Path) -> Iterator[Tab]:
    """A tab of a Chromium of one's own, which keeps what it keeps in ``folder``."""
    to_it, from_it = os.pipe(), os.pipe()
    command = [
        *(sys.executable, "-c", _AS_3_AND_4, str(to_it[0]), str(from_it[1])),
        *(str(CHROMIUM), *_HEADLESS),
        *("--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}"),
    ]
    process = subprocess.Popen(
        command, pass_fds=(to_it[0], from_it[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(to_it[0])
    os.close(from_it[1])
    try:
        yield Tab(to_it[1], from_it[0])
    finally:
        process.terminate()
        process.wait(60)
        os.close(to_it[1])
        os.close(from_it[0])
