"""What an agent is given with the answer to a hook: a briefing (briefing.py).

At a session's start the whole of it; at a prompt what the conversation was told since, and what is
known of the prompt. No row twice in one session until the agent has lost its context.
"""

import uuid

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction

from config.lib.actor import Actor
from config.lib.errors import DomainError
from config.lib.recalled import without_recalled
from config.lib.scope import workspace_scope
from contacts.models import ApiKey
from memory.hooks.dialects import ASKING
from memory.hooks.forms import Kind
from memory.models import HookPayload, HookStream
from memory.schemas_briefing import Briefing, Part
from memory.selectors_hooks import rows_told_on
from memory.services import briefing
from memory.services.briefing import Findings, Place, Wanted
from memory.services.briefing_parts import MOST_NOTICES
from memory.services.hooks import Kept
from sessions.models import Notification, Session
from sessions.selectors_attention import list_pending_notifications
from sessions.services.notifications import deliver_notifications

log = structlog.get_logger()

# An agent waits for the answer: the query's vector and the search have so long each.
SEARCH_SECONDS = 0.4
QUERY_CHARACTERS = 1000


def wants_context(kept: Kept) -> bool:
    return (
        kept.form is not None
        and kept.form.kind in ASKING
        and kept.event in kept.dialect.context_at
        and bool(kept.session_name)
        and settings.HOOK_TOKENS > 0
    )


class Giving:
    """One answer: `look` in the scope that kept the payload, then `give` outside any scope."""

    def __init__(self, workspace_id: uuid.UUID, key: ApiKey, actor: Actor, kept: Kept) -> None:
        self.workspace_id, self.key, self.actor, self.kept = workspace_id, key, actor, kept
        assert kept.form is not None  # wants_context() has looked
        self.form = kept.form
        self.place: Place | None = None

    def look(self) -> None:
        """Read what the search needs. Never raises, as `give`."""
        try:
            with transaction.atomic():
                self.place = briefing.look(self._wanted())
        except (DatabaseError, DomainError) as error:
            log.warning("hook_without_context", payload=str(self.kept.id), error=repr(error))

    def give(self) -> str:
        """What is worth knowing now, empty where that is nothing. Never raises: an agent goes on
        without rather than not at all."""
        if self.place is None:
            return ""
        try:
            found = self._find(self.place)
            with workspace_scope(self.workspace_id):
                given = briefing.compose(self.place, found, self._notices(self.place.wanted))
                self._remember(given)
                return given.text
        except (DatabaseError, DomainError) as error:
            log.warning("hook_without_context", payload=str(self.kept.id), error=repr(error))
        except Exception:
            log.exception("hook_without_context", payload=str(self.kept.id))
        return ""

    def _wanted(self) -> Wanted:
        streams = HookStream.objects.select_related("session", "session__project").filter(
            dialect=self.kept.dialect.name, session_name=self.kept.session_name
        )
        stream = streams.first()
        session: Session | None = stream.session if stream is not None else None
        at_start = self.form.kind is Kind.SESSION_START
        begins = at_start and self.form.fresh
        told = frozenset[str]()
        # Who begins has nothing yet. This payload's own answer counts as not given: where it comes
        # again, the first one did not arrive.
        if not begins or not self.kept.is_new:
            told = rows_told_on(
                dialect=self.kept.dialect.name,
                session_name=self.kept.session_name,
                since=stream.fresh_since if stream is not None else None,
                but=self.kept.id,
            )
        return Wanted(
            scopes=frozenset(self.key.scopes),
            max_tokens=settings.HOOK_TOKENS,
            query=None if at_start else without_recalled(self.form.text)[:QUERY_CHARACTERS],
            session=session,
            agent_id=session.agent_id if session is not None else self.key.agent_id,
            conversation_id=session.conversation_id if session is not None else "",
            project=session.project if session is not None else None,
            whole=begins,
            told=told,
        )

    def _find(self, place: Place) -> Findings:
        """Without what is searched for where that takes too long."""
        try:
            return briefing.find(
                self.workspace_id, place, key=self.key, actor=self.actor, seconds=SEARCH_SECONDS
            )
        except (DatabaseError, DomainError) as error:
            log.warning("hook_search_failed", payload=str(self.kept.id), error=repr(error))
            return Findings()

    def _notices(self, wanted: Wanted) -> list[Notification]:
        """What the conversation was told and no session has seen; asked again, the same ones."""
        session = wanted.session
        if session is None or session.ended_at is not None or not wanted.may(Part.NOTIFICATIONS):
            return []
        before: list[Notification] = []
        if not self.kept.is_new:
            answer = HookPayload.objects.values_list("answer", flat=True).get(pk=self.kept.id)
            before = list(Notification.objects.filter(pk__in=answer.get("notices", [])))
        if not list_pending_notifications(session.conversation_id, state="unnotified").exists():
            return before
        new = deliver_notifications(actor=self.actor, session_id=session.pk, limit=MOST_NOTICES)
        return [*before, *new]

    def _remember(self, given: Briefing) -> None:
        """What this payload was answered with: no later one brings the same rows."""
        notices = [str(row.id) for row in given.rows if row.part is Part.NOTIFICATIONS]
        rows = [str(row.id) for row in given.rows if row.part is not Part.NOTIFICATIONS]
        answer = {
            "receipt_id": str(given.receipt_id) if given.receipt_id else None,
            "tokens": given.tokens,
            "rows": rows,
            "notices": notices,
        }
        HookPayload.objects.filter(pk=self.kept.id).update(
            answer=answer, answered=bool(rows or notices)
        )


def forget_answer(*, kept: Kept) -> None:
    """A payload comes again from one who waits for no answer: the first answer did not arrive, so
    its rows count as not given. In a scope."""
    HookPayload.objects.filter(pk=kept.id, answered=True).update(answered=False)
