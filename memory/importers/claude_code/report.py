"""What reading found out: counts per file, facts per session.

Filled while streaming, complete when the iteration is. Not for single rows: those are in
`records.py`.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from config.lib.shorten import beginning
from memory.importers.claude_code.events import TEXT_LIMIT
from memory.importers.claude_code.messages import SYNTHETIC_MODEL, command_line, spoken_text
from memory.importers.claude_code.records import Kind, MessageRecord, Role
from memory.importers.claude_code.usage import NOTHING, Usage

TITLE_LIMIT = 120
# A session changes its folder a few times; a hostile file must not fill the memory.
_DISTINCT_LIMIT = 1_000


def _remember(values: list[str], value: str | None) -> None:
    if value and value not in values and len(values) < _DISTINCT_LIMIT:
        values.append(value)


def _tally(counts: Counter[str], name: str) -> None:
    if name in counts or len(counts) < _DISTINCT_LIMIT:
        counts[name] += 1


@dataclass(slots=True)
class FileReport:
    """Counts of one file, as a plain reader of its lines would count them.

    `lines` are lines that are not blank; repeated lines count in `types` and in the block
    counts. `distinct_messages` and `usage` are what the file added to the session: where several
    files hold the same session, only the first to bring a message counts it.
    """

    file: str
    size: int = 0
    lines: int = 0
    blank_lines: int = 0
    unparsable_lines: int = 0
    incomplete_lines: int = 0
    types: Counter[str] = field(default_factory=Counter)
    unknown_types: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    session_ids: list[str] = field(default_factory=list)
    agent_ids: list[str] = field(default_factory=list)
    sidechain_lines: int = 0
    compact_summary_lines: int = 0
    tool_use_blocks: int = 0
    tool_result_blocks: int = 0
    distinct_messages: int = 0
    usage_summed_per_line: Usage = NOTHING
    usage: Usage = NOTHING
    repeated_uuids: int = 0
    lines_seen_before: int = 0
    first_user_text: str | None = None

    def note_time(self, moment: datetime) -> None:
        if self.first_timestamp is None or moment < self.first_timestamp:
            self.first_timestamp = moment
        if self.last_timestamp is None or moment > self.last_timestamp:
            self.last_timestamp = moment

    def note_usage(self, reported: Usage, added: Usage, is_new_message: bool) -> None:
        self.distinct_messages += is_new_message
        if reported is not NOTHING:
            self.usage_summed_per_line = self.usage_summed_per_line.plus(reported)
        if added is not NOTHING:
            self.usage = self.usage.plus(added)

    def note_session(self, session_id: str | None, agent_id: str | None) -> None:
        _remember(self.session_ids, session_id)
        _remember(self.agent_ids, agent_id)


@dataclass(slots=True)
class SessionFacts:
    """What a session's row can be filled with.

    `cwd` and `git_branch` are those it began with, `model` and `version` those it had last.
    `summaries` maps the uuid of a message to a title: the program writes titles of *other*
    sessions into a file too, so those whose uuid is not in this session wait in there for the
    session that has it.
    """

    session_id: str
    started_at: datetime | None = None
    last_at: datetime | None = None
    cwds: list[str] = field(default_factory=list)
    git_branches: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    models: Counter[str] = field(default_factory=Counter)
    model: str | None = None
    first_user_text: str | None = None
    first_prompt: str | None = None
    first_command: str | None = None
    custom_title: str | None = None
    ai_title: str | None = None
    agent_name: str | None = None
    own_summary: str | None = None
    summaries: dict[str, str] = field(default_factory=dict)
    prompts: int = 0
    messages: int = 0
    compact_boundaries: int = 0
    compact_summaries: int = 0
    api_errors: int = 0
    interruptions: int = 0
    tools: Counter[str] = field(default_factory=Counter)
    tool_errors: int = 0
    forked_from: str | None = None
    forked_lines: int = 0
    forked_messages: int = 0
    # Totals that a file tells itself, by our columns, and what else its session's row keeps.
    tokens: dict[str, int] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def compactions(self) -> int:
        """Old versions write only the summary, and a hand-made compaction only the boundary."""
        return max(self.compact_boundaries, self.compact_summaries)

    @property
    def cwd(self) -> str | None:
        return self.cwds[0] if self.cwds else None

    @property
    def git_branch(self) -> str | None:
        return self.git_branches[0] if self.git_branches else None

    @property
    def version(self) -> str | None:
        return self.versions[-1] if self.versions else None

    @property
    def title(self) -> str | None:
        """The best name there is: given by the person, by the program, else what was asked."""
        given = self.custom_title or self.agent_name or self.ai_title or self.own_summary
        asked = given or self.first_prompt or self.first_command or self.first_user_text
        return beginning(asked.strip().split("\n", 1)[0], TITLE_LIMIT) if asked else None

    def note_place(self, cwd: str | None, branch: str | None, version: str | None) -> None:
        _remember(self.cwds, cwd)
        _remember(self.git_branches, branch)
        _remember(self.versions, version)

    def note_tool(self, tool: str) -> None:
        _tally(self.tools, tool)

    def note_message(self, message: MessageRecord) -> None:
        self.messages += 1
        if message.model and message.model != SYNTHETIC_MODEL:
            _tally(self.models, message.model)
            if not message.is_sidechain:
                self.model = message.model
        self.api_errors += message.kind is Kind.API_ERROR
        self.compact_summaries += message.is_compact_summary
        if message.role is Role.USER and not message.is_sidechain:
            self._note_user(message)

    def _note_user(self, message: MessageRecord) -> None:
        text = beginning(message.content, TEXT_LIMIT)
        self.first_user_text = self.first_user_text or text
        if message.kind is Kind.PROMPT:
            self.prompts += 1
            # Without what an editor put before it.
            self.first_prompt = (
                self.first_prompt or beginning(spoken_text(message.blocks), TEXT_LIMIT) or text
            )
        elif message.kind is Kind.COMMAND:
            self.first_command = self.first_command or command_line(text) or text
        elif message.kind is Kind.INTERRUPTION:
            self.interruptions += 1
