"""Which rows go when something is erased: it, what belongs to it, and what follows from it alone.

A memory's sources are the memories it was derived from and its evidence; where it has neither, the
session it was saved in. One that loses its last source goes too. One that keeps another stays, and
loses what tied it to what goes; but a consolidated narrative, made of all its sources' sentences,
goes with any of them. Nothing is written here.
"""

import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from django.db.models import Q

from config.lib.db.models import WorkspaceRow
from config.lib.wording import Words, number_in, words_of
from contacts.models import Contact, ContactEmail, ContactPhone, Revision
from contacts.services.addresses import Labelled, spellings
from contacts.services.tombstones import marks_of
from contacts.services.unreadable import texts_of
from memory.models import Evidence, HookPayload, HookStream, Memory, MemoryAbout, MemoryLink
from memory.models.links import Relation
from memory.models.memory import CONSOLIDATED_METHOD
from memory.services.about import About
from memory.services.hook_streams import stream_mark
from sessions.models import (
    Handoff,
    Message,
    Notification,
    Ping,
    Session,
    SessionEvent,
    StagedContent,
    Worker,
)

Model = type[WorkspaceRow]
AT_ONCE = 1000
# Fewer words of a text are said by anybody; they are not looked for elsewhere.
FEWEST_WORDS = 3
# What of a session is its own, by the field that names it.
_OF_SESSION: Sequence[tuple[Model, str]] = (
    (Ping, "session_id"),
    (StagedContent, "session_id"),
    (Notification, "session_id"),
    (Handoff, "from_session_id"),
    (Worker, "session_id"),
    (Worker, "run_session_id"),
)


# Of a deleted memory.
_KNOWN_BY = ("content_hash", "source", "external_id")
_READ = {"text", "method", "session", "about", "links", "evidence", *_KNOWN_BY}


