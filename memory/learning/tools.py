"""What a session did with its tools: files it changed, commands it ran, what failed and whether the
same worked later. Pure functions over calls and their results, in order.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

# As agents name them. What reads only is not touched by it.
WRITING = frozenset(
    {
        "edit", "write", "multiedit", "notebookedit", "write_file", "replace", "apply_patch",
        "create_file", "edit_file", "str_replace_editor", "str_replace_based_edit_tool", "patch",
    }
)  # fmt: skip
MOST_LINE = 240
MOST_COMMAND = 200
# How often something must have failed before the way out of it is worth a word: what works at the
# second try is how everybody works.
LEAST_FAILURES = 2
_TELLING = re.compile(
    r"error|exception|fail|cannot|can't|could not|denied|refused|not found|no such|unknown|invalid|"
    r"undefined|unexpected|timed? ?out|missing|fatal|panic|\*\*\*",
    re.IGNORECASE,
)
# Lines of a trace that say where, not what.
_PLACE = re.compile(
    r"^\s*(?:File \"|at |\^|~|\||Traceback|During handling|exit code|=+ |-+$)", re.I
)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


@dataclass(frozen=True, slots=True)
class Call:
    """A tool's call with what came of it. `failed` is None where nobody said. `event_id` is that
    of the result, else of the call."""

    event_id: UUID
    tool: str
    command: str = ""
    file: str = ""
    failed: bool | None = None
    result: str = ""

    @property
    def subject(self) -> str:
        """What makes another call the same one again."""
        about = " ".join((self.command or self.file).split())
        return f"{self.tool.lower()} {about}" if about else ""

    @property
    def shown(self) -> str:
        text = " ".join((self.command or f"{self.tool} {self.file}").split())
        return text if len(text) <= MOST_COMMAND else text[: MOST_COMMAND - 1] + "…"


@dataclass(slots=True)
class Trouble:
    """Something that failed. `fixed_by` is the call that worked later, `changed` are the files that
    were written between; `failures` says how often it failed in a row."""

    call: Call
    line: str
    failures: int = 1
    fixed_by: Call | None = None
    changed: list[str] = field(default_factory=list)

    @property
    def teaches(self) -> bool:
        return (
            self.fixed_by is not None
            and self.failures >= LEAST_FAILURES
            and bool(self.changed)
            and bool(self.line)
            and bool(self.call.command)
        )

    def told(self) -> str:
        """In one line, for a summary."""
        line = f"`{self.call.shown}`: {self.line}" if self.line else f"`{self.call.shown}` failed"
        if self.fixed_by is None:
            return f"Open: {line}"
        after = f" after changes to {', '.join(self.changed[:4])}" if self.changed else ""
        return f"Fixed: {line}; worked later{after}"

    def lesson(self) -> str:
        """For a memory."""
        files = ", ".join(self.changed[:6])
        return f"`{self.call.shown}` failed with: {self.line}\nIt worked after changes to {files}."


def troubles_of(calls: Iterable[Call]) -> list[Trouble]:
    """What failed, in order; what failed again before it worked is one."""
    open_ones: dict[str, Trouble] = {}
    found: list[Trouble] = []
    for call in calls:
        if is_writing(call) and call.failed is not True:
            for trouble in open_ones.values():
                if call.file and call.file not in trouble.changed:
                    trouble.changed.append(call.file)
        subject = call.subject
        if not subject or call.failed is None:
            continue
        known = open_ones.get(subject)
        if call.failed:
            if known is None:
                known = open_ones[subject] = Trouble(call, telling_line(call.result))
                found.append(known)
            else:
                known.failures += 1
                known.line = telling_line(call.result) or known.line
        elif known is not None:
            known.fixed_by = call
            del open_ones[subject]
    return found


def files_of(calls: Iterable[Call]) -> list[str]:
    """Files that were written, in the order of their first change."""
    return list(dict.fromkeys(c.file for c in calls if is_writing(c) and c.file and not c.failed))


def commands_of(calls: Sequence[Call]) -> list[str]:
    """Commands that were run, each once, the last ones last."""
    commands = [call.shown for call in calls if call.command]
    return list(reversed(list(dict.fromkeys(reversed(commands)))))


def is_writing(call: Call) -> bool:
    return call.tool.lower() in WRITING


def telling_line(text: str) -> str:
    """The line of an error that says what is wrong: the last that sounds so, else the first."""
    lines = [" ".join(_ANSI.sub("", line).split()) for line in text.splitlines()]
    lines = [line for line in lines if line and not _PLACE.match(line)]
    chosen = next((line for line in reversed(lines) if _TELLING.search(line)), "")
    chosen = chosen or (lines[0] if lines else "")
    return chosen if len(chosen) <= MOST_LINE else chosen[: MOST_LINE - 1] + "…"
