"""What a conversation of ChatGPT becomes, and each of its messages."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from memory.importers.chatgpt.parts import content_of
from memory.importers.chatgpt.tree import Path
from memory.importers.keys import row_key
from memory.importers.problems import Code
from memory.importers.rows import Appended, Draft, Entry, Ref
from memory.importers.values import Fields, at_or, parse_time, without_empty
from sessions.models import Session, Thread
from sessions.models.session import State
from sessions.models.thread import MessageRole
from sessions.services.threads import NewMessage

ROLES = {str(role): str(role) for role in MessageRole}
# What of a message's metadata is worth keeping; the rest is about how it was shown.
_KEPT = (
    "attachments", "citations", "content_references", "finish_details", "aggregate_result",
    "command", "gizmo_id", "voice_mode_message", "reasoning_status",
)  # fmt: skip

_MOST: Any = Thread._meta.get_field("name").max_length


def conversation(row: Mapping[str, Any], key: str, paths: Sequence[Path], agent: str) -> Entry:
    """A conversation as a session with its threads."""
    f = Fields(row)
    began = f.time("create_time")
    last = f.time("update_time")
    at = at_or(last, began)
    if began is None:
        f.find(Code.MISSING_TIMESTAMP, "it has no create_time",
               "began when it was last changed")  # fmt: skip
    title = f.text("title").strip() or "Untitled"
    session = Draft(
        Session,
        key,
        {
            "conversation_id": row_key(key)[:120].replace("/", "-"),
            "name": title,
            "model": f.text("default_model_slug", 120),
            "started_at": at_or(began, last),
            "last_seen_at": at,
            "ended_at": max(at, at_or(began, last)),
            "end_reason": "ended",
            "current_state": State.ENDED,
            "metadata": without_empty(
                gizmo_id=f.text("gizmo_id"),
                conversation_template_id=f.text("conversation_template_id"),
                is_archived=row.get("is_archived") or None,
                is_starred=row.get("is_starred") or None,
                conversation_origin=f.text("conversation_origin"),
                memory_scope=f.text("memory_scope"),
            ),
        },
        agent=agent,
        once=frozenset({"last_seen_at", "current_state", "model"}),
    )
    entry = Entry("conversations", key, [session], findings=f.findings, at=at)
    for number, path in enumerate(paths):
        thread = Draft(
            Thread,
            thread_key(key, path.key),
            {
                "name": _name(f, title, number),
                "status": "closed",
                "metadata": without_empty(forked_at=path.fork),
            },
            refs={"session": Ref(Session, key)},
            needed=frozenset({"session"}),
            # A branch may be the path that is current in a later export.
            once=frozenset({"name", "metadata", "parent"}),
        )
        if number and path.fork:
            thread.refs["parent"] = Ref(Thread, thread_key(key, path.parent))
        entry.drafts.append(thread)
    return entry


def _name(f: Fields, title: str, number: int) -> str:
    """Of a thread; which of several it is stands at the end."""
    if not number:
        return title
    which = f" (branch {number})"
    return f.fitted(f"the title of branch {number}", title, _MOST - len(which)) + which


def message(
    node: Mapping[str, Any], key: str, conversation_key: str, path: Path, before: datetime | None
) -> Entry:
    """One message of a thread. `before` is the time of the message before it."""
    raw = node.get("message")
    f = Fields(raw if isinstance(raw, Mapping) else {})
    table_key = row_key(conversation_key, key)
    author = f.raw("author")
    author = author if isinstance(author, Mapping) else {}
    role = Fields({"author.role": author.get("role")})
    ours = role.choice("author.role", ROLES, MessageRole.SYSTEM)
    f.findings += role.findings
    name = str(author.get("name") or "")
    content, blocks = content_of(f, f.raw("content"), author=name)
    told = f.raw("metadata")
    told = told if isinstance(told, Mapping) else {}
    occurred = f.time("create_time", what="it has the time of the message before it")
    parent = node.get("parent")
    new = NewMessage(
        role=ours,
        content=content,
        blocks=blocks,
        native_uuid=message_key(key),
        native_parent_uuid=message_key(parent) if isinstance(parent, str) else "",
        model=str(told.get("model_slug") or ""),
        occurred_at=at_or(occurred, before),
        metadata=without_empty(
            **{one: told.get(one) for one in _KEPT},
            role=str(author.get("role") or "") if ours != author.get("role") else "",
            author=name,
            recipient="" if f.text("recipient") in ("", "all") else f.text("recipient"),
            channel=f.text("channel"),
            status=f.text("status") if f.text("status") != "finished_successfully" else "",
            hidden=True if is_hidden(told) else None,
        ),
    )
    to = Ref(Thread, thread_key(conversation_key, path.key))
    return Entry("messages", table_key, appended=[Appended(to, (new,))], findings=f.findings)


def says_something(node: Any) -> bool:
    """Whether a node is a message. The root of a tree has none, and the system message that each
    conversation begins with says nothing."""
    raw = node.get("message") if isinstance(node, Mapping) else None
    if not isinstance(raw, Mapping):
        return False
    content = raw.get("content")
    if isinstance(content, Mapping):
        rest = {k: v for k, v in content.items() if k not in ("content_type", "language")}
        return any(_says(value) for value in rest.values())
    return bool(content)


def time_of(node: Mapping[str, Any]) -> datetime | None:
    raw = node.get("message")
    return parse_time(raw.get("create_time")) if isinstance(raw, Mapping) else None


def is_hidden(told: Mapping[str, Any]) -> bool:
    return told.get("is_visually_hidden_from_conversation") is True


def thread_key(conversation_key: str, path: str) -> str:
    return row_key(conversation_key, path) if path else conversation_key


def message_key(key: str) -> str:
    """As `native_uuid`, which has 120 characters."""
    return key if len(key) <= 100 and row_key(key) == key else row_key(key)[-100:]


def _says(value: Any) -> bool:
    if isinstance(value, list):
        return any(_says(one) for one in value)
    return value not in (None, "", {}, False)
