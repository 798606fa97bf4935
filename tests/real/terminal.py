"""An agent as a person starts it: in a terminal, with its screens."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

WAIT_SECONDS, ECHO_SECONDS, PACE = 30, 3, 0.1
CLEAR_LINE = "\x15"
ROWS, COLUMNS = 50, 160
# Colours, places, titles: what is no word.
CONTROL = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[P^_].*?\x1b\\|.)")
BLANK = re.compile(r"\s+")
# What a program asks its terminal before it shows itself, and what a plain one answers.
ANSWERS = {b"\x1b[6n": b"\x1b[1;1R", b"\x1b[c": b"\x1b[?62c"}


class Terminal:
    """A program at work in a pseudo terminal: `type` a line, `see` a word on its screen."""

    def __init__(self, *command: str, cwd: Path, environment: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._shown = bytearray()
        self._more = threading.Condition()
        self._over = False
        self.process = subprocess.Popen(
            command, cwd=cwd, env={**environment, "TERM": "xterm-256color"}, stdin=theirs,
            stdout=theirs, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"On the screen:\n{self.text()[-3000:]}")
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
        self.process.wait()
        os.close(self._ours)

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._ours, 65536)
            except OSError:  # as Linux says that nobody is at the other end
                piece = b""
            with self._more:
                self._shown += piece
                self._over = not piece
                self._more.notify_all()
            if not piece:
                return
            for asked, answer in ANSWERS.items():
                for _ in range(piece.count(asked)):
                    os.write(self._ours, answer)

    def text(self, since: int = 0) -> str:
        """What was shown from a place on, without colours and places."""
        return CONTROL.sub(" ", self._shown[since:].decode(errors="replace"))

    def place(self) -> int:
        """Where it is now: what is shown later is shown behind it."""
        return len(self._shown)

    def _shows(self, words: str, since: int, seconds: float) -> bool:
        wanted = BLANK.sub("", words)
        limit = time.monotonic() + seconds
        with self._more:
            while wanted not in BLANK.sub("", self.text(since)):
                left = limit - time.monotonic()
                if left <= 0 or self._over:
                    return False
                self._more.wait(left)
        return True

    def see(self, words: str, since: int = 0) -> None:
        """Wait until they are shown, however they are broken into lines and parts."""
        assert self._shows(words, since, WAIT_SECONDS), f"never shown: {words}"

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def type(self, line: str) -> None:
        """A line, and Enter once it is on the screen, at a person's pace: sooner, it would be taken
        for a line's end in pasted text (Gemini CLI: within 30 ms of a key)."""
        for _ in range(WAIT_SECONDS // ECHO_SECONDS):
            since = self.place()
            self.press(line)
            if self._shows(line, since, ECHO_SECONDS):
                break
            # Some keys were lost while it drew itself anew.
            self.press(CLEAR_LINE)
        else:
            raise AssertionError(f"never shown: {line}")
        time.sleep(PACE)
        self.press("\r")

    def end(self) -> int:
        """Wait until the program has ended by itself; its exit code."""
        return self.process.wait(WAIT_SECONDS)
