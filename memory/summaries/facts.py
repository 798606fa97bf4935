"""What a session's rows say of it by themselves: what was asked, files, commands, errors and
whether they were mended, the last words. Counted out, not judged.
"""

from django.db.models import Q
from django.db.models.functions import Left

from config.lib.recalled import without_recalled
from config.lib.redact import redact_text
from memory.importers.claude_code.records import Kind
from memory.learning.tools import commands_of, files_of, troubles_of
from memory.summaries.base import MOST_POINTS, Facts, Said
from memory.summaries.calls import read_calls
from memory.summaries.sentences import sentences_of, shorten
from sessions.models import Message, Session, Thread
from sessions.models.thread import MessageRole

# Of a session of many prompts the first and the last ones.
FIRST, LAST = 4, 8
MOST_FILES, MOST_COMMANDS, MOST_OPEN = 30, 12, 4
MOST_CHARACTERS = 4_000
LAST_WORDS = 500
# As readers of transcripts tell messages apart. Other words under that key are their sender's own.
NOT_TYPED = [kind.value for kind in Kind if kind is not Kind.PROMPT]


def read_facts(session: Session) -> Facts:
    """In a scope. Indexes thread_session, message_idx_unique, event_session_type."""
    calls = read_calls(session.pk)
    troubles = troubles_of(calls)
    shown = [one for one in troubles if one.fixed_by is None][-MOST_POINTS:]
    mended = [one for one in troubles if one.fixed_by is not None][: MOST_POINTS - len(shown)]
    left = [one for one in shown if one.call.command][-MOST_OPEN:]
    return Facts(
        asked=_asked(session),
        files=[redact_text(shorten(file)) for file in files_of(calls)[:MOST_FILES]],
        commands=[redact_text(command) for command in commands_of(calls)[-MOST_COMMANDS:]],
        errors=[redact_text(shorten(one.told())) for one in [*mended, *shown]],
        last_words=_last_words(session),
        open_ends=[redact_text(shorten(f"Still fails: {one.told()[6:]}")) for one in left],
    )


def people_spoke() -> Q:
    """Messages in which a person speaks, or whoever stands in their place: not those that a program
    wrote in their name, nor what an agent asks its subagents."""
    typed = Q(metadata__kind__isnull=True) | ~Q(metadata__kind__in=NOT_TYPED)
    return Q(role=MessageRole.USER) & typed


def _asked(session: Session) -> list[str]:
    threads = Thread.objects.filter(session_id=session.pk, parent=None, message_count__gt=0)
    first = threads.order_by("created_at", "id").values_list("id", flat=True).first()
    rows = Message.objects.filter(people_spoke(), thread_id=first).exclude(content="")
    told = rows.values_list("idx", Left("content", MOST_CHARACTERS))
    found = {**dict(told.order_by("idx")[:FIRST]), **dict(told.order_by("-idx")[:LAST])}
    texts = [found[idx] for idx in sorted(found)] if first is not None else []
    if not texts and session.prompt:
        texts = [session.prompt[:MOST_CHARACTERS]]
    asked = [_opening(text, session) for text in texts]
    return list(dict.fromkeys(redact_text(one) for one in asked if one))


def _opening(text: str, session: Session) -> str:
    own = without_recalled(text)
    sentence = next(sentences_of(Said(session.started_at, "user", own), 0), None)
    return sentence.text if sentence is not None else shorten(" ".join(own.split()))


def _last_words(session: Session) -> list[str]:
    """Index message_session."""
    said = Message.objects.filter(session_id=session.pk, role=MessageRole.ASSISTANT)
    said = (
        said.exclude(content="")
        .filter(thread__parent=None)
        .filter(Q(metadata__kind__isnull=True) | Q(metadata__kind="reply"))
    )
    content = said.order_by("-occurred_at", "-id").values_list(
        Left("content", MOST_CHARACTERS), flat=True
    )
    text = " ".join(without_recalled(content.first() or "").split())
    return [redact_text(shorten(text, LAST_WORDS))] if text else []
