"""What can be read by its URI: a session's transcript and a memory. As text, with what agents and
tools wrote between fences that it cannot end."""

import re
from typing import Any

import mcp_types as types

from config.lib.errors import NotFound
from config.lib.recalled import as_recalled
from config.lib.text import visible
from config.mcp.brief import cut_text, short
from config.mcp.rest import Call
from config.mcp.schemas import paging, read
from memory.api.memories import get_memory
from memory.search.context import CONFIRMED, fence
from sessions.api.messages import list_messages
from sessions.api.sessions import SessionQuery, get_session, list_sessions
from sessions.api.threads import list_session_threads

MARKDOWN = "text/markdown"
# Of one resource, in characters: whoever wants more reads page by page (memory_get).
MOST = 200_000
LISTED = 20
_URI = re.compile(r"remembrancer://(?:(sessions)/([^/?#]+)/transcript|(memories)/([^/?#]+))")
TEMPLATES = [
    types.ResourceTemplate(
        uri_template="remembrancer://sessions/{session_id}/transcript",
        name="session_transcript",
        title="A session's transcript",
        description="What was said in a session, thread by thread; its full or short id.",
        mime_type=MARKDOWN,
    ),
    types.ResourceTemplate(
        uri_template="remembrancer://memories/{memory_id}",
        name="memory",
        title="A memory",
        description="One memory with its evidence; its full or short id.",
        mime_type=MARKDOWN,
    ),
]


def list_resources(call: Call, cursor: str | None) -> types.ListResourcesResult:
    """The newest sessions' transcripts; none for a key that may not read sessions."""
    if not call.may(list_sessions):
        return types.ListResourcesResult(resources=[])
    page = call.ask(list_sessions, paging(LISTED, cursor), read(SessionQuery, {}))
    resources = [
        types.Resource(
            uri=f"remembrancer://sessions/{row['id']}/transcript",
            name=f"session {row['short_id']}",
            title=f"Session {row['short_id']}, {row['started_at'][:16]}Z",
            # Whoever lists resources reads somebody's words as well.
            description=_about(row),
            mime_type=MARKDOWN,
        )
        for row in page["items"]
    ]
    return types.ListResourcesResult(resources=resources, next_cursor=page["next_cursor"])


def _about(row: dict[str, Any]) -> str | None:
    said = ": ".join(part for part in (row["name"], cut_text(row["prompt_start"], 200)) if part)
    return as_recalled("\n".join(fence([f"{row['agent_name']} {said}"]))) if said else None


def read_resource(call: Call, uri: str) -> types.ReadResourceResult:
    """Raises NotFound for a URI that is none of ours, and where there is no such row."""
    found = _URI.fullmatch(uri)
    if found is None:
        raise NotFound("resource", uri, where="; see resources/templates/list")
    text = _transcript(call, found[2]) if found[1] else _memory(call, found[4])
    contents = types.TextResourceContents(uri=uri, mime_type=MARKDOWN, text=as_recalled(text))
    return types.ReadResourceResult(contents=[contents])


def _transcript(call: Call, session_id: str) -> str:
    session = call.ask(get_session, session_id)
    parts = [f"# Session {session['short_id']}, {session['started_at'][:16]}Z", *_facts(session)]
    left = MOST - sum(map(len, parts))
    for thread in call.ask(list_session_threads, session["id"], paging(200))["items"]:
        parts.append(f"## Thread {thread['short_id']}, {thread['message_count']} messages")
        cursor: str | None = ""
        while cursor is not None and left > 0:
            wanted = paging(200, cursor or None)
            page = call.ask(list_messages, thread["id"], wanted)
            for one in page["items"]:
                said = f"[{one['idx']} {one['role']} {one['occurred_at'][:19]}Z] {one['content']}"
                parts += fence([cut_text(said, max(left, 0))])
                left -= len(said)
                if left <= 0:
                    parts.append("Cut here; memory_get with kind=thread reads on.")
                    break
            cursor = page["next_cursor"]
        if left <= 0:
            break
    return "\n".join(parts) + "\n"


def _facts(session: dict[str, Any]) -> list[str]:
    names = ("agent_name", "name", "project_title", "outcome", "conversation_id", "summary")
    return fence([f"{name}: {session[name]}" for name in names if session[name]])


def _memory(call: Call, memory_id: str) -> str:
    row = call.ask(get_memory, memory_id)
    names = ("kind", "trust", "state", "tags", "recorded_at", "valid_from", "valid_to", "version")
    facts = fence([f"- {name}: {short(row[name], 200, name)}" for name in names if row[name]])
    text = [visible(row["text"])] if row["trust"] in CONFIRMED else fence([row["text"]])
    quotes = [
        line
        for one in row["evidence"]
        for line in fence([f"{one['quote'] or ''} {one['uri'] or ''}".strip()])
    ]
    parts = [f"# Memory {row['short_id']}", *facts, "", *text]
    return "\n".join([*parts, *(["", "## Evidence", *quotes] if quotes else [])]) + "\n"
