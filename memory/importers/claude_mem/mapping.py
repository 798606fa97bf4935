"""What each row of claude-mem becomes. One function for each table, read top to bottom.

Rows come with today's names of columns (the reader renames old ones), and with `session_key`: the
key of the session that they belong to.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from config.lib.shorten import before_secret
from memory.importers.keys import row_key
from memory.importers.problems import Code
from memory.importers.rows import Appended, Draft, Entry, Ref
from memory.importers.values import Fields, at_or, without_empty
from memory.models import Memory
from memory.models.memory import Kind, MemoryState
from sessions.models import Project, Session, Thread
from sessions.models.session import Outcome, State
from sessions.services.events import NewEvent
from sessions.services.threads import NewMessage

Row = Mapping[str, Any]

# What its modes call their observations, and what that is here.
KINDS = {
    "decision": str(Kind.DECISION),
    "bugfix": str(Kind.OCCURRENCE),
    "feature": str(Kind.OCCURRENCE),
    "refactor": str(Kind.OCCURRENCE),
    "change": str(Kind.OCCURRENCE),
    "discovery": str(Kind.OBSERVATION),
    "security_alert": str(Kind.OBSERVATION),
    "security_note": str(Kind.OBSERVATION),
    "sensitive": str(Kind.OBSERVATION),
}
# Whose sessions they are, by platform_source; others are agents of that name.
AGENTS = {"": "claude-code", "claude": "claude-code"}
OUTCOMES = {"completed": Outcome.SUCCESS, "failed": Outcome.FAILURE}
# The parts of a summary, with the words that stand before them.
SUMMARY = (
    ("request", "Asked"),
    ("investigated", "Investigated"),
    ("learned", "Learned"),
    ("completed", "Completed"),
    ("next_steps", "Next steps"),
    ("notes", "Notes"),
)
EMPTY_TEXT = "(empty)"


def session_key(row: Row) -> str:
    """Unique there is what the agent calls it together with the agent's platform."""
    platform = str(row.get("platform_source") or "")
    native = str(row.get("content_session_id") or row.get("memory_session_id") or row.get("id"))
    return row_key(native) if platform in AGENTS else row_key(platform, native)


def session(row: Row, agent: str) -> Entry:
    f = Fields(row)
    key = session_key(row)
    platform = f.text("platform_source")
    started = _time(f, "started_at")
    ended = _time(f, "completed_at")
    if ended is not None and started is not None and ended < started:
        f.find(Code.BAD_VALUE, "it was completed before it started", "ended when it started")
        ended = started
    began = at_or(started, ended)
    status = f.text("status")
    prompt = f.text("user_prompt")
    draft = Draft(
        Session,
        key,
        {
            "conversation_id": key.replace("/", "-")[:120],
            "claude_session_id": key[:120] if platform in AGENTS else "",
            "name": f.text("custom_title")
            or before_secret(prompt, 200)
            or f"Session of {f.text('project')}",
            "prompt": prompt,
            "model": f.text("observed_model", 120),
            "started_at": began,
            "last_seen_at": at_or(ended, began),
            # What it calls active may have been left years ago: nothing goes on in an import.
            "ended_at": at_or(ended, began),
            "end_reason": status if status in OUTCOMES else "ended",
            "outcome": OUTCOMES.get(status, Outcome.UNKNOWN),
            "current_state": State.ENDED,
            "metadata": without_empty(
                memory_session_id=f.text("memory_session_id"),
                project=f.text("project"),
                status=status,
                platform_source=platform,
            ),
        },
        agent=agent or AGENTS.get(platform, platform),
        once=frozenset({"last_seen_at", "current_state", "model", "prompt"}),
    )
    thread = Draft(
        Thread,
        key,
        {"name": draft.values["name"], "status": "closed"},
        refs={"session": Ref(Session, key)},
        needed=frozenset({"session"}),
    )
    drafts = [draft, thread, *_project(draft, f.text("project"))]
    return Entry("sdk_sessions", key, drafts, findings=f.findings, at=began)


def prompt(row: Row) -> Entry:
    """What the person asked, as a message of the session's thread."""
    f = Fields(row)
    at = _time(f, "created_at")
    new = NewMessage(
        role="user",
        content=f.text("prompt_text"),
        blocks=[{"type": "text", "text": f.text("prompt_text")}],
        native_uuid=f"prompt:{f.text('id')}",
        occurred_at=at_or(at),
        metadata=without_empty(prompt_number=row.get("prompt_number")),
    )
    of = str(row["session_key"])
    appended = [Appended(Ref(Thread, of), (new,), session=Ref(Session, of))]
    return Entry("user_prompts", f.text("id"), appended=appended, findings=f.findings, at=at)


def tool_use(row: Row) -> Entry:
    """A call of a tool with its answer, as an event of the session."""
    f = Fields(row)
    at = _time(f, "created_at")
    name = f.text("tool_name") or "tool"
    call = f.text("tool_use_id")
    new = NewEvent(
        event_type="tool_use",
        text=name,
        data=without_empty(
            tool=name,
            tool_use_id=call,
            input=_json_or_text(row.get("tool_input")),
            response=_json_or_text(row.get("tool_response")),
            cwd=f.text("cwd"),
            prompt_number=row.get("prompt_number"),
            agent_type=f.text("agent_type"),
            agent_id=f.text("agent_id"),
        ),
        occurred_at=at_or(at),
        # By the call's id as the agent's hooks and transcripts name it.
        dedupe_key=(f"tool_use:{call}" if call else row_key("tool_use", f.text("id")))[:120],
    )
    to = Ref(Session, str(row["session_key"]))
    key = f.text("id")
    return Entry("tool_uses", key, appended=[Appended(to, (new,))], findings=f.findings, at=at)


