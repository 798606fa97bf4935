"""What an erasure comes to: the rows that go, and those in which its words are struck.

In a scope, as whoever. Nothing is written; rows are locked where that is asked for.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from config.lib.errors import NotFound
from config.lib.wording import Phrases, number_in, words_of
from contacts.models import Contact, ContactEmail, ContactPhone, Erasure, Revision
from contacts.models.erasure import ErasureKind
from memory.erasing import sweep
from memory.erasing.going import (
    Going,
    Model,
    add_contacts,
    add_deleted,
    add_memories,
    add_session,
    follow,
    in_parts,
    name_contacts,
)
from memory.models import Evidence, Memory
from sessions.models import Session, Thread

Progress = Callable[[str], None]


def what_goes(erasure: Erasure, *, held: bool = False) -> Going:
    """The rows that go, and what is looked for in others. `held`: locked, so that nothing is tied
    to them until the transaction is over."""
    going, target = Going(), erasure.target_id or uuid.UUID(int=0)
    # Held before it is read: what is said in it, and what hangs on it, is all there is to be.
    match ErasureKind(erasure.kind):
        case ErasureKind.MEMORY:
            _there(Memory, target, held)
            add_memories(going, [target])
        case ErasureKind.SESSION:
            _there(Session, target, held)
            add_session(going, target)
        case ErasureKind.CONTACT:
            _there(Contact, target, held)
            add_contacts(going, [target])
            if held:
                _hold(going.rows)
            name_contacts(going)
        case ErasureKind.TERM:
            said = words_of(erasure.wanted)
            going.terms |= {said, words_of(number_in(said))}
            going.terms.discard(())
            going.phrases |= going.terms
    before = -1
    while before != sum(map(len, going.rows.values())):
        before = sum(map(len, going.rows.values()))
        if held:
            _hold(going.rows)
        _add_statements(erasure, going)
        follow(going)
    add_deleted(going)
    return going


def _there(model: Model, pk: uuid.UUID, held: bool) -> None:
    if held:
        _hold({model: {pk}})
    if not model.objects.filter(pk=pk).exists():
        raise NotFound(str(model._meta.verbose_name), pk)


def _hold(rows: Mapping[Model, set[uuid.UUID]]) -> None:
    """Threads before their sessions, each in the order of its id, as those who append lock them."""
    sessions = rows.get(Session, set())
    threads = Thread.objects.filter(session_id__in=sessions).values_list("pk", flat=True)
    lock_rows(Thread, threads)
    for model in (Session, Contact, Memory):
        lock_rows(model, rows.get(model, ()))


def lock_rows(model: Model, ids: Iterable[uuid.UUID]) -> None:
    for some in in_parts(ids):
        locked = model.objects.filter(pk__any_of=some).order_by("pk").select_for_update()
        list(locked.values_list("pk"))


def _add_statements(erasure: Erasure, going: Going) -> None:
    """Memories that say it go, and of a term whoever is called so."""
    if going.copies_only:
        return
    phrases = Phrases(going.phrases)
    saying = {row.pk for row in sweep.rows_saying(Memory, phrases)}
    if erasure.kind == ErasureKind.TERM:
        name = [Contact._meta.get_field("name")]
        people = {row.pk for row in sweep.rows_saying(Contact, phrases, name)}
        for model in (ContactEmail, ContactPhone):
            people |= {row.contact_id for row in sweep.rows_saying(model, phrases)}
        add_contacts(going, people)
        saying |= {row.memory_id for row in sweep.rows_saying(Evidence, phrases)}
    add_memories(going, saying)


class Found:
    """What an erasure comes to: rows that go, and those in which its words are struck."""

    def __init__(self, going: Going, progress: Progress) -> None:
        self.going = going
        self.hits: dict[Model, list[uuid.UUID]] = {}
        self.revisions: set[uuid.UUID] = set()
        self.answers: list[uuid.UUID] = []
        self.removed_too: dict[Model, set[uuid.UUID]] = {}
        self._find_rows(progress)

    def _find_rows(self, progress: Progress) -> None:
        going, phrases = self.going, Phrases(self.going.phrases)
        for model in sweep.swept(going.copies_only) if phrases else ():
            progress(f"looking through {model._meta.verbose_name_plural}")
            mine = going.ids(model)
            found = [row.pk for row in sweep.rows_saying(model, phrases) if row.pk not in mine]
            if not found:
                continue
            if model in (ContactEmail, ContactPhone):
                self.removed_too[model] = set(found)
            else:
                self.hits[model] = found

    def find_changes(
        self, progress: Progress, *, but: str = "", since: datetime | None = None
    ) -> None:
        """Changes (`since` then) that say it or are of what goes, but those of the request `but`,
        and answers. When it is carried out, last: whoever changes a row that was struck or removed
        has done so before, or waits until that is committed."""
        progress("looking through changes")
        phrases, ids = Phrases(self.going.phrases), self.going.every_id()
        changes = Revision.objects.filter(erased_at=None)
        if since is not None:
            changes = changes.filter(created_at__gte=since)
        found = set(sweep.revisions_saying(phrases, changes)) if phrases else set()
        for some in in_parts(ids):
            rows = changes.filter(object_id__any_of=some)
            found |= set(rows.values_list("pk", flat=True))
        for some in in_parts(found) if but else ():
            own = Revision.objects.filter(pk__any_of=some, request_id=but)
            found = found.difference(own.values_list("pk", flat=True))
        self.revisions = found
        self.answers = list(sweep.answers_saying(phrases, ids))

    def told(self) -> dict[str, Any]:
        """Counts by table, as a report has them."""
        counts: Counter[str] = Counter(self.going.counts())
        for model, ids in self.removed_too.items():
            counts[str(model._meta.verbose_name)] += len(ids)
        counts["evidence"] += len(self.going.evidence)
        counts["kept answer"] += len(self.answers)
        return {
            "removed": dict(sorted((+counts).items())),
            "struck": {str(model._meta.verbose_name): len(ids) for model, ids in self.hits.items()},
            "losing": len(self.going.losing),
        }
