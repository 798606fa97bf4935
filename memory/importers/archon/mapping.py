"""What each row of an Archon becomes. One function for each table, read top to bottom.

Values are text as PostgreSQL writes it. What differs from its shape there is kept as it was, in
`metadata`, and said.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from memory.importers.archon.tables import ZERO
from memory.importers.flags import instructions_in
from memory.importers.problems import Code
from memory.importers.rows import Appended, Draft, Entry, Ref
from memory.importers.values import Fields, at_or, short, without_empty
from memory.models import Memory
from memory.models.memory import Kind, MemoryState, Trust
from sessions.models import Project, Session, Task
from sessions.models.session import Outcome, State
from sessions.models.task import TaskStatus, Urgency
from sessions.services.events import NewEvent

Row = Mapping[str, Any]

NO_TITLE = "(no title)"
EMPTY = "(empty)"
NOBODY = "unknown"
STATUSES = {str(status): str(status) for status in TaskStatus}
PRIORITIES = {str(level): str(level) for level in Urgency}
OUTCOMES = {"success": Outcome.SUCCESS, "failure": Outcome.FAILURE, "failed": Outcome.FAILURE}
# What Archon's own code writes; others are kept as they are.
EVENT_TYPES = frozenset(
    {
        "task_created", "task_updated", "task_completed", "decision_made", "error_encountered",
        "pattern_identified", "context_shared",
    }
)  # fmt: skip
# What of an event people and search read, in this order.
SAID = (
    "title", "decision", "rationale", "error", "pattern", "text", "note", "result", "message",
    "summary", "description", "content",
)  # fmt: skip
# Lists of a summary that a model made there.
SUMMARY_LISTS = ("key_events", "decisions", "outcomes", "next_steps")
ITEM_LIMIT = 10_000


def project(row: Row, sources: Sequence[Row], zone: tzinfo | None) -> Entry:
    """A project; `sources` are its links to sources that are there."""
    f = Fields(row)
    key = f.text("id")
    created = _local(f.past("created_at"), zone)
    archived = f.flag("archived")
    kept: dict[str, Any] = {}
    values = _without_none(
        title=_title(f),
        description=f.text("description"),
        docs=_objects(f, "docs", kept),
        features=_objects(f, "features", kept),
        data=_objects(f, "data", kept),
        repo_url=f.text("github_repo", 500),
        pinned=f.flag("pinned"),
        # Archon notes that, not when.
        archived_at=at_or(f.time("updated_at"), created) if archived else None,
        created_at=created,
    )
    values["metadata"] = kept | without_empty(
        status=f.text("status"),
        archived_at_unknown=True if archived else None,
        sources=[_link(link) for link in sources],
    )
    _look(f, "description")
    _vector(f)
    draft = Draft(
        Project, key, values,
        # By the time of the last change, which goes on there.
        once=frozenset({"archived_at"} if archived else ()),
        also=Counter({"archon_project_sources": len(sources)} if sources else {}),
    )  # fmt: skip
    return Entry("archon_projects", key, [draft], findings=f.findings, at=created)


def lost_link(row: Row, what: str) -> Entry:
    """A link between a project and a source of which one is not there."""
    f = Fields(row)
    f.find(Code.ORPHAN, f"it links {what}, which is not there", "skipped")
    return Entry("archon_project_sources", f.text("id"), findings=f.findings)


def source(row: Row) -> Entry:
    """What was crawled, by its title and summary; not the pages."""
    f = Fields(row)
    key = f.text("source_id")
    title, url = f.text("title"), f.text("source_url")
    text = "\n".join(part for part in (title, f.text("summary"), url) if part.strip())
    if not text:
        f.find(Code.EMPTY, "it has no title, summary or address", f"became {EMPTY}")
    at = f.time("created_at")
    about = f.json("metadata", dict, what="left out")
    _look(f, "summary")
    draft = Draft(
        Memory,
        f"source:{key}",
        {
            "kind": Kind.WEB_OBSERVATION,
            "text": text or EMPTY,
            "data": without_empty(
                type="source",
                url=url,
                title=title,
                display_name=f.text("source_display_name"),
                word_count=_whole(f, "total_word_count"),
            ),
            "tags": _tags(about.get("tags")),
            "trust": Trust.EXTERNAL,
            # A person looks at what pages say before agents are told it.
            "state": MemoryState.QUARANTINED,
            "recorded_at": at_or(at),
            "metadata": {"source": about} if about else {},
        },
        once=frozenset({"state"}),
    )
    return Entry("archon_sources", key, [draft], findings=f.findings, at=at)


def task(row: Row, zone: tzinfo | None, *, no_parent: str = "") -> Entry:
    """A task. `no_parent` says why it cannot have the parent that it names."""
    f = Fields(row)
    key = f.text("id")
    created = _local(f.past("created_at"), zone)
    updated = f.time("updated_at")
    archived = f.flag("archived")
    archived_at = _local(f.time("archived_at"), zone)
    status = f.choice("status", STATUSES, TaskStatus.TODO)
    kept: dict[str, Any] = {}
    unknown = archived and archived_at is None
    values = _without_none(
        title=_title(f),
        description=f.text("description"),
        status=status,
        assignee=f.text("assignee", 120),
        order=_whole(f, "task_order") or 0,
        priority=f.choice("priority", PRIORITIES, Urgency.MEDIUM),
        feature=f.text("feature", 200),
        sources=_objects(f, "sources", kept),
        code_examples=_objects(f, "code_examples", kept),
        # One that is not archived may have a time of it all the same.
        archived_at=(archived_at or at_or(updated, created)) if archived else None,
        archived_by=f.text("archived_by", 120) if archived else "",
        completed_at=at_or(updated, created) if status == TaskStatus.DONE else None,
        created_at=created,
    )
    values["metadata"] = kept | without_empty(
        status=f.text("status") if f.text("status") not in STATUSES else "",
        priority=f.text("priority") if f.text("priority") not in PRIORITIES else "",
        archived_reason=f.text("archived_reason"),
        archived_at_unknown=True if unknown else None,
        parent_task_id=f.text("parent_task_id") if no_parent else "",
    )
    if unknown:
        f.find(Code.MISSING_TIMESTAMP, "it is archived, and archived_at is empty",
               "archived when it was last changed")  # fmt: skip
    _look(f, "title")
    _look(f, "description")
    _vector(f)
    draft = Draft(
        Task,
        key,
        values,
        once=frozenset({"completed_at", *({"archived_at"} if unknown else ())}),
    )
    if project_id := f.text("project_id"):
        draft.refs["project"] = Ref(Project, project_id)
    else:
        f.find(Code.EMPTY, "project_id is empty", "without a project")
    if no_parent:
        f.find(Code.BAD_VALUE, f"parent_task_id: {no_parent}",
               "without a parent; kept in metadata")  # fmt: skip
    elif parent := f.text("parent_task_id"):
        draft.refs["parent"] = Ref(Task, parent)
    return Entry("archon_tasks", key, [draft], findings=f.findings, at=updated or created)


def session(row: Row, agents: Mapping[str, str]) -> Entry:
    """A session. `agents` spells each agent as most of its sessions do; `last_event` is when the
    last thing happened in it, in seconds."""
    f = Fields(row)
    key = f.text("id")
    given = f.text("agent")
    folded = " ".join(given.split()).casefold()
    if not folded:
        f.find(Code.EMPTY, "agent is empty", f"became {NOBODY}")
    agent = agents.get(folded) or NOBODY
    started, ended = f.past("started_at"), f.time("ended_at")
    created, updated = f.time("created_at"), f.time("updated_at")
    event = row.get("last_event")
    last_event = None if event is None else datetime.fromtimestamp(event, UTC)
    began = at_or(started, created, ended)
    kept: dict[str, Any] = {}
    if ended is not None and ended < began:
        f.find(Code.BAD_VALUE, f"ended_at lies before started_at, by {began - ended}",
               "ended at its last event, or when it began; kept in metadata")  # fmt: skip
        kept["ended_at"] = f.text("ended_at")
        ended = max(began, at_or(last_event))
    elif ended is None and f.text("ended_at"):
        kept["ended_at"] = f.text("ended_at")
    context = _object(f, "context", kept)
    metadata = _object(f, "metadata", kept)
    summary = f.text("summary")
    summary_data = _ai_summary(f, metadata)
    if not summary.strip() and isinstance(said := metadata.get("summary"), str):
        summary = said
    values: dict[str, Any] = {
        "name": _said(context, "working_on"),
        "cwd": _said(context, "cwd"),
        "branch": _said(context, "branch"),
        "context": context,
        "started_at": began,
        "last_seen_at": max(began, at_or(ended or last_event)),
        "ended_at": ended,
        "end_reason": "ended" if ended is not None else "",
        "current_state": State.ENDED if ended is not None else State.IDLE,
        "outcome": OUTCOMES.get(_said(metadata, "outcome").lower(), Outcome.UNKNOWN),
        "summary": summary,
        "summary_data": summary_data,
    }
    values["metadata"] = metadata | kept | without_empty(
        agent=given if given != agent else "",
        started_at_unknown=True if started is None else None,
    )  # fmt: skip
    _look(f, "summary")
    _vector(f)
    once = {"last_seen_at", "current_state", "cwd", "branch"}
    if ended is None:
        # It goes on here, or is ended for its silence.
        once |= {"ended_at", "end_reason"}
    draft = Draft(Session, key, values, agent=agent, once=frozenset(once))
    if project_id := f.text("project_id"):
        draft.refs["project"] = Ref(Project, project_id)
    at = max(began, at_or(updated), at_or(last_event), at_or(ended))
    return Entry("archon_sessions", key, [draft], findings=f.findings, at=at)


def event(row: Row, *, known: bool, lost_task: str = "") -> Entry:
    """An event of a session, or of none (`known` is false), which waits for somebody to look at
    it. `lost_task` is a task that it names and that is not there."""
    f = Fields(row)
    key = f.text("id")
    kind = f.text("event_type", 60).strip() or "event"
    if kind not in EVENT_TYPES:
        f.find(Code.UNKNOWN_TYPE, f"event_type is {short(kind)}, which Archon's code does not know",
               "kept as it is")  # fmt: skip
    kept: dict[str, Any] = {}
    data = _object(f, "event_data", kept, wrapped="value")
    about = _object(f, "metadata", kept)
    if about:
        data["event_metadata" if "metadata" in data else "metadata"] = about
    at = f.past("timestamp")
    if lost_task:
        f.find(Code.DANGLING, f"event_data names the task {lost_task!r:.80}, which is not there",
               "kept as text")  # fmt: skip
    text = _text_of(data)
    if (flag := instructions_in("event_data", text)) is not None:
        f.findings.append(flag)
    _vector(f)
    session_id = f.text("session_id")
    entry = Entry("archon_session_events", key, findings=f.findings, at=at)
    if known:
        new = NewEvent(event_type=kind, text=text, data=data, occurred_at=at_or(at), dedupe_key=key)
        entry.appended.append(Appended(Ref(Session, session_id), (new,)))
        return entry
    reason = f"its session {session_id!r:.80} is not there" if session_id else "session_id is empty"
    f.find(Code.ORPHAN, reason, "put in quarantine as a memory")
    entry.drafts.append(
        Draft(
            Memory,
            f"event:{key}",
            {
                "kind": Kind.OCCURRENCE,
                "text": text or kind,
                "data": data,
                "state": MemoryState.QUARANTINED,
                "recorded_at": at_or(at),
                "metadata": without_empty(event_type=kind, session_id=session_id),
            },
            once=frozenset({"state"}),
        )
    )
    return entry


def document_version(
    row: Row, project_id: str, zone: tzinfo | None, *, lost_task: str = ""
) -> Entry:
    """What a project's documents were before a change. Looked up, not recalled: it is archived.
    `lost_task` is a task that it names and that is not there."""
    f = Fields(row)
    key = f.text("id")
    if lost_task:
        f.find(Code.DANGLING, f"task_id names {lost_task!r:.80}, which is not there",
               "kept as text")  # fmt: skip
    at = _local(f.time("created_at"), zone)
    field, number = f.text("field_name"), _whole(f, "version_number")
    content = _loaded(f, "content")
    text = f.text("change_summary")
    draft = Draft(
        Memory,
        f"version:{key}",
        {
            "kind": Kind.OCCURRENCE,
            "text": text if text.strip() else f"{field or 'Document'}, version {number}",
            "data": without_empty(
                type="document_version",
                field_name=field,
                version_number=number,
                change_type=f.text("change_type"),
                document_id=f.text("document_id"),
                content=content,
                task_id=f.text("task_id"),
            ),
            "actor": f.text("created_by", 60),
            "state": MemoryState.ARCHIVED,
            "recorded_at": at_or(at),
        },
        once=frozenset({"state"}),
    )
    if project_id:
        draft.refs["project"] = Ref(Project, project_id)
    return Entry("archon_document_versions", key, [draft], findings=f.findings, at=at)


def task_of(row: Row) -> str:
    """The task that an event names, if it does."""
    given = row.get("event_data")
    if not given or '"task_id"' not in given:
        return ""
    try:
        data = json.loads(given)
    except (ValueError, RecursionError):
        return ""
    found = data.get("task_id") if isinstance(data, dict) else None
    return found if isinstance(found, str) else ""


# --- Parts --------------------------------------------------------------------------------------


def _local(moment: datetime | None, zone: tzinfo | None) -> datetime | None:
    """A time that was written without its zone and stored as if it were UTC."""
    if moment is None or zone is None:
        return moment
    return moment.replace(tzinfo=zone).astimezone(UTC)


def _without_none(**values: Any) -> dict[str, Any]:
    """`values` that are known; what is not keeps the model's default. `archived_at` and
    `completed_at` say something when they are empty."""
    stays = ("archived_at", "completed_at")
    return {name: v for name, v in values.items() if v is not None or name in stays}


def _whole(f: Fields, name: str) -> int | None:
    """A whole number: here all values are text."""
    given: Any = f.text(name).strip()
    with contextlib.suppress(ValueError):
        given = float(given)
    found = f.parsed_number(name, given, -(2**31), 2**31 - 1)
    return None if found is None else int(found)


def _title(f: Fields) -> str:
    title = f.text("title")
    if title.strip():
        return title
    f.find(Code.EMPTY, "title is empty", f"became {NO_TITLE}")
    return NO_TITLE


def _loaded(f: Fields, name: str) -> Any:
    """The JSON of a column; text that is none stays text, which is found."""
    given = f.raw(name)
    if given is None or given == "":
        return None
    try:
        return json.loads(given)
    except (ValueError, RecursionError):
        f.find(Code.MALFORMED_JSON, f"{name} is malformed JSON: {short(given)}",
               "kept as text in metadata")  # fmt: skip
        return given


def _object(f: Fields, name: str, kept: dict[str, Any], *, wrapped: str = "") -> dict[str, Any]:
    """A JSON object. What is none is kept: in `wrapped` of the object, or else in `kept`. A text
    that is JSON itself is read once more."""
    value = _loaded(f, name)
    if value is None or isinstance(value, dict):
        return value or {}
    if isinstance(value, str):
        try:
            inner = json.loads(value)
        except (ValueError, RecursionError):
            inner = None
        if isinstance(inner, dict):
            f.find(Code.LEGACY_SHAPE, f"{name} is JSON in a JSON text", "read once more")
            return inner
    if wrapped:
        f.find(Code.LEGACY_SHAPE, f"{name} is not an object: {short(value)}",
               f"kept as its {wrapped!r}")  # fmt: skip
        return {wrapped: value}
    f.find(Code.LEGACY_SHAPE, f"{name} is not an object: {short(value)}", "kept in metadata")
    kept[name] = value
    return {}


def _objects(f: Fields, name: str, kept: dict[str, Any]) -> list[dict[str, Any]]:
    """A JSON list of objects; {} is an empty one. What has another shape is kept as it was."""
    value = _loaded(f, name)
    if value is None or value == {}:
        return []
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return value
    f.find(Code.LEGACY_SHAPE, f"{name} is not a list of objects: {short(value)}",
           "its objects are kept; as it was in metadata")  # fmt: skip
    kept[name] = value
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _ai_summary(f: Fields, metadata: dict[str, Any]) -> dict[str, Any]:
    """The lists of `metadata.ai_summary`, which leave the metadata; the rest stays there."""
    said = metadata.get("ai_summary")
    if not isinstance(said, dict):
        if said is not None:
            f.find(Code.LEGACY_SHAPE, f"ai_summary is not an object: {short(said)}",
                   "kept in metadata")  # fmt: skip
        return {}
    found: dict[str, Any] = {}
    rest = dict(said)
    for name in SUMMARY_LISTS:
        value = said.get(name)
        if isinstance(value, str):
            value = [value]
        if isinstance(value, list):
            found[name] = [_item(f, name, one) for one in value]
            rest.pop(name)
        elif value is not None:
            f.find(Code.LEGACY_SHAPE, f"ai_summary.{name} is not a list: {short(value)}",
                   "kept in metadata")  # fmt: skip
    if not isinstance(said.get("summarized_at"), (str, type(None))):
        f.find(Code.BAD_VALUE, "ai_summary.summarized_at is no time", "kept in metadata")
    del metadata["ai_summary"]
    if rest:
        metadata["ai_summary"] = rest
    return found


def _item(f: Fields, name: str, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f.fitted(f"one of ai_summary.{name}", text, ITEM_LIMIT)


def _text_of(data: Mapping[str, Any]) -> str:
    """What people and search read of an event."""
    said = [value for name in SAID if isinstance(value := data.get(name), str) and value.strip()]
    if not said:
        said = [value for value in data.values() if isinstance(value, str) and " " in value.strip()]
    return "\n".join(said)


def _said(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _tags(value: Any) -> list[str]:
    names = [one.strip() for one in value if isinstance(one, str)] if isinstance(
        value, list) else []  # fmt: skip
    return list(dict.fromkeys(name for name in names if name))


def _link(link: Row) -> dict[str, Any]:
    return without_empty(
        source_id=link["source_id"],
        title=link["source_title"],
        url=link["source_url"],
        notes=link["notes"],
        linked_at=link["linked_at"],
        created_by=link["created_by"],
    )


def _look(f: Fields, name: str) -> None:
    """Whether a text gives orders to a model; it is kept whatever it says."""
    if (flag := instructions_in(name, f.text(name))) is not None:
        f.findings.append(flag)


def _vector(f: Fields) -> None:
    if f.raw("embedding") == ZERO:
        f.find(Code.VALUE_DROPPED, "its embedding is all zeros", "left out; a new one is made")
