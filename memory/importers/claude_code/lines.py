"""The fields that every line of a transcript can have, checked one by one.

A field of the wrong kind is reported and read as absent; it never costs the line. Not for
content: `messages.py` and `events.py` read that.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from memory.importers.problems import Code, Finding
from memory.importers.storable import Storable

# What the columns take. Real ids have 36 characters, paths and branches a few hundred at most.
ID_LIMIT = 120
PATH_LIMIT = 1_000
BRANCH_LIMIT = 300


@dataclass(slots=True)
class Fields:
    """A line's envelope, and what was found wrong with it."""

    type: str | None
    uuid: str | None
    parent_uuid: str | None
    timestamp: datetime | None
    session_id: str | None
    agent_id: str | None
    is_sidechain: bool
    is_meta: bool
    cwd: str | None
    git_branch: str | None
    version: str | None
    request_id: str | None
    forked_from: str | None
    prompt_id: str | None
    findings: list[Finding]


class _Checked:
    """Takes fields out of a line and remembers the wrong ones."""

    __slots__ = ("clean", "findings", "line")

    def __init__(self, line: dict[str, Any], clean: Storable) -> None:
        self.line = line
        self.clean = clean
        self.findings: list[Finding] = []

    def text(self, name: str, limit: int = ID_LIMIT) -> str | None:
        value = self.line.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str):
            if len(value) <= limit:
                return self.clean.text(value)
            self.wrong(name, f"is {len(value):,} characters long; the limit is {limit:,}")
        else:
            self.wrong(name, f"is {type(value).__name__}, not text")
        return None

    def wrong(self, name: str, why: str) -> None:
        self.findings.append(Finding(Code.BAD_FIELD, f"{name} {why}", "read as absent"))


def read_fields(line: dict[str, Any], clean: Storable) -> Fields:
    """The envelope of `line`."""
    field = _Checked(line, clean)
    forked_from = line.get("forkedFrom")
    return Fields(
        type=field.text("type"),
        uuid=field.text("uuid"),
        parent_uuid=field.text("parentUuid"),
        timestamp=_timestamp(line.get("timestamp"), field.findings),
        # Lines of the program's own JSON stream, saved to a file, write it the second way.
        session_id=field.text("sessionId") or field.text("session_id"),
        agent_id=field.text("agentId"),
        is_sidechain=line.get("isSidechain") is True,
        is_meta=line.get("isMeta") is True,
        cwd=field.text("cwd", PATH_LIMIT),
        git_branch=field.text("gitBranch", BRANCH_LIMIT),
        version=field.text("version"),
        request_id=field.text("requestId"),
        forked_from=(
            _Checked(forked_from, clean).text("sessionId")
            if isinstance(forked_from, dict)
            else None
        ),
        prompt_id=field.text("promptId"),
        findings=field.findings,
    )


def _timestamp(value: Any, findings: list[Finding]) -> datetime | None:
    """An ISO 8601 time as aware UTC. The program writes UTC; a time without zone is read so."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            if not 1970 < moment.year < 2200:
                raise ValueError(value)
            if moment.tzinfo is None:
                findings.append(
                    Finding(
                        Code.NO_TIME_ZONE,
                        f"timestamp {value[:40]!a} has no time zone",
                        "read as UTC, as the program writes it",
                    )
                )
                return moment.replace(tzinfo=UTC)
            return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            shown = ascii(value[:40])
    else:
        shown = f"of kind {type(value).__name__}"
    findings.append(
        Finding(
            Code.BAD_TIMESTAMP,
            f"timestamp {shown} is no ISO 8601 time",
            "the time of the line before is taken",
        )
    )
    return None
