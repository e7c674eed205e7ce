"""Headless Chromium, driven over a pipe in its DevTools protocol: open a page, read it, use it, take its picture."""

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

PATIENCE_SECONDS = 60.0
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
    "--remote-debugging-pipe", "about:blank",
)  # fmt: skip

# It reads from 3 and writes to 4. What is there already may be one of ours: so both are moved out of the way first.
LAUNCHER = """
import fcntl, os, sys
moved = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
for number, wanted in zip(moved, (3, 4)):
    os.dup2(number, wanted)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find_chromium() -> str:
    """Its path. Without one there is nothing to test with; where one is said to be there, that is a failure."""
    for name in PROGRAMS:
        if found := shutil.which(name):
            return found
    if os.environ.get("LRU_CACHE_REQUIRE_CHROMIUM", "") not in ("", "0"):
        pytest.fail("no Chromium: apt-get install chromium")
    pytest.skip("no Chromium: apt-get install chromium")


class Browser:
    """A browser with one page."""

    def __init__(self, profile: Path) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, str(theirs_in), str(theirs_out), find_chromium(),
             f"--user-data-dir={profile}", *SWITCHES],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for number in (theirs_in, theirs_out):
            os.close(number)
        self._rest = b""
        self._number = 0
        self.logged: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    _session: str | None = None

    def send(self, method: str, **parameters: Any) -> Any:
        """One command, and its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        timer = threading.Timer(PATIENCE_SECONDS, self._process.kill)  # a browser that hangs fails the test
        timer.start()
        try:
            while True:
                answer = self._read()
                if answer.get("id") == self._number:
                    assert "error" not in answer, answer
                    return answer["result"]
                self._note(answer)
        finally:
            timer.cancel()

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            chunk = os.read(self._in, 1 << 20)
            assert chunk, "the browser has gone"
            self._rest += chunk
        message, _, self._rest = self._rest.partition(b"\0")
        decoded: dict[str, Any] = json.loads(message)
        return decoded

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening"):
            self.logged.append(json.dumps(event["params"]))

    def open(self, url: str, width: int = 1000, height: int = 900, dark: bool = False) -> None:
        """Open a page in a window of this size."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """What a piece of JavaScript comes to in the page."""
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until a piece of JavaScript comes to something true."""
        pause = threading.Event()
        for _ in range(int(PATIENCE_SECONDS * 20)):
            if self.evaluate(f"!!({expression})"):
                return
            pause.wait(0.05)
        raise AssertionError(f"it never came true: {expression}; the page says {self.text('body')!r}; {self.logged}")

    def text(self, selector: str) -> str:
        """What people read in an element."""
        text: str = self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")
        return text

    def fill_in(self, selector: str, text: str) -> None:
        """Put text into a field, and send its form."""
        self.evaluate(
            f"(() => {{ const field = document.querySelector({json.dumps(selector)});"
            f" field.value = {json.dumps(text)}; field.form.requestSubmit(); }})()"
        )

    def picture(self, path: Path) -> None:
        """All of the page as a PNG."""
        picture = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture["data"]))

    def close(self) -> None:
        os.close(self._out)  # it ends when nobody can tell it anything
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
