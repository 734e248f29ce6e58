"""A browser that opens a page and says when what one came for is on it: Chromium, by its own protocol."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Self

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
#: Seconds between two looks at the page.
_LOOK = 0.1


class Browser:
    """One process, without a window, and a profile of its own."""

    def __init__(self, folder: Path) -> None:
        if CHROMIUM is None:
            raise FileNotFoundError("no Chromium")
        heard, self._say = os.pipe()
        self._hear, said = os.pipe()
        # It reads what it is to do from descriptor 3 and answers on 4.
        told = [
            *("bash", "-c", f'exec "$0" "$@" 3<&{heard} 4>&{said}', CHROMIUM),
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1300,900"),
            *("--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank"),
        ]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(told, pass_fds=(heard, said), stdout=quiet, stderr=quiet)
        os.close(heard)
        os.close(said)
        self._number, self._got = 0, b""

    def seconds_to(self, address: str, condition: str, within: float) -> float | None:
        """From the address to where ``condition``, in JavaScript, holds; None when it does not in time."""
        page = self._ask("Target.createTarget", {"url": "about:blank"}, within)["targetId"]
        session = self._ask("Target.attachToTarget", {"targetId": page, "flatten": True}, within)["sessionId"]
        began = time.monotonic()
        self._ask("Page.navigate", {"url": address}, within, session)
        try:
            while (left := within - (time.monotonic() - began)) > 0:
                told = self._ask(
                    "Runtime.evaluate", {"expression": condition, "returnByValue": True}, left, session
                )
                if told.get("result", {}).get("value") is True:
                    return time.monotonic() - began
                select.select([], [], [], _LOOK)
        except TimeoutError:
            return None
        finally:
            self._ask("Target.closeTarget", {"targetId": page}, within)
        return None

    def _ask(self, method: str, told: dict[str, Any], within: float, session: str = "") -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": told}
        os.write(
            self._say, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
        )
        until = time.monotonic() + within
        while True:
            while b"\0" not in self._got:
                if not select.select([self._hear], [], [], max(0.0, until - time.monotonic()))[0]:
                    raise TimeoutError(method)
                self._got += os.read(self._hear, 1 << 16) or b"\0"
            text, _, self._got = self._got.partition(b"\0")
            answer = json.loads(text or b"{}")
            if not answer:
                raise ConnectionResetError("the browser has ended")
            if answer.get("id") == self._number:
                return dict(answer.get("result", {}))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._say)
        self._process.kill()
        self._process.wait()
        os.close(self._hear)