@dataclass(slots=True)
class Going:
    """`rows` that are erased, by model; `below` what the database removes with them. `losing` are
    memories that stay and lose a source; `evidence` what of theirs goes. `marks` are what must not
    come back (contacts/services/tombstones.py), `phrases` what is looked for in other rows; where
    `copies_only`, in what repeats others' words alone."""

    rows: dict[Model, set[uuid.UUID]] = field(default_factory=lambda: defaultdict(set))
    below: dict[Model, set[uuid.UUID]] = field(default_factory=lambda: defaultdict(set))
    losing: set[uuid.UUID] = field(default_factory=set)
    evidence: set[uuid.UUID] = field(default_factory=set)
    receipts: set[uuid.UUID] = field(default_factory=set)
    marks: set[tuple[str, ...]] = field(default_factory=set)
    phrases: set[Words] = field(default_factory=set)
    terms: set[Words] = field(default_factory=set)
    # Rows that are gone already, whose history alone has them; and others whose history says it.
    deleted: set[uuid.UUID] = field(default_factory=set)
    copies_only: bool = False

    def ids(self, model: Model) -> set[uuid.UUID]:
        return self.rows.get(model, set()) | self.below.get(model, set())

    def every_id(self) -> set[uuid.UUID]:
        there = {pk for part in (self.rows, self.below) for ids in part.values() for pk in ids}
        return there | self.deleted

    def counts(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for model in {*self.rows, *self.below}:
            found[str(model._meta.verbose_name)] += len(self.ids(model))
        return dict(sorted((+found).items()))


def in_parts(ids: Iterable[uuid.UUID]) -> Iterator[list[uuid.UUID]]:
    found = sorted(ids)
    for start in range(0, len(found), AT_ONCE):
        yield found[start : start + AT_ONCE]


# --- Where it begins --------------------------------------------------------------------------


def add_memories(going: Going, ids: Iterable[uuid.UUID]) -> None:
    """With those of the same text. What they said before is looked for too."""
    wanted = set(ids) - going.rows[Memory]
    for some in in_parts(wanted):
        rows = Memory.objects.filter(pk__any_of=some)
        hashes = list(rows.values_list("content_hash", flat=True))
        same = {
            row.pk: row.text
            for row in Memory.objects.filter(content_hash__any_of=hashes).only("id", "text")
        }
        going.rows[Memory] |= same.keys()
        for text in same.values():
            _say(going, text)
        said = Revision.objects.filter(object_id__any_of=list(same))
        for body in chain.from_iterable(said.values_list("before", "after")):
            if isinstance(text := body.get("text"), str):
                _say(going, text)


def add_contacts(going: Going, ids: Iterable[uuid.UUID]) -> None:
    """With those that were merged into them, and what is known of nobody else."""
    wanted = set(ids)
    while new := wanted - going.rows[Contact]:
        going.rows[Contact] |= new
        merged = Contact.objects.filter(merged_into_id__in=new)
        wanted |= set(merged.values_list("pk", flat=True))
    gone = going.rows[Contact]
    about = MemoryAbout.objects.filter(contact_id__in=gone).values_list("memory_id", flat=True)
    others = MemoryAbout.objects.filter(memory_id__in=about, contact__isnull=False)
    others = others.exclude(contact_id__in=gone).values_list("memory_id", flat=True)
    add_memories(going, set(about) - set(others))
    going.losing |= set(others)


def name_contacts(going: Going) -> None:
    """What they are known by, wherever it stands: addresses and numbers, those that could not be
    read too (a report of an import says them), the name where it has two words, and what was said
    of them."""
    gone = list(going.rows[Contact])
    for contact in Contact.objects.filter(pk__in=gone):
        if len(words_of(contact.name)) > 1:
            going.terms.add(words_of(contact.name))
        for text in (contact.description, contact.notes):
            _say(going, text)
        for kept in (contact.unreadable, contact.dismissed):
            for one in texts_of(kept, "phones"):
                digits = (re.sub("[^0-9]", "", Labelled.read(one).value),)
                if number_in(digits):
                    going.terms.add(digits)
            mails = (Labelled.read(one).value for one in texts_of(kept, "emails"))
            going.terms |= {words_of(text) for text in mails if "@" in text}
    emails = ContactEmail.objects.filter(contact_id__in=gone).values_list("email", flat=True)
    numbers = ContactPhone.objects.filter(contact_id__in=gone).values_list("number", flat=True)
    going.terms |= {words_of(text) for text in emails}
    for number in numbers:
        going.terms |= {words_of(text) for text in spellings(number)}
    going.phrases |= going.terms


def add_session(going: Going, session_id: uuid.UUID) -> None:
    """With what it asked of people and of other sessions, what ran in it, and its hooks."""
    going.rows[Session].add(session_id)
    going.copies_only = True
    for model, name in _OF_SESSION:
        found = model.objects.filter(**{name: session_id})
        going.rows[model] |= set(found.values_list("pk", flat=True))
    for stream in HookStream.objects.filter(session_id=session_id):
        going.marks.add(stream_mark(stream.dialect, stream.session_name))
        payloads = HookPayload.objects.filter(
            dialect=stream.dialect, session_name=stream.session_name
        )
        going.rows[HookPayload] |= set(payloads.values_list("pk", flat=True))
    answered = HookPayload.objects.filter(
        Q(session_id=session_id) | Q(pk__in=going.rows[HookPayload]), answered=True
    )
    for answer in answered.values_list("answer", flat=True):
        if receipt := answer.get("receipt_id"):
            going.receipts.add(uuid.UUID(str(receipt)))
    session = Session.objects.get(pk=session_id)
    _say(going, session.prompt)
    _say(going, session.summary)
    said = Message.objects.filter(session_id=session_id).values_list("content", flat=True)
    for content in said.iterator(chunk_size=500):
        _say(going, content)


def _say(going: Going, text: str) -> None:
    words = words_of(text)
    if len(words) >= FEWEST_WORDS:
        going.phrases.add(words)


# --- What follows -----------------------------------------------------------------------------


def follow(going: Going) -> None:
    """What was derived from it, and from that, as long as there is some; then what goes below."""
    sessions = list(going.rows[Session])
    looked_at: set[uuid.UUID] = set()
    waiting = set(going.rows[Memory])
    candidates = set(
        Memory.objects.filter(session_id__in=sessions).values_list("pk", flat=True)
    ) | set(_rest_on(sessions).values_list("memory_id", flat=True))
    while True:
        for some in in_parts(waiting):
            derived = MemoryLink.objects.filter(target_id__in=some, relation=Relation.DERIVED_FROM)
            candidates |= set(derived.values_list("source_id", flat=True))
        candidates -= going.rows[Memory]
        looked_at |= candidates
        # A narrative is made of all its sources' sentences.
        told = Memory.objects.filter(pk__in=candidates, method=CONSOLIDATED_METHOD)
        alone = without_source(going, candidates) | set(told.values_list("pk", flat=True))
        if not alone:
            break
        before = set(going.rows[Memory])
        add_memories(going, alone)
        waiting = going.rows[Memory] - before
    going.losing = (going.losing | looked_at) - going.rows[Memory]
    kept = _rest_on(sessions).filter(memory_id__in=going.losing)
    going.evidence |= set(kept.values_list("pk", flat=True))
    for model, ids in list(going.rows.items()):
        _go_below(going, model, ids)


# --- What is gone already ---------------------------------------------------------------------


def add_deleted(going: Going) -> None:
    """What was deleted before, and would go if it were there: its history has it still, and would
    bring it back. Rows of a session, and memories all of whose sources go."""
    gone = Revision.objects.filter(after={}, erased_at=None).exclude(before={})
    sessions = [str(pk) for pk in going.rows[Session]]
    for model, name in _OF_SESSION if sessions else ():
        key = f"before__{name.removesuffix('_id')}__in"
        found = gone.filter(model=model._meta.label_lower, **{key: sessions})
        going.deleted |= set(found.values_list("object_id", flat=True))
    found = gone.filter(model=Memory._meta.label_lower).order_by("id")  # the last one tells
    waiting = {
        pk: {name: before[name] for name in _READ & before.keys()}
        for pk, before in found.values_list("object_id", "before").iterator(chunk_size=AT_ONCE)
    }
    for some in in_parts(waiting):
        for pk in Memory.objects.filter(pk__any_of=some).values_list("pk", flat=True):
            del waiting[pk]  # restored since
    while more := {pk for pk, before in waiting.items() if _would_go(going, pk, before)}:
        for pk in more:
            before = waiting.pop(pk)
            going.deleted.add(pk)
            going.marks |= set(marks_of(Memory(pk=pk, **_known_by(before))))
            _say(going, str(before.get("text", "")))


def _would_go(going: Going, pk: uuid.UUID, before: Mapping[str, Any]) -> bool:
    contacts = {
        one.contact_id for value in before.get("about", []) if (one := About.read(value)).contact_id
    }
    if contacts and contacts <= going.rows[Contact]:
        return True
    derived = {
        uuid.UUID(link["target"])
        for link in before.get("links", [])
        if link["relation"] == Relation.DERIVED_FROM and link["source"] == str(pk)
    }
    if before.get("method") == CONSOLIDATED_METHOD and derived & (
        going.rows[Memory] | going.deleted
    ):
        return True
    said = {
        str(one.get("message") or one.get("event") or "")
        for one in before.get("evidence", [])
        if any(one.get(name) for name in ("message", "event", "task", "mission", "uri"))
    }
    if derived or said:
        going_ids = {str(one) for one in going.ids(Message) | going.ids(SessionEvent)}
        return derived <= going.rows[Memory] | going.deleted and said <= going_ids
    return before.get("session") in {str(one) for one in going.rows[Session]}


def _known_by(before: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(before[name]) for name in _KNOWN_BY if before.get(name)}


def _rest_on(sessions: Sequence[uuid.UUID]) -> Any:
    return Evidence.objects.filter(
        Q(message__session_id__in=sessions) | Q(event__session_id__in=sessions)
    )


def without_source(
    going: Going, ids: set[uuid.UUID], by: Collection[str] = (Relation.DERIVED_FROM,)
) -> set[uuid.UUID]:
    """Those of `ids` that keep none, where links `by` lead to sources."""
    kept: set[uuid.UUID] = set()
    some = list(ids)
    links = MemoryLink.objects.filter(source_id__in=some, relation__in=by)
    for source, target in links.values_list("source_id", "target_id"):
        if target not in going.rows[Memory]:
            kept.add(source)
    own = Evidence.objects.filter(memory_id__in=some).exclude(
        pk__in=_rest_on(list(going.rows[Session])).values("pk")
    )
    own = own.exclude(uri="", message=None, event=None, task=None, mission=None)
    kept |= set(own.values_list("memory_id", flat=True))
    unsourced = Memory.objects.filter(pk__in=ids - kept).exclude(session_id__in=going.rows[Session])
    derived = set(links.values_list("source_id", flat=True))
    derived |= set(Evidence.objects.filter(memory_id__in=some).values_list("memory_id", flat=True))
    # Saved in a session that stays, and tied to nothing: that is where it is from.
    plain = unsourced.filter(session__isnull=False).values_list("pk", flat=True)
    kept |= set(plain) - derived
    return ids - kept


def _go_below(going: Going, model: Model, ids: set[uuid.UUID]) -> None:
    for relation in model._meta.related_objects:
        related: Any = relation.related_model
        if not getattr(relation.field, "cascade", False) or not issubclass(related, WorkspaceRow):
            continue
        name = relation.field.attname
        found: set[uuid.UUID] = set()
        for some in in_parts(ids):
            rows = related.objects.filter(**{f"{name}__in": some})
            found |= set(rows.values_list("pk", flat=True))
        new = found - going.below[related] - going.rows.get(related, set())
        if new:
            going.below[related] |= new
            _go_below(going, related, new)
