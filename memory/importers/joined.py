"""Sessions that two sources tell of under one id: one session, in either order of their imports.

claude-mem keeps a digest of what Claude Code's transcripts and hooks tell whole. Its memories are
of the session that those brought; prompts of it that stand there are not told again. Where the
digest came first, whoever brings the session goes on with its row (sessions/services/digested.py),
and the digest's thread goes once each of its prompts stands in the transcript.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from config.lib.actor import Actor
from memory.importers.claude_code.messages import command_line, spoken_text
from memory.importers.rows import Appended, Entry, Model
from memory.services.hook_traces import digest_of
from sessions.models import Message, Session, Thread
from sessions.services.digested import DIGESTS
from sessions.services.threads import NewMessage, create_threads, delete_thread

Step = Callable[[], AbstractContextManager[None]]
PAGE = 500
REASON = "all of it stands in the transcript"


def sources_of(source: str, model: Model) -> list[str]:
    """By which sources a row of this source may be here; the last one is preferred."""
    whole = [one for one, digests in DIGESTS.items() if source in digests]
    return [*whole, source] if model is Session else [source]


def told(source: str, entries: Sequence[Entry]) -> set[int]:
    """The numbers of entries whose messages the session has from another source already, in the
    same words."""
    asked: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        for one in entry.appended:
            if one.session is not None:
                asked[one.session.key].append(entry)
    joined = joined_sessions(source, asked)
    there = _said(joined.values()) if joined else {}
    return {
        entry.number
        for key, session_id in joined.items()
        for entry in asked[key]
        if all(_digests(one) <= there.get(session_id, set()) for one in entry.appended)
    }


def joined_sessions(source: str, keys: Collection[str]) -> dict[str, uuid.UUID]:
    """Those that are here by another source and not by this one, by their key."""
    sources = sources_of(source, Session)
    if not keys or sources == [source]:
        return {}
    rows = Session.objects.filter(source__in=sources, external_id__any_of=list(keys))
    found: dict[str, dict[str, uuid.UUID]] = defaultdict(dict)
    for key, name, pk in rows.values_list("external_id", "source", "pk"):
        found[key][name] = pk
    return {
        key: next(iter(by_source.values()))
        for key, by_source in found.items()
        if source not in by_source
    }


def make_places(source: str, actor: Actor, missing: Mapping[str, Appended]) -> None:
    """Threads of joined sessions for what only the digest tells, by the thread's key."""
    keys = {one.session.key for one in missing.values() if one.session is not None}
    joined = joined_sessions(source, keys)
    threads = [
        Thread(
            session_id=joined[one.session.key], name=f"Told by {source}", status="closed",
            source=source, external_id=key,
        )
        for key, one in missing.items()
        if one.session is not None and one.session.key in joined
    ]  # fmt: skip
    if threads:
        create_threads(actor=actor, threads=threads)


def drop_told_twice(source: str, actor: Actor, step: Step) -> None:
    """At the end of a run of either source: threads of digests all of which the transcript tells by
    now."""
    for whole, digests in DIGESTS.items():
        for digest in digests:
            if source not in (whole, digest):
                continue
            last: str | None = ""
            while last is not None:
                with step():
                    last = _drop_page(actor, whole, digest, last)


def _drop_page(actor: Actor, whole: str, digest: str, after: str) -> str | None:
    """The key of the page's last thread; None behind the last page. Index
    thread_external_id_unique, in its order: right after an import nothing is known of how many rows
    there are."""
    rows = Thread.objects.filter(source=digest, external_id__gt=after).order_by("external_id")
    page = list(rows.values_list("pk", "session_id", "external_id")[:PAGE])
    joined = Session.objects.filter(pk__in=[one for _, one, _ in page], source=whole)
    there = set(joined.values_list("pk", flat=True)) if page else set()
    for thread_id, session_id, _ in page:
        if session_id in there and _is_told(thread_id, session_id):
            delete_thread(actor=actor, thread_id=thread_id, reason=REASON)
    return page[-1][2] if len(page) == PAGE else None


def _is_told(thread_id: uuid.UUID, session_id: uuid.UUID) -> bool:
    there = _said([session_id], without=thread_id)[session_id]
    own = Message.objects.filter(thread_id=thread_id).values_list("content", flat=True)
    return all(digest_of(text) in there for text in own)


def _said(
    sessions: Iterable[uuid.UUID], without: uuid.UUID | None = None
) -> dict[uuid.UUID, set[str]]:
    """What people said in these sessions, as digests: as it stands, as it was typed, and a slash
    command's line. Index message_session."""
    rows = Message.objects.filter(session_id__in=list(sessions), role="user")
    if without is not None:
        rows = rows.exclude(thread_id=without)
    found: dict[uuid.UUID, set[str]] = defaultdict(set)
    wanted = rows.values_list("session_id", "content", "blocks")
    for session_id, content, blocks in wanted.iterator(chunk_size=500):
        typed = {content, spoken_text(blocks or []), command_line(content)} - {""}
        found[session_id] |= {digest_of(text) for text in typed}
    return found


def _digests(appended: Appended) -> set[str]:
    return {digest_of(row.content) for row in appended.rows if isinstance(row, NewMessage)}


def is_joined(source: str, row: object) -> bool:
    """Whether a row that was found is another source's, and so as that says."""
    return isinstance(row, Session) and row.source != source