def observation(row: Row) -> Entry:
    """A memory: its title, what it says under it, its narrative, and its facts as a list."""
    f = Fields(row)
    key = f"observation:{f.text('id')}"
    facts = _strings(f, "facts")
    title, subtitle = f.text("title").strip(), f.text("subtitle").strip()
    body = f.text("narrative").strip() or f.text("text").strip()
    listed = "\n".join(f"- {fact}" for fact in facts)
    text = "\n\n".join(part for part in (title, subtitle, body, listed) if part)
    kind = f.choice("type", KINDS, Kind.OBSERVATION)
    at = _time(f, "created_at")
    concepts = _strings(f, "concepts")
    draft = _memory(row, f, key, text, kind, at)
    draft.values |= {
        "tags": concepts,
        "data": without_empty(
            type=f.text("type"),
            title=title,
            subtitle=subtitle,
            facts=facts,
            files_read=_strings(f, "files_read"),
            files_modified=_strings(f, "files_modified"),
        ),
    }
    draft.values["metadata"] |= without_empty(
        agent_type=f.text("agent_type"),
        agent_id=f.text("agent_id"),
        generated_by_model=f.text("generated_by_model"),
        relevance_count=row.get("relevance_count") or None,
        metadata=_json_or_text(row.get("metadata")),
    )
    drafts = [draft, *_project(draft, f.text("merged_into_project") or f.text("project"))]
    return Entry("observations", key, drafts, findings=f.findings, at=at)


def summary(row: Row) -> Entry:
    """A summary of a session, of which there may be one for each prompt."""
    f = Fields(row)
    key = f"summary:{f.text('id')}"
    parts = {name: f.text(name).strip() for name, _ in SUMMARY}
    text = "\n\n".join(f"{said}: {parts[name]}" for name, said in SUMMARY if parts[name])
    at = _time(f, "created_at")
    draft = _memory(row, f, key, text, str(Kind.OCCURRENCE), at)
    draft.values |= {
        "tags": ["summary"],
        "data": without_empty(
            type="summary",
            **parts,
            files_read=_strings(f, "files_read"),
            files_edited=_strings(f, "files_edited"),
        ),
    }
    drafts = [draft, *_project(draft, f.text("merged_into_project") or f.text("project"))]
    return Entry("session_summaries", key, drafts, findings=f.findings, at=at)


def lost(table: str, key: str, column: str, target: str) -> Entry:
    """A prompt or tool use whose session is not there: it has no place."""
    f = Fields({})
    f.find(Code.ORPHAN, f"{column} {target!r:.80} is not there", "skipped")
    return Entry(table, key, findings=f.findings)


# --- Parts --------------------------------------------------------------------------------------


def _memory(row: Row, f: Fields, key: str, text: str, kind: str, at: datetime | None) -> Draft:
    if not text:
        f.find(Code.EMPTY, "it has no text", f"became {EMPTY_TEXT}, in quarantine")
    draft = Draft(
        Memory,
        key,
        {
            "kind": kind,
            "text": text or EMPTY_TEXT,
            "actor": "agent",
            "method": "claude-mem",
            "recorded_at": at_or(at),
            "state": MemoryState.ACTIVE if text else MemoryState.QUARANTINED,
            "metadata": without_empty(
                project=f.text("project"),
                prompt_number=row.get("prompt_number"),
                discovery_tokens=row.get("discovery_tokens") or None,
            ),
        },
        once=frozenset({"state"}),
    )
    known = row.get("session_key") or f.text("memory_session_id")
    if known:
        draft.refs["session"] = Ref(Session, str(known))
    return draft


def _project(draft: Draft, name: str) -> list[Draft]:
    """The project a row names; one of that name is made where there is none."""
    name = name.strip()
    if not name:
        return []
    key = row_key("project", name)
    draft.refs["project"] = Ref(Project, key)
    return [Draft(Project, key, {"title": name}, once=frozenset({"title"}))]


def _time(f: Fields, name: str) -> datetime | None:
    """By the column of milliseconds, else by the text beside it."""
    epoch = f.raw(f"{name}_epoch")
    if isinstance(epoch, (int, float)) and not isinstance(epoch, bool) and epoch > 0:
        return f.time(f"{name}_epoch") or f.time(name)
    return f.time(name) if f.raw(name) else None


def _strings(f: Fields, name: str) -> list[str]:
    """A JSON list of texts; text that is no JSON is one of them."""
    value = f.raw(name)
    if isinstance(value, str) and value.strip() and not value.lstrip().startswith(("[", "{", '"')):
        return [value]
    listed = f.json(name, list)
    return list(dict.fromkeys(str(one) for one in listed if one not in (None, "")))


def _json_or_text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith(("{", "[")):
        return value
    parsed = Fields({"v": value}).parsed("v", value, dict if value.lstrip()[0] == "{" else list)
    return parsed or value
