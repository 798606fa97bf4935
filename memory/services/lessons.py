"""Findings become memories, each once: made, counted where they were known, or left where a person
has said no. Not for finding anything (memory/learning, proposals.py).
"""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from config.lib import clock
from config.lib.errors import Erased
from config.lib.redact import redact_text
from contacts.services import funnel
from contacts.services.erasing import count_kept_away
from memory.importers.storable import Storable
from memory.models import Evidence, Lesson, Memory
from memory.models.memory import MemoryState, Trust
from memory.services.about import About
from memory.services.learning_marks import LEARNER
from memory.services.memories import NewEvidence, NewMemory, content_hash, create_memory
from memory.services.repeats import count_repeat
from sessions.models import Session
from sessions.models.session import Mode

# Of what an agent's sessions brought, only this is in use without a person's word.
OPEN_STATES = (MemoryState.ACTIVE, MemoryState.QUARANTINED)
METHOD = "extracted by rule "


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth keeping, found in a message or in events, at `at`.

    `explicit` says that somebody said it in so many words. `counts` is false for what is only a
    copy of another message (a fork of a session): it is kept, never counted.
    """

    rule: str
    kind: str
    text: str
    quote: str
    message_id: uuid.UUID | None = None
    event_ids: Sequence[uuid.UUID] = ()
    at: datetime | None = None
    explicit: bool = True
    confidence: float = 0.5
    counts: bool = True
    method: str = ""
    trust: Trust = Trust.AGENT
    told: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The words it rests on, whatever is made of them: a better rule finds no second one."""
        if self.message_id is None:
            return f"{self.rule}:{self.event_ids[0].hex}"
        words = hashlib.sha256(_flat(self.quote).encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return f"message:{self.message_id.hex}:{words}"


def keep(session: Session, finding: Finding) -> Memory | None:
    """The memory made of `finding`, None where there is none new. In a scope.

    The same finding is kept once, whoever reads the session again. The same words found elsewhere
    in the project count up the memory that they made, as it is now; where a person has archived or
    deleted that one, or another has taken its place, nothing comes of them. Nothing is made of
    what was erased, nor kept of its having been found.
    """
    text = Storable().text(redact_text(finding.text)).strip()
    if not text:
        return None
    hashed = content_hash(text)
    digest = hashlib.sha256(f"{session.project_id or ''}:{hashed}".encode()).hexdigest()
    lesson = Lesson(key=finding.key, rule=finding.rule, digest=digest, session_id=session.pk)
    if Lesson.objects.filter(key=lesson.key).exists() or _rests_on_them(finding):
        return None
    known, rejected = _known(session, digest, hashed)
    if known is not None:
        lesson.memory_id = known.pk
        if finding.counts:
            count_repeat(known)
    made = None
    if known is None and not rejected:
        try:
            with transaction.atomic():
                made = _make(session, finding, text)
        except Erased as refusal:
            count_kept_away(refusal)
            return None
        lesson.memory_id = made.pk
    funnel.append([lesson], actor=LEARNER)
    return made


def _rests_on_them(finding: Finding) -> bool:
    """Whether a memory rests on these words of the message already, or on some of them. Index
    evidence_message."""
    if finding.message_id is None:
        return False
    quote = _flat(redact_text(finding.quote))
    quotes = Evidence.objects.filter(message_id=finding.message_id).values_list("quote", flat=True)
    known = [_flat(one) for one in quotes]
    return any(one and (quote in one or one in quote) for one in known)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _known(session: Session, digest: str, hashed: str) -> tuple[Memory | None, bool]:
    """(the memory that says so, whether a person would not have it). Indexes lesson_digest and
    memory_content_hash."""
    lessons = list(Lesson.objects.filter(digest=digest).order_by("id")[:20])
    ids = {lesson.memory_id for lesson in lessons if lesson.memory_id is not None}
    same = Memory.objects.select_for_update(no_key=True).filter(
        content_hash=hashed, project_id=session.project_id
    )
    by_words = list(same.order_by("id")[:20])
    # As it is now: a person may have written it anew.
    by_lesson = list(
        Memory.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("id")
    )
    rows = [*by_lesson, *by_words]
    found = next((row for row in rows if row.state in OPEN_STATES), None)
    return found, found is None and bool(rows or lessons)


def _make(session: Session, finding: Finding, text: str) -> Memory:
    at = min(finding.at or clock.now(), clock.now())
    quote = Storable().text(redact_text(finding.quote))[:20_000]
    fields: dict[str, Any] = {
        "kind": finding.kind,
        "state": state_of(session, finding),
        "trust": finding.trust,
        "confidence": finding.confidence,
        "confidence_method": "rule" if not finding.method else "model",
        "method": (finding.method or METHOD + finding.rule)[:60],
        "session_id": session.pk,
        "project_id": session.project_id,
        "agent_id": session.agent_id,
        "recorded_at": at,
        "valid_from": at,
        "data": {"extraction": {"rule": finding.rule, **finding.told}},
    }
    evidence = [NewEvidence(event_id=one, quote=quote) for one in finding.event_ids]
    if finding.message_id is not None:
        evidence.append(NewEvidence(message_id=finding.message_id, quote=quote))
    about = [About(project_id=session.project_id)] if session.project_id is not None else []
    memory, _ = create_memory(
        actor=LEARNER, new=NewMemory(text=text, fields=fields, evidence=evidence, about=about)
    )
    return memory


def state_of(session: Session, finding: Finding) -> MemoryState:
    """Active is what was said in so many words, in a session that a person led, with an agent that
    is trusted to tell who speaks. What was inferred waits for a person's word."""
    led = session.mode == Mode.INTERACTIVE
    if finding.explicit and led and is_trusted(session.agent.name):
        return MemoryState.ACTIVE
    return MemoryState.QUARANTINED


def is_trusted(agent: str) -> bool:
    names = settings.EXTRACT_TRUSTED
    return "none" not in names and ("*" in names or agent in names)
