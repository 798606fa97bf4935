"""Reads one Codex session's rollouts: the reader of transcripts, for lines of another format."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from config.lib.shorten import beginning
from memory.importers.claude_code.events import Happening
from memory.importers.claude_code.files import SessionFiles
from memory.importers.claude_code.lines import BRANCH_LIMIT, ID_LIMIT, PATH_LIMIT, Fields
from memory.importers.claude_code.normalise import Normaliser
from memory.importers.claude_code.session import SessionReader
from memory.importers.claude_code.usage import COUNTER_LIMIT
from memory.importers.codex.lines import KNOWN_TYPES, TYPES, happening, parts_of, translated
from memory.importers.problems import Code, Finding
from memory.importers.storable import Storable

_DISTINCT_LIMIT = 1_000


class CodexReader(SessionReader):
    """`payload_types` counts lines as `type/payload type`; `meta` is the session's own first line,
    `tokens` the totals that its last `token_count` tells: they are running sums."""

    known_types = KNOWN_TYPES
    timed_types = TYPES

    def __init__(self, files: SessionFiles, **options: Any) -> None:
        super().__init__(files, **options)
        self.payload_types: Counter[str] = Counter()
        self.meta: dict[str, Any] = {}
        self.tokens: dict[str, int] = {}
        self.model: str | None = None

    def normaliser(self) -> Normaliser:
        return _Normaliser(self.facts, self.threads, self.usage)

    def understood(self, line: dict[str, Any], fields: Fields, clean: Storable) -> dict[str, Any]:
        parts = parts_of(line)
        if parts is None:
            return super().understood(line, fields, clean)
        kind, payload = parts
        inner = payload.get("type") if "payload" in line else None
        name = f"{kind}/{inner if isinstance(inner, str) else None}"
        if name in self.payload_types or len(self.payload_types) < _DISTINCT_LIMIT:
            self.payload_types[name] += 1
        if kind == "session_meta":
            self._note_session(payload, fields, clean)
        elif kind == "turn_context":
            self.model = _text(payload, "model", ID_LIMIT, clean) or self.model
            fields.cwd = _text(payload, "cwd", PATH_LIMIT, clean)
        elif inner == "token_count":
            self._note_tokens(payload, fields)
        return translated(line, self.model)

    def _note_session(self, payload: dict[str, Any], fields: Fields, clean: Storable) -> None:
        if self.meta:
            # A fork begins with its own and goes on with that of the session it copies.
            return
        self.meta = payload
        git = payload.get("git")
        git = git if isinstance(git, dict) else {}
        fields.cwd = _text(payload, "cwd", PATH_LIMIT, clean)
        fields.version = _text(payload, "cli_version", ID_LIMIT, clean)
        fields.git_branch = _text(git, "branch", BRANCH_LIMIT, clean)
        fields.forked_from = None
        origin = _text(payload, "forked_from_id", ID_LIMIT, clean)
        if origin != self.session.session_id:
            self.facts.forked_from = origin
        for ours, theirs in (("originator", "originator"), ("model_provider", "model_provider")):
            if said := _text(payload, theirs, ID_LIMIT, clean):
                self.facts.more[ours] = said
        if isinstance(said := payload.get("source"), str):
            self.facts.more["started_from"] = beginning(clean.text(said), ID_LIMIT)
        for ours, theirs in (("commit", "commit_hash"), ("repository_url", "repository_url")):
            if said := _text(git, theirs, PATH_LIMIT, clean):
                self.facts.more[ours] = said

    def _note_tokens(self, payload: dict[str, Any], fields: Fields) -> None:
        info = payload.get("info")
        total = info.get("total_token_usage") if isinstance(info, dict) else None
        if not isinstance(total, dict):
            return
        counts = {
            name: value
            for name, value in total.items()
            if type(value) is int and 0 <= value <= COUNTER_LIMIT
        }
        if wrong := ", ".join(sorted(map(str, total.keys() - counts.keys()))[:5]):
            fields.findings.append(Finding(Code.BAD_USAGE, f"no token count: {wrong}", "left out"))
        self.tokens = counts
        cached = min(counts.get("cached_input_tokens", 0), counts.get("input_tokens", 0))
        # What was read from the cache is part of the input there, and beside it here.
        self.facts.tokens = {
            "input_tokens": counts.get("input_tokens", 0) - cached,
            "cache_read_tokens": cached,
            "output_tokens": counts.get("output_tokens", 0),
        }
        self.facts.more["total_token_usage"] = counts


class _Normaliser(Normaliser):
    def line_event(self, line: dict[str, Any], clean: Storable) -> Happening | None:
        return happening(line, clean)


def _text(source: Mapping[str, Any], name: str, limit: int, clean: Storable) -> str | None:
    value = source.get(name)
    return beginning(clean.text(value), limit) if isinstance(value, str) and value else None
