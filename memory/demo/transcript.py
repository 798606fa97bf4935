"""Reads what is said in a session out of a story's text.

A line that begins with `@` says who speaks; what follows, up to the next one, is said:

    @user                   a person
    @think                  the agent's thinking
    @agent                  the agent
    @tool Bash              a call, with its argument as the text
    @tool Read src/app.py   a call that needs nothing but its path
    @result, @error         what the call gave back
    @note                   what the program put in
    @wait 45m               time that passes
    @until -3 09:20         the session ends here and goes on then

`#name` at the end of such a line names the message, for memories that rest on it and for the
threads of subagents that a call begins. Not for playing it (sessions.py).
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

_HEAD = re.compile(r"@(\w+)(?:[ \t]+(.*?))??(?:[ \t]+#([\w-]+))?[ \t]*")
_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
SPEAKERS = ("user", "think", "agent", "tool", "result", "error", "note")
# Which argument of a tool is said on the line itself, and which is the text below it.
ARGUMENTS = {
    "Bash": ("description", "command"),
    "Read": ("file_path", ""),
    "Edit": ("file_path", "new_string"),
    "Write": ("file_path", "content"),
    "Grep": ("pattern", "path"),
    "WebFetch": ("url", "prompt"),
    "WebSearch": ("query", ""),
    "Task": ("description", "prompt"),
}


class StoryError(ValueError):
    """A story that cannot be read; says where."""


@dataclass(frozen=True, slots=True)
class Said:
    """One thing said or done. `kind` is one of SPEAKERS, or `wait` or `until`."""

    kind: str
    text: str
    about: str = ""
    name: str = ""

    def call(self) -> tuple[str, dict[str, Any]]:
        """(tool, input) of a `tool`."""
        tool, _, rest = self.about.partition(" ")
        line, below = ARGUMENTS.get(tool, ("subject", "text"))
        given = {line: rest.strip(), below: self.text}
        return tool, {name: value for name, value in given.items() if name and value}


def read_transcript(text: str, *, where: str) -> list[Said]:
    """In order. StoryError names `where` and the line."""
    found: list[Said] = []
    head: re.Match[str] | None = None
    lines: list[str] = []

    def finish() -> None:
        if head is not None:
            said = "\n".join(lines).strip("\n")
            found.append(Said(head[1], said, (head[2] or "").strip(), head[3] or ""))

    for number, line in enumerate(text.strip("\n").split("\n"), 1):
        begun = _HEAD.fullmatch(line) if line.startswith("@") else None
        if begun is None and head is None:
            raise StoryError(f"{where}, line {number}: nobody speaks yet")
        if begun is None or begun[1] not in (*SPEAKERS, "wait", "until"):
            lines.append(line)
            continue
        finish()
        head, lines = begun, []
    finish()
    return found


def read_span(text: str) -> timedelta:
    """`1d3h20m5s` and parts of it."""
    found = _SPAN.fullmatch(text.replace(" ", ""))
    if found is None or not text:
        raise StoryError(f"{text!r} is no span of time such as 2h30m")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
